/* Edits as passes need them: what edit.c (checking, applying) and edit_values.c (uploading, comparing) share. */
#ifndef SCRY_TRACE_EDIT_RESOLVED_H
#define SCRY_TRACE_EDIT_RESOLVED_H

#include "trace/edit.h"

/* The axes of what is edited. */
enum { SEQUENCE, ROW, HEAD, COLUMN };

typedef struct scry__resolved_edit {
    scry__hook     hook;
    int            layer;
    scry_edit_kind kind;
    float          factor;
    bool           by_head;
    uint64_t       heads[SCRY_MAX_HEADS / 64]; /* at least one */
    scry_range     sequences, positions, keys; /* `keys` of scores and patterns; elsewhere every column */
    scry_tensor    values;                     /* [1, rows, heads, columns]; absent where the kind needs none */
} scry__resolved_edit;

struct scry__editor {
    const scry_model    *model;
    const scry__session *session;
    scry__hooks          hooks, inner;
    scry_buffer         *values;
    int                  count, used_count;
    scry__resolved_edit *edits;
    scry__resolved_edit *used; /* what passes make of them: `edits` itself, or owned as well */
};

static inline bool scry__edit_takes_values(scry_edit_kind kind)
{
    return kind == SCRY_EDIT_ADD || kind == SCRY_EDIT_REPLACE;
}

/* Uploads the values of all edits and points these at them. Values that several edits share are there once. */
scry_status scry__edit_upload(scry__editor *editor, const scry_edits *edits);

#endif

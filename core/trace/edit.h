/* Edits on their way through passes: checked once, their values on the device, applied at the hook points. */
#ifndef SCRY_TRACE_EDIT_H
#define SCRY_TRACE_EDIT_H

#include "model/forward.h"
#include "scry/edit.h"

/* What a row of a hook point holds. */
typedef struct scry__edit_extent {
    int  heads;   /* 1 where it has none */
    int  columns; /* 0: a key's each */
    bool by_head; /* the value is [B, heads, rows, columns]: scores and patterns */
} scry__edit_extent;

scry__edit_extent scry__edit_extent_of(const scry_model *model, scry__hook hook);

/* The hook point of that full name; *layer is -1 outside the blocks. False where the model has none. */
bool scry__edit_find_hook(const scry_model *model, const char *name, scry__hook *hook, int *layer);

/* Of the hook points that can be edited? `final`: are ln_final.* among them? */
scry_status scry__edit_check_hook(const scry_model *model, scry__hook hook, const char *name, bool final);

typedef struct scry__editor scry__editor;

typedef struct scry__editor_options {
    const scry_edits *edits;     /* not needed once the editor is there; NULL: none */
    int               positions; /* of the prompt: an edit of later ones is refused */
    int               capacity;  /* positions that passes may come to; 0: the same */
    int               batch;     /* 0: 1 */
    bool              final;     /* do logits come from the pass itself, so that ln_final.* can be edited? */
} scry__editor_options;

/* Checks the edits and uploads their values; *out is NULL where there are none. Errors (SCRY_BAD_ARGUMENT) name the
 * edit by its number and hook point. */
scry_status scry__editor_create(scry__editor **out, const scry_model *model, const scry__editor_options *options);
void        scry__editor_destroy(scry__editor **editor);

/* One edit made in the next passes: in one sequence, from a position on. */
typedef struct scry__edit_use {
    int edit, sequence, from;
} scry__edit_use;

/* From now on passes make these edits and no others, in that order; their own `sequences` do not count. */
scry_status scry__editor_use(scry__editor *editor, const scry__edit_use *uses, int count);

/* Where an edit stands, as it was resolved. */
void scry__editor_place(const scry__editor *editor, int edit, scry__hook *hook, int *layer);

/* The first position at which an edit, made alone, changes its hook point, bit by bit; -1: at none. `given` is the edit
 * as it was given. The hook point's value is of one sequence from position 0 on, of this shape, and `host` its elements
 * as scry__read_tensor gives them; rows that it lacks are not compared. */
int scry__editor_first_change(const scry__editor *editor, int edit, const scry_edit *given, const scry_tensor *value,
                              const float *host);

/* Callbacks for passes of `session` that make the edits and then serve `inner` (NULL: nobody), which sees edited
 * values. They last as long as the editor and are replaced by the next call. Without an editor: `inner` itself. */
const scry__hooks *scry__editor_hooks(scry__editor *editor, const scry__session *session, const scry__hooks *inner);

#endif

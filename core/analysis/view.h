/* Views of attention: the patterns of chosen heads, their means, one row or column of each, and what keys receive. */
#ifndef SCRY_ANALYSIS_VIEW_H
#define SCRY_ANALYSIS_VIEW_H

#include "scry/edit.h"

/* X(name, text, what a tile of it is, what its values are) */
#define SCRY__VIEW_LIST(X)                                                                                             \
    X(HEADS, "heads", "one head's weights", "attention weight")                                                        \
    X(MEAN, "mean", "the mean over all chosen heads of all chosen layers", "mean attention weight")                    \
    X(LAYERS, "layers", "the mean over the chosen heads of one layer", "mean attention weight")                        \
    X(FROM, "from", "one head's row of the position: where it looks", "attention weight")                              \
    X(TO, "to", "one head's column of the position: who looks at it", "attention weight")                              \
    X(SINKS, "sinks", "what each key of one head receives", "received weight / that of uniform attention")

typedef enum scry__view_kind {
#define SCRY__VIEW_ENUM(name, text, about, unit) SCRY__VIEW_##name,
    SCRY__VIEW_LIST(SCRY__VIEW_ENUM)
#undef SCRY__VIEW_ENUM
        SCRY__VIEW_COUNT
} scry__view_kind;

const char *scry__view_text(scry__view_kind kind);
const char *scry__view_unit(scry__view_kind kind);

/* Is a tile a line of its own, so that tiles are best drawn below each other? */
bool scry__view_is_lines(scry__view_kind kind);

typedef struct scry__view_options {
    const int32_t    *ids; /* the prompt where text is NULL */
    int               id_count;
    scry__view_kind   kind;
    int               position; /* of FROM and TO */
    const char       *layers;   /* "0-3,5"; NULL: the last for HEADS and MEAN, else all */
    const char       *heads;    /* NULL: all */
    scry_range        queries;  /* rows, save for FROM and SINKS */
    scry_range        keys;     /* columns, save for TO and SINKS */
    const scry_edits *edits;    /* NULL: none */
} scry__view_options;

typedef struct scry__view_tile {
    int          layer, head; /* -1: of more than one */
    const float *values;      /* [queries, keys]; SINKS: [1, keys], NaN for keys that too few rows see */
} scry__view_tile;

typedef struct scry__view {
    scry__view_kind  kind;
    scry_tokens     *tokens;
    scry_range       queries, keys; /* that a tile covers; of SINKS all queries, in one line */
    int              tile_count;
    scry__view_tile *tiles;   /* in order of layer and head */
    scry_trace      *trace;   /* what was captured; of MEAN and LAYERS without data */
    float           *reduced; /* tiles of MEAN, LAYERS and SINKS */
} scry__view;

scry_status scry__view_run(scry__view **out, scry_model *model, const char *text, const scry__view_options *options);
void        scry__view_destroy(scry__view **view);

/* Values in a tile. */
size_t scry__view_size(const scry__view *view);

#endif

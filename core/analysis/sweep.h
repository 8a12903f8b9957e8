/* Inside a sweep: its baseline, how runs are read (sweep_read.c), what each patch changes and in which order they run
 * (sweep_plan.c), the passes (sweep_run.c). */
#ifndef SCRY_ANALYSIS_SWEEP_H
#define SCRY_ANALYSIS_SWEEP_H

#include "scry/sweep.h"
#include "trace/edit.h"

#include <limits.h>

/* --- reading runs --- */

typedef struct scry__readout {
    scry_model  *model;
    int          most;           /* sequences at a time */
    int          target_count;   /* whose logits are read */
    int          position;       /* of the prediction */
    int          row_count;      /* positions whose next token's loss is read, from 0 on; 0: none */
    scry_buffer *reference;      /* [d]: the stream that stands on the left of KL */
    scry_buffer *table, *biases; /* the targets' rows of the unembedding, [targets, d] and [targets], f32 */
    scry_buffer *indices;        /* i32 [targets]: 0, 1, .. */
    scry_buffer *next;           /* i32 [row_count] */
    scry_buffer *outputs;        /* see sweep_read.c */
    float       *host;           /* the same */
    float       *row_losses;     /* [row_count]: the baseline's */
} scry__readout;

typedef struct scry__readout_options {
    int            most, position;
    const int32_t *targets;
    int            target_count;
    const int32_t *ids; /* whose losses are read; NULL: none are */
    int            id_count;
} scry__readout_options;

scry_status scry__readout_create(scry__readout *readout, scry_model *model, const scry__readout_options *options);
void        scry__readout_finish(scry__readout *readout);

/* From now on each KL is from this row of a stream [1, T, d]. */
scry_status scry__readout_refer(scry__readout *readout, const scry_tensor *stream, int row);

/* Outcomes of as many sequences as `streams` [n, T, d], the final ones, has, row 0 at position `first`. What the rows
 * do not tell is left alone: `changed`, and the prediction where its position lies before them. `baseline`: keeps the
 * losses of its rows, which stand for those before `first` later. */
scry_status scry__readout_read(scry__readout *readout, const scry_tensor *streams, int first, bool baseline,
                               scry_outcome *outcomes);

/* --- the sweep --- */

struct scry_sweep {
    scry_model        *model;
    scry_tokens       *tokens;
    scry_sweep_options options; /* without its arrays */
    int                rows;    /* positions that are run */
    int                batch;   /* patches side by side at most */
    scry__session     *baseline;
    scry_buffer       *streams;      /* [layer, rows, d]: what enters each layer of the baseline */
    scry__session     *beside;       /* patches' passes; NULL until there are some */
    int                side_by_side; /* sequences of it */
    int                clean;        /* positions of its cache that are the baseline's in every sequence */
    int32_t           *ids;          /* [batch, rows]: tokens of a pass */
    scry__readout      readout;
    bool               has_reference;
    scry_outcome       baseline_outcome, reference_outcome;
    scry_sweep_cost    cost;
};

/* What enters a layer of the baseline at positions from `first` on: [1, rows - first, d]. */
scry_tensor scry__sweep_stream(const scry_sweep *sweep, int layer, int first);

/* --- the plan --- */

/* Where a patch begins to change something. */
typedef struct scry__sweep_start {
    int patch, layer, position; /* layer -1: the embedding; SCRY__NEVER: nowhere */
} scry__sweep_start;

enum { SCRY__NEVER = INT_MAX };

typedef struct scry__sweep_plan {
    scry_edit         *edits; /* of all patches, one behind the other */
    int               *first; /* [patch + 1]: which of them are a patch's */
    scry__editor      *editor;
    int               *changes; /* [edit]: the first position that it changes in the baseline; -1: none */
    int                count;
    scry__sweep_start *starts; /* of patches that are run, the last position first: those that change something, or all
                                  of a naive sweep */
} scry__sweep_plan;

scry_status scry__sweep_plan_create(scry__sweep_plan *plan, scry_sweep *sweep, const scry_patch *patches, int count);
void        scry__sweep_plan_finish(scry__sweep_plan *plan);

/* Which starts share the pass that begins with the one at `begin`: those before the end returned, now sorted by layer.
 * *position is where the pass begins. */
int scry__sweep_plan_pass(scry__sweep_plan *plan, int begin, int batch, int *position);

/* --- listening --- */

/* Who wants to know what patched runs have at some hook points, and no outcomes. */
typedef struct scry__sweep_listener {
    void *user;
    int   layers; /* the first ones, behind which there is nothing to hear */
    bool (*wants)(void *user, scry__hook hook, int layer);
    /* What a patch's run has there from position `first` on: [T - first, ...]. Before that, and where this is not
     * called, it has what the baseline has. */
    scry_status (*hear)(void *user, int patch, scry__hook hook, int layer, int first, const scry_tensor *rows);
} scry__sweep_listener;

/* Runs them as scry_sweep_run does; patches are not counted in the cost, what is computed is. */
scry_status scry__sweep_listen(scry_sweep *sweep, const scry_patch *patches, int count,
                               const scry__sweep_listener *listener);

#endif

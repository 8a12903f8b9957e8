/* Activation patching, its parts: what is settled before anything runs, and the grid of one kind. */
#ifndef SCRY_ANALYSIS_PATCH_H
#define SCRY_ANALYSIS_PATCH_H

#include "analysis/progress.h"
#include "model/hook.h"
#include "scry/patch.h"
#include "scry/sweep.h"

/* matches[i] = the position of `source` that position i of `base` is matched with, or -1. Prompts of equal length are
 * matched position by position; of others the common beginning from the start, and what is behind it from the end. The
 * last positions always match. */
void scry__patch_match(int32_t *matches, const scry_tokens *base, const scry_tokens *source);

/* A patching under way. */
typedef struct scry__patch_run {
    scry_model               *model;
    const scry_patch_options *options;
    scry_patching            *result;
    unsigned                  kinds;
    int32_t                   targets[2]; /* the answer, the wrong one; -1: not known yet */
    int                       begin;      /* the first position that is patched; those up to the last are */
    bool                      same_length;
    scry_sweep               *sweep;
    scry__progress            progress;
    int64_t                   under_way; /* patches of the sweep that runs */
} scry__patch_run;

/* Fills in the prompts, their match, the positions, the kinds and the tokens that are named, or says what is wrong with
 * them. Nothing is run. */
scry_status scry__patch_prepare(scry__patch_run *run, const char *clean, const char *corrupt);

/* Whether a patching of these would be started; the same errors. */
scry_status scry__patch_check(scry_model *model, const char *clean, const char *corrupt,
                              const scry_patch_options *options);

/* Then chooses the tokens that are not named, runs both prompts and fills in both sides. The sweep is to be destroyed,
 * also after a failure. */
scry_status scry__patch_start(scry__patch_run *run);

/* The hook point of a kind: "blocks.3.hook_resid_pre", "blocks.*.hook_resid_pre" for layer -1. */
void scry__patch_hook(char out[SCRY__HOOK_NAME_SIZE], scry_patch_kind kind, int layer);

/* A cell from its numbers, in the order of scry_patch_metric. */
scry_patch_cell scry__patch_cell_of(const float numbers[SCRY_PATCH_METRIC_COUNT]);

/* What an outcome of the sweep is to the pair. */
scry_patch_cell scry__patch_read_cell(const scry_patching *pair, const scry_outcome *outcome);

/* Appends the kind's grid to the result; its cells hold nothing yet. */
scry_status scry__patch_add_grid(scry__patch_run *run, scry_patch_kind kind);

/* How many patches a grid takes. */
int64_t scry__patch_count(const scry__patch_run *run, const scry_patch_grid *grid);

/* Fills a grid with what its patches make of the baseline; the sides are there. Estimates stay. */
scry_status scry__patch_run_grid(scry__patch_run *run, scry_patch_grid *grid);

/* Fills in the estimates of all grids but patterns. */
scry_status scry__patch_estimate(scry__patch_run *run);

/* How many values one layer of a grid has at one position. */
double scry__patch_width(const scry__patch_run *run, const scry_patch_grid *grid);

/* How many layers of `width` values at each of the source's positions fit into the memory that is allowed; one at
 * least. */
int scry__patch_layers_that_fit(const scry__patch_run *run, double width);

/* A sweep's progress as part of the whole patching's: its scry_sweep_options' callback, with the run as `user`. */
bool scry__patch_progress(void *user, int64_t done, int64_t total);

#endif

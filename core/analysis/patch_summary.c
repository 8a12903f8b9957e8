/* Mean and spread of patchings over many pairs of prompts. See scry/patch.h. */
#include "scry/patch.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

/* Welford's update: stable whatever the mean. */
static void add_number(scry_patch_spread *spread, double number)
{
    if (isnan(number)) return;
    double sum   = spread->count > 1 ? spread->deviation * spread->deviation * (spread->count - 1) : 0;
    double mean  = spread->count ? spread->mean : 0;
    double delta = number - mean;
    spread->mean = mean + delta / ++spread->count;
    sum += delta * (number - spread->mean);
    spread->deviation = spread->count > 1 ? sqrt(sum / (spread->count - 1)) : NAN;
}

static size_t cells_of(int layers, int heads, int positions)
{
    return (size_t)layers * (size_t)heads * (size_t)positions;
}

static scry_patch_mean_grid *find_grid(const scry_patch_summary *summary, const scry_patching *patching,
                                       const scry_patch_grid *grid)
{
    for (int i = 0; i < summary->grid_count; i++) {
        scry_patch_mean_grid *one = &summary->grids[i];
        if (one->direction == patching->direction && one->method == patching->method && one->kind == grid->kind &&
            one->layer_count == grid->layer_count && one->head_count == grid->head_count &&
            one->position_count == grid->position_count)
            return one;
    }
    return NULL;
}

/* --- labels --- */

/* The token of both prompts at the baseline's position; NULL where they differ. */
static const char *token_at(const scry_patching *patching, int position)
{
    int         match = patching->matches[position];
    const char *base  = scry_patching_baseline(patching)->tokens->texts[position];
    if (match < 0) return NULL;
    return strcmp(base, scry_patching_source(patching)->tokens->texts[match]) ? NULL : base;
}

static scry_status make_labels(scry_patch_mean_grid *mean, const scry_patching *patching)
{
    mean->labels = scry__alloc((size_t)mean->position_count, sizeof *mean->labels);
    if (!mean->labels) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < mean->position_count; i++) {
        const char *text = token_at(patching, i);
        if (text && !(mean->labels[i] = scry__strdup(text))) return SCRY_OUT_OF_MEMORY;
    }
    return SCRY_OK;
}

/* A label that this pair does not have goes. */
static void check_labels(const scry_patch_mean_grid *mean, const scry_patching *patching)
{
    for (int i = 0; mean->labels && i < mean->position_count; i++) {
        const char *text = token_at(patching, i);
        if (!mean->labels[i] || (text && !strcmp(text, mean->labels[i]))) continue;
        scry__free(mean->labels[i]);
        mean->labels[i] = NULL;
    }
}

/* --- the summary --- */

static void finish_grid(scry_patch_mean_grid *mean)
{
    for (int i = 0; mean->labels && i < mean->position_count; i++) scry__free(mean->labels[i]);
    scry__free(mean->labels);
    scry__free(mean->spreads);
}

/* Makes room for what the pair has and the summary has not, so that adding cannot fail. */
static scry_status add_grids(scry_patch_summary *summary, const scry_patching *patching)
{
    const scry_patch_spread none = {NAN, NAN, 0};
    for (int i = 0; i < patching->grid_count; i++) {
        const scry_patch_grid *grid = &patching->grids[i];
        if (find_grid(summary, patching, grid)) continue;
        scry_patch_mean_grid *grown =
            scry__realloc(summary->grids, (size_t)summary->grid_count + 1, sizeof *summary->grids);
        if (!grown) return SCRY_OUT_OF_MEMORY;
        summary->grids             = grown;
        scry_patch_mean_grid *mean = &grown[summary->grid_count];
        size_t                most = cells_of(grid->layer_count, grid->head_count, grid->position_count);
        *mean                      = (scry_patch_mean_grid){.direction      = patching->direction,
                                                            .method         = patching->method,
                                                            .kind           = grid->kind,
                                                            .layer_count    = grid->layer_count,
                                                            .head_count     = grid->head_count,
                                                            .position_count = grid->position_count};
        mean->spreads              = scry__alloc(most, SCRY_PATCH_METRIC_COUNT * sizeof *mean->spreads);
        scry_status status         = mean->spreads ? SCRY_OK : SCRY_OUT_OF_MEMORY;
        if (!status && grid->position_count == patching->position_count) status = make_labels(mean, patching);
        if (status) {
            finish_grid(mean);
            return status;
        }
        for (size_t at = 0; at < most * SCRY_PATCH_METRIC_COUNT; at++) mean->spreads[at] = none;
        summary->grid_count++;
    }
    return SCRY_OK;
}

static void add_cells(scry_patch_summary *summary, const scry_patching *patching)
{
    for (int i = 0; i < patching->grid_count; i++) {
        const scry_patch_grid *grid = &patching->grids[i];
        scry_patch_mean_grid  *mean = find_grid(summary, patching, grid);
        size_t                 most = cells_of(grid->layer_count, grid->head_count, grid->position_count);
        for (size_t cell = 0; cell < most; cell++)
            for (int metric = 0; metric < SCRY_PATCH_METRIC_COUNT; metric++)
                add_number(&mean->spreads[cell * SCRY_PATCH_METRIC_COUNT + (size_t)metric],
                           (double)scry_patch_cell_number(&grid->cells[cell], (scry_patch_metric)metric));
        check_labels(mean, patching);
        mean->pair_count++;
    }
}

scry_status scry_patch_summary_add(scry_patch_summary **summary, scry_patching *const *patchings, int count)
{
    scry_patch_summary *self   = *summary ? *summary : scry__alloc(1, sizeof *self);
    scry_status         status = self ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    int                 before = self ? self->grid_count : 0;
    for (int i = 0; i < count && !status; i++) status = add_grids(self, patchings[i]);
    if (status) {
        while (self && self->grid_count > before) finish_grid(&self->grids[--self->grid_count]);
        if (!*summary) scry_patch_summary_destroy(&self);
        return status;
    }
    if (!*summary) self->clean = self->corrupt = (scry_patch_spread){NAN, NAN, 0};
    for (int i = 0; i < count; i++) add_cells(self, patchings[i]);
    add_number(&self->clean, (double)patchings[0]->clean.logit_difference);
    add_number(&self->corrupt, (double)patchings[0]->corrupt.logit_difference);
    self->defined_count += patchings[0]->defined;
    self->pair_count++;
    *summary = self;
    return SCRY_OK;
}

void scry_patch_summary_destroy(scry_patch_summary **summary)
{
    scry_patch_summary *self = summary ? *summary : NULL;
    if (!self) return;
    for (int i = 0; i < self->grid_count; i++) finish_grid(&self->grids[i]);
    scry__free(self->grids);
    scry__free(self);
    *summary = NULL;
}

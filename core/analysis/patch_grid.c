/* The grid of one kind: the source's values, an edit for each cell, and what the sweep makes of them. See patch.h. */
#include "analysis/patch.h"

#include "base/alloc.h"
#include "base/error.h"
#include "scry/edit.h"
#include "scry/trace.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { USUAL_MEMORY = 256 << 20 };

/* Some layers of a grid under way; cells that are patched, in the order of the grid. */
struct turn {
    scry__patch_run *run;
    scry_patch_grid *grid;
    int              first, count; /* layers */
    scry_trace      *source;
    float          **moved; /* [count]: a layer's values in the baseline's positions; NULL: the source's are */
    char (*hooks)[SCRY__HOOK_NAME_SIZE];
    scry_edit    *edits;
    scry_patch   *patches;
    scry_outcome *outcomes;
    int           patch_count;
};

/* --- shapes --- */

static scry_patch_grid shape_of(const scry__patch_run *run, scry_patch_kind kind)
{
    const scry_model_info *info     = scry_model_get_info(run->model);
    bool                   grouped  = kind == SCRY_PATCH_K || kind == SCRY_PATCH_V;
    bool                   together = scry_patch_kind_has_heads(kind) && !run->options->by_position;
    return (scry_patch_grid){.kind           = kind,
                             .layer_count    = info->layer_count,
                             .head_count     = !scry_patch_kind_has_heads(kind) ? 1
                                               : grouped                        ? info->kv_head_count
                                                                                : info->head_count,
                             .position_count = together ? 1 : run->result->position_count};
}

/* Of one layer and head. */
static int patches_of(const scry__patch_run *run, const scry_patch_grid *grid)
{
    return grid->position_count == 1 ? 1 : grid->position_count - run->begin;
}

int64_t scry__patch_count(const scry__patch_run *run, const scry_patch_grid *grid)
{
    return (int64_t)grid->layer_count * grid->head_count * patches_of(run, grid);
}

double scry__patch_width(const scry__patch_run *run, const scry_patch_grid *grid)
{
    const scry_model_info *info = scry_model_get_info(run->model);
    if (grid->kind == SCRY_PATCH_PATTERN)
        return ((double)scry_patching_source(run->result)->position + 1) * grid->head_count;
    return scry_patch_kind_has_heads(grid->kind) ? (double)grid->head_count * info->head_size : info->hidden_size;
}

int scry__patch_layers_that_fit(const scry__patch_run *run, double width)
{
    int    layers = scry_model_get_info(run->model)->layer_count;
    double rows   = scry_patching_source(run->result)->position + 1;
    double most   = run->options->most_memory ? (double)run->options->most_memory : USUAL_MEMORY;
    double fit    = fmax(floor(most / (rows * width * sizeof(float))), 1);
    return fit < layers ? (int)fit : layers;
}

/* --- values --- */

static scry_status trace_source(struct turn *turn)
{
    const scry_patch_side *source = scry_patching_source(turn->run->result);
    char                   layers[32], hooks[SCRY__HOOK_NAME_SIZE];
    snprintf(layers, sizeof layers, "%d-%d", turn->first, turn->first + turn->count - 1);
    scry__patch_hook(hooks, turn->grid->kind, -1);
    return scry_trace_run(
        &turn->source, turn->run->model, NULL,
        &(scry_trace_options){
            .ids = source->tokens->ids, .id_count = source->position + 1, .hooks = hooks, .layers = layers});
}

/* The source's rows [position, ..] in the order of the baseline's positions. */
static scry_status move_rows(struct turn *turn, int layer)
{
    const scry__patch_run *run     = turn->run;
    const scry_capture    *capture = &turn->source->captures[layer];
    size_t                 width   = 1;
    for (int axis = 1; axis < capture->rank; axis++) width *= (size_t)capture->shape[axis];
    float *rows = turn->moved[layer] = scry__alloc((size_t)run->result->position_count, width * sizeof *rows);
    if (!rows) return SCRY_OUT_OF_MEMORY;
    for (int i = run->begin; i < run->result->position_count; i++)
        memcpy(rows + (size_t)i * width, (const float *)capture->data + (size_t)run->result->matches[i] * width,
               width * sizeof *rows);
    return SCRY_OK;
}

/* All rows of a layer, so that its edits share one array. */
static scry_edit_values values_of(const struct turn *turn, int layer)
{
    const scry_capture *capture = &turn->source->captures[layer];
    scry_edit_values    values  = {.data = turn->moved[layer] ? turn->moved[layer] : capture->data, .heads = 1};
    int                 rows    = turn->run->result->position_count;
    values.rows                 = rows;
    values.columns              = (int)capture->shape[capture->rank - 1];
    if (turn->grid->kind == SCRY_PATCH_PATTERN)
        values.heads = (int)capture->shape[0];
    else if (capture->rank == 3)
        values.heads = (int)capture->shape[1];
    return values;
}

/* --- patches --- */

static scry_status allocate(struct turn *turn)
{
    const scry_patch_grid *grid   = turn->grid;
    size_t                 layers = (size_t)turn->count, heads = layers * (size_t)grid->head_count;
    size_t                 each = (size_t)patches_of(turn->run, grid);
    turn->moved                 = scry__alloc(layers, sizeof *turn->moved);
    turn->hooks                 = scry__alloc(layers, sizeof *turn->hooks);
    turn->edits                 = scry__alloc(heads, each * sizeof *turn->edits);
    turn->patches               = scry__alloc(heads, each * sizeof *turn->patches);
    turn->outcomes              = scry__alloc(heads, each * sizeof *turn->outcomes);
    bool has_memory             = turn->moved && turn->hooks && turn->edits && turn->patches && turn->outcomes;
    return has_memory ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

/* One patch from `begin` to `end`. */
static void add_patch(struct turn *turn, int layer, int head, int begin, int end)
{
    scry_edit *edit = &turn->edits[turn->patch_count];
    *edit           = (scry_edit){.hook      = turn->hooks[layer],
                                  .kind      = SCRY_EDIT_REPLACE,
                                  .positions = {begin, end},
                                  .values    = values_of(turn, layer)};
    if (scry_patch_kind_has_heads(turn->grid->kind)) edit->heads[head / 64] = UINT64_C(1) << head % 64;
    turn->patches[turn->patch_count++] = (scry_patch){.edits = edit, .edit_count = 1};
}

static scry_status make_patches(struct turn *turn)
{
    const scry__patch_run *run    = turn->run;
    int                    end    = run->result->position_count;
    scry_status            status = SCRY_OK;
    for (int layer = 0; layer < turn->count && !status; layer++) {
        scry__patch_hook(turn->hooks[layer], turn->grid->kind, turn->first + layer);
        if (!run->same_length) status = move_rows(turn, layer);
        for (int head = 0; head < turn->grid->head_count && !status; head++) {
            if (turn->grid->position_count == 1) add_patch(turn, layer, head, run->begin, end);
            for (int i = run->begin; turn->grid->position_count > 1 && i < end; i++)
                add_patch(turn, layer, head, i, i + 1);
        }
    }
    return status;
}

/* --- cells --- */

scry_patch_cell scry__patch_read_cell(const scry_patching *pair, const scry_outcome *outcome)
{
    double base       = scry_patching_baseline(pair)->logit_difference;
    double source     = scry_patching_source(pair)->logit_difference;
    float  difference = outcome->logits[0] - outcome->logits[1];
    return (scry_patch_cell){.effect           = pair->defined ? (float)((difference - base) / (source - base)) : NAN,
                             .logit_difference = difference,
                             .probability      = (float)exp((double)outcome->logits[0] - (double)outcome->lse),
                             .kl               = outcome->kl,
                             .estimate         = NAN};
}

static void set_cell(scry_patch_cell *cell, scry_patch_cell found)
{
    found.estimate = cell->estimate;
    *cell          = found;
}

/* Positions before the first difference hold what the source holds; behind it, some have no match. */
static void fill_cells(const struct turn *turn)
{
    const scry__patch_run *run  = turn->run;
    const scry_patch_grid *grid = turn->grid;
    const scry_outcome    *next = turn->outcomes;
    const scry_patch_cell  same = scry__patch_read_cell(run->result, scry_sweep_baseline(run->sweep));
    size_t                 at   = (size_t)turn->first * (size_t)grid->head_count * (size_t)grid->position_count;
    for (int row = 0; row < turn->count * grid->head_count; row++) {
        if (grid->position_count == 1) set_cell(&grid->cells[at++], scry__patch_read_cell(run->result, next++));
        for (int i = 0; grid->position_count > 1 && i < grid->position_count; i++) {
            scry_patch_cell *cell = &grid->cells[at++];
            if (i >= run->begin)
                set_cell(cell, scry__patch_read_cell(run->result, next++));
            else if (i < run->result->first_difference)
                set_cell(cell, same);
        }
    }
}

bool scry__patch_progress(void *user, int64_t done, int64_t total)
{
    scry__patch_run *run  = user;
    double           part = total > 0 ? (double)done / (double)total : 1;
    if (!run->progress.report || !run->progress.total) return true;
    return run->progress.report(run->progress.user, run->progress.done + (int64_t)(part * (double)run->under_way),
                                run->progress.total);
}

static scry_status run_turn(struct turn *turn)
{
    scry__patch_run *run    = turn->run;
    scry_status      status = trace_source(turn);
    if (!status) status = allocate(turn);
    if (!status) status = make_patches(turn);
    run->under_way = turn->patch_count;
    if (!status) status = scry_sweep_run(run->sweep, turn->patches, turn->patch_count, turn->outcomes);
    if (!status) fill_cells(turn);
    run->progress.done += turn->patch_count;
    for (int i = 0; turn->moved && i < turn->count; i++) scry__free(turn->moved[i]);
    scry__free(turn->outcomes);
    scry__free(turn->patches);
    scry__free(turn->edits);
    scry__free(turn->hooks);
    scry__free(turn->moved);
    scry_trace_destroy(&turn->source);
    return status;
}

scry_status scry__patch_add_grid(scry__patch_run *run, scry_patch_kind kind)
{
    const scry_patch_cell none = {NAN, NAN, NAN, NAN, NAN};
    scry_patch_grid      *grid = &run->result->grids[run->result->grid_count];
    *grid                      = shape_of(run, kind);
    size_t rows                = (size_t)grid->layer_count * (size_t)grid->head_count;
    size_t cells               = rows * (size_t)grid->position_count;
    grid->cells                = scry__alloc(rows, (size_t)grid->position_count * sizeof *grid->cells);
    if (!grid->cells) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < cells; i++) grid->cells[i] = none;
    run->result->grid_count++;
    return SCRY_OK;
}

scry_status scry__patch_run_grid(scry__patch_run *run, scry_patch_grid *grid)
{
    int         step   = scry__patch_layers_that_fit(run, scry__patch_width(run, grid));
    scry_status status = SCRY_OK;
    for (int first = 0; first < grid->layer_count && !status; first += step) {
        struct turn turn = {.run = run, .grid = grid, .first = first, .count = grid->layer_count - first};
        if (turn.count > step) turn.count = step;
        status = run_turn(&turn);
    }
    return status;
}

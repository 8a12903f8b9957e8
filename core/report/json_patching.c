/* Activation patching as JSON. See json_patching.h. */
#include "report/json_patching.h"

#include "base/error.h"
#include "report/json_parts.h"

json_t *scry__json_patch_side(scry__json_builder *builder, const scry_patch_side *side)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set(builder, object, "tokens", scry__json_tokens(builder, side->tokens));
    scry__json_set_int(builder, object, "position", side->position);
    scry__json_set(builder, object, "answer", scry__json_candidate(builder, &side->answer));
    scry__json_set(builder, object, "wrong", scry__json_candidate(builder, &side->wrong));
    scry__json_set_number(builder, object, "logit_difference", side->logit_difference);
    return object;
}

/* What every grid begins with; returns how many cells it has. */
static size_t set_shape(scry__json_builder *builder, json_t *object, scry_patch_kind kind, int layers, int heads,
                        int positions)
{
    scry__json_set_text(builder, object, "kind", scry_patch_kind_text(kind));
    scry__json_set_int(builder, object, "layer_count", layers);
    scry__json_set_int(builder, object, "head_count", heads);
    scry__json_set_int(builder, object, "position_count", positions);
    return (size_t)layers * (size_t)heads * (size_t)positions;
}

/* How far the estimates are off; null without any. */
static json_t *agreement_object(scry__json_builder *builder, const scry_patch_agreement *agreement)
{
    if (!agreement->count) return json_null();
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "count", agreement->count);
    scry__json_set_number(builder, object, "mean", agreement->mean);
    scry__json_set_number(builder, object, "largest", agreement->largest);
    scry__json_set_number(builder, object, "correlation", agreement->correlation);
    scry__json_set_int(builder, object, "layer", agreement->layer);
    scry__json_set_int(builder, object, "head", agreement->head);
    scry__json_set_int(builder, object, "position", agreement->position);
    return object;
}

static json_t *grid_object(scry__json_builder *builder, const scry_patching *patching, const scry_patch_grid *grid)
{
    json_t *object = scry__json_new_object(builder);
    size_t  cells  = set_shape(builder, object, grid->kind, grid->layer_count, grid->head_count, grid->position_count);
    for (int i = 0; i < SCRY_PATCH_METRIC_COUNT; i++) {
        scry_patch_metric metric = (scry_patch_metric)i;
        if (!scry_patch_method_gives(patching->method, metric)) continue;
        json_t *array = scry__json_new_array(builder);
        for (size_t cell = 0; cell < cells && !builder->status; cell++)
            scry__json_append_number(builder, array, scry_patch_cell_number(&grid->cells[cell], metric));
        scry__json_set(builder, object, scry_patch_metric_text(metric), array);
    }
    if (patching->method == SCRY_PATCH_METHOD_BOTH) {
        scry_patch_agreement agreement = scry_patch_grid_agreement(patching, grid);
        scry__json_set(builder, object, "agreement", agreement_object(builder, &agreement));
    }
    return object;
}

static json_t *match_array(scry__json_builder *builder, const scry_patching *patching)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < patching->position_count; i++)
        scry__json_append(builder, array, patching->matches[i] < 0 ? json_null() : json_integer(patching->matches[i]));
    return array;
}

static json_t *direction_object(scry__json_builder *builder, const scry_patching *patching)
{
    json_t *object = scry__json_new_object(builder), *grids = scry__json_new_array(builder);
    scry__json_set_text(builder, object, "direction", scry_patch_direction_text(patching->direction));
    scry__json_set_text(builder, object, "method", scry_patch_method_text(patching->method));
    scry__json_set_bool(builder, object, "defined", patching->defined);
    scry__json_set_int(builder, object, "first_difference", patching->first_difference);
    scry__json_set(builder, object, "matches", match_array(builder, patching));
    for (int i = 0; i < patching->grid_count; i++)
        scry__json_append(builder, grids, grid_object(builder, patching, &patching->grids[i]));
    scry__json_set(builder, object, "grids", grids);
    scry__json_set(builder, object, "cost", scry__json_cost(builder, &patching->cost));
    return object;
}

static scry_status check_size(double cells)
{
    if (cells * SCRY_PATCH_METRIC_COUNT <= SCRY__JSON_MOST_VALUES) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT,
                      "%.0f cells are too many for JSON: expected at most %d numbers; choose fewer kinds", cells,
                      SCRY__JSON_MOST_VALUES);
}

scry_status scry__json_patching(json_t **out, scry_patching *const *patchings, int count,
                                const scry__json_source *source)
{
    scry__json_builder builder = {0};
    double             cells   = 0;
    *out                       = NULL;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < patchings[i]->grid_count; j++) {
            const scry_patch_grid *grid = &patchings[i]->grids[j];
            cells += (double)grid->layer_count * grid->head_count * grid->position_count;
        }
    scry_status status = check_size(cells);
    if (status) return status;
    json_t *object     = scry__json_result(&builder, "scry.patching/1", source),
           *directions = scry__json_new_array(&builder);
    scry__json_set(&builder, object, "clean", scry__json_patch_side(&builder, &patchings[0]->clean));
    scry__json_set(&builder, object, "corrupt", scry__json_patch_side(&builder, &patchings[0]->corrupt));
    for (int i = 0; i < count; i++) scry__json_append(&builder, directions, direction_object(&builder, patchings[i]));
    scry__json_set(&builder, object, "directions", directions);
    return scry__json_finish(&builder, object, out);
}

/* --- over pairs --- */

/* One number's mean, deviation and count in every cell. */
static json_t *spread_object(scry__json_builder *builder, const scry_patch_spread *spreads, size_t cells)
{
    json_t *object = scry__json_new_object(builder), *means = scry__json_new_array(builder);
    json_t *deviations = scry__json_new_array(builder), *counts = scry__json_new_array(builder);
    for (size_t i = 0; i < cells && !builder->status; i++) {
        const scry_patch_spread *spread = &spreads[i * SCRY_PATCH_METRIC_COUNT];
        scry__json_append_number(builder, means, spread->mean);
        scry__json_append_number(builder, deviations, spread->deviation);
        scry__json_append_int(builder, counts, spread->count);
    }
    scry__json_set(builder, object, "mean", means);
    scry__json_set(builder, object, "deviation", deviations);
    scry__json_set(builder, object, "count", counts);
    return object;
}

static json_t *mean_grid_object(scry__json_builder *builder, const scry_patch_mean_grid *grid)
{
    json_t *object = scry__json_new_object(builder), *labels = scry__json_new_array(builder);
    scry__json_set_text(builder, object, "direction", scry_patch_direction_text(grid->direction));
    scry__json_set_text(builder, object, "method", scry_patch_method_text(grid->method));
    size_t cells = set_shape(builder, object, grid->kind, grid->layer_count, grid->head_count, grid->position_count);
    scry__json_set_int(builder, object, "pair_count", grid->pair_count);
    for (int i = 0; grid->labels && i < grid->position_count; i++)
        scry__json_append_text(builder, labels, grid->labels[i]);
    scry__json_set(builder, object, "labels", labels);
    for (int metric = 0; metric < SCRY_PATCH_METRIC_COUNT; metric++)
        if (scry_patch_method_gives(grid->method, (scry_patch_metric)metric))
            scry__json_set(builder, object, scry_patch_metric_text((scry_patch_metric)metric),
                           spread_object(builder, grid->spreads + metric, cells));
    return object;
}

static json_t *side_spread_object(scry__json_builder *builder, const scry_patch_spread *spread)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_number(builder, object, "mean", spread->mean);
    scry__json_set_number(builder, object, "deviation", spread->deviation);
    return object;
}

scry_status scry__json_patch_summary(json_t **out, const scry_patch_summary *summary, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    double             cells   = 0;
    *out                       = NULL;
    for (int i = 0; i < summary->grid_count; i++)
        cells += 3.0 * summary->grids[i].layer_count * summary->grids[i].head_count * summary->grids[i].position_count;
    scry_status status = check_size(cells);
    if (status) return status;
    json_t *object = scry__json_result(&builder, "scry.patching-pairs/1", source);
    json_t *grids  = scry__json_new_array(&builder);
    scry__json_set_int(&builder, object, "pair_count", summary->pair_count);
    scry__json_set_int(&builder, object, "defined_count", summary->defined_count);
    scry__json_set(&builder, object, "clean", side_spread_object(&builder, &summary->clean));
    scry__json_set(&builder, object, "corrupt", side_spread_object(&builder, &summary->corrupt));
    for (int i = 0; i < summary->grid_count; i++)
        scry__json_append(&builder, grids, mean_grid_object(&builder, &summary->grids[i]));
    scry__json_set(&builder, object, "grids", grids);
    return scry__json_finish(&builder, object, out);
}

/* Grids of patching as heat maps. See patch_maps.h. */
#include "report/patch_maps.h"

#include "analysis/patch.h"
#include "base/alloc.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- one grid --- */

static bool has_positions(const scry_patch_grid *grid)
{
    return grid->position_count > 1 || !scry_patch_kind_has_heads(grid->kind);
}

static bool has_heads(const scry_patch_grid *grid)
{
    return scry_patch_kind_has_heads(grid->kind);
}

static int panels_of(const scry_patch_grid *grid)
{
    return has_heads(grid) && has_positions(grid) ? grid->layer_count : 1;
}

static size_t cells_of(const scry_patch_grid *grid)
{
    return (size_t)grid->layer_count * (size_t)grid->head_count * (size_t)grid->position_count;
}

/* How many panels each of its panels is: of the view's metric, and perhaps of estimates. */
static int times_of(const scry_patch_grid *grid, const scry__patch_view *view)
{
    return view->estimates && grid->kind != SCRY_PATCH_PATTERN ? 2 : 1;
}

/* The panels' values of one metric, one behind the other. */
static void place(float *values, const scry_patch_grid *grid, const scry__patch_view *view, scry_patch_metric metric)
{
    bool by_position = has_heads(grid) && has_positions(grid);
    bool turned      = by_position || (has_positions(grid) && view->positions_down);
    int  panels      = panels_of(grid);
    int  rows        = by_position ? grid->head_count : grid->layer_count;
    int  columns     = has_positions(grid) ? grid->position_count : grid->head_count;
    for (int panel = 0; panel < panels; panel++)
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++) {
                size_t from = ((size_t)panel * (size_t)rows + (size_t)row) * (size_t)columns + (size_t)column;
                size_t to =
                    turned ? ((size_t)panel * (size_t)columns + (size_t)column) * (size_t)rows + (size_t)row : from;
                values[to] = scry_patch_cell_number(&grid->cells[from], metric);
            }
}

/* The map of a grid by itself, its panels to follow. */
static scry__heatmap map_of(const scry_patch_grid *grid, const scry__patch_view *view)
{
    scry__heatmap map = {.rows        = grid->layer_count,
                         .columns     = grid->head_count,
                         .row_axis    = "layer",
                         .column_axis = "head",
                         .blank       = "-"};
    if (!has_positions(grid)) return map;
    if (has_heads(grid) || view->positions_down) {
        map.rows        = grid->position_count;
        map.columns     = has_heads(grid) ? grid->head_count : grid->layer_count;
        map.row_labels  = view->labels;
        map.row_axis    = "position";
        map.column_axis = has_heads(grid) ? "head" : "layer";
    } else {
        map.columns       = grid->position_count;
        map.column_labels = view->labels;
        map.column_axis   = "position";
    }
    return map;
}

/* --- all of them --- */

static const struct {
    const char   *unit;
    scry__colours colours;
} metrics[] = {
    [SCRY_PATCH_METRIC_EFFECT]           = {"effect: 0 as unpatched, 1 as the source", SCRY__COLOURS_DIVERGING},
    [SCRY_PATCH_METRIC_LOGIT_DIFFERENCE] = {"logit difference", SCRY__COLOURS_DIVERGING},
    [SCRY_PATCH_METRIC_PROBABILITY]      = {"probability of the answer", SCRY__COLOURS_SEQUENTIAL},
    [SCRY_PATCH_METRIC_KL]               = {"KL(source || patched), nats", SCRY__COLOURS_SEQUENTIAL},
    [SCRY_PATCH_METRIC_ESTIMATE] = {"estimate of the effect: 0 as unpatched, 1 as the source", SCRY__COLOURS_DIVERGING},
};

void scry__patch_set_scale(scry__heatmap *maps, int count, const float *values, size_t cells, scry_patch_metric metric)
{
    float most = 1e-6F;
    for (size_t i = 0; i < cells; i++)
        if (isfinite(values[i])) most = fmaxf(most, fabsf(values[i]));
    for (int i = 0; i < count; i++) {
        maps[i].unit    = metrics[metric].unit;
        maps[i].colours = metrics[metric].colours;
        maps[i].minimum = metrics[metric].colours == SCRY__COLOURS_DIVERGING ? -most : 0;
        maps[i].maximum = most;
    }
}

/* Can a grid's only panel stand beside another's? */
static bool match(const scry_patch_grid *a, const scry_patch_grid *b)
{
    return panels_of(a) == 1 && panels_of(b) == 1 && has_heads(a) == has_heads(b) && a->layer_count == b->layer_count &&
           a->head_count == b->head_count && a->position_count == b->position_count;
}

/* Is it shown in an earlier one's map? */
static bool is_taken(const scry_patch_grid *grids, int index, const scry__patch_view *view)
{
    for (int i = 0; i < index && !view->apart; i++)
        if (match(&grids[i], &grids[index])) return true;
    return false;
}

/* Panels and values that are in use so far. */
struct fill {
    size_t panels, values;
};

static void add_panels(scry__patch_maps *maps, struct fill *fill, const scry_patch_grid *grid,
                       const scry__patch_view *view, scry_patch_metric metric)
{
    int         own  = panels_of(grid);
    size_t      size = cells_of(grid) / (size_t)own;
    const char *what = view->estimates && metric == SCRY_PATCH_METRIC_ESTIMATE ? ", estimate" : "";
    place(maps->values + fill->values, grid, view, metric);
    for (int layer = 0; layer < own; layer++) {
        char *title = maps->titles[fill->panels];
        if (own > 1)
            snprintf(title, sizeof *maps->titles, "%s, layer %d%s", scry_patch_kind_text(grid->kind), layer, what);
        else
            snprintf(title, sizeof *maps->titles, "%s%s", scry_patch_kind_text(grid->kind), what);
        maps->panels[fill->panels++] = (scry__heatmap_panel){maps->values + fill->values, title};
        fill->values += size;
    }
    maps->maps[maps->count - 1].panel_count += own;
}

static void begin_map(scry__patch_maps *maps, const struct fill *fill, const scry_patch_grid *grid,
                      const scry__patch_view *view)
{
    maps->maps[maps->count]          = map_of(grid, view);
    maps->maps[maps->count++].panels = &maps->panels[fill->panels];
}

/* A grid's panels, and its estimates'. */
static void add_grid(scry__patch_maps *maps, struct fill *fill, const scry_patch_grid *grid,
                     const scry__patch_view *view)
{
    add_panels(maps, fill, grid, view, view->metric);
    if (times_of(grid, view) == 1) return;
    if (view->apart) begin_map(maps, fill, grid, view);
    add_panels(maps, fill, grid, view, SCRY_PATCH_METRIC_ESTIMATE);
}

scry_status scry__patch_maps_create(scry__patch_maps *maps, const scry_patch_grid *grids, int count,
                                    const scry__patch_view *view)
{
    struct fill fill  = {0};
    size_t      cells = 0, panels = 0;
    *maps = (scry__patch_maps){0};
    for (int i = 0; i < count; i++) {
        size_t times = (size_t)times_of(&grids[i], view);
        cells += times * cells_of(&grids[i]);
        panels += times * (size_t)panels_of(&grids[i]);
    }
    maps->maps   = scry__alloc((size_t)count, (view->estimates ? 2 : 1) * sizeof *maps->maps);
    maps->panels = scry__alloc(panels, sizeof *maps->panels);
    maps->titles = scry__alloc(panels, sizeof *maps->titles);
    maps->values = scry__alloc(cells, sizeof *maps->values);
    if (!maps->maps || !maps->panels || !maps->titles || !maps->values) {
        scry__patch_maps_finish(maps);
        return SCRY_OUT_OF_MEMORY;
    }
    for (int i = 0; i < count; i++) {
        if (is_taken(grids, i, view)) continue;
        begin_map(maps, &fill, &grids[i], view);
        add_grid(maps, &fill, &grids[i], view);
        for (int other = i + 1; other < count && !view->apart; other++)
            if (match(&grids[i], &grids[other])) add_grid(maps, &fill, &grids[other], view);
    }
    scry__patch_set_scale(maps->maps, maps->count, maps->values, cells, view->metric);
    if (count) maps->maps[0].title = view->title;
    if (count) maps->maps[0].subtitle = view->subtitle;
    return SCRY_OK;
}

void scry__patch_maps_finish(scry__patch_maps *maps)
{
    scry__free(maps->values);
    scry__free(maps->titles);
    scry__free(maps->panels);
    scry__free(maps->maps);
    *maps = (scry__patch_maps){0};
}

/* --- what stands at positions, and means --- */

static scry_status label_position(char **out, const scry_patching *patching, int position)
{
    const scry_patch_side *base = scry_patching_baseline(patching), *source = scry_patching_source(patching);
    const char            *own = base->tokens->texts[position];
    const char *other = patching->matches[position] < 0 ? "(none)" : source->tokens->texts[patching->matches[position]];
    bool        noise = patching->direction == SCRY_NOISE;
    scry__text  text  = {0};
    if (!strcmp(own, other))
        scry__text_adds(&text, own);
    else
        scry__text_addf(&text, "%s|%s", noise ? own : other, noise ? other : own);
    return scry__text_take(&text, out, NULL);
}

scry_status scry__patch_labels_create(char ***out, const scry_patching *patching)
{
    int         count  = patching->position_count;
    char      **labels = *out = scry__alloc((size_t)count, sizeof *labels);
    scry_status status        = labels ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count && !status; i++) status = label_position(&labels[i], patching, i);
    if (!status) return SCRY_OK;
    scry__patch_labels_free(labels, count);
    *out = NULL;
    return status;
}

void scry__patch_labels_free(char **labels, int count)
{
    for (int i = 0; labels && i < count; i++) scry__free(labels[i]);
    scry__free(labels);
}

scry_status scry__patch_spread_grid(scry_patch_grid *out, const scry_patch_mean_grid *mean, bool deviation)
{
    *out       = (scry_patch_grid){.kind           = mean->kind,
                                   .layer_count    = mean->layer_count,
                                   .head_count     = mean->head_count,
                                   .position_count = mean->position_count};
    out->cells = scry__alloc(cells_of(out), sizeof *out->cells);
    if (!out->cells) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < cells_of(out); i++) {
        const scry_patch_spread *spreads = &mean->spreads[i * SCRY_PATCH_METRIC_COUNT];
        float                    numbers[SCRY_PATCH_METRIC_COUNT];
        for (int metric = 0; metric < SCRY_PATCH_METRIC_COUNT; metric++)
            numbers[metric] = (float)(deviation ? spreads[metric].deviation : spreads[metric].mean);
        out->cells[i] = scry__patch_cell_of(numbers);
    }
    return SCRY_OK;
}

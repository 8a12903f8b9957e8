/* Heat maps to .png, .svg and .pdf files. See heatmap.h. */
#include "report/heatmap.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "report/heatmap_layout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    side_limit      = 8192, /* rows or columns of a panel */
    panel_limit     = 4096,
    cell_limit      = 1 << 26, /* of all panels */
    description_top = 400,     /* labels listed in the description */
};

float scry__heatmap_value(const scry__heatmap *heatmap, int panel, int row, int column)
{
    if (heatmap->causal && heatmap->column_offset + column > heatmap->row_offset + row) return NAN;
    return heatmap->panels[panel].values[(size_t)row * (size_t)heatmap->columns + (size_t)column];
}

void scry__heatmap_scale(const scry__heatmap *heatmap, double *minimum, double *maximum)
{
    *minimum = heatmap->minimum;
    *maximum = heatmap->maximum;
    if (heatmap->minimum != heatmap->maximum) return;
    *minimum = INFINITY;
    *maximum = -INFINITY;
    for (int panel = 0; panel < heatmap->panel_count; panel++)
        for (int row = 0; row < heatmap->rows; row++)
            for (int column = 0; column < heatmap->columns; column++) {
                float value = scry__heatmap_value(heatmap, panel, row, column);
                if (!isfinite(value)) continue;
                *minimum = fmin(*minimum, value);
                *maximum = fmax(*maximum, value);
            }
    if (*minimum > *maximum) *minimum = *maximum = 0;
    if (heatmap->colours == SCRY__COLOURS_DIVERGING) { /* 0 belongs in the middle */
        *maximum = fmax(fabs(*minimum), fabs(*maximum));
        *minimum = -*maximum;
    }
}

enum { NUMBER_SIZE = 12 };

const char **scry__heatmap_head_labels(int heads, const char *const *others, int other_count)
{
    size_t       count  = (size_t)heads + (size_t)other_count;
    const char **labels = scry__alloc(count, sizeof *labels + NUMBER_SIZE);
    if (!labels) return NULL;
    char(*numbers)[NUMBER_SIZE] = (char(*)[NUMBER_SIZE])(void *)(labels + count);
    for (int head = 0; head < heads; head++) {
        snprintf(numbers[head], NUMBER_SIZE, "%d", head);
        labels[head] = numbers[head];
    }
    if (other_count) memcpy(labels + heads, others, (size_t)other_count * sizeof *labels);
    return labels;
}

static void add_labels(scry__text *out, const char *axis, const scry__labels *labels)
{
    scry__text_addf(out, "\n%s:", axis);
    for (int i = 0; i < labels->count && i < description_top; i++) scry__text_addf(out, " %s", labels->texts[i]);
    if (labels->count > description_top) scry__text_addf(out, " and %d more", labels->count - description_top);
}

static void describe(scry__text *out, const scry__heatmap_layout *layout)
{
    const scry__heatmap *map = layout->map;
    char                 minimum[32], maximum[32];
    scry__heatmap_number(minimum, layout->minimum, false);
    scry__heatmap_number(maximum, layout->maximum, false);
    scry__text_addf(out, "%s\nScale: %s from %s to %s", map->subtitle ? map->subtitle : "",
                    map->unit ? map->unit : "value", minimum, maximum);
    add_labels(out, "Rows", layout->row_labels);
    add_labels(out, "Columns", layout->column_labels);
    for (int row = 0; layout->cell_labels && row < map->rows; row++) {
        const scry__labels cells = {map->columns, layout->cell_labels->texts + row * map->columns};
        add_labels(out, layout->row_labels->texts[row], &cells);
    }
}

/* Maps of one picture, each below the one before. */
struct stack {
    int                   count;
    scry__heatmap_layout *layouts;
};

static void draw(cairo_t *cairo, const void *state)
{
    const struct stack *stack = state;
    double              top   = 0;
    cairo_set_source_rgb(cairo, 1, 1, 1);
    cairo_paint(cairo);
    for (int i = 0; i < stack->count; i++) {
        cairo_save(cairo);
        cairo_translate(cairo, 0, top);
        scry__heatmap_draw(cairo, &stack->layouts[i]);
        cairo_restore(cairo);
        top += stack->layouts[i].height;
    }
}

static scry_status check(const char *path, const scry__heatmap *map)
{
    if (map->rows < 1 || map->columns < 1 || map->panel_count < 1)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: a heat map needs at least one row, column and panel", path);
    if (map->rows > side_limit || map->columns > side_limit || map->panel_count > panel_limit ||
        (double)map->rows * map->columns * map->panel_count > cell_limit)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%s: %d panels of %d x %d cells: a picture shows up to %d x %d cells, %d panels and %d cells "
                          "in all; choose fewer heads or a range of queries and keys",
                          path, map->panel_count, map->rows, map->columns, side_limit, side_limit, panel_limit,
                          cell_limit);
    if (map->cell_texts && map->panel_count > 1)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: %d panels: expected one where cells hold texts", path,
                          map->panel_count);
    return SCRY_OK;
}

static scry_status measure(struct stack *stack, scry__picture *picture, scry__text *description,
                           const scry__heatmap *maps, int count)
{
    stack->layouts = scry__alloc((size_t)count, sizeof *stack->layouts);
    if (!stack->layouts) return SCRY_OUT_OF_MEMORY;
    for (; stack->count < count; stack->count++) {
        scry__heatmap_layout *layout = &stack->layouts[stack->count];
        scry_status           status = scry__heatmap_measure(layout, &maps[stack->count]);
        if (status) return status;
        picture->width = fmax(picture->width, layout->width);
        picture->height += layout->height;
        if (stack->count) scry__text_adds(description, "\n");
        describe(description, layout);
    }
    return description->status;
}

scry_status scry__heatmaps_write(const char *path, const scry__heatmap *maps, int count)
{
    struct stack  stack       = {0};
    scry__text    description = {0};
    scry__picture picture     = {.title = maps[0].title ? maps[0].title : "Heat map", .draw = draw, .state = &stack};
    scry_status   status      = scry__picture_check(path);
    for (int i = 0; i < count && !status; i++) status = check(path, &maps[i]);
    if (!status) status = measure(&stack, &picture, &description, maps, count);
    picture.description = description.data;
    if (!status) status = scry__picture_write(path, &picture);
    for (int i = 0; i < stack.count; i++) scry__heatmap_layout_finish(&stack.layouts[i]);
    scry__free(stack.layouts);
    scry__text_finish(&description);
    return status;
}

scry_status scry__heatmap_write(const char *path, const scry__heatmap *heatmap)
{
    return scry__heatmaps_write(path, heatmap, 1);
}

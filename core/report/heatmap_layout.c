/* Decides sizes and places in a heat map's picture, from the sizes of its texts. See heatmap_layout.h.
 *
 * The picture, from the top: title, subtitle, a grid of panels (each with its title), column labels under the lowest
 * panels, the column axis' name. Row labels stand at the left of the leftmost panels; the colour scale at the right. */
#include "report/heatmap_layout.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    single_size  = 720, /* a lone panel's longer side, where its cells are small */
    grid_size    = 1240,
    panel_least  = 84, /* in a grid */
    panel_most   = 360,
    cell_most    = 46,
    value_cell   = 33, /* cells that can hold "0.42" */
    text_least   = 34, /* the width of cells with texts */
    text_most    = 84,
    text_height  = 22,
    label_pitch  = 13, /* from label to label */
    label_height = 13,
    slant_pitch  = 19,
    label_most   = 120,
    narrowest    = 460, /* titles need room */
    margin_size  = 28,
    scale_least  = 110,
    scale_most   = 260,
    number_width = 46,
};

/* The widest of the labels that are shown. */
static double widest(const scry__heatmap_layout *layout, const scry__labels *labels, int step)
{
    double most = 0, width;
    for (int i = 0; i < labels->count; i += step) {
        scry__fonts_measure(&layout->fonts, labels->texts[i], scry__style_label, 0, &width, NULL);
        if (width > most) most = width;
    }
    return most < layout->label_limit ? most : layout->label_limit;
}

static scry_status make_labels(scry__labels **out, const char *const *texts, int count, int offset)
{
    if (texts) return scry__labels_create(out, texts, count);
    scry_status  status  = SCRY_OUT_OF_MEMORY;
    const char **numbers = scry__alloc((size_t)count, sizeof *numbers);
    char(*digits)[16]    = scry__alloc((size_t)count, sizeof *digits);
    for (int i = 0; numbers && digits && i < count; i++) {
        snprintf(digits[i], sizeof digits[i], "%d", offset + i);
        numbers[i] = digits[i];
    }
    if (numbers && digits) status = scry__labels_create(out, numbers, count);
    scry__free(digits);
    scry__free(numbers);
    return status;
}

/* Panels beside each other: near a square, with few places left empty. */
static int choose_columns(int panels, int asked)
{
    if (asked > 0) return asked < panels ? asked : panels;
    if (panels <= 3) return panels;
    int least = (int)ceil(sqrt(panels)), best = least;
    for (int columns = least; columns <= least + 2; columns++) {
        int empty      = (columns - panels % columns) % columns;
        int best_empty = (best - panels % best) % best;
        if (empty < best_empty) best = columns;
    }
    return best;
}

static void choose_cell(scry__heatmap_layout *layout)
{
    const scry__heatmap *map  = layout->map;
    int                  more = map->rows > map->columns ? map->rows : map->columns;
    double               room = single_size;
    if (map->panel_count > 1)
        room = fmin(panel_most, fmax(panel_least, (double)grid_size / layout->panel_columns - 16));
    double cell = fmin(cell_most, room / more);
    /* Whole units keep cell edges sharp; a single panel may grow somewhat to reach room for a label at each cell. */
    if (map->panel_count == 1 && cell < label_pitch && cell * 1.4 >= label_pitch) cell = label_pitch;
    layout->cell_width  = cell >= 2 ? floor(cell) : fmax(cell, 0.5);
    layout->cell_height = layout->cell_width;
    if (layout->cell_labels) {
        layout->cell_width  = fmin(text_most, fmax(text_least, ceil(widest(layout, layout->cell_labels, 1)) + 8));
        layout->cell_height = text_height;
    }
    layout->plot_width  = layout->cell_width * map->columns;
    layout->plot_height = layout->cell_height * map->rows;
    layout->texts       = map->panel_count == 1 && layout->cell_width >= value_cell;
}

/* 1, 2, 5, 10, 20, ...: the first that keeps labels `pitch` apart. */
static int choose_step(double cell, double pitch)
{
    static const int steps[] = {1, 2, 5};
    for (int power = 1;; power *= 10)
        for (int i = 0; i < 3; i++)
            if (steps[i] * power * cell >= pitch) return steps[i] * power;
}

/* Column labels lie flat where all have room, stand upright where they are close. */
static double label_turn(const scry__heatmap_layout *layout, double pitch)
{
    if (widest(layout, layout->column_labels, layout->column_step) + 8 <= pitch) return 0;
    return pitch >= slant_pitch ? -M_PI / 4 : -M_PI / 2;
}

static double header_height(const scry__heatmap_layout *layout, double width)
{
    double total = 0, height;
    if (layout->map->title) {
        scry__fonts_measure(&layout->fonts, layout->map->title, scry__style_title, width, NULL, &height);
        total += height + 4;
    }
    if (layout->map->subtitle) {
        scry__fonts_measure(&layout->fonts, layout->map->subtitle, scry__style_subtitle, width, NULL, &height);
        total += height + 4;
    }
    return total ? total + 14 : 0;
}

static bool has_panel_titles(const scry__heatmap *map)
{
    for (int i = 0; i < map->panel_count; i++)
        if (map->panels[i].title) return true;
    return false;
}

static void place(scry__heatmap_layout *layout)
{
    const scry__heatmap *map        = layout->map;
    double               row_width  = widest(layout, layout->row_labels, layout->row_step);
    double               longest    = widest(layout, layout->column_labels, layout->column_step);
    double               panel_head = has_panel_titles(map) ? 19 : 0;
    double               axis       = map->row_axis ? 22 : 0;
    double               overhang   = longest * cos(layout->turn) * (layout->turn < 0) - layout->cell_width / 2;

    layout->margin              = margin_size;
    layout->column_label_height = SCRY__TICK + 3 + longest * sin(-layout->turn) + label_height * cos(layout->turn);
    layout->plot_left           = margin_size + fmax(axis + row_width + SCRY__TICK + 4, overhang);
    layout->pitch_x             = layout->plot_width + 16;
    layout->pitch_y             = layout->plot_height + panel_head + 14;
    double grid_width           = layout->pitch_x * layout->panel_columns - 16;
    double grid_height          = layout->pitch_y * layout->panel_rows - 14;
    layout->scale_left          = layout->plot_left + grid_width + SCRY__SCALE_GAP;
    layout->width        = layout->scale_left + SCRY__SCALE_WIDTH + number_width + (map->unit ? 18 : 0) + margin_size;
    layout->width        = ceil(fmax(layout->width, narrowest));
    layout->plot_top     = ceil(margin_size + header_height(layout, layout->width - 2 * margin_size) + panel_head);
    layout->scale_top    = layout->plot_top;
    layout->scale_height = fmin(scale_most, fmax(scale_least, grid_height - panel_head));
    double below         = layout->column_label_height + (map->column_axis ? 24 : 0);
    double bottom =
        fmax(layout->plot_top + grid_height - panel_head + below, layout->scale_top + layout->scale_height + 8);
    layout->height     = ceil(bottom + margin_size);
    layout->plot_left  = floor(layout->plot_left);
    layout->scale_left = floor(layout->scale_left);
}

scry_status scry__heatmap_measure(scry__heatmap_layout *layout, const scry__heatmap *map)
{
    *layout = (scry__heatmap_layout){.map = map, .label_limit = label_most};
    scry__fonts_create(&layout->fonts);
    scry_status status = make_labels(&layout->row_labels, map->row_labels, map->rows, map->row_offset);
    if (!status) status = make_labels(&layout->column_labels, map->column_labels, map->columns, map->column_offset);
    if (!status && map->cell_texts)
        status = scry__labels_create(&layout->cell_labels, map->cell_texts, map->rows * map->columns);
    if (status) {
        scry__heatmap_layout_finish(layout);
        return status;
    }
    scry__heatmap_scale(map, &layout->minimum, &layout->maximum);
    layout->panel_columns = choose_columns(map->panel_count, map->panel_columns);
    layout->panel_rows    = (map->panel_count + layout->panel_columns - 1) / layout->panel_columns;
    choose_cell(layout);
    layout->row_step    = choose_step(layout->cell_height, label_pitch);
    layout->column_step = choose_step(layout->cell_width, label_pitch);
    layout->turn        = label_turn(layout, layout->cell_width * layout->column_step);
    place(layout);
    return SCRY_OK;
}

void scry__heatmap_layout_finish(scry__heatmap_layout *layout)
{
    scry__fonts_destroy(&layout->fonts);
    scry__labels_destroy(&layout->row_labels);
    scry__labels_destroy(&layout->column_labels);
    scry__labels_destroy(&layout->cell_labels);
    *layout = (scry__heatmap_layout){0};
}

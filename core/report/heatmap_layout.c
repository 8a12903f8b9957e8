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

const scry__text_style scry__style_title    = {17, true, true, 0x1a1a1a};
const scry__text_style scry__style_subtitle = {11.5, false, true, 0x5f6368};
const scry__text_style scry__style_axis     = {11.5, false, false, 0x5f6368};
const scry__text_style scry__style_label    = {10.5, false, false, 0x222222};
const scry__text_style scry__style_panel    = {11.5, true, false, 0x333333};
const scry__text_style scry__style_value    = {10, false, false, 0x000000};

enum {
    single_size  = 720, /* a lone panel's longer side, where its cells are small */
    grid_size    = 1240,
    panel_least  = 84, /* in a grid */
    panel_most   = 360,
    cell_most    = 46,
    value_cell   = 33, /* cells that can hold "0.42" */
    label_pitch  = 13, /* from label to label */
    slant_pitch  = 19,
    label_most   = 120,
    narrowest    = 460, /* titles need room */
    margin_size  = 28,
    scale_least  = 110,
    scale_most   = 260,
    number_width = 46,
};

PangoLayout *scry__heatmap_text(const scry__heatmap_layout *layout, const char *text, scry__text_style style,
                                double limit)
{
    PangoLayout          *out  = pango_layout_new(layout->context);
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family_static(font, "DejaVu Sans, Noto Sans, Liberation Sans, Sans");
    pango_font_description_set_absolute_size(font, style.size * PANGO_SCALE);
    pango_font_description_set_weight(font, style.bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(out, font);
    pango_font_description_free(font);
    pango_layout_set_text(out, text, -1);
    if (limit > 0) {
        pango_layout_set_width(out, (int)(limit * PANGO_SCALE));
        if (style.wrap)
            pango_layout_set_wrap(out, PANGO_WRAP_WORD_CHAR);
        else
            pango_layout_set_ellipsize(out, PANGO_ELLIPSIZE_END);
    }
    if (!style.wrap) pango_layout_set_single_paragraph_mode(out, TRUE);
    return out;
}

static void text_size(const scry__heatmap_layout *layout, const char *text, scry__text_style style, double limit,
                      double *width, double *height)
{
    PangoLayout *drawn = scry__heatmap_text(layout, text, style, limit);
    int          pixels_wide, pixels_high;
    pango_layout_get_pixel_size(drawn, &pixels_wide, &pixels_high);
    if (width) *width = pixels_wide;
    if (height) *height = pixels_high;
    g_object_unref(drawn);
}

/* The widest of the labels that are shown. */
static double widest(const scry__heatmap_layout *layout, const scry__labels *labels, int step)
{
    double most = 0, width;
    for (int i = 0; i < labels->count; i += step) {
        text_size(layout, labels->texts[i], scry__style_label, 0, &width, NULL);
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
    layout->cell        = cell >= 2 ? floor(cell) : fmax(cell, 0.5);
    layout->plot_width  = layout->cell * map->columns;
    layout->plot_height = layout->cell * map->rows;
    layout->values      = map->panel_count == 1 && layout->cell >= value_cell;
}

/* 1, 2, 5, 10, 20, ...: the first that keeps labels `pitch` apart. */
static int choose_step(double cell, double pitch)
{
    static const int steps[] = {1, 2, 5};
    for (int power = 1;; power *= 10)
        for (int i = 0; i < 3; i++)
            if (steps[i] * power * cell >= pitch) return steps[i] * power;
}

static double header_height(const scry__heatmap_layout *layout, double width)
{
    double total = 0, height;
    if (layout->map->title) {
        text_size(layout, layout->map->title, scry__style_title, width, NULL, &height);
        total += height + 4;
    }
    if (layout->map->subtitle) {
        text_size(layout, layout->map->subtitle, scry__style_subtitle, width, NULL, &height);
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
    double               overhang   = layout->slanted ? longest * 0.72 - layout->cell / 2 : 0;

    layout->margin              = margin_size;
    layout->column_label_height = SCRY__TICK + 3 + (layout->slanted ? longest * 0.71 + 9 : longest);
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
    *layout                       = (scry__heatmap_layout){.map = map, .label_limit = label_most};
    cairo_font_options_t *options = cairo_font_options_create();
    layout->fonts                 = pango_cairo_font_map_new();
    layout->context               = pango_font_map_create_context(layout->fonts);
    /* Unhinted metrics: the same layout in pixels and in vectors. */
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(layout->context, options);
    cairo_font_options_destroy(options);

    scry_status status = make_labels(&layout->row_labels, map->row_labels, map->rows, map->row_offset);
    if (!status) status = make_labels(&layout->column_labels, map->column_labels, map->columns, map->column_offset);
    if (status) {
        scry__heatmap_layout_finish(layout);
        return status;
    }
    scry__heatmap_scale(map, &layout->minimum, &layout->maximum);
    layout->panel_columns = choose_columns(map->panel_count, map->panel_columns);
    layout->panel_rows    = (map->panel_count + layout->panel_columns - 1) / layout->panel_columns;
    choose_cell(layout);
    layout->row_step    = choose_step(layout->cell, label_pitch);
    layout->column_step = choose_step(layout->cell, label_pitch);
    layout->slanted     = layout->cell * layout->column_step >= slant_pitch;
    place(layout);
    return SCRY_OK;
}

void scry__heatmap_layout_finish(scry__heatmap_layout *layout)
{
    if (layout->context) g_object_unref(layout->context);
    if (layout->fonts) g_object_unref(layout->fonts);
    scry__labels_destroy(&layout->row_labels);
    scry__labels_destroy(&layout->column_labels);
    *layout = (scry__heatmap_layout){0};
}

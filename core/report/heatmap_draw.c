/* Draws a measured heat map on a cairo surface. See heatmap_layout.h. */
#include "report/heatmap_layout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    rule_cell       = 20,    /* smaller cells get no lines between them */
    rectangle_limit = 40000, /* cells */
};
static const uint32_t faint = 0x9aa0a6, blank = 0xf3f4f6;

void scry__heatmap_number(char out[32], double value, bool short_form)
{
    if (short_form && fabs(value) < 0.005)
        snprintf(out, 32, "0.00"); /* without a sign */
    else if (short_form)
        snprintf(out, 32, fabs(value) < 10 ? "%.2f" : "%.3g", value);
    else
        snprintf(out, 32, "%.3g", value);
}

static double place_on_scale(const scry__heatmap_layout *layout, double value)
{
    double span = layout->maximum - layout->minimum;
    return span > 0 ? (value - layout->minimum) / span : 0;
}

static uint32_t cell_colour(const scry__heatmap_layout *layout, int panel, int row, int column)
{
    float value = scry__heatmap_value(layout->map, panel, row, column);
    if (isnan(value)) return blank;
    scry__rgb colour = scry__colour_at(layout->map->colours, place_on_scale(layout, value));
    return (uint32_t)colour.red << 16 | (uint32_t)colour.green << 8 | colour.blue;
}

/* The cells as an image of `repeat` x `repeat` pixels each. */
static void draw_image(cairo_t *cairo, const scry__heatmap_layout *layout, int panel, int repeat)
{
    const scry__heatmap *map = layout->map;
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, map->columns * repeat, map->rows * repeat);
    unsigned char   *data  = cairo_image_surface_get_data(image);
    size_t           pitch = (size_t)cairo_image_surface_get_stride(image);
    for (int row = 0; data && row < map->rows; row++) {
        unsigned char *line = data + (size_t)(row * repeat) * pitch;
        for (int column = 0; column < map->columns; column++) {
            uint32_t colour = cell_colour(layout, panel, row, column);
            for (int i = 0; i < repeat; i++) ((uint32_t *)(void *)line)[column * repeat + i] = colour;
        }
        for (int i = 1; i < repeat; i++) memcpy(line + (size_t)i * pitch, line, pitch);
    }
    cairo_surface_mark_dirty(image);
    cairo_scale(cairo, layout->cell_width / repeat, layout->cell_height / repeat);
    cairo_set_source_surface(cairo, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
    cairo_rectangle(cairo, 0, 0, map->columns * repeat, map->rows * repeat);
    cairo_fill(cairo);
    cairo_surface_destroy(image);
}

/* The cells as rectangles, runs of one colour joined. Each reaches a little under the cells drawn after it, so that no
 * hairline shows between them. */
static void draw_rectangles(cairo_t *cairo, const scry__heatmap_layout *layout, int panel)
{
    const scry__heatmap *map = layout->map;
    for (int row = 0; row < map->rows; row++)
        for (int column = 0, end; column < map->columns; column = end) {
            uint32_t colour = cell_colour(layout, panel, row, column);
            for (end = column + 1; end < map->columns; end++)
                if (cell_colour(layout, panel, row, end) != colour) break;
            double under_x = end < map->columns ? 0.5 : 0, under_y = row + 1 < map->rows ? 0.5 : 0;
            scry__picture_colour(cairo, colour);
            cairo_rectangle(cairo, column * layout->cell_width, row * layout->cell_height,
                            (end - column) * layout->cell_width + under_x, layout->cell_height + under_y);
            cairo_fill(cairo);
        }
}

/* Pixels for pixels; rectangles in vector formats, whose viewers may smooth an enlarged image, while they are few
 * enough, and beyond that an image fine enough that smoothing does not show. */
static void draw_cells(cairo_t *cairo, const scry__heatmap_layout *layout, int panel, double left, double top)
{
    const scry__heatmap *map    = layout->map;
    bool                 pixels = cairo_surface_get_type(cairo_get_target(cairo)) == CAIRO_SURFACE_TYPE_IMAGE;
    cairo_save(cairo);
    cairo_translate(cairo, left, top);
    if (pixels)
        draw_image(cairo, layout, panel, 1);
    else if ((double)map->rows * map->columns * map->panel_count <= rectangle_limit)
        draw_rectangles(cairo, layout, panel);
    else
        draw_image(cairo, layout, panel, (int)ceil(fmax(layout->cell_width, layout->cell_height) * 3));
    cairo_restore(cairo);
}

/* What stands in a cell: its text, else its value; NULL where there is nothing to say. */
static const char *cell_text(const scry__heatmap_layout *layout, int panel, int row, int column, char number[32])
{
    float value = scry__heatmap_value(layout->map, panel, row, column);
    if (layout->cell_labels) return layout->cell_labels->texts[row * layout->map->columns + column];
    if (!isfinite(value)) return NULL;
    scry__heatmap_number(number, value, true);
    return strcmp(number, "0.00") ? number : NULL; /* the colour says so already */
}

static void draw_texts(cairo_t *cairo, const scry__heatmap_layout *layout, int panel, double left, double top)
{
    const scry__heatmap *map = layout->map;
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++) {
            scry__text_style style = scry__style_value;
            char             number[32];
            const char      *text = cell_text(layout, panel, row, column, number);
            if (!text) continue;
            uint32_t  packed = cell_colour(layout, panel, row, column);
            scry__rgb colour = {(uint8_t)(packed >> 16), (uint8_t)(packed >> 8), (uint8_t)packed};
            style.colour     = scry__colour_is_light(colour) ? 0x000000 : 0xffffff;
            scry__picture_text(cairo, &layout->fonts, text, style, left + (column + 0.5) * layout->cell_width,
                               top + (row + 0.5) * layout->cell_height, 0, 0.5, 0.5, layout->cell_width - 2);
        }
}

static void draw_rules(cairo_t *cairo, const scry__heatmap_layout *layout, double left, double top)
{
    cairo_set_source_rgba(cairo, 1, 1, 1, 0.4);
    cairo_set_line_width(cairo, 1);
    for (int row = 1; row < layout->map->rows; row++) {
        cairo_move_to(cairo, left, top + row * layout->cell_height);
        cairo_rel_line_to(cairo, layout->plot_width, 0);
    }
    for (int column = 1; column < layout->map->columns; column++) {
        cairo_move_to(cairo, left + column * layout->cell_width, top);
        cairo_rel_line_to(cairo, 0, layout->plot_height);
    }
    cairo_stroke(cairo);
}

static void draw_row_labels(cairo_t *cairo, const scry__heatmap_layout *layout, double left, double top)
{
    for (int row = 0; row < layout->map->rows; row += layout->row_step) {
        double y = top + (row + 0.5) * layout->cell_height;
        scry__picture_colour(cairo, faint);
        cairo_set_line_width(cairo, 0.75);
        cairo_move_to(cairo, left, y);
        cairo_rel_line_to(cairo, -SCRY__TICK, 0);
        cairo_stroke(cairo);
        scry__picture_text(cairo, &layout->fonts, layout->row_labels->texts[row], scry__style_label,
                           left - SCRY__TICK - 3, y, 0, 1, 0.5, layout->label_limit);
    }
}

static void draw_column_labels(cairo_t *cairo, const scry__heatmap_layout *layout, double left, double bottom)
{
    bool flat = layout->turn == 0, upright = layout->turn == -M_PI / 2;
    for (int column = 0; column < layout->map->columns; column += layout->column_step) {
        double x = left + (column + 0.5) * layout->cell_width;
        scry__picture_colour(cairo, faint);
        cairo_set_line_width(cairo, 0.75);
        cairo_move_to(cairo, x, bottom);
        cairo_rel_line_to(cairo, 0, SCRY__TICK);
        cairo_stroke(cairo);
        scry__picture_text(cairo, &layout->fonts, layout->column_labels->texts[column], scry__style_label,
                           x + (flat || upright ? 0 : 3), bottom + SCRY__TICK + 3, layout->turn, flat ? 0.5 : 1,
                           flat ? 0 : 0.5, layout->label_limit);
    }
}

static void draw_panel(cairo_t *cairo, const scry__heatmap_layout *layout, int panel)
{
    const scry__heatmap *map    = layout->map;
    int                  column = panel % layout->panel_columns, row = panel / layout->panel_columns;
    double               left = layout->plot_left + column * layout->pitch_x;
    double               top  = layout->plot_top + row * layout->pitch_y;

    draw_cells(cairo, layout, panel, left, top);
    if (fmin(layout->cell_width, layout->cell_height) >= rule_cell) draw_rules(cairo, layout, left, top);
    if (layout->texts) draw_texts(cairo, layout, panel, left, top);
    scry__picture_colour(cairo, faint);
    cairo_set_line_width(cairo, 0.75);
    cairo_rectangle(cairo, left, top, layout->plot_width, layout->plot_height);
    cairo_stroke(cairo);
    if (map->panels[panel].title)
        scry__picture_text(cairo, &layout->fonts, map->panels[panel].title, scry__style_panel, left, top - 4, 0, 0, 1,
                           layout->plot_width + 12);
    if (column == 0) draw_row_labels(cairo, layout, left, top);
    if (panel + layout->panel_columns >= map->panel_count)
        draw_column_labels(cairo, layout, left, top + layout->plot_height);
}

/* The number on the scale that comes next after `from`, in steps of 1, 2 or 5 times a power of ten. */
static double scale_step(double span)
{
    double power = pow(10, floor(log10(span / 4)));
    double share = span / 4 / power;
    return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

static void draw_scale_number(cairo_t *cairo, const scry__heatmap_layout *layout, double value)
{
    double y = layout->scale_top + (1 - place_on_scale(layout, value)) * layout->scale_height;
    double x = layout->scale_left + SCRY__SCALE_WIDTH;
    char   number[32];
    scry__heatmap_number(number, value, false);
    scry__picture_colour(cairo, faint);
    cairo_move_to(cairo, x, y);
    cairo_rel_line_to(cairo, SCRY__TICK, 0);
    cairo_stroke(cairo);
    scry__picture_text(cairo, &layout->fonts, number, scry__style_label, x + SCRY__TICK + 3, y, 0, 0, 0.5, 0);
}

static void draw_scale(cairo_t *cairo, const scry__heatmap_layout *layout)
{
    cairo_pattern_t *ramp =
        cairo_pattern_create_linear(0, layout->scale_top + layout->scale_height, 0, layout->scale_top);
    double span = layout->maximum - layout->minimum;
    for (int i = 0; i <= 64; i++) {
        scry__rgb colour = scry__colour_at(layout->map->colours, i / 64.0);
        cairo_pattern_add_color_stop_rgb(ramp, i / 64.0, colour.red / 255.0, colour.green / 255.0, colour.blue / 255.0);
    }
    cairo_rectangle(cairo, layout->scale_left, layout->scale_top, SCRY__SCALE_WIDTH, layout->scale_height);
    cairo_set_source(cairo, ramp);
    cairo_fill_preserve(cairo);
    scry__picture_colour(cairo, faint);
    cairo_set_line_width(cairo, 0.75);
    cairo_stroke(cairo);
    cairo_pattern_destroy(ramp);

    draw_scale_number(cairo, layout, layout->minimum);
    if (span > 0) {
        double step = scale_step(span);
        for (double n = ceil(layout->minimum / step); n * step < layout->maximum; n++) {
            double place = place_on_scale(layout, n * step);
            if (place > 0.09 && place < 0.91) draw_scale_number(cairo, layout, n * step);
        }
        draw_scale_number(cairo, layout, layout->maximum);
    }
    if (layout->map->unit)
        scry__picture_text(cairo, &layout->fonts, layout->map->unit, scry__style_axis, layout->width - layout->margin,
                           layout->scale_top + layout->scale_height / 2, -M_PI / 2, 0.5, 1, 0);
}

static void draw_header(cairo_t *cairo, const scry__heatmap_layout *layout)
{
    const char      *texts[]  = {layout->map->title, layout->map->subtitle};
    scry__text_style styles[] = {scry__style_title, scry__style_subtitle};
    double           y        = layout->margin;
    for (int i = 0; i < 2; i++) {
        if (!texts[i]) continue;
        PangoLayout *drawn = scry__fonts_text(&layout->fonts, texts[i], styles[i], layout->width - 2 * layout->margin);
        int          height;
        pango_layout_get_pixel_size(drawn, NULL, &height);
        scry__picture_colour(cairo, styles[i].colour);
        cairo_move_to(cairo, layout->margin, y);
        pango_cairo_show_layout(cairo, drawn);
        g_object_unref(drawn);
        y += height + 4;
    }
}

static void draw_column_axis(cairo_t *cairo, const scry__heatmap_layout *layout, double x, double y)
{
    char text[256];
    int  size = snprintf(text, sizeof text, "%s", layout->map->column_axis);
    if (layout->column_step > 1 && size >= 0 && (size_t)size < sizeof text)
        snprintf(text + size, sizeof text - (size_t)size, ", one in %d labelled", layout->column_step);
    scry__picture_text(cairo, &layout->fonts, text, scry__style_axis, x, y, 0, 0.5, 0, 0);
}

void scry__heatmap_draw(cairo_t *cairo, const scry__heatmap_layout *layout)
{
    const scry__heatmap *map         = layout->map;
    double               grid_width  = layout->pitch_x * (layout->panel_columns - 1) + layout->plot_width;
    double               grid_height = layout->pitch_y * (layout->panel_rows - 1) + layout->plot_height;
    draw_header(cairo, layout);
    for (int panel = 0; panel < map->panel_count; panel++) draw_panel(cairo, layout, panel);
    draw_scale(cairo, layout);
    if (map->row_axis)
        scry__picture_text(cairo, &layout->fonts, map->row_axis, scry__style_axis, layout->margin,
                           layout->plot_top + grid_height / 2, -M_PI / 2, 0.5, 0, 0);
    if (map->column_axis)
        draw_column_axis(cairo, layout, layout->plot_left + grid_width / 2,
                         layout->plot_top + grid_height + layout->column_label_height + 8);
}

/* Draws a roofline on a cairo surface. See roofline_layout.h. */
#include "report/roofline_layout.h"

#include <math.h>
#include <stdio.h>

static const uint32_t rule = 0xe3e5e8, frame = 0x9aa0a6;

/* --- axes --- */

static void draw_line(cairo_t *cairo, double x1, double y1, double x2, double y2)
{
    cairo_move_to(cairo, x1, y1);
    cairo_line_to(cairo, x2, y2);
    cairo_stroke(cairo);
}

/* Ruled lines at 1, 2 and 5 times each power of ten; numbers at all of them on a short axis, else at the powers. */
static void draw_axis(cairo_t *cairo, const scry__roofline_layout *layout, bool horizontal)
{
    static const int           steps[] = {1, 2, 5};
    const scry__roofline_axis *axis = horizontal ? &layout->intensity : &layout->speed, *x = &layout->intensity,
                              *y = &layout->speed;
    bool short_axis              = axis->most / axis->least < 2000;
    for (double power = pow(10, floor(log10(axis->least))); power < axis->most; power *= 10)
        for (int i = 0; i < 3; i++) {
            double value = power * steps[i], place = scry__roofline_place(axis, value);
            char   number[32];
            if (value < axis->least || value > axis->most) continue;
            scry__picture_colour(cairo, rule);
            cairo_set_line_width(cairo, steps[i] == 1 ? 1.2 : 0.6);
            if (horizontal)
                draw_line(cairo, place, y->from, place, y->to);
            else
                draw_line(cairo, x->from, place, x->to, place);
            if (steps[i] != 1 && !short_axis) continue;
            snprintf(number, sizeof number, "%.6g", value);
            scry__picture_text(cairo, &layout->fonts, number, scry__style_label, horizontal ? place : x->from - 7,
                               horizontal ? y->from + 6 : place, 0, horizontal ? 0.5 : 1, horizontal ? 0 : 0.5, 0);
        }
}

static void draw_frame(cairo_t *cairo, const scry__roofline_layout *layout)
{
    const scry__roofline_axis *x = &layout->intensity, *y = &layout->speed;
    scry__picture_colour(cairo, frame);
    cairo_set_line_width(cairo, 0.75);
    cairo_rectangle(cairo, x->from, y->to, x->to - x->from, y->from - y->to);
    cairo_stroke(cairo);
    scry__picture_text(cairo, &layout->fonts, "arithmetic intensity, FLOP per byte moved", scry__style_axis,
                       (x->from + x->to) / 2, y->from + 28, 0, 0.5, 0, 0);
    scry__picture_text(cairo, &layout->fonts, "speed, GFLOP/s", scry__style_axis, SCRY__ROOFLINE_MARGIN,
                       (y->from + y->to) / 2, -M_PI / 2, 0.5, 0, 0);
}

/* --- roofs --- */

/* The slope of one bandwidth, up to where it meets the peak. */
static void draw_slope(cairo_t *cairo, const scry__roofline_layout *layout, double peak, double bandwidth)
{
    const scry__roofline_axis *x = &layout->intensity, *y = &layout->speed;
    double                     rate = bandwidth * 1e-9, top = peak > 0 ? peak * 1e-9 : y->most;
    double                     begin = fmax(x->least, y->least / rate), end = fmin(x->most, top / rate);
    if (begin < end)
        draw_line(cairo, scry__roofline_place(x, begin), scry__roofline_place(y, begin * rate),
                  scry__roofline_place(x, end), scry__roofline_place(y, end * rate));
}

static void draw_roofs(cairo_t *cairo, const scry__roofline_layout *layout, int index)
{
    const scry__roofline_axis *x = &layout->intensity, *y = &layout->speed;
    const scry__bench_device  *device   = &layout->record->devices[index];
    const double               dashes[] = {5, 3};
    double memory = scry__roofline_memory(device), cache = scry__roofline_cache(device), fastest = fmax(memory, cache);
    scry__picture_colour(cairo, scry__roofline_colour(index));
    cairo_set_line_width(cairo, 1.4);
    if (memory > 0) draw_slope(cairo, layout, device->peak, memory);
    if (device->peak > 0) {
        double place = scry__roofline_place(y, device->peak * 1e-9);
        double begin = fastest > 0 ? fmax(device->peak / fastest, x->least) : x->least;
        draw_line(cairo, scry__roofline_place(x, begin), place, x->to, place);
    }
    cairo_set_dash(cairo, dashes, 2, 0);
    if (cache > memory) draw_slope(cairo, layout, device->peak, cache);
    cairo_set_dash(cairo, NULL, 0, 0);
}

/* --- points --- */

static void draw_points(cairo_t *cairo, const scry__roofline_layout *layout)
{
    for (int i = 0; i < layout->point_count; i++) {
        const scry__roofline_point *point = &layout->points[i];
        scry__picture_colour(cairo, frame);
        cairo_set_line_width(cairo, 0.6);
        if (hypot(point->label_x - point->x, point->label_y - point->y) > 14)
            draw_line(cairo, point->x, point->y, point->label_x, point->label_y);
    }
    for (int i = 0; i < layout->point_count; i++) {
        const scry__roofline_point *point = &layout->points[i];
        scry__text_style            style = scry__style_value;
        char                        number[16];
        style.colour = scry__roofline_colour(point->device);
        scry__picture_colour(cairo, 0xffffff);
        cairo_arc(cairo, point->label_x, point->label_y, 6, 0, 2 * M_PI);
        cairo_fill(cairo);
        scry__picture_colour(cairo, style.colour);
        cairo_arc(cairo, point->x, point->y, SCRY__ROOFLINE_DOT, 0, 2 * M_PI);
        cairo_fill(cairo);
        snprintf(number, sizeof number, "%d", point->number);
        scry__picture_text(cairo, &layout->fonts, number, style, point->label_x, point->label_y, 0, 0.5, 0.5, 0);
    }
}

/* --- the list --- */

/* What a device is, and its roofs. */
static void describe_device(char text[2][160], const scry__bench_device *device)
{
    double memory = scry__roofline_memory(device), cache = scry__roofline_cache(device);
    snprintf(text[0], sizeof text[0], "%s", device->info.description);
    snprintf(text[1], sizeof text[1], "matmul %.4g GFLOP/s, memory %.3g GB/s, in caches %.3g (dashed)",
             device->peak * 1e-9, memory * 1e-9, cache * 1e-9);
}

static double draw_devices(cairo_t *cairo, const scry__roofline_layout *layout, double y)
{
    double left = layout->list_left + 14, room = layout->width - left - SCRY__ROOFLINE_MARGIN;
    for (int i = 0; i < layout->record->device_count; i++, y += SCRY__ROOFLINE_DEVICE * SCRY__ROOFLINE_LINE) {
        const scry__bench_device *device = &layout->record->devices[i];
        scry__text_style          style  = scry__style_panel;
        char                      text[2][160];
        style.colour = scry__roofline_colour(i);
        describe_device(text, device);
        scry__picture_colour(cairo, style.colour);
        cairo_arc(cairo, layout->list_left + 4, y + 8, SCRY__ROOFLINE_DOT, 0, 2 * M_PI);
        cairo_fill(cairo);
        scry__picture_text(cairo, &layout->fonts, device->info.name, style, left, y, 0, 0, 0, room);
        for (int line = 0; line < 2; line++)
            scry__picture_text(cairo, &layout->fonts, text[line], scry__style_label, left,
                               y + (line + 1) * SCRY__ROOFLINE_LINE, 0, 0, 0, room);
    }
    return y;
}

static double column_right(const scry__roofline_layout *layout, int device)
{
    return layout->list_left + 26 + layout->name_width + (device + 1) * SCRY__ROOFLINE_COLUMN;
}

static void draw_list(cairo_t *cairo, const scry__roofline_layout *layout)
{
    double top = draw_devices(cairo, layout, layout->list_top) + SCRY__ROOFLINE_LINE / 2.0;
    char   text[64];
    scry__picture_text(cairo, &layout->fonts, "row", scry__style_axis, layout->list_left + 26, top, 0, 0, 0, 0);
    for (int i = 0; i < layout->record->device_count; i++)
        scry__picture_text(cairo, &layout->fonts, "GFLOP/s, of roof", scry__style_axis, column_right(layout, i), top, 0,
                           1, 0, 0);
    top += SCRY__ROOFLINE_LINE * 1.25;
    for (int i = 0; i < layout->number_count; i++) {
        double y = top + i * SCRY__ROOFLINE_LINE;
        snprintf(text, sizeof text, "%d", i + 1);
        scry__picture_text(cairo, &layout->fonts, text, scry__style_axis, layout->list_left + 18, y, 0, 1, 0, 0);
        scry__picture_text(cairo, &layout->fonts, layout->names[i], scry__style_label, layout->list_left + 26, y, 0, 0,
                           0, 0);
    }
    for (int i = 0; i < layout->point_count; i++) {
        const scry__roofline_point *point = &layout->points[i];
        scry__text_style            style = scry__style_label;
        style.colour                      = scry__roofline_colour(point->device);
        snprintf(text, sizeof text, "%.4g, %3.0f %%", point->gflops, 100 * point->row->roof_share);
        scry__picture_text(cairo, &layout->fonts, text, style, column_right(layout, point->device),
                           top + (point->number - 1) * SCRY__ROOFLINE_LINE, 0, 1, 0, 0);
    }
}

void scry__roofline_draw(cairo_t *cairo, const scry__roofline_layout *layout)
{
    scry__picture_colour(cairo, 0xffffff);
    cairo_paint(cairo);
    scry__picture_text(cairo, &layout->fonts, layout->title, scry__style_title, SCRY__ROOFLINE_MARGIN,
                       SCRY__ROOFLINE_MARGIN, 0, 0, 0, layout->width - 2 * SCRY__ROOFLINE_MARGIN);
    scry__picture_text(cairo, &layout->fonts, layout->subtitle, scry__style_subtitle, SCRY__ROOFLINE_MARGIN,
                       SCRY__ROOFLINE_MARGIN + 26, 0, 0, 0, layout->width - 2 * SCRY__ROOFLINE_MARGIN);
    draw_axis(cairo, layout, true);
    draw_axis(cairo, layout, false);
    for (int i = 0; i < layout->record->device_count; i++) draw_roofs(cairo, layout, i);
    draw_frame(cairo, layout);
    draw_points(cairo, layout);
    draw_list(cairo, layout);
}

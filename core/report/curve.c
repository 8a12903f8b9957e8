/* Curves to .png, .svg and .pdf files. See curve.h. */
#include "report/curve.h"

#include "base/alloc.h"
#include "base/error.h"
#include "report/picture.h"

#include <math.h>
#include <stdio.h>

enum {
    WIDTH  = 760,
    HEIGHT = 286, /* of a plot */
    MARGIN = 28,
    LEFT   = 100, /* of the plot: numbers, up to "-0.0005", and the axis' name stand there */
    BOTTOM = 62,
    ROW    = 20, /* of keys */
    TICKS  = 6,  /* about so many numbers on an axis */
};

static const uint32_t rule = 0xe3e5e8, frame = 0x9aa0a6, mark_colour = 0x5f6368;

/* What an axis' ends stand for, where they lie, and from tick to tick. */
struct axis {
    double least, most, from, to, step;
};

struct layout {
    const scry__curve *curve;
    const scry__fonts *fonts;
    struct axis        x, y;
    double             subtitle, keys; /* where they stand; of keys the middle of the first row */
    double             height;
};

static double place(const struct axis *axis, double value)
{
    return axis->from + (axis->to - axis->from) * (value - axis->least) / (axis->most - axis->least);
}

/* --- ranges --- */

static void include(struct axis *axis, double value)
{
    if (!isfinite(value)) return;
    axis->least = fmin(axis->least, value);
    axis->most  = fmax(axis->most, value);
}

/* 1, 2 or 5 times a power of ten, such that about TICKS steps make the range. */
static void choose_step(struct axis *axis)
{
    double rough = (axis->most - axis->least) / TICKS, power = pow(10, floor(log10(rough)));
    axis->step = rough <= power ? power : rough <= 2 * power ? 2 * power : rough <= 5 * power ? 5 * power : 10 * power;
}

static void widen(struct axis *axis, double share)
{
    double more = axis->most > axis->least ? share * (axis->most - axis->least) : 0.5;
    axis->least -= more;
    axis->most += more;
}

static scry_status choose_ranges(struct layout *layout, const char *path)
{
    const scry__curve *curve = layout->curve;
    struct axis       *x = &layout->x, *y = &layout->y;
    *x = (struct axis){.least = INFINITY, .most = -INFINITY, .from = LEFT, .to = WIDTH - MARGIN};
    *y = (struct axis){.least = INFINITY, .most = -INFINITY};
    for (int i = 0; i < curve->series_count; i++)
        for (int j = 0; j < curve->series[i].count; j++) {
            const scry__curve_point *point = &curve->series[i].points[j];
            if (!isfinite(point->y)) continue;
            include(x, point->x);
            include(y, point->y);
            include(y, point->low);
            include(y, point->high);
        }
    if (x->least > x->most) return scry__fail(SCRY_BAD_ARGUMENT, "%s: nothing to draw: expected a finite value", path);
    for (int i = 0; i < curve->level_count; i++) include(y, curve->levels[i].y);
    for (int i = 0; i < curve->mark_count; i++) include(x, curve->marks[i]);
    if (x->least == x->most) widen(x, 0);
    widen(y, 0.04);
    choose_step(x);
    choose_step(y);
    return SCRY_OK;
}

/* --- drawing --- */

static void draw_line(cairo_t *cairo, double x1, double y1, double x2, double y2)
{
    cairo_move_to(cairo, x1, y1);
    cairo_line_to(cairo, x2, y2);
    cairo_stroke(cairo);
}

static void draw_axis(cairo_t *cairo, const struct layout *layout, bool horizontal)
{
    const struct axis *axis = horizontal ? &layout->x : &layout->y, *x = &layout->x, *y = &layout->y;
    cairo_set_line_width(cairo, 0.75);
    for (double tick = ceil(axis->least / axis->step - 1e-9) + 0.0 /* no -0 */; tick * axis->step <= axis->most;
         tick++) {
        double at = place(axis, tick * axis->step);
        char   number[32];
        snprintf(number, sizeof number, "%.10g", tick * axis->step);
        scry__picture_colour(cairo, rule);
        if (horizontal)
            draw_line(cairo, at, y->from, at, y->to);
        else
            draw_line(cairo, x->from, at, x->to, at);
        scry__picture_text(cairo, layout->fonts, number, scry__style_label, horizontal ? at : x->from - 7,
                           horizontal ? y->from + 12 : at, 0, horizontal ? 0.5 : 1, horizontal ? 0 : 0.5, 0);
    }
}

static void draw_frame(cairo_t *cairo, const struct layout *layout)
{
    const struct axis *x = &layout->x, *y = &layout->y;
    scry__picture_colour(cairo, frame);
    cairo_set_line_width(cairo, 0.75);
    cairo_rectangle(cairo, x->from, y->to, x->to - x->from, y->from - y->to);
    cairo_stroke(cairo);
    scry__picture_text(cairo, layout->fonts, layout->curve->x_axis, scry__style_axis, (x->from + x->to) / 2,
                       y->from + 32, 0, 0.5, 0, 0);
    scry__picture_text(cairo, layout->fonts, layout->curve->y_axis, scry__style_axis, MARGIN, (y->from + y->to) / 2,
                       -M_PI / 2, 0.5, 0, 0);
}

static void draw_marks(cairo_t *cairo, const struct layout *layout)
{
    scry__picture_colour(cairo, mark_colour);
    cairo_set_line_width(cairo, 1.4);
    for (int i = 0; i < layout->curve->mark_count; i++) {
        double x = place(&layout->x, layout->curve->marks[i]);
        draw_line(cairo, x, layout->y.from + 2, x, layout->y.from + 9);
    }
}

static void set_colour(cairo_t *cairo, uint32_t colour, double opacity)
{
    cairo_set_source_rgba(cairo, (colour >> 16) / 255.0, (colour >> 8 & 0xff) / 255.0, (colour & 0xff) / 255.0,
                          opacity);
}

static void set_dashes(cairo_t *cairo, bool on)
{
    static const double dashes[] = {5, 3};
    cairo_set_dash(cairo, dashes, on ? 2 : 0, 0);
}

/* From low to high, there and back again. */
static void draw_band(cairo_t *cairo, const struct layout *layout, const scry__curve_series *series)
{
    for (int i = 0; i < 2 * series->count; i++) {
        const scry__curve_point *point = &series->points[i < series->count ? i : 2 * series->count - 1 - i];
        if (isfinite(point->y))
            cairo_line_to(cairo, place(&layout->x, point->x),
                          place(&layout->y, i < series->count ? point->low : point->high));
    }
    set_colour(cairo, series->colour, series->style == SCRY__CURVE_DASHED ? 0.1 : 0.22);
    cairo_fill(cairo);
}

static void draw_dots(cairo_t *cairo, const struct layout *layout, const scry__curve_series *series)
{
    for (int i = 0; i < series->count; i++) {
        const scry__curve_point *point = &series->points[i];
        double                   x = place(&layout->x, point->x), y = place(&layout->y, point->y);
        if (!isfinite(point->y)) continue;
        if (point->low < point->high)
            draw_line(cairo, x, place(&layout->y, point->low), x, place(&layout->y, point->high));
        cairo_arc(cairo, x, y, 2.6, 0, 2 * M_PI);
        cairo_fill(cairo);
    }
}

static void draw_series(cairo_t *cairo, const struct layout *layout, const scry__curve_series *series)
{
    bool dots = series->style == SCRY__CURVE_DOTS, marked = series->style == SCRY__CURVE_MARKED;
    if (!dots && !marked) draw_band(cairo, layout, series);
    scry__picture_colour(cairo, series->colour);
    cairo_set_line_width(cairo, 1.3);
    set_dashes(cairo, series->style == SCRY__CURVE_DASHED);
    for (int i = 0; i < series->count && !dots; i++)
        if (isfinite(series->points[i].y))
            cairo_line_to(cairo, place(&layout->x, series->points[i].x), place(&layout->y, series->points[i].y));
    cairo_stroke(cairo);
    set_dashes(cairo, false);
    if (dots || marked) draw_dots(cairo, layout, series);
}

static void draw_level(cairo_t *cairo, const struct layout *layout, const scry__curve_level *level)
{
    double y = place(&layout->y, level->y);
    scry__picture_colour(cairo, level->colour);
    cairo_set_line_width(cairo, 1.2);
    set_dashes(cairo, true);
    draw_line(cairo, layout->x.from, y, layout->x.to, y);
    set_dashes(cairo, false);
}

/* --- keys --- */

/* Where the next key stands. */
struct keys {
    cairo_t             *cairo; /* NULL: only measured */
    const struct layout *layout;
    double               x;
    int                  row;
};

/* A piece of what is named. */
static void draw_piece(cairo_t *cairo, scry__curve_style style, uint32_t colour, double x, double y)
{
    scry__picture_colour(cairo, colour);
    if (style == SCRY__CURVE_DASHED || style == SCRY__CURVE_MARKED) {
        cairo_set_line_width(cairo, 1.6);
        set_dashes(cairo, style == SCRY__CURVE_DASHED);
        draw_line(cairo, x - 3, y, x + 12, y);
        set_dashes(cairo, false);
        if (style == SCRY__CURVE_MARKED) cairo_arc(cairo, x + 4.5, y, 2.6, 0, 2 * M_PI);
    } else {
        cairo_rectangle(cairo, x, y - 4, 12, 8);
    }
    cairo_fill(cairo);
}

static void add_key(struct keys *keys, const char *name, scry__curve_style style, uint32_t colour)
{
    const scry__fonts *fonts = keys->layout->fonts;
    scry__text_style   text  = scry__style_label;
    double             width;
    text.colour = colour;
    scry__fonts_measure(fonts, name, text, 0, &width, NULL);
    if (keys->x > LEFT && keys->x + 17 + width > WIDTH - MARGIN) {
        keys->x = LEFT;
        keys->row++;
    }
    if (keys->cairo) {
        double y = keys->layout->keys + keys->row * ROW;
        draw_piece(keys->cairo, style, colour, keys->x, y);
        scry__picture_text(keys->cairo, fonts, name, text, keys->x + 17, y, 0, 0, 0.5, 0);
    }
    keys->x += 17 + width + 20;
}

/* Returns how many rows they take. */
static int add_keys(cairo_t *cairo, const struct layout *layout)
{
    const scry__curve *curve = layout->curve;
    struct keys        keys  = {.cairo = cairo, .layout = layout, .x = LEFT};
    for (int i = 0; i < curve->series_count; i++)
        if (curve->series[i].count && curve->series[i].name)
            add_key(&keys, curve->series[i].name, curve->series[i].style, curve->series[i].colour);
    for (int i = 0; i < curve->level_count; i++)
        add_key(&keys, curve->levels[i].name, SCRY__CURVE_LINE, curve->levels[i].colour);
    if (curve->mark_count) add_key(&keys, curve->mark_name, SCRY__CURVE_LINE, mark_colour);
    return keys.x > LEFT ? keys.row + 1 : 0;
}

/* --- the whole --- */

/* Titles, keys and the plot, from top to bottom. */
static void place_parts(struct layout *layout)
{
    const scry__curve *curve = layout->curve;
    const double       room  = WIDTH - 2 * MARGIN;
    double             at = curve->title ? MARGIN : 0, high = 0;
    if (curve->title) scry__fonts_measure(layout->fonts, curve->title, scry__style_title, room, NULL, &high);
    at += high;
    layout->subtitle = at + 6;
    if (curve->subtitle) {
        scry__fonts_measure(layout->fonts, curve->subtitle, scry__style_subtitle, room, NULL, &high);
        at = layout->subtitle + high;
    }
    layout->keys   = at + 26;
    int rows       = add_keys(NULL, layout);
    layout->y.to   = rows ? layout->keys + (rows - 1) * ROW + 16 : at + 12;
    layout->y.from = layout->y.to + (curve->height ? curve->height : HEIGHT);
    layout->height = layout->y.from + BOTTOM;
}

static void draw_curve(cairo_t *cairo, const struct layout *layout)
{
    const scry__curve *curve = layout->curve;
    const double       room  = WIDTH - 2 * MARGIN;
    if (curve->title)
        scry__picture_text(cairo, layout->fonts, curve->title, scry__style_title, MARGIN, MARGIN, 0, 0, 0, room);
    if (curve->subtitle)
        scry__picture_text(cairo, layout->fonts, curve->subtitle, scry__style_subtitle, MARGIN, layout->subtitle, 0, 0,
                           0, room);
    draw_axis(cairo, layout, true);
    draw_axis(cairo, layout, false);
    draw_marks(cairo, layout);
    for (int i = 0; i < curve->series_count; i++) draw_series(cairo, layout, &curve->series[i]);
    for (int i = 0; i < curve->level_count; i++) draw_level(cairo, layout, &curve->levels[i]);
    draw_frame(cairo, layout);
    add_keys(cairo, layout);
}

/* Curves of one picture, each below the one before. */
struct stack {
    int            count;
    struct layout *layouts;
};

static void draw(cairo_t *cairo, const void *state)
{
    const struct stack *stack = state;
    scry__picture_colour(cairo, 0xffffff);
    cairo_paint(cairo);
    cairo_save(cairo);
    for (int i = 0; i < stack->count; i++) {
        draw_curve(cairo, &stack->layouts[i]);
        cairo_translate(cairo, 0, stack->layouts[i].height);
    }
    cairo_restore(cairo);
}

scry_status scry__curves_write(const char *path, const scry__curve *curves, int count)
{
    scry_status status = scry__picture_check(path);
    if (status) return status;
    scry__fonts   fonts;
    struct stack  stack   = {.count = count, .layouts = scry__alloc((size_t)count, sizeof *stack.layouts)};
    scry__picture picture = {
        .width = WIDTH, .title = curves->title, .description = curves->description, .draw = draw, .state = &stack};
    if (!stack.layouts) return SCRY_OUT_OF_MEMORY;
    scry__fonts_create(&fonts);
    for (int i = 0; i < count && !status; i++) {
        struct layout *layout = &stack.layouts[i];
        *layout               = (struct layout){.curve = &curves[i], .fonts = &fonts};
        status                = choose_ranges(layout, path);
        place_parts(layout);
        picture.height += layout->height;
    }
    if (!status) status = scry__picture_write(path, &picture);
    scry__fonts_destroy(&fonts);
    scry__free(stack.layouts);
    return status;
}

scry_status scry__curve_write(const char *path, const scry__curve *curve)
{
    return scry__curves_write(path, curve, 1);
}

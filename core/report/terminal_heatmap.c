/* Heat maps for a terminal. See terminal.h.
 *
 * Each line is a row: its number and label, then the cells. Cells are 5 columns wide and hold their number where that
 * fits, else 2 columns of colour (or of a character that is the denser the larger the value), else 1. */
#include "report/terminal.h"

#include "base/alloc.h"
#include "report/terminal_shade.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { label_most = 18, wide_cell = 5, ramp_width = 20 };
static const char densities[] = " .:-=+*#%@";

struct view {
    const scry__terminal *terminal;
    const scry__heatmap  *map;
    scry__labels         *rows, *columns; /* NULL where numbered only */
    double                minimum, maximum;
    int                   number_width, label_width;
    int                   cell; /* columns of a cell: 5, 2 or 1 */
    int                   block;
};

static int digits(int number)
{
    return snprintf(NULL, 0, "%d", number);
}

static void choose_cell(struct view *view)
{
    const scry__heatmap *map     = view->map;
    int                  room    = scry__terminal_columns(view->terminal) - view->number_width - view->label_width - 2;
    static const int     sizes[] = {wide_cell, 2, 1};
    view->block                  = 1;
    for (int i = 0; i < 3; i++) {
        view->cell = sizes[i];
        if (map->columns <= room / view->cell) return;
    }
    if (room < 1) room = 1;
    view->block = (map->columns + room - 1) / room;
}

/* The largest value in a block of cells; NaN where all are blank. */
static float block_value(const struct view *view, int panel, int row, int column)
{
    float largest = NAN;
    for (int i = row; i < row + view->block && i < view->map->rows; i++)
        for (int j = column; j < column + view->block && j < view->map->columns; j++)
            largest = fmaxf(largest, scry__heatmap_value(view->map, panel, i, j));
    return largest;
}

static double place_on_scale(const struct view *view, double value)
{
    double span = view->maximum - view->minimum;
    return span > 0 ? (value - view->minimum) / span : 0;
}

static char density(double place)
{
    int count = (int)sizeof densities - 1;
    int index = place > 0 ? (int)(place * count) : 0;
    return densities[index < count ? index : count - 1];
}

static void add_cell(scry__text *out, const struct view *view, float value)
{
    bool plain = view->terminal->colour == SCRY__TERMINAL_PLAIN;
    char text[wide_cell + 1];
    if (isnan(value)) {
        scry__text_addf(out, "%*s", view->cell, "");
        return;
    }
    double place = place_on_scale(view, value);
    if (view->cell == wide_cell)
        snprintf(text, sizeof text, fabsf(value) < 9.995f ? "%5.2f" : "%5.0f", (double)value);
    else
        memset(text, plain ? density(place) : ' ', sizeof text);
    scry__terminal_shade(out, view->terminal, scry__colour_at(view->map->colours, place));
    scry__text_add(out, text, (size_t)view->cell);
}

static void add_row_head(scry__text *out, const struct view *view, int row)
{
    scry__text_addf(out, "%*d ", view->number_width, view->map->row_offset + row);
    if (view->rows) scry__label_fit(out, view->rows->texts[row], view->label_width, SCRY__ALIGN_LEFT);
    scry__text_adds(out, " ");
}

/* Numbers above the columns: all where they fit, else every tenth, upright where cells are narrow. */
static void add_column_numbers(scry__text *out, const struct view *view)
{
    int left  = view->number_width + 1 + view->label_width + 1;
    int shown = (view->map->columns + view->block - 1) / view->block;
    scry__text_addf(out, "%*s", left, "");
    if (view->cell == wide_cell) {
        for (int i = 0; i < shown; i++) {
            scry__text_adds(out, " ");
            if (view->columns)
                scry__label_fit(out, view->columns->texts[i], wide_cell - 1, SCRY__ALIGN_RIGHT);
            else
                scry__text_addf(out, "%4d", view->map->column_offset + i);
        }
    } else {
        for (int i = 0; i < shown; i += 10) {
            char number[32];
            int  column = view->map->column_offset + i * view->block;
            snprintf(number, sizeof number, "%-*d", 10 * view->cell, column);
            if (i == 0 || i * view->cell + digits(column) <= shown * view->cell) scry__text_adds(out, number);
        }
    }
    scry__terminal_end_line(out);
}

/* Where columns have other labels than rows and no room above: "0 The, 1 cat". */
static void add_column_list(scry__text *out, const struct view *view)
{
    int room = scry__terminal_columns(view->terminal), used = 0;
    if (!view->columns || view->cell == wide_cell || view->map->column_labels == view->map->row_labels) return;
    for (int i = 0; i < view->map->columns; i++) {
        int width = digits(view->map->column_offset + i) + scry__label_width(view->columns->texts[i]) + 3;
        if (used && used + width > room) {
            scry__text_adds(out, "\n");
            used = 0;
        }
        scry__text_addf(out, "%d %s%s", view->map->column_offset + i, view->columns->texts[i],
                        i + 1 < view->map->columns ? ", " : "");
        used += width;
    }
    scry__text_adds(out, "\n");
}

static void add_scale(scry__text *out, const struct view *view)
{
    scry__text_addf(out, "%.4g ", view->minimum);
    for (int i = 0; i < ramp_width; i++) {
        double place = (i + 0.5) / ramp_width;
        scry__terminal_shade(out, view->terminal, scry__colour_at(view->map->colours, place));
        char mark = view->terminal->colour == SCRY__TERMINAL_PLAIN ? density(place) : ' ';
        scry__text_add(out, &mark, 1);
    }
    scry__terminal_reset(out, view->terminal);
    scry__text_addf(out, " %.4g", view->maximum);
    if (view->map->unit) scry__text_addf(out, "  %s", view->map->unit);
    if (view->block > 1) scry__text_addf(out, "\neach cell is the largest of %d x %d", view->block, view->block);
    scry__text_adds(out, "\n");
}

static void add_panel(scry__text *out, const struct view *view, int panel)
{
    const scry__heatmap *map = view->map;
    if (map->panels[panel].title) {
        scry__terminal_bold(out, view->terminal);
        scry__text_adds(out, map->panels[panel].title);
        scry__terminal_reset(out, view->terminal);
        scry__text_adds(out, "\n");
    }
    add_column_numbers(out, view);
    for (int row = 0; row < map->rows; row += view->block) {
        bool shaded = false;
        add_row_head(out, view, row);
        for (int column = 0; column < map->columns; column += view->block) {
            float value = block_value(view, panel, row, column);
            if (isnan(value) && shaded) scry__terminal_reset(out, view->terminal);
            shaded = !isnan(value);
            add_cell(out, view, value);
        }
        if (shaded) scry__terminal_reset(out, view->terminal);
        scry__terminal_end_line(out);
    }
}

static int widest(const scry__labels *labels)
{
    int most = 0;
    for (int i = 0; labels && i < labels->count; i++) {
        int width = scry__label_width(labels->texts[i]);
        if (width > most) most = width;
    }
    return most < label_most ? most : label_most;
}

void scry__terminal_heatmap(scry__text *out, const scry__terminal *terminal, const scry__heatmap *heatmap)
{
    struct view view = {.terminal = terminal, .map = heatmap};
    if (!out->status && heatmap->row_labels)
        out->status = scry__labels_create(&view.rows, heatmap->row_labels, heatmap->rows);
    if (!out->status && heatmap->column_labels)
        out->status = scry__labels_create(&view.columns, heatmap->column_labels, heatmap->columns);
    if (!out->status) {
        scry__heatmap_scale(heatmap, &view.minimum, &view.maximum);
        view.number_width = digits(heatmap->row_offset + heatmap->rows - 1);
        view.label_width  = widest(view.rows);
        choose_cell(&view);
        if (heatmap->title) {
            scry__terminal_bold(out, terminal);
            scry__text_adds(out, heatmap->title);
            scry__terminal_reset(out, terminal);
            scry__text_adds(out, "\n");
        }
        if (heatmap->subtitle) scry__text_addf(out, "%s\n", heatmap->subtitle);
        for (int panel = 0; panel < heatmap->panel_count; panel++) {
            add_panel(out, &view, panel);
            if (panel + 1 < heatmap->panel_count) scry__text_adds(out, "\n");
        }
        add_column_list(out, &view);
        add_scale(out, &view);
    }
    scry__labels_destroy(&view.rows);
    scry__labels_destroy(&view.columns);
}

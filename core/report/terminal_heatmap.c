/* Heat maps for a terminal. See terminal.h.
 *
 * Each line is a row: its number and label, then the cells. Cells are 5 columns wide and hold their number where that
 * fits, else 2 columns of colour (or of a character that is the denser the larger the value), else 1. Several panels
 * are for comparing: they stand beside each other, in cells of 2 columns or 1. */
#include "report/terminal.h"

#include "base/alloc.h"
#include "report/terminal_shade.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { label_most = 18, widest_cell = 6, ramp_width = 20, panel_gap = 2 };
static const char densities[] = " .:-=+*#%@";

struct view {
    const scry__terminal *terminal;
    const scry__heatmap  *map;
    scry__labels         *rows, *columns; /* NULL where numbered only */
    double                minimum, maximum;
    int                   number_width, label_width;
    int                   wide;   /* columns of a cell that shows its number: 5, or 6 where it may have a sign */
    int                   cell;   /* columns of a cell: `wide`, 2 or 1 */
    int                   block;  /* rows and columns of the map that a cell stands for */
    int                   shown;  /* cells in a line of a panel */
    int                   panel;  /* columns of a panel: its cells, or its title where that is wider */
    int                   across; /* panels beside each other */
};

static int digits(int number)
{
    return snprintf(NULL, 0, "%d", number);
}

static void choose_cell(struct view *view)
{
    const scry__heatmap *map     = view->map;
    int                  room    = scry__terminal_columns(view->terminal) - view->number_width - view->label_width - 2;
    int                  sizes[] = {view->wide, 2, 1};
    if (room < 1) room = 1;
    for (int i = map->panel_count > 1; i < 3; i++) {
        view->cell = sizes[i];
        if (map->columns <= room / view->cell) break;
    }
    view->block = map->columns > room ? (map->columns + room - 1) / room : 1;
    view->shown = (map->columns + view->block - 1) / view->block;
    view->panel = view->shown * view->cell;
    for (int i = 0; i < map->panel_count; i++) {
        int width = map->panels[i].title ? scry__label_width(map->panels[i].title) : 0;
        if (width > room) width = room;
        if (width > view->panel) view->panel = width;
    }
    view->across = (room + panel_gap) / (view->panel + panel_gap);
    if (view->across < 1) view->across = 1;
    if (view->across > map->panel_count) view->across = map->panel_count;
}

/* The value in a block of cells that lies farthest from 0; NaN where all are blank. */
static float block_value(const struct view *view, int panel, int row, int column)
{
    float farthest = NAN;
    for (int i = row; i < row + view->block && i < view->map->rows; i++)
        for (int j = column; j < column + view->block && j < view->map->columns; j++) {
            float value = scry__heatmap_value(view->map, panel, i, j);
            if (isnan(farthest) || fabsf(value) > fabsf(farthest)) farthest = value;
        }
    return farthest;
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
    char text[widest_cell + 1];
    if (isnan(value)) {
        scry__text_addf(out, "%*s", view->cell, view->map->blank ? view->map->blank : "");
        return;
    }
    double place = place_on_scale(view, value);
    if (fabsf(value) < 0.005f) value = 0; /* shown without a sign */
    int size = view->wide;
    memset(text, plain ? density(place) : ' ', sizeof text);
    if (view->cell == view->wide)
        size = snprintf(text, sizeof text, "%*.*f", size, fabsf(value) < 9.995f ? 2 : 0, (double)value);
    if (size > view->wide) memset(text, '#', sizeof text);
    scry__terminal_shade(out, view->terminal, scry__colour_at(view->map->colours, place));
    scry__text_add(out, text, (size_t)view->cell);
}

static void add_row_head(scry__text *out, const struct view *view, int row)
{
    if (view->number_width) scry__text_addf(out, "%*d", view->number_width, view->map->row_offset + row);
    scry__text_adds(out, " ");
    if (view->rows) scry__label_fit(out, view->rows->texts[row], view->label_width, SCRY__ALIGN_LEFT);
    scry__text_adds(out, " ");
}

static void add_spaces(scry__text *out, int count)
{
    scry__text_addf(out, "%*s", count > 0 ? count : 0, "");
}

/* Above wide cells every column's label or number, else every tenth's number. */
static void add_column_numbers(scry__text *out, const struct view *view)
{
    int used = 0, width = view->shown * view->cell;
    for (int i = 0; i < view->shown; i++) {
        int column = view->map->column_offset + i * view->block;
        if (view->cell == view->wide && view->columns) {
            scry__text_adds(out, " ");
            scry__label_fit(out, view->columns->texts[i], view->wide - 1, SCRY__ALIGN_RIGHT);
            used += view->wide;
        } else if (view->cell == view->wide) {
            scry__text_addf(out, "%*d", view->wide, column);
            used += view->wide;
        } else if (i % 10 == 0 && (i == 0 || used + digits(column) <= width)) {
            int space = 10 * view->cell < width - used ? 10 * view->cell : width - used;
            scry__text_addf(out, "%-*d", space, column);
            used += space > digits(column) ? space : digits(column);
        }
    }
    add_spaces(out, view->panel - used);
}

/* Where columns have other labels than rows and no room above: "0 The, 1 cat". */
static void add_column_list(scry__text *out, const struct view *view)
{
    int room = scry__terminal_columns(view->terminal), used = 0;
    if (!view->columns || view->cell == view->wide || view->map->column_labels == view->map->row_labels) return;
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

static void add_row(scry__text *out, const struct view *view, int panel, int row)
{
    bool shaded = false;
    for (int column = 0; column < view->map->columns; column += view->block) {
        float value = block_value(view, panel, row, column);
        if (isnan(value) && shaded) scry__terminal_reset(out, view->terminal);
        shaded = !isnan(value);
        add_cell(out, view, value);
    }
    if (shaded) scry__terminal_reset(out, view->terminal);
    add_spaces(out, view->panel - view->shown * view->cell);
}

/* Panels [begin, end) beside each other, with row labels once. */
static void add_panels(scry__text *out, const struct view *view, int begin, int end)
{
    const scry__heatmap *map   = view->map;
    int                  left  = view->number_width + 1 + view->label_width + 1;
    bool                 named = false;
    for (int panel = begin; panel < end; panel++) named = named || map->panels[panel].title;
    for (int line = named ? 0 : 1; line < 2; line++) { /* titles, then column numbers */
        if (line == 0) scry__terminal_bold(out, view->terminal);
        add_spaces(out, left);
        for (int panel = begin; panel < end; panel++) {
            const char *title = map->panels[panel].title ? map->panels[panel].title : "";
            if (panel > begin) add_spaces(out, panel_gap);
            if (line)
                add_column_numbers(out, view);
            else if (end - begin == 1)
                scry__text_adds(out, title);
            else
                scry__label_fit(out, title, view->panel, SCRY__ALIGN_LEFT);
        }
        if (line == 0) scry__terminal_reset(out, view->terminal);
        scry__terminal_end_line(out);
    }
    for (int row = 0; row < map->rows; row += view->block) {
        add_row_head(out, view, row);
        for (int panel = begin; panel < end; panel++) {
            if (panel > begin) add_spaces(out, panel_gap);
            add_row(out, view, panel, row);
        }
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
        view.number_width = heatmap->row_names ? 0 : digits(heatmap->row_offset + heatmap->rows - 1);
        view.label_width  = widest(view.rows);
        view.wide         = view.minimum < 0 ? widest_cell : widest_cell - 1;
        choose_cell(&view);
        if (heatmap->title) {
            scry__terminal_bold(out, terminal);
            scry__text_adds(out, heatmap->title);
            scry__terminal_reset(out, terminal);
            scry__text_adds(out, "\n");
        }
        if (heatmap->subtitle) scry__text_addf(out, "%s\n", heatmap->subtitle);
        for (int panel = 0; panel < heatmap->panel_count; panel += view.across) {
            int end = panel + view.across < heatmap->panel_count ? panel + view.across : heatmap->panel_count;
            if (panel) scry__text_adds(out, "\n");
            add_panels(out, &view, panel, end);
        }
        add_column_list(out, &view);
        add_scale(out, &view);
    }
    scry__labels_destroy(&view.rows);
    scry__labels_destroy(&view.columns);
}

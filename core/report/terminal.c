/* Tables and progress lines for a terminal. See terminal.h; heat maps are in terminal_heatmap.c. */
#include "report/terminal.h"

#include "base/alloc.h"
#include "report/terminal_shade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { default_width = 80, column_least = 3, bar_most = 30 };

int scry__terminal_columns(const scry__terminal *terminal)
{
    return terminal->width > 0 ? terminal->width : default_width;
}

/* The nearest of the 216 colours in the 6 x 6 x 6 cube. */
static int cube_index(scry__rgb colour)
{
    static const int levels[] = {0, 95, 135, 175, 215, 255};
    const int        parts[]  = {colour.red, colour.green, colour.blue};
    int              index    = 0;
    for (int i = 0; i < 3; i++) {
        int best = 0;
        for (int k = 1; k < 6; k++)
            if (abs(levels[k] - parts[i]) < abs(levels[best] - parts[i])) best = k;
        index = 6 * index + best;
    }
    return 16 + index;
}

void scry__terminal_shade(scry__text *out, const scry__terminal *terminal, scry__rgb colour)
{
    int ink = scry__colour_is_light(colour) ? 16 : 231; /* black and white in the cube */
    if (terminal->colour == SCRY__TERMINAL_TRUE_COLOUR)
        scry__text_addf(out, "\x1b[38;5;%d;48;2;%d;%d;%dm", ink, colour.red, colour.green, colour.blue);
    if (terminal->colour == SCRY__TERMINAL_256) scry__text_addf(out, "\x1b[38;5;%d;48;5;%dm", ink, cube_index(colour));
}

void scry__terminal_bold(scry__text *out, const scry__terminal *terminal)
{
    if (terminal->colour != SCRY__TERMINAL_PLAIN) scry__text_adds(out, "\x1b[1m");
}

void scry__terminal_reset(scry__text *out, const scry__terminal *terminal)
{
    if (terminal->colour != SCRY__TERMINAL_PLAIN) scry__text_adds(out, "\x1b[0m");
}

static const char *cell_at(const scry__table *table, int row, int column)
{
    const char *text = table->cells[(size_t)row * (size_t)table->column_count + (size_t)column];
    return text ? text : "";
}

/* The width of each column: its widest cell, the widest columns cut until the line fits. */
static void choose_widths(int *widths, const scry__table *table, int room)
{
    int total = (table->column_count - 1) * SCRY__TABLE_GAP;
    for (int column = 0; column < table->column_count; column++) {
        const char *heading = table->columns[column].heading;
        widths[column]      = heading ? scry__label_width(heading) : 0;
        for (int row = 0; row < table->row_count; row++) {
            int width = scry__label_width(cell_at(table, row, column));
            if (width > widths[column]) widths[column] = width;
        }
        total += widths[column];
    }
    while (total > room) {
        int widest = -1;
        for (int column = 0; column < table->column_count; column++)
            if (!table->columns[column].whole && (widest < 0 || widths[column] > widths[widest])) widest = column;
        if (widest < 0 || widths[widest] <= column_least) return;
        widths[widest]--;
        total--;
    }
}

void scry__terminal_end_line(scry__text *out)
{
    while (out->size && out->data[out->size - 1] == ' ') out->data[--out->size] = 0;
    scry__text_adds(out, "\n");
}

static void add_heading(scry__text *out, const scry__terminal *terminal, const scry__table *table, const int *widths)
{
    bool any = false;
    for (int column = 0; column < table->column_count; column++) any = any || table->columns[column].heading;
    if (!any) return;
    scry__terminal_bold(out, terminal);
    for (int column = 0; column < table->column_count; column++) {
        const char *heading = table->columns[column].heading;
        if (column) scry__text_addf(out, "%*s", SCRY__TABLE_GAP, "");
        scry__label_fit(out, heading ? heading : "", widths[column], table->columns[column].align);
    }
    scry__terminal_reset(out, terminal);
    scry__terminal_end_line(out);
}

scry_status scry__terminal_table(scry__text *out, const scry__terminal *terminal, const scry__table *table)
{
    int *widths = scry__alloc((size_t)table->column_count, sizeof *widths);
    if (!widths) return SCRY_OUT_OF_MEMORY;
    choose_widths(widths, table, scry__terminal_columns(terminal));
    add_heading(out, terminal, table, widths);
    for (int row = 0; row < table->row_count; row++) {
        for (int column = 0; column < table->column_count; column++) {
            size_t at = (size_t)row * (size_t)table->column_count + (size_t)column;
            if (column) scry__text_addf(out, "%*s", SCRY__TABLE_GAP, "");
            if (table->shades) scry__terminal_shade(out, terminal, table->shades[at]);
            scry__label_fit(out, cell_at(table, row, column), widths[column], table->columns[column].align);
            if (table->shades) scry__terminal_reset(out, terminal);
        }
        scry__terminal_end_line(out);
    }
    scry__free(widths);
    return out->status;
}

void scry__terminal_progress(scry__text *out, const scry__terminal *terminal, const char *label, int64_t done,
                             int64_t total, double seconds, double left)
{
    char numbers[128], time[32] = "", rest[32] = "";
    int  room = scry__terminal_columns(terminal) - 1; /* the last column would wrap in some terminals */
    if (seconds >= 0) snprintf(time, sizeof time, "  %.1f s", seconds);
    if (left >= 120)
        snprintf(rest, sizeof rest, ", %.0f min left", left / 60);
    else if (left >= 0)
        snprintf(rest, sizeof rest, ", %.0f s left", left);
    snprintf(numbers, sizeof numbers, "  %lld/%lld%s%s", (long long)done, (long long)total, time, rest);
    int label_width = scry__label_width(label), number_width = (int)strlen(numbers);
    int bar = room - label_width - number_width - 4;
    if (bar > bar_most) bar = bar_most;
    if (bar < 5) bar = 0;
    int text_room = room - number_width - (bar ? bar + 4 : 0);
    scry__label_fit(out, label, label_width < text_room ? label_width : text_room, SCRY__ALIGN_LEFT);
    if (bar) {
        int filled = total > 0 ? (int)((double)bar * (double)(done < total ? done : total) / (double)total) : bar;
        scry__text_adds(out, "  [");
        for (int i = 0; i < bar; i++) scry__text_adds(out, i < filled ? "#" : ".");
        scry__text_adds(out, "]");
    }
    scry__text_adds(out, numbers);
}

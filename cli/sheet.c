/* Tables under construction. See sheet.h. */
#include "cli/sheet.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>

bool cli_sheet_create(struct cli_sheet *sheet, int columns, int64_t most_rows)
{
    *sheet       = (struct cli_sheet){.columns = columns};
    sheet->cells = scry__alloc((size_t)columns * (size_t)most_rows, sizeof *sheet->cells);
    return sheet->cells;
}

void cli_sheet_finish(struct cli_sheet *sheet)
{
    scry__free(sheet->cells);
    *sheet = (struct cli_sheet){0};
}

void cli_sheet_put(struct cli_sheet *sheet, int column, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sheet->cells[sheet->rows * sheet->columns + column], CLI_SHEET_CELL, format, arguments);
    va_end(arguments);
}

void cli_sheet_put_token(struct cli_sheet *sheet, int column, const char *text)
{
    scry__text label = {0};
    scry__label_add(&label, text);
    cli_sheet_put(sheet, column, "%s", label.status ? "" : label.data);
    scry__text_finish(&label);
}

void cli_sheet_put_seconds(struct cli_sheet *sheet, int column, double seconds)
{
    if (seconds < 1e-3)
        cli_sheet_put(sheet, column, "%.4g us", seconds * 1e6);
    else if (seconds < 1)
        cli_sheet_put(sheet, column, "%.4g ms", seconds * 1e3);
    else
        cli_sheet_put(sheet, column, "%.4g s", seconds);
}

static bool is_empty(const struct cli_sheet *sheet, int column)
{
    for (int row = 0; row < sheet->rows; row++)
        if (*sheet->cells[row * sheet->columns + column]) return false;
    return true;
}

scry_status cli_sheet_add(scry__text *out, const scry__terminal *terminal, const struct cli_sheet *sheet,
                          const scry__table_column *columns)
{
    scry__table_column shown[CLI_SHEET_COLUMNS];
    int                count = 0;
    const char       **cells = scry__alloc((size_t)(sheet->rows * sheet->columns), sizeof *cells);
    if (!cells) return SCRY_OUT_OF_MEMORY;
    for (int column = 0; column < sheet->columns; column++)
        if (!is_empty(sheet, column)) shown[count++] = columns[column];
    for (int row = 0, at = 0; row < sheet->rows; row++)
        for (int column = 0; column < sheet->columns; column++)
            if (!is_empty(sheet, column)) cells[at++] = sheet->cells[row * sheet->columns + column];
    const scry__table table  = {.column_count = count, .row_count = sheet->rows, .columns = shown, .cells = cells};
    scry_status       status = sheet->rows ? scry__terminal_table(out, terminal, &table) : SCRY_OK;
    scry__free(cells);
    return status;
}

/* A table under construction: cells of text, row by row; columns without any text are not shown. */
#ifndef SCRY_CLI_SHEET_H
#define SCRY_CLI_SHEET_H

#include "report/terminal.h"

enum { CLI_SHEET_CELL = 80, CLI_SHEET_COLUMNS = 16 };

struct cli_sheet {
    int columns, rows;
    char (*cells)[CLI_SHEET_CELL];
};

/* At most CLI_SHEET_COLUMNS columns. False when memory is refused. */
bool cli_sheet_create(struct cli_sheet *sheet, int columns, int64_t most_rows);
void cli_sheet_finish(struct cli_sheet *sheet);

/* The cell of the row under way, which ends where the caller raises sheet->rows. */
void cli_sheet_put(struct cli_sheet *sheet, int column, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A token's text, its spaces and controls shown. */
void cli_sheet_put_token(struct cli_sheet *sheet, int column, const char *text);
/* As us, ms or s. */
void cli_sheet_put_seconds(struct cli_sheet *sheet, int column, double seconds);

scry_status cli_sheet_add(scry__text *out, const scry__terminal *terminal, const struct cli_sheet *sheet,
                          const scry__table_column *columns);

#endif

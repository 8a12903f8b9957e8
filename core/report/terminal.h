/* Results for a terminal, appended to a text; nothing is printed here. */
#ifndef SCRY_REPORT_TERMINAL_H
#define SCRY_REPORT_TERMINAL_H

#include "base/text.h"
#include "report/heatmap.h"
#include "report/label.h"

typedef enum scry__terminal_colour {
    SCRY__TERMINAL_PLAIN,      /* no escapes: shades are characters, values digits */
    SCRY__TERMINAL_256,        /* the 256-colour palette */
    SCRY__TERMINAL_TRUE_COLOUR /* 24 bits */
} scry__terminal_colour;

typedef struct scry__terminal {
    int                   width; /* columns; 0: 80 */
    scry__terminal_colour colour;
} scry__terminal;

/* A heat map: one line a row, row labels at the left, column labels or numbers above, the scale below. Several panels
 * stand beside each other as far as they fit. Maps wider than the terminal are reduced to block maxima, and say so. */
void scry__terminal_heatmap(scry__text *out, const scry__terminal *terminal, const scry__heatmap *heatmap);

/* A table of texts. Cells are given row by row; NULL is empty. Columns are as wide as their widest cell; where that is
 * more than the terminal has, the widest columns are cut. */
typedef struct scry__table_column {
    const char *heading; /* NULL in all columns: no heading line */
    scry__align align;
    bool        whole; /* never cut */
} scry__table_column;

enum { SCRY__TABLE_GAP = 2 }; /* between columns */

typedef struct scry__table {
    int                       column_count, row_count;
    const scry__table_column *columns;
    const char *const        *cells;  /* [row_count, column_count] */
    const scry__rgb          *shades; /* [row_count, column_count], background of each cell; NULL: none */
} scry__table;

scry_status scry__terminal_table(scry__text *out, const scry__terminal *terminal, const scry__table *table);

/* "label  [#####.....]  12/40  3.1 s, 7 s left", cut to the width, without a newline; seconds or left < 0: left out. */
void scry__terminal_progress(scry__text *out, const scry__terminal *terminal, const char *label, int64_t done,
                             int64_t total, double seconds, double left);

#endif

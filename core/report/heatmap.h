/* Heat maps as pictures: one panel, or a grid of panels that share one stated colour scale. */
#ifndef SCRY_REPORT_HEATMAP_H
#define SCRY_REPORT_HEATMAP_H

#include "report/colour.h"
#include "scry/status.h"

#include <stdbool.h>

typedef struct scry__heatmap_panel {
    const float *values; /* [rows, columns], row-major; NaN leaves the cell blank */
    const char  *title;  /* "head 3"; NULL: none */
} scry__heatmap_panel;

/* Plain data; everything belongs to the caller. Texts are UTF-8. */
typedef struct scry__heatmap {
    int                        rows, columns;
    const char *const         *row_labels; /* token texts as they are; NULL: numbers from 0 */
    const char *const         *column_labels;
    bool                       row_names; /* row labels say all: the terminal puts no numbers before them */
    int                        row_offset, column_offset; /* the number of the first row and column, where numbered */
    int                        panel_count;
    const scry__heatmap_panel *panels;
    const char *const         *cell_texts; /* [rows, columns], of a lone panel, in cells wide enough for them; NULL: */
                                           /* values, where they fit */
    int           panel_columns;           /* panels beside each other; 0: a good number */
    const char   *title, *subtitle, *row_axis, *column_axis; /* NULL: none */
    const char   *unit;                                      /* of the values, for the scale: "attention weight" */
    float         minimum, maximum; /* the scale; equal: the smallest and largest finite value */
    scry__colours colours;
    const char   *blank;  /* what stands in a cell of NaN in a terminal; NULL: nothing */
    bool          causal; /* cells whose column number exceeds the row number stay blank (masked) */
} scry__heatmap;

/* Writes .png, .svg or .pdf, by the path's extension; whole or not at all. SCRY_BAD_ARGUMENT: another extension, or
 * more cells than a picture can show (the message gives the limit). */
scry_status scry__heatmap_write(const char *path, const scry__heatmap *heatmap);

/* The same of several, one below the other. */
scry_status scry__heatmaps_write(const char *path, const scry__heatmap *heatmaps, int count);

/* The scale that a heat map uses, as stated in its legend: an equal minimum and maximum replaced by the data's. */
void scry__heatmap_scale(const scry__heatmap *heatmap, double *minimum, double *maximum);

/* Labels for columns of heads, "0" to "11", and of what stands beside them, which stays the caller's; in one block, to
 * be released with scry__free. NULL when memory is refused. */
const char **scry__heatmap_head_labels(int heads, const char *const *others, int other_count);

/* The value at a cell, NaN where it is blank. */
float scry__heatmap_value(const scry__heatmap *heatmap, int panel, int row, int column);

#endif

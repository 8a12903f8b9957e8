/* Where everything in a heat map's picture goes; shared by heatmap_layout.c, which decides, and heatmap_draw.c, which
 * draws. Lengths are in units of 1/72 inch, from the picture's top left corner. */
#ifndef SCRY_REPORT_HEATMAP_LAYOUT_H
#define SCRY_REPORT_HEATMAP_LAYOUT_H

#include "report/heatmap.h"
#include "report/label.h"
#include "report/picture.h"

typedef struct scry__heatmap_layout {
    const scry__heatmap *map;
    scry__fonts          fonts;
    scry__labels        *row_labels, *column_labels, *cell_labels; /* as shown; cell_labels: NULL or one a cell */
    double               minimum, maximum;
    int                  panel_columns, panel_rows;
    double               width, height;
    double               margin;
    double               plot_left, plot_top; /* of the first panel's cells */
    double               cell_width, cell_height, plot_width, plot_height;
    double               pitch_x, pitch_y; /* from panel to panel */
    double               label_limit;      /* longer labels are cut */
    double               column_label_height;
    int                  row_step, column_step; /* every n-th label is shown */
    double               turn;                  /* of column labels: 0, 45 or 90 degrees to the left, in radians */
    bool                 texts;                 /* cells hold their text, or are large enough for their number */
    double               scale_left, scale_top, scale_height;
} scry__heatmap_layout;

enum { SCRY__SCALE_WIDTH = 12, SCRY__SCALE_GAP = 26, SCRY__TICK = 4 };

scry_status scry__heatmap_measure(scry__heatmap_layout *layout, const scry__heatmap *map);
void        scry__heatmap_layout_finish(scry__heatmap_layout *layout);

void scry__heatmap_draw(cairo_t *cairo, const scry__heatmap_layout *layout);

/* A number as the scale and the cells show it. */
void scry__heatmap_number(char out[32], double value, bool short_form);

#endif

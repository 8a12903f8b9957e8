/* Curves as pictures: lines and dots over one axis, with levels across and marks along it; also several, one below the
 * other. */
#ifndef SCRY_REPORT_CURVE_H
#define SCRY_REPORT_CURVE_H

#include "scry/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct scry__curve_point {
    double x, y;
    double low, high; /* how far it spreads; equal: not at all */
} scry__curve_point;

typedef enum scry__curve_style {
    SCRY__CURVE_LINE,   /* in a band for the spread */
    SCRY__CURVE_DOTS,   /* each with a bar for the spread */
    SCRY__CURVE_MARKED, /* a line through dots */
    SCRY__CURVE_DASHED, /* in a fainter band */
} scry__curve_style;

typedef struct scry__curve_series {
    const char              *name;   /* NULL: it is told elsewhere */
    const scry__curve_point *points; /* x ascending; those with a y that is not finite are left out */
    int                      count;
    uint32_t                 colour; /* 0xrrggbb */
    scry__curve_style        style;
} scry__curve_series;

/* A dashed line from side to side. */
typedef struct scry__curve_level {
    const char *name;
    double      y;
    uint32_t    colour;
} scry__curve_level;

/* Plain data; everything belongs to the caller. Texts are UTF-8. */
typedef struct scry__curve {
    const char               *title, *subtitle; /* NULL: none */
    const char               *x_axis, *y_axis;
    int                       height; /* of the plot; 0: a good one */
    const scry__curve_series *series;
    int                       series_count;
    const scry__curve_level  *levels;
    int                       level_count;
    const double             *marks; /* small ticks under the x axis, such as checkpoints */
    int                       mark_count;
    const char               *mark_name;
    const char               *description; /* for search and screen readers */
} scry__curve;

/* Writes .png, .svg or .pdf, by the path's extension; whole or not at all. SCRY_BAD_ARGUMENT: another extension, or no
 * point to draw. */
scry_status scry__curve_write(const char *path, const scry__curve *curve);

/* The same of several, one below the other; title and description are the first one's. */
scry_status scry__curves_write(const char *path, const scry__curve *curves, int count);

#endif

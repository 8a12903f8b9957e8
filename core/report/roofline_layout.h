/* Where everything in a roofline's picture goes; shared by roofline.c, which decides, and roofline_draw.c, which draws.
 */
#ifndef SCRY_REPORT_ROOFLINE_LAYOUT_H
#define SCRY_REPORT_ROOFLINE_LAYOUT_H

#include "report/picture.h"
#include "report/roofline.h"

/* A measured row with arithmetic. Rows of one name share their number. */
typedef struct scry__roofline_point {
    const scry__bench_row *row;
    int                    device, number; /* from 1 */
    double                 intensity, gflops;
    double                 x, y;             /* of the dot */
    double                 label_x, label_y; /* of the number's middle */
} scry__roofline_point;

/* An axis in decades. */
typedef struct scry__roofline_axis {
    double least, most; /* what its ends stand for */
    double from, to;    /* where they lie */
} scry__roofline_axis;

typedef struct scry__roofline_layout {
    const scry__bench_record *record;
    scry__fonts               fonts;
    char                      title[160], subtitle[256];
    int                       point_count, number_count;
    scry__roofline_point     *points;
    const char              **names; /* of each number */
    scry__roofline_axis       intensity, speed;
    double                    width, height, list_left, list_top, name_width;
} scry__roofline_layout;

enum {
    SCRY__ROOFLINE_MARGIN = 28,
    SCRY__ROOFLINE_LINE   = 15,  /* from line to line of the list */
    SCRY__ROOFLINE_DEVICE = 3,   /* lines about a device */
    SCRY__ROOFLINE_COLUMN = 108, /* a device's column in it */
    SCRY__ROOFLINE_DOT    = 4,
};

double scry__roofline_place(const scry__roofline_axis *axis, double value);

/* Bytes a second of the largest copy, and of the fastest. */
double scry__roofline_memory(const scry__bench_device *device);
double scry__roofline_cache(const scry__bench_device *device);

uint32_t scry__roofline_colour(int device);

void scry__roofline_draw(cairo_t *cairo, const scry__roofline_layout *layout);

#endif

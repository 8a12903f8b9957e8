/* Pictures: text set by Pango, drawn by cairo, written as .png, .svg or .pdf. Lengths are in units of 1/72 inch, from
 * the picture's top left corner. */
#ifndef SCRY_REPORT_PICTURE_H
#define SCRY_REPORT_PICTURE_H

#include "scry/status.h"

#include <pango/pangocairo.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct scry__text_style {
    double   size; /* of the em square */
    bool     bold;
    bool     wrap;   /* else cut with an ellipsis, where wider than asked */
    uint32_t colour; /* 0xrrggbb */
} scry__text_style;

extern const scry__text_style scry__style_title, scry__style_subtitle, scry__style_axis, scry__style_label,
    scry__style_panel, scry__style_value;

/* A picture's own fonts: the thread's shared ones would keep what they loaded. */
typedef struct scry__fonts {
    PangoFontMap *map;
    PangoContext *context;
} scry__fonts;

void scry__fonts_create(scry__fonts *fonts);
void scry__fonts_destroy(scry__fonts *fonts);

/* A text ready to be drawn; `limit` > 0 is where it wraps or is cut. Release with g_object_unref. */
PangoLayout *scry__fonts_text(const scry__fonts *fonts, const char *text, scry__text_style style, double limit);

/* Its size; either place may be NULL. */
void scry__fonts_measure(const scry__fonts *fonts, const char *text, scry__text_style style, double limit,
                         double *width, double *height);

void scry__picture_colour(cairo_t *cairo, uint32_t colour);

/* Draws a text turned by `angle` about (x, y), which lies at the given shares of its box. */
void scry__picture_text(cairo_t *cairo, const scry__fonts *fonts, const char *text, scry__text_style style, double x,
                        double y, double angle, double share_x, double share_y, double limit);

typedef struct scry__picture {
    double      width, height;
    const char *title;
    const char *description; /* what it shows, in words: an SVG holds it for search and for screen readers */
    void (*draw)(cairo_t *cairo, const void *state);
    const void *state;
} scry__picture;

/* SCRY_BAD_ARGUMENT where the path ends in none of .png, .svg and .pdf. */
scry_status scry__picture_check(const char *path);

/* Draws into a file of the kind that its path's extension names; whole or not at all. */
scry_status scry__picture_write(const char *path, const scry__picture *picture);

#endif

/* Heat maps to .png, .svg and .pdf files. See heatmap.h. */
#include "report/heatmap.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "report/heatmap_layout.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <string.h>
#include <strings.h>

enum {
    side_limit      = 8192, /* rows or columns of a panel */
    panel_limit     = 4096,
    cell_limit      = 1 << 26, /* of all panels */
    sharp_scale     = 2,       /* pixels per unit in a PNG */
    png_side_limit  = 30000,   /* cairo draws up to 32,767 */
    description_top = 400,     /* labels listed in an SVG's description */
};

float scry__heatmap_value(const scry__heatmap *heatmap, int panel, int row, int column)
{
    if (heatmap->causal && heatmap->column_offset + column > heatmap->row_offset + row) return NAN;
    return heatmap->panels[panel].values[(size_t)row * (size_t)heatmap->columns + (size_t)column];
}

void scry__heatmap_scale(const scry__heatmap *heatmap, double *minimum, double *maximum)
{
    *minimum = heatmap->minimum;
    *maximum = heatmap->maximum;
    if (heatmap->minimum != heatmap->maximum) return;
    *minimum = INFINITY;
    *maximum = -INFINITY;
    for (int panel = 0; panel < heatmap->panel_count; panel++)
        for (int row = 0; row < heatmap->rows; row++)
            for (int column = 0; column < heatmap->columns; column++) {
                float value = scry__heatmap_value(heatmap, panel, row, column);
                if (!isfinite(value)) continue;
                *minimum = fmin(*minimum, value);
                *maximum = fmax(*maximum, value);
            }
    if (*minimum > *maximum) *minimum = *maximum = 0;
    if (heatmap->colours == SCRY__COLOURS_DIVERGING) { /* 0 belongs in the middle */
        *maximum = fmax(fabs(*minimum), fabs(*maximum));
        *minimum = -*maximum;
    }
}

static cairo_status_t append(void *text, const unsigned char *data, unsigned int size)
{
    scry__text_add(text, (const char *)data, size);
    return ((scry__text *)text)->status ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static void draw_png(scry__text *out, cairo_status_t *status, const scry__heatmap_layout *layout)
{
    double           longer = fmax(layout->width, layout->height);
    double           scale  = longer * sharp_scale <= png_side_limit ? sharp_scale : 1;
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(layout->width * scale), (int)(layout->height * scale));
    cairo_t *cairo = cairo_create(surface);
    cairo_scale(cairo, scale, scale);
    scry__heatmap_draw(cairo, layout);
    *status = cairo_status(cairo);
    if (!*status) *status = cairo_surface_write_to_png_stream(surface, append, out);
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
}

static void draw_vectors(scry__text *out, cairo_status_t *status, const scry__heatmap_layout *layout, bool pdf)
{
    cairo_surface_t *surface = pdf ? cairo_pdf_surface_create_for_stream(append, out, layout->width, layout->height)
                                   : cairo_svg_surface_create_for_stream(append, out, layout->width, layout->height);
    if (pdf) {
        /* No clock: the same picture gives the same bytes. */
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
        if (layout->map->title) cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, layout->map->title);
    }
    cairo_t *cairo = cairo_create(surface);
    scry__heatmap_draw(cairo, layout);
    cairo_show_page(cairo);
    *status = cairo_status(cairo);
    cairo_surface_finish(surface);
    if (!*status) *status = cairo_surface_status(surface);
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
}

static void add_escaped(scry__text *out, const char *text)
{
    for (; *text; text++) switch (*text) {
        case '<':
            scry__text_adds(out, "&lt;");
            break;
        case '&':
            scry__text_adds(out, "&amp;");
            break;
        default:
            scry__text_add(out, text, 1);
        }
}

static void add_labels(scry__text *out, const char *axis, const scry__labels *labels)
{
    scry__text_addf(out, "\n%s:", axis);
    for (int i = 0; i < labels->count && i < description_top; i++) {
        scry__text_adds(out, " ");
        add_escaped(out, labels->texts[i]);
    }
    if (labels->count > description_top) scry__text_addf(out, " and %d more", labels->count - description_top);
}

/* Text is drawn as outlines, so that it looks the same everywhere. For search and for screen readers, an SVG says in
 * words what it shows, right behind its <svg ...> tag. */
static void add_description(scry__text *out, const scry__text *drawing, const scry__heatmap_layout *layout)
{
    const scry__heatmap *map = layout->map;
    const char          *tag = drawing->data ? strstr(drawing->data, "<svg") : NULL;
    const char          *end = tag ? strchr(tag, '>') : NULL;
    char                 minimum[32], maximum[32];
    if (!end) return;
    scry__heatmap_number(minimum, layout->minimum, false);
    scry__heatmap_number(maximum, layout->maximum, false);
    scry__text_add(out, drawing->data, (size_t)(end + 1 - drawing->data));
    scry__text_adds(out, "\n<title>");
    add_escaped(out, map->title ? map->title : "Heat map");
    scry__text_adds(out, "</title>\n<desc>");
    if (map->subtitle) add_escaped(out, map->subtitle);
    scry__text_adds(out, "\nScale: ");
    add_escaped(out, map->unit ? map->unit : "value");
    scry__text_addf(out, " from %s to %s", minimum, maximum);
    add_labels(out, "Rows", layout->row_labels);
    add_labels(out, "Columns", layout->column_labels);
    scry__text_adds(out, "</desc>");
    scry__text_add(out, end + 1, drawing->size - (size_t)(end + 1 - drawing->data));
}

static scry_status check(const char *path, const scry__heatmap *map)
{
    if (map->rows < 1 || map->columns < 1 || map->panel_count < 1)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: a heat map needs at least one row, column and panel", path);
    if (map->rows > side_limit || map->columns > side_limit || map->panel_count > panel_limit ||
        (double)map->rows * map->columns * map->panel_count > cell_limit)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%s: %d panels of %d x %d cells: a picture shows up to %d x %d cells, %d panels and %d cells "
                          "in all; choose fewer heads or a range of queries and keys",
                          path, map->panel_count, map->rows, map->columns, side_limit, side_limit, panel_limit,
                          cell_limit);
    return SCRY_OK;
}

scry_status scry__heatmap_write(const char *path, const scry__heatmap *heatmap)
{
    scry__heatmap_layout layout  = {0};
    scry__text           drawing = {0}, file = {0};
    cairo_status_t       drawn = CAIRO_STATUS_SUCCESS;
    const char          *point = strrchr(path, '.');
    const char          *kind  = point && !strchr(point, '/') ? point : "";
    bool png = !strcasecmp(kind, ".png"), svg = !strcasecmp(kind, ".svg"), pdf = !strcasecmp(kind, ".pdf");
    if (!png && !svg && !pdf)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: expected a name that ends in .png, .svg or .pdf", path);
    scry_status status = check(path, heatmap);
    if (!status) status = scry__heatmap_measure(&layout, heatmap);
    if (status) return status;
    if (png)
        draw_png(&drawing, &drawn, &layout);
    else
        draw_vectors(&drawing, &drawn, &layout, pdf);
    if (svg) add_description(&file, &drawing, &layout);
    status = drawing.status ? drawing.status : file.status;
    if (!status && drawn)
        status = scry__fail(drawn == CAIRO_STATUS_NO_MEMORY ? SCRY_OUT_OF_MEMORY : SCRY_BAD_ARGUMENT,
                            "%s: cannot draw: %s", path, cairo_status_to_string(drawn));
    if (!status) status = scry__file_write(path, svg ? file.data : drawing.data, svg ? file.size : drawing.size);
    scry__text_finish(&drawing);
    scry__text_finish(&file);
    scry__heatmap_layout_finish(&layout);
    return status;
}

/* Pictures as files, and text in them. See picture.h. */
#include "report/picture.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <string.h>
#include <strings.h>

enum {
    sharp_scale    = 2,     /* pixels per unit in a PNG */
    png_side_limit = 30000, /* cairo draws up to 32,767 */
};

const scry__text_style scry__style_title    = {17, true, true, 0x1a1a1a};
const scry__text_style scry__style_subtitle = {11.5, false, true, 0x5f6368};
const scry__text_style scry__style_axis     = {11.5, false, false, 0x5f6368};
const scry__text_style scry__style_label    = {10.5, false, false, 0x222222};
const scry__text_style scry__style_panel    = {11.5, true, false, 0x333333};
const scry__text_style scry__style_value    = {10, false, false, 0x000000};

/* --- text --- */

void scry__fonts_create(scry__fonts *fonts)
{
    cairo_font_options_t *options = cairo_font_options_create();
    fonts->map                    = pango_cairo_font_map_new();
    fonts->context                = pango_font_map_create_context(fonts->map);
    /* Unhinted metrics: the same layout in pixels and in vectors. */
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(fonts->context, options);
    cairo_font_options_destroy(options);
}

void scry__fonts_destroy(scry__fonts *fonts)
{
    if (fonts->context) g_object_unref(fonts->context);
    if (fonts->map) g_object_unref(fonts->map);
    *fonts = (scry__fonts){0};
}

PangoLayout *scry__fonts_text(const scry__fonts *fonts, const char *text, scry__text_style style, double limit)
{
    PangoLayout          *out  = pango_layout_new(fonts->context);
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family_static(font, "DejaVu Sans, Noto Sans, Liberation Sans, Sans");
    pango_font_description_set_absolute_size(font, style.size * PANGO_SCALE);
    pango_font_description_set_weight(font, style.bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(out, font);
    pango_font_description_free(font);
    pango_layout_set_text(out, text, -1);
    if (limit > 0) {
        pango_layout_set_width(out, (int)(limit * PANGO_SCALE));
        if (style.wrap)
            pango_layout_set_wrap(out, PANGO_WRAP_WORD_CHAR);
        else
            pango_layout_set_ellipsize(out, PANGO_ELLIPSIZE_END);
    }
    if (!style.wrap) pango_layout_set_single_paragraph_mode(out, TRUE);
    return out;
}

void scry__fonts_measure(const scry__fonts *fonts, const char *text, scry__text_style style, double limit,
                         double *width, double *height)
{
    PangoLayout *drawn = scry__fonts_text(fonts, text, style, limit);
    int          pixels_wide, pixels_high;
    pango_layout_get_pixel_size(drawn, &pixels_wide, &pixels_high);
    if (width) *width = pixels_wide;
    if (height) *height = pixels_high;
    g_object_unref(drawn);
}

void scry__picture_colour(cairo_t *cairo, uint32_t colour)
{
    cairo_set_source_rgb(cairo, (colour >> 16) / 255.0, (colour >> 8 & 0xff) / 255.0, (colour & 0xff) / 255.0);
}

void scry__picture_text(cairo_t *cairo, const scry__fonts *fonts, const char *text, scry__text_style style, double x,
                        double y, double angle, double share_x, double share_y, double limit)
{
    PangoLayout *drawn = scry__fonts_text(fonts, text, style, 0);
    int          width, height;
    pango_layout_get_pixel_size(drawn, &width, &height);
    if (limit > 0 && width > limit) {
        g_object_unref(drawn);
        drawn = scry__fonts_text(fonts, text, style, limit);
        pango_layout_get_pixel_size(drawn, &width, &height);
    }
    cairo_save(cairo);
    scry__picture_colour(cairo, style.colour);
    cairo_translate(cairo, x, y);
    cairo_rotate(cairo, angle);
    cairo_move_to(cairo, -share_x * width, -share_y * height);
    pango_cairo_show_layout(cairo, drawn);
    cairo_restore(cairo);
    cairo_new_path(cairo); /* else what is drawn next begins here */
    g_object_unref(drawn);
}

/* --- files --- */

static cairo_status_t append(void *text, const unsigned char *data, unsigned int size)
{
    scry__text_add(text, (const char *)data, size);
    return ((scry__text *)text)->status ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static void draw_png(scry__text *out, cairo_status_t *status, const scry__picture *picture)
{
    double           longer = fmax(picture->width, picture->height);
    double           scale  = longer * sharp_scale <= png_side_limit ? sharp_scale : 1;
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(picture->width * scale), (int)(picture->height * scale));
    cairo_t *cairo = cairo_create(surface);
    cairo_scale(cairo, scale, scale);
    picture->draw(cairo, picture->state);
    *status = cairo_status(cairo);
    if (!*status) *status = cairo_surface_write_to_png_stream(surface, append, out);
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
}

static void draw_vectors(scry__text *out, cairo_status_t *status, const scry__picture *picture, bool pdf)
{
    cairo_surface_t *surface = pdf ? cairo_pdf_surface_create_for_stream(append, out, picture->width, picture->height)
                                   : cairo_svg_surface_create_for_stream(append, out, picture->width, picture->height);
    if (pdf) {
        /* No clock: the same picture gives the same bytes. */
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, picture->title);
    }
    cairo_t *cairo = cairo_create(surface);
    picture->draw(cairo, picture->state);
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

/* Text is drawn as outlines, so that it looks the same everywhere. For search and for screen readers, an SVG says in
 * words what it shows, right behind its <svg ...> tag. */
static void add_description(scry__text *out, const scry__text *drawing, const scry__picture *picture)
{
    const char *tag = drawing->data ? strstr(drawing->data, "<svg") : NULL;
    const char *end = tag ? strchr(tag, '>') : NULL;
    if (!end) return;
    scry__text_add(out, drawing->data, (size_t)(end + 1 - drawing->data));
    scry__text_adds(out, "\n<title>");
    add_escaped(out, picture->title);
    scry__text_adds(out, "</title>\n<desc>");
    add_escaped(out, picture->description);
    scry__text_adds(out, "</desc>");
    scry__text_add(out, end + 1, drawing->size - (size_t)(end + 1 - drawing->data));
}

static bool ends_in(const char *path, const char *suffix)
{
    const char *point = strrchr(path, '.');
    return point && !strcasecmp(point, suffix);
}

scry_status scry__picture_check(const char *path)
{
    if (ends_in(path, ".png") || ends_in(path, ".svg") || ends_in(path, ".pdf")) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: expected a name that ends in .png, .svg or .pdf", path);
}

scry_status scry__picture_write(const char *path, const scry__picture *picture)
{
    scry__text     drawing = {0}, file = {0};
    cairo_status_t drawn  = CAIRO_STATUS_SUCCESS;
    bool           svg    = ends_in(path, ".svg");
    scry_status    status = scry__picture_check(path);
    if (status) return status;
    if (ends_in(path, ".png"))
        draw_png(&drawing, &drawn, picture);
    else
        draw_vectors(&drawing, &drawn, picture, !svg);
    if (svg) add_description(&file, &drawing, picture);
    status = drawing.status ? drawing.status : file.status;
    if (!status && drawn)
        status = scry__fail(drawn == CAIRO_STATUS_NO_MEMORY ? SCRY_OUT_OF_MEMORY : SCRY_BAD_ARGUMENT,
                            "%s: cannot draw: %s", path, cairo_status_to_string(drawn));
    if (!status) status = scry__file_write(path, svg ? file.data : drawing.data, svg ? file.size : drawing.size);
    scry__text_finish(&drawing);
    scry__text_finish(&file);
    return status;
}

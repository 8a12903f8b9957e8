/* Reading exports: well-formed SVG that holds nothing live, a PNG that shows something, even CSV, JSON. See
 * export_file.h. */
#include "browser/export_file.h"

#include <cairo.h>
#include <expat.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char problem[512];

static const char *complain(const char *format, const char *detail, double number)
{
    snprintf(problem, sizeof problem, format, detail, number);
    return problem;
}

/* --- SVG --- */

struct drawing {
    int  depth, shapes;
    bool live, other_root;
};

static void open_element(void *user, const char *name, const char **attributes)
{
    static const char *const dead[]  = {"script", "foreignObject", "iframe", "a", "animate", "set"};
    struct drawing          *drawing = user;
    if (!drawing->depth++) drawing->other_root = strcmp(name, "svg");
    for (size_t i = 0; i < sizeof dead / sizeof *dead; i++) drawing->live = drawing->live || !strcmp(name, dead[i]);
    for (; *attributes; attributes += 2) {
        bool reference =
            strstr(attributes[0], "href") && strncmp(attributes[1], "data:image/png", 14) && *attributes[1] != '#';
        drawing->live = drawing->live || !strncmp(attributes[0], "on", 2) || reference;
    }
    drawing->shapes++;
}

static void close_element(void *user, const char *name)
{
    (void)name;
    ((struct drawing *)user)->depth--;
}

const char *export_check_svg(const char *bytes, size_t size)
{
    struct drawing drawing = {0};
    XML_Parser     parser  = XML_ParserCreate(NULL);
    const char    *wrong   = NULL;
    XML_SetUserData(parser, &drawing);
    XML_SetElementHandler(parser, open_element, close_element);
    if (XML_Parse(parser, bytes, (int)size, 1) != XML_STATUS_OK)
        wrong = complain("%s in line %.0f", XML_ErrorString(XML_GetErrorCode(parser)),
                         (double)XML_GetCurrentLineNumber(parser));
    else if (drawing.other_root)
        wrong = complain("%s", "the root is no svg", 0);
    else if (drawing.live)
        wrong = complain("%s", "it holds a script, a handler or a reference", 0);
    else if (drawing.shapes < 5)
        wrong = complain("%s: %.0f elements", "next to nothing is drawn", drawing.shapes);
    XML_ParserFree(parser);
    return wrong;
}

/* --- PNG --- */

struct source {
    const char *bytes;
    size_t      size;
};

static cairo_status_t take(void *user, unsigned char *data, unsigned int length)
{
    struct source *source = user;
    if (length > source->size) return CAIRO_STATUS_READ_ERROR;
    memcpy(data, source->bytes, length);
    source->bytes += length;
    source->size -= length;
    return CAIRO_STATUS_SUCCESS;
}

const char *export_check_png(const char *bytes, size_t size)
{
    struct source    source = {bytes, size};
    cairo_surface_t *image  = cairo_image_surface_create_from_png_stream(take, &source);
    const char      *wrong  = NULL;
    if (cairo_surface_status(image)) {
        wrong = complain("%s", cairo_status_to_string(cairo_surface_status(image)), 0);
    } else {
        int            width = cairo_image_surface_get_width(image), height = cairo_image_surface_get_height(image);
        int            pitch = cairo_image_surface_get_stride(image), other = 0;
        unsigned char *data = cairo_image_surface_get_data(image);
        uint32_t       first;
        memcpy(&first, data, sizeof first);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) other += !!memcmp(data + y * pitch + 4 * x, &first, sizeof first);
        if (width < 200 || height < 60) wrong = complain("%s: %.0f pixels wide", "tiny", width);
        if (other < 500) wrong = complain("%s: %.0f pixels differ from the first", "blank", other);
    }
    cairo_surface_destroy(image);
    return wrong;
}

/* --- CSV --- */

int export_read_csv(const char *bytes, size_t size, int *columns,
                    void (*field)(void *user, int record, int column, const char *text), void *user)
{
    char *text    = malloc(size + 1);
    int   records = 0, column = 0;
    *columns = 0;
    for (size_t at = 0; at < size;) {
        size_t length = 0;
        bool   quoted = bytes[at] == '"';
        if (quoted) {
            for (at++; at < size; at++) {
                if (bytes[at] == '"' && (at + 1 == size || bytes[at + 1] != '"')) break;
                if (bytes[at] == '"') at++;
                text[length++] = bytes[at];
            }
            if (at++ >= size) break; /* the quote is never closed */
        } else
            while (at < size && !strchr(",\r\n\"", bytes[at])) text[length++] = bytes[at++];
        text[length] = 0;
        if (field) field(user, records, column, text);
        column++;
        if (at < size && bytes[at] == ',') {
            at++;
            continue;
        }
        if (at + 1 >= size || bytes[at] != '\r' || bytes[at + 1] != '\n') break;
        at += 2;
        if (records && column != *columns)
            *columns = -1;
        else if (!records)
            *columns = column;
        records++;
        column = 0;
        if (at == size) size = 0; /* ended as it should */
    }
    free(text);
    return size ? -1 : records;
}

const char *export_check_csv(const char *bytes, size_t size)
{
    int columns, records = export_read_csv(bytes, size, &columns, NULL, NULL);
    if (records < 0) return complain("%s", "no CSV", 0);
    if (columns < 2) return complain("%s: %.0f", "columns that differ, or one", columns);
    return records < 2 ? complain("%s", "no rows", 0) : NULL;
}

/* --- JSON --- */

const char *export_check_json(const char *bytes, size_t size)
{
    json_error_t error;
    json_t      *value = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
    const char  *wrong = NULL;
    if (!value)
        wrong = complain("%s in line %.0f", error.text, error.line);
    else if (!json_array_size(value) && !json_object_size(value))
        wrong = complain("%s", "empty", 0);
    json_decref(value);
    return wrong;
}

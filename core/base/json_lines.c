/* Objects of a JSON Lines file. See json_lines.h. */
#include "base/json_lines.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const size_t max_file = (size_t)1 << 30;

static scry_status read_line(const char *path, const char *text, size_t size, int line,
                             scry_status (*each)(void *user, scry__json_at at, int line), void *user)
{
    char         origin[512];
    json_error_t error;
    snprintf(origin, sizeof origin, "%.400s: line %d", path, line);
    json_t     *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    scry_status status;
    if (!object)
        status = scry__fail(SCRY_BAD_INPUT, "%s, column %d: %s", origin, error.column, error.text);
    else if (!json_is_object(object))
        status = scry__fail(SCRY_BAD_INPUT, "%s: expected an object", origin);
    else
        status = each(user, (scry__json_at){object, origin}, line);
    json_decref(object);
    return status;
}

scry_status scry__json_lines(const char *path, scry_status (*each)(void *user, scry__json_at at, int line), void *user)
{
    char       *text = NULL;
    size_t      size;
    int         line = 0, objects = 0;
    scry_status status = scry__file_read(&text, &size, path, max_file);
    if (!status && strlen(text) != size)
        status = scry__fail(SCRY_BAD_INPUT, "%s: byte %zu is 0: expected text", path, strlen(text));
    for (const char *at = text; !status && *at;) {
        size_t length = strcspn(at, "\n");
        line++;
        if (strspn(at, " \t\r") < length) {
            status = read_line(path, at, length, line, each, user);
            objects++;
        }
        at += length + (at[length] == '\n');
    }
    if (!status && !objects) status = scry__fail(SCRY_BAD_INPUT, "%s: empty: expected an object a line", path);
    scry__free(text);
    return status;
}

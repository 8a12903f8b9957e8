/* Building and printing JSON. See json_build.h. */
#include "base/json_build.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static json_t *checked(scry__json_builder *builder, json_t *value)
{
    if (!value && !builder->status) builder->status = scry__fail(SCRY_OUT_OF_MEMORY, "out of memory for JSON");
    return value;
}

json_t *scry__json_new_object(scry__json_builder *builder)
{
    return checked(builder, json_object());
}

json_t *scry__json_new_array(scry__json_builder *builder)
{
    return checked(builder, json_array());
}

/* "abc\xff" as "abc" and U+FFFD. */
static json_t *repaired(const char *text)
{
    scry__text out  = {0};
    size_t     size = strlen(text);
    for (size_t i = 0; i < size;) {
        uint32_t code_point;
        int      length = scry__utf8_decode(text + i, size - i, &code_point);
        if (length)
            scry__text_add(&out, text + i, (size_t)length);
        else
            scry__text_adds(&out, "\xef\xbf\xbd");
        i += length ? (size_t)length : 1;
    }
    json_t *value = out.status ? NULL : json_stringn(out.data, out.size);
    scry__text_finish(&out);
    return value;
}

static json_t *text_value(const char *text)
{
    if (!text) return json_null();
    return scry__utf8_valid(text, strlen(text), NULL) ? json_string(text) : repaired(text);
}

static json_t *number_value(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void scry__json_set(scry__json_builder *builder, json_t *object, const char *key, json_t *value)
{
    if (!object)
        json_decref(value);
    else if (!checked(builder, value) || json_object_set_new(object, key, value))
        checked(builder, NULL);
}

void scry__json_set_int(scry__json_builder *builder, json_t *object, const char *key, int64_t value)
{
    scry__json_set(builder, object, key, json_integer(value));
}

void scry__json_set_bool(scry__json_builder *builder, json_t *object, const char *key, bool value)
{
    scry__json_set(builder, object, key, json_boolean(value));
}

void scry__json_set_number(scry__json_builder *builder, json_t *object, const char *key, double value)
{
    scry__json_set(builder, object, key, number_value(value));
}

void scry__json_set_text(scry__json_builder *builder, json_t *object, const char *key, const char *text)
{
    scry__json_set(builder, object, key, text_value(text));
}

void scry__json_append(scry__json_builder *builder, json_t *array, json_t *value)
{
    if (!array)
        json_decref(value);
    else if (!checked(builder, value) || json_array_append_new(array, value))
        checked(builder, NULL);
}

void scry__json_append_int(scry__json_builder *builder, json_t *array, int64_t value)
{
    scry__json_append(builder, array, json_integer(value));
}

void scry__json_append_number(scry__json_builder *builder, json_t *array, double value)
{
    scry__json_append(builder, array, number_value(value));
}

void scry__json_append_text(scry__json_builder *builder, json_t *array, const char *text)
{
    scry__json_append(builder, array, text_value(text));
}

scry_status scry__json_finish(scry__json_builder *builder, json_t *object, json_t **out)
{
    *out = NULL;
    if (builder->status)
        json_decref(object);
    else
        *out = object;
    return builder->status;
}

static int append_text(const char *bytes, size_t size, void *text)
{
    scry__text_add(text, bytes, size);
    return ((scry__text *)text)->status ? -1 : 0;
}

void scry__json_dump(scry__text *out, const json_t *object, bool indent)
{
    size_t flags = JSON_REAL_PRECISION(9) | (indent ? JSON_INDENT(2) : JSON_COMPACT);
    if (json_dump_callback(object, append_text, out, flags) && !out->status)
        out->status = scry__fail(SCRY_OUT_OF_MEMORY, "out of memory for JSON text");
    scry__text_adds(out, "\n");
}

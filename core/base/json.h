/* JSON input: jansson behind typed getters whose errors name the file, the key and what was expected. */
#ifndef SCRY_BASE_JSON_H
#define SCRY_BASE_JSON_H

#include "scry/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Parses text (duplicate keys, invalid UTF-8 and trailing bytes are refused); `origin` names the file in errors. *out
 * is released with json_decref. */
scry_status scry__json_parse(json_t **out, const char *text, size_t size, const char *origin);
scry_status scry__json_load(json_t **out, const char *path, size_t limit);

/* A place in a document, for messages: "path/config.json" and the object. */
typedef struct scry__json_at {
    const json_t *object;
    const char   *origin;
} scry__json_at;

/* Each takes key from at.object. A missing key (or null) leaves *out alone and is an error only where `required`. A
 * value of another type, or outside [minimum, maximum], is always an error. */
scry_status scry__json_int(scry__json_at at, const char *key, bool required, int64_t minimum, int64_t maximum,
                           int64_t *out);
scry_status scry__json_number(scry__json_at at, const char *key, bool required, double *out);
scry_status scry__json_bool(scry__json_at at, const char *key, bool required, bool *out);
scry_status scry__json_string(scry__json_at at, const char *key, bool required, const char **out);
scry_status scry__json_object(scry__json_at at, const char *key, bool required, const json_t **out);
scry_status scry__json_array(scry__json_at at, const char *key, bool required, const json_t **out);

/* Refuses an object whose key "schema" is not `expected`. */
scry_status scry__json_schema(scry__json_at at, const char *expected);

/* Refuses keys of at.object that `known`, names with one space between, does not have. */
scry_status scry__json_only(scry__json_at at, const char *known);

#endif

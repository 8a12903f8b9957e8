/* Building and printing JSON with jansson: the first failure is kept, so that callers check once at the end. */
#ifndef SCRY_BASE_JSON_BUILD_H
#define SCRY_BASE_JSON_BUILD_H

#include "base/text.h"

#include <jansson.h>

typedef struct scry__json_builder {
    scry_status status;
} scry__json_builder;

/* A new empty object or array; NULL (and a status) when memory is refused, which the functions below let pass. */
json_t *scry__json_new_object(scry__json_builder *builder);
json_t *scry__json_new_array(scry__json_builder *builder);

/* object[key] = value. `scry__json_set` takes over the caller's reference, also where it fails. */
void scry__json_set(scry__json_builder *builder, json_t *object, const char *key, json_t *value);
void scry__json_set_int(scry__json_builder *builder, json_t *object, const char *key, int64_t value);
void scry__json_set_bool(scry__json_builder *builder, json_t *object, const char *key, bool value);
/* NaN and infinities become null. */
void scry__json_set_number(scry__json_builder *builder, json_t *object, const char *key, double value);
/* NULL becomes null; bytes that are no UTF-8 become U+FFFD. */
void scry__json_set_text(scry__json_builder *builder, json_t *object, const char *key, const char *text);

void scry__json_append(scry__json_builder *builder, json_t *array, json_t *value);
void scry__json_append_int(scry__json_builder *builder, json_t *array, int64_t value);
void scry__json_append_number(scry__json_builder *builder, json_t *array, double value);
void scry__json_append_text(scry__json_builder *builder, json_t *array, const char *text);

/* Hands the object over in *out, or releases it and returns what failed. */
scry_status scry__json_finish(scry__json_builder *builder, json_t *object, json_t **out);

/* Appends the object as text: one line, or indented; keys in the order in which they were set, numbers with nine
 * significant digits, which give every f32 back exactly. Ends with a newline. */
void scry__json_dump(scry__text *out, const json_t *object, bool indent);

#endif

/* Building JSON objects with jansson: the first failure is kept, so that callers check once at the end. */
#ifndef SCRY_REPORT_JSON_BUILD_H
#define SCRY_REPORT_JSON_BUILD_H

#include "base/text.h"
#include "report/json_out.h"

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

/* What every result begins with: schema, version, and of a source (which may be NULL) model and device. */
json_t *scry__json_result(scry__json_builder *builder, const char *schema, const scry__json_source *source);
json_t *scry__json_model(scry__json_builder *builder, const scry__json_source *source);
json_t *scry__json_device(scry__json_builder *builder, const scry__json_source *source);
void    scry__json_add_device(scry__json_builder *builder, json_t *object, const scry_device_info *info);

/* [{"id", "text"}, ...] */
json_t *scry__json_tokens(scry__json_builder *builder, const scry_tokens *tokens);

/* {"id", "text", "logit", "probability"}, and an array of them. */
json_t *scry__json_candidate(scry__json_builder *builder, const scry_candidate *candidate);
json_t *scry__json_candidates(scry__json_builder *builder, const scry_candidate *candidates, int count);

/* Hands the object over in *out, or releases it and returns what failed. */
scry_status scry__json_finish(scry__json_builder *builder, json_t *object, json_t **out);

#endif

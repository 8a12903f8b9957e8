/* The parts of an HTML report's data. Each function gives a new JSON value, null where there is nothing to show. */
#ifndef SCRY_REPORT_HTML_PARTS_H
#define SCRY_REPORT_HTML_PARTS_H

#include "base/json_build.h"
#include "report/html.h"

/* Numbers of what the page draws carry five significant digits. */
void scry__html_set_number(scry__json_builder *builder, json_t *object, const char *key, double value);
void scry__html_append_number(scry__json_builder *builder, json_t *array, double value);

/* Bytes as base64. */
json_t *scry__html_bytes(scry__json_builder *builder, const void *bytes, size_t size);

/* {"id", "text", "label"}: the text as it is, and with white space shown. */
json_t *scry__html_token(scry__json_builder *builder, int32_t id, const char *text);

json_t *scry__html_attention(scry__json_builder *builder, const scry__report_attention *attention);
json_t *scry__html_neurons(scry__json_builder *builder, const scry__report_neurons *neurons);
json_t *scry__html_lens(scry__json_builder *builder, const scry_lens *lens);

#endif

/* The parts that JSON results share: what they begin with, devices, tokens, candidates. */
#ifndef SCRY_REPORT_JSON_PARTS_H
#define SCRY_REPORT_JSON_PARTS_H

#include "base/json_build.h"
#include "report/json_out.h"
#include "scry/sweep.h"

/* More numbers than these belong into an .npz: as JSON they would take gigabytes. */
enum { SCRY__JSON_MOST_VALUES = 1 << 24 };

/* What every result begins with: schema, version, and of a source (which may be NULL) model and device. */
json_t *scry__json_result(scry__json_builder *builder, const char *schema, const scry__json_source *source);
json_t *scry__json_model(scry__json_builder *builder, const scry__json_source *source);
json_t *scry__json_device(scry__json_builder *builder, const scry__json_source *source);
void    scry__json_add_device(scry__json_builder *builder, json_t *object, const scry_device_info *info);

/* What `scry tune` found out about a device; null where there is nothing. */
json_t *scry__json_tuning(scry__json_builder *builder, const scry_device_tuning *tuning);

/* [{"id", "text"}, ...] */
json_t *scry__json_tokens(scry__json_builder *builder, const scry_tokens *tokens);

/* [x, ...]; NaN and infinities are null. */
json_t *scry__json_numbers(scry__json_builder *builder, const float *values, int count);

/* A layer, a head, a position; null where it is -1. */
void scry__json_set_place(scry__json_builder *builder, json_t *object, const char *key, int place);

/* What a sweep computed: {"layer_tokens", "naive_layer_tokens", "patches", "skipped", "passes"}. */
json_t *scry__json_cost(scry__json_builder *builder, const scry_sweep_cost *cost);

/* {"id", "text", "logit", "probability"}, and an array of them. */
json_t *scry__json_candidate(scry__json_builder *builder, const scry_candidate *candidate);
json_t *scry__json_candidates(scry__json_builder *builder, const scry_candidate *candidates, int count);

/* A generation's steps, text and stop_reason. */
void scry__json_add_generation(scry__json_builder *builder, json_t *object, const scry_generation *generation);

#endif

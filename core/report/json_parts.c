/* The parts that JSON results share: model, device, tokens, candidates. See json_parts.h. */
#include "report/json_parts.h"

#include <stdio.h>
#include <string.h>

void scry__json_add_device(scry__json_builder *builder, json_t *object, const scry_device_info *info)
{
    bool is_device = strcmp(info->name, info->backend) != 0; /* else a backend that offers none */
    scry__json_set_text(builder, object, "name", info->name);
    scry__json_set_text(builder, object, "backend", info->backend);
    scry__json_set_text(builder, object, "description", info->description);
    scry__json_set_text(builder, object, "driver", info->driver);
    scry__json_set_text(builder, object, "type", is_device ? scry_device_type_text(info->type) : NULL);
    scry__json_set_int(builder, object, "memory_bytes", (int64_t)info->memory_bytes);
    scry__json_set_int(builder, object, "max_buffer_bytes", (int64_t)info->max_buffer_bytes);
    scry__json_set_int(builder, object, "shared_bytes", info->shared_bytes);
    scry__json_set_int(builder, object, "subgroup_size", info->subgroup_size);
    scry__json_set_int(builder, object, "compute_units", info->compute_units);
}

json_t *scry__json_tuning(scry__json_builder *builder, const scry_device_tuning *tuning)
{
    if (!*tuning->file) return json_null();
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "classes", tuning->classes);
    scry__json_set_int(builder, object, "choices", tuning->choices);
    scry__json_set_text(builder, object, "date", *tuning->date ? tuning->date : NULL);
    scry__json_set_text(builder, object, "file", tuning->file);
    scry__json_set_text(builder, object, "reason", *tuning->reason ? tuning->reason : NULL);
    return object;
}

json_t *scry__json_device(scry__json_builder *builder, const scry__json_source *source)
{
    if (!source || !source->device) return json_null();
    json_t *object = scry__json_new_object(builder);
    scry__json_add_device(builder, object, source->device);
    scry__json_set_int(builder, object, "fallbacks", (int64_t)source->fallbacks);
    scry__json_set_text(builder, object, "last_fallback", source->fallbacks ? source->last_fallback : NULL);
    return object;
}

json_t *scry__json_model(scry__json_builder *builder, const scry__json_source *source)
{
    if (!source || !source->model) return json_null();
    const scry_model_info *model  = source->model;
    json_t                *object = scry__json_new_object(builder);
    char                   seed[24]; /* as text: it has 64 bits */
    scry__json_set_text(builder, object, "family", model->family);
    scry__json_set_text(builder, object, "path", model->path);
    scry__json_set_int(builder, object, "layer_count", model->layer_count);
    scry__json_set_int(builder, object, "head_count", model->head_count);
    scry__json_set_int(builder, object, "kv_head_count", model->kv_head_count);
    scry__json_set_int(builder, object, "head_size", model->head_size);
    scry__json_set_int(builder, object, "hidden_size", model->hidden_size);
    scry__json_set_int(builder, object, "mlp_size", model->mlp_size);
    scry__json_set_int(builder, object, "vocabulary", model->vocabulary);
    scry__json_set_int(builder, object, "context", model->context);
    scry__json_set_text(builder, object, "weight_dtype", scry_dtype_text(model->weight_dtype));
    scry__json_set_int(builder, object, "parameter_count", model->parameter_count);
    scry__json_set_int(builder, object, "weight_bytes", (int64_t)model->weight_bytes);
    scry__json_set_bool(builder, object, "streamed", model->streamed);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)model->random_seed);
    scry__json_set_text(builder, object, "random_seed", model->random_init ? seed : NULL);
    return object;
}

json_t *scry__json_tokens(scry__json_builder *builder, const scry_tokens *tokens)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; tokens && i < tokens->count; i++) {
        json_t *token = scry__json_new_object(builder);
        scry__json_set_int(builder, token, "id", tokens->ids[i]);
        scry__json_set_text(builder, token, "text", tokens->texts ? tokens->texts[i] : NULL);
        scry__json_append(builder, array, token);
    }
    return array;
}

json_t *scry__json_numbers(scry__json_builder *builder, const float *values, int count)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++) scry__json_append_number(builder, array, values[i]);
    return array;
}

static json_t *scry__json_texts(scry__json_builder *builder, const char *const *texts, int count)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++) scry__json_append_text(builder, array, texts[i]);
    return array;
}

/* What every result begins with. */
json_t *scry__json_result(scry__json_builder *builder, const char *schema, const scry__json_source *source)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_text(builder, object, "schema", schema);
    scry__json_set_text(builder, object, "version", scry_version());
    if (!source) return object;
    scry__json_set(builder, object, "model", scry__json_model(builder, source));
    scry__json_set(builder, object, "device", scry__json_device(builder, source));
    scry__json_set(builder, object, "edits", scry__json_texts(builder, source->edits, source->edit_count));
    return object;
}

void scry__json_set_place(scry__json_builder *builder, json_t *object, const char *key, int place)
{
    scry__json_set(builder, object, key, place < 0 ? json_null() : json_integer(place));
}

json_t *scry__json_cost(scry__json_builder *builder, const scry_sweep_cost *cost)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "layer_tokens", cost->layer_tokens);
    scry__json_set_int(builder, object, "naive_layer_tokens", cost->naive_layer_tokens);
    scry__json_set_int(builder, object, "patches", cost->patches);
    scry__json_set_int(builder, object, "skipped", cost->skipped);
    scry__json_set_int(builder, object, "passes", cost->passes);
    return object;
}

json_t *scry__json_candidate(scry__json_builder *builder, const scry_candidate *candidate)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "id", candidate->id);
    scry__json_set_text(builder, object, "text", candidate->text);
    scry__json_set_number(builder, object, "logit", candidate->logit);
    scry__json_set_number(builder, object, "probability", candidate->probability);
    return object;
}

json_t *scry__json_candidates(scry__json_builder *builder, const scry_candidate *candidates, int count)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++) scry__json_append(builder, array, scry__json_candidate(builder, &candidates[i]));
    return array;
}

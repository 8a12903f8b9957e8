/* What the parts of an HTML report's data share, and attention, queries and keys as codes. See html_parts.h. */
#include "report/html_parts.h"

#include "base/alloc.h"
#include "report/base64.h"
#include "report/deflate.h"
#include "report/html_attention.h"
#include "report/html_neurons.h"
#include "report/label.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double five_digits(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.5g", value);
    return strtod(text, NULL);
}

void scry__html_set_number(scry__json_builder *builder, json_t *object, const char *key, double value)
{
    scry__json_set_number(builder, object, key, isfinite(value) ? five_digits(value) : NAN);
}

void scry__html_append_number(scry__json_builder *builder, json_t *array, double value)
{
    scry__json_append_number(builder, array, isfinite(value) ? five_digits(value) : NAN);
}

json_t *scry__html_token(scry__json_builder *builder, int32_t id, const char *text)
{
    scry__text label  = {0};
    json_t    *object = scry__json_new_object(builder);
    scry__label_add(&label, text ? text : "");
    scry__json_set_int(builder, object, "id", id);
    scry__json_set_text(builder, object, "text", text ? text : "");
    scry__json_set_text(builder, object, "label", label.data);
    if (label.status && !builder->status) builder->status = label.status;
    scry__text_finish(&label);
    return object;
}

json_t *scry__html_bytes(scry__json_builder *builder, const void *bytes, size_t size)
{
    scry__text text = {0};
    scry__base64_add(&text, bytes, size);
    if (text.status && !builder->status) builder->status = text.status;
    json_t *value = text.status ? NULL : json_string_nocheck(text.data ? text.data : "");
    scry__text_finish(&text);
    return value;
}

static json_t *look_object(scry__json_builder *builder, struct scry__look look)
{
    if (!(look.weight > 0)) return json_null();
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "layer", look.layer);
    scry__json_set_int(builder, object, "head", look.head);
    scry__json_set_int(builder, object, "key", look.key);
    return object;
}

static json_t *codes_text(scry__json_builder *builder, const scry__report_attention *attention, int layer)
{
    if (!attention->present[layer]) return json_null();
    const uint8_t *codes  = attention->codes + (size_t)layer * attention->layer_bytes;
    uint8_t       *packed = NULL;
    size_t         size   = 0;
    scry_status    status = scry__deflate(&packed, &size, codes, attention->layer_bytes);
    if (status && !builder->status) builder->status = status;
    json_t *value = status ? NULL : scry__html_bytes(builder, packed, size);
    scry__free(packed);
    return value;
}

json_t *scry__html_attention(scry__json_builder *builder, const scry__report_attention *attention)
{
    if (!attention) return json_null();
    json_t *object = scry__json_new_object(builder);
    json_t *codes  = scry__json_new_array(builder);
    for (int layer = 0; layer < attention->layer_count && !builder->status; layer++)
        scry__json_append(builder, codes, codes_text(builder, attention, layer));
    scry__json_set_int(builder, object, "layer_count", attention->layer_count);
    scry__json_set_int(builder, object, "head_count", attention->head_count);
    scry__json_set_int(builder, object, "block", attention->block);
    scry__json_set_int(builder, object, "grid", attention->grid);
    scry__json_set_int(builder, object, "levels", attention->levels);
    scry__json_set(builder, object, "look", look_object(builder, attention->look));
    scry__json_set(builder, object, "codes", codes);
    return object;
}

/* {"head", "steps", "codes"}: f32 and i16, little-endian, as the machines are that scry runs on. */
static json_t *vectors_object(scry__json_builder *builder, const scry__report_neurons *neurons,
                              const struct scry__vectors *vectors)
{
    json_t *object = scry__json_new_object(builder);
    size_t  count  = (size_t)neurons->token_count * (size_t)neurons->size;
    scry__json_set_int(builder, object, "head", vectors->head);
    scry__json_set(builder, object, "steps",
                   scry__html_bytes(builder, vectors->steps, (size_t)neurons->token_count * sizeof *vectors->steps));
    scry__json_set(builder, object, "codes", scry__html_bytes(builder, vectors->codes, count * sizeof *vectors->codes));
    return object;
}

static json_t *query_object(scry__json_builder *builder, const scry__report_neurons *neurons,
                            const struct scry__query_head *query)
{
    json_t *object = vectors_object(builder, neurons, &query->vectors);
    scry__json_set_int(builder, object, "key_head", query->key_head);
    scry__json_set(builder, object, "lse",
                   scry__html_bytes(builder, query->lse, (size_t)neurons->token_count * sizeof *query->lse));
    return object;
}

json_t *scry__html_neurons(scry__json_builder *builder, const scry__report_neurons *neurons)
{
    if (!neurons) return json_null();
    json_t *object = scry__json_new_object(builder), *layers = scry__json_new_array(builder);
    for (int i = 0; i < neurons->layer_count && !builder->status; i++) {
        const struct scry__neuron_layer *layer = &neurons->layers[i];
        json_t *line = scry__json_new_object(builder), *queries = scry__json_new_array(builder),
               *keys = scry__json_new_array(builder);
        for (int j = 0; j < layer->query_count; j++)
            scry__json_append(builder, queries, query_object(builder, neurons, &layer->queries[j]));
        for (int j = 0; j < layer->key_count; j++)
            scry__json_append(builder, keys, vectors_object(builder, neurons, &layer->keys[j]));
        scry__json_set_number(builder, line, "scale", layer->scale);
        scry__json_set(builder, line, "queries", queries);
        scry__json_set(builder, line, "keys", keys);
        scry__json_append(builder, layers, line);
    }
    scry__json_set_int(builder, object, "size", neurons->size);
    scry__json_set_number(builder, object, "softcap", neurons->softcap);
    scry__json_set(builder, object, "layers", layers);
    return object;
}

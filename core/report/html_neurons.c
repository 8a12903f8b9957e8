/* Keeps queries and keys as 16-bit codes while a trace runs. See html_neurons.h. */
#include "report/html_neurons.h"

#include "base/alloc.h"
#include "base/error.h"
#include "model/model.h"
#include "report/html_attention.h"

#include <math.h>
#include <string.h>

enum {
    byte_limit = 1 << 20, /* of all heads: 1.4 MB in the file */
    code_most  = 32767,
};

const char *scry__report_neurons_hooks(const scry_model *model)
{
    const scry__arch *arch = &model->arch;
    if (arch->positions == SCRY__POSITIONS_ROPE)
        return "blocks.*.attn.hook_rot_q,blocks.*.attn.hook_rot_k,blocks.*.attn.stat_lse";
    /* Without rotation, queries and keys are offered before their norms only. */
    if (arch->features & SCRY__HAS_QK_NORM) return NULL;
    return "blocks.*.attn.hook_q,blocks.*.attn.hook_k,blocks.*.attn.stat_lse";
}

/* How many heads of each layer fit, a head with its keys; at least one. */
static int heads_that_fit(const scry__report_neurons *neurons)
{
    size_t count = (size_t)neurons->token_count, layers = (size_t)neurons->layer_count;
    size_t key   = count * ((size_t)neurons->size * sizeof(int16_t) + sizeof(float)); /* codes and steps */
    size_t query = key + count * sizeof(float);                                       /* and lse */
    size_t all   = (size_t)neurons->head_count * query + (size_t)neurons->kv_head_count * key;
    if (layers * all <= byte_limit) return neurons->head_count;
    size_t fit = byte_limit / (layers * (query + key));
    return fit < 1 ? 1 : fit < (size_t)neurons->head_count ? (int)fit : neurons->head_count;
}

scry_status scry__report_neurons_create(scry__report_neurons **out, const scry_model *model, int token_count)
{
    const scry__arch     *arch    = &model->arch;
    scry__report_neurons *neurons = scry__alloc(1, sizeof *neurons);
    *out                          = neurons;
    if (!neurons) return SCRY_OUT_OF_MEMORY;
    neurons->layer_count   = (int)arch->layer_count;
    neurons->head_count    = (int)arch->head_count;
    neurons->kv_head_count = (int)arch->kv_head_count;
    neurons->size          = (int)arch->head_size;
    neurons->token_count   = token_count;
    neurons->softcap       = arch->score_softcap;
    neurons->kept          = heads_that_fit(neurons);
    size_t vector          = (size_t)token_count * (size_t)neurons->size;
    neurons->q             = scry__alloc(vector * (size_t)neurons->head_count, sizeof *neurons->q);
    neurons->k             = scry__alloc(vector * (size_t)neurons->kv_head_count, sizeof *neurons->k);
    neurons->layers        = scry__alloc((size_t)neurons->layer_count, sizeof *neurons->layers);
    if (!neurons->q || !neurons->k || !neurons->layers) {
        scry__report_neurons_destroy(out);
        return SCRY_OUT_OF_MEMORY;
    }
    for (int i = 0; i < neurons->layer_count; i++)
        neurons->layers[i].scale = arch->score_scale / (arch->scale_by_layer ? i + 1 : 1);
    return SCRY_OK;
}

static void vectors_finish(struct scry__vectors *vectors)
{
    scry__free(vectors->steps);
    scry__free(vectors->codes);
}

void scry__report_neurons_destroy(scry__report_neurons **neurons)
{
    if (!*neurons) return;
    for (int i = 0; (*neurons)->layers && i < (*neurons)->layer_count; i++) {
        struct scry__neuron_layer *layer = &(*neurons)->layers[i];
        for (int j = 0; j < layer->query_count; j++) {
            vectors_finish(&layer->queries[j].vectors);
            scry__free(layer->queries[j].lse);
        }
        for (int j = 0; j < layer->key_count; j++) vectors_finish(&layer->keys[j]);
        scry__free(layer->queries);
        scry__free(layer->keys);
    }
    scry__free((*neurons)->layers);
    scry__free((*neurons)->q);
    scry__free((*neurons)->k);
    scry__free(*neurons);
    *neurons = NULL;
}

static float largest(const float *vector, int size)
{
    float most = 0;
    for (int i = 0; i < size; i++)
        if (isfinite(vector[i])) most = fmaxf(most, fabsf(vector[i]));
    return most;
}

/* Head `head` of values [T, heads, D] as codes; what is not finite counts as 0. */
static scry_status encode(struct scry__vectors *out, const scry__report_neurons *neurons, const float *values,
                          int heads, int head)
{
    size_t size = (size_t)neurons->size, count = (size_t)neurons->token_count;
    out->head  = head;
    out->steps = scry__alloc(count, sizeof *out->steps);
    out->codes = scry__alloc(count * size, sizeof *out->codes);
    if (!out->steps || !out->codes) return SCRY_OUT_OF_MEMORY;
    for (size_t position = 0; position < count; position++) {
        const float *vector  = values + (position * (size_t)heads + (size_t)head) * size;
        float        step    = largest(vector, neurons->size) / code_most;
        out->steps[position] = step;
        for (size_t i = 0; i < size && step > 0; i++)
            out->codes[position * size + i] = isfinite(vector[i]) ? (int16_t)lrintf(vector[i] / step) : 0;
    }
    return SCRY_OK;
}

/* Marks the layer's `kept` heads that look hardest. */
static scry_status choose(bool **chosen, const scry__report_neurons *neurons, const scry__report_attention *attention,
                          int layer)
{
    *chosen = scry__alloc((size_t)neurons->head_count, sizeof **chosen);
    if (!*chosen) return SCRY_OUT_OF_MEMORY;
    for (int n = 0; n < neurons->kept; n++) {
        int best = -1;
        for (int head = 0; head < neurons->head_count; head++) {
            if ((*chosen)[head]) continue;
            if (best < 0 || scry__report_attention_look(attention, layer, head) >
                                scry__report_attention_look(attention, layer, best))
                best = head;
        }
        (*chosen)[best] = true;
    }
    return SCRY_OK;
}

/* Keeps the layer at hand, whose lse [H, T] came last. */
static scry_status keep(scry__report_neurons *neurons, const scry__report_attention *attention, int index,
                        const float *lse)
{
    struct scry__neuron_layer *layer  = &neurons->layers[index];
    size_t                     count  = (size_t)neurons->token_count;
    int                        group  = neurons->head_count / neurons->kv_head_count;
    bool                      *chosen = NULL;
    scry_status                status = choose(&chosen, neurons, attention, index);
    layer->queries                    = scry__alloc((size_t)neurons->kept, sizeof *layer->queries);
    layer->keys                       = scry__alloc((size_t)neurons->kv_head_count, sizeof *layer->keys);
    if (!status && (!layer->queries || !layer->keys)) status = SCRY_OUT_OF_MEMORY;
    for (int head = 0; head < neurons->head_count && !status; head++) {
        int key_head = head / group;
        if (!chosen[head]) continue;
        if (!layer->key_count || layer->keys[layer->key_count - 1].head != key_head)
            status = encode(&layer->keys[layer->key_count++], neurons, neurons->k, neurons->kv_head_count, key_head);
        if (status) break;
        struct scry__query_head *query = &layer->queries[layer->query_count++];
        query->key_head                = key_head;
        query->lse                     = scry__alloc(count, sizeof *query->lse);
        status =
            query->lse ? encode(&query->vectors, neurons, neurons->q, neurons->head_count, head) : SCRY_OUT_OF_MEMORY;
        if (!status) memcpy(query->lse, lse + (size_t)head * count, count * sizeof *lse);
    }
    scry__free(chosen);
    return status;
}

scry_status scry__report_neurons_take(scry__report_neurons *neurons, const scry__report_attention *attention,
                                      const scry_capture *capture)
{
    size_t      vector = (size_t)neurons->token_count * (size_t)neurons->size;
    const char *name   = strrchr(capture->name, '_');
    if (capture->layer < 0 || capture->layer >= neurons->layer_count || !name)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: expected queries, keys or lse of layers 0 to %d", capture->name,
                          neurons->layer_count - 1);
    if (!strcmp(name, "_q"))
        memcpy(neurons->q, capture->data, vector * (size_t)neurons->head_count * sizeof *neurons->q);
    else if (!strcmp(name, "_k"))
        memcpy(neurons->k, capture->data, vector * (size_t)neurons->kv_head_count * sizeof *neurons->k);
    else
        return keep(neurons, attention, capture->layer, capture->data);
    return SCRY_OK;
}

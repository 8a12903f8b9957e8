/* Binding a checkpoint's tensors to a model by its family's rules. See weights.h and family.h. */
#include "model/weights.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "model/rule.h"

#include <stdio.h>
#include <string.h>

struct binding {
    scry__weights           *weights;
    const scry__arch        *arch;
    const scry__safetensors *checkpoint;
    scry_device             *device;
    const char              *prefix; /* before names, "" where the base model was saved by itself */
    bool                     trainable;
    bool                    *known; /* of each stored tensor: used, or ignored on purpose */
};

enum { TRAINABLE_ALIGNMENT = 64, TRAINABLE_UNIT = 256 };

static bool weight_dtype(scry__element element, scry_dtype *dtype)
{
    switch (element) {
    case SCRY__ELEMENT_F32:
        *dtype = SCRY_F32;
        return true;
    case SCRY__ELEMENT_F16:
        *dtype = SCRY_F16;
        return true;
    case SCRY__ELEMENT_BF16:
        *dtype = SCRY_BF16;
        return true;
    default:
        return false;
    }
}

/* Checks a stored tensor against its rule; *shape gets what was expected, *rank its length. */
static scry_status check_stored(const struct binding *binding, const scry__weight_rule *rule,
                                const scry__stored *stored, int *rank, int64_t shape[2])
{
    const char *path = binding->checkpoint->files[stored->file].path;
    scry_dtype  dtype;
    *rank     = scry__rule_shape(shape, rule, binding->arch);
    bool same = stored->rank == *rank;
    for (int axis = 0; axis < *rank && same; axis++) same = stored->shape[axis] == shape[axis];
    if (!same) {
        char found[SCRY__SHAPE_TEXT_SIZE], expected[SCRY__SHAPE_TEXT_SIZE];
        return scry__fail(SCRY_BAD_INPUT, "%s: tensor %s: shape %s: expected %s", path, stored->name,
                          scry__shape_text(found, stored->rank, stored->shape),
                          scry__shape_text(expected, *rank, shape));
    }
    if (!weight_dtype(stored->element, &dtype))
        return scry__fail(SCRY_BAD_INPUT, "%s: tensor %s: dtype %s: expected F32, F16 or BF16", path, stored->name,
                          scry__element_text(stored->element));
    return SCRY_OK;
}

/* The stored bytes as a buffer: in place where the device can, a copy where they are not aligned to their elements. */
static scry_status make_buffer(scry_buffer **out, const struct binding *binding, const scry__stored *stored,
                               size_t alignment)
{
    if ((uintptr_t)stored->data % alignment == 0)
        return scry_buffer_wrap(out, binding->device, stored->data, stored->bytes);
    scry_status status = scry_buffer_create(out, binding->device, stored->bytes);
    if (status) return status;
    status = scry_buffer_write(*out, 0, stored->data, stored->bytes);
    if (status) scry_buffer_destroy(out);
    return status;
}

static size_t element_count(const scry__stored *stored)
{
    size_t count = 1;
    for (int axis = 0; axis < stored->rank; axis++) count *= (size_t)stored->shape[axis];
    return count;
}

static scry_status bind_tensor(const struct binding *binding, const scry__weight_rule *rule, int64_t layer)
{
    scry__weights      *weights  = binding->weights;
    bool                in_layer = rule->flags & SCRY__RULE_IN_LAYER;
    char                name[SCRY__RULE_NAME];
    int                 rank;
    int64_t             shape[2];
    scry_dtype          dtype = SCRY_F32;
    const scry__stored *stored;
    scry__rule_name(name, rule, binding->prefix, layer);
    stored = scry__safetensors_find(binding->checkpoint, name);
    if (!scry__rule_needed(rule, binding->arch)) {
        if (stored && rule->flags & SCRY__RULE_SPARE) binding->known[stored - binding->checkpoint->tensors] = true;
        return SCRY_OK;
    }
    if (!stored)
        return scry__fail(SCRY_BAD_INPUT, "%s: no tensor %s, which %s needs", binding->checkpoint->path, name,
                          binding->arch->family->type);
    scry_status status = check_stored(binding, rule, stored, &rank, shape);
    if (status) return status;
    if (!binding->trainable) weight_dtype(stored->element, &dtype);
    binding->known[stored - binding->checkpoint->tensors] = true;

    char        *base   = in_layer ? (char *)&weights->layers[layer] : (char *)weights;
    scry_tensor *tensor = (scry_tensor *)(base + rule->member);
    *tensor             = scry_tensor_of(NULL, 0, dtype, rank, shape);
    if (rule->flags & SCRY__RULE_SWAP) *tensor = scry_tensor_swap(*tensor, 0, 1);
    weights->used[weights->used_count++] = (scry__weight){stored, tensor, in_layer ? layer : -1};
    weights->parameter_count += (int64_t)element_count(stored);
    weights->bytes += element_count(stored) * scry_dtype_size(dtype);
    return SCRY_OK;
}

/* Weights that stay on the device, those of layers too unless they are streamed. */
static scry_status place_resident(const struct binding *binding)
{
    scry__weights *weights = binding->weights;
    for (int i = 0; i < weights->used_count; i++) {
        const scry__weight *weight = &weights->used[i];
        if (weights->stream && weight->layer >= 0) continue;
        scry_buffer **buffer = &weights->buffers[weights->buffer_count];
        scry_status   status = make_buffer(buffer, binding, weight->stored, scry_dtype_size(weight->tensor->dtype));
        if (status) return scry__fail_prefix(status, "tensor %s", weight->stored->name);
        weights->buffer_count++;
        weight->tensor->buffer = *buffer;
    }
    return SCRY_OK;
}

static size_t aligned(size_t bytes, size_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

/* The buffer of a trainable model, filled with 0. */
static scry_status make_trainable_buffer(scry__weights *weights, scry_device *device, size_t bytes)
{
    const int64_t count  = (int64_t)(bytes / sizeof(float));
    scry_status   status = scry_buffer_create(&weights->buffers[0], device, bytes);
    if (status) return status;
    weights->buffer_count = 1;
    scry_tensor whole     = scry_tensor_of(weights->buffers[0], 0, SCRY_F32, 1, &count);
    return scry_device_run(device, &(scry_op){.kind = SCRY_OP_FILL, .fill = {.out = whole}});
}

static float widened(const scry__stored *stored, size_t i)
{
    uint16_t half;
    float    whole;
    if (stored->element == SCRY__ELEMENT_F32) {
        memcpy(&whole, stored->data + i * sizeof whole, sizeof whole);
        return whole;
    }
    memcpy(&half, stored->data + i * sizeof half, sizeof half);
    return stored->element == SCRY__ELEMENT_F16 ? scry__f16_to_f32(half) : scry__bf16_to_f32(half);
}

static scry_status write_widened(const scry__weight *weight)
{
    size_t count  = element_count(weight->stored);
    float *values = scry__alloc(count, sizeof *values);
    if (!values) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) values[i] = widened(weight->stored, i);
    scry_status status =
        scry_buffer_write(weight->tensor->buffer, weight->tensor->offset, values, count * sizeof *values);
    scry__free(values);
    return status;
}

static scry_status place_trainable(const struct binding *binding)
{
    scry__weights *weights = binding->weights;
    size_t         bytes   = 0;
    for (int rank = 2; rank >= 1; rank--)
        for (int i = 0; i < weights->used_count; i++) {
            scry_tensor *tensor = weights->used[i].tensor;
            if (tensor->rank != rank) continue;
            tensor->offset = bytes;
            bytes += aligned(element_count(weights->used[i].stored) * sizeof(float), TRAINABLE_ALIGNMENT);
        }
    scry_status status = make_trainable_buffer(weights, binding->device, aligned(bytes, TRAINABLE_UNIT));
    for (int i = 0; !status && i < weights->used_count; i++) {
        weights->used[i].tensor->buffer = weights->buffers[0];
        status                          = write_widened(&weights->used[i]);
    }
    return status;
}

/* Gives every weight its place on the device. */
static scry_status place(const struct binding *binding, uint64_t most)
{
    scry__weights *weights  = binding->weights;
    int64_t        layers   = binding->arch->layer_count;
    uint64_t       resident = 0;
    if (weights->bytes <= most) return binding->trainable ? place_trainable(binding) : place_resident(binding);
    if (binding->trainable)
        return scry__fail(SCRY_OUT_OF_MEMORY, "%s: its weights take %llu bytes, to be trained: expected at most %llu",
                          binding->checkpoint->path, (unsigned long long)weights->bytes, (unsigned long long)most);
    for (int i = 0; i < weights->used_count; i++)
        if (weights->used[i].layer < 0) resident += weights->used[i].stored->bytes;
    uint64_t slots = scry__stream_bytes(weights->used, weights->used_count, layers);
    if (resident + slots > most)
        return scry__fail(SCRY_OUT_OF_MEMORY,
                          "%s: its weights take %llu bytes, with layers taking turns %llu: expected at most %llu",
                          binding->checkpoint->path, (unsigned long long)weights->bytes,
                          (unsigned long long)(resident + slots), (unsigned long long)most);
    scry_status status =
        scry__stream_create(&weights->stream, binding->device, weights->used, weights->used_count, layers);
    return status ? status : place_resident(binding);
}

static scry_status check_unknown(const struct binding *binding)
{
    const scry__safetensors *checkpoint = binding->checkpoint;
    for (int i = 0; i < checkpoint->count; i++) {
        const scry__stored *stored = &checkpoint->tensors[i];
        bool                known  = binding->known[i];
        for (const char *const *pattern = binding->arch->family->ignored; *pattern && !known; pattern++)
            known = scry__glob(*pattern, stored->name);
        if (!known)
            return scry__fail(SCRY_BAD_INPUT, "%s: tensor %s: not known to %s with this config",
                              checkpoint->files[stored->file].path, stored->name, binding->arch->family->type);
    }
    return SCRY_OK;
}

static void fill_norms(scry__weights *weights, const scry__arch *arch)
{
    scry_norm_parameters norm = {
        .kind = arch->norm, .epsilon = (float)arch->epsilon, .weight_offset = (float)arch->norm_offset};
    weights->final_norm = norm;
    for (int64_t i = 0; i < arch->layer_count; i++) {
        scry__layer_weights *layer = &weights->layers[i];
        layer->norm1 = layer->norm2 = layer->norm1_after = layer->norm2_after = layer->q_norm = layer->k_norm = norm;
    }
}

scry_status scry__weights_bind(scry__weights *weights, const scry__arch *arch, const scry__safetensors *checkpoint,
                               scry_device *device, uint64_t most, bool trainable)
{
    struct binding binding = {.weights    = weights,
                              .arch       = arch,
                              .checkpoint = checkpoint,
                              .device     = device,
                              .prefix     = scry__rule_prefix(arch, checkpoint),
                              .trainable  = trainable};
    scry_status    status  = SCRY_OUT_OF_MEMORY;
    *weights               = (scry__weights){0};
    weights->layers        = scry__alloc((size_t)arch->layer_count, sizeof *weights->layers);
    weights->used          = scry__alloc((size_t)checkpoint->count, sizeof *weights->used);
    weights->buffers       = scry__alloc((size_t)checkpoint->count, sizeof *weights->buffers);
    binding.known          = scry__alloc((size_t)checkpoint->count, sizeof *binding.known);
    if (!weights->layers || !weights->used || !weights->buffers || !binding.known) goto fail;
    fill_norms(weights, arch);
    for (const scry__weight_rule *rule = arch->family->weights; rule->name; rule++) {
        int64_t times = scry__rule_times(rule, arch);
        for (int64_t layer = 0; layer < times; layer++) {
            status = bind_tensor(&binding, rule, layer);
            if (status) goto fail;
        }
    }
    status = check_unknown(&binding);
    if (!status) status = place(&binding, most);
    if (status) goto fail;
    if (!(arch->features & SCRY__HAS_UNEMBEDDING)) weights->unembedding = weights->embedding;
    scry__free(binding.known);
    return SCRY_OK;
fail:
    scry__free(binding.known);
    scry__weights_finish(weights);
    return status;
}

/* Where `mirror` has what `weight` is in `weights`. */
static scry_tensor *mirrored(const scry__weights *weights, scry__weights *mirror, const scry__weight *weight)
{
    const char *from = weight->layer < 0 ? (const char *)weights : (const char *)weights->layers;
    char       *to   = weight->layer < 0 ? (char *)mirror : (char *)mirror->layers;
    return (scry_tensor *)(void *)(to + ((const char *)weight->tensor - from));
}

scry_status scry__weights_mirror(scry__weights *mirror, const scry__weights *weights, scry_device *device)
{
    scry_status status = SCRY_OUT_OF_MEMORY;
    int64_t     layers = 0;
    for (int i = 0; i < weights->used_count; i++)
        if (weights->used[i].layer >= layers) layers = weights->used[i].layer + 1;
    *mirror              = *weights;
    mirror->layers       = scry__alloc((size_t)layers, sizeof *mirror->layers);
    mirror->used         = scry__alloc((size_t)weights->used_count, sizeof *mirror->used);
    mirror->buffers      = scry__alloc(1, sizeof(scry_buffer *));
    mirror->buffer_count = 0;
    if (mirror->layers && mirror->used && mirror->buffers)
        status = make_trainable_buffer(mirror, device, scry_buffer_size(weights->buffers[0]));
    if (status) {
        scry__weights_finish(mirror);
        return status;
    }
    memcpy(mirror->layers, weights->layers, (size_t)layers * sizeof *mirror->layers);
    for (int i = 0; i < weights->used_count; i++) {
        mirror->used[i]                = weights->used[i];
        mirror->used[i].tensor         = mirrored(weights, mirror, &weights->used[i]);
        mirror->used[i].tensor->buffer = mirror->buffers[0];
    }
    if (mirror->unembedding.buffer == weights->buffers[0]) mirror->unembedding = mirror->embedding;
    return SCRY_OK;
}

void scry__weights_finish(scry__weights *weights)
{
    for (int i = 0; i < weights->buffer_count; i++) scry_buffer_destroy(&weights->buffers[i]);
    scry__stream_destroy(&weights->stream);
    scry__free(weights->buffers);
    scry__free(weights->used);
    scry__free(weights->layers);
    *weights = (scry__weights){0};
}

/* Two slots of device memory that layers take turns in. See stream.h. */
#include "model/stream.h"

#include "base/alloc.h"

enum { SLOTS = 2, ALIGNMENT = 256 };

struct scry__stream {
    const scry__weight *weights;
    int                 count;
    int64_t             layer_count;
    scry_buffer        *slots[SLOTS];
    int64_t             held[SLOTS]; /* layer; -1: none, or not all of it */
};

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t layer_bytes(const scry__weight *weights, int count, int64_t layer)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        if (weights[i].layer == layer) bytes += aligned(weights[i].stored->bytes);
    return bytes;
}

/* Of the largest layer that takes its turn there. */
static size_t slot_bytes(const scry__weight *weights, int count, int64_t layer_count, int slot)
{
    size_t most = 0;
    for (int64_t layer = slot; layer < layer_count; layer += SLOTS) {
        size_t bytes = layer_bytes(weights, count, layer);
        if (bytes > most) most = bytes;
    }
    return most;
}

uint64_t scry__stream_bytes(const scry__weight *weights, int count, int64_t layer_count)
{
    uint64_t bytes = 0;
    for (int slot = 0; slot < SLOTS; slot++) bytes += slot_bytes(weights, count, layer_count, slot);
    return bytes;
}

static void place_layer(scry__stream *stream, int64_t layer)
{
    size_t offset = 0;
    for (int i = 0; i < stream->count; i++) {
        const scry__weight *weight = &stream->weights[i];
        if (weight->layer != layer) continue;
        weight->tensor->buffer = stream->slots[layer % SLOTS];
        weight->tensor->offset = offset;
        offset += aligned(weight->stored->bytes);
    }
}

scry_status scry__stream_create(scry__stream **out, scry_device *device, const scry__weight *weights, int count,
                                int64_t layer_count)
{
    scry_status   status = SCRY_OK;
    scry__stream *stream = scry__alloc(1, sizeof *stream);
    if (!stream) return SCRY_OUT_OF_MEMORY;
    *stream = (scry__stream){.weights = weights, .count = count, .layer_count = layer_count};
    for (int slot = 0; slot < SLOTS && !status; slot++) {
        size_t bytes       = slot_bytes(weights, count, layer_count, slot);
        stream->held[slot] = -1;
        if (bytes) status = scry_buffer_create(&stream->slots[slot], device, bytes);
    }
    if (status) {
        scry__stream_destroy(&stream);
        return status;
    }
    for (int64_t layer = 0; layer < layer_count; layer++) place_layer(stream, layer);
    *out = stream;
    return SCRY_OK;
}

void scry__stream_destroy(scry__stream **stream)
{
    scry__stream *self = *stream;
    if (!self) return;
    for (int slot = 0; slot < SLOTS; slot++) scry_buffer_destroy(&self->slots[slot]);
    scry__free(self);
    *stream = NULL;
}

scry_status scry__stream_load(scry__stream *stream, int64_t layer)
{
    scry_status status = SCRY_OK;
    int64_t    *held   = &stream->held[layer % SLOTS];
    if (layer >= stream->layer_count || *held == layer) return SCRY_OK;
    *held = -1;
    for (int i = 0; i < stream->count && !status; i++) {
        const scry__weight *weight = &stream->weights[i];
        if (weight->layer == layer)
            status = scry_buffer_write(weight->tensor->buffer, weight->tensor->offset, weight->stored->data,
                                       weight->stored->bytes);
    }
    if (!status) *held = layer;
    return status;
}

/* Layers whose weights take turns in the device's memory: two slots of it, one for even layers and one for odd ones, so
 * that a layer's weights can be on their way while the one before it is computed. */
#ifndef SCRY_MODEL_STREAM_H
#define SCRY_MODEL_STREAM_H

#include "model/safetensors.h"
#include "scry/device.h"

/* A stored tensor in use, and the view of it that the model keeps. */
typedef struct scry__weight {
    const scry__stored *stored;
    scry_tensor        *tensor; /* complete, save for its buffer and offset */
    int64_t             layer;  /* -1: of no layer */
} scry__weight;

typedef struct scry__stream scry__stream;

/* Device memory that streaming takes for these weights: that of the two slots. */
uint64_t scry__stream_bytes(const scry__weight *weights, int count, int64_t layer_count);

/* Gives every weight of a layer its place in that layer's slot. Nothing is uploaded yet; `weights` and what is stored
 * must outlive the stream. */
scry_status scry__stream_create(scry__stream **out, scry_device *device, const scry__weight *weights, int count,
                                int64_t layer_count);
void        scry__stream_destroy(scry__stream **stream);

/* Uploads the layer's weights where its slot does not hold them: behind the ops that were enqueued for what it held,
 * and in front of those that come. A layer past the last one is none. */
scry_status scry__stream_load(scry__stream *stream, int64_t layer);

#endif

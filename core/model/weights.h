/* A model's weights as tensors of its device, bound by name to a checkpoint. */
#ifndef SCRY_MODEL_WEIGHTS_H
#define SCRY_MODEL_WEIGHTS_H

#include "model/arch.h"
#include "model/stream.h"

/* y = x weight + bias: weight [in, out] as a view of however it is stored, bias [out] optional. */
typedef struct scry__linear {
    scry_tensor weight, bias;
} scry__linear;

typedef struct scry__layer_weights {
    scry_norm_parameters norm1, norm2, norm1_after, norm2_after, q_norm, k_norm;
    scry__linear         qkv, q, k, v, out; /* qkv, or q, k and v */
    scry__linear         up, gate, down;
} scry__layer_weights;

typedef struct scry__weights {
    scry_tensor          embedding;   /* [V, d] */
    scry_tensor          positions;   /* [context, d] where learned */
    scry_tensor          unembedding; /* [V, d] */
    scry_tensor          unembedding_bias;
    scry_norm_parameters final_norm;
    scry__layer_weights *layers;

    scry__weight *used; /* the tensors in use */
    int           used_count;
    scry_buffer **buffers; /* of those that stay on the device; one holds all of a trainable model */
    int           buffer_count;
    scry__stream *stream; /* of the layers' weights; NULL: they stay too */
    int64_t       parameter_count;
    uint64_t      bytes;
} scry__weights;

/* Binds every weight that `arch` needs. Devices that share the host's memory use the checkpoint's map in place, so it
 * must outlive the weights. Missing tensors, wrong shapes and dtypes, and tensors that the family does not know are
 * refused by name. Where all of them take more than `most` bytes, layers' weights are streamed; SCRY_OUT_OF_MEMORY
 * where even that takes more.
 *
 * `trainable`: they are copied as f32 into one buffer of the device, to be written there, and never streamed. Matrices
 * come first, then vectors, each at a multiple of 64 bytes; the buffer is a multiple of 256 bytes, and what lies
 * between is 0. */
scry_status scry__weights_bind(scry__weights *weights, const scry__arch *arch, const scry__safetensors *checkpoint,
                               scry_device *device, uint64_t most, bool trainable);
void        scry__weights_finish(scry__weights *weights);

/* The same views of another buffer, filled with 0: a place for the gradients of a trainable model's weights, or for an
 * optimiser's moments. used[i] of both belong together; names are the checkpoint's. */
scry_status scry__weights_mirror(scry__weights *mirror, const scry__weights *weights, scry_device *device);

#endif

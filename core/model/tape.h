/* What a tape holds, and a backward pass in progress, shared by backward.c (blocks) and backward_attention.c. */
#ifndef SCRY_MODEL_TAPE_H
#define SCRY_MODEL_TAPE_H

#include "model/backward.h"
#include "model/session.h"

/* Gradients and what is computed again on the way. */
typedef enum scry__scratch {
    SCRY__SCRATCH_STREAM,   /* [R, d]: gradient of the residual stream */
    SCRY__SCRATCH_BRANCH,   /* [R, d]: of what a branch adds to it */
    SCRY__SCRATCH_INPUT,    /* [R, d]: of what a branch reads */
    SCRY__SCRATCH_NORMED,   /* [R, d]: what a branch reads, or adds, once more */
    SCRY__SCRATCH_WIDE,     /* [R, widest]: queries, keys and values, or the MLP's activations, and their gradients */
    SCRY__SCRATCH_WIDE_TOO, /* [R, widest] */
    SCRY__SCRATCH_COUNT
} scry__scratch;

struct scry__tape {
    scry__session *session;
    int            rows;                     /* of the pass that is kept; 0: none is */
    scry_buffer   *values[SCRY__HOOK_COUNT]; /* [layers, ...] of each hook point that is kept; else NULL */
    scry_buffer   *scratch[SCRY__SCRATCH_COUNT];
};

/* A kept value, contiguous, in the shape of its hook point. */
scry_tensor scry__tape_value(const scry__tape *tape, scry__hook hook, int layer);

/* Of `columns` floats a row, contiguous: [B, T, columns]. */
scry_tensor scry__tape_scratch(const scry__tape *tape, scry__scratch scratch, int64_t columns);

typedef struct scry__backward {
    const scry__tape          *tape;
    const scry__arch          *arch;
    const scry__gradients     *wanted;
    const scry__layer_weights *weights, *d_weights; /* of this layer; absent in d_weights: not wanted */
    int                        layer;
    scry_tensor                stream; /* [R, d]: the gradient of the residual stream, at this place */
} scry__backward;

scry_status scry__backward_run(const scry__backward *pass, scry_op op);
scry_status scry__backward_offer(const scry__backward *pass, scry__hook hook, const scry_tensor *gradient);

/* Of y = x weight + bias, over rows: adds the gradients of `weights` to those of `d_weights` that are there, and gives
 * d_x = d_y weight^T (+ its content, scaled by beta). x [R, m], d_y [R, n], d_x [R, m]. */
scry_status scry__backward_linear(const scry__backward *pass, const scry__linear *weights,
                                  const scry__linear *d_weights, const scry_tensor *x, const scry_tensor *d_y,
                                  const scry_tensor *d_x, float beta);

/* Of y = norm(x): adds to d_x, and to the gradients of the parameters that are there. */
scry_status scry__backward_norm(const scry__backward *pass, const scry_norm_parameters *parameters,
                                const scry_norm_parameters *d_parameters, const scry_tensor *x, const scry_tensor *d_y,
                                const scry_tensor *d_x);

/* Attention of this layer between its input and z: from d_z [R, H * D] in SCRATCH_WIDE to d_input [R, d], which is
 * written. `input` is what attention read. */
scry_status scry__backward_attention(const scry__backward *pass, const scry_tensor *input, const scry_tensor *d_input);

/* [B, T, ...] as rows: [R, n]. */
scry_tensor scry__as_rows(const scry_tensor *x);

#endif

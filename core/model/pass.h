/* One forward pass in progress, shared by forward.c (blocks) and forward_attention.c. */
#ifndef SCRY_MODEL_PASS_H
#define SCRY_MODEL_PASS_H

#include "model/session.h"

typedef struct scry__pass {
    scry__session             *session;
    const scry__hooks         *hooks;
    const scry__arch          *arch;
    const scry__layer_weights *weights; /* of this layer */
    int                        layer;
    int64_t                    batch, rows, past; /* sequences, new rows of each, and rows before them */
    scry_tensor                resid, normed;     /* [B, T, d] */
    scry_tensor                input; /* what the next branch reads: normed, or resid where no norm stands before it */
} scry__pass;

bool        scry__pass_wants(const scry__pass *pass, scry__hook hook);
scry_status scry__pass_offer(const scry__pass *pass, scry__hook hook, const scry_tensor *value);
scry_status scry__pass_run(const scry__pass *pass, scry_op op);

/* out [B, T, n] = x [B, T, m] weight + bias (+ out's content, scaled by beta). */
scry_status scry__pass_linear(const scry__pass *pass, const scry_tensor *x, const scry__linear *weights,
                              const scry_tensor *out, float beta);

/* A contiguous [B, T, columns] block of the wide slot; *offset (bytes) moves behind it. */
scry_tensor scry__pass_wide_block(const scry__pass *pass, int64_t columns, size_t *offset);

/* Attention of this layer over pass->input: *z is [B, T, H * D]. */
scry_status scry__pass_attention(const scry__pass *pass, scry_tensor *z);

#endif

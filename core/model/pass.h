/* One forward pass in progress, shared by forward.c (blocks) and forward_attention.c; and what the backward pass takes
 * over from them. */
#ifndef SCRY_MODEL_PASS_H
#define SCRY_MODEL_PASS_H

#include "model/session.h"

typedef struct scry__pass {
    scry__session             *session;
    const scry__hooks         *hooks;
    const scry__arch          *arch;
    const scry__layer_weights *weights; /* of this layer */
    int                        layer;
    int64_t                    batch, rows, past; /* sequences so far, new rows of each, and rows before them */
    scry_tensor                resid, normed;     /* [B, T, d] */
    scry_tensor                input; /* what the next branch reads: normed, or resid where no norm stands before it */
} scry__pass;

bool        scry__pass_watches(const scry__pass *pass, scry__hook hook); /* is its value to be seen? */
bool        scry__pass_edits(const scry__pass *pass, scry__hook hook);   /* is it to be changed? */
bool        scry__pass_wants(const scry__pass *pass, scry__hook hook);   /* either */
scry_status scry__pass_offer(const scry__pass *pass, scry__hook hook, const scry_tensor *value);
scry_status scry__pass_run(const scry__pass *pass, scry_op op);

/* change = now - change. */
scry_status scry__pass_take_change(const scry__pass *pass, const scry_tensor *now, const scry_tensor *change);

/* out [B, T, n] = x [B, T, m] weight + bias (+ out's content, scaled by beta). */
scry_status scry__pass_linear(const scry__pass *pass, const scry_tensor *x, const scry__linear *weights,
                              const scry_tensor *out, float beta);

/* A contiguous [B, T, columns] block of the wide slot; *offset (bytes) moves behind it. */
scry_tensor scry__pass_wide_block(const scry__pass *pass, int64_t columns, size_t *offset);

/* normed = norm(resid), with the hook points of that norm. */
scry_status scry__pass_norm(const scry__pass *pass, const scry_norm_parameters *parameters, scry__hook scale_hook,
                            scry__hook normed_hook);

/* Do edits ask for this layer's scores and pattern as a whole? */
bool scry__pass_materialises(const scry__pass *pass);

/* Offers scores and pattern of an attention that has run and captured them whole, and computes its output anew where
 * they are edited. */
scry_status scry__pass_edit_pattern(const scry__pass *pass, const scry_attention *attention);

/* A layer's attention without its tensors: scale, soft-cap and mask (for rows that begin at position 0). */
scry_attention scry__layer_attention(const scry__arch *arch, int layer);

/* A layer's rotation without x and out, likewise; the session's tables hold the last pass's rows. */
scry_rope scry__session_rope(const scry__session *session, int layer);

/* Queries, keys and values [B, T, heads, D] in the rows of a fused projection [B, T, columns]; where the family has
 * separate ones, as blocks. */
void scry__fused_heads(scry_tensor heads[3], const scry__arch *arch, const scry_tensor *block);

/* Attention of this layer over pass->input: *z is [B, T, H * D]. */
scry_status scry__pass_attention(const scry__pass *pass, scry_tensor *z);

#endif

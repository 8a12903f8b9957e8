/* Reading a residual stream through its frozen final norm: linear directions on the host, in f64, and what each part of
 * a pass has in them. Beside every share goes its size, the same sum over absolute values, of which an error bound is
 * made. */
#ifndef SCRY_ANALYSIS_FROZEN_H
#define SCRY_ANALYSIS_FROZEN_H

#include "analysis/written.h"

/* How what is written to the stream is read: x . direction is its share of the logit, |x| . reach bounds the sum's
 * absolute values, with the mean that a LayerNorm takes away counted too. */
typedef struct scry__reading {
    int64_t size;
    double *direction, *reach; /* [size] */
} scry__reading;

/* A share of the logit; `size` is the sum of its absolute values. */
typedef struct scry__share {
    double value, size;
} scry__share;

/* Both 0; released with scry__reading_finish, also after a failure. */
scry_status scry__reading_create(scry__reading *reading, int64_t size);
void        scry__reading_finish(scry__reading *reading);

/* Adds `sign` times the unembedding's row of a token, before any norm; *bias gains its own bias. */
scry_status scry__reading_add_token(scry__reading *reading, const scry_model *model, int32_t id, double sign,
                                    scry__share *bias);

/* From what is read behind a norm to what is read before it, with the norm frozen at its denominator; *bias gains what
 * the norm's own bias gives. */
scry_status scry__reading_pass_norm(scry__reading *reading, const scry_model *model, const scry_norm_parameters *norm,
                                    double denominator, scry__share *bias);

scry__share scry__reading_of(const scry__reading *reading, const float *values);

/* One layer's heads [H], and its output's bias. */
scry_status scry__reading_of_heads(scry__share *heads, scry__share *bias, const scry__reading *reading,
                                   const scry_model *model, int layer, const float *z);

/* The bias of a layer's MLP; 0 where a norm stands behind it. */
scry_status scry__reading_of_mlp_bias(scry__share *bias, const scry__reading *reading, const scry_model *model,
                                      int layer);

#endif

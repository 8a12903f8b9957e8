/* lens: what host and kernels agree on. */
#ifndef SCRY_CUDA_LENS_KERNELS_H
#define SCRY_CUDA_LENS_KERNELS_H

#include "view.h"

enum {
    CUDA_LENS_UNIT    = 512, /* entries of the vocabulary that lens_take takes in at once */
    CUDA_LENS_GROUP   = 64,  /* and lens_group, of as many rows */
    CUDA_LENS_THREADS = 128,
    CUDA_LENS_TOP     = 128 /* the longest list: SCRY_MAX_TOP */
};

/* What a part of the vocabulary has come to for a row. */
struct cuda_lens_state {
    float   max, sum, entropy;    /* sum of exp(x - max), and of exp(x - max) (max - x) */
    float   other_max, other_sum; /* the same of the reference's logits */
    float   divergence;           /* sum of exp(r - max r) (r - x), r the reference's logits */
    int32_t rank, unused;         /* logits above the target's */
};

/* What is known of a row before its logits are. */
struct cuda_lens_target {
    float   logit;
    int32_t id;        /* -1: none */
    int32_t reference; /* the row that it is compared with: itself where it equals that */
    int32_t unused;
};

/* Rows of one batch: `layers` times `tokens` of them, of `size` floats each; behind them the reference's, where that is
 * no layer. Entries [first, first + count) of the vocabulary have their dot products in `dots`, [rows, pitch]. */
struct cuda_lens {
    struct cuda_view         unembedding, bias, target;
    struct cuda_view         top_id, top_logit, lse, entropy, target_logit, target_rank, kl;
    const float             *rows, *dots;
    struct cuda_lens_state  *states;     /* [layers x tokens, parts] */
    float                   *top_logits; /* [layers x tokens, parts, top] */
    int32_t                 *top_ids;
    struct cuda_lens_target *targets; /* [layers x tokens] */
    int64_t                  size, vocabulary, layers, tokens;
    int64_t reference; /* the layer that is the reference, `layers` where it stands behind them; -1: none */
    int64_t parts;     /* unit u of the vocabulary belongs to part u % parts */
    int64_t first, count, pitch;
    int32_t top, ranks; /* ranks: whether targets are looked for */
    float   logit_scale, softcap;
};

#ifndef __cplusplus
CUDA_KERNEL(lens_begin);
CUDA_KERNEL(lens_take);
CUDA_KERNEL(lens_group);
CUDA_KERNEL(lens_merge);
#endif

#endif

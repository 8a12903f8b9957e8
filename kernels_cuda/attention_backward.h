/* Parameters of the kernels in attention_backward.cu. */
#ifndef SCRY_CUDA_ATTENTION_BACKWARD_H
#define SCRY_CUDA_ATTENTION_BACKWARD_H

#include "attention.h"

enum {
    ATTENTION_BACKWARD_TILE    = 32,  /* queries, and keys, that a block works on at a time */
    ATTENTION_BACKWARD_CHUNK   = 64,  /* entries of a vector, likewise */
    ATTENTION_BACKWARD_STRETCH = 128, /* entries of a gradient that a block makes */
    ATTENTION_BACKWARD_THREADS = 128
};

struct cuda_attention_backward {
    struct cuda_attention of; /* without softmaxes, and nothing packed */
    struct cuda_view      v, out, lse, d_out;
    struct cuda_view      d;    /* the gradient of queries, keys or values */
    float                *sums; /* d_out . out of each row, [B, H, Q] */
    int64_t               value_size;
    int64_t               size; /* of d's vectors */
    int32_t               is_of_values, accumulate;
};

#ifndef __cplusplus
CUDA_KERNEL(attention_backward_rows);
CUDA_KERNEL(attention_backward_queries);
CUDA_KERNEL(attention_backward_keys);
#endif

#endif

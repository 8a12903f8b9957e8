/* Parameters of the kernels in norm_backward.cu. */
#ifndef SCRY_CUDA_NORM_BACKWARD_H
#define SCRY_CUDA_NORM_BACKWARD_H

#include "runs.h"

struct cuda_norm_backward {
    struct cuda_view x, weight, d_out, d_x;
    struct cuda_runs rows;             /* of [i, j, k, 1]: a run is a row */
    int64_t          size;             /* d */
    int32_t          kind, accumulate; /* scry_norm_kind */
    float            epsilon, weight_offset;
    float            per_entry, unused; /* 1 / d */
    float           *found;             /* of each row, [rows, 2]: its mean and 1 / denominator */
    /* Of the sums over rows, in blocks of `each`: */
    struct cuda_view d_weight, d_bias; /* as [1, 1, blocks, d] */
    struct cuda_runs columns;          /* of these */
    int64_t          each;
};

#ifndef __cplusplus
CUDA_KERNEL(norm_backward);
CUDA_KERNEL(norm_backward_sums);
#endif

#endif

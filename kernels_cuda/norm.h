/* Parameters of the kernels in norm.cu. */
#ifndef SCRY_CUDA_NORM_H
#define SCRY_CUDA_NORM_H

#include "runs.h"

struct cuda_norm {
    struct cuda_view x, weight, bias, out, scale;
    struct cuda_runs rows; /* of [i, j, k, 1]: a run is a row */
    int64_t          size; /* d */
    int32_t          kind; /* scry_norm_kind */
    float            epsilon, weight_offset;
    float            per_entry; /* 1 / d */
};

#ifndef __cplusplus
CUDA_KERNEL(norm_warp);
CUDA_KERNEL(norm_block);
#endif

#endif

/* Parameters of the kernels in sum.cu. */
#ifndef SCRY_CUDA_SUM_H
#define SCRY_CUDA_SUM_H

#include "runs.h"

struct cuda_sum {
    struct cuda_view x, sums; /* sums: of each block, as [1, 1, blocks, n] */
    struct cuda_runs all;     /* of these */
    int64_t          rows, each;
    int32_t          squares, unused;
};

struct cuda_sum_merge {
    const float     *sums; /* [blocks, columns] */
    struct cuda_view out;
    int64_t          blocks, columns;
    int32_t          accumulate, unused;
};

#ifndef __cplusplus
CUDA_KERNEL(sum_rows);
CUDA_KERNEL(sum_column);
CUDA_KERNEL(sum_merge);
#endif

#endif

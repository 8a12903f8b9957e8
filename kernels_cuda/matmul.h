/* matmul: what host and kernels agree on. */
#ifndef SCRY_CUDA_MATMUL_KERNELS_H
#define SCRY_CUDA_MATMUL_KERNELS_H

#include "view.h"

/* C = alpha A B + beta C + bias: a [.., m, k], b [.., k, n], c [.., m, n] of rank 4, bias [n].
 *
 * In parts, k is cut: part i sums up the steps from i part_steps on and leaves them in the i-th of the matrices
 * [batches, m, n] that `sums` points to. Whole, `sums` is NULL. */
struct cuda_product {
    struct cuda_view a, b, bias, c;
    float           *sums;
    int64_t          m, n, k, batches, inner; /* inner: batches along the second axis */
    int64_t          parts, part_steps;
    float            alpha, beta;
};

/* Of matmul_tile, matmul_tensor and matmul_row; see there. */
enum {
    CUDA_TILE_STEPS     = 16,
    CUDA_TENSOR_TILE    = 128,
    CUDA_TENSOR_THREADS = 256,
    CUDA_ROW_THREADS    = 256,
    CUDA_ROW_COLUMNS    = 32, /* of a block */
    CUDA_MERGE_THREADS  = 256,
    CUDA_SPLIT_STEPS    = 512, /* of a part, at least */
    CUDA_PART_UNIT      = 128  /* parts are whole rounds of every kernel */
};

#ifndef __cplusplus
CUDA_KERNEL(matmul_tile_128);
CUDA_KERNEL(matmul_tile_64);
CUDA_KERNEL(matmul_row_1);
CUDA_KERNEL(matmul_row_4);
CUDA_KERNEL(matmul_merge);
CUDA_KERNEL(matmul_tensor_tf32);
CUDA_KERNEL(matmul_tensor_f16);
CUDA_KERNEL(matmul_tensor_bf16);
#endif

#endif

/* Sums over rows, in blocks of them: what sum and norm_backward share. */
#ifndef SCRY_CUDA_HOST_SUM_H
#define SCRY_CUDA_HOST_SUM_H

#include "cuda.h"

/* `count` blocks of `each` rows, the last may have fewer; by the number of rows alone. */
struct scry__cuda_blocks {
    int64_t each, count;
};

struct scry__cuda_blocks scry__cuda_blocks(int64_t rows);

/* Sums of blocks, f32 [blocks, n] from byte `offset` of the scratch on, as kernels that walk [1, 1, blocks, n] see
 * them. */
struct cuda_view scry__cuda_block_sums(struct scry__cuda *cuda, size_t offset, int64_t n);

/* out [n] = the sum of these (+ out where accumulate); nothing where out is absent. */
scry_status scry__cuda_merge_sums(struct scry__cuda *cuda, size_t offset, int64_t blocks, const scry_tensor *out,
                                  bool accumulate);

#endif

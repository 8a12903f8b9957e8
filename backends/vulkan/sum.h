/* Sums over rows, in blocks of them: what sum and norm_backward share. */
#ifndef SCRY_VK_SUM_H
#define SCRY_VK_SUM_H

#include "vk.h"

/* `count` blocks of `each` rows, the last may have fewer; by the number of rows alone. */
struct scry__vk_blocks {
    int64_t each, count;
};

struct scry__vk_blocks scry__vk_blocks(int64_t rows);

/* out [n] = the sum of the blocks' sums, f32 [blocks, n] from byte `offset` of the scratch on (+ out where accumulate);
 * nothing where out is absent. */
scry_status scry__vk_merge_sums(struct scry__vk *vk, scry_op_kind kind, size_t offset, int64_t blocks,
                                const scry_tensor *out, bool accumulate);

#endif

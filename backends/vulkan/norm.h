/* norm and its gradient: which of their kernels runs. */
#ifndef SCRY_VK_NORM_H
#define SCRY_VK_NORM_H

#include "vk.h"

enum { SCRY__VK_NORM_BLOCK = 8, SCRY__VK_NORM_GROUP = 64 }; /* items of a group: the lanes of one vector; for a row */

/* Whether an item takes whole rows ("block"). By the size of a row only: it has the same bits, however many others
 * there are. An item's loops turn `turns` times for each entry at most. */
bool scry__vk_norm_is_block(const struct scry__vk *vk, scry_op_kind kind, int64_t entries, int64_t turns);

/* The dtype, or ABSENT of shaders/norm_kinds.glsl. */
uint32_t scry__vk_norm_dtype(const scry_tensor *x);

#endif

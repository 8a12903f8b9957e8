/* attention's kernels and the pieces they are launched in. For attention.c and attention_piece.c only. */
#ifndef SCRY_VK_ATTENTION_H
#define SCRY_VK_ATTENTION_H

#include "vk.h"

enum scry__vk_attention_kernel {
    SCRY__VK_OUTPUT,
    SCRY__VK_CAPTURED_TILE,
    SCRY__VK_RECEIVED,
    SCRY__VK_DISTANCES,
    SCRY__VK_TOP,
    SCRY__VK_ATTENTION_KERNELS
};

enum {
    SCRY__VK_SIDE       = 32,  /* keys, and for "group" queries, of a tile */
    SCRY__VK_SMALL_SIDE = 4,   /* keys of a tile of "block" where validation instruments every access */
    SCRY__VK_MOST_HELD  = 128, /* values that a row of "block" holds */
};

/* `piece` of shaders/attention.glsl: what one launch goes through. */
struct scry__vk_piece {
    int32_t key_begin, key_end, query_begin, query_end, value_begin;
};

/* Whether "block" serves an op, or "group". */
bool scry__vk_attends_by_block(const struct scry__vk *vk);
/* Keys of a tile. */
int64_t scry__vk_attention_side(const struct scry__vk *vk);

/* 0 where it is not wanted. */
int64_t scry__vk_distance_count(const scry_attention *op);
int64_t scry__vk_part_count(const scry_attention *op);
/* Whichever of the two tensors of the capture is present. */
const scry_tensor *scry__vk_top_shape(const scry_attention *op);

/* The most turns that the loops of one item take together for as little as it can be given, roughly from above. */
int64_t scry__vk_attention_turns(const struct scry__vk *vk, const scry_attention *op,
                                 enum scry__vk_attention_kernel kernel);

/* Whether a row's keys are more than one launch of a kernel goes through. */
bool scry__vk_attention_is_cut(const struct scry__vk *vk, const scry_attention *op,
                               enum scry__vk_attention_kernel kernel);

/* Launches a kernel for one piece after another of keys and queries, with the values from `value_begin` on. */
scry_status scry__vk_in_pieces(struct scry__vk *vk, const scry_attention *op, enum scry__vk_attention_kernel kernel,
                               int64_t value_begin,
                               scry_status (*launch)(struct scry__vk *vk, const scry_attention *op,
                                                     const struct scry__vk_piece *piece));

#endif

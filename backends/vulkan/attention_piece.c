/* attention in pieces: drivers of CPU type end loops that turn too often (SCRY__VK_TURNS), so that a launch goes
 * through no more keys for each query, or queries for each key, than that allows. Sums and rows go on from one piece to
 * the next in their order; where a piece ends depends on the op's sizes and on what else costs turns, never on data. */
#include "attention.h"

#include "validation.h"

#include <string.h>

bool scry__vk_attends_by_block(const struct scry__vk *vk)
{
    const char *asked = vk->front->kernel[SCRY_OP_ATTENTION];
    return asked ? !strcmp(asked, "block") : vk->limits.is_cpu;
}

/* Turns of an item's loops for one tile of keys and one block of queries. */
static int64_t tile_turns(const struct scry__vk *vk, const scry_attention *op, enum scry__vk_attention_kernel kernel)
{
    enum { SIDE = SCRY__VK_SIDE };
    const bool    block = scry__vk_attends_by_block(vk);
    const int64_t score = (block ? 1 : 2) * op->q.shape[3] + 192 + (op->softcap > 0 ? 4 * SIDE : 0) +
                          (present(&op->mask.additive) ? 5 * SIDE : 0);
    switch (kernel) {
    case SCRY__VK_OUTPUT:
        return score + 2 * least(SCRY__VK_MOST_HELD, op->v.shape[3]);
    case SCRY__VK_DISTANCES: /* "block" takes half a tile of queries at a time */
        return block ? 2 * score : score;
    case SCRY__VK_TOP:
        return score + SIDE * (1 + scry__vk_top_shape(op)->shape[3]);
    default:
        return score;
    }
}

/* And for what comes before and behind all of them. */
static int64_t other_turns(const scry_attention *op, enum scry__vk_attention_kernel kernel)
{
    const int64_t count = kernel == SCRY__VK_TOP ? scry__vk_top_shape(op)->shape[3] : 0;
    return 16 * SCRY__VK_MOST_HELD + count * count;
}

int64_t scry__vk_attention_turns(const struct scry__vk *vk, const scry_attention *op,
                                 enum scry__vk_attention_kernel kernel)
{
    return other_turns(op, kernel) + tile_turns(vk, op, kernel);
}

int64_t scry__vk_attention_side(const struct scry__vk *vk)
{
    return scry__vk_attends_by_block(vk) && scry__vk_is_instrumented(vk) ? SCRY__VK_SMALL_SIDE : SCRY__VK_SIDE;
}

/* How many keys, and queries, a launch goes through. */
struct extent {
    int64_t keys, queries;
};

/* In "group" a part of the distances goes through each part_count-th block of queries, and a band of keys for each. */
static struct extent distances_at_once(const struct scry__vk *vk, const scry_attention *op, int64_t tiles)
{
    const int64_t side = scry__vk_attention_side(vk), keys = op->k.shape[1];
    const int64_t band = most(1, least(units_of(keys, side), 2 + units_of(scry__vk_distance_count(op), side)));
    if (scry__vk_attends_by_block(vk)) return (struct extent){keys, tiles * side};
    return (struct extent){band > tiles ? tiles * side : keys, most(1, tiles / band) * scry__vk_part_count(op) * side};
}

static struct extent extent_of(const struct scry__vk *vk, const scry_attention *op,
                               enum scry__vk_attention_kernel kernel)
{
    const int64_t tiles = most(1, (vk->limits.most_turns - other_turns(op, kernel)) / tile_turns(vk, op, kernel));
    const int64_t some  = tiles * scry__vk_attention_side(vk);
    switch (kernel) {
    case SCRY__VK_OUTPUT:
    case SCRY__VK_TOP:
        return (struct extent){some, op->q.shape[1]};
    case SCRY__VK_RECEIVED:
        return (struct extent){op->k.shape[1], some};
    case SCRY__VK_DISTANCES:
        return distances_at_once(vk, op, tiles);
    default:
        return (struct extent){op->k.shape[1], op->q.shape[1]};
    }
}

bool scry__vk_attention_is_cut(const struct scry__vk *vk, const scry_attention *op,
                               enum scry__vk_attention_kernel kernel)
{
    return extent_of(vk, op, kernel).keys < op->k.shape[1];
}

scry_status scry__vk_in_pieces(struct scry__vk *vk, const scry_attention *op, enum scry__vk_attention_kernel kernel,
                               int64_t value_begin,
                               scry_status (*launch)(struct scry__vk *vk, const scry_attention *op,
                                                     const struct scry__vk_piece *piece))
{
    const int64_t         keys = op->k.shape[1], queries = op->q.shape[1];
    const struct extent   at_once = extent_of(vk, op, kernel);
    struct scry__vk_piece piece   = {.value_begin = (int32_t)value_begin};
    scry_status           status;
    do {
        piece.query_end = (int32_t)least(queries, piece.query_begin + at_once.queries);
        piece.key_begin = 0;
        do {
            piece.key_end   = (int32_t)least(keys, piece.key_begin + at_once.keys);
            status          = launch(vk, op, &piece);
            piece.key_begin = piece.key_end;
        } while (!status && piece.key_end < keys);
        piece.query_begin = piece.query_end;
    } while (!status && piece.query_end < queries);
    return status;
}

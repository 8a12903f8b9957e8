// attention_backward: the gradients of attention, by tiles of queries. What its kernels share.
//
// q, d_q f32 [B, Q, H, D], k, d_k [B, K, G, D], v, d_v [B, K, G, Dv], out, d_out [B, Q, H, Dv], lse [B, H, Q], last
// strides 1. A tile is `batches` sequences from `batch` on, with all heads and `queries` rows from `query` on: its rows
// r are [batches, H, queries].
//
//     attention_backward_rows       o = d_out . out of each row, in scratch
//     attention_backward_scores     p and d_s of each row and key, [rows, K] each in scratch; p is -1 where the key is
//                                   not seen, so that what such keys and rows hold reaches no sum
//     attention_backward_queries    d_q = scale * sum over keys of d_s k
//     attention_backward_keys       d_k = scale * sum of d_s q, or d_v = sum of p d_out, over the heads that read the
//                                   key, in ascending order, and over the tile's queries; added to those of earlier
//                                   tiles
//
// Errors: a score gamma(D + 2) of its terms, p the relative error of that and of exp, sums gamma(terms + 4).

#include "fours.glsl"

// backends/vulkan/attention_backward.c has the same.
struct backward_tile {
    uint  batch, batches, query, queries, keys, heads, groups, head_size, value_size;
    float scale, softcap;
};

// A row of the tile.
struct row_at {
    uint batch, head, query;
};

row_at row_of(backward_tile tile, uint r)
{
    const uint pair = r / tile.queries;
    return row_at(tile.batch + pair / tile.heads, pair % tile.heads, tile.query + r % tile.queries);
}

// Where a vector of [B, T, heads, size] begins.
uint vector_at(view x, uint batch, uint t, uint head)
{
    return x.offset + batch * x.stride[0] + t * x.stride[1] + head * x.stride[2];
}

float sum_of_lanes(vec4 sum)
{
    return (sum.x + sum.z) + (sum.y + sum.w);
}

// float `value`: the product of `size` elements of a from `a_from` on and of b from `b_from` on. Lane l of the sum adds
// elements l, l + 4, ...
#define DOT(value, a, a_from, b, b_from, size)                                                                         \
    float value;                                                                                                       \
    {                                                                                                                  \
        vec4 lanes_ = vec4(0);                                                                                         \
        for (uint e_ = 0; e_ < size; e_ += 4) {                                                                        \
            const uint some_ = FOURS ? 4 : min(size - e_, 4u);                                                         \
            LOAD_FOUR(x_, a, (a_from) + e_, 1, some_, F32)                                                             \
            LOAD_FOUR(y_, b, (b_from) + e_, 1, some_, F32)                                                             \
            lanes_ += x_ * y_;                                                                                         \
        }                                                                                                              \
        value = sum_of_lanes(lanes_);                                                                                  \
    }

/* What softmax.cu and the kernels of attention share: what a query sees, and the statistics of a row. */
#ifndef SCRY_CUDA_MASK_CUH
#define SCRY_CUDA_MASK_CUH

#include "common.cuh"
#include "mask.h"

#include <math.h>

/* --- Masks --- */

/* What a query sees of keys [0, keys): those of [begin, end), the unpadded ones, that lie below `prefix` or in
 * [low, high). All five lie within [0, keys]. */
struct sight {
    int begin, end, prefix, low, high;
};

DEVICE int within(int64_t x, int keys)
{
    return x < 0 ? 0 : x > keys ? keys : (int)x;
}

/* The entry of an i32 tensor [B]. */
DEVICE int entry_of(const struct cuda_view &x, int64_t b)
{
    return static_cast<const int *>(x.data)[b * x.stride[0]];
}

/* A sequence's sight with what depends on the query left for sight_at. */
DEVICE struct sight sight_of(const struct cuda_mask &mask, int64_t b, int keys)
{
    struct sight sees = {0, keys, within(mask.prefix, keys), 0, keys};
    if (mask.key_begin.data) sees.begin = within(entry_of(mask.key_begin, b), keys);
    if (mask.key_end.data) sees.end = within(entry_of(mask.key_end, b), keys);
    return sees;
}

DEVICE struct sight sight_at(struct sight sees, const struct cuda_mask &mask, int64_t query, int keys)
{
    int64_t position = mask.query_offset + query;
    if (mask.window > 0) sees.low = within(position - mask.window + 1, keys);
    if (mask.is_causal) sees.high = within(position + 1, keys);
    return sees;
}

DEVICE bool is_seen(const struct sight &sees, int key)
{
    return key >= sees.begin && key < sees.end && (key < sees.prefix || (key >= sees.low && key < sees.high));
}

/* A mask's additive part from key 0 on; NULL where there is none. */
DEVICE const float *additive_of(const struct cuda_mask &mask, int64_t b, int64_t h, int64_t i)
{
    const struct cuda_view &at = mask.additive;
    if (!at.data) return NULL;
    return static_cast<const float *>(at.data) + b * at.stride[0] + h * at.stride[1] + i * at.stride[2];
}

/* Rounded on its own, never as part of a multiply-add: so a score is the same in every kernel. */
DEVICE float with_bias(float score, float bias)
{
    return bias == -INFINITY ? -INFINITY : __fadd_rn(score, bias);
}

/* --- Rows ---
 *
 * A row's probabilities are exp(score - centre) * factor. */

/* A row of nothing but -inf (or NaN, which must reach the sums) has no maximum to subtract. */
DEVICE float centre_of(float largest)
{
    return largest == -INFINITY ? 0 : largest;
}

/* Of the largest score the exponential is 1, so the sum of a row with any key is not 0. */
DEVICE float factor_of(float sum)
{
    return sum == 0 ? 0 : 1 / sum;
}

/* e * below for e = exp(below): 0, not NaN, for -inf. exp of what is left out is 0 in f32. */
DEVICE float weigh(float e, float below)
{
    return e * fmaxf(below, -104.0f);
}

enum { PREVIOUS, SELF, FIRST, KEY_MASS, PICKED }; /* keys whose probability is a statistic */

/* Which keys these are; they may lie outside of the keys. */
DEVICE int64_t picked_key(const struct cuda_mask &mask, const struct cuda_rows &rows, int64_t b, int64_t i, int kind)
{
    int64_t position = mask.query_offset + i;
    if (kind == PREVIOUS) return position - 1;
    if (kind == SELF) return position;
    if (kind == KEY_MASS) return rows.key;
    if (!mask.key_begin.data) return 0;
    int begin = entry_of(mask.key_begin, b);
    return begin > 0 ? begin : 0;
}

DEVICE int64_t row_index(const struct cuda_view &x, int64_t b, int64_t h, int64_t i)
{
    return b * x.stride[0] + h * x.stride[1] + i * x.stride[2];
}

DEVICE void put_row(const struct cuda_view &to, int64_t b, int64_t h, int64_t i, float value)
{
    if (to.data) static_cast<float *>(to.data)[row_index(to, b, h, i)] = value;
}

/* Of a row: `weighted` is the sum of exp(score - centre) * (score - centre). */
DEVICE void put_sums(const struct cuda_rows &rows, int64_t b, int64_t h, int64_t i, float centre, float sum,
                     float weighted, int argmax)
{
    float logarithm = sum == 0 ? 0 : logf(sum), factor = factor_of(sum);
    put_row(rows.lse, b, h, i, sum == 0 ? -INFINITY : centre + logarithm);
    put_row(rows.entropy, b, h, i, sum == 0 ? 0 : logarithm - weighted * factor);
    put_row(rows.max, b, h, i, factor);
    if (rows.argmax.data) static_cast<int *>(rows.argmax.data)[row_index(rows.argmax, b, h, i)] = argmax;
}

DEVICE void put_picked(const struct cuda_rows &rows, int64_t b, int64_t h, int64_t i, int kind, float probability)
{
    const struct cuda_view *to = kind == PREVIOUS ? &rows.previous
                                 : kind == SELF   ? &rows.self
                                 : kind == FIRST  ? &rows.first
                                                  : &rows.key_mass;
    put_row(*to, b, h, i, probability);
}

/* --- Reductions over the lanes of a warp, `width` of them side by side: in the same order in all of them --- */

template <int WIDTH> DEVICE float lanes_sum(float x)
{
#pragma unroll
    for (int step = WIDTH / 2; step > 0; step /= 2) x = x + __shfl_xor_sync(~0u, x, step);
    return x;
}

template <int WIDTH> DEVICE float lanes_largest(float x)
{
#pragma unroll
    for (int step = WIDTH / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
    return x;
}

template <int WIDTH> DEVICE int lanes_least(int x)
{
#pragma unroll
    for (int step = WIDTH / 2; step > 0; step /= 2) {
        int other = __shfl_xor_sync(~0u, x, step);
        x         = other < x ? other : x;
    }
    return x;
}

#endif

/* softmax_capture: masked softmax of given scores, row by row, with the statistics of each row.
 *
 * probabilities[b, h, i, j] = exp(s_j - max s) / sum over visible keys, s = scores + additive; exactly 0 where masked
 *
 * scores, probabilities    [B, H, Q, K], any strides, may be the same
 * statistics               [B, H, Q] each, any strides
 *
 * A team takes one row, neighbouring threads neighbouring keys, three times: for the largest score, for the sums, for
 * the probabilities.
 *     softmax_short    blocks of 4 teams, each a warp
 *     softmax_long     blocks of one team of 256 threads
 * Launched over the rows of all heads and sequences.
 *
 * Error: 1 ulp of each exponential and the rounding of its argument; a sum of K terms. */
#include "softmax.h"

#include "mask.cuh"

enum { TEAMS = 4, LONG_WARPS = 8 };

/* A row's scores, and what its mask adds. */
struct source {
    const float *scores, *additive; /* of key 0; additive NULL: nothing */
    int64_t      stride, additive_stride;
    struct sight sees;
};

/* The score of a key that may lie outside the row; -inf where it is masked. */
DEVICE float score_of(const struct source &row, int64_t key)
{
    if (key < 0 || key >= row.sees.end || !is_seen(row.sees, (int)key)) return -INFINITY;
    float score = row.scores[key * row.stride];
    return row.additive ? with_bias(score, row.additive[key * row.additive_stride]) : score;
}

DEVICE struct source source_of(const struct cuda_softmax &p, int64_t b, int64_t h, int64_t i)
{
    struct source row = {static_cast<const float *>(p.scores.data) + row_index(p.scores, b, h, i),
                         additive_of(p.mask, b, h, i), p.scores.stride[3], p.mask.additive.stride[3],
                         sight_of(p.mask, b, (int)p.keys)};
    row.sees          = sight_at(row.sees, p.mask, i, (int)p.keys);
    return row;
}

/* 0 where masked, in a row that is NaN too. */
DEVICE float probability_of(float score, float centre, float factor)
{
    return score == -INFINITY ? 0 : __fmul_rn(expf(__fsub_rn(score, centre)), factor);
}

template <int WARPS> DEVICE void team_barrier()
{
    if (WARPS > 1)
        __syncthreads();
    else
        __syncwarp();
}

/* What the warps of a team found, each for itself, is put into `found`, and read from there by all. */
DEVICE void exchange(float *found, float mine)
{
    if (threadIdx.x % WARP == 0) found[threadIdx.x / WARP] = mine;
    __syncthreads();
}

template <int WARPS> DEVICE float team_sum(float x, float *found)
{
    x = lanes_sum<WARP>(x);
    if (WARPS == 1) return x;
    exchange(found, x);
    x = 0;
    for (int warp = 0; warp < WARPS; warp++) x = x + found[warp];
    return x;
}

template <int WARPS> DEVICE float team_largest(float x, float *found)
{
    x = lanes_largest<WARP>(x);
    if (WARPS == 1) return x;
    exchange(found, x);
    for (int warp = 0; warp < WARPS; warp++) x = fmaxf(x, found[warp]);
    return x;
}

template <int WARPS> DEVICE int team_least(int x, float *found)
{
    x = lanes_least<WARP>(x);
    if (WARPS == 1) return x;
    exchange(found, __int_as_float(x));
    for (int warp = 0; warp < WARPS; warp++) x = min(x, __float_as_int(found[warp]));
    return x;
}

template <int WARPS> DEVICE void soften(const struct cuda_softmax &p, int64_t number)
{
    enum { THREADS = WARPS * WARP };
    __shared__ float found[4][WARPS];

    int           id = (int)threadIdx.x % THREADS, keys = (int)p.keys;
    int64_t       b = number / (p.heads * p.queries), h = number / p.queries % p.heads, i = number % p.queries;
    struct source row = source_of(p, b, h, i);

    float largest = -INFINITY;
    int   best    = INT32_MAX;
    for (int key = id; key < keys; key += THREADS) {
        float score = score_of(row, key);
        if (score > largest) largest = score, best = key;
    }
    float own    = largest;
    largest      = team_largest<WARPS>(own, found[0]);
    best         = team_least<WARPS>(own == largest ? best : INT32_MAX, found[1]);
    float centre = centre_of(largest), sum = 0, weighted = 0;
    for (int key = id; key < keys; key += THREADS) {
        float below = __fsub_rn(score_of(row, key), centre), e = expf(below);
        sum      = sum + e;
        weighted = weighted + weigh(e, below);
    }
    sum          = team_sum<WARPS>(sum, found[2]);
    weighted     = team_sum<WARPS>(weighted, found[3]);
    float factor = factor_of(sum);

    if (id == 0) put_sums(p.statistics, b, h, i, centre, sum, weighted, best == INT32_MAX ? -1 : best);
    if (id < PICKED) {
        int64_t key = picked_key(p.mask, p.statistics, b, i, id);
        put_picked(p.statistics, b, h, i, id, probability_of(score_of(row, key), centre, factor));
    }
    if (!p.probabilities.data) return;
    team_barrier<WARPS>(); /* in place, these scores must have been read */
    float *out = static_cast<float *>(p.probabilities.data) + row_index(p.probabilities, b, h, i);
    for (int key = id; key < keys; key += THREADS)
        out[key * p.probabilities.stride[3]] = probability_of(score_of(row, key), centre, factor);
}

CUDA_KERNEL(softmax_short, cuda_softmax, TEAMS *WARP)
{
    int64_t number = BLOCK_NUMBER * TEAMS + threadIdx.x / WARP;
    if (number < p.rows) soften<1>(p, number);
}

CUDA_KERNEL(softmax_long, cuda_softmax, LONG_WARPS *WARP)
{
    soften<LONG_WARPS>(p, BLOCK_NUMBER);
}

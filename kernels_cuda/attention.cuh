/* attention: what all kernels share, whether they multiply in strict f32 (attention_group.cuh) or on tensor cores
 * (attention_tensor.cuh).
 *
 * out[b, i, h] = sum_j p[b, h, i, j] v[b, j, g],  p = softmax_j(cap(scale q[b, i, h] . k[b, j, g]) + additive) over the
 * keys that query i sees, g = h / (H / G)
 *
 * q [B, Q, H, D], k [B, K, G, D], v [B, K, G, Dv], out [B, Q, H, Dv]; last strides 1
 * softmaxes [B, H, Q, 2]: {centre, factor} of each row; p = exp(score - centre) * factor, wherever it is computed again
 *
 * A block has the scores of some queries and a tile of 64 keys in its threads' registers. Which thread has which is its
 * layout, a struct L:
 *     L::ROWS, L::COLUMNS    queries of a thread, and keys
 *     L::ACROSS              neighbouring lanes that share their queries
 *     L::QUERIES             of the block
 *     L::query_at(i), L::key_at(j)
 *     L::argument(s, centre) of the exponential of s - centre, as a multiple of
 *     L::unit()              this many nats
 *     L::exponential(x)      of such an argument x <= 0; 1 of 0, 0 of -inf
 *     L::IS_SCALED           products are of scaled queries
 *
 * A score is the same in every kernel of a family: one chain of multiply-adds over the entries, in their order, then
 * scaled, capped, biased and masked alike. So what one shows does not depend on what else is asked for, nor on where a
 * tile begins. A tile of keys that no query of a block sees is left out; going through it would multiply by exp(0) = 1
 * and add 0, so that leaving it out shows nowhere either. */
#ifndef SCRY_CUDA_ATTENTION_CUH
#define SCRY_CUDA_ATTENTION_CUH

#include "attention.h"
#include "attention_range.cuh"
#include "tensor.cuh"

enum { TILE = ATTENTION_TILE, PITCH = ATTENTION_PITCH };

/* --- Places --- */

/* Which of so many blocks of work a block of threads has, of which head and sequence. */
struct place {
    int64_t block, h, b;
};

DEVICE struct place place_of(int64_t number, int64_t blocks, int64_t heads)
{
    struct place at = {number % blocks, number / blocks % heads, number / blocks / heads};
    return at;
}

DEVICE int64_t blocks_of(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

/* Row i of head h of sequence b among all rows. */
DEVICE int64_t row_number(const struct cuda_attention &p, int64_t b, int64_t h, int64_t i)
{
    return (b * p.heads + h) * p.queries + i;
}

/* --- Queries --- */

/* Some queries of a head, and what they see. */
struct query_block {
    int64_t      b, h, g, query; /* g: the key/value head; query: the first */
    int          count;
    struct sight first, last; /* of the first and the last query */
};

/* The key/value head that a head reads. Dividing 64-bit numbers takes a hundred instructions. */
DEVICE int64_t group_of(const struct cuda_attention &p, int64_t h)
{
    return p.heads <= UINT32_MAX ? (uint32_t)h / (uint32_t)p.sharing : h / p.sharing;
}

/* As many as there are of `most` queries from `query` on. */
DEVICE struct query_block query_block_of(const struct cuda_attention &p, int64_t b, int64_t h, int64_t query, int most,
                                         int64_t end)
{
    struct sight       sees = sight_of(p.mask, b, (int)p.keys);
    struct query_block at   = {b, h, group_of(p, h), query, (int)min(end - query, (int64_t)most), sees, sees};
    at.first                = sight_at(sees, p.mask, query, (int)p.keys);
    at.last                 = sight_at(sees, p.mask, query + at.count - 1, (int)p.keys);
    return at;
}

/* --- Scores --- */

template <class L> DEVICE void clear_scores(float (&scores)[L::ROWS][L::COLUMNS], float value)
{
#pragma unroll
    for (int i = 0; i < L::ROWS; i++)
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++) scores[i][j] = value;
}

/* Each product is rounded on its own, never as part of a multiply-add that follows in one kernel and not in another. */
template <class L> DEVICE void scale_scores(float (&scores)[L::ROWS][L::COLUMNS], const struct cuda_attention &p)
{
#pragma unroll
    for (int i = 0; i < L::ROWS; i++)
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++) {
            if (!L::IS_SCALED) scores[i][j] = __fmul_rn(p.scale, scores[i][j]);
            if (p.softcap > 0) scores[i][j] = __fmul_rn(p.softcap, tanhf(__fdiv_rn(scores[i][j], p.softcap)));
        }
}

/* Products become scores of the keys from `key` on; -inf where masked, and beyond queries and keys. */
template <class L>
DEVICE void finish_scores(float (&scores)[L::ROWS][L::COLUMNS], const struct cuda_attention &p,
                          const struct query_block &at, int key)
{
    const float *additive = additive_of(p.mask, at.b, at.h, at.query);
    bool         is_open  = all_seen(at.first, at.last, key, key + TILE) && at.count == L::QUERIES;
    if (!L::IS_SCALED || p.softcap > 0) scale_scores<L>(scores, p);
    if (is_open && !additive) return;
#pragma unroll
    for (int i = 0; i < L::ROWS; i++) {
        struct sight sees    = sight_at(at.first, p.mask, at.query + L::query_at(i), (int)p.keys);
        bool         is_real = L::query_at(i) < at.count;
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++) {
            int n = key + L::key_at(j);
            if (!is_real || !is_seen(sees, n))
                scores[i][j] = -INFINITY;
            else if (additive)
                scores[i][j] = with_bias(
                    scores[i][j], additive[L::query_at(i) * p.mask.additive.stride[2] + n * p.mask.additive.stride[3]]);
        }
    }
}

/* Puts the thread's values of a tile to to[query * PITCH + key]. */
template <class L> DEVICE void put_tile(float *to, const float (&values)[L::ROWS][L::COLUMNS])
{
#pragma unroll
    for (int i = 0; i < L::ROWS; i++)
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++) to[L::query_at(i) * PITCH + L::key_at(j)] = values[i][j];
}

/* 0 where masked, in a row that is NaN too. */
template <class L> DEVICE float probability_of(float score, float centre, float factor)
{
    return score == -INFINITY ? 0 : __fmul_rn(L::exponential(L::argument(score, centre)), factor);
}

#endif

/* attention: rows of the softmax on their way through tiles of keys, and what becomes of them. For the kernels that
 * make the output; layouts are in attention.cuh. */
#ifndef SCRY_CUDA_ATTENTION_ROWS_CUH
#define SCRY_CUDA_ATTENTION_ROWS_CUH

#include "attention.cuh"

/* Of the thread's rows: sum and weighted, the sum of exponentials times their arguments, are of its own keys; best is
 * its first key with the score `largest`, if it has one. */
template <class L> struct running {
    float largest[L::ROWS], sum[L::ROWS], weighted[L::ROWS];
    int   best[L::ROWS];
};

/* Of the block's rows, in shared memory. picked: scores of the statistics' keys, -inf until they have come; first: that
 * key of the first row, or one that no tile has. */
template <class L> struct finished {
    float centre[L::QUERIES], sum[L::QUERIES], weighted[L::QUERIES], picked[PICKED][L::QUERIES];
    int   best[L::QUERIES], first[PICKED];
};

/* Where the statistic's key moves on from row to row. */
DEVICE int moves_on(int kind)
{
    return kind == PREVIOUS || kind == SELF;
}

template <class L>
DEVICE void begin_rows(struct running<L> &rows, struct finished<L> &done, const struct cuda_attention_output &p,
                       const struct query_block &at)
{
#pragma unroll
    for (int i = 0; i < L::ROWS; i++) {
        rows.largest[i] = -INFINITY;
        rows.sum[i] = rows.weighted[i] = 0;
        rows.best[i]                   = INT32_MAX;
    }
    for (int e = (int)threadIdx.x; e < PICKED * L::QUERIES; e += (int)blockDim.x)
        done.picked[e / L::QUERIES][e % L::QUERIES] = -INFINITY;
    if (p.wants_rows && threadIdx.x < PICKED) {
        int64_t key             = picked_key(p.of.mask, p.rows, at.b, at.query, (int)threadIdx.x);
        done.first[threadIdx.x] = key > -L::QUERIES && key < p.of.keys ? (int)key : -L::QUERIES;
    }
}

/* Remembers the scores of the statistics' keys, of which few tiles have any. */
template <class L> DEVICE void pick(struct finished<L> &done, const float (&scores)[L::ROWS][L::COLUMNS], int key)
{
    for (int kind = 0; kind < PICKED; kind++) {
        int first = done.first[kind] - key, moves = moves_on(kind);
        if (first >= TILE || first + moves * (L::QUERIES - 1) < 0) continue;
#pragma unroll
        for (int i = 0; i < L::ROWS; i++)
#pragma unroll
            for (int j = 0; j < L::COLUMNS; j++)
                if (first + moves * L::query_at(i) == L::key_at(j)) done.picked[kind][L::query_at(i)] = scores[i][j];
    }
}

/* Scores become exponentials. What all sums so far are to be multiplied with goes to `shrink`. */
template <class L>
DEVICE void advance(struct running<L> &rows, float (&scores)[L::ROWS][L::COLUMNS], float (&shrink)[L::ROWS], int key)
{
#pragma unroll
    for (int i = 0; i < L::ROWS; i++) {
        float largest = scores[i][0];
#pragma unroll
        for (int j = 1; j < L::COLUMNS; j++) largest = fmaxf(largest, scores[i][j]);
        largest = lanes_largest<L::ACROSS>(largest);
        if (largest > rows.largest[i]) {
            rows.best[i] = INT32_MAX;
#pragma unroll
            for (int j = L::COLUMNS - 1; j >= 0; j--)
                if (scores[i][j] == largest) rows.best[i] = key + L::key_at(j);
        }
        largest      = fmaxf(rows.largest[i], largest);
        float centre = centre_of(largest), moved = L::argument(rows.largest[i], centre);
        shrink[i]        = L::exponential(moved);
        rows.weighted[i] = (rows.weighted[i] + weigh(rows.sum[i], moved)) * shrink[i];
        rows.sum[i]      = rows.sum[i] * shrink[i];
        rows.largest[i]  = largest;
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++) {
            float argument   = L::argument(scores[i][j], centre);
            scores[i][j]     = L::exponential(argument);
            rows.sum[i]      = rows.sum[i] + scores[i][j];
            rows.weighted[i] = rows.weighted[i] + weigh(scores[i][j], argument);
        }
    }
}

/* Puts together what the lanes of each row have, and gives the rows' factors. */
template <class L> DEVICE void finish_rows(struct finished<L> &done, struct running<L> &rows, float (&factor)[L::ROWS])
{
#pragma unroll
    for (int i = 0; i < L::ROWS; i++) {
        float sum = lanes_sum<L::ACROSS>(rows.sum[i]), weighted = lanes_sum<L::ACROSS>(rows.weighted[i]);
        int   best = lanes_least<L::ACROSS>(rows.best[i]);
        if (threadIdx.x % L::ACROSS == 0) {
            done.centre[L::query_at(i)]   = centre_of(rows.largest[i]);
            done.sum[L::query_at(i)]      = sum;
            done.weighted[L::query_at(i)] = weighted * L::unit();
            done.best[L::query_at(i)]     = best;
        }
        factor[i] = factor_of(sum);
    }
}

/* Stores the rows' softmaxes and statistics, a thread each. */
template <class L>
DEVICE void put_rows(const struct finished<L> &done, const struct cuda_attention_output &p,
                     const struct query_block &at)
{
    int     i     = (int)threadIdx.x;
    int64_t query = at.query + i;
    if (i >= at.count) return;
    float  centre = done.centre[i], factor = factor_of(done.sum[i]);
    float *softmax = p.of.softmaxes + 2 * row_number(p.of, at.b, at.h, query);
    softmax[0] = centre, softmax[1] = factor;
    if (!p.wants_rows) return;
    put_sums(p.rows, at.b, at.h, query, centre, done.sum[i], done.weighted[i],
             done.best[i] == INT32_MAX ? -1 : done.best[i]);
    for (int kind = 0; kind < PICKED; kind++)
        put_picked(p.rows, at.b, at.h, query, kind, probability_of<L>(done.picked[kind][i], centre, factor));
}

#endif

/* attention on tensor cores: the scores of 16 queries for each warp and 64 keys, for attention_tensor.cu and its
 * captures. Under a policy that allows f16 or bf16: queries (scaled), keys, values and probabilities are rounded to
 * that, products are summed in f32.
 *
 * attention_pack leaves vectors of `packed_size` entries, 64 or 128, behind one another, filled up with 0. In shared
 * memory groups of 8 entries, 16 bytes, of vector n lie exchanged by n % 8, so that the 8 that are loaded at a time lie
 * in different banks. A warp has strips of 16 queries to itself, a thread 2 of each and 16 keys, as tensor.cuh lays out
 * D; keys and values that it loads are multiplied with all of its strips.
 *
 * Error: u being the roundoff of the 16-bit type, of a score (2 u + gamma(D)) sum |scale q k|; 2 ulp of an exponential
 * and, of its argument, the roundings of score and centre in units of log 2. */
#ifndef SCRY_CUDA_ATTENTION_TENSOR_CUH
#define SCRY_CUDA_ATTENTION_TENSOR_CUH

#include "attention.cuh"

enum {
    GROUP      = 8,                 /* entries that are copied and loaded at a time */
    STEP       = 16,                /* entries, or keys, that are multiplied at a time */
    COLUMN_SET = GROUP,             /* columns of one product */
    SETS       = TILE / COLUMN_SET, /* of them in a tile of keys */
};

/* 2 to the power of x <= 0, within 2 ulp; 0 below the smallest normal number. */
DEVICE float power_of_2(float x)
{
#ifdef SCRY_CUDA_EMULATED
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}

/* See attention.cuh. Exponentials are powers of 2, whose arguments take one multiply-add. */
template <int WARPS, int STRIPS_OF_16> struct tensor_layout {
    enum { STRIPS = STRIPS_OF_16, QUERIES = 16 * STRIPS * WARPS, THREADS = WARPS * WARP };
    enum { ROWS = 2 * STRIPS, COLUMNS = TILE / 4, ACROSS = 4, IS_SCALED = 1 };

    /* The warp's first query. */
    DEVICE int first_query()
    {
        return (int)threadIdx.x / WARP * 16 * STRIPS;
    }

    DEVICE int query_at(int i)
    {
        return first_query() + (int)threadIdx.x % WARP / ACROSS + 8 * i;
    }

    DEVICE int key_at(int j)
    {
        return j / 2 * COLUMN_SET + (int)threadIdx.x % ACROSS * 2 + j % 2;
    }

    DEVICE float argument(float score, float centre)
    {
        const float per_nat = 1.44269504f;
        return multiply_add(score, per_nat, -__fmul_rn(centre, per_nat));
    }

    DEVICE float unit()
    {
        return 0.693147181f;
    }

    DEVICE float exponential(float x)
    {
        return power_of_2(x);
    }
};

/* --- Vectors in shared memory --- */

/* The first place from `memory` on that a piece may begin at. */
DEVICE uint16_t *first_piece(void *memory)
{
    return reinterpret_cast<uint16_t *>(static_cast<unsigned char *>(memory) +
                                        (-address_of(memory) & (ATTENTION_TENSOR_ALIGN - 1)));
}

/* Entries [8 group, 8 group + 8) of vector n. */
DEVICE uint16_t *group_at(uint16_t *piece, int n, int group, int size)
{
    return piece + n * size + (group ^ n % GROUP) * GROUP;
}

/* Of the vector whose group 0, or 1, is at an address, group 2 pair, or the next; where pieces are aligned, each bit of
 * a group's number is a bit of its address. */
DEVICE shared_address pair_at(shared_address first, int pair)
{
    return first ^ (shared_address)(pair * 2 * GROUP * 2);
}

/* Fetches vectors [first, first + LINES) of those from `from` on; 0 where there is none of `count`. */
template <int LINES, int SIZE, int THREADS>
DEVICE void fetch_packed(uint16_t *to, const uint16_t *from, int64_t first, int64_t count)
{
    enum { ACROSS = SIZE / GROUP, DOWN = THREADS / ACROSS };
    static_assert(DOWN % GROUP == 0 && LINES % DOWN == 0, "so that a thread's groups are all exchanged alike");
    int             n = (int)threadIdx.x / ACROSS, group = (int)threadIdx.x % ACROSS;
    const uint16_t *x = from + (first + n) * SIZE + group * GROUP;
    uint16_t       *y = group_at(to, n, group, SIZE);
    if (first + LINES <= count) {
#pragma unroll
        for (int i = 0; i < LINES; i += DOWN) copy_async<16>(y + i * SIZE, x + i * SIZE);
        return;
    }
#pragma unroll 1
    for (int i = 0; i < LINES; i += DOWN)
        if (first + n + i < count)
            copy_async<16>(y + i * SIZE, x + i * SIZE);
        else
            *reinterpret_cast<uint4 *>(y + i * SIZE) = make_uint4(0, 0, 0, 0);
}

/* The packed queries of a head, its keys, or its values. */
DEVICE const uint16_t *packed_queries(const struct cuda_attention &p, const struct query_block &at)
{
    return p.packed_q + (at.b * p.heads + at.h) * p.queries * p.packed_size;
}

DEVICE const uint16_t *packed_head(const uint16_t *x, const struct cuda_attention &p, const struct query_block &at)
{
    return x + (at.b * group_of(p, p.heads) + at.g) * p.keys * p.packed_size;
}

/* --- Products --- */

template <int DTYPE> DEVICE void multiply_tensor(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    if (DTYPE == F16)
        multiply_f16(d, a, b);
    else
        multiply_bf16(d, a, b);
}

/* Products of the warp's queries and a tile of keys. */
template <class L, int DTYPE, int SIZE>
DEVICE void multiply_keys(float (&scores)[L::ROWS][L::COLUMNS], uint16_t *queries, uint16_t *keys)
{
    int            lane   = (int)threadIdx.x % WARP;
    shared_address a_rows = address_of(group_at(queries, L::first_query() + lane % 16, lane / 16, SIZE));
    shared_address b_rows = address_of(group_at(keys, lane / 16 * 8 + lane % 8, lane / 8 % 2, SIZE));
    float          sums[SETS][L::STRIPS][4] = {};
    uint32_t       a[L::STRIPS][4], b[4];
#pragma unroll
    for (int k = 0; k < SIZE / STEP; k++) {
#pragma unroll
        for (int m = 0; m < L::STRIPS; m++) load_matrices(a[m], pair_at(a_rows, k) + m * 16 * SIZE * 2);
#pragma unroll
        for (int n = 0; n < SETS; n += 2) {
            load_matrices(b, pair_at(b_rows, k) + n * COLUMN_SET * SIZE * 2);
#pragma unroll
            for (int m = 0; m < L::STRIPS; m++) {
                multiply_tensor<DTYPE>(sums[n][m], a[m], b);
                multiply_tensor<DTYPE>(sums[n + 1][m], a[m], b + 2);
            }
        }
    }
#pragma unroll
    for (int n = 0; n < SETS; n++)
#pragma unroll
        for (int i = 0; i < L::ROWS; i++)
#pragma unroll
            for (int e = 0; e < 2; e++) scores[i][2 * n + e] = sums[n][i / 2][i % 2 * 2 + e];
}

/* For attention_capture.cuh. */
template <int DTYPE, int SIZE> struct tensor_scores {
    typedef struct tensor_layout<4, 1> L;

    /* Queries of a stage; its keys come behind them. */
    DEVICE uint16_t *piece_of(float *memory, int stage)
    {
        return first_piece(memory + ATTENTION_PIECE_BYTES / 4) + stage * 2 * TILE * SIZE;
    }

    DEVICE void fetch(float *memory, int stage, const struct cuda_attention &p, const struct query_block &at, int key)
    {
        uint16_t *queries = piece_of(memory, stage);
        fetch_packed<TILE, SIZE, L::THREADS>(queries, packed_queries(p, at), at.query, at.query + at.count);
        fetch_packed<TILE, SIZE, L::THREADS>(queries + TILE * SIZE, packed_head(p.packed_k, p, at), key, p.keys);
    }

    template <class Next>
    DEVICE void get(float (&scores)[L::ROWS][L::COLUMNS], float *memory, int &stage, const struct cuda_attention &p,
                    const struct query_block &at, int key, Next fetch_next)
    {
        uint16_t *queries = piece_of(memory, stage);
        fetch_next(stage ^ 1);
        copy_async_commit();
        copy_async_wait<1>();
        __syncthreads();
        multiply_keys<L, DTYPE, SIZE>(scores, queries, queries + TILE * SIZE);
        __syncthreads();
        stage ^= 1;
        finish_scores<L>(scores, p, at, key);
    }
};

#endif

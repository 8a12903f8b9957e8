/* attention on tensor cores: the scores of 16 queries for each warp and 64 keys, for attention_tensor.cu and its
 * captures. Under a policy that allows f16 or bf16: queries (scaled), keys, values and probabilities are rounded to
 * that, products are summed in f32.
 *
 * attention_pack leaves vectors of `packed_size` entries, 64 or 128, behind one another, filled up with 0. In shared
 * memory groups of 8 entries, 16 bytes, of vector n lie exchanged by n % 8, so that the 8 that are loaded at a time lie
 * in different banks. A warp has 16 queries to itself, a thread 2 of them and 16 keys, as tensor.cuh lays out D.
 *
 * Error: u being the roundoff of the 16-bit type, of a score (2 u + gamma(D)) sum |scale q k|; 2 ulp of an exponential
 * and the rounding of its argument. */
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

/* See attention.cuh. */
template <int WARPS> struct tensor_layout {
    enum { QUERIES = 16 * WARPS, ROWS = 2, COLUMNS = TILE / 4, ACROSS = 4, IS_SCALED = 1 };

    DEVICE int query_at(int i)
    {
        return (int)threadIdx.x / WARP * 16 + (int)threadIdx.x % WARP / ACROSS + 8 * i;
    }

    DEVICE int key_at(int j)
    {
        return j / 2 * COLUMN_SET + (int)threadIdx.x % ACROSS * 2 + j % 2;
    }

    DEVICE float exponential(float x)
    {
        return power_of_2(x * 1.44269504f);
    }
};

/* --- Vectors in shared memory --- */

/* Entries [8 group, 8 group + 8) of vector n. */
DEVICE uint16_t *group_at(uint16_t *piece, int n, int group, int size)
{
    return piece + n * size + (group ^ n % GROUP) * GROUP;
}

/* Fetches vectors [first, first + lines) of those from `from` on; 0 where there is none of `count`. */
DEVICE void fetch_packed(uint16_t *to, const uint16_t *from, int64_t first, int64_t count, int lines, int size)
{
    for (int e = (int)threadIdx.x; e < lines * (size / GROUP); e += (int)blockDim.x) {
        int       n = e / (size / GROUP), group = e % (size / GROUP);
        uint16_t *y = group_at(to, n, group, size);
        if (first + n < count)
            copy_async<16>(y, from + (first + n) * size + group * GROUP);
        else
            *reinterpret_cast<uint4 *>(y) = make_uint4(0, 0, 0, 0);
    }
}

/* The packed queries of a head, its keys, or its values. */
DEVICE const uint16_t *packed_queries(const struct cuda_attention &p, const struct query_block &at)
{
    return p.packed_q + (at.b * p.heads + at.h) * p.queries * p.packed_size;
}

DEVICE const uint16_t *packed_head(const uint16_t *x, const struct cuda_attention &p, const struct query_block &at)
{
    return x + (at.b * (p.heads / p.sharing) + at.h / p.sharing) * p.keys * p.packed_size;
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
template <int DTYPE>
DEVICE void multiply_keys(float (&scores)[2][TILE / 4], uint16_t *queries, uint16_t *keys, int size)
{
    int      lane = (int)threadIdx.x % WARP, row = (int)threadIdx.x / WARP * 16 + lane % 16;
    float    sums[SETS][4] = {};
    uint32_t a[4], b[4];
#pragma unroll 4
    for (int k = 0; k < size / STEP; k++) {
        load_matrices(a, group_at(queries, row, 2 * k + lane / 16, size));
#pragma unroll
        for (int n = 0; n < SETS; n += 2) {
            load_matrices(b, group_at(keys, n * COLUMN_SET + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2, size));
            multiply_tensor<DTYPE>(sums[n], a, b);
            multiply_tensor<DTYPE>(sums[n + 1], a, b + 2);
        }
    }
#pragma unroll
    for (int n = 0; n < SETS; n++) {
        scores[0][2 * n] = sums[n][0], scores[0][2 * n + 1] = sums[n][1];
        scores[1][2 * n] = sums[n][2], scores[1][2 * n + 1] = sums[n][3];
    }
}

/* For attention_capture.cuh. */
struct tensor_scores {
    typedef struct tensor_layout<4> L;

    /* Queries of a stage; its keys come behind them. */
    DEVICE uint16_t *piece_of(float *memory, int stage, const struct cuda_attention &p)
    {
        uint16_t *first = reinterpret_cast<uint16_t *>(memory + ATTENTION_PIECE_BYTES / 4);
        return first + stage * 2 * TILE * p.packed_size;
    }

    DEVICE void fetch(float *memory, int stage, const struct cuda_attention &p, const struct query_block &at, int key)
    {
        uint16_t *queries = piece_of(memory, stage, p);
        int       size    = (int)p.packed_size;
        fetch_packed(queries, packed_queries(p, at), at.query, at.query + at.count, TILE, size);
        fetch_packed(queries + TILE * size, packed_head(p.packed_k, p, at), key, p.keys, TILE, size);
    }

    template <class Next>
    DEVICE void get(float (&scores)[L::ROWS][L::COLUMNS], float *memory, int &stage, const struct cuda_attention &p,
                    const struct query_block &at, int key, Next fetch_next)
    {
        uint16_t *queries = piece_of(memory, stage, p);
        int       size    = (int)p.packed_size;
        fetch_next(stage ^ 1);
        copy_async_commit();
        copy_async_wait<1>();
        __syncthreads();
        if (p.packed_dtype == F16)
            multiply_keys<F16>(scores, queries, queries + TILE * size, size);
        else
            multiply_keys<BF16>(scores, queries, queries + TILE * size, size);
        __syncthreads();
        stage ^= 1;
        finish_scores<L>(scores, p, at, key);
    }
};

#endif

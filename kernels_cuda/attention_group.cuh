/* attention in strict f32: the scores of 64 or 8 queries and 64 keys, for attention_group.cu and its captures.
 *
 * A block of 128 threads has a piece of each side in shared memory, 64 vectors of 64 entries; a thread has the products
 * of 8 queries and 4 keys. A warp has 16 queries to itself: half of its lanes 8 of them, and each of 16 lanes 4 keys,
 * 16 apart. Where there are few queries, blocks have 8 of them and threads one. All reads are of 4 entries; the lines'
 * pitch of 68 and the order of queries put those of 8 lanes into different banks.
 *
 * Error: of a score gamma(D + 1) scale sum |q k|; 1 ulp of an exponential. */
#ifndef SCRY_CUDA_ATTENTION_GROUP_CUH
#define SCRY_CUDA_ATTENTION_GROUP_CUH

#include "attention.cuh"

enum {
    CHUNK   = ATTENTION_CHUNK,
    THREADS = ATTENTION_THREADS,
    QUAD    = 4, /* entries that are read at a time */
    PIECE   = TILE * PITCH,
};

/* See attention.cuh. What a row comes to does not depend on how many of them a thread has. */
template <int OWN> struct group_layout {
    enum { QUERIES = 8 * OWN, ROWS = OWN, COLUMNS = 4, ACROSS = TILE / COLUMNS, IS_SCALED = 0 };

    DEVICE int query_at(int i)
    {
        int id = (int)threadIdx.x, half = id % WARP / ACROSS;
        return id / WARP * 2 * OWN + i / 4 * 8 + half * (OWN < 4 ? OWN : 4) + i % 4;
    }

    DEVICE int key_at(int j)
    {
        return (int)threadIdx.x % ACROSS + ACROSS * j;
    }

    DEVICE float argument(float score, float centre)
    {
        return __fsub_rn(score, centre);
    }

    DEVICE float unit()
    {
        return 1;
    }

    DEVICE float exponential(float x)
    {
        return expf(x);
    }
};

/* --- Pieces of vectors in shared memory --- */

/* A head's queries, keys or values: entry d of vector n is at base[n * stride + d]. */
struct vectors {
    const float *base;
    int64_t      stride;
    bool         is_aligned; /* so that 4 entries can be copied at once */
};

DEVICE struct vectors vectors_of(const struct cuda_view &x, int64_t b, int64_t head)
{
    struct vectors of = {static_cast<const float *>(x.data) + b * x.stride[0] + head * x.stride[2], x.stride[1], false};
    of.is_aligned     = reinterpret_cast<uint64_t>(of.base) % 16 == 0 && of.stride % QUAD == 0;
    return of;
}

/* Copies to to[n * PITCH + d] the entries [begin, begin + CHUNK) of LINES vectors from number `first` on, as far as
 * their `end` is rounded up to 4; 0 where there is none of `count` vectors in all. */
template <int LINES>
DEVICE void fetch(float *to, const struct vectors &from, int64_t first, int64_t count, int64_t begin, int64_t end)
{
    enum { ACROSS = CHUNK / QUAD, DOWN = THREADS / ACROSS };
    int          n = (int)threadIdx.x / ACROSS, d = (int)threadIdx.x % ACROSS * QUAD;
    int          left = (int)min((int64_t)CHUNK, end - begin) - d;
    const float *x    = from.base + (first + n) * from.stride + begin + d;
    float       *y    = to + n * PITCH + d;
    if (left <= 0) return;
    if (from.is_aligned && left >= QUAD && first + LINES <= count) {
#pragma unroll
        for (int i = 0; i < LINES / DOWN; i++) copy_async<QUAD * 4>(y + i * DOWN * PITCH, x + i * DOWN * from.stride);
        return;
    }
    for (; n < LINES; n += DOWN, x += DOWN * from.stride, y += DOWN * PITCH)
        for (int e = 0; e < QUAD; e++)
            if (first + n < count && e < left)
                copy_async<4>(y + e, x + e);
            else
                y[e] = 0;
}

/* Where the pieces of a stage lie; the first of all is for scores. */
DEVICE float *keys_of(float *memory, int stage)
{
    return memory + (2 + stage) * PIECE;
}

DEVICE float *queries_of(float *memory, int stage)
{
    return memory + (stage ? 4 : 1) * PIECE;
}

/* Fetches chunk `chunk` of keys from `key` on into a stage, or of the block's queries. */
DEVICE void fetch_keys(float *memory, int stage, const struct cuda_attention &p, const struct query_block &at, int key,
                       int chunk)
{
    fetch<TILE>(keys_of(memory, stage), vectors_of(p.k, at.b, at.g), key, p.keys, (int64_t)chunk * CHUNK, p.head_size);
}

template <class L>
DEVICE void fetch_queries(float *memory, int stage, const struct cuda_attention &p, const struct query_block &at,
                          int chunk)
{
    fetch<L::QUERIES>(queries_of(memory, stage), vectors_of(p.q, at.b, at.h), at.query, at.query + at.count,
                      (int64_t)chunk * CHUNK, p.head_size);
}

/* Works on what has been fetched into `stage`, while fetch_next(stage) gets what comes next. */
template <class Next, class Work>
DEVICE void work_on(int &stage, const struct cuda_attention &p, Next fetch_next, Work work)
{
    if (p.is_double) {
        fetch_next(stage ^ 1);
        copy_async_commit();
        copy_async_wait<1>();
    } else {
        copy_async_wait<0>();
    }
    __syncthreads();
    work(stage);
    __syncthreads();
    if (p.is_double) {
        stage ^= 1;
    } else {
        fetch_next(stage);
        copy_async_commit();
    }
}

/* --- Scores --- */

DEVICE void read_quad(float (&to)[QUAD], const float *from)
{
    float4 quad = *reinterpret_cast<const float4 *>(from);
    to[0] = quad.x, to[1] = quad.y, to[2] = quad.z, to[3] = quad.w;
}

/* scores[i][j] += the sum over `width` entries of a[query i][..] b[key j][..]. */
template <class L> DEVICE void multiply(float (&scores)[L::ROWS][L::COLUMNS], const float *a, const float *b, int width)
{
#pragma unroll 1
    for (int d = 0; d < width; d += QUAD) {
        float x[QUAD], y[L::COLUMNS][QUAD];
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++) read_quad(y[j], b + L::key_at(j) * PITCH + d);
#pragma unroll
        for (int i = 0; i < L::ROWS; i++) {
            read_quad(x, a + L::query_at(i) * PITCH + d);
#pragma unroll
            for (int j = 0; j < L::COLUMNS; j++)
#pragma unroll
                for (int e = 0; e < QUAD; e++) scores[i][j] = scores[i][j] + x[e] * y[j][e];
        }
    }
}

/* Finished scores of a tile, whose first chunk has been fetched. fetch_next gets what comes after its last one. Where
 * the queries stay, they are a single chunk in stage 0. */
template <class L, class Next>
DEVICE void score(float (&scores)[L::ROWS][L::COLUMNS], float *memory, int &stage, bool stay,
                  const struct cuda_attention &p, const struct query_block &at, int key, Next fetch_next)
{
    int chunks = (int)blocks_of(p.head_size, CHUNK);
    clear_scores<L>(scores, 0);
    for (int chunk = 0; chunk < chunks; chunk++)
        work_on(
            stage, p,
            [&](int to) {
                if (chunk + 1 == chunks) {
                    fetch_next(to);
                    return;
                }
                fetch_keys(memory, to, p, at, key, chunk + 1);
                fetch_queries<L>(memory, to, p, at, chunk + 1);
            },
            [&](int from) {
                int width = (int)min((int64_t)CHUNK, p.head_size - (int64_t)chunk * CHUNK);
                multiply<L>(scores, queries_of(memory, stay ? 0 : from), keys_of(memory, from), width);
            });
    finish_scores<L>(scores, p, at, key);
}

/* For attention_capture.cuh. */
struct group_scores {
    typedef struct group_layout<8> L;

    DEVICE void fetch(float *memory, int stage, const struct cuda_attention &p, const struct query_block &at, int key)
    {
        fetch_keys(memory, stage, p, at, key, 0);
        fetch_queries<L>(memory, stage, p, at, 0);
    }

    template <class Next>
    DEVICE void get(float (&scores)[L::ROWS][L::COLUMNS], float *memory, int &stage, const struct cuda_attention &p,
                    const struct query_block &at, int key, Next fetch_next)
    {
        score<L>(scores, memory, stage, false, p, at, key, fetch_next);
    }
};

#endif

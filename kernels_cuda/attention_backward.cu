/* attention_backward: the gradients of attention. With s = scale q . k, p = exp(cap(s) + additive - lse) and
 * o = d_out . out: d_v = sum of p d_out, d_s = p (d_out . v - o) (1 - (cap(s) / softcap)^2), d_q = scale times the sum
 * of d_s k, d_k that of d_s q.
 *
 * q, d_q f32 [B, Q, H, D], k, d_k [B, K, G, D], v, d_v [B, K, G, Dv], out, d_out [B, Q, H, Dv], last strides 1; lse
 * [B, H, Q]
 *
 *     attention_backward_rows       o of each row, into scratch; a warp takes a row
 *     attention_backward_queries    d_q; blocks of 32 queries, over heads x sequences x stretches of 128 entries
 *     attention_backward_keys       d_k or d_v; blocks of 32 keys, over key heads x sequences x stretches of entries.
 *                                   Takes the heads that read these keys one after another, in ascending order, and of
 *                                   each the queries
 *
 * A block goes through the tiles of 32 queries and 32 keys in which any query sees a key. It makes p and d_s of a tile
 * anew, each thread those of 4 queries and 2 keys: products by pieces of 64 entries in shared memory, a chain of
 * multiply-adds each, in the order of the forward kernels. Then a thread adds to 16 entries of two vectors of the
 * gradient, again chains. p is -1 where the key is not seen, so that what such keys and rows hold reaches no sum. No
 * Q x K anywhere.
 *
 * Errors: a score gamma(D + 2) of its terms, p the relative error of that and of exp, sums gamma(terms + 4). */
#include "attention_backward.h"

#include "attention.cuh"

enum {
    SIDE    = ATTENTION_BACKWARD_TILE,
    CHUNK   = ATTENTION_BACKWARD_CHUNK,
    THREADS = ATTENTION_BACKWARD_THREADS,
    CHUNKS  = ATTENTION_BACKWARD_STRETCH / CHUNK,
    ACROSS  = 16, /* threads across a tile's keys; the others are down its queries */
    DOWN    = THREADS / ACROSS,
    LINES   = SIDE / DOWN,              /* of a thread: queries of a tile */
    COLUMNS = SIDE / ACROSS,            /* and keys */
    SHARING = 8,                        /* threads that share a vector of the gradient */
    OWNED   = SIDE * SHARING / THREADS, /* such vectors of a thread */
    EACH    = CHUNK / SHARING,          /* and entries of each of their chunks */
};

/* --- Pieces --- */

/* Up to SIDE vectors: entry d of vector n is at base[n * stride + d]. */
struct vectors {
    const float *base;
    int64_t      stride, count;
};

/* Those of a head, of [B, T, heads, size], from number `first` on. */
DEVICE struct vectors vectors_of(const struct cuda_view &x, int64_t b, int64_t head, int64_t first, int64_t count)
{
    const float *base = static_cast<const float *>(x.data) + b * x.stride[0] + first * x.stride[1] + head * x.stride[2];
    return {base, x.stride[1], min(count - first, (int64_t)SIDE)};
}

/* What a block has in shared memory. */
struct backward_memory {
    float a[SIDE][CHUNK + 1], b[SIDE][CHUNK + 1]; /* pieces of vectors */
    float p[SIDE][SIDE + 1], d_s[SIDE][SIDE + 1]; /* of each query and key of the tile */
};

/* Entries [begin, begin + CHUNK) of vectors of `size`; 0 where there is none. */
DEVICE void load_piece(float (&piece)[SIDE][CHUNK + 1], const struct vectors &from, int64_t begin, int64_t size)
{
    for (int e = (int)threadIdx.x; e < SIDE * CHUNK; e += THREADS) {
        int n = e / CHUNK, d = e % CHUNK;
        piece[n][d] = n < from.count && begin + d < size ? from.base[n * from.stride + begin + d] : 0;
    }
}

/* --- Tiles --- */

/* The thread's queries of a tile, and its keys. */
DEVICE int line(int i)
{
    return (int)threadIdx.x / ACROSS + i * DOWN;
}

DEVICE int column(int j)
{
    return (int)threadIdx.x % ACROSS + j * ACROSS;
}

/* What it has of each query and key. */
typedef float pairs[LINES][COLUMNS];

/* The products of a tile's vectors. Begins and ends with nobody reading the pieces. */
DEVICE void multiply(pairs &products, struct backward_memory &memory, const struct vectors &a, const struct vectors &b,
                     int64_t size)
{
    for (int64_t begin = 0; begin < size; begin += CHUNK) {
        load_piece(memory.a, a, begin, size);
        load_piece(memory.b, b, begin, size);
        __syncthreads();
        int width = (int)min((int64_t)CHUNK, size - begin);
        for (int d = 0; d < width; d++)
#pragma unroll
            for (int i = 0; i < LINES; i++)
#pragma unroll
                for (int j = 0; j < COLUMNS; j++)
                    products[i][j] = multiply_add(memory.a[line(i)][d], memory.b[column(j)][d], products[i][j]);
        __syncthreads();
    }
}

/* p and d_s of one query and a key, from q . k and d_out . v. */
struct pair {
    float p, d_s;
};

DEVICE struct pair pair_of(const struct cuda_attention_backward &p, const struct query_block &at, int64_t query,
                           int key, float product, float d_p)
{
    const struct cuda_attention &of       = p.of;
    const float                 *additive = additive_of(of.mask, at.b, at.h, query);
    struct sight                 sees     = sight_at(at.first, of.mask, query, (int)of.keys);
    if (query >= at.query + at.count || !is_seen(sees, key)) return {-1, 0};
    float lse   = static_cast<const float *>(p.lse.data)[row_index(p.lse, at.b, at.h, query)];
    float added = additive ? additive[key * of.mask.additive.stride[3]] : 0;
    if (lse == -INFINITY || added == -INFINITY) return {-1, 0};
    float score = __fmul_rn(of.scale, product), slope = 1;
    if (of.softcap > 0) {
        float bent = tanhf(__fdiv_rn(score, of.softcap));
        score      = __fmul_rn(of.softcap, bent);
        slope      = 1 - bent * bent;
    }
    float probability = expf(with_bias(score, added) - lse);
    return {probability, probability * (d_p - p.sums[row_number(of, at.b, at.h, query)]) * slope};
}

/* p and d_s of a tile of queries and the keys from `key` on; of values p alone. They are there for all behind the
 * next barrier. */
DEVICE void weigh(struct backward_memory &memory, const struct cuda_attention_backward &p, const struct query_block &at,
                  int key)
{
    const struct cuda_attention &of    = p.of;
    int64_t                      group = at.h / of.sharing, end = at.query + at.count;
    pairs                        products = {}, d_p = {};
    multiply(products, memory, vectors_of(of.q, at.b, at.h, at.query, end), vectors_of(of.k, at.b, group, key, of.keys),
             of.head_size);
    if (!p.is_of_values)
        multiply(d_p, memory, vectors_of(p.d_out, at.b, at.h, at.query, end),
                 vectors_of(p.v, at.b, group, key, of.keys), p.value_size);
#pragma unroll
    for (int i = 0; i < LINES; i++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            struct pair found = pair_of(p, at, at.query + line(i), key + column(j), products[i][j], d_p[i][j]);
            memory.p[line(i)][column(j)]   = found.p;
            memory.d_s[line(i)][column(j)] = found.d_s;
        }
}

/* --- Gradients --- */

/* A thread's entries of its vectors of the gradient: every SHARING-th of each chunk of its block's stretch. */
typedef float gradient[OWNED][CHUNKS][EACH];

DEVICE int owned(int o)
{
    return (int)threadIdx.x / SHARING + o * (THREADS / SHARING);
}

DEVICE int entry_of_chunk(int e)
{
    return (int)threadIdx.x % SHARING + e * SHARING;
}

/* sums += weights[own, other] x[other] over those of the tile that are seen; from `begin` on, in the order of others.
 * BY_KEY: own vectors are those of keys, others those of queries. Ends with nobody reading the memory. */
template <bool BY_KEY>
DEVICE void add_tile(gradient &sums, struct backward_memory &memory, const float (&weights)[SIDE][SIDE + 1],
                     const struct vectors &x, int64_t begin, int64_t size)
{
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
        if (begin + c * CHUNK >= size) continue;
        load_piece(memory.b, x, begin + c * CHUNK, size);
        __syncthreads();
        for (int n = 0; n < SIDE; n++)
#pragma unroll
            for (int o = 0; o < OWNED; o++) {
                int query = BY_KEY ? n : owned(o), key = BY_KEY ? owned(o) : n;
                if (memory.p[query][key] < 0) continue;
#pragma unroll
                for (int e = 0; e < EACH; e++)
                    sums[o][c][e] = multiply_add(weights[query][key], memory.b[n][entry_of_chunk(e)], sums[o][c][e]);
            }
        __syncthreads();
    }
}

/* Stores the block's stretch of its `count` vectors, the first of which is at `to`. */
DEVICE void put_gradient(const struct cuda_attention_backward &p, const gradient &sums, float *to, int64_t count,
                         int64_t begin, float factor)
{
#pragma unroll
    for (int o = 0; o < OWNED; o++)
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
#pragma unroll
            for (int e = 0; e < EACH; e++) {
                int64_t d = begin + c * CHUNK + entry_of_chunk(e);
                if (owned(o) >= count || d >= p.size) continue;
                float *entry = to + owned(o) * p.d.stride[1] + d;
                *entry       = p.accumulate ? *entry + factor * sums[o][c][e] : factor * sums[o][c][e];
            }
}

/* --- Kernels --- */

CUDA_KERNEL(attention_backward_rows, cuda_attention_backward, ATTENTION_BACKWARD_THREADS)
{
    const struct cuda_attention &of  = p.of;
    int64_t                      row = BLOCK_NUMBER * (THREADS / WARP) + threadIdx.x / WARP;
    if (row >= of.batches * of.heads * of.queries) return;
    struct place at    = place_of(row, of.queries, of.heads); /* its block is the query */
    const float *out   = static_cast<const float *>(p.out.data) + row_index(p.out, at.b, at.block, at.h);
    const float *d_out = static_cast<const float *>(p.d_out.data) + row_index(p.d_out, at.b, at.block, at.h);
    float        sum   = 0;
    for (int64_t d = threadIdx.x % WARP; d < p.value_size; d += WARP) sum = multiply_add(d_out[d], out[d], sum);
    sum = lanes_sum<WARP>(sum);
    if (threadIdx.x % WARP == 0) p.sums[row] = sum;
}

CUDA_KERNEL(attention_backward_queries, cuda_attention_backward, ATTENTION_BACKWARD_THREADS)
{
    __shared__ struct backward_memory memory;

    const struct cuda_attention &of = p.of;
    struct place                 is = place_of(BLOCK_NUMBER, blocks_of(of.queries, SIDE), of.heads);
    int64_t                      b = is.b % of.batches, begin = is.b / of.batches * ATTENTION_BACKWARD_STRETCH;
    struct query_block           at   = query_block_of(of, b, is.h, is.block * SIDE, SIDE, of.queries);
    struct key_range             seen = keys_seen(at.first, at.last, SIDE);
    float                       *to   = static_cast<float *>(p.d.data) + row_index(p.d, b, at.query, is.h);
    gradient                     sums = {};
    for (int key = tile_from(seen, seen.begin); key < seen.end; key = tile_from(seen, key + SIDE)) {
        weigh(memory, p, at, key);
        add_tile<false>(sums, memory, memory.d_s, vectors_of(of.k, b, is.h / of.sharing, key, of.keys), begin, p.size);
    }
    put_gradient(p, sums, to, at.count, begin, of.scale);
}

CUDA_KERNEL(attention_backward_keys, cuda_attention_backward, ATTENTION_BACKWARD_THREADS)
{
    __shared__ struct backward_memory memory;

    const struct cuda_attention &of = p.of;
    struct place                 is = place_of(BLOCK_NUMBER, blocks_of(of.keys, SIDE), of.heads / of.sharing);
    int64_t                      b = is.b % of.batches, begin = is.b / of.batches * ATTENTION_BACKWARD_STRETCH;
    int                          key  = (int)is.block * SIDE;
    int64_t                      here = min(of.keys - key, (int64_t)SIDE);
    struct query_range seen = queries_seeing(of.mask, sight_of(of.mask, b, (int)of.keys), of.queries, key, here);
    float             *to   = static_cast<float *>(p.d.data) + row_index(p.d, b, key, is.h);
    gradient           sums = {};
    for (int64_t head = is.h * of.sharing; head < (is.h + 1) * of.sharing; head++)
        for (int64_t query = seen.begin / SIDE * SIDE; query < seen.end; query += SIDE) {
            struct query_block at = query_block_of(of, b, head, query, SIDE, of.queries);
            weigh(memory, p, at, key);
            add_tile<true>(sums, memory, p.is_of_values ? memory.p : memory.d_s,
                           vectors_of(p.is_of_values ? p.d_out : of.q, b, head, query, of.queries), begin, p.size);
        }
    put_gradient(p, sums, to, here, begin, p.is_of_values ? 1 : of.scale);
}

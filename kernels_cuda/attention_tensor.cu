/* attention on tensor cores: online softmax over tiles of keys. See attention.cuh for formula and operands, and
 * attention_tensor.cuh for what is rounded.
 *
 *     attention_pack              one of q, k and v to 16 bits; a thread for each 8 entries
 *     attention_tensor_f16_64, .. blocks of 128 queries, vectors of up to 64 or 128 entries; over blocks of queries,
 * the last first, x heads x sequences, queries innermost
 *
 * Shared memory of the latter: attention_tensor_bytes().
 *
 * A warp has 32 or 16 queries, whose scores, probabilities and outputs stay in its registers: the scores' place in them
 * is that of the probabilities as factors of the next product.
 *
 * Error: 3 u of each probability times value, and a sum of K terms, rescaled once in each run of 64. */
#include "attention_rows.cuh"
#include "attention_tensor.cuh"

/* Warps have so many strips of queries that nothing spills. */
template <int SIZE> struct layout_for;
template <> struct layout_for<64> {
    typedef struct tensor_layout<ATTENTION_TENSOR_THREADS_64 / WARP, 2> type;
};
template <> struct layout_for<128> {
    typedef struct tensor_layout<ATTENTION_TENSOR_THREADS_128 / WARP, 1> type;
};

template <int DTYPE> DEVICE uint32_t pack(float first, float second)
{
    return DTYPE == F16 ? pack_f16(first, second) : pack_bf16(first, second);
}

CUDA_FLAT_KERNEL(attention_pack, cuda_attention_pack, ATTENTION_THREADS)
{
    int64_t number = BLOCK_NUMBER * ATTENTION_THREADS + threadIdx.x, groups = p.size / GROUP;
    int64_t vector = number / groups, first = number % groups * GROUP;
    if (vector >= p.total) return;
    int64_t      token = vector % p.tokens, head = vector / p.tokens % p.heads, b = vector / p.tokens / p.heads;
    const float *x =
        static_cast<const float *>(p.x.data) + b * p.x.stride[0] + token * p.x.stride[1] + head * p.x.stride[2] + first;
    float entry[GROUP];
#pragma unroll
    for (int e = 0; e < GROUP; e++) entry[e] = first + e < p.entries ? x[e] * p.factor : 0;
    uint32_t words[GROUP / 2];
#pragma unroll
    for (int w = 0; w < GROUP / 2; w++)
        words[w] =
            p.dtype == F16 ? pack_f16(entry[2 * w], entry[2 * w + 1]) : pack_bf16(entry[2 * w], entry[2 * w + 1]);
    *reinterpret_cast<uint4 *>(p.out + vector * p.size + first) = make_uint4(words[0], words[1], words[2], words[3]);
}

/* Sums of exponentials times values: of each strip and 8 values, as tensor.cuh lays out D. */
template <class L, int SIZE> struct mixture {
    float sums[L::STRIPS][SIZE / COLUMN_SET][4];
};

/* Adds the products of a tile's exponentials and values. */
template <class L, int DTYPE, int SIZE>
DEVICE void mix(struct mixture<L, SIZE> &mixed, const float (&e)[L::ROWS][L::COLUMNS], uint16_t *values)
{
    int            lane = (int)threadIdx.x % WARP;
    shared_address rows = address_of(group_at(values, lane % 16, lane / 16, SIZE));
#pragma unroll
    for (int k = 0; k < TILE / STEP; k++) {
        uint32_t a[L::STRIPS][4], b[4];
#pragma unroll
        for (int m = 0; m < L::STRIPS; m++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                a[m][i] = pack<DTYPE>(e[2 * m + i % 2][4 * k + i / 2 * 2], e[2 * m + i % 2][4 * k + i / 2 * 2 + 1]);
#pragma unroll
        for (int n = 0; n < SIZE / COLUMN_SET; n += 2) {
            load_matrices_turned(b, pair_at(rows, n / 2) + k * STEP * SIZE * 2);
#pragma unroll
            for (int m = 0; m < L::STRIPS; m++) {
                multiply_tensor<DTYPE>(mixed.sums[m][n], a[m], b);
                multiply_tensor<DTYPE>(mixed.sums[m][n + 1], a[m], b + 2);
            }
        }
    }
}

template <class L, int SIZE> DEVICE void rescale(struct mixture<L, SIZE> &mixed, const float (&factor)[L::ROWS])
{
#pragma unroll
    for (int m = 0; m < L::STRIPS; m++)
#pragma unroll
        for (int n = 0; n < SIZE / COLUMN_SET; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) mixed.sums[m][n][e] = mixed.sums[m][n][e] * factor[2 * m + e / 2];
}

/* The thread's values of its row number i. */
template <class L, int SIZE>
DEVICE void put_values(float *to, const struct mixture<L, SIZE> &mixed, int i, float factor, int64_t count)
{
    int first = (int)threadIdx.x % L::ACROSS * 2;
#pragma unroll
    for (int n = 0; n < SIZE / COLUMN_SET; n++)
#pragma unroll
        for (int e = 0; e < 2; e++)
            if (n * COLUMN_SET + first + e < count)
                to[n * COLUMN_SET + first + e] = mixed.sums[i / 2][n][i % 2 * 2 + e] * factor;
}

template <int DTYPE, int SIZE> DEVICE void attend(const struct cuda_attention_output &p, int64_t number)
{
    typedef typename layout_for<SIZE>::type L;
    static_assert((int)L::QUERIES == (int)ATTENTION_TENSOR_QUERIES, "as the host counts them");
    BLOCK_MEMORY(unsigned char, memory);
    __shared__ struct finished<L> done;

    const struct cuda_attention &of     = p.of;
    int64_t                      blocks = blocks_of(of.queries, L::QUERIES);
    struct place                 is     = place_of(number, blocks, of.heads);
    struct query_block           at =
        query_block_of(of, is.b, is.h, (blocks - 1 - is.block) * L::QUERIES, L::QUERIES, of.queries);
    struct key_range seen    = keys_seen(at.first, at.last, TILE);
    uint16_t        *queries = first_piece(memory);
    const uint16_t  *keys = packed_head(of.packed_k, of, at), *values = packed_head(p.packed_v, of, at);
    /* A stage has keys, and behind them values. */
    auto piece = [&](int stage) { return queries + (L::QUERIES + stage * 2 * TILE) * SIZE; };
    auto fetch = [&](int stage, int key) {
        fetch_packed<TILE, SIZE, L::THREADS>(piece(stage), keys, key, of.keys);
        fetch_packed<TILE, SIZE, L::THREADS>(piece(stage) + TILE * SIZE, values, key, of.keys);
    };

    float                   scores[L::ROWS][L::COLUMNS], factor[L::ROWS];
    struct mixture<L, SIZE> mixed {
    };
    struct running<L> rows;
    begin_rows(rows, done, p, at);
    int stage = 0, key = tile_from(seen, seen.begin);
    fetch_packed<L::QUERIES, SIZE, L::THREADS>(queries, packed_queries(of, at), at.query, at.query + at.count);
    if (key < seen.end) fetch(stage, key);
    copy_async_commit();
    for (int next; key < seen.end; key = next) {
        next = tile_from(seen, key + TILE);
        if (next < seen.end) fetch(stage ^ 1, next);
        copy_async_commit();
        copy_async_wait<1>();
        __syncthreads();
        multiply_keys<L, DTYPE, SIZE>(scores, queries, piece(stage));
        finish_scores<L>(scores, of, at, key);
        if (p.wants_rows) pick(done, scores, key);
        advance(rows, scores, factor, key);
        rescale(mixed, factor);
        mix<L, DTYPE, SIZE>(mixed, scores, piece(stage) + TILE * SIZE);
        __syncthreads();
        stage ^= 1;
    }
    copy_async_wait<0>();

    finish_rows(done, rows, factor);
    __syncthreads();
    put_rows(done, p, at);
    float *out =
        static_cast<float *>(p.out.data) + is.b * p.out.stride[0] + at.query * p.out.stride[1] + is.h * p.out.stride[2];
#pragma unroll
    for (int i = 0; i < L::ROWS; i++)
        if (L::query_at(i) < at.count)
            put_values<L, SIZE>(out + L::query_at(i) * p.out.stride[1], mixed, i, factor[i], p.value_size);
}

CUDA_KERNEL(attention_tensor_f16_64, cuda_attention_output, ATTENTION_TENSOR_THREADS_64, 2)
{
    attend<F16, 64>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_f16_128, cuda_attention_output, ATTENTION_TENSOR_THREADS_128, 1)
{
    attend<F16, 128>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_bf16_64, cuda_attention_output, ATTENTION_TENSOR_THREADS_64, 2)
{
    attend<BF16, 64>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_bf16_128, cuda_attention_output, ATTENTION_TENSOR_THREADS_128, 1)
{
    attend<BF16, 128>(p, BLOCK_NUMBER);
}

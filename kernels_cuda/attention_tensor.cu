/* attention on tensor cores: online softmax over tiles of keys. See attention.cuh for formula and operands, and
 * attention_tensor.cuh for what is rounded.
 *
 *     attention_pack                  one of q, k and v to 16 bits; a thread for each 8 entries
 *     attention_tensor_f16_64, ..     blocks of 128 queries, vectors of up to 64 or 128 entries; over blocks of
 * queries, the last first, x heads x sequences, queries innermost Shared memory of the latter:
 * attention_tensor_bytes().
 *
 * A warp has 16 queries, whose scores, probabilities and outputs stay in its registers: the scores' place in them is
 * that of the probabilities as factors of the next product.
 *
 * Error: 3 u of each probability times value, and a sum of K terms, rescaled once in each run of 64. */
#include "attention_rows.cuh"
#include "attention_tensor.cuh"

typedef struct tensor_layout<ATTENTION_TENSOR_THREADS / WARP> L;

static_assert((int)L::QUERIES == (int)ATTENTION_TENSOR_QUERIES, "as the host counts them");

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

/* mixed += the products of a tile's exponentials and values. */
template <int DTYPE, int SIZE>
DEVICE void mix(float (&mixed)[SIZE / COLUMN_SET][4], const float (&e)[L::ROWS][L::COLUMNS], uint16_t *values)
{
    int lane = (int)threadIdx.x % WARP;
#pragma unroll
    for (int k = 0; k < TILE / STEP; k++) {
        const uint32_t a[4] = {pack<DTYPE>(e[0][4 * k], e[0][4 * k + 1]), pack<DTYPE>(e[1][4 * k], e[1][4 * k + 1]),
                               pack<DTYPE>(e[0][4 * k + 2], e[0][4 * k + 3]),
                               pack<DTYPE>(e[1][4 * k + 2], e[1][4 * k + 3])};
        uint32_t       b[4];
#pragma unroll
        for (int n = 0; n < SIZE / COLUMN_SET; n += 2) {
            load_matrices_turned(b, group_at(values, k * STEP + lane % 16, n + lane / 16, SIZE));
            multiply_tensor<DTYPE>(mixed[n], a, b);
            multiply_tensor<DTYPE>(mixed[n + 1], a, b + 2);
        }
    }
}

/* The thread's values of its row number i. */
template <int SIZE>
DEVICE void put_values(float *to, const float (&mixed)[SIZE / COLUMN_SET][4], int i, float factor, int64_t count)
{
#pragma unroll
    for (int n = 0; n < SIZE / COLUMN_SET; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            int value = n * COLUMN_SET + (int)threadIdx.x % L::ACROSS * 2 + e;
            if (value < count) to[value] = mixed[n][2 * i + e] * factor;
        }
}

template <int DTYPE, int SIZE> DEVICE void attend(const struct cuda_attention_output &p, int64_t number)
{
    BLOCK_MEMORY(uint16_t, queries);
    __shared__ struct finished<L> done;

    const struct cuda_attention &of     = p.of;
    int64_t                      blocks = blocks_of(of.queries, L::QUERIES);
    struct place                 is     = place_of(number, blocks, of.heads);
    struct query_block           at =
        query_block_of(of, is.b, is.h, (blocks - 1 - is.block) * L::QUERIES, L::QUERIES, of.queries);
    struct key_range seen  = keys_seen(at.first, at.last, TILE);
    auto             piece = [&](int stage) { return queries + (L::QUERIES + stage * 2 * TILE) * SIZE; };
    auto             fetch = [&](int stage, int key) { /* keys, and behind them values */
                                           fetch_packed(piece(stage), packed_head(of.packed_k, of, at), key, of.keys,
                                                                    TILE, SIZE);
                                           fetch_packed(piece(stage) + TILE * SIZE, packed_head(p.packed_v, of, at),
                                                                    key, of.keys, TILE, SIZE);
    };

    float             scores[L::ROWS][L::COLUMNS], mixed[SIZE / COLUMN_SET][4] = {}, factor[L::ROWS];
    struct running<L> rows;
    begin_rows(rows, done);
    int stage = 0, key = tile_from(seen, seen.begin);
    fetch_packed(queries, packed_queries(of, at), at.query, at.query + at.count, L::QUERIES, SIZE);
    if (key < seen.end) fetch(stage, key);
    copy_async_commit();
    for (int next; key < seen.end; key = next) {
        next = tile_from(seen, key + TILE);
        if (next < seen.end) fetch(stage ^ 1, next);
        copy_async_commit();
        copy_async_wait<1>();
        __syncthreads();
        multiply_keys<DTYPE>(scores, queries, piece(stage), SIZE);
        finish_scores<L>(scores, of, at, key);
        if (p.wants_rows) pick(done, p, scores, at, key);
        advance(rows, scores, factor, key);
#pragma unroll
        for (int n = 0; n < SIZE / COLUMN_SET; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) mixed[n][e] = mixed[n][e] * factor[e / 2];
        mix<DTYPE, SIZE>(mixed, scores, piece(stage) + TILE * SIZE);
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
            put_values<SIZE>(out + L::query_at(i) * p.out.stride[1], mixed, i, factor[i], p.value_size);
}

CUDA_KERNEL(attention_tensor_f16_64, cuda_attention_output, ATTENTION_TENSOR_THREADS, 2)
{
    attend<F16, 64>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_f16_128, cuda_attention_output, ATTENTION_TENSOR_THREADS, 1)
{
    attend<F16, 128>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_bf16_64, cuda_attention_output, ATTENTION_TENSOR_THREADS, 2)
{
    attend<BF16, 64>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_bf16_128, cuda_attention_output, ATTENTION_TENSOR_THREADS, 1)
{
    attend<BF16, 128>(p, BLOCK_NUMBER);
}

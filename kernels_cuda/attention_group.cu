/* attention in strict f32: online softmax over tiles of keys; see attention.cuh for formula and operands.
 *
 *     attention_group_64     blocks of 64 queries and 64 values
 *     attention_group_128    blocks of 64 queries and 128 values
 *     attention_few_64       blocks of 8 queries and 64 values; the bits are the same
 *     attention_few_128      blocks of 8 queries and 128 values
 * Launched over blocks of queries, the last first, x heads x sequences x stretches of values, queries innermost.
 * Shared memory: attention_pieces() pieces.
 *
 * Error: of a score and of an exponential, see attention_group.cuh; sums over keys rescaled once in each run of 64. */
#include "attention_group.cuh"
#include "attention_rows.cuh"

/* mixed[i][e] += the sum over a tile's keys of p[query i][key] values[key][4 lane + e]. */
template <class L> DEVICE void mix(float (&mixed)[L::ROWS][QUAD], const float *p, const float *values)
{
#pragma unroll 1
    for (int n = 0; n < TILE; n += QUAD) {
        float x[QUAD], y[QUAD][QUAD];
#pragma unroll
        for (int m = 0; m < QUAD; m++) read_quad(y[m], values + (n + m) * PITCH + (int)threadIdx.x % L::ACROSS * QUAD);
#pragma unroll
        for (int i = 0; i < L::ROWS; i++) {
            read_quad(x, p + L::query_at(i) * PITCH + n);
#pragma unroll
            for (int m = 0; m < QUAD; m++)
#pragma unroll
                for (int e = 0; e < QUAD; e++) mixed[i][e] = mixed[i][e] + x[m] * y[m][e];
        }
    }
}

/* The thread's values of a row, of which there are `count` from `to` on. */
template <class L> DEVICE void put_values(float *to, const float (&values)[QUAD], float factor, int64_t count)
{
    int first = (int)threadIdx.x % L::ACROSS * QUAD;
    if (first + QUAD <= count && reinterpret_cast<uint64_t>(to) % 16 == 0) {
        *reinterpret_cast<float4 *>(to + first) =
            make_float4(values[0] * factor, values[1] * factor, values[2] * factor, values[3] * factor);
        return;
    }
#pragma unroll
    for (int e = 0; e < QUAD; e++)
        if (first + e < count) to[first + e] = values[e] * factor;
}

template <class L, int CHUNKS> DEVICE void attend(const struct cuda_attention_output &p, int64_t number)
{
    BLOCK_MEMORY(float, memory);
    __shared__ struct finished<L> done;

    const struct cuda_attention &of     = p.of;
    int64_t                      blocks = blocks_of(of.queries, L::QUERIES);
    struct place                 is     = place_of(number, blocks, of.heads);
    int64_t                      b = is.b % of.batches, value = is.b / of.batches * CHUNKS * CHUNK;
    struct query_block at   = query_block_of(of, b, is.h, (blocks - 1 - is.block) * L::QUERIES, L::QUERIES, of.queries);
    struct key_range   seen = keys_seen(at.first, at.last, TILE);
    struct vectors     values = vectors_of(p.v, b, at.g);
    bool               stay   = of.head_size <= CHUNK;

    float             scores[L::ROWS][L::COLUMNS], mixed[CHUNKS][L::ROWS][QUAD] = {}, factor[L::ROWS];
    struct running<L> rows;
    begin_rows(rows, done, p, at);
    int stage = 0, key = tile_from(seen, seen.begin);
    if (key < seen.end) {
        fetch_keys(memory, stage, of, at, key, 0);
        fetch_queries<L>(memory, stage, of, at, 0);
    }
    copy_async_commit();
    for (int next; key < seen.end; key = next) {
        next              = tile_from(seen, key + TILE);
        auto fetch_values = [&](int to, int c) {
            fetch<TILE>(keys_of(memory, to), values, key, of.keys, value + c * CHUNK, p.value_size);
        };
        score<L>(scores, memory, stage, stay, of, at, key, [&](int to) { fetch_values(to, 0); });
        if (p.wants_rows) pick(done, scores, key);
        advance(rows, scores, factor, key);
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
#pragma unroll
            for (int i = 0; i < L::ROWS; i++)
#pragma unroll
                for (int e = 0; e < QUAD; e++) mixed[c][i][e] = mixed[c][i][e] * factor[i];
        put_tile<L>(memory, scores); /* where nobody else's rows lie, who might still read his */
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
            work_on(
                stage, of,
                [&](int to) {
                    if (c + 1 < CHUNKS) {
                        fetch_values(to, c + 1);
                    } else if (next < seen.end) {
                        fetch_keys(memory, to, of, at, next, 0);
                        if (!stay) fetch_queries<L>(memory, to, of, at, 0);
                    }
                },
                [&](int from) {
                    if (value + c * CHUNK + (int)threadIdx.x % L::ACROSS * QUAD < p.value_size)
                        mix<L>(mixed[c], memory, keys_of(memory, from));
                });
    }
    copy_async_wait<0>();

    finish_rows(done, rows, factor);
    __syncthreads();
    /* Of the blocks that have the same queries' other values, one tells. */
    if (value == 0) put_rows(done, p, at);
    float *out = static_cast<float *>(p.out.data) + b * p.out.stride[0] + at.query * p.out.stride[1] +
                 is.h * p.out.stride[2] + value;
#pragma unroll
    for (int c = 0; c < CHUNKS; c++)
#pragma unroll
        for (int i = 0; i < L::ROWS; i++)
            if (L::query_at(i) < at.count)
                put_values<L>(out + L::query_at(i) * p.out.stride[1] + c * CHUNK, mixed[c][i], factor[i],
                              p.value_size - value - c * CHUNK);
}

CUDA_KERNEL(attention_group_64, cuda_attention_output, ATTENTION_THREADS, 3)
{
    attend<group_layout<8>, 1>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_group_128, cuda_attention_output, ATTENTION_THREADS, 2)
{
    attend<group_layout<8>, 2>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_few_64, cuda_attention_output, ATTENTION_THREADS, 3)
{
    attend<group_layout<1>, 1>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_few_128, cuda_attention_output, ATTENTION_THREADS, 2)
{
    attend<group_layout<1>, 2>(p, BLOCK_NUMBER);
}

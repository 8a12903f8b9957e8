/* The parameters of attention's kernels, strict ones (attention_group*.cu) and those of tensor cores
 * (attention_tensor*.cu). */
#ifndef SCRY_CUDA_ATTENTION_H
#define SCRY_CUDA_ATTENTION_H

#include "mask.h"

enum {
    ATTENTION_TILE           = 64, /* keys, and queries but for attention_tensor_*, that a block works on at a time */
    ATTENTION_CHUNK          = 64, /* entries of a vector, likewise, in strict f32 */
    ATTENTION_PITCH          = ATTENTION_CHUNK + 4, /* of vectors and scores in shared memory */
    ATTENTION_THREADS        = 128,
    ATTENTION_TENSOR_QUERIES = 128,
    ATTENTION_TENSOR_THREADS_64  = 128, /* by the packed size */
    ATTENTION_TENSOR_THREADS_128 = 256,
    ATTENTION_TENSOR_ALIGN       = 256, /* of pieces in shared memory, in bytes: the longest packed vector */
};

/* What all of them take. */
struct cuda_attention {
    int64_t          batches, heads, queries, keys, head_size;
    int64_t          sharing; /* heads that read one key/value head */
    float            scale, softcap;
    struct cuda_view q, k;
    struct cuda_mask mask;
    float           *softmaxes; /* {centre, factor} of each row, [B, H, Q] */
    int32_t          is_double; /* shared memory holds two pieces of each side: one comes while one is worked on */
    /* Of tensor cores, as attention_pack left them: scaled queries [B, H, Q, packed_size] and keys [B, G, K,
     * packed_size] in f16 or bf16. */
    int32_t         packed_dtype;
    int64_t         packed_size;
    const uint16_t *packed_q, *packed_k;
};

struct cuda_attention_output {
    struct cuda_attention of;
    struct cuda_view      v, out;
    struct cuda_rows      rows;
    int64_t               value_size;
    const uint16_t       *packed_v; /* [B, G, K, packed_size] */
    int32_t               wants_rows, unused;
};

struct cuda_attention_received {
    struct cuda_attention of;
    struct cuda_view      received;
};

struct cuda_attention_distances {
    struct cuda_attention of;
    float                *sums; /* of each part, [B, H, parts, count] */
    int64_t               parts, count;
};

struct cuda_attention_merge {
    const float     *sums;
    struct cuda_view distance;
    int64_t          heads, parts, count, total; /* total: of all heads and sequences */
};

struct cuda_attention_tile {
    struct cuda_attention of;
    struct cuda_view      probabilities, scores;
    uint64_t              selected[4]; /* bits of heads; none: every head */
    int64_t               query_begin, key_begin, queries, keys, slots;
};

struct cuda_attention_top {
    struct cuda_attention of;
    float                *values; /* [B, H, Q, count]: the rows' largest scores so far, and their keys */
    int32_t              *keys;
    struct cuda_view      top_probability, top_key;
    int64_t               count;
};

struct cuda_attention_pack {
    struct cuda_view x; /* [B, T, heads, entries] */
    uint16_t        *out;
    int64_t          tokens, heads, entries, size, total; /* total: vectors */
    float            factor;
    int32_t          dtype;
};

/* Strict f32: pieces of TILE vectors that shared memory holds: the scores; queries and keys; a second piece of keys,
 * and of queries where they do not stay there. */
enum { ATTENTION_PIECE_BYTES = ATTENTION_TILE * ATTENTION_PITCH * 4 };

static inline int attention_pieces(int is_double, int queries_stay)
{
    return is_double ? queries_stay ? 4 : 5 : 3;
}

/* Tensor cores: queries, and two pieces each of keys and values. */
static inline int64_t attention_tensor_bytes(int64_t packed_size)
{
    return ATTENTION_TENSOR_ALIGN + (ATTENTION_TENSOR_QUERIES + 4 * ATTENTION_TILE) * packed_size * 2;
}

#ifndef __cplusplus
CUDA_KERNEL(attention_group_64);
CUDA_KERNEL(attention_group_128);
CUDA_KERNEL(attention_few_64);
CUDA_KERNEL(attention_few_128);
CUDA_KERNEL(attention_group_received);
CUDA_KERNEL(attention_group_distances);
CUDA_KERNEL(attention_group_tile);
CUDA_KERNEL(attention_group_top);
CUDA_KERNEL(attention_merge);
CUDA_KERNEL(attention_pack);
CUDA_KERNEL(attention_tensor_f16_64);
CUDA_KERNEL(attention_tensor_f16_128);
CUDA_KERNEL(attention_tensor_bf16_64);
CUDA_KERNEL(attention_tensor_bf16_128);
CUDA_KERNEL(attention_tensor_received);
CUDA_KERNEL(attention_tensor_distances);
CUDA_KERNEL(attention_tensor_tile);
CUDA_KERNEL(attention_tensor_top);

#endif

#endif

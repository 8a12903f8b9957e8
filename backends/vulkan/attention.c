/* attention: one kernel for the output, the rows' softmax and their statistics, then one for each further capture.
 * There are two families of them with the same parameters: "block" for devices of CPU type, "group" for others. See
 * shaders/attention.glsl for what they share. */
#include "vk.h"

#include <stdio.h>
#include <string.h>

/* A family as it divides an op's work. */
struct family {
    const char *names[5];      /* of its kernels, as enum kernel counts them */
    uint32_t    items;         /* of a work group */
    int64_t     queries, keys; /* of one work group of each kernel */
    int64_t     most_values;   /* of one work group of `attention` */
};

enum kernel { OUTPUT, TILE, RECEIVED, DISTANCES, TOP };

static const struct family group = {
    .names       = {"attention_group", "attention_group_tile", "attention_group_received", "attention_group_distances",
                    "attention_group_top"},
    .items       = 64,
    .queries     = 32,
    .keys        = 32,
    .most_values = 128,
};

enum {
    CHUNK      = 32, /* values that are multiplied at a time */
    MOST_PARTS = 8,  /* of the distances */
    MERGED     = 64, /* items of a work group of attention_merge */
};

/* `sizes` of attention.glsl. */
struct sizes {
    uint32_t batches, queries, keys, heads, groups, head_size, value_size;
    float    scale, softcap;
};

static int64_t distance_count(const scry_attention *op)
{
    return present(&op->capture.distance) ? op->capture.distance.shape[2] : 0;
}

/* --- Scratch: records, softmaxes, parts of the distances --- */

static int64_t row_count(const scry_attention *op)
{
    return op->q.shape[0] * op->q.shape[1] * op->q.shape[2];
}

static size_t softmax_bytes(const scry_attention *op)
{
    return (size_t)round_up(row_count(op) * 2 * (int64_t)sizeof(float), SCRY__VK_UNIT);
}

/* Of the number of queries only, so that a sequence's sums do not depend on the others. */
static int64_t part_count(const scry_attention *op)
{
    return most(1, least(MOST_PARTS, units_of(op->q.shape[1], group.queries)));
}

static size_t part_bytes(const scry_attention *op)
{
    return (size_t)(op->q.shape[0] * op->q.shape[2] * part_count(op) * distance_count(op)) * sizeof(float);
}

void scry__vk_attention_query(const struct scry__vk *vk, const scry_attention *op, scry_op_info *info)
{
    info->scratch_bytes = scry__vk_record_bytes(row_count(op)) + softmax_bytes(op) + part_bytes(op);
    snprintf(info->kernel, sizeof info->kernel, "%s", "group");
    scry__vk_check_rows(vk, info, op->q.shape[1], most(op->k.shape[1], distance_count(op)));
}

/* --- Kernels --- */

static struct scry__vk_call open_call(struct scry__vk *vk, const scry_attention *op, const struct family *family,
                                      enum kernel kernel, uint32_t constant)
{
    const struct sizes sizes = {
        .batches    = (uint32_t)op->q.shape[0],
        .queries    = (uint32_t)op->q.shape[1],
        .keys       = (uint32_t)op->k.shape[1],
        .heads      = (uint32_t)op->q.shape[2],
        .groups     = (uint32_t)op->k.shape[2],
        .head_size  = (uint32_t)op->q.shape[3],
        .value_size = (uint32_t)op->v.shape[3],
        .scale      = op->scale,
        .softcap    = op->softcap,
    };
    struct scry__vk_call call = scry__vk_call(vk, family->names[kernel], family->items);
    if (constant) scry__vk_constant(&call, constant);
    scry__vk_bytes(&call, &sizes, sizeof sizes);
    scry__vk_tensor(&call, &op->q, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->k, SCRY__VK_READ);
    scry__vk_mask(&call, &op->mask, op->q.shape[1], op->k.shape[1], distance_count(op));
    if (kernel != OUTPUT)
        scry__vk_scratch(&call, scry__vk_record_bytes(row_count(op)), softmax_bytes(op), SCRY__VK_READ);
    return call;
}

/* Operations of the products of `pairs` queries and keys, of their exponentials and of `more` for each pair. */
static double operations_of(const scry_attention *op, int64_t queries, int64_t keys, int64_t more)
{
    double pairs = (double)(op->q.shape[0] * op->q.shape[2]) * (double)queries * (double)keys;
    if (op->mask.causal && queries == keys) pairs /= 2;
    return pairs * (double)(2 * op->q.shape[3] + 2 * more + 50);
}

static scry_status attend(struct scry__vk *vk, const scry_attention *op, const struct family *family)
{
    const int64_t        chunks     = most(1, least(family->most_values / CHUNK, units_of(op->v.shape[3], CHUNK)));
    const int64_t        blocks     = units_of(op->q.shape[1], family->queries);
    const int64_t        stretches  = most(1, units_of(op->v.shape[3], chunks * CHUNK));
    const bool           wants_rows = scry__rows_wanted(&op->capture.rows);
    const size_t         records    = scry__vk_record_bytes(row_count(op));
    struct scry__vk_call call       = open_call(vk, op, family, OUTPUT, (uint32_t)chunks);
    scry__vk_tensor(&call, &op->v, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->out, SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, wants_rows);
    scry__vk_int(&call, scry__vk_key(&op->capture.rows, op->k.shape[1]));
    scry__vk_scratch(&call, 0, records, SCRY__VK_WRITE);
    scry__vk_scratch(&call, records, softmax_bytes(op), SCRY__VK_WRITE);
    double operations = operations_of(op, op->q.shape[1], op->k.shape[1], op->v.shape[3]);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0] * stretches, operations * (double)stretches);
}

static const scry_tensor *tile_shape(const scry_attention *op)
{
    return present(&op->capture.scores) ? &op->capture.scores : &op->capture.probabilities;
}

static scry_status take_tile(struct scry__vk *vk, const scry_attention *op, const struct family *family)
{
    const int64_t       *shape  = tile_shape(op)->shape;
    const int64_t        across = units_of(shape[3], family->keys), down = units_of(shape[2], family->queries);
    struct scry__vk_call call = open_call(vk, op, family, TILE, 0);
    for (int i = 0; i < SCRY_MAX_HEADS / 64; i++) {
        scry__vk_int(&call, (uint32_t)op->capture.heads[i]);
        scry__vk_int(&call, (uint32_t)(op->capture.heads[i] >> 32));
    }
    scry__vk_int(&call, op->capture.query_begin);
    scry__vk_int(&call, op->capture.key_begin);
    scry__vk_int(&call, shape[2]);
    scry__vk_int(&call, shape[3]);
    scry__vk_int(&call, shape[1]);
    scry__vk_int(&call, across);
    scry__vk_int(&call, down);
    scry__vk_tensor(&call, &op->capture.probabilities, SCRY__VK_WRITE);
    scry__vk_tensor(&call, &op->capture.scores, SCRY__VK_WRITE);
    return scry__vk_launch(&call, across * down * shape[1] * shape[0], operations_of(op, shape[2], shape[3], 0));
}

static scry_status take_received(struct scry__vk *vk, const scry_attention *op, const struct family *family)
{
    const int64_t        blocks = units_of(op->k.shape[1], family->keys);
    struct scry__vk_call call   = open_call(vk, op, family, RECEIVED, 0);
    scry__vk_tensor(&call, &op->capture.received, SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0],
                           operations_of(op, op->q.shape[1], op->k.shape[1], 0));
}

static scry_status take_distances(struct scry__vk *vk, const scry_attention *op, const struct family *family)
{
    const int64_t B = op->q.shape[0], H = op->q.shape[2], parts = part_count(op), count = distance_count(op);
    const size_t  parts_at = scry__vk_record_bytes(row_count(op)) + softmax_bytes(op);

    struct scry__vk_call call = open_call(vk, op, family, DISTANCES, 0);
    scry__vk_int(&call, parts);
    scry__vk_int(&call, count);
    scry__vk_scratch(&call, parts_at, part_bytes(op), SCRY__VK_READ | SCRY__VK_WRITE);
    scry_status status = scry__vk_launch(&call, parts * H * B, operations_of(op, op->q.shape[1], op->k.shape[1], 0));
    if (status) return status;

    struct scry__vk_call merge = scry__vk_call(vk, "attention_merge", MERGED);
    scry__vk_int(&merge, B * H * count);
    scry__vk_int(&merge, H);
    scry__vk_int(&merge, parts);
    scry__vk_int(&merge, count);
    scry__vk_scratch(&merge, parts_at, part_bytes(op), SCRY__VK_READ);
    scry__vk_tensor(&merge, &op->capture.distance, SCRY__VK_WRITE);
    return scry__vk_launch(&merge, units_of(B * H * count, MERGED), (double)(B * H * count * parts));
}

static const scry_tensor *top_shape(const scry_attention *op)
{
    return present(&op->capture.top_key) ? &op->capture.top_key : &op->capture.top_probability;
}

static scry_status take_top(struct scry__vk *vk, const scry_attention *op, const struct family *family)
{
    const int64_t count = top_shape(op)->shape[3], blocks = units_of(op->q.shape[1], family->queries);
    uint32_t      room = 8; /* a power of two, so that there are few programs */
    while (room < count) room *= 2;
    struct scry__vk_call call = open_call(vk, op, family, TOP, room);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, count);
    scry__vk_tensor(&call, &op->capture.top_probability, SCRY__VK_WRITE);
    scry__vk_tensor(&call, &op->capture.top_key, SCRY__VK_WRITE);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0],
                           operations_of(op, op->q.shape[1], op->k.shape[1], count));
}

scry_status scry__vk_attention(struct scry__vk *vk, const scry_attention *op)
{
    const scry_attention_capture *capture = &op->capture;
    const struct family          *family  = &group;
    scry_status                   status  = attend(vk, op, family);
    if (!status && present(tile_shape(op))) status = take_tile(vk, op, family);
    if (!status && present(&capture->received)) status = take_received(vk, op, family);
    if (!status && present(&capture->distance)) status = take_distances(vk, op, family);
    if (!status && present(top_shape(op))) status = take_top(vk, op, family);
    if (!status && scry__rows_wanted(&capture->rows))
        status = scry__vk_rows(vk, &capture->rows, (const int64_t[]){op->q.shape[0], op->q.shape[2], op->q.shape[1]});
    return status;
}

/* attention: one kernel for the output, the rows' softmax and their statistics, then one for each further capture.
 * There are two families of them with the same parameters: "block" for devices of CPU type, "group" for others. See
 * shaders/attention.glsl for what they share. */
#include "vk.h"

#include <stdio.h>
#include <string.h>

const char *const scry__vk_attention_kernels[] = {"block", "group", NULL};

enum kernel { OUTPUT, TILE, RECEIVED, DISTANCES, TOP, KERNELS };

enum {
    SIDE       = 32, /* keys, and for "group" queries, of a tile */
    GROUP      = 64, /* items of a work group of "group", and of attention_merge */
    CHUNK      = 32, /* values that "group" multiplies at a time */
    MOST_CHUNK = 4,
    MOST_HELD  = 128, /* values that a row of "block" holds */
    MOST_PARTS = 8,   /* of the distances, in "group" */
};

static bool is_block(const struct scry__vk *vk)
{
    const char *asked = vk->front->kernel[SCRY_OP_ATTENTION];
    return asked ? !strcmp(asked, "block") : vk->limits.is_cpu;
}

/* How a family divides a kernel's work. */
struct shape {
    const char *name;
    uint32_t    items, rows; /* of a work group; of an item of "block" */
    int64_t     own;         /* queries, keys or distances of a work group */
};

/* `count`: of what the lanes of "block" stand for. More rows than 4 would be faster still, but a driver then compiles
 * for many seconds; the captures that are seldom asked for have fewer, so that they start sooner. */
static struct shape shape_of(const struct scry__vk *vk, enum kernel kernel, int64_t count)
{
    static const char *const names[2][KERNELS] = {
        {"attention_group", "attention_group_tile", "attention_group_received", "attention_group_distances",
         "attention_group_top"},
        {"attention_block", "attention_block_tile", "attention_block_received", "attention_block_distances",
         "attention_block_top"},
    };
    struct shape shape = {names[is_block(vk)][kernel], GROUP, 1, SIDE};
    if (!is_block(vk)) return shape;
    shape.items = (uint32_t)most(4, least(GROUP, vk->limits.subgroup_size));
    shape.rows  = count <= shape.items || kernel == TOP ? 1 : kernel == TILE || kernel == DISTANCES ? 2 : 4;
    shape.own   = shape.items * shape.rows;
    return shape;
}

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
    return most(1, least(MOST_PARTS, units_of(op->q.shape[1], SIDE)));
}

static size_t part_bytes(const struct scry__vk *vk, const scry_attention *op)
{
    if (is_block(vk)) return 0;
    return (size_t)(op->q.shape[0] * op->q.shape[2] * part_count(op) * distance_count(op)) * sizeof(float);
}

static const scry_tensor *top_shape(const scry_attention *op)
{
    return present(&op->capture.top_key) ? &op->capture.top_key : &op->capture.top_probability;
}

/* The most turns that the loops of one item take together, roughly from above; see SCRY__VK_TURNS. */
static int64_t turns_of(const struct scry__vk *vk, const scry_attention *op)
{
    const int64_t Q = op->q.shape[1], D = op->q.shape[3], Dv = least(MOST_HELD, op->v.shape[3]);
    const int64_t tiles = units_of(op->k.shape[1], SIDE), blocks = units_of(Q, SIDE);
    const int64_t score = (is_block(vk) ? 1 : 2) * D + 192 + (op->softcap > 0 ? 4 * SIDE : 0) +
                          (present(&op->mask.additive) ? 5 * SIDE : 0);
    int64_t turns = tiles * (score + 2 * Dv) + 8 * MOST_HELD;
    if (present(&op->capture.received)) turns = most(turns, blocks * score);
    if (distance_count(op) && is_block(vk)) turns = most(turns, 2 * blocks * score);
    if (distance_count(op) && !is_block(vk))
        turns = most(turns,
                     units_of(blocks, part_count(op)) * least(tiles, 2 + units_of(distance_count(op), SIDE)) * score);
    if (present(top_shape(op))) turns = most(turns, tiles * score + op->k.shape[1] * (1 + top_shape(op)->shape[3]));
    return turns;
}

void scry__vk_attention_query(const struct scry__vk *vk, const scry_attention *op, scry_precision allowed,
                              scry_op_info *info)
{
    (void)allowed;
    info->scratch_bytes = scry__vk_record_bytes(row_count(op)) + softmax_bytes(op) + part_bytes(vk, op);
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__vk_attention_kernels[!is_block(vk)]);
    scry__vk_check_rows(vk, info, op->q.shape[1], most(op->k.shape[1], distance_count(op)));
    scry__vk_check_turns(vk, info, turns_of(vk, op));
}

/* --- Kernels --- */

/* `own` is the kernel's third constant. */
static struct scry__vk_call open_call(struct scry__vk *vk, const scry_attention *op, enum kernel kernel,
                                      const struct shape *shape, uint32_t own)
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
    struct scry__vk_call call = scry__vk_call(vk, shape->name, shape->items);
    scry__vk_constant(&call, shape->rows);
    scry__vk_constant(&call, own);
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

/* Values that a work group takes of a head: few sizes, so that there are few programs. */
static int64_t values_of(const struct scry__vk *vk, const scry_attention *op)
{
    int64_t values = CHUNK / 2;
    if (!is_block(vk)) return CHUNK * most(1, least(MOST_CHUNK, units_of(op->v.shape[3], CHUNK)));
    while (values < op->v.shape[3] && values < MOST_HELD) values *= 2;
    return values;
}

static scry_status attend(struct scry__vk *vk, const scry_attention *op)
{
    const struct shape   shape  = shape_of(vk, OUTPUT, op->q.shape[1]);
    const int64_t        values = values_of(vk, op), stretches = most(1, units_of(op->v.shape[3], values));
    const int64_t        blocks     = units_of(op->q.shape[1], shape.own);
    const bool           wants_rows = scry__rows_wanted(&op->capture.rows);
    const size_t         records    = scry__vk_record_bytes(row_count(op));
    struct scry__vk_call call = open_call(vk, op, OUTPUT, &shape, (uint32_t)(is_block(vk) ? values : values / CHUNK));
    scry__vk_tensor(&call, &op->v, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->out, SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, wants_rows);
    scry__vk_int(&call, scry__vk_key(&op->capture.rows, op->k.shape[1]));
    scry__vk_scratch(&call, 0, records, SCRY__VK_WRITE);
    scry__vk_scratch(&call, records, softmax_bytes(op), SCRY__VK_WRITE);
    double operations = operations_of(op, op->q.shape[1], op->k.shape[1], values);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0] * stretches, operations * (double)stretches);
}

static const scry_tensor *tile_shape(const scry_attention *op)
{
    return present(&op->capture.scores) ? &op->capture.scores : &op->capture.probabilities;
}

static scry_status take_tile(struct scry__vk *vk, const scry_attention *op)
{
    const int64_t       *size   = tile_shape(op)->shape;
    const struct shape   shape  = shape_of(vk, TILE, size[2]);
    const int64_t        across = units_of(size[3], SIDE), down = units_of(size[2], shape.own);
    struct scry__vk_call call = open_call(vk, op, TILE, &shape, 0);
    for (int i = 0; i < SCRY_MAX_HEADS / 64; i++) {
        scry__vk_int(&call, (uint32_t)op->capture.heads[i]);
        scry__vk_int(&call, (uint32_t)(op->capture.heads[i] >> 32));
    }
    scry__vk_int(&call, op->capture.query_begin);
    scry__vk_int(&call, op->capture.key_begin);
    scry__vk_int(&call, size[2]);
    scry__vk_int(&call, size[3]);
    scry__vk_int(&call, size[1]);
    scry__vk_int(&call, across);
    scry__vk_int(&call, down);
    scry__vk_tensor(&call, &op->capture.probabilities, SCRY__VK_WRITE);
    scry__vk_tensor(&call, &op->capture.scores, SCRY__VK_WRITE);
    return scry__vk_launch(&call, across * down * size[1] * size[0], operations_of(op, size[2], size[3], 0));
}

static scry_status take_received(struct scry__vk *vk, const scry_attention *op)
{
    const struct shape   shape  = shape_of(vk, RECEIVED, op->k.shape[1]);
    const int64_t        blocks = units_of(op->k.shape[1], shape.own);
    struct scry__vk_call call   = open_call(vk, op, RECEIVED, &shape, 0);
    scry__vk_tensor(&call, &op->capture.received, SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0],
                           operations_of(op, op->q.shape[1], op->k.shape[1], 0));
}

/* The operations of one block of 32 queries at N distances. */
static double near_operations_of(const scry_attention *op)
{
    return operations_of(op, op->q.shape[1], least(op->k.shape[1], distance_count(op) + SIDE), 0);
}

/* A work group of "block" adds up whole diagonals; those of "group" leave parts of all. */
static scry_status take_diagonals(struct scry__vk *vk, const scry_attention *op)
{
    const struct shape   shape  = shape_of(vk, DISTANCES, distance_count(op));
    const int64_t        blocks = units_of(distance_count(op), shape.own);
    struct scry__vk_call call   = open_call(vk, op, DISTANCES, &shape, 0);
    scry__vk_tensor(&call, &op->capture.distance, SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, distance_count(op));
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0], near_operations_of(op));
}

static scry_status take_parts(struct scry__vk *vk, const scry_attention *op)
{
    const struct shape   shape    = shape_of(vk, DISTANCES, distance_count(op));
    const size_t         parts_at = scry__vk_record_bytes(row_count(op)) + softmax_bytes(op);
    struct scry__vk_call call     = open_call(vk, op, DISTANCES, &shape, 0);
    scry__vk_int(&call, part_count(op));
    scry__vk_int(&call, distance_count(op));
    scry__vk_scratch(&call, parts_at, part_bytes(vk, op), SCRY__VK_READ | SCRY__VK_WRITE);
    scry_status status =
        scry__vk_launch(&call, part_count(op) * op->q.shape[2] * op->q.shape[0], near_operations_of(op));
    if (status) return status;

    const int64_t        sums  = op->q.shape[0] * op->q.shape[2] * distance_count(op);
    struct scry__vk_call merge = scry__vk_call(vk, "attention_merge", GROUP);
    scry__vk_int(&merge, sums);
    scry__vk_int(&merge, op->q.shape[2]);
    scry__vk_int(&merge, part_count(op));
    scry__vk_int(&merge, distance_count(op));
    scry__vk_scratch(&merge, parts_at, part_bytes(vk, op), SCRY__VK_READ);
    scry__vk_tensor(&merge, &op->capture.distance, SCRY__VK_WRITE);
    return scry__vk_launch(&merge, units_of(sums, GROUP), (double)(sums * part_count(op)));
}

static scry_status take_top(struct scry__vk *vk, const scry_attention *op)
{
    const struct shape shape = shape_of(vk, TOP, op->q.shape[1]);
    const int64_t      count = top_shape(op)->shape[3], blocks = units_of(op->q.shape[1], shape.own);
    uint32_t           room = 8; /* a power of two, so that there are few programs */
    while (room < count) room *= 2;
    struct scry__vk_call call = open_call(vk, op, TOP, &shape, room);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, count);
    scry__vk_tensor(&call, &op->capture.top_probability, SCRY__VK_WRITE);
    scry__vk_tensor(&call, &op->capture.top_key, SCRY__VK_WRITE);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0],
                           operations_of(op, op->q.shape[1], op->k.shape[1], count));
}

scry_status scry__vk_attention(struct scry__vk *vk, const scry_attention *op, scry_precision allowed)
{
    (void)allowed;
    const scry_attention_capture *capture = &op->capture;
    scry_status                   status  = attend(vk, op);
    if (!status && present(tile_shape(op))) status = take_tile(vk, op);
    if (!status && present(&capture->received)) status = take_received(vk, op);
    if (!status && present(&capture->distance)) status = is_block(vk) ? take_diagonals(vk, op) : take_parts(vk, op);
    if (!status && present(top_shape(op))) status = take_top(vk, op);
    if (!status && scry__rows_wanted(&capture->rows))
        status = scry__vk_rows(vk, &capture->rows, (const int64_t[]){op->q.shape[0], op->q.shape[2], op->q.shape[1]});
    return status;
}

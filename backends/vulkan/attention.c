/* attention: one kernel for the output, the rows' softmax and their statistics, then one for each further capture.
 * There are two families of them with the same parameters: "block" for devices of CPU type, "group" for others. See
 * shaders/attention.glsl for what they share, and attention_piece.c for how much a launch goes through. */
#include "attention.h"

#include <stdio.h>
#include <string.h>

const char *const scry__vk_attention_kernels[] = {"block", "group", NULL};

enum {
    SIDE       = SCRY__VK_SIDE,
    GROUP      = 64, /* items of a work group of "group", and of attention_merge */
    CHUNK      = 32, /* values that "group" multiplies at a time */
    MOST_CHUNK = 4,
    MOST_PARTS = 8, /* of the distances, in "group" */
};

/* How a family divides a kernel's work. */
struct shape {
    const char *name;
    uint32_t    items, rows; /* of a work group; of an item of "block" */
    uint32_t    side;        /* of a tile */
    int64_t     own;         /* queries, keys or distances of a work group */
};

/* `count`: of what the lanes of "block" stand for. More rows than 4 would be faster still, but a driver then compiles
 * for many seconds; the captures that are seldom asked for have fewer, so that they start sooner. */
static struct shape shape_of(const struct scry__vk *vk, enum scry__vk_attention_kernel kernel, int64_t count)
{
    static const char *const names[2][SCRY__VK_ATTENTION_KERNELS] = {
        {"attention_group", "attention_group_tile", "attention_group_received", "attention_group_distances",
         "attention_group_top"},
        {"attention_block", "attention_block_tile", "attention_block_received", "attention_block_distances",
         "attention_block_top"},
    };
    struct shape shape = {names[scry__vk_attends_by_block(vk)][kernel], GROUP, 1, (uint32_t)scry__vk_attention_side(vk),
                          SIDE};
    if (!scry__vk_attends_by_block(vk)) return shape;
    shape.items = (uint32_t)most(4, least(GROUP, vk->limits.subgroup_size));
    shape.rows  = count <= shape.items || kernel == SCRY__VK_TOP                                          ? 1
                  : shape.side < SIDE || kernel == SCRY__VK_CAPTURED_TILE || kernel == SCRY__VK_DISTANCES ? 2
                                                                                                          : 4;
    shape.own   = shape.items * shape.rows;
    return shape;
}

/* `sizes` of attention.glsl. */
struct sizes {
    uint32_t batches, queries, keys, heads, groups, head_size, value_size;
    float    scale, softcap;
};

int64_t scry__vk_distance_count(const scry_attention *op)
{
    return present(&op->capture.distance) ? op->capture.distance.shape[2] : 0;
}

static const scry_tensor *tile_shape(const scry_attention *op)
{
    return present(&op->capture.scores) ? &op->capture.scores : &op->capture.probabilities;
}

const scry_tensor *scry__vk_top_shape(const scry_attention *op)
{
    return present(&op->capture.top_key) ? &op->capture.top_key : &op->capture.top_probability;
}

/* Whether an op needs a kernel, by its number. */
static bool wants(const scry_attention *op, int kernel)
{
    const scry_tensor *const captured[] = {&op->out, tile_shape(op), &op->capture.received, &op->capture.distance,
                                           scry__vk_top_shape(op)};
    return kernel == SCRY__VK_OUTPUT || present(captured[kernel]);
}

/* --- Scratch: records, softmaxes, then parts of the distances or, after them, the largest keys --- */

static int64_t row_count(const scry_attention *op)
{
    return op->q.shape[0] * op->q.shape[1] * op->q.shape[2];
}

static size_t softmax_bytes(const scry_attention *op)
{
    return (size_t)round_up(row_count(op) * 2 * (int64_t)sizeof(float), SCRY__VK_UNIT);
}

/* Of the number of queries only, so that a sequence's sums do not depend on the others. */
int64_t scry__vk_part_count(const scry_attention *op)
{
    return most(1, least(MOST_PARTS, units_of(op->q.shape[1], SIDE)));
}

static size_t part_bytes(const struct scry__vk *vk, const scry_attention *op)
{
    if (scry__vk_attends_by_block(vk)) return 0;
    return (size_t)(op->q.shape[0] * op->q.shape[2] * scry__vk_part_count(op) * scry__vk_distance_count(op)) *
           sizeof(float);
}

/* Where the parts of the distances are; when those are done, the largest keys of unfinished rows. */
static size_t captures_at(const scry_attention *op)
{
    return scry__vk_record_bytes(row_count(op)) + softmax_bytes(op);
}

/* Values and keys. */
static size_t kept_bytes(const struct scry__vk *vk, const scry_attention *op)
{
    if (!wants(op, SCRY__VK_TOP) || !scry__vk_attention_is_cut(vk, op, SCRY__VK_TOP)) return 0;
    return (size_t)(row_count(op) * scry__vk_top_shape(op)->shape[3]) * 2 * sizeof(float);
}

void scry__vk_attention_query(const struct scry__vk *vk, const scry_attention *op, scry_precision allowed,
                              scry_op_info *info)
{
    (void)allowed;
    const size_t parts = part_bytes(vk, op), kept = kept_bytes(vk, op);
    info->scratch_bytes = captures_at(op) + (parts > kept ? parts : kept);
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__vk_attention_kernels[!scry__vk_attends_by_block(vk)]);
    scry__vk_check_rows(vk, info, op->q.shape[1], most(op->k.shape[1], scry__vk_distance_count(op)));
    for (int kernel = 0; kernel < SCRY__VK_ATTENTION_KERNELS; kernel++)
        if (wants(op, kernel)) scry__vk_check_turns(vk, info, scry__vk_attention_turns(vk, op, kernel));
}

/* --- Kernels --- */

/* `own` is the kernel's third constant. */
static struct scry__vk_call open_call(struct scry__vk *vk, const scry_attention *op, const struct scry__vk_piece *piece,
                                      enum scry__vk_attention_kernel kernel, const struct shape *shape, uint32_t own)
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
    scry__vk_constant(&call, shape->side);
    scry__vk_bytes(&call, &sizes, sizeof sizes);
    scry__vk_bytes(&call, piece, sizeof *piece);
    scry__vk_tensor(&call, &op->q, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->k, SCRY__VK_READ);
    scry__vk_mask(&call, &op->mask, op->q.shape[1], op->k.shape[1], scry__vk_distance_count(op));
    if (kernel != SCRY__VK_OUTPUT)
        scry__vk_scratch(&call, scry__vk_record_bytes(row_count(op)), softmax_bytes(op), SCRY__VK_READ);
    return call;
}

/* Operations of the products of queries and keys, of their exponentials and of `more` for each pair. */
static double operations_of(const scry_attention *op, int64_t queries, int64_t keys, int64_t more)
{
    double pairs = (double)(op->q.shape[0] * op->q.shape[2]) * (double)queries * (double)keys;
    if (op->mask.causal && queries == keys) pairs /= 2;
    return pairs * (double)(2 * op->q.shape[3] + 2 * more + 50);
}

static double operations_of_piece(const scry_attention *op, const struct scry__vk_piece *piece, int64_t more)
{
    return operations_of(op, piece->query_end - piece->query_begin, piece->key_end - piece->key_begin, more);
}

/* Values that a work group takes of a head: few sizes, so that there are few programs. */
static int64_t values_of(const struct scry__vk *vk, const scry_attention *op)
{
    int64_t values = CHUNK / 2;
    if (!scry__vk_attends_by_block(vk)) return CHUNK * most(1, least(MOST_CHUNK, units_of(op->v.shape[3], CHUNK)));
    while (values < op->v.shape[3] && values < SCRY__VK_MOST_HELD) values *= 2;
    return values;
}

static scry_status attend(struct scry__vk *vk, const scry_attention *op, const struct scry__vk_piece *piece)
{
    const struct shape   shape  = shape_of(vk, SCRY__VK_OUTPUT, op->q.shape[1]);
    const int64_t        values = values_of(vk, op), blocks = units_of(op->q.shape[1], shape.own);
    const bool           wants_rows = scry__rows_wanted(&op->capture.rows);
    const size_t         records    = scry__vk_record_bytes(row_count(op));
    const int64_t        held       = scry__vk_attends_by_block(vk) ? values : values / CHUNK;
    struct scry__vk_call call       = open_call(vk, op, piece, SCRY__VK_OUTPUT, &shape, (uint32_t)held);
    scry__vk_tensor(&call, &op->v, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->out, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, wants_rows);
    scry__vk_int(&call, scry__vk_key(&op->capture.rows, op->k.shape[1]));
    scry__vk_scratch(&call, 0, records, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_scratch(&call, records, softmax_bytes(op), SCRY__VK_WRITE);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0], operations_of_piece(op, piece, values));
}

/* Rows are the same whatever values they weigh, and their state waits in one place: the values go one stretch after
 * another. */
static scry_status attend_by_stretches(struct scry__vk *vk, const scry_attention *op)
{
    const int64_t values = values_of(vk, op);
    int64_t       begin  = 0;
    scry_status   status;
    do {
        status = scry__vk_in_pieces(vk, op, SCRY__VK_OUTPUT, begin, attend);
        begin += values;
    } while (!status && begin < op->v.shape[3]);
    return status;
}

static scry_status take_tile(struct scry__vk *vk, const scry_attention *op, const struct scry__vk_piece *piece)
{
    const int64_t       *size   = tile_shape(op)->shape;
    const struct shape   shape  = shape_of(vk, SCRY__VK_CAPTURED_TILE, size[2]);
    const int64_t        across = units_of(size[3], shape.side), down = units_of(size[2], shape.own);
    struct scry__vk_call call = open_call(vk, op, piece, SCRY__VK_CAPTURED_TILE, &shape, 0);
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

static scry_status take_received(struct scry__vk *vk, const scry_attention *op, const struct scry__vk_piece *piece)
{
    const struct shape   shape  = shape_of(vk, SCRY__VK_RECEIVED, op->k.shape[1]);
    const int64_t        blocks = units_of(op->k.shape[1], shape.own);
    struct scry__vk_call call   = open_call(vk, op, piece, SCRY__VK_RECEIVED, &shape, 0);
    scry__vk_tensor(&call, &op->capture.received, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0], operations_of_piece(op, piece, 0));
}

/* The operations of a piece's queries at N distances. */
static double near_operations_of(const scry_attention *op, const struct scry__vk_piece *piece)
{
    const int64_t keys = least(piece->key_end - piece->key_begin, scry__vk_distance_count(op) + SIDE);
    return operations_of(op, piece->query_end - piece->query_begin, keys, 0);
}

/* A work group of "block" adds up whole diagonals; those of "group" leave parts of all. */
static scry_status take_diagonals(struct scry__vk *vk, const scry_attention *op, const struct scry__vk_piece *piece)
{
    const int64_t        count  = scry__vk_distance_count(op);
    const struct shape   shape  = shape_of(vk, SCRY__VK_DISTANCES, count);
    const int64_t        blocks = units_of(count, shape.own);
    struct scry__vk_call call   = open_call(vk, op, piece, SCRY__VK_DISTANCES, &shape, 0);
    scry__vk_tensor(&call, &op->capture.distance, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, count);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0], near_operations_of(op, piece));
}

static scry_status take_parts(struct scry__vk *vk, const scry_attention *op, const struct scry__vk_piece *piece)
{
    const int64_t        count = scry__vk_distance_count(op), parts = scry__vk_part_count(op);
    const struct shape   shape = shape_of(vk, SCRY__VK_DISTANCES, count);
    struct scry__vk_call call  = open_call(vk, op, piece, SCRY__VK_DISTANCES, &shape, 0);
    scry__vk_int(&call, parts);
    scry__vk_int(&call, count);
    scry__vk_scratch(&call, captures_at(op), part_bytes(vk, op), SCRY__VK_READ | SCRY__VK_WRITE);
    return scry__vk_launch(&call, parts * op->q.shape[2] * op->q.shape[0], near_operations_of(op, piece));
}

static scry_status merge_parts(struct scry__vk *vk, const scry_attention *op)
{
    const int64_t        count = scry__vk_distance_count(op), parts = scry__vk_part_count(op);
    const int64_t        sums = op->q.shape[0] * op->q.shape[2] * count;
    struct scry__vk_call call = scry__vk_call(vk, "attention_merge", GROUP);
    scry__vk_int(&call, sums);
    scry__vk_int(&call, op->q.shape[2]);
    scry__vk_int(&call, parts);
    scry__vk_int(&call, count);
    scry__vk_scratch(&call, captures_at(op), part_bytes(vk, op), SCRY__VK_READ);
    scry__vk_tensor(&call, &op->capture.distance, SCRY__VK_WRITE);
    return scry__vk_launch(&call, units_of(sums, GROUP), (double)(sums * parts));
}

static scry_status take_distances(struct scry__vk *vk, const scry_attention *op)
{
    const bool  block  = scry__vk_attends_by_block(vk);
    scry_status status = scry__vk_in_pieces(vk, op, SCRY__VK_DISTANCES, 0, block ? take_diagonals : take_parts);
    return status || block ? status : merge_parts(vk, op);
}

static scry_status take_top(struct scry__vk *vk, const scry_attention *op, const struct scry__vk_piece *piece)
{
    const struct shape shape = shape_of(vk, SCRY__VK_TOP, op->q.shape[1]);
    const int64_t      count = scry__vk_top_shape(op)->shape[3], blocks = units_of(op->q.shape[1], shape.own);
    uint32_t           room = 8; /* a power of two, so that there are few programs */
    while (room < count) room *= 2;
    struct scry__vk_call call = open_call(vk, op, piece, SCRY__VK_TOP, &shape, room);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, count);
    scry__vk_tensor(&call, &op->capture.top_probability, SCRY__VK_WRITE);
    scry__vk_tensor(&call, &op->capture.top_key, SCRY__VK_WRITE);
    scry__vk_scratch(&call, captures_at(op), kept_bytes(vk, op), SCRY__VK_READ | SCRY__VK_WRITE);
    return scry__vk_launch(&call, blocks * op->q.shape[2] * op->q.shape[0], operations_of_piece(op, piece, count));
}

scry_status scry__vk_attention(struct scry__vk *vk, const scry_attention *op, scry_precision allowed)
{
    (void)allowed;
    scry_status status = attend_by_stretches(vk, op);
    if (!status && wants(op, SCRY__VK_CAPTURED_TILE))
        status = scry__vk_in_pieces(vk, op, SCRY__VK_CAPTURED_TILE, 0, take_tile);
    if (!status && wants(op, SCRY__VK_RECEIVED))
        status = scry__vk_in_pieces(vk, op, SCRY__VK_RECEIVED, 0, take_received);
    if (!status && wants(op, SCRY__VK_DISTANCES)) status = take_distances(vk, op);
    if (!status && wants(op, SCRY__VK_TOP)) status = scry__vk_in_pieces(vk, op, SCRY__VK_TOP, 0, take_top);
    if (!status && scry__rows_wanted(&op->capture.rows))
        status =
            scry__vk_rows(vk, &op->capture.rows, (const int64_t[]){op->q.shape[0], op->q.shape[2], op->q.shape[1]});
    return status;
}

/* attention: one kernel for the output, the rows' softmax and their statistics, then one for each further capture.
 * There are two families of them with the same names and parameters: "block" for devices of CPU type, "group" for
 * others. See kernels_cl/attention.cl for what they share. */
#include "runs.h"

#include <stdio.h>
#include <string.h>

const char *const scry__cl_attention_kernels[] = {"block", "group", NULL};

/* A family as it divides an op's work. */
struct family {
    const char *file;
    bool        is_block;
    size_t      items;  /* of a work group */
    int64_t     values; /* of one work group of `attention` */
    int64_t     rows;   /* queries of one work group of `tile` */
};

/* Of both: queries or keys that a work group has; parts of the distances, how many at most and what lies around their
 * sums. Numbers of parts depend on the number of queries only, so that a sequence's sums do not depend on the others.
 */
enum { BLOCK = 32, MOST_PARTS = 8, MARGIN = 32 };

/* Of "group": values that are multiplied at a time, and how many times that a work group has at most. */
enum { CHUNK = 32, MOST_CHUNKS = 4 };

/* A GPU that shows a screen is reset where one launch takes seconds: "group" launches again from there on. A quarter of
 * a second at 70 GFLOP/s. */
static const double MOST_FLOPS = 0x1p34;

static struct family family_of(const struct scry__cl *cl, const scry_attention *op)
{
    struct family block  = {"exponential+mask+attention+attention_block+attention_block_capture", true, 1, 256, 128};
    struct family group  = {"exponential+mask+attention+attention_group+attention_group_capture", false, 64, 0, BLOCK};
    int64_t       chunks = most(1, least(MOST_CHUNKS, units_of(op->v.shape[3], CHUNK)));
    group.values         = chunks * CHUNK;
    return scry__cl_is_block(cl, SCRY_OP_ATTENTION) ? block : group;
}

/* `sizes` and `tile_of` of attention.cl. */
struct sizes {
    cl_long  batches, queries, keys, heads, groups, head_size, value_size, first;
    cl_float scale, softcap;
};

struct tile_of {
    cl_long query_begin, key_begin, queries, keys, slots;
};

static struct sizes sizes_of(const scry_attention *op)
{
    return (struct sizes){
        .batches    = op->q.shape[0],
        .queries    = op->q.shape[1],
        .keys       = op->k.shape[1],
        .heads      = op->q.shape[2],
        .groups     = op->k.shape[2],
        .head_size  = op->q.shape[3],
        .value_size = op->v.shape[3],
        .scale      = op->scale,
        .softcap    = op->softcap,
    };
}

/* --- Scratch: records, softmaxes, parts of the distances; in floats --- */

static int64_t row_count(const scry_attention *op)
{
    return op->q.shape[0] * op->q.shape[1] * op->q.shape[2];
}

static int64_t parts_at(const scry_attention *op)
{
    return row_count(op) * (SCRY__CL_RECORD + 2);
}

static int64_t part_count(const scry_attention *op)
{
    return most(1, least(MOST_PARTS, units_of(op->q.shape[1], BLOCK)));
}

static int64_t part_size(const scry_attention *op)
{
    return op->capture.distance.shape[2] + 2 * MARGIN;
}

void scry__cl_attention_query(const struct scry__cl *cl, const scry_attention *op, scry_precision allowed,
                              scry_op_info *info)
{
    (void)allowed;
    int64_t floats = parts_at(op);
    if (present(&op->capture.distance)) floats += op->q.shape[0] * op->q.shape[2] * part_count(op) * part_size(op);
    info->scratch_bytes = (size_t)floats * sizeof(float);
    snprintf(info->kernel, sizeof info->kernel, "%s",
             scry__cl_attention_kernels[!scry__cl_is_block(cl, SCRY_OP_ATTENTION)]);
    if (op->k.shape[1] > INT32_MAX - BLOCK)
        scry__op_refuse(info, "it has %lld keys: expected at most %d", (long long)op->k.shape[1], INT32_MAX - BLOCK);
}

/* --- Kernels --- */

/* One kernel's work: its parameters besides those that all have, and its work groups. */
struct work {
    const char *name;
    void (*pass)(struct scry__cl_call *call, const scry_attention *op);
    int64_t x, y, z;
};

/* Only "group"'s first kernel is built for its number of values; its others share a program. */
static struct scry__cl_call open_call(struct scry__cl *cl, const struct family *family, const char *name)
{
    char options[24] = "";
    int  chunks      = strcmp(name, "attention") ? 1 : (int)(family->values / CHUNK);
    if (!family->is_block) snprintf(options, sizeof options, "-DCHUNKS=%d", chunks);
    return scry__cl_call(cl, family->file, name, options);
}

static scry_status run(struct scry__cl *cl, const struct family *family, const scry_attention *op, struct work work)
{
    struct sizes sizes  = sizes_of(op);
    double       flops  = 2. * (double)(row_count(op) * sizes.keys) * (double)(sizes.head_size + sizes.value_size);
    int64_t      slices = family->is_block ? 1 : 1 + (int64_t)(flops / MOST_FLOPS);
    int64_t      each   = most(1, units_of(work.x, slices));
    scry_status  status = SCRY_OK;
    for (; sizes.first < work.x && !status; sizes.first += each) {
        struct scry__cl_call call = open_call(cl, family, work.name);
        scry__cl_bytes(&call, &sizes, sizeof sizes);
        scry__cl_tensor(&call, &op->q, SCRY__CL_READ);
        scry__cl_tensor(&call, &op->k, SCRY__CL_READ);
        scry__cl_mask(&call, &op->mask);
        scry__cl_scratch(&call, 0);
        work.pass(&call, op);
        const size_t local[]  = {family->items, 1, 1};
        const size_t global[] = {(size_t)least(each, work.x - sizes.first) * local[0], (size_t)work.y, (size_t)work.z};
        status                = scry__cl_launch(&call, 3, global, local);
    }
    return status;
}

static void pass_output(struct scry__cl_call *call, const scry_attention *op)
{
    scry__cl_tensor(call, &op->v, SCRY__CL_READ);
    scry__cl_tensor(call, &op->out, SCRY__CL_WRITE);
    scry__cl_int(call, scry__rows_wanted(&op->capture.rows));
    scry__cl_long(call, op->capture.rows.key);
}

static const scry_tensor *tile_shape(const scry_attention *op)
{
    return present(&op->capture.scores) ? &op->capture.scores : &op->capture.probabilities;
}

static void pass_tile(struct scry__cl_call *call, const scry_attention *op)
{
    const int64_t *shape = tile_shape(op)->shape;
    struct tile_of tile  = {op->capture.query_begin, op->capture.key_begin, shape[2], shape[3], shape[1]};
    scry__cl_bytes(call, op->capture.heads, sizeof op->capture.heads);
    scry__cl_bytes(call, &tile, sizeof tile);
    scry__cl_tensor(call, &op->capture.probabilities, SCRY__CL_WRITE);
    scry__cl_tensor(call, &op->capture.scores, SCRY__CL_WRITE);
}

static void pass_received(struct scry__cl_call *call, const scry_attention *op)
{
    scry__cl_tensor(call, &op->capture.received, SCRY__CL_WRITE);
}

static void pass_distances(struct scry__cl_call *call, const scry_attention *op)
{
    scry__cl_long(call, op->capture.distance.shape[2]);
    scry__cl_long(call, part_count(op));
    scry__cl_long(call, parts_at(op));
}

static const scry_tensor *top_shape(const scry_attention *op)
{
    return present(&op->capture.top_key) ? &op->capture.top_key : &op->capture.top_probability;
}

static void pass_top(struct scry__cl_call *call, const scry_attention *op)
{
    scry__cl_tensor(call, &op->capture.top_probability, SCRY__CL_WRITE);
    scry__cl_tensor(call, &op->capture.top_key, SCRY__CL_WRITE);
    scry__cl_int(call, (int32_t)top_shape(op)->shape[3]);
}

static scry_status merge_distances(struct scry__cl *cl, const struct family *family, const scry_attention *op)
{
    const scry_tensor *distance = &op->capture.distance;
    const size_t       global[] = {(size_t)distance->shape[2], (size_t)distance->shape[1], (size_t)distance->shape[0]};
    struct scry__cl_call call   = open_call(cl, family, "merge");
    scry__cl_long(&call, part_count(op));
    scry__cl_long(&call, part_size(op));
    scry__cl_long(&call, MARGIN);
    scry__cl_tensor(&call, distance, SCRY__CL_WRITE);
    scry__cl_long(&call, distance->shape[2]);
    scry__cl_scratch(&call, (size_t)parts_at(op) * sizeof(float));
    return scry__cl_launch(&call, 3, global, NULL);
}

scry_status scry__cl_attention(struct scry__cl *cl, const scry_attention *op, scry_precision allowed)
{
    (void)allowed;
    const scry_attention_capture *capture = &op->capture;
    struct family                 family  = family_of(cl, op);
    int64_t                       B = op->q.shape[0], Q = op->q.shape[1], K = op->k.shape[1], H = op->q.shape[2];
    int64_t                       queries = units_of(Q, BLOCK), keys = units_of(K, BLOCK);
    int64_t                       stretches = most(1, units_of(op->v.shape[3], family.values));
    const int64_t                *tile      = tile_shape(op)->shape;

    const struct {
        bool        wanted;
        struct work work;
    } kernels[] = {
        {true, {"attention", pass_output, queries, H, B * stretches}},
        {present(tile_shape(op)),
         {"tile", pass_tile, units_of(tile[3], BLOCK), units_of(tile[2], family.rows), B * tile[1]}},
        {present(&capture->received), {"received", pass_received, keys, H, B}},
        {present(&capture->distance), {"distances", pass_distances, part_count(op), H, B}},
        {present(top_shape(op)), {"top", pass_top, queries, H, B}},
    };
    scry_status status = SCRY_OK;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels && !status; i++)
        if (kernels[i].wanted) status = run(cl, &family, op, kernels[i].work);
    if (!status && present(&capture->distance)) status = merge_distances(cl, &family, op);
    if (!status && scry__rows_wanted(&capture->rows))
        status = scry__cl_rows(cl, &capture->rows, (const int64_t[]){B, H, Q}, 0);
    return status;
}

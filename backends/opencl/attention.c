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

static int64_t blocks_of(int64_t count, int64_t block)
{
    return (count + block - 1) / block;
}

static struct family family_of(const struct scry__cl *cl, const scry_attention *op)
{
    struct family block  = {"mask+attention+attention_block+attention_block_capture", true, 1, 256, 128};
    struct family group  = {"mask+attention+attention_group+attention_group_capture", false, 64, 0, BLOCK};
    int64_t       chunks = most(1, least(MOST_CHUNKS, blocks_of(op->v.shape[3], CHUNK)));
    group.values         = chunks * CHUNK;
    return scry__cl_is_block(cl, SCRY_OP_ATTENTION) ? block : group;
}

/* `sizes` and `tile_of` of attention.cl. */
struct sizes {
    cl_long  batches, queries, keys, heads, groups, head_size, value_size;
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
    return most(1, least(MOST_PARTS, blocks_of(op->q.shape[1], BLOCK)));
}

static int64_t part_size(const scry_attention *op)
{
    return op->capture.distance.shape[2] + 2 * MARGIN;
}

void scry__cl_attention_query(const struct scry__cl *cl, const scry_attention *op, scry_op_info *info)
{
    int64_t floats = parts_at(op);
    if (present(&op->capture.distance)) floats += op->q.shape[0] * op->q.shape[2] * part_count(op) * part_size(op);
    info->scratch_bytes = (size_t)floats * sizeof(float);
    snprintf(info->kernel, sizeof info->kernel, "%s",
             scry__cl_attention_kernels[!scry__cl_is_block(cl, SCRY_OP_ATTENTION)]);
    if (op->k.shape[1] <= INT32_MAX - BLOCK) return;
    info->support = SCRY_NOT_SUPPORTED;
    snprintf(info->reason, sizeof info->reason, "it has %lld keys: expected at most %d", (long long)op->k.shape[1],
             INT32_MAX - BLOCK);
}

/* --- Kernels --- */

/* A kernel with the first parameters of all of them. Only "group"'s first is built for its number of values; its others
 * share a program. */
static struct scry__cl_call begin(struct scry__cl *cl, const struct family *family, const scry_attention *op,
                                  const char *name)
{
    struct sizes sizes = sizes_of(op);
    char         options[24];
    snprintf(options, sizeof options, "-DCHUNKS=%d", strcmp(name, "attention") ? 1 : (int)(family->values / CHUNK));
    struct scry__cl_call call = scry__cl_call(cl, family->file, name, family->is_block ? "" : options);
    scry__cl_bytes(&call, &sizes, sizeof sizes);
    scry__cl_tensor(&call, &op->q, SCRY__CL_READ);
    scry__cl_tensor(&call, &op->k, SCRY__CL_READ);
    scry__cl_mask(&call, &op->mask);
    scry__cl_scratch(&call, 0);
    return call;
}

static scry_status launch(struct scry__cl_call *call, const struct family *family, int64_t x, int64_t y, int64_t z)
{
    size_t local[]  = {family->items, 1, 1};
    size_t global[] = {(size_t)x * family->items, (size_t)y, (size_t)z};
    return scry__cl_launch(call, 3, global, local);
}

static scry_status run_output(struct scry__cl *cl, const struct family *family, const scry_attention *op)
{
    const scry_row_statistics *rows = &op->capture.rows;
    struct scry__cl_call       call = begin(cl, family, op, "attention");
    scry__cl_tensor(&call, &op->v, SCRY__CL_READ);
    scry__cl_tensor(&call, &op->out, SCRY__CL_WRITE);
    scry__cl_int(&call, scry__cl_rows_wanted(rows));
    scry__cl_long(&call, rows->key);
    int64_t     stretches = most(1, blocks_of(op->v.shape[3], family->values));
    scry_status status =
        launch(&call, family, blocks_of(op->q.shape[1], BLOCK), op->q.shape[2], op->q.shape[0] * stretches);
    if (status || !scry__cl_rows_wanted(rows)) return status;
    return scry__cl_rows(cl, rows, (const int64_t[]){op->q.shape[0], op->q.shape[2], op->q.shape[1]}, 0);
}

static scry_status run_tile(struct scry__cl *cl, const struct family *family, const scry_attention *op)
{
    const scry_attention_capture *capture = &op->capture;
    const scry_tensor            *any     = present(&capture->scores) ? &capture->scores : &capture->probabilities;
    struct tile_of       tile = {capture->query_begin, capture->key_begin, any->shape[2], any->shape[3], any->shape[1]};
    struct scry__cl_call call = begin(cl, family, op, "tile");
    scry__cl_bytes(&call, capture->heads, sizeof capture->heads);
    scry__cl_bytes(&call, &tile, sizeof tile);
    scry__cl_tensor(&call, &capture->probabilities, SCRY__CL_WRITE);
    scry__cl_tensor(&call, &capture->scores, SCRY__CL_WRITE);
    return launch(&call, family, blocks_of(tile.keys, BLOCK), blocks_of(tile.queries, family->rows),
                  op->q.shape[0] * tile.slots);
}

static scry_status run_received(struct scry__cl *cl, const struct family *family, const scry_attention *op)
{
    struct scry__cl_call call = begin(cl, family, op, "received");
    scry__cl_tensor(&call, &op->capture.received, SCRY__CL_WRITE);
    return launch(&call, family, blocks_of(op->k.shape[1], BLOCK), op->q.shape[2], op->q.shape[0]);
}

static scry_status run_distances(struct scry__cl *cl, const struct family *family, const scry_attention *op)
{
    const scry_tensor   *distance = &op->capture.distance;
    struct scry__cl_call call     = begin(cl, family, op, "distances");
    scry__cl_long(&call, distance->shape[2]);
    scry__cl_long(&call, parts_at(op));
    scry_status status = launch(&call, family, part_count(op), op->q.shape[2], op->q.shape[0]);
    if (status) return status;
    call = scry__cl_call(cl, family->file, "merge", family->is_block ? "" : "-DCHUNKS=1");
    scry__cl_long(&call, part_count(op));
    scry__cl_long(&call, part_size(op));
    scry__cl_long(&call, MARGIN);
    scry__cl_tensor(&call, distance, SCRY__CL_WRITE);
    scry__cl_long(&call, distance->shape[2]);
    scry__cl_scratch(&call, (size_t)parts_at(op) * sizeof(float));
    const size_t global[] = {(size_t)distance->shape[2], (size_t)op->q.shape[2], (size_t)op->q.shape[0]};
    return scry__cl_launch(&call, 3, global, NULL);
}

static scry_status run_top(struct scry__cl *cl, const struct family *family, const scry_attention *op)
{
    const scry_attention_capture *capture = &op->capture;
    const scry_tensor            *any     = present(&capture->top_key) ? &capture->top_key : &capture->top_probability;
    struct scry__cl_call          call    = begin(cl, family, op, "top");
    scry__cl_tensor(&call, &capture->top_probability, SCRY__CL_WRITE);
    scry__cl_tensor(&call, &capture->top_key, SCRY__CL_WRITE);
    scry__cl_int(&call, (int32_t)any->shape[3]);
    return launch(&call, family, blocks_of(op->q.shape[1], BLOCK), op->q.shape[2], op->q.shape[0]);
}

scry_status scry__cl_attention(struct scry__cl *cl, const scry_attention *op)
{
    const scry_attention_capture *capture = &op->capture;
    struct family                 family  = family_of(cl, op);
    scry_status                   status  = run_output(cl, &family, op);
    if (!status && (present(&capture->probabilities) || present(&capture->scores))) status = run_tile(cl, &family, op);
    if (!status && present(&capture->received)) status = run_received(cl, &family, op);
    if (!status && present(&capture->distance)) status = run_distances(cl, &family, op);
    if (!status && (present(&capture->top_key) || present(&capture->top_probability)))
        status = run_top(cl, &family, op);
    return status;
}

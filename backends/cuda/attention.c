/* attention: one kernel for the output, the rows' softmaxes and their statistics, then one for each further capture.
 * See kernels_cuda/attention.cu and attention_capture.cu. */
#include "../../kernels_cuda/attention.h"
#include "mask.h"
#include "shared/refuse.h"

#include <string.h>

enum { TILE = ATTENTION_TILE, CHUNK = ATTENTION_CHUNK, THREADS = ATTENTION_THREADS, MOST_CHUNKS = 2 };

/* Parts of the distances, at most. How many depends on the number of queries only, so that a sequence's sums do not
 * depend on the others. */
enum { MOST_PARTS = 32 };

/* Besides its pieces a block has some arrays of its own in shared memory. */
enum { OWN_SHARED = 4 << 10 };

/* --- Scratch, in bytes from its beginning --- */

struct layout {
    size_t sums, values, keys, bytes; /* {centre, factor} of the rows come first */
};

static int64_t row_count(const scry_attention *op)
{
    return op->q.shape[0] * op->q.shape[1] * op->q.shape[2];
}

static int64_t part_count(const scry_attention *op)
{
    return most(1, least(MOST_PARTS, units_of(op->q.shape[1], TILE)));
}

static const scry_tensor *top_shape(const scry_attention *op)
{
    return present(&op->capture.top_key) ? &op->capture.top_key : &op->capture.top_probability;
}

static const scry_tensor *tile_shape(const scry_attention *op)
{
    return present(&op->capture.scores) ? &op->capture.scores : &op->capture.probabilities;
}

static struct layout layout_of(const scry_attention *op)
{
    const scry_tensor *distance = &op->capture.distance, *top = top_shape(op);
    int64_t            heads = op->q.shape[0] * op->q.shape[2];
    int64_t            sums  = present(distance) ? heads * part_count(op) * distance->shape[2] : 0;
    int64_t            ranks = present(top) ? row_count(op) * top->shape[3] : 0;
    struct layout      at;
    at.sums   = (size_t)row_count(op) * 2 * sizeof(float);
    at.values = at.sums + (size_t)sums * sizeof(float);
    at.keys   = at.values + (size_t)ranks * sizeof(float);
    at.bytes  = at.keys + (size_t)ranks * sizeof(int32_t);
    return at;
}

void scry__cuda_attention_query(const struct scry__cuda *cuda, const scry_attention *op, scry_precision allowed,
                                scry_op_info *info)
{
    (void)cuda, (void)allowed;
    info->scratch_bytes = layout_of(op).bytes;
    if (op->k.shape[1] > INT32_MAX - TILE)
        scry__refuse(info, "it has %lld keys: expected at most %d", (long long)op->k.shape[1], INT32_MAX - TILE);
}

/* --- Kernels --- */

static bool is_double(const struct scry__cuda *cuda)
{
    return cuda->limits.shared_bytes >= 5 * ATTENTION_PIECE_BYTES + OWN_SHARED;
}

static struct cuda_attention shared_of(struct scry__cuda *cuda, const scry_attention *op)
{
    return (struct cuda_attention){
        .batches   = op->q.shape[0],
        .heads     = op->q.shape[2],
        .queries   = op->q.shape[1],
        .keys      = op->k.shape[1],
        .head_size = op->q.shape[3],
        .sharing   = op->q.shape[2] / op->k.shape[2],
        .scale     = op->scale,
        .softcap   = op->softcap,
        .q         = scry__cuda_view(cuda, &op->q),
        .k         = scry__cuda_view(cuda, &op->k),
        .mask      = scry__cuda_mask(cuda, &op->mask),
        .softmaxes = scry__cuda_scratch(cuda, 0),
        .is_double = is_double(cuda),
    };
}

/* Launches a kernel that computes the scores: all of them, for `depth` multiply-adds each, if it is told no better. */
static scry_status launch(struct scry__cuda *cuda, const scry_attention *op, struct scry__cuda_call call, int64_t depth,
                          const void *parameters)
{
    call.threads = THREADS;
    if (!call.shared_bytes)
        call.shared_bytes = (size_t)attention_pieces(is_double(cuda), false) * ATTENTION_PIECE_BYTES;
    call.operations = 2. * (double)row_count(op) * (double)op->k.shape[1] * (double)depth;
    return scry__cuda_launch(cuda, &call, parameters);
}

static scry_status run_output(struct scry__cuda *cuda, const scry_attention *op)
{
    int64_t D = op->q.shape[3], Dv = op->v.shape[3], chunks = most(1, least(MOST_CHUNKS, units_of(Dv, CHUNK)));
    int64_t stretches                = most(1, units_of(Dv, chunks * CHUNK));
    struct cuda_attention_output all = {
        .of         = shared_of(cuda, op),
        .v          = scry__cuda_view(cuda, &op->v),
        .out        = scry__cuda_view(cuda, &op->out),
        .rows       = scry__cuda_rows(cuda, &op->capture.rows),
        .value_size = Dv,
        .wants_rows = scry__rows_wanted(&op->capture.rows),
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(attention_group_64)};
    if (chunks > 1) call = (struct scry__cuda_call){SCRY__CUDA_CALL(attention_group_128)};
    call.blocks       = units_of(op->q.shape[1], TILE) * op->q.shape[2] * op->q.shape[0] * stretches;
    call.shared_bytes = (size_t)attention_pieces(is_double(cuda), D <= CHUNK) * ATTENTION_PIECE_BYTES;
    return launch(cuda, op, call, D * stretches + Dv, &all);
}

static scry_status run_received(struct scry__cuda *cuda, const scry_attention *op)
{
    struct cuda_attention_received all  = {.of       = shared_of(cuda, op),
                                           .received = scry__cuda_view(cuda, &op->capture.received)};
    struct scry__cuda_call         call = {SCRY__CUDA_CALL(attention_group_received)};
    call.blocks                         = units_of(op->k.shape[1], TILE) * op->q.shape[2] * op->q.shape[0];
    return launch(cuda, op, call, op->q.shape[3], &all);
}

static scry_status run_distances(struct scry__cuda *cuda, const scry_attention *op)
{
    const scry_tensor              *distance = &op->capture.distance;
    int64_t                         heads    = distance->shape[0] * distance->shape[1];
    struct cuda_attention_distances all      = {
             .of    = shared_of(cuda, op),
             .sums  = scry__cuda_scratch(cuda, layout_of(op).sums),
             .parts = part_count(op),
             .count = distance->shape[2],
    };
    struct cuda_attention_merge merge = {
        .sums     = all.sums,
        .distance = scry__cuda_view(cuda, distance),
        .heads    = distance->shape[1],
        .parts    = all.parts,
        .count    = all.count,
        .total    = heads * all.count,
    };
    struct scry__cuda_call call   = {SCRY__CUDA_CALL(attention_group_distances), .blocks = heads * all.parts};
    scry_status            status = launch(cuda, op, call, op->q.shape[3], &all);
    if (status) return status;
    call = (struct scry__cuda_call){SCRY__CUDA_CALL(attention_merge), .blocks = units_of(merge.total, THREADS),
                                    .threads = THREADS};
    call.operations = (double)merge.total * (double)merge.parts;
    return scry__cuda_launch(cuda, &call, &merge);
}

static scry_status run_tile(struct scry__cuda *cuda, const scry_attention *op)
{
    const int64_t             *shape = tile_shape(op)->shape;
    struct cuda_attention_tile all   = {
          .of            = shared_of(cuda, op),
          .probabilities = scry__cuda_view(cuda, &op->capture.probabilities),
          .scores        = scry__cuda_view(cuda, &op->capture.scores),
          .query_begin   = op->capture.query_begin,
          .key_begin     = op->capture.key_begin,
          .slots         = shape[1],
          .queries       = shape[2],
          .keys          = shape[3],
    };
    memcpy(all.selected, op->capture.heads, sizeof all.selected);
    struct scry__cuda_call call = {SCRY__CUDA_CALL(attention_group_tile)};
    call.blocks                 = units_of(shape[3], TILE) * units_of(shape[2], TILE) * shape[1] * shape[0];
    return launch(cuda, op, call, op->q.shape[3], &all);
}

static scry_status run_top(struct scry__cuda *cuda, const scry_attention *op)
{
    struct layout             at  = layout_of(op);
    struct cuda_attention_top all = {
        .of              = shared_of(cuda, op),
        .values          = scry__cuda_scratch(cuda, at.values),
        .keys            = scry__cuda_scratch(cuda, at.keys),
        .top_probability = scry__cuda_view(cuda, &op->capture.top_probability),
        .top_key         = scry__cuda_view(cuda, &op->capture.top_key),
        .count           = top_shape(op)->shape[3],
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(attention_group_top)};
    call.blocks                 = units_of(op->q.shape[1], TILE) * op->q.shape[2] * op->q.shape[0];
    return launch(cuda, op, call, op->q.shape[3], &all);
}

scry_status scry__cuda_attention(struct scry__cuda *cuda, const scry_attention *op, scry_precision allowed)
{
    const struct {
        bool wanted;
        scry_status (*run)(struct scry__cuda *cuda, const scry_attention *op);
    } kernels[] = {
        {true, run_output},
        {present(tile_shape(op)), run_tile},
        {present(&op->capture.received), run_received},
        {present(&op->capture.distance), run_distances},
        {present(top_shape(op)), run_top},
    };
    scry_status status = SCRY_OK;
    (void)allowed;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels && !status; i++)
        if (kernels[i].wanted) status = kernels[i].run(cuda, op);
    return status;
}

/* attention: one kernel for the output, the rows' softmaxes and their statistics, then one for each further capture.
 * There are two families of them: in strict f32, and on tensor cores, where the caller allows f16 or bf16. See
 * kernels_cuda/attention.cuh. */
#include "kernels_cuda/attention.h"
#include "mask.h"
#include "shared/refuse.h"

#include <stdio.h>
#include <string.h>

enum { TILE = ATTENTION_TILE, CHUNK = ATTENTION_CHUNK, THREADS = ATTENTION_THREADS, MOST_CHUNKS = 2 };

/* Parts of the distances, at most. How many depends on the number of queries only, so that a sequence's sums do not
 * depend on the others. */
enum { MOST_PARTS = 32 };

/* Besides its pieces a block has some arrays of its own in shared memory. */
enum { OWN_SHARED = 6 << 10 };

/* Tensor cores: the compute capability, the longest vectors, and the fewest queries that are worth packing all keys. */
enum { TENSOR_COMPUTE = 80, MOST_PACKED = 128, LEAST_PACKED = 64, LEAST_TENSOR_QUERIES = 16, PACKED_AT_ONCE = 8 };

/* Blocks of 8 queries take about a third of the time of blocks of 64, by what they read of shared memory: worth it
 * where all blocks of 64 leave so much of the device without work. */
enum { FEW_QUERIES = 8, FEW_SPEED = 3 };

/* "few" is "group" with blocks of 8 queries; the bits are the same. */
enum kernel { GROUP, FEW, TENSOR };

const char *const scry__cuda_attention_kernels[] = {"group", "few", "tensor", NULL};

/* --- Which kernel --- */

/* Why the op cannot run on tensor cores; NULL where it can. */
static const char *against_tensor(const struct scry__cuda *cuda, const scry_attention *op, scry_precision allowed)
{
    if (allowed != SCRY_ALLOW_F16 && allowed != SCRY_ALLOW_BF16)
        return "kernel \"tensor\" works in f16 or bf16, where the op allows it";
    if (cuda->limits.compute < TENSOR_COMPUTE) return "kernel \"tensor\" takes compute capability 8.0";
    if (most(op->q.shape[3], op->v.shape[3]) > MOST_PACKED) return "kernel \"tensor\" takes head sizes up to 128";
    return NULL;
}

/* Blocks of so many queries, but for stretches of values. */
static int64_t block_count(const scry_attention *op, int64_t queries)
{
    return units_of(op->q.shape[1], queries) * op->q.shape[2] * op->q.shape[0];
}

static enum kernel choose(const struct scry__cuda *cuda, const scry_attention *op, scry_precision allowed)
{
    const char *asked = cuda->front->kernel[SCRY_OP_ATTENTION];
    for (enum kernel kernel = GROUP; asked && kernel <= TENSOR; kernel++)
        if (!strcmp(asked, scry__cuda_attention_kernels[kernel])) return kernel;
    if (op->q.shape[1] >= LEAST_TENSOR_QUERIES && !against_tensor(cuda, op, allowed)) return TENSOR;
    return block_count(op, TILE) * FEW_SPEED <= cuda->limits.processors ? FEW : GROUP;
}

static bool is_double(const struct scry__cuda *cuda)
{
    return cuda->limits.shared_bytes >= 5 * ATTENTION_PIECE_BYTES + OWN_SHARED;
}

/* --- Scratch, in bytes from its beginning --- */

struct layout {
    size_t sums, values, keys, q, k, v, bytes; /* {centre, factor} of the rows come first */
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

static int64_t packed_size(const scry_attention *op)
{
    return most(op->q.shape[3], op->v.shape[3]) > LEAST_PACKED ? MOST_PACKED : LEAST_PACKED;
}

/* The place behind `at` of so many elements of 4 or 2 bytes. */
static size_t behind(size_t at, int64_t count, size_t size)
{
    return (size_t)round_up((int64_t)at + count * (int64_t)size, 16);
}

static struct layout layout_of(const scry_attention *op, enum kernel kernel)
{
    const scry_tensor *distance = &op->capture.distance, *top = top_shape(op);
    int64_t            heads = op->q.shape[0] * op->q.shape[2], rows = row_count(op);
    int64_t            sums  = present(distance) ? heads * part_count(op) * distance->shape[2] : 0;
    int64_t            ranks = present(top) ? rows * top->shape[3] : 0;
    int64_t keys = op->k.shape[0] * op->k.shape[1] * op->k.shape[2], size = kernel == TENSOR ? packed_size(op) : 0;
    struct layout at;
    at.sums   = behind(0, rows * 2, sizeof(float));
    at.values = behind(at.sums, sums, sizeof(float));
    at.keys   = behind(at.values, ranks, sizeof(float));
    at.q      = behind(at.keys, ranks, sizeof(int32_t));
    at.k      = behind(at.q, rows * size, sizeof(uint16_t));
    at.v      = behind(at.k, keys * size, sizeof(uint16_t));
    at.bytes  = behind(at.v, keys * size, sizeof(uint16_t));
    return at;
}

void scry__cuda_attention_query(const struct scry__cuda *cuda, const scry_attention *op, scry_precision allowed,
                                scry_op_info *info)
{
    enum kernel kernel  = choose(cuda, op, allowed);
    const char *against = kernel == TENSOR ? against_tensor(cuda, op, allowed) : NULL;
    info->scratch_bytes = layout_of(op, kernel).bytes;
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__cuda_attention_kernels[kernel]);
    if (kernel == TENSOR) info->precision = allowed;
    if (against) scry__op_refuse(info, "%s", against);
    if (op->k.shape[1] > INT32_MAX - TILE)
        scry__op_refuse(info, "it has %lld keys: expected at most %d", (long long)op->k.shape[1], INT32_MAX - TILE);
}

/* --- Kernels --- */

/* A running op. */
struct running {
    struct scry__cuda    *cuda;
    const scry_attention *op;
    enum kernel           kernel;
    struct layout         at;
    struct cuda_attention shared;
};

static struct cuda_attention shared_of(struct scry__cuda *cuda, const scry_attention *op, scry_precision allowed,
                                       const struct layout *at)
{
    return (struct cuda_attention){
        .batches      = op->q.shape[0],
        .heads        = op->q.shape[2],
        .queries      = op->q.shape[1],
        .keys         = op->k.shape[1],
        .head_size    = op->q.shape[3],
        .sharing      = op->q.shape[2] / op->k.shape[2],
        .scale        = op->scale,
        .softcap      = op->softcap,
        .q            = scry__cuda_view(cuda, &op->q),
        .k            = scry__cuda_view(cuda, &op->k),
        .mask         = scry__cuda_mask(cuda, &op->mask),
        .softmaxes    = scry__cuda_scratch(cuda, 0),
        .is_double    = is_double(cuda),
        .packed_dtype = allowed == SCRY_ALLOW_F16 ? SCRY_F16 : SCRY_BF16,
        .packed_size  = packed_size(op),
        .packed_q     = scry__cuda_scratch(cuda, at->q),
        .packed_k     = scry__cuda_scratch(cuda, at->k),
    };
}

/* Launches a kernel that computes all scores, for `depth` multiply-adds each. */
static scry_status launch(const struct running *run, struct scry__cuda_call call, int64_t depth, const void *parameters)
{
    if (!call.threads) call.threads = THREADS;
    if (!call.shared_bytes)
        call.shared_bytes = (size_t)attention_pieces(run->shared.is_double, false) * ATTENTION_PIECE_BYTES;
    call.operations = 2. * (double)row_count(run->op) * (double)run->op->k.shape[1] * (double)depth;
    return scry__cuda_launch(run->cuda, &call, parameters);
}

/* The call of a capture's kernel of the family. */
#define CAPTURE(run, name)                                                                                             \
    ((run)->kernel == TENSOR ? (struct scry__cuda_call){SCRY__CUDA_CALL(attention_tensor_##name)}                      \
                             : (struct scry__cuda_call){SCRY__CUDA_CALL(attention_group_##name)})

static scry_status run_strict(const struct running *run, struct cuda_attention_output *all)
{
    static const struct scry__cuda_call calls[2][MOST_CHUNKS] = {
        {{SCRY__CUDA_CALL(attention_group_64)}, {SCRY__CUDA_CALL(attention_group_128)}},
        {{SCRY__CUDA_CALL(attention_few_64)}, {SCRY__CUDA_CALL(attention_few_128)}},
    };
    int64_t D = run->shared.head_size, Dv = all->value_size;
    int64_t chunks              = most(1, least(MOST_CHUNKS, units_of(Dv, CHUNK))),
            stretches           = most(1, units_of(Dv, chunks * CHUNK));
    struct scry__cuda_call call = calls[run->kernel == FEW][chunks - 1];
    call.blocks                 = block_count(run->op, run->kernel == FEW ? FEW_QUERIES : TILE) * stretches;
    call.shared_bytes           = (size_t)attention_pieces(run->shared.is_double, D <= CHUNK) * ATTENTION_PIECE_BYTES;
    return launch(run, call, D * stretches + Dv, all);
}

static scry_status pack(const struct running *run, const scry_tensor *x, const uint16_t *out, float factor)
{
    struct cuda_attention_pack all = {
        .x       = scry__cuda_view(run->cuda, x),
        .out     = (uint16_t *)out,
        .tokens  = x->shape[1],
        .heads   = x->shape[2],
        .entries = x->shape[3],
        .size    = run->shared.packed_size,
        .total   = x->shape[0] * x->shape[1] * x->shape[2],
        .factor  = factor,
        .dtype   = run->shared.packed_dtype,
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(attention_pack), .threads = THREADS};
    call.blocks                 = units_of(all.total * (all.size / PACKED_AT_ONCE), THREADS);
    call.operations             = (double)all.total * (double)all.size;
    return scry__cuda_launch(run->cuda, &call, &all);
}

static scry_status run_tensor(const struct running *run, struct cuda_attention_output *all)
{
    static const struct scry__cuda_call calls[2][2] = {
        {{SCRY__CUDA_CALL(attention_tensor_f16_64)}, {SCRY__CUDA_CALL(attention_tensor_f16_128)}},
        {{SCRY__CUDA_CALL(attention_tensor_bf16_64)}, {SCRY__CUDA_CALL(attention_tensor_bf16_128)}},
    };
    int64_t                size = run->shared.packed_size;
    struct scry__cuda_call call = calls[run->shared.packed_dtype == SCRY_BF16][size > LEAST_PACKED];
    scry_status            status;
    all->packed_v     = scry__cuda_scratch(run->cuda, run->at.v);
    call.threads      = size > LEAST_PACKED ? ATTENTION_TENSOR_THREADS_128 : ATTENTION_TENSOR_THREADS_64;
    call.blocks       = block_count(run->op, ATTENTION_TENSOR_QUERIES);
    call.shared_bytes = (size_t)attention_tensor_bytes(size);
    status            = pack(run, &run->op->q, run->shared.packed_q, run->op->scale);
    if (!status) status = pack(run, &run->op->k, run->shared.packed_k, 1);
    if (!status) status = pack(run, &run->op->v, all->packed_v, 1);
    return status ? status : launch(run, call, 2 * size, all);
}

static scry_status run_output(const struct running *run)
{
    const scry_attention        *op  = run->op;
    struct cuda_attention_output all = {
        .of         = run->shared,
        .v          = scry__cuda_view(run->cuda, &op->v),
        .out        = scry__cuda_view(run->cuda, &op->out),
        .rows       = scry__cuda_rows(run->cuda, &op->capture.rows),
        .value_size = op->v.shape[3],
        .wants_rows = scry__rows_wanted(&op->capture.rows),
    };
    return (run->kernel == TENSOR ? run_tensor : run_strict)(run, &all);
}

static scry_status run_received(const struct running *run)
{
    struct cuda_attention_received all  = {.of       = run->shared,
                                           .received = scry__cuda_view(run->cuda, &run->op->capture.received)};
    struct scry__cuda_call         call = CAPTURE(run, received);
    call.blocks                         = units_of(run->shared.keys, TILE) * run->shared.heads * run->shared.batches;
    return launch(run, call, run->shared.head_size, &all);
}

static scry_status run_distances(const struct running *run)
{
    const scry_tensor              *distance = &run->op->capture.distance;
    int64_t                         heads    = distance->shape[0] * distance->shape[1];
    struct cuda_attention_distances all      = {
             .of    = run->shared,
             .sums  = scry__cuda_scratch(run->cuda, run->at.sums),
             .parts = part_count(run->op),
             .count = distance->shape[2],
    };
    struct cuda_attention_merge merge = {
        .sums     = all.sums,
        .distance = scry__cuda_view(run->cuda, distance),
        .heads    = distance->shape[1],
        .parts    = all.parts,
        .count    = all.count,
        .total    = heads * all.count,
    };
    struct scry__cuda_call call = CAPTURE(run, distances);
    call.blocks                 = heads * all.parts;
    scry_status status          = launch(run, call, run->shared.head_size, &all);
    if (status) return status;
    call            = (struct scry__cuda_call){SCRY__CUDA_CALL(attention_merge), .threads = THREADS};
    call.blocks     = units_of(merge.total, THREADS);
    call.operations = (double)merge.total * (double)merge.parts;
    return scry__cuda_launch(run->cuda, &call, &merge);
}

static scry_status run_tile(const struct running *run)
{
    const scry_attention_capture *capture = &run->op->capture;
    const int64_t                *shape   = tile_shape(run->op)->shape;
    struct cuda_attention_tile    all     = {
               .of            = run->shared,
               .probabilities = scry__cuda_view(run->cuda, &capture->probabilities),
               .scores        = scry__cuda_view(run->cuda, &capture->scores),
               .query_begin   = capture->query_begin,
               .key_begin     = capture->key_begin,
               .slots         = shape[1],
               .queries       = shape[2],
               .keys          = shape[3],
    };
    memcpy(all.selected, capture->heads, sizeof all.selected);
    struct scry__cuda_call call = CAPTURE(run, tile);
    call.blocks                 = units_of(shape[3], TILE) * units_of(shape[2], TILE) * shape[1] * shape[0];
    return launch(run, call, run->shared.head_size, &all);
}

static scry_status run_top(const struct running *run)
{
    struct cuda_attention_top all = {
        .of              = run->shared,
        .values          = scry__cuda_scratch(run->cuda, run->at.values),
        .keys            = scry__cuda_scratch(run->cuda, run->at.keys),
        .top_probability = scry__cuda_view(run->cuda, &run->op->capture.top_probability),
        .top_key         = scry__cuda_view(run->cuda, &run->op->capture.top_key),
        .count           = top_shape(run->op)->shape[3],
    };
    struct scry__cuda_call call = CAPTURE(run, top);
    call.blocks                 = block_count(run->op, TILE);
    return launch(run, call, run->shared.head_size, &all);
}

scry_status scry__cuda_attention(struct scry__cuda *cuda, const scry_attention *op, scry_precision allowed)
{
    const struct {
        bool wanted;
        scry_status (*run)(const struct running *run);
    } kernels[] = {
        {true, run_output},
        {present(tile_shape(op)), run_tile},
        {present(&op->capture.received), run_received},
        {present(&op->capture.distance), run_distances},
        {present(top_shape(op)), run_top},
    };
    struct running run    = {.cuda = cuda, .op = op, .kernel = choose(cuda, op, allowed)};
    scry_status    status = SCRY_OK;
    run.at                = layout_of(op, run.kernel);
    run.shared            = shared_of(cuda, op, allowed, &run.at);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels && !status; i++)
        if (kernels[i].wanted) status = kernels[i].run(&run);
    return status;
}

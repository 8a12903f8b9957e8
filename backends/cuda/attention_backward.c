/* attention_backward: the rows' sums, then a kernel for each gradient. kernels_cuda/attention_backward.cu says how. */
#include "kernels_cuda/attention_backward.h"
#include "mask.h"

enum { TILE = ATTENTION_BACKWARD_TILE, THREADS = ATTENTION_BACKWARD_THREADS, WARPS = THREADS / 32 };

static int64_t row_count(const scry_attention_backward *op)
{
    return op->q.shape[0] * op->q.shape[1] * op->q.shape[2];
}

void scry__cuda_attention_backward_query(const struct scry__cuda *cuda, const scry_attention_backward *op,
                                         scry_precision allowed, scry_op_info *info)
{
    (void)cuda, (void)allowed;
    info->scratch_bytes = (size_t)row_count(op) * sizeof(float);
    if (op->k.shape[1] > INT32_MAX - TILE)
        scry__op_refuse(info, "it has %lld keys: expected at most %d", (long long)op->k.shape[1], INT32_MAX - TILE);
}

static struct cuda_attention_backward parameters_of(struct scry__cuda *cuda, const scry_attention_backward *op)
{
    return (struct cuda_attention_backward){
        .of         = {.batches   = op->q.shape[0],
                       .heads     = op->q.shape[2],
                       .queries   = op->q.shape[1],
                       .keys      = op->k.shape[1],
                       .head_size = op->q.shape[3],
                       .sharing   = op->q.shape[2] / op->k.shape[2],
                       .scale     = op->scale,
                       .softcap   = op->softcap,
                       .q         = scry__cuda_view(cuda, &op->q),
                       .k         = scry__cuda_view(cuda, &op->k),
                       .mask      = scry__cuda_mask(cuda, &op->mask)},
        .v          = scry__cuda_view(cuda, &op->v),
        .out        = scry__cuda_view(cuda, &op->out),
        .lse        = scry__cuda_view(cuda, &op->lse),
        .d_out      = scry__cuda_view(cuda, &op->d_out),
        .sums       = scry__cuda_scratch(cuda, 0),
        .value_size = op->v.shape[3],
        .accumulate = op->accumulate,
    };
}

static scry_status run_rows(struct scry__cuda *cuda, const scry_attention_backward *op,
                            const struct cuda_attention_backward *all)
{
    struct scry__cuda_call call = {SCRY__CUDA_CALL(attention_backward_rows), .threads = THREADS};
    call.blocks                 = units_of(row_count(op), WARPS);
    call.operations             = 2. * (double)row_count(op) * (double)all->value_size;
    return scry__cuda_launch(cuda, &call, all);
}

/* The kernel of a gradient d [B, T, heads, size], where it is wanted. */
static scry_status run_gradient(struct scry__cuda *cuda, struct scry__cuda_call call,
                                const struct cuda_attention_backward *all, const scry_tensor *d, bool is_of_values)
{
    if (!present(d)) return SCRY_OK;
    struct cuda_attention_backward of        = *all;
    int64_t                        stretches = units_of(d->shape[3], ATTENTION_BACKWARD_STRETCH);
    double pairs    = (double)of.of.batches * (double)of.of.heads * (double)of.of.queries * (double)of.of.keys;
    of.d            = scry__cuda_view(cuda, d);
    of.size         = d->shape[3];
    of.is_of_values = is_of_values;
    call.threads    = THREADS;
    call.blocks     = units_of(d->shape[1], TILE) * d->shape[2] * d->shape[0] * stretches;
    call.operations = 2. * pairs * (double)(stretches * (of.of.head_size + of.value_size) + of.size);
    return scry__cuda_launch(cuda, &call, &of);
}

scry_status scry__cuda_attention_backward(struct scry__cuda *cuda, const scry_attention_backward *op,
                                          scry_precision allowed)
{
    struct cuda_attention_backward all     = parameters_of(cuda, op);
    struct scry__cuda_call         queries = {SCRY__CUDA_CALL(attention_backward_queries)};
    struct scry__cuda_call         keys    = {SCRY__CUDA_CALL(attention_backward_keys)};
    scry_status                    status  = run_rows(cuda, op, &all);
    (void)allowed;
    if (!status) status = run_gradient(cuda, queries, &all, &op->d_q, false);
    if (!status) status = run_gradient(cuda, keys, &all, &op->d_k, false);
    return status ? status : run_gradient(cuda, keys, &all, &op->d_v, true);
}

/* activation_backward and embed_backward: the gradients of what goes element by element. */
#include "kernels_cuda/activation_backward.h"
#include "kernels_cuda/embed_backward.h"
#include "runs.h"

/* --- activation_backward --- */

SCRY__CUDA_PLAIN_QUERY(activation_backward, scry_activation_backward)

scry_status scry__cuda_activation_backward(struct scry__cuda *cuda, const scry_activation_backward *op,
                                           scry_precision allowed)
{
    (void)allowed;
    struct scry__walk walk = {.count = 5, .operand = {op->x, op->gated, op->d_out, op->d_x, op->d_gated}};
    scry__walk_prepare(&walk);
    struct cuda_activation_backward backward = {
        .x          = scry__cuda_view(cuda, &walk.operand[0]),
        .gated      = scry__cuda_view(cuda, &walk.operand[1]),
        .d_out      = scry__cuda_view(cuda, &walk.operand[2]),
        .d_x        = scry__cuda_view(cuda, &walk.operand[3]),
        .d_gated    = scry__cuda_view(cuda, &walk.operand[4]),
        .all        = scry__cuda_runs(walk.shape),
        .function   = (int32_t)op->function,
        .accumulate = op->accumulate,
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(activation_backward)};
    return scry__cuda_runs_launch(cuda, call, &backward.all, &backward);
}

/* --- embed_backward --- */

void scry__cuda_embed_backward_query(const struct scry__cuda *cuda, const scry_embed_backward *op,
                                     scry_precision allowed, scry_op_info *info)
{
    (void)cuda, (void)allowed;
    info->scratch_bytes = 2 * (size_t)op->ids.shape[0] * sizeof(int32_t);
    if (op->ids.shape[0] > INT32_MAX)
        scry__op_refuse(info, "it has %lld ids: expected at most %d", (long long)op->ids.shape[0], INT32_MAX);
}

scry_status scry__cuda_embed_backward(struct scry__cuda *cuda, const scry_embed_backward *op, scry_precision allowed)
{
    scry_tensor                d_out    = scry__widened(op->d_out, 0);
    int64_t                    tokens   = op->ids.shape[0];
    struct cuda_embed_backward backward = {
        .ids        = scry__cuda_view(cuda, &op->ids),
        .d_out      = scry__cuda_view(cuda, &d_out),
        .d_table    = scry__cuda_view(cuda, &op->d_table),
        .all        = scry__cuda_runs(d_out.shape),
        .next       = scry__cuda_scratch(cuda, 0),
        .leads      = scry__cuda_scratch(cuda, (size_t)tokens * sizeof(int32_t)),
        .tokens     = tokens,
        .vocabulary = op->d_table.shape[0],
        .scale      = op->scale != 0 ? op->scale : 1,
        .accumulate = op->accumulate,
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(embed_chain), .threads = CUDA_RUN_THREADS};
    call.blocks                 = units_of(tokens, CUDA_RUN_THREADS);
    call.operations             = (double)tokens * (double)tokens;
    scry_status status          = SCRY_OK;
    if (!op->accumulate) status = scry__cuda_fill(cuda, &(scry_fill){.out = op->d_table}, allowed);
    if (!status) status = scry__cuda_launch(cuda, &call, &backward);
    call = (struct scry__cuda_call){SCRY__CUDA_CALL(embed_backward)};
    return status ? status : scry__cuda_runs_launch(cuda, call, &backward.all, &backward);
}

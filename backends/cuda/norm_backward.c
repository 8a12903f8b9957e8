/* norm_backward: rows, then the sums over blocks of them. kernels_cuda/norm_backward.cu says how. */
#include "kernels_cuda/norm_backward.h"
#include "runs.h"
#include "sum.h"

static int64_t row_count(const scry_norm_backward *op)
{
    int64_t rows = 1;
    for (int axis = 0; axis < op->x.rank - 1; axis++) rows *= op->x.shape[axis];
    return rows;
}

/* Where in scratch the blocks' sums for d_weight begin, or those for d_bias behind them. */
static size_t sums_at(const scry_norm_backward *op, bool of_bias)
{
    int64_t rows = row_count(op), d = op->x.shape[op->x.rank - 1];
    return (size_t)(2 * rows + of_bias * scry__cuda_blocks(rows).count * d) * sizeof(float);
}

void scry__cuda_norm_backward_query(const struct scry__cuda *cuda, const scry_norm_backward *op, scry_precision allowed,
                                    scry_op_info *info)
{
    (void)cuda, (void)allowed;
    info->scratch_bytes = 2 * sums_at(op, true) - sums_at(op, false);
}

static scry_status run_rows(struct scry__cuda *cuda, const struct cuda_norm_backward *backward)
{
    enum { PASSES = 4, WARPS = CUDA_TEAM_THREADS / 32 };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(norm_backward), .threads = CUDA_TEAM_THREADS};
    call.blocks                 = units_of(backward->rows.count, WARPS);
    call.operations             = PASSES * (double)backward->rows.count * (double)backward->size;
    return scry__cuda_launch(cuda, &call, backward);
}

static scry_status run_sums(struct scry__cuda *cuda, const scry_norm_backward *op, struct cuda_norm_backward *backward)
{
    struct scry__cuda_blocks blocks = scry__cuda_blocks(backward->rows.count);
    struct scry__cuda_call   call   = {SCRY__CUDA_CALL(norm_backward_sums), .operations = (double)blocks.each};
    backward->each                  = blocks.each;
    backward->d_weight              = scry__cuda_block_sums(cuda, sums_at(op, false), backward->size);
    backward->d_bias                = scry__cuda_block_sums(cuda, sums_at(op, true), backward->size);
    backward->columns               = scry__cuda_runs((int64_t[]){1, 1, blocks.count, backward->size});
    scry_status status              = scry__cuda_runs_launch(cuda, call, &backward->columns, backward);
    if (!status) status = scry__cuda_merge_sums(cuda, sums_at(op, false), blocks.count, &op->d_weight, op->accumulate);
    if (!status) status = scry__cuda_merge_sums(cuda, sums_at(op, true), blocks.count, &op->d_bias, op->accumulate);
    return status;
}

scry_status scry__cuda_norm_backward(struct scry__cuda *cuda, const scry_norm_backward *op, scry_precision allowed)
{
    (void)allowed;
    scry_tensor x = scry__widened(op->x, 0), d_out = scry__widened(op->d_out, 0), d_x = scry__widened(op->d_x, 0);
    const scry_norm_parameters *parameters = &op->parameters;
    struct cuda_norm_backward   backward   = {
            .x             = scry__cuda_view(cuda, &x),
            .weight        = scry__cuda_view(cuda, &parameters->weight),
            .d_out         = scry__cuda_view(cuda, &d_out),
            .d_x           = scry__cuda_view(cuda, &d_x),
            .rows          = scry__cuda_runs((int64_t[]){x.shape[0], x.shape[1], x.shape[2], 1}),
            .size          = x.shape[3],
            .kind          = (int32_t)parameters->kind,
            .accumulate    = op->accumulate,
            .epsilon       = parameters->epsilon,
            .weight_offset = parameters->weight_offset,
            .per_entry     = 1 / (float)x.shape[3],
            .found         = scry__cuda_scratch(cuda, 0),
    };
    scry_status status = run_rows(cuda, &backward);
    if (!status && (present(&op->d_weight) || present(&op->d_bias))) status = run_sums(cuda, op, &backward);
    return status;
}

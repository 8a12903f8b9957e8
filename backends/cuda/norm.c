/* norm: a warp for each row ("warp"), or a block ("block"). */
#include "kernels_cuda/norm.h"
#include "runs.h"

#include <stdio.h>
#include <string.h>

/* Entries of a row from which on a block is worth its barriers. The number of rows has no say, so that a row's bits do
 * not depend on how many there are. */
enum { LONG_ROW = 1024 };

const char *const scry__cuda_norm_kernels[] = {"warp", "block", NULL};

static bool is_block(const struct scry__cuda *cuda, const scry_norm *op)
{
    const char *asked = cuda->front->kernel[SCRY_OP_NORM];
    return asked ? !strcmp(asked, "block") : op->x.shape[op->x.rank - 1] >= LONG_ROW;
}

void scry__cuda_norm_query(const struct scry__cuda *cuda, const scry_norm *op, scry_precision allowed,
                           scry_op_info *info)
{
    (void)allowed;
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__cuda_norm_kernels[is_block(cuda, op)]);
}

scry_status scry__cuda_norm(struct scry__cuda *cuda, const scry_norm *op, scry_precision allowed)
{
    (void)allowed;
    enum { PASSES = 3, WARPS = CUDA_TEAM_THREADS / 32 };
    const scry_norm_parameters *parameters = &op->parameters;
    scry_tensor      x = scry__widened(op->x, 0), out = scry__widened(op->out, 0), scale = scry__widened(op->scale, 1);
    struct cuda_norm norm = {
        .x             = scry__cuda_view(cuda, &x),
        .weight        = scry__cuda_view(cuda, &parameters->weight),
        .bias          = scry__cuda_view(cuda, &parameters->bias),
        .out           = scry__cuda_view(cuda, &out),
        .scale         = scry__cuda_view(cuda, &scale),
        .rows          = scry__cuda_runs((int64_t[]){x.shape[0], x.shape[1], x.shape[2], 1}),
        .size          = x.shape[3],
        .kind          = (int32_t)parameters->kind,
        .epsilon       = parameters->epsilon,
        .weight_offset = parameters->weight_offset,
        .per_entry     = 1 / (float)x.shape[3],
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(norm_warp), .blocks = units_of(norm.rows.count, WARPS)};
    if (is_block(cuda, op)) call = (struct scry__cuda_call){SCRY__CUDA_CALL(norm_block), .blocks = norm.rows.count};
    call.threads    = CUDA_TEAM_THREADS;
    call.operations = PASSES * (double)norm.rows.count * (double)norm.size;
    return scry__cuda_launch(cuda, &call, &norm);
}

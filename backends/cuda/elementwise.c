/* add, scale and activation: element by element, whatever the strides; what is contiguous is one long row. */
#include "kernels_cuda/activation.h"
#include "kernels_cuda/add.h"
#include "kernels_cuda/scale.h"
#include "runs.h"

SCRY__CUDA_PLAIN_QUERY(add, scry_add)

scry_status scry__cuda_add(struct scry__cuda *cuda, const scry_add *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk walk = {.count = 3, .operand = {op->a, op->b, op->out}};
    scry__walk_prepare(&walk);
    struct cuda_add add = {
        .a   = scry__cuda_view(cuda, &walk.operand[0]),
        .b   = scry__cuda_view(cuda, &walk.operand[1]),
        .out = scry__cuda_view(cuda, &walk.operand[2]),
        .all = scry__cuda_runs(walk.shape),
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(add)}, &add.all, &add);
}

SCRY__CUDA_PLAIN_QUERY(scale, scry_scale)

scry_status scry__cuda_scale(struct scry__cuda *cuda, const scry_scale *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk walk = {.count = 2, .operand = {op->x, op->out}};
    scry__walk_prepare(&walk);
    struct cuda_scale scale = {
        .x      = scry__cuda_view(cuda, &walk.operand[0]),
        .out    = scry__cuda_view(cuda, &walk.operand[1]),
        .all    = scry__cuda_runs(walk.shape),
        .factor = op->factor,
        .offset = op->offset,
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(scale)}, &scale.all, &scale);
}

SCRY__CUDA_PLAIN_QUERY(activation, scry_activation)

scry_status scry__cuda_activation(struct scry__cuda *cuda, const scry_activation *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk walk = {.count = 3, .operand = {op->x, op->out, op->gated}};
    scry__walk_prepare(&walk);
    struct cuda_activation activation = {
        .x        = scry__cuda_view(cuda, &walk.operand[0]),
        .gated    = scry__cuda_view(cuda, &walk.operand[2]),
        .out      = scry__cuda_view(cuda, &walk.operand[1]),
        .all      = scry__cuda_runs(walk.shape),
        .function = (int32_t)op->function,
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(activation)}, &activation.all,
                                  &activation);
}

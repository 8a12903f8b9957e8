/* scale: element by element, whatever the strides; what is contiguous is one long row. */
#include "../../kernels_cuda/scale.h"
#include "runs.h"

void scry__cuda_scale_query(const struct scry__cuda *cuda, const scry_scale *op, scry_precision allowed,
                            scry_op_info *info)
{
    (void)cuda, (void)op, (void)allowed, (void)info;
}

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

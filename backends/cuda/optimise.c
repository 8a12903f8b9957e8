/* adamw and sgd: one step of an optimiser, element by element. */
#include "shared/optimise.h"
#include "kernels_cuda/adamw.h"
#include "kernels_cuda/sgd.h"
#include "runs.h"

SCRY__CUDA_PLAIN_QUERY(adamw, scry_adamw)

scry_status scry__cuda_adamw(struct scry__cuda *cuda, const scry_adamw *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk       walk = {.count = 4, .operand = {op->gradient, op->parameter, op->first, op->second}};
    struct scry__adamw_step step = scry__adamw_step(op);
    scry__walk_prepare(&walk);
    struct cuda_adamw adamw = {
        .gradient        = scry__cuda_view(cuda, &walk.operand[0]),
        .parameter       = scry__cuda_view(cuda, &walk.operand[1]),
        .first           = scry__cuda_view(cuda, &walk.operand[2]),
        .second          = scry__cuda_view(cuda, &walk.operand[3]),
        .all             = scry__cuda_runs(walk.shape),
        .gradient_factor = step.gradient_factor,
        .keep1           = step.keep1,
        .blend1          = step.blend1,
        .keep2           = step.keep2,
        .blend2          = step.blend2,
        .factor2         = step.factor2,
        .epsilon         = step.epsilon,
        .step            = step.step,
        .decay           = step.decay,
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(adamw)}, &adamw.all, &adamw);
}

SCRY__CUDA_PLAIN_QUERY(sgd, scry_sgd)

scry_status scry__cuda_sgd(struct scry__cuda *cuda, const scry_sgd *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk walk = {.count = 3, .operand = {op->gradient, op->parameter, op->velocity}};
    scry__walk_prepare(&walk);
    struct cuda_sgd sgd = {
        .gradient        = scry__cuda_view(cuda, &walk.operand[0]),
        .parameter       = scry__cuda_view(cuda, &walk.operand[1]),
        .velocity        = scry__cuda_view(cuda, &walk.operand[2]),
        .all             = scry__cuda_runs(walk.shape),
        .gradient_factor = op->gradient_factor,
        .rate            = op->rate,
        .momentum        = op->momentum,
        .decay           = op->decay,
        .nesterov        = op->nesterov,
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(sgd)}, &sgd.all, &sgd);
}

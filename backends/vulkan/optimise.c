/* adamw and sgd: one step of an optimiser, element by element. */
#include "shared/optimise.h"
#include "runs.h"

/* The gradient, and what is updated by it. */
static void pass_walk(struct scry__vk_call *call, struct scry__walk *walk)
{
    scry__walk_prepare(walk);
    for (int i = 0; i < walk->count; i++)
        scry__vk_tensor(call, &walk->operand[i], i ? SCRY__VK_READ | SCRY__VK_WRITE : SCRY__VK_READ);
}

void scry__vk_adamw_query(const struct scry__vk *vk, const scry_adamw *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_ADAMW, info);
}

scry_status scry__vk_adamw(struct scry__vk *vk, const scry_adamw *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk       walk = {.count = 4, .operand = {op->gradient, op->parameter, op->first, op->second}};
    struct scry__vk_call    call = scry__vk_runs_call(vk, SCRY_OP_ADAMW, "adamw");
    struct scry__adamw_step step = scry__adamw_step(op);
    pass_walk(&call, &walk);
    scry__vk_bytes(&call, &step, sizeof step);
    return scry__vk_runs_launch(&call, SCRY_OP_ADAMW, walk.shape, true, 24);
}

void scry__vk_sgd_query(const struct scry__vk *vk, const scry_sgd *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_SGD, info);
}

scry_status scry__vk_sgd(struct scry__vk *vk, const scry_sgd *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk   = {.count = 3, .operand = {op->gradient, op->parameter, op->velocity}};
    struct scry__vk_call call   = scry__vk_runs_call(vk, SCRY_OP_SGD, "sgd");
    const float          step[] = {op->gradient_factor, op->rate, op->momentum, op->decay};
    scry__vk_constant(&call, present(&op->velocity));
    scry__vk_constant(&call, op->nesterov);
    pass_walk(&call, &walk);
    scry__vk_bytes(&call, step, sizeof step);
    return scry__vk_runs_launch(&call, SCRY_OP_SGD, walk.shape, true, 12);
}

/* add, scale and activation: element by element, whatever the strides; what is contiguous is one long row. */
#include "runs.h"

void scry__vk_add_query(const struct scry__vk *vk, const scry_add *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_ADD, info);
}

scry_status scry__vk_add(struct scry__vk *vk, const scry_add *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 3, .operand = {op->a, op->b, op->out}};
    struct scry__vk_call call = scry__vk_runs_call(vk, SCRY_OP_ADD, "add");
    scry__walk_prepare(&walk);
    scry__vk_constant(&call, (uint32_t)op->b.dtype);
    scry__vk_tensor(&call, &walk.operand[0], SCRY__VK_READ);
    scry__vk_tensor(&call, &walk.operand[1], SCRY__VK_READ);
    scry__vk_tensor(&call, &walk.operand[2], SCRY__VK_WRITE);
    return scry__vk_runs_launch(&call, SCRY_OP_ADD, walk.shape, true, 4);
}

void scry__vk_scale_query(const struct scry__vk *vk, const scry_scale *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_SCALE, info);
}

scry_status scry__vk_scale(struct scry__vk *vk, const scry_scale *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 2, .operand = {op->x, op->out}};
    struct scry__vk_call call = scry__vk_runs_call(vk, SCRY_OP_SCALE, "scale");
    scry__walk_prepare(&walk);
    scry__vk_tensor(&call, &walk.operand[0], SCRY__VK_READ);
    scry__vk_tensor(&call, &walk.operand[1], SCRY__VK_WRITE);
    scry__vk_float(&call, op->factor);
    scry__vk_float(&call, op->offset);
    return scry__vk_runs_launch(&call, SCRY_OP_SCALE, walk.shape, true, 4);
}

void scry__vk_activation_query(const struct scry__vk *vk, const scry_activation *op, scry_precision allowed,
                               scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_ACTIVATION, info);
}

scry_status scry__vk_activation(struct scry__vk *vk, const scry_activation *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 3, .operand = {op->x, op->out, op->gated}};
    struct scry__vk_call call = scry__vk_runs_call(vk, SCRY_OP_ACTIVATION, "activation");
    scry__walk_prepare(&walk);
    scry__vk_constant(&call, (uint32_t)op->function);
    scry__vk_constant(&call, present(&op->gated));
    scry__vk_tensor(&call, &walk.operand[0], SCRY__VK_READ);
    scry__vk_tensor(&call, &walk.operand[2], SCRY__VK_READ);
    scry__vk_tensor(&call, &walk.operand[1], SCRY__VK_WRITE);
    return scry__vk_runs_launch(&call, SCRY_OP_ACTIVATION, walk.shape, true, op->function == SCRY_RELU ? 4 : 40);
}

/* activation_backward: the gradient of what goes element by element. */
#include "runs.h"

void scry__vk_activation_backward_query(const struct scry__vk *vk, const scry_activation_backward *op,
                                        scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_ACTIVATION_BACKWARD, info);
}

scry_status scry__vk_activation_backward(struct scry__vk *vk, const scry_activation_backward *op,
                                         scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 5, .operand = {op->x, op->gated, op->d_out, op->d_x, op->d_gated}};
    struct scry__vk_call call = scry__vk_runs_call(vk, SCRY_OP_ACTIVATION_BACKWARD, "activation_backward");
    scry__walk_prepare(&walk);
    scry__vk_constant(&call, (uint32_t)op->function);
    scry__vk_constant(&call, present(&op->gated));
    scry__vk_constant(&call, present(&op->d_x));
    scry__vk_constant(&call, present(&op->d_gated));
    scry__vk_constant(&call, op->accumulate);
    for (int i = 0; i < walk.count; i++)
        scry__vk_tensor(&call, &walk.operand[i], i < 3 ? SCRY__VK_READ : SCRY__VK_READ | SCRY__VK_WRITE);
    return scry__vk_runs_launch(&call, SCRY_OP_ACTIVATION_BACKWARD, walk.shape, true,
                                op->function == SCRY_RELU ? 8 : 80);
}

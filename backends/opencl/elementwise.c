/* add, scale and activation: element by element, whatever the strides; what is contiguous is one long row. */
#include "runs.h"

void scry__cl_add_query(const struct scry__cl *cl, const scry_add *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_ADD, info);
}

scry_status scry__cl_add(struct scry__cl *cl, const scry_add *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 3, .operand = {op->a, op->b, op->out}};
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_ADD, "add", "add");
    scry__walk_prepare(&walk);
    scry__cl_tensor(&call, &walk.operand[0], SCRY__CL_READ);
    scry__cl_tensor(&call, &walk.operand[1], SCRY__CL_READ);
    scry__cl_tensor(&call, &walk.operand[2], SCRY__CL_WRITE);
    return scry__cl_runs_launch(&call, SCRY_OP_ADD, walk.shape);
}

void scry__cl_scale_query(const struct scry__cl *cl, const scry_scale *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_SCALE, info);
}

scry_status scry__cl_scale(struct scry__cl *cl, const scry_scale *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 2, .operand = {op->x, op->out}};
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_SCALE, "scale", "scale");
    scry__walk_prepare(&walk);
    scry__cl_tensor(&call, &walk.operand[0], SCRY__CL_READ);
    scry__cl_tensor(&call, &walk.operand[1], SCRY__CL_WRITE);
    scry__cl_float(&call, op->factor);
    scry__cl_float(&call, op->offset);
    return scry__cl_runs_launch(&call, SCRY_OP_SCALE, walk.shape);
}

void scry__cl_activation_query(const struct scry__cl *cl, const scry_activation *op, scry_precision allowed,
                               scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_ACTIVATION, info);
}

scry_status scry__cl_activation(struct scry__cl *cl, const scry_activation *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 3, .operand = {op->x, op->out, op->gated}};
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_ACTIVATION, "exponential+activation", "activation");
    scry__walk_prepare(&walk);
    scry__cl_tensor(&call, &walk.operand[0], SCRY__CL_READ);
    scry__cl_tensor(&call, &walk.operand[2], SCRY__CL_READ);
    scry__cl_tensor(&call, &walk.operand[1], SCRY__CL_WRITE);
    scry__cl_int(&call, (int32_t)op->function);
    return scry__cl_runs_launch(&call, SCRY_OP_ACTIVATION, walk.shape);
}

/* copy and fill. */
#include "runs.h"

#include <math.h>

void scry__cl_copy_query(const struct scry__cl *cl, const scry_copy *op, scry_precision allowed, scry_op_info *info)
{
    (void)cl, (void)op, (void)allowed, (void)info;
}

scry_status scry__cl_copy(struct scry__cl *cl, const scry_copy *op, scry_precision allowed)
{
    (void)allowed;
    size_t size = scry__element_bytes(op->x.dtype);
    bool   same = op->x.dtype == op->out.dtype;
    if (same && scry__is_contiguous(&op->x) && scry__is_contiguous(&op->out)) {
        for (int i = 0; i < op->x.rank; i++) size *= (size_t)op->x.shape[i];
        return scry__cl_move(cl, op->out.buffer, op->out.offset, op->x.buffer, op->x.offset, size);
    }
    struct scry__walk    walk = {.count = 2, .operand = {op->x, op->out}};
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_COPY, "copy",
                                                    !same       ? "convert"
                                                    : size == 2 ? "copy_2"
                                                                : "copy_4");
    scry__walk_prepare(&walk);
    scry__cl_tensor(&call, &walk.operand[0], SCRY__CL_READ);
    scry__cl_tensor(&call, &walk.operand[1], SCRY__CL_WRITE);
    return scry__cl_runs_launch(&call, SCRY_OP_COPY, walk.shape);
}

void scry__cl_fill_query(const struct scry__cl *cl, const scry_fill *op, scry_precision allowed, scry_op_info *info)
{
    (void)cl, (void)op, (void)allowed, (void)info;
}

scry_status scry__cl_fill(struct scry__cl *cl, const scry_fill *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk  = {.count = 1, .operand = {op->out}};
    struct scry__cl_call call  = scry__cl_lanes_call(cl, SCRY_OP_FILL, "fill", "fill");
    bool                 whole = op->out.dtype == SCRY_I32;
    scry__walk_prepare(&walk);
    scry__cl_tensor(&call, &walk.operand[0], SCRY__CL_WRITE);
    scry__cl_float(&call, (float)op->value);
    scry__cl_int(&call, whole ? (int32_t)fmin(fmax(rint(op->value), INT32_MIN), INT32_MAX) : 0);
    return scry__cl_runs_launch(&call, SCRY_OP_FILL, walk.shape);
}

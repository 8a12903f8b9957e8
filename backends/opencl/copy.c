/* copy and fill. */
#include "opencl.h"

#include <math.h>
#include <stdio.h>

static bool contiguous(const scry_tensor *x)
{
    int64_t stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        if (x->shape[i] != 1 && x->stride[i] != stride) return false;
        stride *= x->shape[i];
    }
    return true;
}

void scry__cl_copy_query(const struct scry__cl *cl, const scry_copy *op, scry_op_info *info)
{
    (void)cl, (void)op, (void)info;
}

scry_status scry__cl_copy(struct scry__cl *cl, const scry_copy *op)
{
    char options[48];
    if (op->x.dtype == op->out.dtype && contiguous(&op->x) && contiguous(&op->out)) {
        size_t bytes = scry__cl_element_bytes(op->x.dtype);
        for (int i = 0; i < op->x.rank; i++) bytes *= (size_t)op->x.shape[i];
        return scry__cl_move(cl, op->out.buffer, op->out.offset, op->x.buffer, op->x.offset, bytes);
    }
    struct scry__cl_walk walk = {.count = 2, .operand = {op->x, op->out}};
    scry__cl_walk_prepare(&walk);
    snprintf(options, sizeof options, "-DFROM=%d -DTO=%d", (int)op->x.dtype, (int)op->out.dtype);
    struct scry__cl_call call = scry__cl_call(cl, "copy", "copy", options);
    scry__cl_tensor(&call, &walk.operand[0], SCRY__CL_READ);
    scry__cl_tensor(&call, &walk.operand[1], SCRY__CL_WRITE);
    return scry__cl_walk_launch(&call, &walk);
}

void scry__cl_fill_query(const struct scry__cl *cl, const scry_fill *op, scry_op_info *info)
{
    (void)cl, (void)op, (void)info;
}

scry_status scry__cl_fill(struct scry__cl *cl, const scry_fill *op)
{
    char                 options[24];
    struct scry__cl_walk walk = {.count = 1, .operand = {op->out}};
    scry__cl_walk_prepare(&walk);
    snprintf(options, sizeof options, "-DTO=%d", (int)op->out.dtype);
    double               whole = op->out.dtype == SCRY_I32 ? fmin(fmax(rint(op->value), INT32_MIN), INT32_MAX) : 0;
    struct scry__cl_call call  = scry__cl_call(cl, "fill", "fill", options);
    scry__cl_tensor(&call, &walk.operand[0], SCRY__CL_WRITE);
    scry__cl_float(&call, (float)op->value);
    scry__cl_int(&call, (int32_t)whole);
    return scry__cl_walk_launch(&call, &walk);
}

/* copy and fill. */
#include "vk.h"

#include <math.h>

enum { GROUP = 64, RUN = 4 /* elements of a row for an item, as in copy.comp and fill.comp */ };

/* Launches over the runs of the shape that is walked, which is the kernel's last parameter. */
static scry_status launch(struct scry__vk_call *call, const struct scry__walk *walk)
{
    uint32_t shape[SCRY_MAX_RANK];
    int64_t  rows = 1;
    for (int i = 0; i < SCRY_MAX_RANK; i++) shape[i] = (uint32_t)walk->shape[i];
    for (int i = 0; i < SCRY_MAX_RANK - 1; i++) rows *= walk->shape[i];
    scry__vk_bytes(call, shape, sizeof shape);
    int64_t runs = rows * units_of(walk->shape[SCRY_MAX_RANK - 1], RUN);
    scry__vk_int(call, runs);
    return scry__vk_launch(call, units_of(runs, GROUP), (double)runs * RUN);
}

void scry__vk_copy_query(const struct scry__vk *vk, const scry_copy *op, scry_op_info *info)
{
    (void)vk, (void)op, (void)info;
}

scry_status scry__vk_copy(struct scry__vk *vk, const scry_copy *op)
{
    if (op->x.dtype == op->out.dtype && scry__is_contiguous(&op->x) && scry__is_contiguous(&op->out)) {
        size_t bytes = scry__extent_bytes(&op->x);
        return scry__vk_move(vk, op->out.buffer, op->out.offset, op->x.buffer, op->x.offset, bytes);
    }
    struct scry__walk    walk = {.count = 2, .operand = {op->x, op->out}};
    struct scry__vk_call call = scry__vk_call(vk, "copy", GROUP);
    scry__walk_prepare(&walk);
    scry__vk_constant(&call, (uint32_t)op->x.dtype);
    scry__vk_constant(&call, (uint32_t)op->out.dtype);
    scry__vk_tensor(&call, &walk.operand[0], SCRY__VK_READ);
    scry__vk_tensor(&call, &walk.operand[1], SCRY__VK_READ | SCRY__VK_WRITE);
    return launch(&call, &walk);
}

void scry__vk_fill_query(const struct scry__vk *vk, const scry_fill *op, scry_op_info *info)
{
    (void)vk, (void)op, (void)info;
}

scry_status scry__vk_fill(struct scry__vk *vk, const scry_fill *op)
{
    struct scry__walk    walk  = {.count = 1, .operand = {op->out}};
    struct scry__vk_call call  = scry__vk_call(vk, "fill", GROUP);
    bool                 whole = op->out.dtype == SCRY_I32;
    scry__walk_prepare(&walk);
    scry__vk_constant(&call, (uint32_t)op->out.dtype);
    scry__vk_tensor(&call, &walk.operand[0], SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_float(&call, (float)op->value);
    scry__vk_int(&call, whole ? (int64_t)fmin(fmax(rint(op->value), INT32_MIN), INT32_MAX) : 0);
    return launch(&call, &walk);
}

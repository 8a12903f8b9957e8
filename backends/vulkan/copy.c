/* copy and fill: by the device's own commands where bytes move as they are in long stretches, else by a kernel. */
#include "runs.h"

#include <math.h>
#include <string.h>

void scry__vk_copy_query(const struct scry__vk *vk, const scry_copy *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_COPY, info);
}

/* Rows of the elements that are walked, each of them one stretch in both operands. */
enum { ROWS_AT_ONCE = 64, MOST_ROWS = 1 << 14 };

/* Whether copy commands serve: they take few long rows better than a kernel does, and on a processor shorter ones too.
 */
static bool has_long_rows(const struct scry__vk *vk, const struct scry__walk *walk)
{
    const scry_tensor *x = &walk->operand[0], *out = &walk->operand[1];
    int64_t            rows = walk->shape[0] * walk->shape[1] * walk->shape[2];
    int64_t            row  = walk->shape[3] * (int64_t)scry__element_bytes(x->dtype);
    return x->dtype == out->dtype && x->stride[3] == 1 && out->stride[3] == 1 && rows <= MOST_ROWS &&
           row >= (vk->limits.is_cpu ? 128 : 1 << 16);
}

/* Where row `row` of an operand begins, in bytes behind its place. */
static size_t row_offset(const scry_tensor *x, int64_t row)
{
    int64_t i2 = row % x->shape[2], i1 = row / x->shape[2] % x->shape[1], i0 = row / x->shape[2] / x->shape[1];
    int64_t elements = i0 * x->stride[0] + i1 * x->stride[1] + i2 * x->stride[2];
    return (size_t)elements * scry__element_bytes(x->dtype);
}

static scry_status copy_rows(struct scry__vk *vk, const struct scry__walk *walk, const struct scry__vk_place *from,
                             const struct scry__vk_place *to)
{
    const scry_tensor            *x = &walk->operand[0], *out = &walk->operand[1];
    const struct scry__vk_touched touched[] = {{from->buffer, from->offset, scry__extent_bytes(x), SCRY__VK_READ},
                                               {to->buffer, to->offset, scry__extent_bytes(out), SCRY__VK_WRITE}};
    VkBufferCopy                  region[ROWS_AT_ONCE];
    VkCommandBuffer               commands;
    int64_t                       rows    = walk->shape[0] * walk->shape[1] * walk->shape[2], some;
    size_t                        row     = (size_t)walk->shape[3] * scry__element_bytes(x->dtype);
    double                        seconds = scry__vk_seconds(vk, (double)rows * (double)walk->shape[3]);
    scry_status                   status  = scry__vk_commands(vk, &commands, touched, 2, seconds);
    for (int64_t done = 0; done < rows && !status; done += some) {
        some = least(rows - done, ROWS_AT_ONCE);
        for (int64_t i = 0; i < some; i++)
            region[i] =
                (VkBufferCopy){from->offset + row_offset(x, done + i), to->offset + row_offset(out, done + i), row};
        vkCmdCopyBuffer(commands, from->buffer, to->buffer, (uint32_t)some, region);
    }
    return status;
}

scry_status scry__vk_copy(struct scry__vk *vk, const scry_copy *op, scry_precision allowed)
{
    (void)allowed;
    size_t bytes = scry__extent_bytes(&op->x);
    if (op->x.dtype == op->out.dtype && scry__is_contiguous(&op->x) && scry__is_contiguous(&op->out))
        return scry__vk_move(vk, op->out.buffer, op->out.offset, op->x.buffer, op->x.offset, bytes);
    struct scry__walk     walk = {.count = 2, .operand = {op->x, op->out}};
    struct scry__vk_place from = scry__vk_place(op->x.buffer, op->x.offset);
    struct scry__vk_place to   = scry__vk_place(op->out.buffer, op->out.offset);
    scry__walk_prepare(&walk);
    if (bytes <= from.left && scry__extent_bytes(&op->out) <= to.left && has_long_rows(vk, &walk))
        return copy_rows(vk, &walk, &from, &to);
    /* Of i32, as of whatever is not converted, bits are moved. */
    if (op->x.dtype == SCRY_I32) walk.operand[0].dtype = walk.operand[1].dtype = SCRY_F32;
    struct scry__vk_call call = scry__vk_runs_call(vk, SCRY_OP_COPY, "copy");
    scry__vk_constant(&call, (uint32_t)walk.operand[0].dtype);
    scry__vk_constant(&call, (uint32_t)walk.operand[1].dtype);
    scry__vk_tensor(&call, &walk.operand[0], SCRY__VK_READ);
    scry__vk_tensor(&call, &walk.operand[1], SCRY__VK_READ | SCRY__VK_WRITE);
    return scry__vk_runs_launch(&call, SCRY_OP_COPY, walk.shape, true, 1);
}

void scry__vk_fill_query(const struct scry__vk *vk, const scry_fill *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_FILL, info);
}

/* Words that lie one after another, across parts too. */
static scry_status fill_words(struct scry__vk *vk, const scry_tensor *out, uint32_t word)
{
    enum { FILLED = 64 << 20 }; /* bytes of one command, so that a submission stays short */
    size_t      bytes  = scry__extent_bytes(out);
    scry_status status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__vk_place place = scry__vk_place(out->buffer, out->offset + done);
        some                        = bytes - done < place.left ? bytes - done : place.left;
        if (some > FILLED) some = FILLED;
        const struct scry__vk_touched touched = {place.buffer, place.offset, some, SCRY__VK_WRITE};
        VkCommandBuffer               commands;
        status = scry__vk_commands(vk, &commands, &touched, 1, scry__vk_seconds(vk, (double)some / 4));
        if (!status) vkCmdFillBuffer(commands, place.buffer, place.offset, some, word);
    }
    return status;
}

scry_status scry__vk_fill(struct scry__vk *vk, const scry_fill *op, scry_precision allowed)
{
    (void)allowed;
    bool     is_whole = op->out.dtype == SCRY_I32;
    int32_t  whole    = is_whole ? (int32_t)fmin(fmax(rint(op->value), INT32_MIN), INT32_MAX) : 0;
    float    value    = (float)op->value;
    uint32_t word;
    memcpy(&word, is_whole ? (const void *)&whole : &value, sizeof word);
    if (scry__element_bytes(op->out.dtype) == sizeof word && scry__is_dense(&op->out))
        return fill_words(vk, &op->out, word);
    struct scry__walk walk = {.count = 1, .operand = {op->out}};
    scry__walk_prepare(&walk);
    if (is_whole) walk.operand[0].dtype = SCRY_F32; /* its bits are */
    struct scry__vk_call call = scry__vk_runs_call(vk, SCRY_OP_FILL, "fill");
    scry__vk_constant(&call, (uint32_t)walk.operand[0].dtype);
    scry__vk_tensor(&call, &walk.operand[0], SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_int(&call, word);
    return scry__vk_runs_launch(&call, SCRY_OP_FILL, walk.shape, true, 1);
}

/* rope: one launch over the pairs of all heads, and over the entries behind them where they are to be copied. */
#include "runs.h"

void scry__vk_rope_query(const struct scry__vk *vk, const scry_rope *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_ROPE, info);
}

scry_status scry__vk_rope(struct scry__vk *vk, const scry_rope *op, scry_precision allowed)
{
    (void)allowed;
    int64_t pairs = op->cosine.shape[1], turned = round_up(pairs, 4);
    bool    in_place = op->out.buffer == op->x.buffer && op->out.offset == op->x.offset;
    int64_t copied   = in_place ? 0 : op->x.shape[3] - 2 * pairs;
    int64_t shape[4] = {op->x.shape[0], op->x.shape[1], op->x.shape[2], turned + copied};
    if (!shape[3]) return SCRY_OK;
    struct scry__vk_call call = scry__vk_runs_call(vk, SCRY_OP_ROPE, "rope");
    scry__vk_constant(&call, op->interleaved);
    scry__vk_constant(&call, copied > 0);
    scry__vk_constant(&call, present(&op->positions));
    scry__vk_tensor(&call, &op->x, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->out, SCRY__VK_WRITE);
    scry__vk_tensor(&call, &op->cosine, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->sine, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->positions, SCRY__VK_READ);
    scry__vk_int(&call, op->cosine.shape[0]);
    scry__vk_int(&call, pairs);
    scry__vk_int(&call, turned);
    scry__vk_int(&call, present(&op->positions) ? 0 : op->position_offset);
    scry__vk_float(&call, op->inverse ? -1 : 1);
    return scry__vk_runs_launch(&call, SCRY_OP_ROPE, shape, turned == pairs, 10);
}

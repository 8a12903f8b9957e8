/* embed: rows of a table by id. A table that no binding holds is read in pieces, one launch each. */
#include "shared/embed.h"
#include "runs.h"

void scry__vk_embed_query(const struct scry__vk *vk, const scry_embed *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_EMBED, info);
}

/* A piece of the table, as scry__embed_pieces has it. */
static scry_status embed_piece(void *device, const scry_embed *op, int64_t first, int64_t vocabulary)
{
    struct scry__vk_call call = scry__vk_runs_call(device, SCRY_OP_EMBED, "embed");
    scry_tensor          out = scry__widened(op->out, 0), old = op->accumulate ? out : (scry_tensor){0};
    scry__vk_constant(&call, (uint32_t)op->table.dtype);
    scry__vk_constant(&call, op->accumulate);
    scry__vk_tensor(&call, &op->table, SCRY__VK_READ);
    scry__vk_tensor(&call, &out, SCRY__VK_WRITE);
    scry__vk_tensor(&call, &old, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->ids, SCRY__VK_READ);
    scry__vk_int(&call, first);
    scry__vk_int(&call, op->table.shape[0]);
    scry__vk_int(&call, vocabulary);
    scry__vk_float(&call, op->scale != 0 ? op->scale : 1);
    return scry__vk_runs_launch(&call, SCRY_OP_EMBED, out.shape, true, 3);
}

scry_status scry__vk_embed(struct scry__vk *vk, const scry_embed *op, scry_precision allowed)
{
    (void)allowed;
    const struct scry__embed_pieces pieces = {.device = vk, .reaches = scry__vk_reaches, .embed = embed_piece};
    return scry__embed_in_pieces(&pieces, op);
}

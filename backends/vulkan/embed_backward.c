/* embed_backward: pieces of the tokens, one after another, each added to the table. shaders/embed_chain.comp and
 * embed_backward.comp say how.
 *
 * A piece is as long as the loops of an item may turn on drivers of CPU type (SCRY__VK_TURNS), so where it ends depends
 * on nothing. A table that no binding holds is written in pieces too. */
#include "runs.h"
#include "shared/embed.h"

enum { PIECE = 8192 };

static size_t chain_bytes(int64_t tokens)
{
    return (size_t)round_up(least(PIECE, tokens) * (int64_t)sizeof(uint32_t), SCRY__VK_UNIT);
}

void scry__vk_embed_backward_query(const struct scry__vk *vk, const scry_embed_backward *op, scry_precision allowed,
                                   scry_op_info *info)
{
    (void)allowed;
    scry__vk_runs_query(vk, SCRY_OP_EMBED_BACKWARD, info);
    info->scratch_bytes = 2 * chain_bytes(op->ids.shape[0]);
}

static void bind_chain(struct scry__vk_call *call, int64_t tokens, unsigned access)
{
    size_t bytes = chain_bytes(tokens);
    scry__vk_scratch(call, 0, bytes, access);
    scry__vk_scratch(call, bytes, bytes, access);
}

static scry_status chain(struct scry__vk *vk, const scry_tensor *ids)
{
    int64_t              count = ids->shape[0];
    struct scry__vk_call call  = scry__vk_items_call(vk, SCRY_OP_EMBED_BACKWARD, "embed_chain");
    scry__vk_tensor(&call, ids, SCRY__VK_READ);
    bind_chain(&call, count, SCRY__VK_WRITE);
    return scry__vk_items_launch(&call, count, (double)count);
}

/* Pieces of the table, as scry__embed_pieces has them: d_table in `table`, d_out in `out`. */
static scry_status clear_table(void *device, const scry_embed *op, int64_t first, int64_t vocabulary)
{
    (void)first, (void)vocabulary;
    return scry__vk_fill(device, &(scry_fill){.out = op->table}, SCRY_STRICT_F32);
}

static scry_status add_to_table(void *device, const scry_embed *op, int64_t first, int64_t vocabulary)
{
    (void)vocabulary;
    int64_t              count = op->ids.shape[0], size = op->out.shape[1];
    struct scry__vk_call call = scry__vk_items_call(device, SCRY_OP_EMBED_BACKWARD, "embed_backward");
    scry__vk_tensor(&call, &op->ids, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->out, SCRY__VK_READ);
    scry__vk_tensor(&call, &op->table, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_in_fours(&call, size);
    bind_chain(&call, count, SCRY__VK_READ);
    scry__vk_int(&call, count);
    scry__vk_int(&call, size);
    scry__vk_int(&call, first);
    scry__vk_int(&call, op->table.shape[0]);
    scry__vk_float(&call, op->scale != 0 ? op->scale : 1);
    return scry__vk_items_launch(&call, count * units_of(size, SCRY__VK_RUN), 16);
}

scry_status scry__vk_embed_backward(struct scry__vk *vk, const scry_embed_backward *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__embed_pieces pieces = {.device = vk, .reaches = scry__vk_reaches, .embed = clear_table};
    const scry_embed          whole  = {.ids = op->ids, .table = op->d_table, .out = op->d_out, .scale = op->scale};
    scry_status               status = op->accumulate ? SCRY_OK : scry__embed_in_pieces(&pieces, &whole);
    pieces.embed                     = add_to_table;
    for (int64_t begin = 0; begin < op->ids.shape[0] && !status; begin += PIECE) {
        int64_t    count = least(PIECE, op->ids.shape[0] - begin);
        scry_embed piece = whole;
        piece.ids        = scry__slice(whole.ids, 0, begin, count);
        piece.out        = scry__slice(whole.out, 0, begin, count);
        status           = chain(vk, &piece.ids);
        if (!status) status = scry__embed_in_pieces(&pieces, &piece);
    }
    return status;
}

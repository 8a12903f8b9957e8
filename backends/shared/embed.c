/* embed over a table that a device cannot reach at once: the pieces of it that it can. */
#include "embed.h"

/* Halves the table along the axis that reaches farthest until each piece is reachable. */
static scry_status embed_by_halves(const struct scry__embed_pieces *pieces, const scry_embed *op, int64_t first)
{
    const scry_tensor *table  = &op->table;
    int64_t            rows   = most(0, table->shape[0] - 1) * table->stride[0];
    int64_t            across = most(0, table->shape[1] - 1) * table->stride[1];
    size_t             bytes  = scry__extent_bytes(table);
    if (!bytes || (!rows && !across) || pieces->reaches(table->buffer, table->offset, bytes))
        return pieces->embed(pieces->device, op, first, pieces->vocabulary);
    int        axis = rows < across;
    scry_embed low = *op, high = *op;
    int64_t    half = table->shape[axis] / 2;
    low.table       = scry__slice(*table, axis, 0, half);
    high.table      = scry__slice(*table, axis, half, table->shape[axis] - half);
    if (axis) {
        low.out  = scry__slice(op->out, 1, 0, half);
        high.out = scry__slice(op->out, 1, half, op->out.shape[1] - half);
    }
    scry_status status = embed_by_halves(pieces, &low, first);
    return status ? status : embed_by_halves(pieces, &high, axis ? first : first + half);
}

scry_status scry__embed_in_pieces(const struct scry__embed_pieces *pieces, const scry_embed *op)
{
    struct scry__embed_pieces all = *pieces;
    all.vocabulary                = op->table.shape[0];
    return embed_by_halves(&all, op, 0);
}

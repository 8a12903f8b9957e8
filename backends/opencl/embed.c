/* embed: rows of a table by id. A table that the device cannot reach at once is read in pieces, one launch each. */
#include "runs.h"

void scry__cl_embed_query(const struct scry__cl *cl, const scry_embed *op, scry_op_info *info)
{
    (void)op;
    scry__cl_runs_query(cl, SCRY_OP_EMBED, info);
}

/* A piece of the table, all of it reachable, whose first row is `first` of the whole table's `vocabulary`. */
static scry_status embed_piece(struct scry__cl *cl, const scry_embed *op, int64_t first, int64_t vocabulary)
{
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_EMBED, "embed", "embed");
    scry_tensor          out  = scry__widened(op->out, 0);
    scry__cl_tensor(&call, &op->ids, SCRY__CL_READ);
    scry__cl_tensor(&call, &op->table, SCRY__CL_READ);
    /* Rows of other pieces keep what they have, so that a staged output must hold it. */
    scry__cl_tensor(&call, &out, SCRY__CL_READ | SCRY__CL_WRITE);
    scry__cl_long(&call, first);
    scry__cl_long(&call, op->table.shape[0]);
    scry__cl_long(&call, vocabulary);
    scry__cl_float(&call, op->scale != 0 ? op->scale : 1);
    scry__cl_int(&call, op->accumulate);
    return scry__cl_runs_launch(&call, SCRY_OP_EMBED, out.shape);
}

/* Axis `axis` of a table from `begin` on, at most `count` of it. */
static scry_tensor cut(scry_tensor x, int axis, int64_t begin, int64_t count)
{
    x.offset += (size_t)(begin * x.stride[axis]) * scry__element_bytes(x.dtype);
    x.shape[axis] = count;
    return x;
}

/* Halves the table along the axis that reaches farthest until each piece is reachable; `first` as above. */
static scry_status embed_by_halves(struct scry__cl *cl, const scry_embed *op, int64_t first, int64_t vocabulary)
{
    const scry_tensor *table  = &op->table;
    int64_t            rows   = most(0, table->shape[0] - 1) * table->stride[0];
    int64_t            across = most(0, table->shape[1] - 1) * table->stride[1];
    size_t             bytes  = table->shape[0] ? (size_t)(rows + across + 1) * scry__element_bytes(table->dtype) : 0;
    if (!bytes || (!rows && !across) || scry__cl_reaches(table->buffer, table->offset, bytes))
        return embed_piece(cl, op, first, vocabulary);
    int        axis = rows < across;
    scry_embed low = *op, high = *op;
    int64_t    half = table->shape[axis] / 2;
    low.table       = cut(*table, axis, 0, half);
    high.table      = cut(*table, axis, half, table->shape[axis] - half);
    if (axis) {
        low.out  = cut(op->out, 1, 0, half);
        high.out = cut(op->out, 1, half, op->out.shape[1] - half);
    }
    scry_status status = embed_by_halves(cl, &low, first, vocabulary);
    return status ? status : embed_by_halves(cl, &high, axis ? first : first + half, vocabulary);
}

scry_status scry__cl_embed(struct scry__cl *cl, const scry_embed *op)
{
    return embed_by_halves(cl, op, 0, op->table.shape[0]);
}

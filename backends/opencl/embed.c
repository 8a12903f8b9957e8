/* embed: rows of a table by id. A table that the device cannot reach at once is read in pieces, one launch each. */
#include "shared/embed.h"
#include "runs.h"

void scry__cl_embed_query(const struct scry__cl *cl, const scry_embed *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_EMBED, info);
}

/* A piece of the table, as scry__embed_pieces has it. */
static scry_status embed_piece(void *device, const scry_embed *op, int64_t first, int64_t vocabulary)
{
    struct scry__cl     *cl   = device;
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

scry_status scry__cl_embed(struct scry__cl *cl, const scry_embed *op, scry_precision allowed)
{
    (void)allowed;
    const struct scry__embed_pieces pieces = {.device = cl, .reaches = scry__cl_reaches, .embed = embed_piece};
    return scry__embed_in_pieces(&pieces, op);
}

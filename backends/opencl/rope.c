/* rope: one launch over the pairs of all heads, and over the entries behind them where they are to be copied. */
#include "runs.h"

/* `turn` of kernels_cl/rope.cl. */
struct turn {
    cl_long  positions, pairs, turned, position_offset;
    cl_int   interleaved;
    cl_float sign;
};

void scry__cl_rope_query(const struct scry__cl *cl, const scry_rope *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_ROPE, info);
}

scry_status scry__cl_rope(struct scry__cl *cl, const scry_rope *op, scry_precision allowed)
{
    (void)allowed;
    int64_t     pairs    = op->cosine.shape[1];
    bool        in_place = op->out.buffer == op->x.buffer && op->out.offset == op->x.offset;
    struct turn turn     = {
            .positions       = op->cosine.shape[0],
            .pairs           = pairs,
            .turned          = round_up(pairs, scry__cl_lanes(cl, SCRY_OP_ROPE)),
            .position_offset = op->position_offset,
            .interleaved     = op->interleaved,
            .sign            = op->inverse ? -1 : 1,
    };
    int64_t copied   = in_place ? 0 : op->x.shape[3] - 2 * pairs;
    int64_t shape[4] = {op->x.shape[0], op->x.shape[1], op->x.shape[2], turn.turned + copied};
    if (!shape[3]) return SCRY_OK;
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_ROPE, "rope", "rope");
    scry__cl_tensor(&call, &op->x, SCRY__CL_READ);
    scry__cl_tensor(&call, &op->out, SCRY__CL_READ | SCRY__CL_WRITE);
    scry__cl_tensor(&call, &op->cosine, SCRY__CL_READ);
    scry__cl_tensor(&call, &op->sine, SCRY__CL_READ);
    scry__cl_tensor(&call, &op->positions, SCRY__CL_READ);
    scry__cl_bytes(&call, &turn, sizeof turn);
    return scry__cl_runs_launch(&call, SCRY_OP_ROPE, shape);
}

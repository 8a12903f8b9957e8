/* activation_backward and embed_backward: the gradients of what goes element by element. */
#include "runs.h"
#include "shared/embed.h"

/* --- activation_backward --- */

void scry__cl_activation_backward_query(const struct scry__cl *cl, const scry_activation_backward *op,
                                        scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_ACTIVATION_BACKWARD, info);
}

scry_status scry__cl_activation_backward(struct scry__cl *cl, const scry_activation_backward *op,
                                         scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 5, .operand = {op->x, op->gated, op->d_out, op->d_x, op->d_gated}};
    struct scry__cl_call call = scry__cl_lanes_call(
        cl, SCRY_OP_ACTIVATION_BACKWARD, "exponential+activation+activation_backward", "activation_backward");
    scry__walk_prepare(&walk);
    for (int i = 0; i < walk.count; i++)
        scry__cl_tensor(&call, &walk.operand[i], i < 3 ? SCRY__CL_READ : SCRY__CL_READ | SCRY__CL_WRITE);
    scry__cl_int(&call, (int32_t)op->function);
    scry__cl_int(&call, op->accumulate);
    return scry__cl_runs_launch(&call, SCRY_OP_ACTIVATION_BACKWARD, walk.shape);
}

/* --- embed_backward --- */

void scry__cl_embed_backward_query(const struct scry__cl *cl, const scry_embed_backward *op, scry_precision allowed,
                                   scry_op_info *info)
{
    (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_EMBED_BACKWARD, info);
    info->scratch_bytes = 2 * (size_t)op->ids.shape[0] * sizeof(cl_int);
    if (op->ids.shape[0] > INT32_MAX)
        scry__op_refuse(info, "it has %lld ids: expected at most %d", (long long)op->ids.shape[0], INT32_MAX);
}

static scry_status chain(struct scry__cl *cl, const scry_tensor *ids)
{
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_EMBED_BACKWARD, "embed_backward", "embed_chain");
    scry__cl_tensor(&call, ids, SCRY__CL_READ);
    scry__cl_scratch(&call, 0);
    scry__cl_long(&call, ids->shape[0]);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)ids->shape[0]}, NULL);
}

/* A piece of the table, as scry__embed_pieces has it: d_table in `table`, d_out in `out`. */
static scry_status add_to_piece(void *device, const scry_embed *op, int64_t first, int64_t vocabulary)
{
    (void)vocabulary;
    struct scry__cl *cl     = device;
    scry_tensor      d_out  = scry__widened(op->out, 0);
    scry_status      status = SCRY_OK;
    if (!op->accumulate) status = scry__cl_fill(cl, &(scry_fill){.out = op->table}, SCRY_STRICT_F32);
    if (status) return status;
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_EMBED_BACKWARD, "embed_backward", "embed_backward");
    scry__cl_tensor(&call, &op->ids, SCRY__CL_READ);
    scry__cl_tensor(&call, &d_out, SCRY__CL_READ);
    scry__cl_tensor(&call, &op->table, SCRY__CL_READ | SCRY__CL_WRITE);
    scry__cl_scratch(&call, 0);
    scry__cl_long(&call, first);
    scry__cl_long(&call, op->table.shape[0]);
    scry__cl_float(&call, op->scale != 0 ? op->scale : 1);
    scry__cl_int(&call, op->accumulate);
    return scry__cl_runs_launch(&call, SCRY_OP_EMBED_BACKWARD, d_out.shape);
}

scry_status scry__cl_embed_backward(struct scry__cl *cl, const scry_embed_backward *op, scry_precision allowed)
{
    (void)allowed;
    const struct scry__embed_pieces pieces = {.device = cl, .reaches = scry__cl_reaches, .embed = add_to_piece};
    const scry_embed                whole  = {
                        .ids = op->ids, .table = op->d_table, .out = op->d_out, .scale = op->scale, .accumulate = op->accumulate};
    scry_status status = chain(cl, &op->ids);
    return status ? status : scry__embed_in_pieces(&pieces, &whole);
}

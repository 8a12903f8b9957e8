/* adamw and sgd: one step of an optimiser, element by element. */
#include "shared/optimise.h"
#include "runs.h"

enum { UPDATED = SCRY__CL_READ | SCRY__CL_WRITE };

/* `sgd_step` of kernels_cl/sgd.cl. */
struct sgd_step {
    cl_float gradient_factor, rate, momentum, decay;
    cl_int   nesterov;
};

/* The gradient, and what is updated by it. */
static void pass_walk(struct scry__cl_call *call, struct scry__walk *walk)
{
    scry__walk_prepare(walk);
    for (int i = 0; i < walk->count; i++)
        scry__cl_tensor(call, &walk->operand[i], i ? (unsigned)UPDATED : (unsigned)SCRY__CL_READ);
}

void scry__cl_adamw_query(const struct scry__cl *cl, const scry_adamw *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_ADAMW, info);
}

scry_status scry__cl_adamw(struct scry__cl *cl, const scry_adamw *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk       walk = {.count = 4, .operand = {op->gradient, op->parameter, op->first, op->second}};
    struct scry__cl_call    call = scry__cl_lanes_call(cl, SCRY_OP_ADAMW, "adamw", "adamw");
    struct scry__adamw_step with = scry__adamw_step(op); /* `adamw_step` of kernels_cl/adamw.cl */
    pass_walk(&call, &walk);
    scry__cl_bytes(&call, &with, sizeof with);
    return scry__cl_runs_launch(&call, SCRY_OP_ADAMW, walk.shape);
}

void scry__cl_sgd_query(const struct scry__cl *cl, const scry_sgd *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    scry__cl_runs_query(cl, SCRY_OP_SGD, info);
}

scry_status scry__cl_sgd(struct scry__cl *cl, const scry_sgd *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk    walk = {.count = 3, .operand = {op->gradient, op->parameter, op->velocity}};
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_SGD, "sgd", "sgd");
    struct sgd_step      with = {op->gradient_factor, op->rate, op->momentum, op->decay, op->nesterov};
    pass_walk(&call, &walk);
    scry__cl_bytes(&call, &with, sizeof with);
    return scry__cl_runs_launch(&call, SCRY_OP_SGD, walk.shape);
}

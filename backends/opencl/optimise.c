/* adamw and sgd: one step of an optimiser, element by element. */
#include "runs.h"

#include <math.h>

enum { UPDATED = SCRY__CL_READ | SCRY__CL_WRITE };

/* `adamw_step` of kernels_cl/adamw.cl. */
struct adamw_step {
    cl_float gradient_factor, keep1, blend1, keep2, blend2, factor2, epsilon, step, decay;
};

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
    struct scry__walk    walk  = {.count = 4, .operand = {op->gradient, op->parameter, op->first, op->second}};
    struct scry__cl_call call  = scry__cl_lanes_call(cl, SCRY_OP_ADAMW, "adamw", "adamw");
    double               beta1 = (double)op->beta1, beta2 = (double)op->beta2, step = (double)op->step;
    /* What is 1 less something small, and what follows from it, is worked out in f64. */
    struct adamw_step with = {
        .gradient_factor = op->gradient_factor,
        .keep1           = op->beta1,
        .blend1          = (float)(1 - beta1),
        .keep2           = op->beta2,
        .blend2          = (float)(1 - beta2),
        .factor2         = (float)(1 / sqrt(1 - pow(beta2, step))),
        .epsilon         = op->epsilon,
        .step            = (float)((double)op->rate / (1 - pow(beta1, step))),
        .decay           = (float)((double)op->rate * (double)op->decay),
    };
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

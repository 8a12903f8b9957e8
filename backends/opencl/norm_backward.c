/* norm_backward: rows, then the sums over blocks of them. kernels_cl/norm_backward.cl says how. */
#include "norm.h"
#include "runs.h"
#include "sum.h"

static int64_t row_count(const scry_norm_backward *op)
{
    int64_t rows = 1;
    for (int axis = 0; axis < op->x.rank - 1; axis++) rows *= op->x.shape[axis];
    return rows;
}

void scry__cl_norm_backward_query(const struct scry__cl *cl, const scry_norm_backward *op, scry_precision allowed,
                                  scry_op_info *info)
{
    (void)allowed;
    int64_t rows = row_count(op), d = op->x.shape[op->x.rank - 1];
    scry__cl_runs_query(cl, SCRY_OP_NORM_BACKWARD, info);
    info->scratch_bytes = (size_t)(2 * rows + 2 * scry__cl_blocks(rows).count * d) * sizeof(float);
}

/* An op as its kernels take it. */
struct job {
    struct scry__cl          *cl;
    const scry_norm_backward *op;
    scry_tensor               x, d_out, d_x;
    struct scry__cl_norm_of   norm;
    int64_t                   rows;
};

static struct scry__cl_call begin_call(const struct job *job, const char *name)
{
    struct scry__cl_call call = scry__cl_lanes_call(job->cl, SCRY_OP_NORM_BACKWARD, "norm+norm_backward", name);
    scry__cl_tensor(&call, &job->x, SCRY__CL_READ);
    scry__cl_tensor(&call, &job->d_out, SCRY__CL_READ);
    return call;
}

static scry_status run_rows(struct job *job)
{
    struct scry__cl_call call = begin_call(job, "norm_backward");
    job->norm.each            = scry__cl_share(job->cl, SCRY_OP_NORM_BACKWARD, job->rows, job->norm.shape[3]);
    scry__cl_tensor(&call, &job->op->parameters.weight, SCRY__CL_READ);
    scry__cl_tensor(&call, &job->d_x, SCRY__CL_READ | SCRY__CL_WRITE);
    scry__cl_scratch(&call, 0);
    scry__cl_bytes(&call, &job->norm, sizeof job->norm);
    scry__cl_int(&call, job->op->accumulate);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)units_of(job->rows, job->norm.each)}, NULL);
}

static scry_status run_sums(struct job *job)
{
    struct scry__cl_blocks blocks  = scry__cl_blocks(job->rows);
    int64_t                d       = job->norm.shape[3];
    size_t                 weights = 2 * (size_t)job->rows * sizeof(float);
    size_t                 biases  = weights + (size_t)(blocks.count * d) * sizeof(float);
    const size_t global[] = {(size_t)units_of(d, scry__cl_lanes(job->cl, SCRY_OP_NORM_BACKWARD)), (size_t)blocks.count};
    struct scry__cl_call call = begin_call(job, "norm_backward_sums");
    job->norm.each            = blocks.each;
    scry__cl_scratch(&call, 0);
    scry__cl_bytes(&call, &job->norm, sizeof job->norm);
    scry_status status = scry__cl_launch(&call, 2, global, NULL);
    if (!status) status = scry__cl_merge_sums(job->cl, weights, blocks.count, &job->op->d_weight, job->op->accumulate);
    if (!status) status = scry__cl_merge_sums(job->cl, biases, blocks.count, &job->op->d_bias, job->op->accumulate);
    return status;
}

scry_status scry__cl_norm_backward(struct scry__cl *cl, const scry_norm_backward *op, scry_precision allowed)
{
    (void)allowed;
    struct job  job    = {.cl    = cl,
                          .op    = op,
                          .x     = scry__widened(op->x, 0),
                          .d_out = scry__widened(op->d_out, 0),
                          .d_x   = scry__widened(op->d_x, 0),
                          .norm  = scry__cl_norm_of(&op->parameters, &op->x),
                          .rows  = row_count(op)};
    scry_status status = run_rows(&job);
    if (!status && (present(&op->d_weight) || present(&op->d_bias))) status = run_sums(&job);
    return status;
}

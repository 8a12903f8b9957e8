/* sum: blocks of rows side by side, and then the blocks. kernels_cl/sum.cl says how. */
#include "sum.h"
#include "runs.h"
#include "shared/refuse.h"
#include "shared/sum.h"

enum { MOST_BLOCKS = 64, LEAST_ROWS = 64, LEAST_STRETCH = 4096 };

struct scry__cl_blocks scry__cl_blocks(int64_t rows)
{
    struct scry__cl_blocks blocks = {.each = most(LEAST_ROWS, units_of(rows, MOST_BLOCKS))};
    blocks.count                  = units_of(rows, blocks.each);
    return blocks;
}

static struct scry__cl_blocks blocks_of(const scry_sum *op)
{
    struct scry__cl_blocks blocks = scry__cl_blocks(op->x.shape[0]);
    if (op->x.shape[1] != 1) return blocks;
    blocks.each  = round_up(most(LEAST_STRETCH, blocks.each), LEAST_STRETCH);
    blocks.count = units_of(op->x.shape[0], blocks.each);
    return blocks;
}

void scry__cl_sum_query(const struct scry__cl *cl, const scry_sum *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct scry__cl_blocks  blocks = blocks_of(op);
    struct scry__sum_pieces pieces = {.reaches = scry__cl_reaches, .each = blocks.each};
    scry__cl_runs_query(cl, SCRY_OP_SUM, info);
    info->scratch_bytes = (size_t)(blocks.count * op->x.shape[1]) * sizeof(float);
    if (!scry__sum_is_reachable(&pieces, op)) scry__op_refuse(info, "%s", scry__sum_out_of_reach);
}

scry_status scry__cl_merge_sums(struct scry__cl *cl, size_t offset, int64_t blocks, const scry_tensor *out,
                                bool accumulate)
{
    if (!present(out)) return SCRY_OK;
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_SUM, "sum", "sum_merge");
    scry__cl_scratch(&call, offset);
    scry__cl_long(&call, blocks);
    scry__cl_long(&call, out->shape[0]);
    scry__cl_tensor(&call, out, SCRY__CL_READ | SCRY__CL_WRITE);
    scry__cl_int(&call, accumulate);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)out->shape[0]}, NULL);
}

struct sum_job {
    struct scry__cl       *cl;
    struct scry__cl_blocks blocks;
    bool                   is_column;
};

/* As scry__sum_pieces has it. */
static scry_status sum_blocks(void *job_of, const scry_sum *op, int64_t first)
{
    const struct sum_job *job  = job_of;
    int64_t               rows = op->x.shape[0], columns = op->x.shape[1];
    const size_t          size[] = {(size_t)units_of(columns, scry__cl_lanes(job->cl, SCRY_OP_SUM)),
                                    (size_t)units_of(rows, job->blocks.each)};
    struct scry__cl_call  call =
        scry__cl_lanes_call(job->cl, SCRY_OP_SUM, "sum", job->is_column ? "sum_column" : "sum_rows");
    scry__cl_tensor(&call, &op->x, SCRY__CL_READ);
    scry__cl_scratch(&call, (size_t)(first * columns) * sizeof(float));
    scry__cl_long(&call, rows);
    if (!job->is_column) scry__cl_long(&call, columns);
    scry__cl_long(&call, job->blocks.each);
    scry__cl_int(&call, op->squares);
    return job->is_column ? scry__cl_launch(&call, 1, &size[1], NULL) : scry__cl_launch(&call, 2, size, NULL);
}

static scry_status merge(void *job_of, const scry_sum *op)
{
    const struct sum_job *job = job_of;
    return scry__cl_merge_sums(job->cl, 0, job->blocks.count, &op->out, op->accumulate);
}

scry_status scry__cl_sum(struct scry__cl *cl, const scry_sum *op, scry_precision allowed)
{
    (void)allowed;
    struct sum_job          job    = {.cl = cl, .blocks = blocks_of(op), .is_column = op->x.shape[1] == 1};
    struct scry__sum_pieces pieces = {
        .state = &job, .reaches = scry__cl_reaches, .each = job.blocks.each, .sum_blocks = sum_blocks, .merge = merge};
    return scry__sum_in_pieces(&pieces, op);
}

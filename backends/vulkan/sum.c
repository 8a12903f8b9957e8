/* sum: blocks of rows side by side, and then the blocks. shaders/sum_*.comp say how. */
#include "sum.h"
#include "runs.h"
#include "shared/refuse.h"
#include "shared/sum.h"

/* A loop over a block's rows, or over the blocks, turns less often than drivers of CPU type allow (SCRY__VK_TURNS). */
enum { BLOCKS = 64, LEAST_ROWS = 64, MOST_ROWS = 8192, STRETCHES = 8192, LEAST_STRETCH = 1024 };

struct scry__vk_blocks scry__vk_blocks(int64_t rows)
{
    struct scry__vk_blocks blocks = {.each = least(MOST_ROWS, most(LEAST_ROWS, units_of(rows, BLOCKS)))};
    blocks.count                  = units_of(rows, blocks.each);
    return blocks;
}

static struct scry__vk_blocks blocks_of(const scry_sum *op)
{
    int64_t                rows      = op->x.shape[0];
    struct scry__vk_blocks stretches = {.each = round_up(most(LEAST_STRETCH, units_of(rows, STRETCHES)), SCRY__VK_RUN)};
    stretches.count                  = units_of(rows, stretches.each);
    return op->x.shape[1] == 1 ? stretches : scry__vk_blocks(rows);
}

void scry__vk_sum_query(const struct scry__vk *vk, const scry_sum *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct scry__vk_blocks  blocks = blocks_of(op);
    struct scry__sum_pieces pieces = {.reaches = scry__vk_reaches, .each = blocks.each};
    scry__vk_runs_query(vk, SCRY_OP_SUM, info);
    info->scratch_bytes = (size_t)(blocks.count * op->x.shape[1]) * sizeof(float);
    scry__vk_check_scratch(vk, info);
    scry__vk_check_turns(vk, info, most(blocks.count, 2 * blocks.each));
    if (!scry__sum_is_reachable(&pieces, op)) scry__op_refuse(info, "%s", scry__sum_out_of_reach);
}

scry_status scry__vk_merge_sums(struct scry__vk *vk, scry_op_kind kind, size_t offset, int64_t blocks,
                                const scry_tensor *out, bool accumulate)
{
    if (!present(out)) return SCRY_OK;
    int64_t              columns = out->shape[0];
    struct scry__vk_call call    = scry__vk_items_call(vk, kind, "sum_merge");
    scry__vk_scratch(&call, offset, (size_t)(blocks * columns) * sizeof(float), SCRY__VK_READ);
    scry__vk_tensor(&call, out, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_int(&call, blocks);
    scry__vk_int(&call, accumulate);
    return scry__vk_items_launch(&call, columns, (double)blocks);
}

struct sum_job {
    struct scry__vk       *vk;
    struct scry__vk_blocks blocks;
    bool                   is_column;
};

/* As scry__sum_pieces has it. */
static scry_status sum_blocks(void *job_of, const scry_sum *op, int64_t first)
{
    const struct sum_job *job  = job_of;
    int64_t               rows = op->x.shape[0], columns = op->x.shape[1];
    scry_tensor           x    = op->x;
    struct scry__vk_call  call = scry__vk_items_call(job->vk, SCRY_OP_SUM, job->is_column ? "sum_column" : "sum_rows");
    if (job->is_column) x.rank = 1; /* its fours lie along it */
    scry__vk_constant(&call, op->squares);
    scry__vk_tensor(&call, &x, SCRY__VK_READ);
    scry__vk_in_fours(&call, job->is_column ? rows : columns);
    scry__vk_scratch(&call, 0, (size_t)(job->blocks.count * columns) * sizeof(float), SCRY__VK_WRITE);
    scry__vk_int(&call, rows);
    if (!job->is_column) scry__vk_int(&call, columns);
    scry__vk_int(&call, job->blocks.each);
    scry__vk_int(&call, first);
    int64_t runs = job->is_column ? 1 : units_of(columns, SCRY__VK_RUN);
    return scry__vk_items_launch(&call, runs * units_of(rows, job->blocks.each),
                                 (double)least(rows, job->blocks.each) * 8);
}

static scry_status merge(void *job_of, const scry_sum *op)
{
    const struct sum_job *job = job_of;
    return scry__vk_merge_sums(job->vk, SCRY_OP_SUM, 0, job->blocks.count, &op->out, op->accumulate);
}

scry_status scry__vk_sum(struct scry__vk *vk, const scry_sum *op, scry_precision allowed)
{
    (void)allowed;
    struct sum_job          job    = {.vk = vk, .blocks = blocks_of(op), .is_column = op->x.shape[1] == 1};
    struct scry__sum_pieces pieces = {
        .state = &job, .reaches = scry__vk_reaches, .each = job.blocks.each, .sum_blocks = sum_blocks, .merge = merge};
    return scry__sum_in_pieces(&pieces, op);
}

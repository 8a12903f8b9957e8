/* sum: blocks of rows side by side, and then the blocks. kernels_cuda/sum.cu says how. */
#include "sum.h"
#include "kernels_cuda/sum.h"
#include "runs.h"

/* A stretch is what a whole block of threads takes of a single column. */
enum { MOST_BLOCKS = 128, LEAST_ROWS = 32, LEAST_STRETCH = 4096 };

struct scry__cuda_blocks scry__cuda_blocks(int64_t rows)
{
    struct scry__cuda_blocks blocks = {.each = most(LEAST_ROWS, units_of(rows, MOST_BLOCKS))};
    blocks.count                    = units_of(rows, blocks.each);
    return blocks;
}

static bool is_column(const scry_sum *op)
{
    return op->x.shape[1] == 1;
}

static struct scry__cuda_blocks blocks_of(const scry_sum *op)
{
    struct scry__cuda_blocks blocks = scry__cuda_blocks(op->x.shape[0]);
    if (!is_column(op)) return blocks;
    blocks.each  = round_up(blocks.each, LEAST_STRETCH);
    blocks.count = units_of(op->x.shape[0], blocks.each);
    return blocks;
}

void scry__cuda_sum_query(const struct scry__cuda *cuda, const scry_sum *op, scry_precision allowed, scry_op_info *info)
{
    (void)cuda, (void)allowed;
    info->scratch_bytes = (size_t)(blocks_of(op).count * op->x.shape[1]) * sizeof(float);
}

struct cuda_view scry__cuda_block_sums(struct scry__cuda *cuda, size_t offset, int64_t n)
{
    return (struct cuda_view){
        .data = scry__cuda_scratch(cuda, offset), .stride = {0, 0, n, 1}, .dtype = (int32_t)SCRY_F32};
}

scry_status scry__cuda_merge_sums(struct scry__cuda *cuda, size_t offset, int64_t blocks, const scry_tensor *out,
                                  bool accumulate)
{
    if (!present(out)) return SCRY_OK;
    struct cuda_sum_merge merge = {
        .sums       = scry__cuda_scratch(cuda, offset),
        .out        = scry__cuda_view(cuda, out),
        .blocks     = blocks,
        .columns    = out->shape[0],
        .accumulate = accumulate,
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(sum_merge), .threads = CUDA_TEAM_THREADS};
    call.blocks                 = units_of(merge.columns, CUDA_TEAM_THREADS);
    call.operations             = (double)merge.columns * (double)blocks;
    return scry__cuda_launch(cuda, &call, &merge);
}

/* The sums of each block. */
static scry_status run_blocks(struct scry__cuda *cuda, const scry_sum *op, struct scry__cuda_blocks blocks)
{
    struct cuda_sum sum = {
        .x       = scry__cuda_view(cuda, &op->x),
        .sums    = scry__cuda_block_sums(cuda, 0, op->x.shape[1]),
        .all     = scry__cuda_runs((int64_t[]){1, 1, blocks.count, op->x.shape[1]}),
        .rows    = op->x.shape[0],
        .each    = blocks.each,
        .squares = op->squares,
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(sum_rows), .operations = (double)blocks.each};
    if (!is_column(op)) return scry__cuda_runs_launch(cuda, call, &sum.all, &sum);
    call            = (struct scry__cuda_call){SCRY__CUDA_CALL(sum_column), .blocks = blocks.count};
    call.threads    = CUDA_TEAM_THREADS;
    call.operations = (double)sum.rows;
    return scry__cuda_launch(cuda, &call, &sum);
}

scry_status scry__cuda_sum(struct scry__cuda *cuda, const scry_sum *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__cuda_blocks blocks = blocks_of(op);
    scry_status              status = run_blocks(cuda, op, blocks);
    return status ? status : scry__cuda_merge_sums(cuda, 0, blocks.count, &op->out, op->accumulate);
}

/* sum: blocks of rows side by side, and then the blocks. kernels_cl/sum.cl says how. */
#include "sum.h"
#include "runs.h"

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
    scry__cl_runs_query(cl, SCRY_OP_SUM, info);
    info->scratch_bytes = (size_t)(blocks_of(op).count * op->x.shape[1]) * sizeof(float);
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

scry_status scry__cl_sum(struct scry__cl *cl, const scry_sum *op, scry_precision allowed)
{
    (void)allowed;
    bool                   is_column = op->x.shape[1] == 1;
    struct scry__cl_blocks blocks    = blocks_of(op);
    int64_t                runs      = units_of(op->x.shape[1], scry__cl_lanes(cl, SCRY_OP_SUM));
    struct scry__cl_call   call = scry__cl_lanes_call(cl, SCRY_OP_SUM, "sum", is_column ? "sum_column" : "sum_rows");
    scry__cl_tensor(&call, &op->x, SCRY__CL_READ);
    scry__cl_scratch(&call, 0);
    scry__cl_long(&call, op->x.shape[0]);
    if (!is_column) scry__cl_long(&call, op->x.shape[1]);
    scry__cl_long(&call, blocks.each);
    scry__cl_int(&call, op->squares);
    const size_t columns[] = {(size_t)runs, (size_t)blocks.count};
    scry_status  status =
        is_column ? scry__cl_launch(&call, 1, &columns[1], NULL) : scry__cl_launch(&call, 2, columns, NULL);
    return status ? status : scry__cl_merge_sums(cl, 0, blocks.count, &op->out, op->accumulate);
}

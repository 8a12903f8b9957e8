/* sum: columns added up over rows, or their squares.
 *
 * Rows are taken in blocks whose number follows from the sizes alone, so that the order of sums does not depend on the
 * threads: inside a block f32 sums of STRETCH rows, which add up in f64; then the blocks, one after another. */
#include "operand.h"

#include <string.h>

enum { STRETCH = 256, BLOCKS = 64, COLUMNS = 512, VECTOR_STRETCH = 4096 };

struct sum_job {
    const struct scry__cpu *cpu;
    const scry_sum         *op;
    int64_t                 rows, columns, block_rows, blocks, stretches; /* of columns */
    double                 *totals;                                       /* [blocks, columns] */
};

static struct sum_job job_of(const struct scry__cpu *cpu, const scry_sum *op, void *scratch)
{
    struct sum_job job = {.cpu = cpu, .op = op, .rows = op->x.shape[0], .columns = op->x.shape[1], .totals = scratch};
    job.block_rows     = round_up(most(1, (job.rows + BLOCKS - 1) / BLOCKS), STRETCH);
    job.blocks         = (job.rows + job.block_rows - 1) / job.block_rows;
    job.stretches      = (job.columns + COLUMNS - 1) / COLUMNS;
    return job;
}

size_t scry__cpu_sum_scratch(const struct scry__cpu *cpu, const scry_sum *op)
{
    struct sum_job job = job_of(cpu, op, NULL);
    return (size_t)(most(1, job.blocks) * job.columns) * sizeof(double);
}

/* Rows [row, end) of columns [column, column + count). */
static void add_rows(const struct sum_job *job, int64_t row, int64_t end, int64_t column, int64_t count, double *totals)
{
    const scry_tensor *x            = &job->op->x;
    bool               side_by_side = x->stride[1] == 1; /* a row's elements: many rows can be added at once */
    float              sums[COLUMNS], space[COLUMNS];
    for (; row < end; row += STRETCH) {
        int64_t rows = least(STRETCH, end - row), step = side_by_side ? rows : 1;
        memset(sums, 0, (size_t)count * sizeof *sums);
        for (int64_t i = row; i < row + rows; i += step) {
            int64_t      index  = i * x->stride[0] + column * x->stride[1];
            const float *values = scry__cpu_gather(job->cpu, x, index, x->stride[1], count, space);
            job->cpu->kernels->add_rows(sums, values, x->stride[0], step, count, job->op->squares);
        }
        for (int64_t i = 0; i < count; i++) totals[i] += (double)sums[i];
    }
}

/* The same of a single column, which is a vector. */
static void add_vector(const struct sum_job *job, int64_t row, int64_t end, double *total)
{
    const scry_tensor *x = &job->op->x;
    float              space[VECTOR_STRETCH];
    for (; row < end; row += VECTOR_STRETCH) {
        int64_t      count  = least(VECTOR_STRETCH, end - row);
        const float *values = scry__cpu_gather(job->cpu, x, row * x->stride[0], x->stride[0], count, space);
        *total += job->cpu->kernels->moment(values, count, 0, job->op->squares ? 2 : 1);
    }
}

static void sum_part(const void *job_of, int part, int parts)
{
    const struct sum_job *job = job_of;
    int64_t               unit, end;
    scry__cpu_share(job->blocks * job->stretches, 1, part, parts, &unit, &end);
    for (; unit < end; unit++) {
        int64_t block = unit / job->stretches, column = unit % job->stretches * COLUMNS;
        int64_t row = block * job->block_rows, row_end = least(row + job->block_rows, job->rows);
        int64_t count  = least(COLUMNS, job->columns - column);
        double *totals = job->totals + block * job->columns + column;
        memset(totals, 0, (size_t)count * sizeof *totals);
        if (job->columns == 1)
            add_vector(job, row, row_end, totals);
        else
            add_rows(job, row, row_end, column, count, totals);
    }
}

void scry__cpu_sum(const struct scry__cpu *cpu, const scry_sum *op, void *scratch)
{
    struct sum_job     job = job_of(cpu, op, scratch);
    const scry_tensor *out = &op->out;
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, (double)(job.rows * job.columns)), sum_part, &job);
    if (!job.blocks) memset(job.totals, 0, (size_t)job.columns * sizeof *job.totals);
    for (int64_t block = 1; block < job.blocks; block++)
        for (int64_t i = 0; i < job.columns; i++) job.totals[i] += job.totals[block * job.columns + i];
    for (int64_t i = 0; i < job.columns; i++) {
        float *to = element(out, i * out->stride[0]);
        *to       = (float)(op->accumulate ? (double)*to + job.totals[i] : job.totals[i]);
    }
}

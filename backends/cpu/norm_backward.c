/* norm_backward: the gradients of LayerNorm and RMSNorm over the last axis.
 *
 * Each row's statistics are worked out again. The parameters' gradients are summed over blocks of rows, whose number
 * follows from the sizes alone, and then over the blocks in f64: the order of sums does not depend on the threads. */
#include "norm.h"

#include <string.h>

enum { BLOCKS = 64, LEAST_ROWS = 16, ROW_BUFFERS = 4, COLUMNS = 256, SPREAD = 160 };

struct norm_job {
    const struct scry__cpu   *cpu;
    const scry_norm_backward *op;
    struct scry__cpu_norm     norm;
    int64_t                   rows, size, leading, block_rows, blocks;
    float                    *sums;  /* [blocks, 2, leading]: of d_weight and d_bias */
    float                    *space; /* [threads, ROW_BUFFERS, leading] */
};

static struct norm_job job_of(const struct scry__cpu *cpu, const scry_norm_backward *op, float *scratch)
{
    int             axes = op->x.rank - 1;
    struct norm_job job  = {.cpu = cpu, .op = op, .rows = scry__cpu_row_count(&op->x, axes), .size = op->x.shape[axes]};
    /* Rows of a power of two would all stand at the same place of the first cache. */
    job.leading    = job.size + SPREAD;
    job.block_rows = most(LEAST_ROWS, (job.rows + BLOCKS - 1) / BLOCKS);
    job.blocks     = (job.rows + job.block_rows - 1) / job.block_rows;
    if (!scratch) return job;
    job.norm  = scry__cpu_norm_of(cpu, &op->parameters, job.size, scratch);
    job.sums  = scratch + 2 * job.leading;
    job.space = job.sums + 2 * job.blocks * job.leading;
    return job;
}

size_t scry__cpu_norm_backward_scratch(const struct scry__cpu *cpu, const scry_norm_backward *op)
{
    struct norm_job job = job_of(cpu, op, NULL);
    return (size_t)((2 + 2 * job.blocks + ROW_BUFFERS * cpu->threads) * job.leading) * sizeof(float);
}

static void store_row(const struct norm_job *job, int64_t row, float *made, float *old)
{
    const scry_tensor *d_x  = &job->op->d_x;
    int                axes = d_x->rank - 1;
    int64_t            to   = scry__cpu_row_index(d_x, axes, row);
    float             *out  = scry__cpu_place(d_x, to, d_x->stride[axes], made);
    if (job->op->accumulate)
        job->cpu->kernels->add(out, made, scry__cpu_gather(job->cpu, d_x, to, d_x->stride[axes], job->size, old),
                               job->size);
    else if (out != made)
        memcpy(out, made, (size_t)job->size * sizeof *made);
    scry__cpu_scatter(job->cpu, d_x, to, d_x->stride[axes], job->size, out);
}

static void backward_row(const struct norm_job *job, int64_t row, float *space, float *sums)
{
    const struct scry__cpu_kernels *kernels = job->cpu->kernels;
    const scry_norm_backward       *op      = job->op;
    const scry_tensor              *x = &op->x, *d = &op->d_out;
    int                             axes = x->rank - 1;
    int64_t                         size = job->size;
    float       *in = space, *out = in + job->leading, *n = out + job->leading, *g = n + job->leading;
    const float *values = scry__cpu_gather(job->cpu, x, scry__cpu_row_index(x, axes, row), x->stride[axes], size, in);
    const float *d_out  = scry__cpu_gather(job->cpu, d, scry__cpu_row_index(d, axes, row), d->stride[axes], size, out);
    double       along[2];
    float        centre, factor = (float)(1 / scry__cpu_norm_denominator(&job->norm, values, &centre));
    kernels->normalise_sums(along, n, g, values, d_out, size, centre, factor, job->norm.weight,
                            op->parameters.weight_offset, sums, sums + job->leading);
    if (!present(&op->d_x)) return;
    double mean = op->parameters.kind == SCRY_NORM_LAYER ? along[0] / (double)size : 0;
    if (op->parameters.kind != SCRY_NORM_NONE)
        kernels->normalise_backward(g, g, n, size, (float)mean, (float)(along[1] / (double)size), factor);
    store_row(job, row, g, in);
}

static void norm_part(const void *job_of, int part, int parts)
{
    const struct norm_job *job = job_of;
    int64_t                begin, end;
    scry__cpu_share(job->blocks, 1, part, parts, &begin, &end);
    for (; begin < end; begin++) {
        float *sums = job->sums + 2 * begin * job->leading;
        memset(sums, 0, (size_t)(2 * job->leading) * sizeof *sums);
        for (int64_t row = begin * job->block_rows; row < least(job->rows, (begin + 1) * job->block_rows); row++)
            backward_row(job, row, job->space + part * ROW_BUFFERS * job->leading, sums);
    }
}

/* A parameter's gradient from the blocks' sums, of which it has the one at `which`: some columns at a time, as rows lie
 * in memory. */
static void merge(const struct norm_job *job, int which, const scry_tensor *out)
{
    double totals[COLUMNS];
    for (int64_t column = 0; present(out) && column < job->size; column += COLUMNS) {
        int64_t count = least(COLUMNS, job->size - column);
        for (int64_t i = 0; i < count; i++)
            totals[i] = job->op->accumulate ? (double)*(float *)element(out, (column + i) * out->stride[0]) : 0;
        for (int64_t block = 0; block < job->blocks; block++) {
            const float *sums = job->sums + (2 * block + which) * job->leading + column;
            for (int64_t i = 0; i < count; i++) totals[i] += (double)sums[i];
        }
        for (int64_t i = 0; i < count; i++) *(float *)element(out, (column + i) * out->stride[0]) = (float)totals[i];
    }
}

void scry__cpu_norm_backward(const struct scry__cpu *cpu, const scry_norm_backward *op, void *scratch)
{
    struct norm_job job = job_of(cpu, op, scratch);
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, (double)(job.rows * job.size)), norm_part, &job);
    merge(&job, 0, &op->d_weight);
    merge(&job, 1, &op->d_bias);
}

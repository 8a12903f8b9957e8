/* softmax_capture: masked softmax of given scores, row by row, with the statistics of each row. */
#include "operand.h"
#include "rows.h"

#include <string.h>

struct softmax_job {
    const struct scry__cpu *cpu;
    const scry_softmax     *op;
    float                  *scratch; /* one row for each part */
};

static int64_t row_floats(const struct scry__cpu *cpu, const scry_softmax *op)
{
    return round_up(most(1, op->scores.shape[3]), cpu->kernels->lanes);
}

size_t scry__cpu_softmax_capture_scratch(const struct scry__cpu *cpu, const scry_softmax *op)
{
    return (size_t)(row_floats(cpu, op) * cpu->threads) * sizeof(float);
}

static void softmax_row(const struct softmax_job *job, int64_t number, float *values)
{
    const scry_softmax     *op = job->op;
    const scry_tensor      *x = &op->scores, *out = &op->probabilities;
    int64_t                 heads = x->shape[1], queries = x->shape[2], keys = x->shape[3];
    struct scry__cpu_scores row = {.query = number % queries, .values = values, .scale = 1};
    row.head                    = number / queries % heads;
    row.batch                   = number / queries / heads;
    row.view                    = scry__cpu_view_of(&op->mask, row.batch, row.query, keys);
    row.begin                   = scry__cpu_view_first(&row.view);
    /* Only the visible stretch is read, so that it may be anything elsewhere. */
    int64_t      count = scry__cpu_view_last(&row.view) - row.begin;
    int64_t      index = scry__cpu_row_index(x, 3, number) + row.begin * x->stride[3];
    const float *from  = scry__cpu_gather(job->cpu, x, index, x->stride[3], count, values);
    if (from != values) memcpy(values, from, (size_t)count * sizeof *values);
    row.width = round_up(count, job->cpu->kernels->lanes);
    scry__cpu_scores_mask(&op->mask, &row);
    float factor = scry__cpu_scores_softmax(job->cpu, &op->mask, &op->rows, &row);
    if (present(out))
        scry__cpu_scores_store(job->cpu, &row, out, scry__cpu_row_index(out, 3, number), out->stride[3], 0, keys,
                               factor, 0);
}

static void softmax_part(const void *job_of, int part, int parts)
{
    const struct softmax_job *job = job_of;
    int64_t                   begin, end;
    scry__cpu_share(scry__cpu_row_count(&job->op->scores, 3), 1, part, parts, &begin, &end);
    for (; begin < end; begin++) softmax_row(job, begin, job->scratch + part * row_floats(job->cpu, job->op));
}

void scry__cpu_softmax_capture(const struct scry__cpu *cpu, const scry_softmax *op, void *scratch)
{
    struct softmax_job job = {.cpu = cpu, .op = op, .scratch = scratch};
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, (double)scry__cpu_row_count(&op->scores, 4)),
                       softmax_part, &job);
}

/* activation_backward and embed_backward: the gradients of what goes element by element. */
#include "walk.h"

#include <string.h>

enum { STRETCH = SCRY__CPU_STRETCH };

/* --- activation_backward --- */

enum { X, GATED, D_OUT, D_X, D_GATED };

struct activation_walk {
    struct scry__cpu_walk           walk;
    const scry_activation_backward *op;
};

/* Stores a stretch of gradients, which were made where they belong unless they are to be added to what lies there. */
static void store(const struct activation_walk *activation, int i, const int64_t *index, int64_t count, float *made)
{
    const struct scry__cpu_walk *walk = &activation->walk;
    float                        space[STRETCH], *to = scry__cpu_walk_place(walk, i, index, made);
    if (!to) return;
    if (activation->op->accumulate)
        walk->cpu->kernels->add(to, made, scry__cpu_walk_gather(walk, i, index, count, space), count);
    scry__cpu_walk_scatter(walk, i, index, count, to);
}

static void activation_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    const struct activation_walk *activation = (const struct activation_walk *)walk;
    float                         space[5][STRETCH], *gradient[5] = {NULL};
    const float                  *in[3];
    for (int i = X; i <= D_OUT; i++) in[i] = scry__cpu_walk_gather(walk, i, index, count, space[i]);
    for (int i = D_X; i <= D_GATED; i++) {
        if (!present(&walk->operand[i])) continue;
        gradient[i] = activation->op->accumulate ? space[i] : scry__cpu_walk_place(walk, i, index, space[i]);
    }
    walk->cpu->kernels->activate_backward(gradient[D_X], gradient[D_GATED], in[X], in[GATED], in[D_OUT], count,
                                          activation->op->function);
    for (int i = D_X; i <= D_GATED; i++) store(activation, i, index, count, space[i]);
}

void scry__cpu_activation_backward(const struct scry__cpu *cpu, const scry_activation_backward *op, void *scratch)
{
    (void)scratch;
    struct activation_walk activation = {.op = op};
    activation.walk                   = (struct scry__cpu_walk){
                          .cpu = cpu, .operand = {op->x, op->gated, op->d_out, op->d_x, op->d_gated}, .stretch = activation_stretch};
    scry__cpu_walk_run(&activation.walk);
}

/* --- embed_backward: parts share the columns, so that each adds up its own in ascending t --- */

struct embed_job {
    const struct scry__cpu    *cpu;
    const scry_embed_backward *op;
};

/* Columns [at, at + count) of the gradient of row `id` += factor * x. */
static void add_to_row(const struct embed_job *job, int64_t id, int64_t at, int64_t count, const float *x, float factor)
{
    const scry_tensor *table = &job->op->d_table;
    int64_t            index = id * table->stride[0] + at * table->stride[1];
    float              space[STRETCH];
    float             *row = scry__cpu_place(table, index, table->stride[1], space);
    scry__cpu_gather(job->cpu, table, index, table->stride[1], count, space);
    job->cpu->kernels->accumulate(row, x, count, factor);
    scry__cpu_scatter(job->cpu, table, index, table->stride[1], count, row);
}

static void clear_row(const struct embed_job *job, int64_t id, int64_t at, int64_t count)
{
    const scry_tensor *table = &job->op->d_table;
    int64_t            index = id * table->stride[0] + at * table->stride[1];
    if (table->stride[1] == 1)
        memset(element(table, index), 0, (size_t)count * sizeof(float));
    else
        for (int64_t i = 0; i < count; i++) *(float *)element(table, index + i * table->stride[1]) = 0;
}

static void embed_part(const void *job_of, int part, int parts)
{
    const struct embed_job *job   = job_of;
    const scry_tensor      *d_out = &job->op->d_out;
    float                   space[STRETCH], scale = job->op->scale != 0 ? job->op->scale : 1;
    int64_t                 begin, end, rows = job->op->d_table.shape[0];
    scry__cpu_share(d_out->shape[1], SCRY__CPU_LANES, part, parts, &begin, &end);
    for (; begin < end; begin += STRETCH) {
        int64_t count = least(STRETCH, end - begin);
        for (int64_t id = 0; id < rows && !job->op->accumulate; id++) clear_row(job, id, begin, count);
        for (int64_t t = 0; t < d_out->shape[0]; t++) {
            int64_t id = index_at(&job->op->ids, t);
            if (id < 0 || id >= rows) continue;
            const float *x = scry__cpu_gather(job->cpu, d_out, t * d_out->stride[0] + begin * d_out->stride[1],
                                              d_out->stride[1], count, space);
            add_to_row(job, id, begin, count, x, scale);
        }
    }
}

void scry__cpu_embed_backward(const struct scry__cpu *cpu, const scry_embed_backward *op, void *scratch)
{
    (void)scratch;
    struct embed_job job  = {.cpu = cpu, .op = op};
    double           work = (double)scry__cpu_row_count(&op->d_out, 2);
    if (!op->accumulate) work += (double)scry__cpu_row_count(&op->d_table, 2);
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, work), embed_part, &job);
}

SCRY__CPU_NO_SCRATCH(activation_backward, scry_activation_backward)
SCRY__CPU_NO_SCRATCH(embed_backward, scry_embed_backward)

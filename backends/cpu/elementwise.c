/* embed, add, scale, activation, copy and fill: element by element, in stretches of the last axis (walk.h). */
#include "walk.h"

#include <math.h>
#include <string.h>

enum { STRETCH = SCRY__CPU_STRETCH, OUT = 2 };

static float *place(const struct scry__cpu_walk *walk, const int64_t *index, float *space)
{
    return scry__cpu_walk_place(walk, OUT, index, space);
}

static void scatter(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count, const float *values)
{
    scry__cpu_walk_scatter(walk, OUT, index, count, values);
}

/* --- add, scale, activation --- */

static void add_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    float a[STRETCH], b[STRETCH], made[STRETCH], *out = place(walk, index, made);
    walk->cpu->kernels->add(out, scry__cpu_walk_gather(walk, 0, index, count, a),
                            scry__cpu_walk_gather(walk, 1, index, count, b), count);
    scatter(walk, index, count, out);
}

void scry__cpu_add(const struct scry__cpu *cpu, const scry_add *op, void *scratch)
{
    (void)scratch;
    scry__cpu_walk_run(
        &(struct scry__cpu_walk){.cpu = cpu, .operand = {op->a, op->b, op->out}, .stretch = add_stretch});
}

struct scale_walk {
    struct scry__cpu_walk walk;
    float                 factor, offset;
};

static void scale_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    const struct scale_walk *scale = (const struct scale_walk *)walk;
    float                    x[STRETCH], made[STRETCH], *out = place(walk, index, made);
    walk->cpu->kernels->scale(out, scry__cpu_walk_gather(walk, 0, index, count, x), count, scale->factor,
                              scale->offset);
    scatter(walk, index, count, out);
}

void scry__cpu_scale(const struct scry__cpu *cpu, const scry_scale *op, void *scratch)
{
    (void)scratch;
    struct scale_walk scale = {.factor = op->factor, .offset = op->offset};
    scale.walk = (struct scry__cpu_walk){.cpu = cpu, .operand = {op->x, {0}, op->out}, .stretch = scale_stretch};
    scry__cpu_walk_run(&scale.walk);
}

struct activation_walk {
    struct scry__cpu_walk walk;
    scry_activation_kind  function;
};

static void activation_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    const struct activation_walk *activation = (const struct activation_walk *)walk;
    float                         x[STRETCH], gated[STRETCH], made[STRETCH], *out = place(walk, index, made);
    walk->cpu->kernels->activate(out, scry__cpu_walk_gather(walk, 0, index, count, x),
                                 scry__cpu_walk_gather(walk, 1, index, count, gated), count, activation->function);
    scatter(walk, index, count, out);
}

void scry__cpu_activation(const struct scry__cpu *cpu, const scry_activation *op, void *scratch)
{
    (void)scratch;
    struct activation_walk activation = {.function = op->function};
    activation.walk =
        (struct scry__cpu_walk){.cpu = cpu, .operand = {op->x, op->gated, op->out}, .stretch = activation_stretch};
    scry__cpu_walk_run(&activation.walk);
}

/* --- copy and fill: i32 is moved as it is --- */

static void copy_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    const scry_tensor *x = &walk->operand[0], *out = &walk->operand[2];
    float              space[STRETCH];
    if (x->dtype == SCRY_I32) {
        int64_t in = x->stride[x->rank - 1], to = out->stride[out->rank - 1];
        for (int64_t i = 0; i < count; i++)
            *(int32_t *)element(out, index[2] + i * to) = *(const int32_t *)element(x, index[0] + i * in);
        return;
    }
    const float *values = scry__cpu_walk_gather(walk, 0, index, count, space);
    float       *target = place(walk, index, NULL);
    if (target)
        memcpy(target, values, (size_t)count * sizeof *values);
    else
        scatter(walk, index, count, values);
}

void scry__cpu_copy(const struct scry__cpu *cpu, const scry_copy *op, void *scratch)
{
    (void)scratch;
    scry__cpu_walk_run(&(struct scry__cpu_walk){.cpu = cpu, .operand = {op->x, {0}, op->out}, .stretch = copy_stretch});
}

struct fill_walk {
    struct scry__cpu_walk walk;
    double                value;
};

static void fill_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    double             value = ((const struct fill_walk *)walk)->value;
    const scry_tensor *out   = &walk->operand[2];
    int64_t            to    = out->stride[out->rank - 1];
    float              values[STRETCH];
    if (out->dtype == SCRY_I32) {
        int32_t whole = (int32_t)(value != value ? 0 : fmin(fmax(nearbyint(value), INT32_MIN), INT32_MAX));
        for (int64_t i = 0; i < count; i++) *(int32_t *)element(out, index[2] + i * to) = whole;
        return;
    }
    for (int64_t i = 0; i < count; i++) values[i] = (float)value;
    float *target = place(walk, index, NULL);
    if (target)
        memcpy(target, values, (size_t)count * sizeof *values);
    else
        scatter(walk, index, count, values);
}

void scry__cpu_fill(const struct scry__cpu *cpu, const scry_fill *op, void *scratch)
{
    (void)scratch;
    struct fill_walk fill = {.value = op->value};
    fill.walk = (struct scry__cpu_walk){.cpu = cpu, .operand = {{0}, {0}, op->out}, .stretch = fill_stretch};
    scry__cpu_walk_run(&fill.walk);
}

/* --- embed: one row of the table for each id --- */

struct embed_job {
    const struct scry__cpu *cpu;
    const scry_embed       *op;
};

static void embed_row(const struct embed_job *job, int64_t t)
{
    const scry_tensor *table = &job->op->table, *out = &job->op->out;
    float              space[STRETCH], scale         = job->op->scale != 0 ? job->op->scale : 1;
    int64_t            id = index_at(&job->op->ids, t), size = out->shape[1];
    bool               known = id >= 0 && id < table->shape[0];
    for (int64_t at = 0; at < size; at += STRETCH) {
        int64_t      count = least(STRETCH, size - at);
        const float *row   = known ? scry__cpu_gather(job->cpu, table, id * table->stride[0] + at * table->stride[1],
                                                      table->stride[1], count, space)
                                   : NULL;
        for (int64_t i = 0; i < count; i++) {
            float *to    = element(out, t * out->stride[0] + (at + i) * out->stride[1]);
            float  value = row ? scale * row[i] : NAN;
            *to          = job->op->accumulate ? *to + value : value;
        }
    }
}

static void embed_part(const void *job_of, int part, int parts)
{
    const struct embed_job *job = job_of;
    int64_t                 begin, end;
    scry__cpu_share(job->op->out.shape[0], 1, part, parts, &begin, &end);
    for (; begin < end; begin++) embed_row(job, begin);
}

void scry__cpu_embed(const struct scry__cpu *cpu, const scry_embed *op, void *scratch)
{
    (void)scratch;
    struct embed_job job = {.cpu = cpu, .op = op};
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, (double)scry__cpu_row_count(&op->out, 2)), embed_part,
                       &job);
}

/* --- none of them needs scratch --- */

SCRY__CPU_NO_SCRATCH(embed, scry_embed)
SCRY__CPU_NO_SCRATCH(add, scry_add)
SCRY__CPU_NO_SCRATCH(scale, scry_scale)
SCRY__CPU_NO_SCRATCH(activation, scry_activation)
SCRY__CPU_NO_SCRATCH(copy, scry_copy)
SCRY__CPU_NO_SCRATCH(fill, scry_fill)

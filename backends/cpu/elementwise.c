/* embed, add, scale, activation, copy and fill: element by element, in stretches of the last axis.
 *
 * An operand that is contiguous f32 is used where it lies; others pass through a small buffer. A stretch is read before
 * it is written, so that an output may be an input. */
#include "operand.h"

#include <math.h>
#include <string.h>

enum { STRETCH = 1024 };

/* A walk over the elements of up to three operands of the same shape. */
struct walk {
    const struct scry__cpu *cpu;
    scry_tensor             operand[3]; /* the last is the output; an absent one has no buffer */
    void (*stretch)(const struct walk *walk, const int64_t index[3], int64_t count);
};

static const float *gather(const struct walk *walk, int operand, const int64_t index[3], int64_t count, float *space)
{
    const scry_tensor *x = &walk->operand[operand];
    if (!present(x)) return NULL;
    return scry__cpu_gather(walk->cpu, x, index[operand], x->stride[x->rank - 1], count, space);
}

static float *place(const struct walk *walk, const int64_t index[3], float *space)
{
    const scry_tensor *out = &walk->operand[2];
    return scry__cpu_place(out, index[2], out->stride[out->rank - 1], space);
}

static void scatter(const struct walk *walk, const int64_t index[3], int64_t count, const float *values)
{
    const scry_tensor *out = &walk->operand[2];
    scry__cpu_scatter(walk->cpu, out, index[2], out->stride[out->rank - 1], count, values);
}

/* The shape as one axis where every operand is contiguous. */
static void flatten(struct walk *walk)
{
    for (int i = 0; i < 3; i++)
        if (present(&walk->operand[i]) && !scry__cpu_is_contiguous(&walk->operand[i])) return;
    for (int i = 0; i < 3; i++) {
        scry_tensor *x = &walk->operand[i];
        x->shape[0]    = scry__cpu_row_count(x, x->rank);
        x->stride[0] = x->rank = 1;
    }
}

/* A part takes rows, or pieces of the one row. */
static void walk_part(const void *job, int part, int parts)
{
    const struct walk *walk = job;
    const scry_tensor *out  = &walk->operand[2];
    int                axes = out->rank - 1;
    int64_t            rows = scry__cpu_row_count(out, axes), size = out->shape[axes];
    int64_t            row = 0, row_end = rows, begin = 0, end = size;
    if (rows >= parts)
        scry__cpu_share(rows, 1, part, parts, &row, &row_end);
    else
        scry__cpu_share(size, STRETCH, part, parts, &begin, &end);
    for (; row < row_end; row++)
        for (int64_t at = begin; at < end; at += STRETCH) {
            int64_t index[3] = {0};
            for (int i = 0; i < 3; i++) {
                const scry_tensor *x = &walk->operand[i];
                if (present(x)) index[i] = scry__cpu_row_index(x, axes, row) + at * x->stride[axes];
            }
            walk->stretch(walk, index, least(STRETCH, end - at));
        }
}

static void run_walk(struct walk *walk)
{
    flatten(walk);
    const scry_tensor *out = &walk->operand[2];
    scry__cpu_parallel(walk->cpu->pool,
                       scry__cpu_parts(walk->cpu->threads, (double)scry__cpu_row_count(out, out->rank)), walk_part,
                       walk);
}

/* --- add, scale, activation --- */

static void add_stretch(const struct walk *walk, const int64_t index[3], int64_t count)
{
    float a[STRETCH], b[STRETCH], made[STRETCH], *out = place(walk, index, made);
    walk->cpu->kernels->add(out, gather(walk, 0, index, count, a), gather(walk, 1, index, count, b), count);
    scatter(walk, index, count, out);
}

void scry__cpu_add(const struct scry__cpu *cpu, const scry_add *op, void *scratch)
{
    (void)scratch;
    run_walk(&(struct walk){.cpu = cpu, .operand = {op->a, op->b, op->out}, .stretch = add_stretch});
}

struct scale_walk {
    struct walk walk;
    float       factor, offset;
};

static void scale_stretch(const struct walk *walk, const int64_t index[3], int64_t count)
{
    const struct scale_walk *scale = (const struct scale_walk *)walk;
    float                    x[STRETCH], made[STRETCH], *out = place(walk, index, made);
    walk->cpu->kernels->scale(out, gather(walk, 0, index, count, x), count, scale->factor, scale->offset);
    scatter(walk, index, count, out);
}

void scry__cpu_scale(const struct scry__cpu *cpu, const scry_scale *op, void *scratch)
{
    (void)scratch;
    struct scale_walk scale = {.factor = op->factor, .offset = op->offset};
    scale.walk              = (struct walk){.cpu = cpu, .operand = {op->x, {0}, op->out}, .stretch = scale_stretch};
    run_walk(&scale.walk);
}

struct activation_walk {
    struct walk          walk;
    scry_activation_kind function;
};

static void activation_stretch(const struct walk *walk, const int64_t index[3], int64_t count)
{
    const struct activation_walk *activation = (const struct activation_walk *)walk;
    float                         x[STRETCH], gated[STRETCH], made[STRETCH], *out = place(walk, index, made);
    walk->cpu->kernels->activate(out, gather(walk, 0, index, count, x), gather(walk, 1, index, count, gated), count,
                                 activation->function);
    scatter(walk, index, count, out);
}

void scry__cpu_activation(const struct scry__cpu *cpu, const scry_activation *op, void *scratch)
{
    (void)scratch;
    struct activation_walk activation = {.function = op->function};
    activation.walk = (struct walk){.cpu = cpu, .operand = {op->x, op->gated, op->out}, .stretch = activation_stretch};
    run_walk(&activation.walk);
}

/* --- copy and fill: i32 is moved as it is --- */

static void copy_stretch(const struct walk *walk, const int64_t index[3], int64_t count)
{
    const scry_tensor *x = &walk->operand[0], *out = &walk->operand[2];
    float              space[STRETCH];
    if (x->dtype == SCRY_I32) {
        int64_t in = x->stride[x->rank - 1], to = out->stride[out->rank - 1];
        for (int64_t i = 0; i < count; i++)
            *(int32_t *)element(out, index[2] + i * to) = *(const int32_t *)element(x, index[0] + i * in);
        return;
    }
    const float *values = gather(walk, 0, index, count, space);
    float       *target = place(walk, index, NULL);
    if (target)
        memcpy(target, values, (size_t)count * sizeof *values);
    else
        scatter(walk, index, count, values);
}

void scry__cpu_copy(const struct scry__cpu *cpu, const scry_copy *op, void *scratch)
{
    (void)scratch;
    run_walk(&(struct walk){.cpu = cpu, .operand = {op->x, {0}, op->out}, .stretch = copy_stretch});
}

struct fill_walk {
    struct walk walk;
    double      value;
};

static void fill_stretch(const struct walk *walk, const int64_t index[3], int64_t count)
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
    fill.walk             = (struct walk){.cpu = cpu, .operand = {{0}, {0}, op->out}, .stretch = fill_stretch};
    run_walk(&fill.walk);
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

#define NO_SCRATCH(name, type)                                                                                         \
    size_t scry__cpu_##name##_scratch(const struct scry__cpu *cpu, const type *op)                                     \
    {                                                                                                                  \
        (void)cpu, (void)op;                                                                                           \
        return 0;                                                                                                      \
    }
NO_SCRATCH(embed, scry_embed)
NO_SCRATCH(add, scry_add)
NO_SCRATCH(scale, scry_scale)
NO_SCRATCH(activation, scry_activation)
NO_SCRATCH(copy, scry_copy)
NO_SCRATCH(fill, scry_fill)

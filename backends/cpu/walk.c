/* Operands of one shape, stretch by stretch. See walk.h. */
#include "walk.h"

const float *scry__cpu_walk_gather(const struct scry__cpu_walk *walk, int i, const int64_t *index, int64_t count,
                                   float *space)
{
    const scry_tensor *x = &walk->operand[i];
    return present(x) ? scry__cpu_gather(walk->cpu, x, index[i], x->stride[x->rank - 1], count, space) : NULL;
}

float *scry__cpu_walk_place(const struct scry__cpu_walk *walk, int i, const int64_t *index, float *space)
{
    const scry_tensor *x = &walk->operand[i];
    return present(x) ? scry__cpu_place(x, index[i], x->stride[x->rank - 1], space) : NULL;
}

void scry__cpu_walk_scatter(const struct scry__cpu_walk *walk, int i, const int64_t *index, int64_t count,
                            const float *values)
{
    const scry_tensor *x = &walk->operand[i];
    if (present(x)) scry__cpu_scatter(walk->cpu, x, index[i], x->stride[x->rank - 1], count, values);
}

/* Any of the operands: they have one shape. */
static const scry_tensor *shown(const struct scry__cpu_walk *walk)
{
    const scry_tensor *x = walk->operand;
    while (!present(x)) x++;
    return x;
}

/* The shape as one axis where every operand is contiguous. */
static void flatten(struct scry__cpu_walk *walk)
{
    for (int i = 0; i < SCRY__CPU_WALKED; i++)
        if (present(&walk->operand[i]) && !scry__cpu_is_contiguous(&walk->operand[i])) return;
    for (int i = 0; i < SCRY__CPU_WALKED; i++) {
        scry_tensor *x = &walk->operand[i];
        x->shape[0]    = scry__cpu_row_count(x, x->rank);
        x->stride[0] = x->rank = 1;
    }
}

/* A part takes rows, or pieces of the one row. */
static void walk_part(const void *job, int part, int parts)
{
    const struct scry__cpu_walk *walk = job;
    const scry_tensor           *any  = shown(walk);
    int                          axes = any->rank - 1;
    int64_t                      rows = scry__cpu_row_count(any, axes), size = any->shape[axes];
    int64_t                      row = 0, row_end = rows, begin = 0, end = size;
    if (rows >= parts)
        scry__cpu_share(rows, 1, part, parts, &row, &row_end);
    else
        scry__cpu_share(size, SCRY__CPU_STRETCH, part, parts, &begin, &end);
    for (; row < row_end; row++)
        for (int64_t at = begin; at < end; at += SCRY__CPU_STRETCH) {
            int64_t index[SCRY__CPU_WALKED] = {0};
            for (int i = 0; i < SCRY__CPU_WALKED; i++) {
                const scry_tensor *x = &walk->operand[i];
                if (present(x)) index[i] = scry__cpu_row_index(x, axes, row) + at * x->stride[axes];
            }
            walk->stretch(walk, index, least(SCRY__CPU_STRETCH, end - at));
        }
}

void scry__cpu_walk_run(struct scry__cpu_walk *walk)
{
    flatten(walk);
    const scry_tensor *any = shown(walk);
    scry__cpu_parallel(walk->cpu->pool,
                       scry__cpu_parts(walk->cpu->threads, (double)scry__cpu_row_count(any, any->rank)), walk_part,
                       walk);
}

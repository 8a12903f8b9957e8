/* rope: turns pairs of entries of each head by the angles of its position. */
#include "operand.h"

#include <math.h>

struct rope_job {
    const struct scry__cpu *cpu;
    const scry_rope        *op;
};

/* One head of one row: x and out with their last strides, c and s contiguous. */
static void turn(const scry_rope *op, const float *x, float *out, const float *c, const float *s, int64_t half,
                 float sign)
{
    int64_t in = op->x.stride[3], to = op->out.stride[3];
    int64_t step = op->interleaved ? 2 : 1, other = op->interleaved ? 1 : half;
    for (int64_t i = 0; i < half; i++) {
        float x1 = x[i * step * in], x2 = x[(i * step + other) * in], sine = sign * s[i];
        out[i * step * to]           = x1 * c[i] - x2 * sine;
        out[(i * step + other) * to] = x2 * c[i] + x1 * sine;
    }
}

/* The same where pairs are half a head apart and everything is contiguous: restrict lets it be vectorised, as x and out
 * are either the same row or apart. */
static void turn_halves(const float *x, float *out, const float *c, const float *s, int64_t half, float sign)
{
    for (int64_t i = 0; i < half; i++) {
        float x1 = x[i], x2 = x[half + i], sine = sign * s[i];
        out[i]        = x1 * c[i] - x2 * sine;
        out[half + i] = x2 * c[i] + x1 * sine;
    }
}

/* What the entries of a position outside the tables turn into. */
static void fill_nan(const scry_rope *op, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i * op->out.stride[3]] = NAN;
}

static void rope_row(const struct rope_job *job, int64_t batch, int64_t t)
{
    const scry_rope *op       = job->op;
    int64_t          position = op->position_offset + t, half = op->cosine.shape[1], size = op->x.shape[3];
    if (present(&op->positions))
        position =
            *(const int32_t *)element(&op->positions, batch * op->positions.stride[0] + t * op->positions.stride[1]);
    bool         inside     = position >= 0 && position < op->cosine.shape[0];
    const float *c          = inside ? element(&op->cosine, position * op->cosine.stride[0]) : NULL;
    const float *s          = inside ? element(&op->sine, position * op->sine.stride[0]) : NULL;
    bool         contiguous = !op->interleaved && (size == 1 || (op->x.stride[3] == 1 && op->out.stride[3] == 1));
    for (int64_t head = 0; head < op->x.shape[2]; head++) {
        const float *x = element(&op->x, batch * op->x.stride[0] + t * op->x.stride[1] + head * op->x.stride[2]);
        float *out = element(&op->out, batch * op->out.stride[0] + t * op->out.stride[1] + head * op->out.stride[2]);
        if (!inside)
            fill_nan(op, out, 2 * half);
        else if (contiguous)
            turn_halves(x, out, c, s, half, op->inverse ? -1 : 1);
        else
            turn(op, x, out, c, s, half, op->inverse ? -1 : 1);
        if (x == out) continue;
        for (int64_t i = 2 * half; i < size; i++) out[i * op->out.stride[3]] = x[i * op->x.stride[3]];
    }
}

static void rope_part(const void *job_of, int part, int parts)
{
    const struct rope_job *job  = job_of;
    int64_t                rows = job->op->x.shape[1], begin, end;
    scry__cpu_share(job->op->x.shape[0] * rows, 1, part, parts, &begin, &end);
    for (; begin < end; begin++) rope_row(job, begin / rows, begin % rows);
}

size_t scry__cpu_rope_scratch(const struct scry__cpu *cpu, const scry_rope *op)
{
    (void)cpu, (void)op;
    return 0;
}

void scry__cpu_rope(const struct scry__cpu *cpu, const scry_rope *op, void *scratch)
{
    (void)scratch;
    struct rope_job job = {.cpu = cpu, .op = op};
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, (double)scry__cpu_row_count(&op->x, 4)), rope_part,
                       &job);
}

/* rope: turns pairs of entries of each head by the angles of its position. */
#include "operand.h"

#include <math.h>

/* One head of one row, whatever the strides. */
static void turn(const scry_rope *op, const float *x, float *out, const float *c, const float *s, int64_t half,
                 float sign)
{
    int64_t in = op->x.stride[3], to = op->out.stride[3], of_c = op->cosine.stride[1], of_s = op->sine.stride[1];
    int64_t step = op->interleaved ? 2 : 1, other = op->interleaved ? 1 : half;
    for (int64_t i = 0; i < half; i++) {
        float x1 = x[i * step * in], x2 = x[(i * step + other) * in], cosine = c[i * of_c], sine = sign * s[i * of_s];
        out[i * step * to]           = x1 * cosine - x2 * sine;
        out[(i * step + other) * to] = x2 * cosine + x1 * sine;
    }
}

/* The same where pairs are half a head apart and everything is contiguous, which can be vectorised. */
static void turn_halves(const float *x, float *out, const float *c, const float *s, int64_t half, float sign)
{
    for (int64_t i = 0; i < half; i++) {
        float x1 = x[i], x2 = x[half + i], sine = sign * s[i];
        out[i]        = x1 * c[i] - x2 * sine;
        out[half + i] = x2 * c[i] + x1 * sine;
    }
}

static bool is_plain(const scry_rope *op)
{
    return !op->interleaved && op->x.stride[3] == 1 && op->out.stride[3] == 1 && op->cosine.stride[1] == 1 &&
           op->sine.stride[1] == 1;
}

/* What the entries of a position outside the tables turn into. */
static void fill_nan(const scry_rope *op, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i * op->out.stride[3]] = NAN;
}

static void rope_row(const scry_rope *op, int64_t batch, int64_t t)
{
    int64_t position = op->position_offset + t, half = op->cosine.shape[1], size = op->x.shape[3];
    if (present(&op->positions))
        position =
            *(const int32_t *)element(&op->positions, batch * op->positions.stride[0] + t * op->positions.stride[1]);
    bool         inside = position >= 0 && position < op->cosine.shape[0];
    const float *c      = inside ? element(&op->cosine, position * op->cosine.stride[0]) : NULL;
    const float *s      = inside ? element(&op->sine, position * op->sine.stride[0]) : NULL;
    for (int64_t head = 0; head < op->x.shape[2]; head++) {
        const float *x = element(&op->x, batch * op->x.stride[0] + t * op->x.stride[1] + head * op->x.stride[2]);
        float *out = element(&op->out, batch * op->out.stride[0] + t * op->out.stride[1] + head * op->out.stride[2]);
        if (!inside)
            fill_nan(op, out, 2 * half);
        else if (is_plain(op))
            turn_halves(x, out, c, s, half, op->inverse ? -1 : 1);
        else
            turn(op, x, out, c, s, half, op->inverse ? -1 : 1);
        if (x == out) continue;
        for (int64_t i = 2 * half; i < size; i++) out[i * op->out.stride[3]] = x[i * op->x.stride[3]];
    }
}

static void rope_part(const void *job, int part, int parts)
{
    const scry_rope *op   = job;
    int64_t          rows = op->x.shape[1], begin, end;
    scry__cpu_share(op->x.shape[0] * rows, 1, part, parts, &begin, &end);
    for (; begin < end; begin++) rope_row(op, begin / rows, begin % rows);
}

SCRY__CPU_NO_SCRATCH(rope, scry_rope)

void scry__cpu_rope(const struct scry__cpu *cpu, const scry_rope *op, void *scratch)
{
    (void)scratch;
    int parts = scry__cpu_parts(cpu->threads, (double)scry__cpu_row_count(&op->x, 4));
    scry__cpu_parallel(cpu->pool, parts, rope_part, op);
}

/* Rotation is relative: a query and a key turned by s positions more have the dot product that they had before. See
 * rope.h.
 *
 * Bound. Let a pair of entries be r long. Each of the two that come back is off by at most e r:
 * - gamma(3): the table's entry, the product and the sum round, and |x1 c| + |x2 s| <= r;
 * - the angle, position times frequency, rounds in double precision, cosine and sine by a unit more or two: 2^-53
 *   (position + 4), as no frequency is above 1. The frequency's own error is the same at all positions and cancels.
 * The error of a pair is thus at most sqrt(2) e r long. With one of length r' of the key it makes the dot product err
 * by (2 sqrt(2) e + 2 e^2) r r' in each run, and by twice that between them. Entries that do not turn are equal. The
 * dot products are taken here, in double precision: gamma(D) of their terms, of which those of a pair come to (1 + 4 e)
 * r r' or less. Underflow is nothing beside all that: no input is near the smallest normal number.
 *
 * It cannot see what all rows have in common: positions all one too far, the other layout of pairs, turning back. */
#include "cases/bounds.h"
#include "cases/rope.h"

#include <stdio.h>

/* One further; across 65,536, so that what changes there changes for some rows and not for others; to where long
 * contexts are. */
static const int64_t shifts[] = {1, 65520, 100000};

static scry__array *find(const scry__plan *plan, const scry_tensor *tensor)
{
    return (scry__array *)scry__plan_find(plan, tensor);
}

bool scry__rope_shift(scry__plan *plan, int step)
{
    scry_rope *op = &plan->op.rope;
    if (step >= (int)(sizeof shifts / sizeof *shifts)) return false;
    int64_t shape[SCRY_MAX_RANK] = {op->cosine.shape[0] + shifts[step], op->cosine.shape[1]};
    scry__plan_drop(plan, find(plan, &op->cosine));
    scry__plan_drop(plan, find(plan, &op->sine));
    scry__array *cosine = scry__plan_add(plan, &op->cosine, "cosine", SCRY__INPUT, SCRY_F32, 0, 2, shape);
    scry__array *sine   = scry__plan_add(plan, &op->sine, "sine", SCRY__INPUT, SCRY_F32, 0, 2, shape);
    scry__rope_tables_fill(cosine, sine, 0);
    scry__array *positions = find(plan, &op->positions);
    if (!positions) op->position_offset += shifts[step];
    for (int64_t e = 0; positions && e < scry__array_count(positions); e++)
        scry__array_set(positions, e, scry__array_get(positions, e) + (double)shifts[step]);
    return true;
}

/* Two rows of a head: their elements in x and out begin at these. */
typedef struct couple {
    int64_t query, key;
} couple;

static double dot_of(const scry__array *out, couple rows, int64_t D)
{
    double sum = 0;
    for (int64_t d = 0; d < D; d++)
        sum += scry__array_read(out, out->got, rows.query + d) * scry__array_read(out, out->got, rows.key + d);
    return sum;
}

/* How long the pair of entry d is, in a row that begins at `row`. */
static double pair_length(const scry_rope *op, const scry__array *x, int64_t row, int64_t d)
{
    return hypot(scry__array_get(x, row + d), scry__array_get(x, row + scry__rope_partner(op, d)));
}

static double bound_of(const scry_rope *op, const scry__array *x, couple rows)
{
    const double u = 0x1p-24, double_u = 0x1p-53;
    int64_t      D = op->x.shape[3], turned = 2 * op->cosine.shape[1];
    double       error = gamma_of(3, u) + double_u * ((double)op->cosine.shape[0] + 4);
    double       pairs = 0, copied = 0;
    for (int64_t d = 0; d < turned; d++) /* each pair twice */
        pairs += pair_length(op, x, rows.query, d) * pair_length(op, x, rows.key, d) / 2;
    for (int64_t d = turned; d < D; d++)
        copied += fabs(scry__array_get(x, rows.query + d) * scry__array_get(x, rows.key + d));
    return 4 * error * (sqrt(2) + error) * pairs +
           2 * gamma_of((double)D, double_u) * (1 + 4 * error) * (pairs + copied);
}

static void compare_dots(const scry__plan *a, const scry__plan *b, scry__verdict *verdict, couple rows, int step)
{
    const scry_rope   *op    = &b->op.rope; /* whose tables reach further */
    const scry__array *x     = scry__plan_find(a, &a->op.rope.x);
    const scry__array *first = scry__plan_find(a, &a->op.rope.out), *second = scry__plan_find(b, &op->out);
    scry__case_result *result = verdict->result;
    double             before = dot_of(first, rows, op->x.shape[3]), after = dot_of(second, rows, op->x.shape[3]);
    double             bound = bound_of(op, x, rows), error = fabs(after - before);
    double             ratio = isfinite(error) ? error / bound : INFINITY;
    result->compared++;
    if (ratio > result->worst) {
        result->worst = ratio;
        snprintf(result->output, sizeof result->output, "%s", second->name);
    }
    if (!(ratio <= 1))
        scry__verdict_fail(
            verdict,
            "%s: the heads at elements %lld and %lld have the dot product %.9g, and %.9g with %lld added "
            "to all positions; allowed difference %.3g",
            second->name, (long long)rows.query, (long long)rows.key, before, after, (long long)shifts[step], bound);
}

void scry__rope_compare_shifted(const scry__plan *a, const scry__plan *b, scry__verdict *verdict, int step)
{
    const int64_t *shape = b->op.rope.x.shape;
    int64_t        B = shape[0], T = shape[1], H = shape[2], D = shape[3];
    for (int64_t sequence = 0; sequence < B; sequence++)
        for (int64_t head = 0; head < H; head++)
            for (int64_t query = sequence * T; query < (sequence + 1) * T; query++)
                for (int64_t key = sequence * T; key <= query; key++)
                    compare_dots(a, b, verdict, (couple){(query * H + head) * D, (key * H + head) * D}, step);
}

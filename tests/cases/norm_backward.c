/* Cases of norm_backward. Bounds: the normalised row n and its denominator are off as norm_bounds.h says of a norm
 * without weight; g = d_out (weight + offset) by gamma(2) |g|. Then, of d numbers in R rows,
 * means      m = mean(g): gamma(d + 3) mean |g|; k = mean(g n): gamma(d + 5) mean |g n| + mean(|g| n's error)
 * d_x        (g - m - n k) / denominator: the errors of g, m, n k, carried through the quotient; and, for devices that
 *            divide term by term, 2 times the denominator's and gamma(8) of (|g| + |m| + |n k|) / denominator
 * d_weight   sum of |d_out| n's error + gamma(R + 2) sum |d_out n|
 * d_bias     gamma(R) sum |d_out| */
#include "base/alloc.h"
#include "cases/bounds.h"
#include "cases/gradients.h"
#include "cases/norm_bounds.h"

enum { P = SCRY__PADDED, S = SCRY__SWAPPED, X = SCRY__SPACED };
/* Which gradients are asked for; 0: all that there may be. */
enum { D_X = 1, D_WEIGHT = 2, D_BIAS = 4, ALL = 7 };

static const struct row {
    const char    *name;
    scry_norm_kind kind;
    int            rank;
    int64_t        shape[SCRY_MAX_RANK];
    bool           weight, accumulate, bare, mute, special;
    int            outputs;
    scry_dtype     dtype; /* of weight */
    float          weight_offset, epsilon;
    double         mean, deviation; /* of x; deviation 0: 1 */
    unsigned       layout;
    scry__tier     tier;
    bool           benchmark;
} rows[] = {
    {.name = "norm_backward/layer", .rank = 2, .shape = {33, 65}, .weight = true},
    {.name = "norm_backward/layer-bare-row", .rank = 2, .shape = {33, 65}},
    {.name = "norm_backward/layer-rank-3", .rank = 3, .shape = {2, 17, 31}, .weight = true},
    {.name = "norm_backward/layer-one-row", .rank = 1, .shape = {1023}, .weight = true},
    {.name = "norm_backward/layer-one-entry", .rank = 2, .shape = {3, 1}, .weight = true},
    {.name = "norm_backward/layer-no-rows", .rank = 2, .shape = {0, 65}, .weight = true, .mute = true},
    {.name = "norm_backward/layer-no-rows-accumulate", .rank = 2, .shape = {0, 65}, .weight = true, .accumulate = true},
    {.name = "norm_backward/layer-far-mean", .rank = 2, .shape = {9, 129}, .weight = true, .mean = 100},
    {.name = "norm_backward/layer-small", .rank = 2, .shape = {9, 64}, .weight = true, .deviation = 1e-4},
    {.name = "norm_backward/layer-large", .rank = 2, .shape = {9, 64}, .weight = true, .deviation = 1e4},
    {.name = "norm_backward/layer-accumulate", .rank = 2, .shape = {17, 65}, .weight = true, .accumulate = true},
    {.name = "norm_backward/layer-d_x-only", .rank = 2, .shape = {17, 65}, .weight = true, .outputs = D_X},
    {.name = "norm_backward/layer-d_weight-only", .rank = 2, .shape = {17, 65}, .weight = true, .outputs = D_WEIGHT},
    {.name = "norm_backward/layer-d_bias-only", .rank = 2, .shape = {17, 65}, .weight = true, .outputs = D_BIAS},
    {.name = "norm_backward/layer-padded", .rank = 3, .shape = {3, 5, 33}, .weight = true, .layout = P},
    {.name = "norm_backward/layer-spaced", .rank = 2, .shape = {5, 33}, .weight = true, .layout = X},
    {.name = "norm_backward/layer-bf16", .rank = 2, .shape = {9, 65}, .weight = true, .dtype = SCRY_BF16},
    {.name = "norm_backward/layer-f16", .rank = 2, .shape = {9, 64}, .weight = true, .dtype = SCRY_F16},
    {.name = "norm_backward/rms", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {33, 65}, .weight = true},
    {.name = "norm_backward/rms-bare-row", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {33, 65}},
    {.name          = "norm_backward/rms-offset-weight",
     .kind          = SCRY_NORM_RMS,
     .rank          = 2,
     .shape         = {33, 65},
     .weight        = true,
     .weight_offset = 1,
     .epsilon       = 1e-6f},
    {.name = "norm_backward/rms-heads", .kind = SCRY_NORM_RMS, .rank = 4, .shape = {2, 9, 3, 16}, .weight = true},
    {.name   = "norm_backward/rms-heads-swapped",
     .kind   = SCRY_NORM_RMS,
     .rank   = 4,
     .shape  = {2, 9, 3, 16},
     .weight = true,
     .layout = S | P},
    {.name       = "norm_backward/rms-accumulate",
     .kind       = SCRY_NORM_RMS,
     .rank       = 3,
     .shape      = {2, 9, 257},
     .weight     = true,
     .accumulate = true},
    {.name      = "norm_backward/rms-small",
     .kind      = SCRY_NORM_RMS,
     .rank      = 2,
     .shape     = {9, 64},
     .weight    = true,
     .deviation = 1e-10},
    {.name      = "norm_backward/rms-wide",
     .kind      = SCRY_NORM_RMS,
     .rank      = 2,
     .shape     = {9, 64},
     .weight    = true,
     .deviation = 1e6},
    {.name    = "norm_backward/layer-special",
     .rank    = 2,
     .shape   = {9, 65},
     .weight  = true,
     .outputs = D_X,
     .special = true},
    {.name    = "norm_backward/rms-special",
     .kind    = SCRY_NORM_RMS,
     .rank    = 2,
     .shape   = {9, 65},
     .weight  = true,
     .outputs = D_X,
     .special = true},
    {.name = "norm_backward/none", .kind = SCRY_NORM_NONE, .rank = 2, .shape = {9, 65}, .bare = true},
    {.name = "norm_backward/none-accumulate", .kind = SCRY_NORM_NONE, .rank = 2, .shape = {9, 65}, .accumulate = true},
    {.name = "norm_backward/bare", .rank = 1, .shape = {257}, .weight = true, .outputs = D_BIAS, .bare = true},
    {.name = "norm_backward/layer-2", .rank = 2, .shape = {33, 2}, .weight = true},
    {.name = "norm_backward/rms-3", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {33, 3}, .weight = true},
    {.name = "norm_backward/layer-32", .rank = 2, .shape = {31, 32}, .weight = true},
    {.name = "norm_backward/rms-1024", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {3, 1024}, .weight = true},
    {.name = "norm_backward/layer-1025", .rank = 2, .shape = {3, 1025}, .weight = true},
    {.name = "norm_backward/layer-1025-rows", .rank = 2, .shape = {1025, 17}, .weight = true, .tier = SCRY__TIER_QUICK},
    {.name   = "norm_backward/rms-20011",
     .kind   = SCRY_NORM_RMS,
     .rank   = 2,
     .shape  = {2, 20011},
     .weight = true,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "norm_backward/layer-past-65535-rows",
     .rank   = 2,
     .shape  = {70001, 3},
     .weight = true,
     .tier   = SCRY__TIER_FULL},
    {.name   = "norm_backward/1024x12x64",
     .kind   = SCRY_NORM_RMS,
     .rank   = 3,
     .shape  = {1024, 12, 64},
     .weight = true,
     .tier   = SCRY__TIER_FULL},
    {.name      = "norm_backward/gpt2",
     .rank      = 2,
     .shape     = {1024, 768},
     .weight    = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "norm_backward/llama",
     .kind      = SCRY_NORM_RMS,
     .rank      = 2,
     .shape     = {1024, 2048},
     .weight    = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
};

static scry__case describe(int row)
{
    return (scry__case){.name = rows[row].name, .tier = rows[row].tier, .benchmark = rows[row].benchmark};
}

static void build(scry__plan *plan, int index)
{
    const struct row     *row        = &rows[index];
    scry_norm_backward   *op         = &plan->op.norm_backward;
    scry_norm_parameters *parameters = &op->parameters;
    const int64_t        *size       = &row->shape[row->rank - 1];
    int                   most       = row->kind == SCRY_NORM_NONE ? D_X : ALL;
    int                   outputs    = row->outputs ? row->outputs : most;
    plan->bare                       = row->bare;
    plan->mute                       = row->mute;
    plan->wide                       = row->deviation >= 1e6;
    op->accumulate                   = row->accumulate;
    parameters->kind                 = row->kind;
    parameters->weight_offset        = row->weight_offset;
    parameters->epsilon              = row->epsilon > 0 ? row->epsilon : 1e-5f;
    scry__array *x = scry__plan_add(plan, &op->x, "x", SCRY__INPUT, SCRY_F32, row->layout, row->rank, row->shape);
    scry__array_fill_normal(plan, x, row->mean, row->deviation > 0 ? row->deviation : 1);
    if (row->special) scry__array_fill_specials(x, 3 * row->shape[1]);
    scry__array_fill_usual(
        plan, scry__plan_add(plan, &op->d_out, "d_out", SCRY__INPUT, SCRY_F32, row->layout, row->rank, row->shape));
    if (row->weight)
        scry__array_fill_usual(
            plan, scry__plan_add(plan, &parameters->weight, "weight", SCRY__INPUT, row->dtype, 0, 1, size));
    if (outputs & D_X) scry__gradient_add(plan, &op->d_x, "d_x", row->accumulate, row->layout, row->rank, row->shape);
    if (outputs & D_WEIGHT) scry__gradient_add(plan, &op->d_weight, "d_weight", row->accumulate, 0, 1, size);
    if (outputs & D_BIAS) scry__gradient_add(plan, &op->d_bias, "d_bias", row->accumulate, 0, 1, size);
}

const scry__case_table scry__norm_backward_table = {SCRY_OP_NORM_BACKWARD, sizeof rows / sizeof *rows, describe, build};

/* One row's numbers, and the sums over rows with their magnitudes and errors; all [d]. */
struct judging {
    const scry__plan         *plan;
    scry__verdict            *verdict;
    const scry_norm_backward *op;
    const scry__array        *x, *d_out, *d_x;
    int64_t                   d;
    double                   *work, *weight, *given, *entries, *g;
    double                   *d_weight, *weight_size, *weight_error, *d_bias, *bias_size;
    scry__norm_row            row;
};

enum { ARRAYS = 11 };

static bool prepare(struct judging *j, const scry__plan *plan, scry__verdict *verdict)
{
    const scry_norm_backward *op = &plan->op.norm_backward;
    int64_t                   d  = op->x.shape[op->x.rank - 1];
    *j                           = (struct judging){.plan = plan, .verdict = verdict, .op = op, .d = d};
    j->x                         = scry__plan_find(plan, &op->x);
    j->d_out                     = scry__plan_find(plan, &op->d_out);
    j->d_x                       = scry__plan_find(plan, &op->d_x);
    j->work                      = scry__alloc((size_t)(ARRAYS * d), sizeof *j->work);
    if (!j->work) return false;
    double **arrays[] = {&j->given,       &j->entries,      &j->g,      &j->row.values, &j->row.errors, &j->d_weight,
                         &j->weight_size, &j->weight_error, &j->d_bias, &j->bias_size};
    j->weight         = scry__gradient_read(scry__plan_find(plan, &op->parameters.weight), j->work);
    for (int i = 0; i < ARRAYS - 1; i++) *arrays[i] = j->work + (i + 1) * d;
    return true;
}

static void judge_d_x(const struct judging *j, int64_t first)
{
    const scry_norm_parameters *parameters = &j->op->parameters;
    bool                        layer      = parameters->kind == SCRY_NORM_LAYER;
    double u = j->verdict->unit, n = (double)j->d, m = 0, k = 0, m_size = 0, k_size = 0, carried = 0;
    for (int64_t i = 0; i < j->d; i++) {
        m += layer ? j->g[i] / n : 0;
        m_size += layer ? fabs(j->g[i]) / n : 0;
        k += j->g[i] * j->row.values[i] / n;
        k_size += fabs(j->g[i] * j->row.values[i]) / n;
        carried += fabs(j->g[i]) * j->row.errors[i] / n;
    }
    double m_error = gamma_of(n + 3, u) * m_size, k_error = gamma_of(n + 5, u) * (k_size + carried) + carried;
    for (int64_t i = 0; i < j->d; i++) {
        double at = j->row.values[i], blur = j->row.errors[i], size = fabs(j->g[i]) + fabs(m) + fabs(at * k);
        double error = gamma_of(2, u) * fabs(j->g[i]) + m_error + (fabs(at) + blur) * k_error + blur * fabs(k) +
                       size * (2 * j->row.denominator_error + gamma_of(8, u));
        scry__gradient_judge(j->plan, j->verdict, j->d_x, first + i, (j->g[i] - m - at * k) / j->row.denominator,
                             (error + SCRY__TINY) / j->row.denominator + SCRY__TINY);
    }
}

static void judge_row(struct judging *j, int64_t row)
{
    const scry_norm_parameters *given = &j->op->parameters;
    const scry_norm_parameters  bare  = {.kind = given->kind, .epsilon = given->epsilon};
    for (int64_t i = 0; i < j->d; i++) {
        j->entries[i] = scry__array_get(j->x, row * j->d + i);
        j->given[i]   = scry__array_get(j->d_out, row * j->d + i);
        j->g[i]       = j->weight ? j->given[i] * (j->weight[i] + given->weight_offset) : j->given[i];
    }
    if (given->kind == SCRY_NORM_NONE) {
        for (int64_t i = 0; i < j->d; i++)
            scry__gradient_judge(j->plan, j->verdict, j->d_x, row * j->d + i, j->given[i], 0);
        return;
    }
    scry__norm_row_bounds(&j->row, &bare, j->entries, NULL, NULL, j->d, j->verdict->unit);
    judge_d_x(j, row * j->d);
    for (int64_t i = 0; i < j->d; i++) {
        double product = j->given[i] * j->row.values[i];
        j->d_weight[i] += product;
        j->weight_size[i] += fabs(product);
        j->weight_error[i] += fabs(j->given[i]) * j->row.errors[i] + SCRY__TINY;
        j->d_bias[i] += j->given[i];
        j->bias_size[i] += fabs(j->given[i]);
    }
}

void scry__judge_norm_backward(const scry__plan *plan, scry__verdict *verdict)
{
    struct judging j;
    if (!prepare(&j, plan, verdict)) {
        scry__verdict_fail(verdict, "no memory to judge with");
        return;
    }
    const scry__array *d_weight = scry__plan_find(plan, &j.op->d_weight),
                      *d_bias   = scry__plan_find(plan, &j.op->d_bias);
    int64_t count               = scry__array_count(j.x) / j.d;
    double  u = verdict->unit, last = gamma_of((double)count + 2, u);
    for (int64_t row = 0; row < count; row++) judge_row(&j, row);
    for (int64_t i = 0; i < j.d; i++) {
        double error = j.weight_error[i] + last * (j.weight_size[i] + j.weight_error[i]);
        scry__gradient_judge(plan, verdict, d_weight, i, j.d_weight[i], error);
        scry__gradient_judge(plan, verdict, d_bias, i, j.d_bias[i],
                             count > 1 ? gamma_of((double)count, u) * j.bias_size[i] : 0);
    }
    scry__free(j.work);
}

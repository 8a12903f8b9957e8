/* Cases of norm. Bounds, for a device that centres before it squares:
 * mean       gamma(d + 1) * sum |x| / d                                        =: m
 * centred    c = x - mean: m + u |c|
 * denominator, relative: half that of the mean square (gamma(d + 2), and 2 |c| times c's error), and the root's
 * result     |w| / denominator * (c's error) + |c w / denominator| * (the denominator's + 4 u) + 2 u |result| */
#include "cases/norm_bounds.h"

#include "base/alloc.h"
#include "cases/bounds.h"
#include "cases/judge.h"

enum { P = SCRY__PADDED, S = SCRY__SWAPPED, X = SCRY__SPACED };

static const struct row {
    const char    *name;
    scry_norm_kind kind;
    int            rank;
    int64_t        shape[SCRY_MAX_RANK];
    bool           weight, bias, scale, in_place, special, bare;
    scry_dtype     dtype, bias_dtype; /* of weight and bias */
    float          weight_offset, epsilon;
    double         mean, deviation; /* of x; deviation 0: 1 */
    unsigned       x, out;
    scry__tier     tier;
    bool           benchmark;
} rows[] = {
    {.name = "norm/layer", .rank = 2, .shape = {33, 65}, .weight = true, .bias = true, .scale = true},
    {.name = "norm/layer-bare", .rank = 2, .shape = {33, 65}},
    {.name = "norm/layer-no-bias", .rank = 2, .shape = {9, 257}, .weight = true},
    {.name = "norm/layer-rank-3", .rank = 3, .shape = {2, 17, 31}, .weight = true, .bias = true, .scale = true},
    {.name = "norm/layer-one-row", .rank = 1, .shape = {1023}, .weight = true, .bias = true},
    {.name = "norm/layer-one-entry", .rank = 2, .shape = {3, 1}, .weight = true, .bias = true, .epsilon = 1e-5f},
    {.name = "norm/layer-no-rows", .rank = 2, .shape = {0, 65}, .weight = true},
    {.name = "norm/layer-far-mean", .rank = 2, .shape = {9, 129}, .weight = true, .bias = true, .mean = 100},
    {.name      = "norm/layer-constant",
     .rank      = 2,
     .shape     = {9, 64},
     .bias      = true,
     .weight    = true,
     .mean      = 2,
     .deviation = 1e-30,
     .epsilon   = 1e-5f},
    {.name = "norm/layer-small", .rank = 2, .shape = {9, 64}, .weight = true, .deviation = 1e-4, .epsilon = 1e-5f},
    {.name = "norm/layer-large", .rank = 2, .shape = {9, 64}, .weight = true, .deviation = 1e4},
    {.name = "norm/layer-in-place", .rank = 2, .shape = {17, 65}, .weight = true, .bias = true, .in_place = true},
    {.name = "norm/layer-padded", .rank = 3, .shape = {3, 5, 33}, .weight = true, .scale = true, .x = P, .out = P},
    {.name = "norm/layer-spaced", .rank = 2, .shape = {5, 33}, .weight = true, .bias = true, .x = X, .out = X},
    {.name       = "norm/layer-bf16",
     .rank       = 2,
     .shape      = {9, 65},
     .weight     = true,
     .bias       = true,
     .dtype      = SCRY_BF16,
     .bias_dtype = SCRY_BF16},
    {.name       = "norm/layer-f16",
     .rank       = 2,
     .shape      = {9, 65},
     .weight     = true,
     .bias       = true,
     .dtype      = SCRY_F16,
     .bias_dtype = SCRY_F16},
    {.name       = "norm/layer-f16-64",
     .rank       = 2,
     .shape      = {9, 64},
     .weight     = true,
     .bias       = true,
     .dtype      = SCRY_F16,
     .bias_dtype = SCRY_BF16},
    {.name = "norm/layer-bf16-bias-f32", .rank = 2, .shape = {9, 65}, .weight = true, .bias = true, .dtype = SCRY_BF16},
    {.name = "norm/rms", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {33, 65}, .weight = true, .scale = true},
    {.name = "norm/rms-bare", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {33, 65}},
    {.name          = "norm/rms-offset-weight",
     .kind          = SCRY_NORM_RMS,
     .rank          = 2,
     .shape         = {33, 65},
     .weight        = true,
     .weight_offset = 1,
     .epsilon       = 1e-6f},
    {.name          = "norm/rms-offset-weight-bf16",
     .kind          = SCRY_NORM_RMS,
     .rank          = 2,
     .shape         = {33, 65},
     .weight        = true,
     .dtype         = SCRY_BF16,
     .weight_offset = 1,
     .epsilon       = 1e-6f},
    {.name = "norm/rms-bias", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {5, 65}, .weight = true, .bias = true},
    {.name = "norm/rms-heads", .kind = SCRY_NORM_RMS, .rank = 4, .shape = {2, 9, 3, 16}, .weight = true, .scale = true},
    {.name   = "norm/rms-heads-swapped",
     .kind   = SCRY_NORM_RMS,
     .rank   = 4,
     .shape  = {2, 9, 3, 16},
     .weight = true,
     .x      = S,
     .out    = S | P},
    {.name     = "norm/rms-in-place",
     .kind     = SCRY_NORM_RMS,
     .rank     = 3,
     .shape    = {2, 9, 257},
     .weight   = true,
     .in_place = true,
     .scale    = true},
    {.name      = "norm/rms-zero",
     .kind      = SCRY_NORM_RMS,
     .rank      = 2,
     .shape     = {3, 64},
     .deviation = 1e-30,
     .epsilon   = 1e-6f,
     .weight    = true},
    {.name = "norm/layer-special", .rank = 2, .shape = {9, 65}, .weight = true, .bias = true, .special = true},
    {.name    = "norm/rms-special",
     .kind    = SCRY_NORM_RMS,
     .rank    = 2,
     .shape   = {9, 65},
     .weight  = true,
     .scale   = true,
     .special = true},
    {.name = "norm/none", .kind = SCRY_NORM_NONE, .rank = 2, .shape = {9, 65}, .scale = true},
    {.name = "norm/none-in-place", .kind = SCRY_NORM_NONE, .rank = 2, .shape = {9, 65}, .in_place = true},
    {.name = "norm/layer-32", .rank = 2, .shape = {31, 32}, .weight = true, .bias = true},
    {.name = "norm/rms-1024", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {3, 1024}, .weight = true, .scale = true},
    {.name = "norm/layer-1025", .rank = 2, .shape = {3, 1025}, .weight = true, .bias = true, .scale = true},
    {.name = "norm/layer-2", .rank = 2, .shape = {33, 2}, .weight = true, .scale = true},
    {.name = "norm/rms-3", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {33, 3}, .weight = true, .scale = true},
    {.name    = "norm/bare",
     .kind    = SCRY_NORM_RMS,
     .rank    = 2,
     .shape   = {17, 33},
     .weight  = true,
     .scale   = true,
     .epsilon = 1e-30f,
     .bare    = true},
    {.name      = "norm/rms-wide",
     .kind      = SCRY_NORM_RMS,
     .rank      = 2,
     .shape     = {9, 64},
     .weight    = true,
     .scale     = true,
     .deviation = 1e6},
    {.name = "norm/layer-wide", .rank = 2, .shape = {9, 64}, .weight = true, .scale = true, .deviation = 1e6},
    {.name = "norm/rms-20011", .kind = SCRY_NORM_RMS, .rank = 2, .shape = {2, 20011}, .weight = true, .scale = true},
    {.name   = "norm/layer-past-65535-rows",
     .rank   = 2,
     .shape  = {70001, 3},
     .weight = true,
     .bias   = true,
     .scale  = true,
     .tier   = SCRY__TIER_FULL},
    {.name   = "norm/rms-past-65535-heads",
     .kind   = SCRY_NORM_RMS,
     .rank   = 4,
     .shape  = {2, 5, 7001, 4},
     .weight = true,
     .tier   = SCRY__TIER_FULL},
    {.name   = "norm/layer-past-128-MiB",
     .rank   = 2,
     .shape  = {9001, 4096},
     .weight = true,
     .bias   = true,
     .tier   = SCRY__TIER_FULL},
    {.name = "norm/layer-1000003", .rank = 2, .shape = {2, 1000003}, .weight = true, .tier = SCRY__TIER_FULL},
    {.name   = "norm/1024x12x64",
     .kind   = SCRY_NORM_RMS,
     .rank   = 3,
     .shape  = {1024, 12, 64},
     .weight = true,
     .tier   = SCRY__TIER_FULL},
    {.name      = "norm/gpt2",
     .rank      = 2,
     .shape     = {1024, 768},
     .weight    = true,
     .bias      = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "norm/llama",
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

static void add_parameters(scry__plan *plan, const struct row *row)
{
    scry_norm_parameters *parameters = &plan->op.norm.parameters;
    const int64_t        *size       = &row->shape[row->rank - 1];
    parameters->kind                 = row->kind;
    parameters->weight_offset        = row->weight_offset;
    parameters->epsilon              = row->epsilon > 0 ? row->epsilon : 1e-5f;
    if (row->weight)
        scry__array_fill_usual(
            plan, scry__plan_add(plan, &parameters->weight, "weight", SCRY__INPUT, row->dtype, 0, 1, size));
    if (row->bias)
        scry__array_fill_usual(
            plan, scry__plan_add(plan, &parameters->bias, "bias", SCRY__INPUT, row->bias_dtype, 0, 1, size));
}

/* Entries of one magnitude in each row: scale is that, and out the weight with x's sign. */
static void fill_alike(scry__array *x)
{
    int64_t d = x->view.shape[x->view.rank - 1];
    for (int64_t e = 0; e < scry__array_count(x); e++)
        scry__array_set(x, e, copysign(scry__array_get(x, e / d * d), scry__array_get(x, e)));
}

static void build(scry__plan *plan, int index)
{
    const struct row *row = &rows[index];
    scry_norm        *op  = &plan->op.norm;
    scry__array      *x   = scry__plan_add(plan, &op->x, "x", SCRY__INPUT, SCRY_F32, row->x, row->rank, row->shape);
    scry__array_fill_normal(plan, x, row->mean, row->deviation > 0 ? row->deviation : 1);
    if (row->special) scry__array_fill_specials(x, 3 * row->shape[1]);
    if (row->bare) fill_alike(x);
    plan->bare = row->bare;
    plan->wide = row->deviation >= 1e6;
    add_parameters(plan, row);
    if (row->in_place)
        scry__plan_add_in_place(plan, &op->out, "out", x);
    else
        scry__plan_add(plan, &op->out, "out", SCRY__OUTPUT, SCRY_F32, row->out, row->rank, row->shape);
    if (row->scale) scry__plan_add(plan, &op->scale, "scale", SCRY__OUTPUT, SCRY_F32, 0, row->rank - 1, row->shape);
}

const scry__case_table scry__norm_table = {SCRY_OP_NORM, sizeof rows / sizeof *rows, describe, build};

void scry__norm_row_bounds(scry__norm_row *row, const scry_norm_parameters *parameters, const double *x,
                           const double *weight, const double *bias, int64_t d, double u)
{
    double n = (double)d, mean = 0, magnitude = 0, square = 0, square_error = 0;
    bool   layer = parameters->kind == SCRY_NORM_LAYER;
    for (int64_t i = 0; i < d; i++) {
        mean += layer ? x[i] / n : 0;
        magnitude += layer ? fabs(x[i]) / n : 0;
        row->values[i] = x[i];
        row->errors[i] = 0;
    }
    row->denominator       = 1;
    row->denominator_error = 0;
    if (parameters->kind == SCRY_NORM_NONE) return;

    double mean_error = layer ? gamma_of(n + 1, u) * magnitude : 0;
    for (int64_t i = 0; i < d; i++) {
        double c = x[i] - mean, error = layer ? mean_error + u * fabs(c) : 0;
        square += c * c / n;
        square_error += error * (2 * fabs(c) + error) / n;
        row->values[i] = c;
        row->errors[i] = error;
    }
    square_error += gamma_of(n + 2, u) * square;
    row->denominator       = sqrt(square + parameters->epsilon);
    row->denominator_error = square_error / (2 * (square + parameters->epsilon)) + SCRY__ROOT_ERROR * u;
    for (int64_t i = 0; i < d; i++) {
        double factor = (weight ? weight[i] + parameters->weight_offset : 1) / row->denominator;
        double result = row->values[i] * factor, last = bias ? bias[i] : 0;
        row->errors[i] = fabs(factor) * row->errors[i] + fabs(result) * (row->denominator_error + gamma_of(4, u)) +
                         2 * u * (fabs(result) + fabs(last)) + SCRY__TINY * (1 + fabs(factor));
        row->values[i] = result + last;
    }
}

static double *read_all(const scry__array *operand, double *into, int64_t count)
{
    if (!operand) return NULL;
    for (int64_t i = 0; i < count; i++) into[i] = scry__array_get(operand, i);
    return into;
}

void scry__judge_norm(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_norm            *op         = &plan->op.norm;
    const scry_norm_parameters *parameters = &op->parameters;
    const scry__array          *x = scry__plan_find(plan, &op->x), *out = scry__plan_find(plan, &op->out);
    const scry__array          *scale = scry__plan_find(plan, &op->scale);
    int64_t                     d = op->x.shape[op->x.rank - 1], count = scry__array_count(x) / d;
    double                     *work = scry__alloc((size_t)d * 5, sizeof *work);
    if (!work) {
        scry__verdict_fail(verdict, "no memory to judge with");
        return;
    }
    double *weight = read_all(scry__plan_find(plan, &parameters->weight), work, d);
    double *bias   = read_all(scry__plan_find(plan, &parameters->bias), work + d, d);
    for (int64_t r = 0; r < count; r++) {
        scry__norm_row row = {.values = work + 3 * d, .errors = work + 4 * d};
        for (int64_t i = 0; i < d; i++) work[2 * d + i] = scry__array_get(x, r * d + i);
        scry__norm_row_bounds(&row, parameters, work + 2 * d, weight, bias, d, verdict->unit);
        for (int64_t i = 0; i < d; i++) scry__verdict_result(verdict, out, r * d + i, row.values[i], row.errors[i]);
        scry__verdict_result(verdict, scale, r, row.denominator,
                             row.denominator * (row.denominator_error + gamma_of(1, verdict->unit)));
    }
    scry__free(work);
}

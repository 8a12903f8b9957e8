/* Cases of activation. Bounds follow the formula that op.h gives, with the allowed error of each elementary function,
 * so a device may lose relative accuracy where 1 + erf or 1 + tanh cancels, but no more than that. */
#include "cases/activation_bounds.h"
#include "cases/bounds.h"
#include "cases/judge.h"

static const struct row {
    const char          *name;
    scry_activation_kind function;
    bool                 gated, special;
    int                  rank;
    int64_t              shape[SCRY_MAX_RANK];
    unsigned             layout;
    int                  in_place; /* 1: on x, 2: on gated */
    double               deviation;
    scry__tier           tier;
    bool                 benchmark;
} rows[] = {
    {.name = "activation/gelu-erf", .function = SCRY_GELU_ERF, .rank = 2, .shape = {33, 65}},
    {.name = "activation/gelu-erf-wide", .function = SCRY_GELU_ERF, .rank = 2, .shape = {33, 65}, .deviation = 8},
    {.name = "activation/gelu-tanh", .function = SCRY_GELU_TANH, .rank = 2, .shape = {33, 65}},
    {.name = "activation/gelu-tanh-wide", .function = SCRY_GELU_TANH, .rank = 2, .shape = {33, 65}, .deviation = 8},
    {.name = "activation/silu", .function = SCRY_SILU, .rank = 2, .shape = {33, 65}},
    {.name = "activation/silu-wide", .function = SCRY_SILU, .rank = 2, .shape = {33, 65}, .deviation = 40},
    {.name = "activation/relu", .function = SCRY_RELU, .rank = 2, .shape = {33, 65}},
    {.name = "activation/gelu-erf-special", .function = SCRY_GELU_ERF, .rank = 1, .shape = {257}, .special = true},
    {.name = "activation/gelu-tanh-special", .function = SCRY_GELU_TANH, .rank = 1, .shape = {257}, .special = true},
    {.name = "activation/silu-special", .function = SCRY_SILU, .rank = 1, .shape = {257}, .special = true},
    {.name = "activation/relu-special", .function = SCRY_RELU, .rank = 1, .shape = {257}, .special = true},
    {.name = "activation/none", .function = SCRY_SILU, .rank = 2, .shape = {0, 65}},
    {.name = "activation/one", .function = SCRY_GELU_TANH, .rank = 1, .shape = {1}},
    {.name = "activation/in-place", .function = SCRY_GELU_TANH, .rank = 2, .shape = {31, 257}, .in_place = 1},
    {.name = "activation/padded", .function = SCRY_SILU, .rank = 3, .shape = {3, 5, 33}, .layout = SCRY__PADDED},
    {.name = "activation/gated-silu", .function = SCRY_SILU, .gated = true, .rank = 2, .shape = {33, 65}},
    {.name = "activation/gated-gelu-tanh", .function = SCRY_GELU_TANH, .gated = true, .rank = 2, .shape = {33, 65}},
    {.name = "activation/gated-gelu-erf", .function = SCRY_GELU_ERF, .gated = true, .rank = 2, .shape = {33, 65}},
    {.name = "activation/gated-relu", .function = SCRY_RELU, .gated = true, .rank = 2, .shape = {33, 65}},
    {.name     = "activation/gated-on-x",
     .function = SCRY_SILU,
     .gated    = true,
     .rank     = 2,
     .shape    = {33, 65},
     .in_place = 1},
    {.name     = "activation/gated-on-gated",
     .function = SCRY_SILU,
     .gated    = true,
     .rank     = 2,
     .shape    = {33, 65},
     .in_place = 2},
    {.name     = "activation/gated-padded",
     .function = SCRY_SILU,
     .gated    = true,
     .rank     = 2,
     .shape    = {31, 33},
     .layout   = SCRY__PADDED},
    {.name = "activation/32", .function = SCRY_GELU_TANH, .rank = 1, .shape = {32}},
    {.name = "activation/1025", .function = SCRY_SILU, .gated = true, .rank = 2, .shape = {1, 1025}},
    {.name = "activation/relu-wide", .function = SCRY_RELU, .rank = 2, .shape = {33, 65}, .deviation = 1e6},
    {.name     = "activation/past-65535-rows",
     .function = SCRY_GELU_ERF,
     .gated    = true,
     .rank     = 2,
     .shape    = {70001, 3},
     .layout   = SCRY__PADDED,
     .tier     = SCRY__TIER_FULL},
    {.name     = "activation/past-128-MiB",
     .function = SCRY_GELU_TANH,
     .rank     = 2,
     .shape    = {34003, 1009},
     .in_place = 1,
     .tier     = SCRY__TIER_FULL},
    {.name      = "activation/gpt2",
     .function  = SCRY_GELU_TANH,
     .rank      = 2,
     .shape     = {1024, 3072},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "activation/llama",
     .function  = SCRY_SILU,
     .gated     = true,
     .rank      = 2,
     .shape     = {1024, 5632},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name     = "activation/1024x768-spaced",
     .function = SCRY_SILU,
     .rank     = 2,
     .shape    = {1024, 768},
     .layout   = SCRY__SPACED,
     .tier     = SCRY__TIER_FULL},
};

static scry__case describe(int row)
{
    return (scry__case){.name = rows[row].name, .tier = rows[row].tier, .benchmark = rows[row].benchmark};
}

static void build(scry__plan *plan, int index)
{
    const struct row *row   = &rows[index];
    scry_activation  *op    = &plan->op.activation;
    scry__array      *on[3] = {0};
    op->function            = row->function;
    plan->wide              = row->deviation >= 1e6;
    plan->bare              = row->function == SCRY_RELU && !row->gated && !row->special;
    on[1] = scry__plan_add(plan, &op->x, "x", SCRY__INPUT, SCRY_F32, row->layout, row->rank, row->shape);
    scry__array_fill_normal(plan, on[1], 0, row->deviation > 0 ? row->deviation : 2);
    for (int64_t i = 0; row->special && i < scry__array_count(on[1]); i += 5)
        scry__array_set(on[1], i, i % 2 ? INFINITY : (double)NAN);
    if (row->gated) {
        on[2] = scry__plan_add(plan, &op->gated, "gated", SCRY__INPUT, SCRY_F32, row->layout, row->rank, row->shape);
        scry__array_fill_normal(plan, on[2], 0, 1);
    }
    /* Places where formulas change their behaviour. */
    static const double landmarks[] = {0.,    -0.,  1e-30, -1e-30, 1e-4,  -1e-4, 20.,   -20., -5.5, 87.2,
                                       -87.2, 100., -100., 1e13,   -1e13, 1e20,  -1e20, 3e38, -3e38};
    for (int64_t i = 0; i < scry__array_count(on[1]) && i < (int64_t)(sizeof landmarks / sizeof *landmarks); i++)
        if (row->deviation > 0) scry__array_set(on[1], i, landmarks[i]);
    if (row->in_place)
        scry__plan_add_in_place(plan, &op->out, "out", on[row->in_place]);
    else
        scry__plan_add(plan, &op->out, "out", SCRY__OUTPUT, SCRY_F32, row->layout, row->rank, row->shape);
}

const scry__case_table scry__activation_table = {SCRY_OP_ACTIVATION, sizeof rows / sizeof *rows, describe, build};

/* Absolute error of x/2 (1 + f(y)), where f(y) has an error of `error` and moves by `slope` per relative change of y.
 */
static double gelu_error(double x, double f, double error, double slope, double u)
{
    return fabs(x) / 2 * (error + slope + gamma_of(3, u) * (1 + f));
}

double scry__activation_error(scry_activation_kind function, double x, double u)
{
    double y;
    switch (function) {
    case SCRY_GELU_ERF:
        y = x / M_SQRT2;
        return gelu_error(x, erf(y), SCRY__ERF_ERROR * u, 2 * u * fabs(y) * M_2_SQRTPI * exp(-y * y), u);
    case SCRY_GELU_TANH:
        y = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
        return gelu_error(x, tanh(y), SCRY__TANH_ERROR * u * fabs(tanh(y)),
                          gamma_of(6, u) * fabs(y) / (cosh(y) * cosh(y)), u);
    case SCRY_SILU: {
        /* Of 1 + exp(-x), exp's error counts by its share. */
        double share = 1 / (1 + exp(x));
        return fabs(x) * ((1 - share) * (share * exp_error(x, u) + 8 * u) + SCRY__TINY);
    }
    default:
        return 0;
    }
}

double scry__activation_value(scry_activation_kind function, double x)
{
    switch (function) {
    case SCRY_GELU_ERF:
        return x / 2 * (1 + erf(x / M_SQRT2));
    case SCRY_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case SCRY_SILU:
        return x / (1 + exp(-x));
    default:
        return fmax(x, 0);
    }
}

void scry__judge_activation(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_activation *op = &plan->op.activation;
    const scry__array     *x = scry__plan_find(plan, &op->x), *gated = scry__plan_find(plan, &op->gated);
    const scry__array     *out = scry__plan_find(plan, &op->out);
    double                 u   = verdict->unit;
    for (int64_t e = 0; e < scry__array_count(out); e++) {
        double value = scry__array_get(x, e), factor = gated ? scry__array_get(gated, e) : 1;
        double error = scry__activation_error(op->function, value, u) * fabs(factor);
        double last  = gamma_of(1, u) * fabs(scry__activation_value(op->function, value) * factor);
        bool   exact = op->function == SCRY_RELU && !gated;
        scry__verdict_value(verdict, out, e, exact ? 0 : error + last + SCRY__TINY * fmax(1, fabs(factor)));
    }
}

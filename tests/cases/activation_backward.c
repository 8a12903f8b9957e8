/* Cases of activation_backward. With f of error e (activation_bounds.h) and f' of error e', d_gated = d_out f is off by
 * |d_out| e and d_x = d_out f' gated by |d_out gated| e', and both by the roundings of their products. e' follows the
 * formulas of f', with the allowed error of each elementary function:
 *     gelu, erf    phi + x density: that of erf, of its argument, and of exp(-x^2 / 2)
 *     gelu, tanh   (1 + t)/2 + (1 - t^2) w, w = x y'/2: t's error (of tanh, and 6 roundings of its argument) counts
 *                  1/2 + 2 |t w|, as 1 - t^2 cancels where t is near 1
 *     silu         s + x s (1 - s): s's error counts 1 + |x|, as 1 - s may cancel in the same way
 *     relu         none */
#include "cases/activation_bounds.h"
#include "cases/bounds.h"
#include "cases/gradients.h"

/* Which gradients are asked for; 0: all that there are. */
enum { D_X = 1, D_GATED = 2 };

static const struct row {
    const char          *name;
    scry_activation_kind function;
    bool                 gated, in_place, accumulate, bare, nans;
    int                  outputs;
    int                  rank;
    int64_t              shape[SCRY_MAX_RANK];
    unsigned             layout;
    double               deviation; /* of x; 0: 2 */
    scry__tier           tier;
    bool                 benchmark;
} rows[] = {
    {.name = "activation_backward/gelu-erf", .function = SCRY_GELU_ERF, .rank = 2, .shape = {33, 65}},
    {.name      = "activation_backward/gelu-erf-wide",
     .function  = SCRY_GELU_ERF,
     .rank      = 2,
     .shape     = {33, 65},
     .deviation = 8},
    {.name = "activation_backward/gelu-tanh", .function = SCRY_GELU_TANH, .rank = 2, .shape = {33, 65}},
    {.name      = "activation_backward/gelu-tanh-wide",
     .function  = SCRY_GELU_TANH,
     .rank      = 2,
     .shape     = {33, 65},
     .deviation = 8},
    {.name = "activation_backward/silu", .function = SCRY_SILU, .rank = 2, .shape = {33, 65}},
    {.name = "activation_backward/silu-wide", .function = SCRY_SILU, .rank = 2, .shape = {33, 65}, .deviation = 40},
    {.name = "activation_backward/relu", .function = SCRY_RELU, .rank = 2, .shape = {33, 65}, .bare = true},
    {.name      = "activation_backward/relu-wide",
     .function  = SCRY_RELU,
     .rank      = 2,
     .shape     = {33, 65},
     .deviation = 1e6,
     .bare      = true},
    {.name = "activation_backward/gelu-erf-nans", .function = SCRY_GELU_ERF, .rank = 1, .shape = {257}, .nans = true},
    {.name = "activation_backward/gelu-tanh-nans", .function = SCRY_GELU_TANH, .rank = 1, .shape = {257}, .nans = true},
    {.name     = "activation_backward/gated-silu-nans",
     .function = SCRY_SILU,
     .gated    = true,
     .rank     = 1,
     .shape    = {257},
     .nans     = true},
    {.name = "activation_backward/none", .function = SCRY_SILU, .rank = 2, .shape = {0, 65}},
    {.name = "activation_backward/one", .function = SCRY_GELU_TANH, .rank = 1, .shape = {1}},
    {.name     = "activation_backward/in-place",
     .function = SCRY_GELU_TANH,
     .rank     = 2,
     .shape    = {31, 257},
     .in_place = true},
    {.name       = "activation_backward/accumulate",
     .function   = SCRY_GELU_ERF,
     .rank       = 2,
     .shape      = {31, 33},
     .accumulate = true},
    {.name     = "activation_backward/padded",
     .function = SCRY_SILU,
     .rank     = 3,
     .shape    = {3, 5, 33},
     .layout   = SCRY__PADDED},
    {.name = "activation_backward/gated-silu", .function = SCRY_SILU, .gated = true, .rank = 2, .shape = {33, 65}},
    {.name     = "activation_backward/gated-gelu-tanh",
     .function = SCRY_GELU_TANH,
     .gated    = true,
     .rank     = 2,
     .shape    = {33, 65}},
    {.name     = "activation_backward/gated-gelu-erf",
     .function = SCRY_GELU_ERF,
     .gated    = true,
     .rank     = 2,
     .shape    = {33, 65}},
    {.name = "activation_backward/gated-relu", .function = SCRY_RELU, .gated = true, .rank = 2, .shape = {33, 65}},
    {.name     = "activation_backward/gated-in-place",
     .function = SCRY_SILU,
     .gated    = true,
     .in_place = true,
     .rank     = 2,
     .shape    = {33, 65}},
    {.name       = "activation_backward/gated-accumulate",
     .function   = SCRY_SILU,
     .gated      = true,
     .accumulate = true,
     .rank       = 2,
     .shape      = {33, 65}},
    {.name     = "activation_backward/gated-d_x-only",
     .function = SCRY_SILU,
     .gated    = true,
     .outputs  = D_X,
     .rank     = 2,
     .shape    = {9, 65}},
    {.name     = "activation_backward/gated-d_gated-only",
     .function = SCRY_GELU_TANH,
     .gated    = true,
     .outputs  = D_GATED,
     .rank     = 2,
     .shape    = {9, 65}},
    {.name     = "activation_backward/gated-padded",
     .function = SCRY_SILU,
     .gated    = true,
     .rank     = 2,
     .shape    = {31, 33},
     .layout   = SCRY__PADDED},
    {.name     = "activation_backward/gated-transposed",
     .function = SCRY_GELU_ERF,
     .gated    = true,
     .rank     = 2,
     .shape    = {31, 33},
     .layout   = SCRY__TRANSPOSED},
    {.name = "activation_backward/32", .function = SCRY_GELU_TANH, .rank = 1, .shape = {32}},
    {.name = "activation_backward/1025", .function = SCRY_SILU, .gated = true, .rank = 2, .shape = {1, 1025}},
    {.name     = "activation_backward/past-65535-rows",
     .function = SCRY_GELU_ERF,
     .gated    = true,
     .rank     = 2,
     .shape    = {70001, 3},
     .layout   = SCRY__PADDED,
     .tier     = SCRY__TIER_FULL},
    {.name      = "activation_backward/gpt2",
     .function  = SCRY_GELU_TANH,
     .rank      = 2,
     .shape     = {1024, 3072},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "activation_backward/llama",
     .function  = SCRY_SILU,
     .gated     = true,
     .rank      = 2,
     .shape     = {1024, 5632},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name     = "activation_backward/1024x768-spaced",
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

static scry__array *add_input(scry__plan *plan, scry_tensor *tensor, const char *name, const struct row *row,
                              double deviation)
{
    scry__array *input = scry__plan_add(plan, tensor, name, SCRY__INPUT, SCRY_F32, row->layout, row->rank, row->shape);
    scry__array_fill_normal(plan, input, 0, deviation);
    return input;
}

static void build(scry__plan *plan, int index)
{
    const struct row         *row     = &rows[index];
    scry_activation_backward *op      = &plan->op.activation_backward;
    int                       outputs = row->outputs ? row->outputs : D_X | (row->gated ? D_GATED : 0);
    op->function                      = row->function;
    op->accumulate                    = row->accumulate;
    plan->bare                        = row->bare;
    plan->wide                        = row->deviation >= 1e6;
    scry__array *x                    = add_input(plan, &op->x, "x", row, row->deviation > 0 ? row->deviation : 2);
    if (row->gated) add_input(plan, &op->gated, "gated", row, 1);
    scry__array *d_out = add_input(plan, &op->d_out, "d_out", row, plan->wide ? row->deviation : 1);
    /* Places where formulas change their behaviour. */
    static const double landmarks[] = {0.,  -0.,  1e-30, -1e-30, 1e-4, -1e-4, 20.,  -20.,
                                       5.5, -5.5, 87.2,  -87.2,  100., -100., 1e13, -1e13};
    for (int64_t i = 0; i < scry__array_count(x) && i < (int64_t)(sizeof landmarks / sizeof *landmarks); i++)
        if (row->deviation > 0) scry__array_set(x, i, landmarks[i]);
    for (int64_t i = 0; row->nans && i < scry__array_count(x); i += 5)
        scry__array_set(i % 2 ? x : d_out, i, (double)NAN);
    if (outputs & D_X && row->in_place)
        scry__plan_add_in_place(plan, &op->d_x, "d_x", d_out);
    else if (outputs & D_X)
        scry__gradient_add(plan, &op->d_x, "d_x", row->accumulate, row->layout, row->rank, row->shape);
    if (outputs & D_GATED)
        scry__gradient_add(plan, &op->d_gated, "d_gated", row->accumulate, row->layout, row->rank, row->shape);
}

const scry__case_table scry__activation_backward_table = {SCRY_OP_ACTIVATION_BACKWARD, sizeof rows / sizeof *rows,
                                                          describe, build};

/* f'(x), and the bound of its absolute error. */
static double slope_of(scry_activation_kind function, double x, double u, double *error)
{
    switch (function) {
    case SCRY_GELU_ERF: {
        double y = x / M_SQRT2, share = (1 + erf(y)) / 2, bend = x * exp(-x * x / 2) / sqrt(2 * M_PI);
        double argument = 2 * u * fabs(y) * M_2_SQRTPI / 2 * exp(-y * y);
        *error = SCRY__ERF_ERROR / 2 * u + argument + fabs(bend) * (exp_error(x * x / 2, u) + 3 * u * x * x / 2) +
                 gamma_of(6, u) * (share + fabs(bend)) + (1 + fabs(x)) * SCRY__TINY;
        return share + bend;
    }
    case SCRY_GELU_TANH: {
        double y = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x), t = tanh(y), square = 1 / (cosh(y) * cosh(y));
        double w    = x / 2 * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
        double blur = SCRY__TANH_ERROR * u * fabs(t) + (square > 0 ? gamma_of(6, u) * fabs(y) * square : 0);
        double bend = square > 0 ? w * square : 0;
        *error      = blur / 2 + fabs(w) * (2 * fabs(t) * blur + 3 * u) + gamma_of(8, u) * (fabs(bend) + (1 + t) / 2);
        return (1 + t) / 2 + bend;
    }
    case SCRY_SILU: {
        double s = 1 / (1 + exp(-x)), rest = 1 / (1 + exp(x));
        double blur = s * (rest * exp_error(x, u) + 8 * u) + SCRY__TINY;
        *error = blur + fabs(x) * (blur * rest + (s + blur) * (blur + u)) + gamma_of(4, u) * (s + fabs(x) * s * rest);
        return s + x * s * rest;
    }
    default:
        *error = 0;
        return x > 0;
    }
}

void scry__judge_activation_backward(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_activation_backward *op = &plan->op.activation_backward;
    const scry__array              *x = scry__plan_find(plan, &op->x), *gated = scry__plan_find(plan, &op->gated);
    const scry__array              *d_out = scry__plan_find(plan, &op->d_out), *d_x = scry__plan_find(plan, &op->d_x);
    const scry__array              *d_gated = scry__plan_find(plan, &op->d_gated);
    double                          u       = verdict->unit;
    for (int64_t e = 0; e < scry__array_count(x); e++) {
        double at = scry__array_get(x, e), given = scry__array_get(d_out, e), error;
        double factor = gated ? given * scry__array_get(gated, e) : given;
        double slope = slope_of(op->function, at, u, &error), f = scry__activation_value(op->function, at);
        bool   exact = op->function == SCRY_RELU && !gated;
        error        = fabs(factor) * (error + gamma_of(3, u) * fabs(slope)) + SCRY__TINY * (2 + fabs(factor));
        scry__gradient_judge(plan, verdict, d_x, e, factor * slope, exact ? 0 : error);
        error = fabs(given) * (scry__activation_error(op->function, at, u) + gamma_of(2, u) * fabs(f)) +
                SCRY__TINY * (2 + fabs(given));
        scry__gradient_judge(plan, verdict, d_gated, e, given * f, error);
    }
}

/* Cases of adamw and sgd. Bounds: g by gamma(3) of its terms' magnitudes, moments by gamma(4) and gamma(6), the root as
 * bounds.h has it, and the step by gamma(8) besides; the parameter by its own rounding and that of the step. */
#include "cases/bounds.h"
#include "cases/judge.h"

enum { P = SCRY__PADDED };

/* One table serves both: what an op has no use for stays 0. */
struct row {
    const char *name;
    int64_t     count;
    float       rate, beta1, beta2, epsilon, decay, gradient_factor, momentum;
    int64_t     step;
    bool        nesterov, no_velocity, exact, bare, special;
    double      deviation; /* of the gradient; 0: 1 */
    unsigned    layout;
    scry__tier  tier;
    bool        benchmark;
};

static scry__array *add(scry__plan *plan, scry_tensor *tensor, const char *name, scry__role role, const struct row *row,
                        double deviation)
{
    scry__array *array = scry__plan_add(plan, tensor, name, role, SCRY_F32, row->layout, 1, SCRY__SHAPE(row->count));
    if (plan->exact)
        scry__array_fill_usual(plan, array);
    else
        scry__array_fill_normal(plan, array, 0, deviation);
    return array;
}

static double deviation_of(const struct row *row)
{
    return row->deviation > 0 ? row->deviation : 1;
}

/* --- adamw --- */

#define USUAL_ADAMW .rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .gradient_factor = 1

static const struct row adamw_rows[] = {
    {.name = "adamw/first-step", .count = 257, USUAL_ADAMW, .step = 1},
    {.name = "adamw/tenth-step", .count = 1025, USUAL_ADAMW, .step = 10},
    {.name = "adamw/late", .count = 65, USUAL_ADAMW, .step = 1000000000000},
    {.name = "adamw/decay", .count = 257, USUAL_ADAMW, .step = 3, .decay = 0.1f},
    {.name            = "adamw/clipped",
     .count           = 257,
     .rate            = 1e-3f,
     .beta1           = 0.9f,
     .beta2           = 0.95f,
     .epsilon         = 1e-8f,
     .gradient_factor = 0.037f,
     .step            = 7,
     .decay           = 0.1f},
    {.name            = "adamw/clipped-to-nothing",
     .count           = 257,
     .rate            = 0.5f,
     .beta1           = 0.5f,
     .beta2           = 0.5f,
     .epsilon         = 1,
     .gradient_factor = 0,
     .step            = 2},
    {.name            = "adamw/large-rate",
     .count           = 257,
     .rate            = 3,
     .beta1           = 0.5f,
     .beta2           = 0.75f,
     .epsilon         = 0.5f,
     .gradient_factor = 1,
     .step            = 2,
     .decay           = 0.25f},
    {.name            = "adamw/no-momentum",
     .count           = 257,
     .rate            = 0.1f,
     .beta2           = 0.9f,
     .epsilon         = 1e-6f,
     .gradient_factor = 1,
     .step            = 4},
    /* Each output is the gradient, its square, or a power of two times it but for a millionth. */
    {.name = "adamw/bare", .count = 257, .rate = 1, .epsilon = 0x1p20f, .gradient_factor = 1, .step = 1, .bare = true},
    {.name = "adamw/small", .count = 257, USUAL_ADAMW, .step = 5, .deviation = 1e-5},
    {.name = "adamw/wide", .count = 257, USUAL_ADAMW, .step = 5, .deviation = 1e6},
    {.name = "adamw/special", .count = 257, USUAL_ADAMW, .step = 5, .special = true},
    {.name = "adamw/padded", .count = 33, USUAL_ADAMW, .step = 2, .layout = P},
    {.name = "adamw/spaced", .count = 65, USUAL_ADAMW, .step = 2, .layout = SCRY__SPACED},
    {.name = "adamw/one", .count = 1, USUAL_ADAMW, .step = 2},
    {.name = "adamw/none", .count = 0, USUAL_ADAMW, .step = 2},
    {.name = "adamw/32", .count = 32, USUAL_ADAMW, .step = 2},
    {.name = "adamw/70001", .count = 70001, USUAL_ADAMW, .step = 6, .tier = SCRY__TIER_QUICK},
    {.name = "adamw/past-128-MiB", .count = 34000007, USUAL_ADAMW, .step = 6, .tier = SCRY__TIER_FULL},
    {.name  = "adamw/gpt2",
     .count = 768 * 3072,
     USUAL_ADAMW,
     .step      = 6,
     .decay     = 0.1f,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
};

static scry__case describe_adamw(int row)
{
    return (scry__case){
        .name = adamw_rows[row].name, .tier = adamw_rows[row].tier, .benchmark = adamw_rows[row].benchmark};
}

static void build_adamw(scry__plan *plan, int index)
{
    const struct row *row       = &adamw_rows[index];
    scry_adamw       *op        = &plan->op.adamw;
    double            deviation = deviation_of(row);
    plan->wide                  = row->deviation >= 1e6;
    plan->bare                  = row->bare;
    op->rate                    = row->rate;
    op->beta1                   = row->beta1;
    op->beta2                   = row->beta2;
    op->epsilon                 = row->epsilon;
    op->decay                   = row->decay;
    op->gradient_factor         = row->gradient_factor;
    op->step                    = row->step;
    scry__array *gradient       = add(plan, &op->gradient, "gradient", SCRY__INPUT, row, deviation);
    if (row->special) scry__array_fill_specials(gradient, 5);
    scry__array *parameter = add(plan, &op->parameter, "parameter", SCRY__UPDATED, row, 1);
    if (row->bare) scry__array_fill(parameter, 0);
    scry__array *first  = add(plan, &op->first, "first", SCRY__UPDATED, row, deviation / 2);
    scry__array *second = add(plan, &op->second, "second", SCRY__UPDATED, row, 1);
    for (int64_t i = 0; i < row->count; i++) {
        if (row->step == 1) scry__array_set(first, i, 0);
        double root = scry__array_get(second, i) * deviation;
        scry__array_set(second, i, row->step == 1 ? 0 : root * root);
    }
}

const scry__case_table scry__adamw_table = {SCRY_OP_ADAMW, sizeof adamw_rows / sizeof *adamw_rows, describe_adamw,
                                            build_adamw};

void scry__judge_adamw(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_adamw  *op       = &plan->op.adamw;
    const scry__array *gradient = scry__plan_find(plan, &op->gradient), *first = scry__plan_find(plan, &op->first);
    const scry__array *second = scry__plan_find(plan, &op->second), *parameter = scry__plan_find(plan, &op->parameter);
    double             u = verdict->unit, b1 = op->beta1, b2 = op->beta2;
    double             first_share = 1 - pow(b1, (double)op->step), second_share = 1 - pow(b2, (double)op->step);
    for (int64_t i = 0; i < scry__array_count(parameter); i++) {
        double g = (double)op->gradient_factor * scry__array_get(gradient, i), p = scry__array_get(parameter, i);
        double old = scry__array_get(first, i), m = b1 * old + (1 - b1) * g;
        double v       = b2 * scry__array_get(second, i) + (1 - b2) * g * g;
        double m_error = gamma_of(4, u) * (fabs(b1 * old) + fabs((1 - b1) * g)) + SCRY__TINY;
        double v_error = gamma_of(6, u) * v + SCRY__TINY;
        double root = sqrt(v / second_share), below = root + op->epsilon;
        double root_error = sqrt((v + v_error) / second_share) - sqrt(fmax(0, v - v_error) / second_share) +
                            SCRY__ROOT_ERROR * u * root;
        double step = m / first_share / below, decay = (double)op->decay * p, size = fabs(step) + fabs(decay);
        double step_error =
            root_error < below ? (m_error / first_share + fabs(step) * root_error) / (below - root_error) : INFINITY;
        scry__verdict_result(verdict, first, i, m, m_error);
        scry__verdict_result(verdict, second, i, v, v_error);
        scry__verdict_result(verdict, parameter, i, p - op->rate * (decay + step),
                             op->rate * (step_error + gamma_of(8, u) * size) + 3 * u * (fabs(p) + op->rate * size) +
                                 SCRY__TINY);
    }
}

/* --- sgd --- */

static const struct row sgd_rows[] = {
    {.name = "sgd/plain", .count = 257, .rate = 0.1f, .gradient_factor = 1, .no_velocity = true},
    {.name = "sgd/momentum", .count = 257, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f},
    {.name = "sgd/nesterov", .count = 1025, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f, .nesterov = true},
    {.name = "sgd/decay", .count = 257, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f, .decay = 0.01f},
    {.name = "sgd/decay-alone", .count = 257, .rate = 0.1f, .gradient_factor = 1, .decay = 0.01f, .no_velocity = true},
    {.name            = "sgd/clipped",
     .count           = 257,
     .rate            = 0.1f,
     .gradient_factor = 0.037f,
     .momentum        = 0.9f,
     .decay           = 0.01f,
     .nesterov        = true},
    {.name = "sgd/no-momentum", .count = 65, .rate = 0.1f, .gradient_factor = 1},
    {.name            = "sgd/lattice",
     .count           = 257,
     .rate            = 0.5f,
     .gradient_factor = 2,
     .momentum        = 0.5f,
     .decay           = 0.25f,
     .exact           = true},
    {.name            = "sgd/lattice-nesterov",
     .count           = 257,
     .rate            = 0.5f,
     .gradient_factor = -1,
     .momentum        = 0.5f,
     .nesterov        = true,
     .exact           = true},
    {.name = "sgd/bare", .count = 257, .rate = 1, .gradient_factor = 1, .no_velocity = true, .bare = true},
    {.name = "sgd/wide", .count = 257, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f, .deviation = 1e6},
    {.name = "sgd/special", .count = 257, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f, .special = true},
    {.name = "sgd/padded", .count = 33, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f, .layout = P},
    {.name = "sgd/spaced", .count = 65, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f, .layout = SCRY__SPACED},
    {.name = "sgd/one", .count = 1, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f},
    {.name = "sgd/none", .count = 0, .rate = 0.1f, .gradient_factor = 1, .momentum = 0.9f},
    {.name            = "sgd/70001",
     .count           = 70001,
     .rate            = 0.1f,
     .gradient_factor = 1,
     .momentum        = 0.9f,
     .tier            = SCRY__TIER_QUICK},
    {.name            = "sgd/gpt2",
     .count           = 768 * 3072,
     .rate            = 0.1f,
     .momentum        = 0.9f,
     .decay           = 0.01f,
     .tier            = SCRY__TIER_FULL,
     .benchmark       = true,
     .gradient_factor = 1},
};

static scry__case describe_sgd(int row)
{
    return (scry__case){.name = sgd_rows[row].name, .tier = sgd_rows[row].tier, .benchmark = sgd_rows[row].benchmark};
}

static void build_sgd(scry__plan *plan, int index)
{
    const struct row *row = &sgd_rows[index];
    scry_sgd         *op  = &plan->op.sgd;
    plan->exact           = row->exact;
    plan->bare            = row->bare;
    plan->wide            = row->deviation >= 1e6;
    op->rate              = row->rate;
    op->momentum          = row->momentum;
    op->decay             = row->decay;
    op->gradient_factor   = row->gradient_factor;
    op->nesterov          = row->nesterov;
    scry__array *gradient = add(plan, &op->gradient, "gradient", SCRY__INPUT, row, deviation_of(row));
    if (row->special) scry__array_fill_specials(gradient, 5);
    scry__array *parameter = add(plan, &op->parameter, "parameter", SCRY__UPDATED, row, 1);
    if (row->bare) scry__array_fill(parameter, 0);
    if (!row->no_velocity) add(plan, &op->velocity, "velocity", SCRY__UPDATED, row, deviation_of(row));
}

const scry__case_table scry__sgd_table = {SCRY_OP_SGD, sizeof sgd_rows / sizeof *sgd_rows, describe_sgd, build_sgd};

void scry__judge_sgd(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_sgd    *op        = &plan->op.sgd;
    const scry__array *gradient  = scry__plan_find(plan, &op->gradient),
                      *velocity  = scry__plan_find(plan, &op->velocity);
    const scry__array *parameter = scry__plan_find(plan, &op->parameter);
    double             u = verdict->unit, rate = op->rate, momentum = op->momentum;
    bool               exact = plan->exact || plan->bare;
    for (int64_t i = 0; i < scry__array_count(parameter); i++) {
        double p = scry__array_get(parameter, i), given = op->gradient_factor * scry__array_get(gradient, i);
        double decay = op->decay * p, g = given + decay, size = fabs(given) + fabs(decay), step = g;
        if (velocity) {
            double moved = momentum * scry__array_get(velocity, i);
            step         = moved + g;
            size += fabs(moved);
            scry__verdict_result(verdict, velocity, i, step, exact ? 0 : gamma_of(5, u) * size + SCRY__TINY);
            if (op->nesterov) {
                step = g + momentum * step;
                size *= 1 + momentum;
            }
        }
        double error = rate * gamma_of(8, u) * size + 2 * u * (fabs(p) + rate * size) + SCRY__TINY;
        scry__verdict_result(verdict, parameter, i, p - rate * step, exact ? 0 : error);
    }
}

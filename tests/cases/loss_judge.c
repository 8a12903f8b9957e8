/* Bounds of loss. A logit is W x scale + bias, capped: gamma(d + 4) sum |W||x| of the product, two roundings for what
 * is added, tanh's own; what that does to lse, probabilities and the divergence is row_bounds.c's matter. Then loss lse
 * - logit: both errors, and two roundings d_logit         factor (p - q) slope, with q 1 at the target or the
 * teacher's: the errors of both, of the slope 1 - t^2 (2 |t| times t's, and two roundings), and gamma(4) of the whole
 * d_x             |scale| (sum of d_logit's error |W| + gamma(V + 4) sum |d_logit W|); d_unembedding the same over rows
 *                 with x in place of W, and d_bias without either. */
#include "base/alloc.h"
#include "cases/bounds.h"
#include "cases/gradients.h"
#include "cases/row_bounds.h"

#include <string.h>

/* Of one row of logits, [V] each. */
enum { LOGITS, LOGIT_ERRORS, PROBABILITIES, ERRORS, LOG_ERRORS, SLOPES, SLOPE_ERRORS, ARRAYS };

struct reading {
    double           *arrays[ARRAYS];
    scry__softmax_row row;
};

struct judging {
    const scry__plan   *plan;
    scry__verdict      *verdict;
    const scry_loss    *op;
    const scry__array  *x, *bias, *target, *teacher;
    int64_t             T, d, V;
    double             *work, *weights, *entries; /* the unembedding [V, d]; a row of x [d] */
    struct reading      own, taught;
    scry__gradient_sum *d_x, *d_unembedding, *d_bias; /* [d], [V, d], [V] */
};

static double *lay(struct reading *reading, double *work, int64_t V)
{
    for (int i = 0; i < ARRAYS; i++) reading->arrays[i] = work + i * V;
    reading->row = (scry__softmax_row){.count         = V,
                                       .scores        = reading->arrays[LOGITS],
                                       .score_errors  = reading->arrays[LOGIT_ERRORS],
                                       .probabilities = reading->arrays[PROBABILITIES],
                                       .errors        = reading->arrays[ERRORS],
                                       .log_errors    = reading->arrays[LOG_ERRORS]};
    return work + ARRAYS * V;
}

static bool prepare(struct judging *j, const scry__plan *plan, scry__verdict *verdict)
{
    const scry_loss *op = &plan->op.loss;
    *j                  = (struct judging){.plan    = plan,
                                           .verdict = verdict,
                                           .op      = op,
                                           .x       = scry__plan_find(plan, &op->x),
                                           .bias    = scry__plan_find(plan, &op->bias),
                                           .target  = scry__plan_find(plan, &op->target),
                                           .teacher = scry__plan_find(plan, &op->teacher),
                                           .T       = op->x.shape[0],
                                           .d       = op->x.shape[1],
                                           .V       = op->unembedding.shape[0]};
    j->work             = scry__alloc((size_t)(2 * ARRAYS * j->V + j->V * j->d + j->d), sizeof *j->work);
    bool summed         = scry__plan_find(plan, &op->d_unembedding) || scry__plan_find(plan, &op->d_bias);
    j->d_x              = scry__alloc((size_t)(j->d + (summed ? j->V * (j->d + 1) : 0)), sizeof *j->d_x);
    if (!j->work || !j->d_x) return false;
    j->weights       = lay(&j->taught, lay(&j->own, j->work, j->V), j->V);
    j->entries       = j->weights + j->V * j->d;
    j->d_unembedding = summed ? j->d_x + j->d : NULL;
    j->d_bias        = summed ? j->d_unembedding + j->V * j->d : NULL;
    scry__gradient_read(scry__plan_find(plan, &op->unembedding), j->weights);
    return true;
}

static double scale_of(const scry_loss *op)
{
    return op->logit_scale != 0 ? op->logit_scale : 1;
}

/* Logits of row t of x (or of the teacher), with their bounds and what follows from them. */
static void read_row(struct judging *j, struct reading *reading, const scry__array *x, int64_t t)
{
    double u = j->verdict->unit, scale = scale_of(j->op), softcap = j->op->softcap;
    for (int64_t i = 0; i < j->d; i++) j->entries[i] = scry__array_get(x, t * j->d + i);
    for (int64_t v = 0; v < j->V; v++) {
        double dot = 0, size = 0, bias = j->bias ? scry__array_get(j->bias, v) : 0;
        for (int64_t i = 0; i < j->d; i++) {
            double product = j->weights[v * j->d + i] * j->entries[i];
            dot += product;
            size += fabs(product);
        }
        scry__capped logit = {.value = dot * scale + bias, .slope = 1};
        logit.error =
            gamma_of((double)j->d + 4, u) * size * fabs(scale) + 2 * u * (fabs(dot * scale) + fabs(bias)) + SCRY__TINY;
        if (softcap > 0) logit = scry__cap_bounds(logit.value, logit.error, softcap, u);
        reading->arrays[LOGITS][v]       = logit.value;
        reading->arrays[LOGIT_ERRORS][v] = logit.value == -INFINITY ? 0 : logit.error;
        reading->arrays[SLOPES][v]       = logit.slope;
        reading->arrays[SLOPE_ERRORS][v] = logit.slope_error;
    }
    scry__softmax_row_bounds(&reading->row, u);
}

/* What row t, which counts, adds to the sums. */
static void add_row(struct judging *j, int64_t target)
{
    const scry__softmax_row *p = &j->own.row, *q = j->teacher ? &j->taught.row : NULL;
    double                   u = j->verdict->unit, factor = j->op->factor;
    for (int64_t v = 0; v < j->V; v++) {
        double aim = q ? q->probabilities[v] : v == target, aim_error = q ? q->errors[v] : 0;
        double slope = j->own.arrays[SLOPES][v], slope_error = j->own.arrays[SLOPE_ERRORS][v];
        double between = p->probabilities[v] - aim, size = p->probabilities[v] + aim + p->errors[v] + aim_error;
        double given = factor * between * slope;
        double error = fabs(factor) * ((p->errors[v] + aim_error + u * fabs(between)) * slope + size * slope_error +
                                       gamma_of(4, u) * (fabs(between) + p->errors[v] + aim_error) * slope) +
                       2 * SCRY__TINY;
        for (int64_t i = 0; i < j->d; i++) scry__gradient_add_term(&j->d_x[i], given, error, j->weights[v * j->d + i]);
        for (int64_t i = 0; j->d_unembedding && i < j->d; i++)
            scry__gradient_add_term(&j->d_unembedding[v * j->d + i], given, error, j->entries[i]);
        if (j->d_bias) scry__gradient_add_term(&j->d_bias[v], given, error, 1);
    }
}

static void judge_loss(const struct judging *j, int64_t t, int64_t target)
{
    const scry__array *output = scry__plan_find(j->plan, &j->op->loss);
    double             u = j->verdict->unit, bound = 0, loss = 0;
    if (j->teacher) {
        loss = scry__divergence_of(&j->taught.row, &j->own.row, u, &bound);
    } else if (target >= 0) {
        double logit = j->own.arrays[LOGITS][target];
        loss         = j->own.row.lse - logit;
        bound =
            j->own.row.lse_error + j->own.arrays[LOGIT_ERRORS][target] + 2 * u * (fabs(j->own.row.lse) + fabs(logit));
    }
    double got = output ? scry__array_read(output, output->got, t) : 0;
    if (got < 0 && j->teacher)
        scry__verdict_fail(j->verdict, "loss: element %lld is %.9g: expected 0 or more", (long long)t, got);
    scry__verdict_result(j->verdict, output, t, loss, bound);
}

static void judge_sums(const struct judging *j, const scry_tensor *tensor, int64_t first,
                       const scry__gradient_sum *sums, int64_t count, double terms, double factor)
{
    const scry__array *output = scry__plan_find(j->plan, tensor);
    for (int64_t e = 0; sums && e < count; e++)
        scry__gradient_judge_sum(j->plan, j->verdict, output, first + e, &sums[e], terms + 4, factor);
}

static void judge_row(struct judging *j, int64_t t)
{
    int64_t target = j->target ? (int64_t)scry__array_get(j->target, t) : -1;
    if (target >= j->V) target = -1;
    memset(j->d_x, 0, (size_t)j->d * sizeof *j->d_x);
    if (j->teacher) read_row(j, &j->taught, j->teacher, t);
    read_row(j, &j->own, j->x, t);
    judge_loss(j, t, target);
    if (j->teacher || target >= 0) add_row(j, target);
    judge_sums(j, &j->op->d_x, t * j->d, j->d_x, j->d, (double)j->V, scale_of(j->op));
}

void scry__judge_loss(const scry__plan *plan, scry__verdict *verdict)
{
    struct judging j;
    if (prepare(&j, plan, verdict)) {
        for (int64_t t = 0; t < j.T; t++) judge_row(&j, t);
        judge_sums(&j, &j.op->d_unembedding, 0, j.d_unembedding, j.V * j.d, (double)j.T, scale_of(j.op));
        judge_sums(&j, &j.op->d_bias, 0, j.d_bias, j.V, (double)j.T, 1);
    } else {
        scry__verdict_fail(verdict, "no memory to judge with");
    }
    scry__free(j.d_x);
    scry__free(j.work);
}

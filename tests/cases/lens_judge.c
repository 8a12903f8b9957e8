/* Bounds of lens. A logit is W norm(x) scale + bias: the error of the norm (norm_bounds.h) goes through |W|, and the
 * dot product adds gamma(d + 4) sum |W||h|; soft-cap, lse and entropy then as in attention. Ids and ranks may differ
 * from the reference's only among logits that lie within each other's bounds. */
#include "base/alloc.h"
#include "cases/bounds.h"
#include "cases/judge.h"
#include "cases/norm_bounds.h"
#include "cases/row_bounds.h"

/* What one row of logits needs: [V] each. */
enum { LOGITS, LOGIT_ERRORS, PROBABILITIES, ERRORS, LOG_ERRORS, LOGIT_ARRAYS };
/* And one row of the residual stream: [d] each. */
enum { X, WEIGHT, NORM_BIAS, NORMALISED, NORM_ERRORS, RESIDUAL_ARRAYS };

struct judging {
    const scry__plan   *plan;
    scry__verdict      *verdict;
    const scry_lens_op *op;
    const scry__array  *x, *unembedding, *bias, *reference;
    int64_t             N, T, d, V;
    double             *work, *residual[RESIDUAL_ARRAYS], *weights; /* weights: the unembedding [V, d] */
    bool                has_weight, has_norm_bias;
    scry__softmax_row   row, reference_row;
};

static double *read_all(const scry__array *operand, double *into, int64_t count)
{
    for (int64_t i = 0; operand && i < count; i++) into[i] = scry__array_get(operand, i);
    return into + count;
}

static double *lay_row(scry__softmax_row *row, double *work, int64_t V)
{
    *row = (scry__softmax_row){.count         = V,
                               .scores        = work + LOGITS * V,
                               .score_errors  = work + LOGIT_ERRORS * V,
                               .probabilities = work + PROBABILITIES * V,
                               .errors        = work + ERRORS * V,
                               .log_errors    = work + LOG_ERRORS * V};
    return work + LOGIT_ARRAYS * V;
}

static bool prepare(struct judging *j, const scry__plan *plan, scry__verdict *verdict)
{
    const scry_lens_op *op       = &plan->op.lens;
    const scry__array  *weight   = scry__plan_find(plan, &op->norm.weight),
                      *norm_bias = scry__plan_find(plan, &op->norm.bias);
    *j                           = (struct judging){.plan = plan, .verdict = verdict, .op = op};
    j->x                         = scry__plan_find(plan, &op->x);
    j->unembedding               = scry__plan_find(plan, &op->unembedding);
    j->bias                      = scry__plan_find(plan, &op->bias);
    j->reference                 = scry__plan_find(plan, &op->reference);
    j->has_weight                = weight != NULL;
    j->has_norm_bias             = norm_bias != NULL;
    j->N                         = op->x.shape[0];
    j->T                         = op->x.shape[1];
    j->d                         = op->x.shape[2];
    j->V                         = op->unembedding.shape[0];
    j->work = scry__alloc((size_t)(RESIDUAL_ARRAYS * j->d + 2 * LOGIT_ARRAYS * j->V + j->V * j->d), sizeof *j->work);
    if (!j->work) return false;
    double *next = j->work;
    for (int i = 0; i < RESIDUAL_ARRAYS; i++, next += j->d) j->residual[i] = next;
    next       = lay_row(&j->reference_row, lay_row(&j->row, next, j->V), j->V);
    j->weights = next;
    read_all(weight, j->residual[WEIGHT], j->d);
    read_all(norm_bias, j->residual[NORM_BIAS], j->d);
    read_all(j->unembedding, j->weights, j->V * j->d);
    return true;
}

/* Logits of row `index` of x (or of the reference), with their bounds and what follows from them. */
static void fill_row(struct judging *j, scry__softmax_row *row, const scry__array *x, int64_t index)
{
    const scry_lens_op *op = j->op;
    double              u = j->verdict->unit, scale = op->logit_scale != 0 ? op->logit_scale : 1;
    double             *logits = (double *)row->scores, *errors = (double *)row->score_errors;
    scry__norm_row      norm = {.values = j->residual[NORMALISED], .errors = j->residual[NORM_ERRORS]};
    for (int64_t i = 0; i < j->d; i++) j->residual[X][i] = scry__array_get(x, index * j->d + i);
    scry__norm_row_bounds(&norm, &op->norm, j->residual[X], j->has_weight ? j->residual[WEIGHT] : NULL,
                          j->has_norm_bias ? j->residual[NORM_BIAS] : NULL, j->d, u);
    for (int64_t v = 0; v < j->V; v++) {
        double dot = 0, size = 0, carried = 0, bias = j->bias ? scry__array_get(j->bias, v) : 0;
        for (int64_t i = 0; i < j->d; i++) {
            double w = j->weights[v * j->d + i];
            dot += w * norm.values[i];
            size += fabs(w * norm.values[i]);
            carried += fabs(w) * norm.errors[i];
        }
        double logit = dot * scale + bias;
        double error = (gamma_of((double)j->d + 4, u) * (size + carried) + carried) * fabs(scale) +
                       2 * u * (fabs(dot * scale) + fabs(bias)) + SCRY__TINY;
        scry__capped capped = {.value = logit, .error = error};
        if (op->softcap > 0) capped = scry__cap_bounds(logit, error, op->softcap, u);
        logits[v] = capped.value;
        errors[v] = j->plan->exact || logit == -INFINITY ? 0 : capped.error; /* a bias of -inf: nothing to round */
    }
    scry__softmax_row_bounds(row, u);
}

static void judge_target(const struct judging *j, int64_t index, int64_t t)
{
    const scry__array *target = scry__plan_find(j->plan, &j->op->target);
    const scry__array *logit  = scry__plan_find(j->plan, &j->op->target_logit);
    const scry__array *rank   = scry__plan_find(j->plan, &j->op->target_rank);
    if (!target) return;
    int64_t       id = (int64_t)scry__array_get(target, t), lowest = 0, highest = 0;
    const double *logits = j->row.scores, *errors = j->row.score_errors;
    bool          inside = id >= 0 && id < j->V;
    scry__verdict_result(j->verdict, logit, index, inside ? logits[id] : (double)NAN, inside ? errors[id] : 0);
    if (isnan(j->row.lse)) return; /* among NaN there is no order */
    for (int64_t v = 0; inside && v < j->V; v++) {
        double above = logits[v] == logits[id] ? 0 : logits[v] - logits[id], blur = errors[v] + errors[id];
        bool   before = above > 0 || (above == 0 && v < id); /* as the exact logits have it */
        lowest += v != id && before && (j->plan->exact || above > blur);
        highest += v != id && (before || (!j->plan->exact && above > -blur));
    }
    scry__verdict_integer(j->verdict, rank, index, inside ? (double)lowest : -1, inside ? (double)highest : -1);
}

/* KL(reference || row). */
static void judge_divergence(const struct judging *j, const scry__array *output, int64_t index)
{
    double bound, kl = scry__divergence_of(&j->reference_row, &j->row, j->verdict->unit, &bound);
    double got = output ? scry__array_read(output, output->got, index) : 0;
    if (got < 0) scry__verdict_fail(j->verdict, "kl: element %lld is %.9g: expected 0 or more", (long long)index, got);
    scry__verdict_result(j->verdict, output, index, kl, bound);
}

static void judge_row(struct judging *j, int64_t n, int64_t t)
{
    const scry__plan   *plan   = j->plan;
    const scry_lens_op *op     = j->op;
    const scry__array  *ids    = scry__plan_find(plan, &op->top_id);
    const scry__array  *logits = scry__plan_find(plan, &op->top_logit);
    int64_t             index = n * j->T + t, places = ids ? op->top_id.shape[2] : 0;
    fill_row(j, &j->row, j->x, index);
    scry__verdict_result(j->verdict, scry__plan_find(plan, &op->lse), index, j->row.lse, j->row.lse_error);
    scry__verdict_result(j->verdict, scry__plan_find(plan, &op->entropy), index, j->row.entropy, j->row.entropy_error);
    scry__ranking ranking = {j->row.scores, j->row.scores, j->row.score_errors, j->V, plan->exact};
    scry__verdict_ranking(j->verdict, &ranking, ids, logits, index * places, places);
    judge_target(j, index, t);
    if (j->reference) judge_divergence(j, scry__plan_find(plan, &op->kl), index);
}

void scry__judge_lens(const scry__plan *plan, scry__verdict *verdict)
{
    struct judging j;
    if (!prepare(&j, plan, verdict)) {
        scry__verdict_fail(verdict, "no memory to judge with");
        return;
    }
    for (int64_t t = 0; t < j.T; t++) {
        if (j.reference) fill_row(&j, &j.reference_row, j.reference, t);
        for (int64_t n = 0; n < j.N; n++) judge_row(&j, n, t);
    }
    scry__free(j.work);
}

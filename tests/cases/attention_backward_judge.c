/* Bounds of attention_backward. Scores and soft-cap as attention_scores.h has them. Then, with lse and out as given,
 * p          exp(score - lse): in the log domain the score's error, 2 u (|score| + |lse|) for the difference (which may
 *            be taken in base 2), and exp's own
 * o, d_p     dot products of length Dv: gamma(Dv) of the terms' magnitudes
 * d_s        p (d_p - o) slope: each factor's error times the others, gamma(4) of the whole
 * d_q        |scale| (sum of d_s's error |k| + gamma(K + 3) sum |d_s k|); d_k the same over the queries of all heads
 * that read the key, and d_v with p and d_out in place of d_s and q. */
#include "base/alloc.h"
#include "cases/attention_scores.h"
#include "cases/bounds.h"
#include "cases/gradients.h"

#include <string.h>

struct judging {
    const scry__plan              *plan;
    scry__verdict                 *verdict;
    const scry_attention_backward *op;
    const scry__array             *v, *out, *lse, *d_out;
    scry__attention_from           from;
    int64_t                        Q, K, H, G, D, Dv;
    scry__gradient_sum            *d_q, *d_k, *d_v; /* of a query [D]; of a key/value head [K, D] and [K, Dv] */
};

static bool prepare(struct judging *j, const scry__plan *plan, scry__verdict *verdict)
{
    const scry_attention_backward *op = &plan->op.attention_backward;
    *j                                = (struct judging){.plan    = plan,
                                                         .verdict = verdict,
                                                         .op      = op,
                                                         .v       = scry__plan_find(plan, &op->v),
                                                         .out     = scry__plan_find(plan, &op->out),
                                                         .lse     = scry__plan_find(plan, &op->lse),
                                                         .d_out   = scry__plan_find(plan, &op->d_out),
                                                         .Q       = op->q.shape[1],
                                                         .K       = op->k.shape[1],
                                                         .H       = op->q.shape[2],
                                                         .G       = op->k.shape[2],
                                                         .D       = op->q.shape[3],
                                                         .Dv      = op->v.shape[3]};
    j->from                           = (scry__attention_from){.plan    = plan,
                                                               .q       = scry__plan_find(plan, &op->q),
                                                               .k       = scry__plan_find(plan, &op->k),
                                                               .mask    = &op->mask,
                                                               .scale   = op->scale,
                                                               .softcap = op->softcap,
                                                               .unit    = verdict->unit};
    j->d_q                            = scry__alloc((size_t)(j->D + j->K * (j->D + j->Dv)), sizeof *j->d_q);
    j->d_k                            = j->d_q ? j->d_q + j->D : NULL;
    j->d_v                            = j->d_q ? j->d_k + j->K * j->D : NULL;
    return j->d_q;
}

/* One row's d_out with a row of Dv numbers from element `first` of x on. */
static scry__gradient_sum with_d_out(const struct judging *j, int64_t row, const scry__array *x, int64_t first)
{
    scry__gradient_sum dot = {0};
    for (int64_t d = 0; d < j->Dv; d++)
        scry__gradient_add_term(&dot, scry__array_get(j->d_out, row * j->Dv + d), 0, scry__array_get(x, first + d));
    dot.error += gamma_of((double)j->Dv, j->verdict->unit) * dot.size;
    return dot;
}

/* One query of one head: where its row lies, and what its keys have in common. */
struct row {
    int64_t            b, h, i, group, query; /* query: of [B, Q, H] */
    double             lse;
    scry__gradient_sum o;
};

static void add_key(struct judging *j, const struct row *at, int64_t key)
{
    double       u     = j->verdict->unit;
    scry__capped score = scry__attention_score(&j->from, at->b, at->h, at->i, key);
    if (score.value == -INFINITY) return;
    int64_t            place = (at->b * j->K + key) * j->G + at->group;
    double             p = exp(score.value - at->lse), below = score.value - at->lse;
    double             blur          = score.error + 2 * u * (fabs(score.value) + fabs(at->lse)) + exp_error(below, u);
    double             p_error       = p * expm1(blur) + 2 * SCRY__TINY;
    scry__gradient_sum d_p           = with_d_out(j, at->query, j->v, place * j->Dv);
    double             between       = d_p.value - at->o.value;
    double             between_error = d_p.error + at->o.error + u * fabs(between);
    double             d_s = p * between * score.slope, whole = (p + p_error) * (fabs(between) + between_error);
    double             d_s_error = (p_error * (fabs(between) + between_error) + p * between_error) * score.slope +
                       whole * score.slope_error + gamma_of(4, u) * whole * score.slope + 2 * SCRY__TINY;
    for (int64_t d = 0; d < j->D; d++) {
        scry__gradient_add_term(&j->d_q[d], d_s, d_s_error, scry__array_get(j->from.k, place * j->D + d));
        scry__gradient_add_term(&j->d_k[key * j->D + d], d_s, d_s_error,
                                scry__array_get(j->from.q, at->query * j->D + d));
    }
    for (int64_t d = 0; d < j->Dv; d++)
        scry__gradient_add_term(&j->d_v[key * j->Dv + d], p, p_error, scry__array_get(j->d_out, at->query * j->Dv + d));
}

static void judge_sums(const struct judging *j, const scry_tensor *tensor, int64_t first,
                       const scry__gradient_sum *sums, int64_t count, double terms, double factor)
{
    const scry__array *output = scry__plan_find(j->plan, tensor);
    for (int64_t d = 0; d < count; d++)
        scry__gradient_judge_sum(j->plan, j->verdict, output, first + d, &sums[d], terms + 3, factor);
}

static void judge_row(struct judging *j, int64_t b, int64_t h, int64_t i)
{
    struct row at = {.b = b, .h = h, .i = i, .group = h / (j->H / j->G), .query = (b * j->Q + i) * j->H + h};
    at.lse        = scry__array_get(j->lse, (b * j->H + h) * j->Q + i);
    at.o          = with_d_out(j, at.query, j->out, at.query * j->Dv);
    memset(j->d_q, 0, (size_t)j->D * sizeof *j->d_q);
    for (int64_t key = 0; at.lse != -INFINITY && key < j->K; key++)
        if (scry__mask_visible(j->plan, &j->op->mask, b, i, key)) add_key(j, &at, key);
    judge_sums(j, &j->op->d_q, at.query * j->D, j->d_q, j->D, (double)j->K, j->op->scale);
}

static void judge_group(struct judging *j, int64_t b, int64_t group)
{
    int64_t heads = j->H / j->G;
    double  terms = (double)(j->Q * heads);
    memset(j->d_k, 0, (size_t)(j->K * (j->D + j->Dv)) * sizeof *j->d_k);
    for (int64_t h = group * heads; h < (group + 1) * heads; h++)
        for (int64_t i = 0; i < j->Q; i++) judge_row(j, b, h, i);
    for (int64_t key = 0; key < j->K; key++) {
        int64_t place = (b * j->K + key) * j->G + group;
        judge_sums(j, &j->op->d_k, place * j->D, j->d_k + key * j->D, j->D, terms, j->op->scale);
        judge_sums(j, &j->op->d_v, place * j->Dv, j->d_v + key * j->Dv, j->Dv, terms, 1);
    }
}

void scry__judge_attention_backward(const scry__plan *plan, scry__verdict *verdict)
{
    struct judging j;
    if (!prepare(&j, plan, verdict)) {
        scry__verdict_fail(verdict, "no memory to judge with");
        return;
    }
    for (int64_t b = 0; b < plan->op.attention_backward.q.shape[0]; b++)
        for (int64_t group = 0; group < j.G; group++) judge_group(&j, b, group);
    scry__free(j.d_q);
}

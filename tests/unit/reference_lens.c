/* The oracle's lens against all logits materialised in long double and sorted, an example by hand, and facts. */
#include "unit/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 3, T = 4, D = 12, V = 41, TOP = 6 };

static float       x[N][T][D], reference[T][D], unembedding[V][D], bias[V], weight[D], norm_bias[D];
static int32_t     target[T] = {0, 17, V - 1, V};
static long double logits[N + 1][T][V]; /* [N]: the reference's */

struct results {
    float   lse[N][T], entropy[N][T], target_logit[N][T], kl[N][T], top_logit[N][T][TOP];
    int32_t top_id[N][T][TOP], target_rank[N][T];
};

static void fill_inputs(void)
{
    trial_normal(&x[0][0][0], N * T * D, 51);
    trial_normal(&reference[0][0], T * D, 52);
    trial_normal(&unembedding[0][0], V * D, 53);
    trial_normal(bias, V, 54);
    trial_normal(weight, D, 55);
    trial_normal(norm_bias, D, 56);
    memcpy(x[N - 1], reference, sizeof reference);                /* the last layer is the reference */
    memcpy(unembedding[30], unembedding[4], sizeof *unembedding); /* two ids that always tie */
    bias[30] = bias[4];
}

static void run_all(struct results *r, float softcap, float logit_scale)
{
    trial t;
    trial_open(&t, "reference");
    scry_op       op   = {.kind = SCRY_OP_LENS};
    scry_lens_op *lens = &op.lens;
    *lens              = (scry_lens_op){.softcap = softcap, .logit_scale = logit_scale};
    lens->norm         = (scry_norm_parameters){.kind = SCRY_NORM_LAYER, .epsilon = 1e-5f};
    lens->norm.weight  = trial_f32(&t, 1, TRIAL_SHAPE(D), weight);
    lens->norm.bias    = trial_f32(&t, 1, TRIAL_SHAPE(D), norm_bias);
    lens->x            = trial_f32(&t, 3, TRIAL_SHAPE(N, T, D), &x[0][0][0]);
    lens->reference    = trial_f32(&t, 2, TRIAL_SHAPE(T, D), &reference[0][0]);
    lens->unembedding  = trial_f32(&t, 2, TRIAL_SHAPE(V, D), &unembedding[0][0]);
    lens->bias         = trial_f32(&t, 1, TRIAL_SHAPE(V), bias);
    lens->target       = trial_i32(&t, 1, TRIAL_SHAPE(T), target);
    lens->top_id       = trial_out(&t, SCRY_I32, 3, TRIAL_SHAPE(N, T, TOP));
    lens->top_logit    = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(N, T, TOP));
    lens->lse          = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(N, T));
    lens->entropy      = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(N, T));
    lens->target_logit = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(N, T));
    lens->target_rank  = trial_out(&t, SCRY_I32, 2, TRIAL_SHAPE(N, T));
    lens->kl           = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(N, T));
    trial_run(&t, &op);
    trial_read(&t, &lens->top_id, r->top_id);
    trial_read(&t, &lens->top_logit, r->top_logit);
    trial_read(&t, &lens->lse, r->lse);
    trial_read(&t, &lens->entropy, r->entropy);
    trial_read(&t, &lens->target_logit, r->target_logit);
    trial_read(&t, &lens->target_rank, r->target_rank);
    trial_read(&t, &lens->kl, r->kl);
    trial_close(&t);
}

static void materialise(long double into[V], const float row[D], long double softcap, long double logit_scale)
{
    long double mean = 0, squares = 0;
    for (int i = 0; i < D; i++) mean += (long double)row[i] / D;
    for (int i = 0; i < D; i++) squares += (row[i] - mean) * (row[i] - mean) / D;
    for (int v = 0; v < V; v++) {
        into[v] = 0;
        for (int i = D - 1; i >= 0; i--)
            into[v] += ((row[i] - mean) / sqrtl(squares + 1e-5f) * weight[i] + norm_bias[i]) * unembedding[v][i];
        into[v] = into[v] * logit_scale + bias[v];
        if (softcap > 0) into[v] = softcap * tanhl(into[v] / softcap);
    }
}

static const long double *sorted_row;

static int by_logit(const void *a, const void *b)
{
    int         left = *(const int *)a, right = *(const int *)b;
    long double difference = sorted_row[right] - sorted_row[left];
    return difference > 0 ? 1 : difference < 0 ? -1 : left - right;
}

static void expect_ranking(const struct results *r, int n, int t)
{
    int order[V], rank = -1;
    for (int v = 0; v < V; v++) order[v] = v;
    sorted_row = logits[n][t];
    qsort(order, V, sizeof *order, by_logit);
    for (int i = 0; i < TOP; i++) {
        cr_expect_eq(r->top_id[n][t][i], order[i], "top %d %d %d", n, t, i);
        cr_expect(trial_is_rounded(r->top_logit[n][t][i], logits[n][t][order[i]]), "top %d %d %d", n, t, i);
    }
    for (int i = 0; i < V; i++)
        if (order[i] == target[t]) rank = i;
    cr_expect_eq(r->target_rank[n][t], rank, "rank %d %d", n, t);
    cr_expect(trial_is_rounded(r->target_logit[n][t], rank < 0 ? (long double)NAN : logits[n][t][target[t]]));
}

static long double log_sum(const long double row[V])
{
    long double z = 0;
    for (int v = 0; v < V; v++) z += expl(row[v]);
    return logl(z);
}

static void expect_definition(float softcap, float logit_scale)
{
    static struct results r;
    fill_inputs();
    run_all(&r, softcap, logit_scale);
    for (int n = 0; n <= N; n++)
        for (int t = 0; t < T; t++)
            materialise(logits[n][t], n < N ? x[n][t] : reference[t], softcap, logit_scale != 0 ? logit_scale : 1);
    for (int n = 0; n < N; n++)
        for (int t = 0; t < T; t++) {
            long double lse = log_sum(logits[n][t]), reference_lse = log_sum(logits[N][t]), entropy = 0, kl = 0;
            for (int v = 0; v < V; v++) {
                long double p = expl(logits[n][t][v] - lse), reference_p = expl(logits[N][t][v] - reference_lse);
                entropy -= p * logl(p);
                kl += reference_p * logl(reference_p / p);
            }
            cr_expect(trial_is_rounded(r.lse[n][t], lse), "lse %d %d", n, t);
            cr_expect(trial_is_rounded(r.entropy[n][t], entropy), "entropy %d %d", n, t);
            cr_expect(n < N - 1 ? trial_is_rounded(r.kl[n][t], kl) : r.kl[n][t] == 0, "kl %d %d: %g for %Lg", n, t,
                      (double)r.kl[n][t], kl);
            expect_ranking(&r, n, t);
        }
}

Test(reference_lens, plain__equals_sorted_logits)
{
    expect_definition(0, 0);
}

Test(reference_lens, softcap_and_scale__equal_sorted_logits)
{
    expect_definition(3, 0.25f);
}

Test(reference_lens, small__by_hand)
{
    /* logits ln 1, ln 2, ln 1, ln 4 over an identity-like unembedding: probabilities 1/8, 1/4, 1/8, 1/2 */
    static const float row[] = {1, 0}, even[] = {0, 0};
    const float        ln2 = (float)M_LN2, columns[] = {0, 0, ln2, 0, 0, 0, 2 * ln2, 0};
    static int32_t     second[] = {2};
    float              lse, entropy, kl;
    int32_t            rank, top[5];
    trial              t;
    trial_open(&t, "reference");
    scry_op op          = {.kind = SCRY_OP_LENS, .lens.norm.kind = SCRY_NORM_NONE};
    op.lens.x           = trial_f32(&t, 3, TRIAL_SHAPE(1, 1, 2), row);
    op.lens.reference   = trial_f32(&t, 2, TRIAL_SHAPE(1, 2), even); /* uniform: all logits 0 */
    op.lens.unembedding = trial_f32(&t, 2, TRIAL_SHAPE(4, 2), columns);
    op.lens.target      = trial_i32(&t, 1, TRIAL_SHAPE(1), second);
    op.lens.lse         = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(1, 1));
    op.lens.entropy     = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(1, 1));
    op.lens.kl          = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(1, 1));
    op.lens.target_rank = trial_out(&t, SCRY_I32, 2, TRIAL_SHAPE(1, 1));
    op.lens.top_id      = trial_out(&t, SCRY_I32, 3, TRIAL_SHAPE(1, 1, 5));
    trial_run(&t, &op);
    trial_read(&t, &op.lens.lse, &lse);
    trial_read(&t, &op.lens.entropy, &entropy);
    trial_read(&t, &op.lens.kl, &kl);
    trial_read(&t, &op.lens.target_rank, &rank);
    trial_read(&t, &op.lens.top_id, top);
    cr_expect_float_eq(lse, 3 * M_LN2, 1e-6);
    cr_expect_float_eq(entropy, 1.75 * M_LN2, 1e-6);
    /* KL(uniform || p) = sum 1/4 ln((1/4) / p) = (ln 2 + 0 + ln 2 - ln 2) / 4 */
    cr_expect_float_eq(kl, M_LN2 / 4, 1e-6);
    cr_expect_eq(rank, 3); /* behind 3, 1, and 0, which is equal but lower */
    cr_expect(top[0] == 3 && top[1] == 1 && top[2] == 0 && top[3] == 2 && top[4] == -1);
    trial_close(&t);
}

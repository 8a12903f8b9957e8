/* What changes between predictions. See steer_shift.h. */
#include "analysis/steer_shift.h"

#include "base/alloc.h"

#include <math.h>

static double lse_of(const float *logits, int count)
{
    double best = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) best = fmax(best, (double)logits[i]);
    for (int i = 0; i < count; i++) sum += exp((double)logits[i] - best);
    return best + log(sum);
}

double scry__divergence(const float *p, const float *q, int count)
{
    double p_lse = lse_of(p, count), q_lse = lse_of(q, count), sum = 0;
    for (int i = 0; i < count; i++) {
        double log_p = (double)p[i] - p_lse, log_q = (double)q[i] - q_lse;
        if (exp(log_p) != 0) sum += exp(log_p) * (log_p - log_q); /* NaN stays */
    }
    return sum;
}

static float size_of(const scry_shift *shift)
{
    return fabsf(shift->after - shift->before);
}

/* Puts a shift where it belongs among the largest so far; equal ones stay in the order of ids. */
static void keep(scry_shift *shifts, int *count, int most, scry_shift shift)
{
    int at = *count;
    while (at > 0 && size_of(&shifts[at - 1]) < size_of(&shift)) at--;
    if (at == most) return;
    *count += *count < most;
    for (int i = *count - 1; i > at; i--) shifts[i] = shifts[i - 1];
    shifts[at] = shift;
}

scry_status scry__shifts_find(scry_steered *run, scry_model *model, const float *plain, const float *steered, int most)
{
    int         vocabulary = scry_model_get_info(model)->vocabulary;
    double      before = lse_of(plain, vocabulary), after = lse_of(steered, vocabulary);
    scry_status status = SCRY_OK;
    run->rises         = scry__alloc((size_t)most, sizeof *run->rises);
    run->falls         = scry__alloc((size_t)most, sizeof *run->falls);
    if (!run->rises || !run->falls) return SCRY_OUT_OF_MEMORY;
    for (int32_t id = 0; id < vocabulary; id++) {
        scry_shift shift = {.id     = id,
                            .before = (float)exp((double)plain[id] - before),
                            .after  = (float)exp((double)steered[id] - after)};
        if (shift.after > shift.before) keep(run->rises, &run->rise_count, most, shift);
        if (shift.after < shift.before) keep(run->falls, &run->fall_count, most, shift);
    }
    for (int i = 0; i < run->rise_count && !status; i++)
        status = scry_token_text(model, run->rises[i].id, &run->rises[i].text);
    for (int i = 0; i < run->fall_count && !status; i++)
        status = scry_token_text(model, run->falls[i].id, &run->falls[i].text);
    return status;
}

/* --- at every strength --- */

/* Of each token the largest shift that it has anywhere. */
static void keep_largest(scry_shift *shifts, int *count, int most, const scry_shift *shift)
{
    int at = 0;
    while (at < *count && shifts[at].id != shift->id) at++;
    if (at < *count) {
        if (size_of(&shifts[at]) >= size_of(shift)) return;
        for (--*count; at < *count; at++) shifts[at] = shifts[at + 1];
    }
    keep(shifts, count, most, *shift);
}

/* Fills shifts [4 x most], the first `*count` of them with what was chosen. */
static void choose(scry_shift *shifts, int *count, const scry_steering *steering, int most)
{
    scry_shift *rises = shifts + 2 * (size_t)most, *falls = rises + most;
    int         rise_count = 0, fall_count = 0;
    for (int i = 0; i < steering->count; i++) {
        const scry_steered *run = &steering->runs[i];
        for (int j = 0; j < run->rise_count; j++) keep_largest(rises, &rise_count, most, &run->rises[j]);
        for (int j = 0; j < run->fall_count; j++) keep_largest(falls, &fall_count, most, &run->falls[j]);
    }
    *count = 0;
    for (int i = 0; i < rise_count; i++) keep_largest(shifts, count, 2 * most, &rises[i]);
    for (int i = 0; i < fall_count; i++) keep_largest(shifts, count, 2 * most, &falls[i]);
}

static scry_odds odds_of(const float *logits, int32_t id, double lse)
{
    return (scry_odds){logits[id], (float)exp((double)logits[id] - lse)};
}

static scry_status follow(scry_steering *steering, scry_model *model, const float *plain, int32_t id)
{
    scry_followed *token = &steering->followed[steering->followed_count++];
    size_t         count = (size_t)steering->count;
    token->id            = id;
    token->plain         = odds_of(plain, id, lse_of(plain, scry_model_get_info(model)->vocabulary));
    token->steered       = scry__alloc(count, sizeof *token->steered);
    token->random        = scry__alloc(count, (size_t)steering->random_count * sizeof *token->random);
    if (!token->steered || !token->random) return SCRY_OUT_OF_MEMORY;
    return scry_token_text(model, id, &token->text);
}

scry_status scry__followed_choose(scry_steering *steering, scry_model *model, const float *plain, const float *steered,
                                  int most)
{
    size_t      vocabulary = (size_t)scry_model_get_info(model)->vocabulary;
    scry_shift *shifts     = scry__alloc(4 * (size_t)most, sizeof *shifts);
    int         count;
    scry_status status = SCRY_OK;
    if (!shifts) return SCRY_OUT_OF_MEMORY;
    choose(shifts, &count, steering, most);
    steering->followed = scry__alloc((size_t)count, sizeof *steering->followed);
    if (!steering->followed) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count && !status; i++) status = follow(steering, model, plain, shifts[i].id);
    for (int run = 0; run < steering->count && !status; run++) {
        const float *logits = steered + (size_t)run * vocabulary;
        double       lse    = lse_of(logits, (int)vocabulary);
        for (int i = 0; i < count; i++) {
            scry_followed *token = &steering->followed[i];
            token->steered[run]  = odds_of(logits, token->id, lse);
        }
    }
    scry__free(shifts);
    return status;
}

void scry__followed_take_random(scry_steering *steering, int run, int index, const float *logits, int vocabulary)
{
    double lse = lse_of(logits, vocabulary);
    for (int i = 0; i < steering->followed_count; i++) {
        scry_followed *token                                = &steering->followed[i];
        token->random[run * steering->random_count + index] = odds_of(logits, token->id, lse);
    }
}

void scry__followed_release(scry_steering *steering)
{
    for (int i = 0; i < steering->followed_count; i++) {
        scry__free(steering->followed[i].text);
        scry__free(steering->followed[i].steered);
        scry__free(steering->followed[i].random);
    }
    scry__free(steering->followed);
}

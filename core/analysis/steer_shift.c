/* What changes between two predictions. See steer_shift.h. */
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

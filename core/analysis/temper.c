/* A distribution at other temperatures. See temper.h. */
#include "analysis/temper.h"

#include <math.h>

const char *scry_sureness_text(scry_sureness sureness)
{
    static const char *const texts[] = {
#define SURENESS_TEXT(name, text) text,
        SCRY_SURENESS_LIST(SURENESS_TEXT)
#undef SURENESS_TEXT
    };
    return (unsigned)sureness < SCRY_SURENESS_COUNT ? texts[sureness] : "unknown";
}

scry_sureness scry_sureness_of(float entropy, int vocabulary)
{
    double choices = exp((double)entropy);
    if (choices < 1.01) return SCRY_SURENESS_TOO_SURE;
    return choices > sqrt(vocabulary) ? SCRY_SURENESS_TOO_FLAT : SCRY_SURENESS_USUAL;
}

double scry__temper_sum(const float *logits, int count, double temperature, double *best)
{
    double sum = 0.0;
    *best      = -INFINITY;
    for (int i = 0; i < count; i++) *best = fmax(*best, (double)logits[i]);
    for (int i = 0; i < count; i++) sum += exp(((double)logits[i] - *best) / temperature);
    return sum;
}

void scry__temper(scry_tempered *out, const float *logits, int count, const scry_candidate *top, int top_count)
{
    double best, temperature = (double)out->temperature, entropy = 0.0;
    double sum = scry__temper_sum(logits, count, temperature, &best);
    for (int i = 0; i < count; i++) {
        double power = ((double)logits[i] - best) / temperature, probability = exp(power) / sum;
        if (probability > 0.0) entropy -= probability * (power - log(sum));
    }
    out->entropy  = (float)entropy;
    out->sureness = scry_sureness_of(out->entropy, count);
    for (int i = 0; i < top_count; i++)
        out->probabilities[i] = (float)(exp(((double)top[i].logit - best) / temperature) / sum);
}

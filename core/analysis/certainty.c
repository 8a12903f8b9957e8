/* The rule of certainty. See certainty.h. */
#include "analysis/certainty.h"

#include <math.h>

const char *scry_certainty_name(scry_certainty certainty)
{
    static const char *const names[] = {
#define NAME(id, name) name,
        SCRY_CERTAINTY_LIST(NAME)
#undef NAME
    };
    return (unsigned)certainty < sizeof names / sizeof *names ? names[certainty] : "?";
}

void scry__sample_add(scry__sample *sample, double value)
{
    if (isnan(value)) return;
    sample->largest = sample->count ? fmax(sample->largest, value) : value;
    sample->sum += value;
    sample->count++;
}

scry_head_null scry__sample_null(const scry__sample *sample, double uniform)
{
    return (scry_head_null){
        .uniform        = (float)uniform,
        .random_mean    = sample->count ? (float)(sample->sum / sample->count) : NAN,
        .random_largest = sample->count ? (float)sample->largest : NAN,
    };
}

double scry__wilson_lower(double mean, double rows)
{
    const double z = 2, share = z * z / rows;
    if (!(rows > 0)) return NAN;
    double spread = z * sqrt(fmax(mean * (1 - mean), 0) / rows + share / (4 * rows));
    return (mean + share / 2 - spread) / (1 + share);
}

double scry__margin_above(const scry__evidence *evidence)
{
    double null  = fmax(evidence->uniform, evidence->random) / evidence->ceiling; /* fmax passes over a NaN */
    double lower = scry__wilson_lower(evidence->value / evidence->ceiling, evidence->rows);
    if (isnan(null)) null = 0;
    return null < 1 ? (lower - null) / (1 - null) : fmin(lower - null, 0);
}

scry_certainty scry__certainty_above(double margin)
{
    if (margin >= 0.5) return SCRY_CERTAINTY_STRONG;
    if (margin >= 0.2) return SCRY_CERTAINTY_CLEAR;
    return margin >= 0.05 ? SCRY_CERTAINTY_WEAK : SCRY_CERTAINTY_NONE;
}

scry_certainty scry__certainty_uniform(const scry__evidence *evidence)
{
    double lower = scry__wilson_lower(evidence->value, evidence->rows);
    if (lower >= 0.95) return SCRY_CERTAINTY_STRONG;
    if (lower >= 0.9) return SCRY_CERTAINTY_CLEAR;
    return lower >= 0.8 ? SCRY_CERTAINTY_WEAK : SCRY_CERTAINTY_NONE;
}

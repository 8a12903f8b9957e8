/* Rotary tables in f64. See rope_table.h. */
#include "model/rope_table.h"

#include <math.h>

/* The (fractional) dimension that turns `turns` times over the positions of pre-training. */
static double yarn_dimension(const scry__rope *rope, double turns)
{
    return rope->dims * log(rope->original / (turns * 2.0 * M_PI)) / (2.0 * log(rope->theta));
}

static double yarn(const scry__rope *rope, int i, double frequency)
{
    double low = yarn_dimension(rope, rope->beta_fast), high = yarn_dimension(rope, rope->beta_slow);
    if (rope->truncate) {
        low  = floor(low);
        high = ceil(high);
    }
    low  = fmax(low, 0.0);
    high = fmin(high, rope->dims - 1.0);
    if (low == high) high += 0.001; /* as the method's authors do, against 0/0 */
    double ramp = fmin(fmax((i - low) / (high - low), 0.0), 1.0);
    return frequency / rope->factor * ramp + frequency * (1.0 - ramp);
}

static double llama3(const scry__rope *rope, double frequency)
{
    double turns = rope->original * frequency / (2.0 * M_PI); /* over the positions of pre-training */
    double low = rope->low_frequency_factor, high = rope->high_frequency_factor;
    if (turns < low) return frequency / rope->factor;
    if (turns > high) return frequency;
    double blend = (turns - low) / (high - low);
    return (1.0 - blend) * frequency / rope->factor + blend * frequency;
}

static double base_of(const scry__rope *rope, int64_t length)
{
    if (rope->kind != SCRY__ROPE_DYNAMIC || (double)length <= rope->max_position) return rope->theta;
    double growth = rope->factor * (double)length / rope->max_position - (rope->factor - 1.0);
    return rope->theta * pow(growth, rope->dims / (rope->dims - 2.0));
}

void scry__rope_frequencies(double *frequencies, const scry__rope *rope, int64_t length, bool round)
{
    double base = base_of(rope, length);
    for (int i = 0; i < rope->dims / 2; i++) {
        double frequency = pow(base, -2.0 * i / rope->dims);
        switch (rope->kind) {
        case SCRY__ROPE_LINEAR:
            frequency /= rope->factor;
            break;
        case SCRY__ROPE_YARN:
            frequency = yarn(rope, i, frequency);
            break;
        case SCRY__ROPE_LLAMA3:
            frequency = llama3(rope, frequency);
            break;
        case SCRY__ROPE_LONGROPE:
            frequency /= (double)length > rope->original ? rope->long_factor[i] : rope->short_factor[i];
            break;
        case SCRY__ROPE_DEFAULT:
        case SCRY__ROPE_DYNAMIC:
            break;
        }
        frequencies[i] = round ? (double)(float)frequency : frequency;
    }
}

int64_t scry__rope_regime(const scry__rope *rope, int64_t length)
{
    if (rope->kind == SCRY__ROPE_DYNAMIC && (double)length > rope->max_position) return length;
    return rope->kind == SCRY__ROPE_LONGROPE && (double)length > rope->original;
}

void scry__rope_rows(float *cosine, float *sine, const scry__rope *rope, const double *frequencies, int64_t begin,
                     int64_t count)
{
    int half = rope->dims / 2;
    for (int64_t row = 0; row < count; row++) {
        for (int i = 0; i < half; i++) {
            double angle           = (double)(begin + row) * frequencies[i];
            cosine[row * half + i] = (float)(cos(angle) * rope->attention_factor);
            sine[row * half + i]   = (float)(sin(angle) * rope->attention_factor);
        }
    }
}

/* Rows of scores and of activations: softmax, norms and elementwise functions. */
#include "variant_vector.h"

static void score_row(float *scores, int64_t count, float scale, float softcap)
{
    for (int64_t i = 0; i < count; i += LANES) {
        vf x = load(scores + i) * scale;
        if (softcap > 0) x = softcap * tanh_any(x / softcap);
        store(scores + i, x);
    }
}

static float max_row(const float *scores, int64_t count)
{
    vf max = splat(-INFINITY);
    for (int64_t i = 0; i < count; i += LANES) max = larger(load(scores + i), max);
    return max_lanes(max);
}

static struct scry__cpu_row exponentiate_row(float *scores, int64_t count, float factor)
{
    vf                   sum = splat(0), entropy = splat(0);
    struct scry__cpu_row row = {.max = max_row(scores, count)};
    /* A row that holds nothing but -inf (or NaN, which must reach the sums) has no maximum to subtract. */
    float centre = row.max == -INFINITY ? 0 : row.max;
    for (int64_t i = 0; i < count; i += LANES) {
        vf below, e = exp_negative((load(scores + i) - centre) * factor, &below);
        store(scores + i, e);
        sum += e;
        entropy -= e * below;
    }
    row.sum     = sum_lanes(sum);
    row.entropy = sum_lanes(entropy);
    return row;
}

static void add_columns(float *sums, const float *tile, int64_t ldt, const float *weight, int64_t rows, int64_t count)
{
    for (int64_t j = 0; j < count; j += LANES) {
        vf sum = load(sums + j);
        for (int64_t row = 0; row < rows; row++) sum += weight[row] * load(tile + row * ldt + j);
        store(sums + j, sum);
    }
}

static void scale(float *out, const float *x, int64_t count, float factor, float offset)
{
    for (int64_t i = 0; i < count; i++) out[i] = factor * x[i] + offset;
}

static void add(float *out, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

static void accumulate(float *out, const float *x, int64_t count, float factor)
{
    for (int64_t i = 0; i < count; i++) out[i] += factor * x[i];
}

static int64_t find(const float *x, int64_t begin, int64_t count, float bound, bool equal)
{
    int64_t i = begin;
    for (; i + LANES <= count; i += LANES) {
        vf       value = load(x + i);
        uint32_t found = lane_bits(equal ? value == splat(bound) : value > splat(bound));
        if (found) return i + __builtin_ctz(found);
    }
    for (; i < count; i++)
        if (equal ? x[i] == bound : x[i] > bound) return i;
    return count;
}

INLINE vf activation_of(vf x, scry_activation_kind function)
{
    switch (function) {
    case SCRY_GELU_ERF:
        return x * normal_below(x);
    case SCRY_GELU_TANH:
        /* 1 + tanh(z) = 2 / (1 + exp(-2z)) loses nothing where tanh(z) nears -1. */
        return x / (1.0f + exp_any(x * (-0x1.988454p0f - 0x1.2444f2p-4f * x * x)));
    case SCRY_SILU:
        return x / (1.0f + exp_any(-x));
    default:
        return choose(x < splat(0), splat(0), x);
    }
}

INLINE void activate_as(float *out, const float *x, const float *gated, int64_t count, scry_activation_kind function)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vf value = activation_of(load(x + i), function);
        store(out + i, gated ? value * load(gated + i) : value);
    }
    if (i == count) return;
    /* The rest goes through a whole vector too, so that an element's result does not depend on its place. */
    float last[2][LANES] = {{0}};
    memcpy(last[0], x + i, (size_t)(count - i) * sizeof *x);
    if (gated) memcpy(last[1], gated + i, (size_t)(count - i) * sizeof *x);
    vf value = activation_of(load(last[0]), function);
    store(last[0], gated ? value * load(last[1]) : value);
    memcpy(out + i, last[0], (size_t)(count - i) * sizeof *x);
}

static void activate(float *out, const float *x, const float *gated, int64_t count, scry_activation_kind function)
{
    if (function == SCRY_GELU_ERF)
        activate_as(out, x, gated, count, SCRY_GELU_ERF);
    else if (function == SCRY_GELU_TANH)
        activate_as(out, x, gated, count, SCRY_GELU_TANH);
    else if (function == SCRY_SILU)
        activate_as(out, x, gated, count, SCRY_SILU);
    else
        activate_as(out, x, gated, count, SCRY_RELU);
}

INLINE vf power_of(vf x, int power)
{
    return power == 1 ? x : x * x;
}

/* Sums of up to 2^10 terms a lane in f32, these in f64. */
static double moment(const float *x, int64_t count, float centre, int power)
{
    enum { STRETCH = 1024 * LANES };
    double  total = 0;
    int64_t i     = 0;
    while (i + LANES <= count) {
        vf      sums[4] = {splat(0), splat(0), splat(0), splat(0)};
        int64_t end     = i + STRETCH < count ? i + STRETCH : count;
        for (; i + 4 * LANES <= end; i += 4 * LANES)
            for (int n = 0; n < 4; n++) sums[n] += power_of(load(x + i + n * LANES) - centre, power);
        for (; i + LANES <= end; i += LANES) sums[0] += power_of(load(x + i) - centre, power);
        total += sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    for (; i < count; i++) {
        double value = (double)x[i] - (double)centre;
        total += power == 1 ? value : value * value;
    }
    return total;
}

static void normalise(float *out, const float *x, int64_t count, float centre, float factor, const float *weight,
                      float weight_offset, const float *bias)
{
    for (int64_t i = 0; i < count; i++) {
        float value = (x[i] - centre) * factor;
        if (weight) value *= weight[i] + weight_offset;
        out[i] = bias ? value + bias[i] : value;
    }
}

static uint16_t narrow_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Rounding is left to the adder: a power of two is added whose last place is that of the result. */
static uint16_t narrow_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
    if (size < 0x38800000) {                                  /* below 2^-14: a multiple of 2^-24 */
        float magnitude;
        memcpy(&magnitude, &size, sizeof magnitude);
        magnitude += 0.5f;
        memcpy(&size, &magnitude, sizeof size);
        return (uint16_t)(sign | (size - 0x3f000000));
    }
    size += 0xfff + (size >> 13 & 1);
    return (uint16_t)(sign | (size - 0x38000000) >> 13);
}

static void narrow(void *out, scry_dtype dtype, const float *x, int64_t count)
{
    uint16_t *half = out;
    if (dtype == SCRY_F32)
        memcpy(out, x, (size_t)count * sizeof *x);
    else if (dtype == SCRY_F16)
        for (int64_t i = 0; i < count; i++) half[i] = narrow_f16(x[i]);
    else
        for (int64_t i = 0; i < count; i++) half[i] = narrow_bf16(x[i]);
}

/* Checked arithmetic, half and bfloat conversion, seeded random numbers. See number.h. */
#include "base/number.h"

#include <math.h>
#include <string.h>

bool scry__multiply(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool scry__plus(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float scry__f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f, mantissa = half & 0x3ff;
    if (exponent == 0x1f) return float_of(sign | 0x7f800000 | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    float magnitude = (float)mantissa * 0x1p-24f; /* zero or subnormal: exact */
    return sign ? -magnitude : magnitude;
}

uint16_t scry__f32_to_f16(float value)
{
    uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7f800000) return sign | 0x7e00;  /* NaN */
    if (magnitude >= 0x477ff000) return sign | 0x7c00; /* 65520 and above rounds to infinity */
    if (magnitude < 0x38800000) {
        /* Below 2^-14: a multiple of 2^-24; the addition rounds to nearest even in f32's own unit. */
        float shifted = float_of(magnitude) + 0.5f; /* ulp of [0.5, 1) is 2^-24 */
        return sign | (uint16_t)(bits_of(shifted) - bits_of(0.5f));
    }
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return sign | (uint16_t)((rounded - 0x38000000) >> 13);
}

float scry__bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t scry__f32_to_bf16(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint64_t rotate_left(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

void scry__random_seed(scry__random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z       = seed += 0x9e3779b97f4a7c15;
        z                = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z                = (z ^ z >> 27) * 0x94d049bb133111eb;
        random->state[i] = z ^ z >> 31;
    }
}

uint64_t scry__random_bits(scry__random *random)
{
    uint64_t *s = random->state, result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double scry__random_uniform(scry__random *random)
{
    return (double)(scry__random_bits(random) >> 11) * 0x1p-53;
}

uint64_t scry__random_below(scry__random *random, uint64_t bound)
{
    uint64_t threshold = -bound % bound, bits;
    do bits = scry__random_bits(random);
    while (bits < threshold);
    return bits % bound;
}

double scry__random_normal(scry__random *random)
{
    double u = 1.0 - scry__random_uniform(random); /* (0, 1] */
    double v = scry__random_uniform(random);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

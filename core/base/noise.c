/* Random numbers by their index. See noise.h.
 *
 * Bits are those of splitmix64, whose state is a plain count. Normal numbers are its quantiles by Wichura's rational
 * functions (Algorithm AS 241, PPND7, 1988) and a logarithm of our own: additions, multiplications, divisions and
 * square roots only, which IEEE 754 fixes to the last bit. For that this file is compiled without contraction. */
#include "base/noise.h"

#include <math.h>

static const uint64_t golden = 0x9e3779b97f4a7c15;

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t scry__noise_stream(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x100000001b3;
    return mix(mix(seed + golden) ^ hash);
}

uint64_t scry__noise_bits(uint64_t stream, uint64_t index)
{
    return mix(stream + (index + 1) * golden);
}

/* ln x, of a normal x > 0, by the series of 2 artanh((m - 1) / (m + 1)) with x = m 2^e and m about 1. */
static double natural_log(double x)
{
    int    exponent;
    double mantissa = frexp(x, &exponent);
    if (mantissa < 0.70710678118654752) {
        mantissa *= 2;
        exponent--;
    }
    double s = (mantissa - 1) / (mantissa + 1), square = s * s, sum = 0;
    for (int power = 17; power >= 1; power -= 2) sum = sum * square + 1.0 / power;
    return 2 * s * sum + exponent * 0.69314718055994531;
}

/* The quantile below the middle's 85 percent, of p < 0.075. */
static double tail(double p)
{
    double r = sqrt(-natural_log(p));
    if (r <= 5) {
        r -= 1.6;
        return (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) /
               ((0.12021132975 * r + 0.73700164250) * r + 1);
    }
    r -= 5;
    return (((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150) /
           ((0.012258202635 * r + 0.24197894225) * r + 1);
}

double scry__normal_quantile(double p)
{
    double q = p - 0.5;
    if (fabs(q) > 0.425) return q < 0 ? -tail(p) : tail(1 - p);
    double r = 0.180625 - q * q;
    return q * (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179) /
           (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1);
}

double scry__noise_normal(uint64_t stream, uint64_t index)
{
    return scry__normal_quantile(((double)(scry__noise_bits(stream, index) >> 11) + 0.5) * 0x1p-53);
}

/* Vectors of LANES floats and the functions of one variable that the kernels need. Included once by each variant. */
#ifndef SCRY_CPU_VARIANT_VECTOR_H
#define SCRY_CPU_VARIANT_VECTOR_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float    vf __attribute__((vector_size(LANES * 4)));
typedef int32_t  vi __attribute__((vector_size(LANES * 4)));
typedef uint32_t vu __attribute__((vector_size(LANES * 4)));
typedef uint16_t vh __attribute__((vector_size(LANES * 2)));

INLINE vf splat(float x)
{
    return x - (vf){0};
}

INLINE vf load(const float *x)
{
    vf value;
    memcpy(&value, x, sizeof value);
    return value;
}

INLINE void store(float *x, vf value)
{
    memcpy(x, &value, sizeof value);
}

/* Lanes of a where the mask is set, of b elsewhere. */
INLINE vf choose(vi mask, vf a, vf b)
{
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

/* a > b ? a : b in every lane: where one is NaN, b. Compilers do not make one instruction of it by themselves. */
INLINE vf larger(vf a, vf b)
{
#if LANES == 16
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif LANES == 8
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE__)
    return (vf)_mm_max_ps((__m128)a, (__m128)b);
#else
    return choose(a > b, a, b);
#endif
}

/* x with its halves exchanged at distance `step`: lane i gets lane i ^ step. */
#if LANES == 16
#define ACROSS(x, s)                                                                                                   \
    __builtin_shufflevector(x, x, 0 ^ s, 1 ^ s, 2 ^ s, 3 ^ s, 4 ^ s, 5 ^ s, 6 ^ s, 7 ^ s, 8 ^ s, 9 ^ s, 10 ^ s,        \
                            11 ^ s, 12 ^ s, 13 ^ s, 14 ^ s, 15 ^ s)
#elif LANES == 8
#define ACROSS(x, s) __builtin_shufflevector(x, x, 0 ^ s, 1 ^ s, 2 ^ s, 3 ^ s, 4 ^ s, 5 ^ s, 6 ^ s, 7 ^ s)
#else
#define ACROSS(x, s) __builtin_shufflevector(x, x, 0 ^ s, 1 ^ s, 2 ^ s, 3 ^ s)
#endif

INLINE float sum_lanes(vf x)
{
#if LANES >= 16
    x += ACROSS(x, 8);
#endif
#if LANES >= 8
    x += ACROSS(x, 4);
#endif
    x += ACROSS(x, 2);
    x += ACROSS(x, 1);
    return x[0];
}

INLINE float max_lanes(vf x)
{
#if LANES >= 16
    x = larger(x, ACROSS(x, 8));
#endif
#if LANES >= 8
    x = larger(x, ACROSS(x, 4));
#endif
    x = larger(x, ACROSS(x, 2));
    return larger(x, ACROSS(x, 1))[0];
}

/* A bit for each lane where the mask is set. */
INLINE uint32_t lane_bits(vi mask)
{
#if LANES == 16
    return _mm512_movepi32_mask((__m512i)mask);
#elif LANES == 8
    return (uint32_t)_mm256_movemask_ps((__m256)mask);
#elif defined(__SSE__)
    return (uint32_t)_mm_movemask_ps((__m128)mask);
#else
    uint32_t bits = 0;
    for (int lane = 0; lane < LANES; lane++) bits |= (uint32_t)(mask[lane] != 0) << lane;
    return bits;
#endif
}

/* As with larger(): in one instruction where compilers take ten. */
INLINE vu widen_bits(vh half)
{
#if LANES == 16
    return (vu)_mm512_cvtepu16_epi32((__m256i)half);
#elif LANES == 8
    return (vu)_mm256_cvtepu16_epi32((__m128i)half);
#else
    return __builtin_convertvector(half, vu);
#endif
}

/* Widening is exact. f16: exponent and mantissa are moved to f32's places and the bias is mended by a power of two,
 * which also normalises subnormals; infinities and NaN get f32's exponent. */
INLINE vf widen_f16(vh half)
{
    vu bits  = widen_bits(half);
    vu shift = (bits & 0x7fff) << 13;
    vu value = (vu)((vf)shift * splat(0x1p112f));
    value |= (vu)(shift >= 0x0f800000) & 0x7f800000;
    return (vf)(value | (bits & 0x8000) << 16);
}

INLINE vf load_as(const void *x, scry_dtype dtype, int64_t index)
{
    vh half;
    if (dtype == SCRY_F32) return load((const float *)x + index);
    memcpy(&half, (const uint16_t *)x + index, sizeof half);
    return dtype == SCRY_F16 ? widen_f16(half) : (vf)(widen_bits(half) << 16);
}

/* Subtracts the nearest integer multiple n of ln 2 and returns the remainder's exponential, in [0.7, 1.42], with n in
 * *whole. ln 2 is taken in two parts, the first of which has few enough bits for n times it to be exact. The polynomial
 * is minimax on |r| <= ln 2 / 2: relative error 0.05 * 2^-24. */
INLINE vf exp_reduced(vf x, vu *whole)
{
    const vf magic   = splat(0x1.8p23f);
    vf       shifted = x * 0x1.715476p0f + magic, n = shifted - magic;
    vf       r = x - n * 0x1.63p-1f;
    r          = r + n * 0x1.bd0106p-13f;
    vf p       = splat(0x1.6a234ep-10f);
    p          = p * r + 0x1.123a6cp-7f;
    p          = p * r + 0x1.5558f4p-5f;
    p          = p * r + 0x1.55549p-3f;
    p          = p * r + 0x1.fffffcp-2f;
    *whole     = (vu)shifted << 23;
    return (p * (r * r) + r) + 1.0f;
}

/* exp(x) for x <= 0, or NaN: at most 2 ulp down to 2^-126, gradually less exact below, 0 from 2^-126.5 on: there the
 * power of two that is put together has no exponent left. *clamped is x, at least -88.03, for products with the result:
 * of 0 and an infinite x, say. */
INLINE vf exp_negative(vf x, vf *clamped)
{
    vu whole;
    *clamped = larger(splat(-0x1.602p6f), x);
    vf p     = exp_reduced(*clamped, &whole);
    return p * (vf)(whole + 0x3f800000);
}

/* exp(x): at most 2 ulp; 0 below ln 2^-126, infinity above ln FLT_MAX. */
INLINE vf exp_any(vf x)
{
    const vf lowest = splat(-0x1.5d589ep6f), highest = splat(0x1.62e42ep6f);
    vu       whole;
    vf       p = exp_reduced(choose(x < lowest, lowest, choose(x > highest, highest, x)), &whole);
    vf       e = (vf)((vu)p + whole); /* 2^128 is no float, but its product with p may be one */
    e          = choose(x > highest, splat(INFINITY), choose(x < lowest, splat(0), e));
    return choose(x == x, e, x);
}

/* tanh(x), at most 3 ulp: a polynomial in x^2 near 0 (minimax on x^2 <= 0.4, relative error 0.1 * 2^-24), the
 * exponential elsewhere. */
INLINE vf tanh_any(vf x)
{
    vf y = x * x, p = splat(-0x1.722aep-8f);
    p      = p * y + 0x1.5157f4p-6f;
    p      = p * y - 0x1.b81dcp-5f;
    p      = p * y + 0x1.110646p-3f;
    p      = p * y - 0x1.55552ep-2f;
    vf low = x + x * (y * p);
    vf a   = choose(x < splat(0), -x, x);
    vf far = 1.0f - 2.0f / (exp_any(a + a) + 1.0f);
    far    = choose(x < splat(0), -far, far);
    return choose(y > splat(0.4f), far, low);
}

/* The standard normal's distribution function, with small relative error in the left tail: exp(-a^2/2) R(a) for a =
 * |x|, R(a) / t a polynomial in t = 1 / (1 + 0.3 a) (minimax up to a = 15, relative error 0.06 * 2^-24). */
INLINE vf normal_below(vf x)
{
    static const float factor[] = {
        0.11968671530485153f,  0.11957131326198578f, 0.11023937165737152f, 0.07837208360433578f, 0.09620533138513565f,
        -0.07950995117425919f, 0.19188426434993744f, -0.2282855361700058f, 0.11246511340141296f, -0.02062872238457203f};
    vf a = choose(x < splat(0), -x, x), p = splat(factor[9]);
    a    = choose(a > splat(16), splat(16), a); /* the tail is 0 from here on, and the square of more may overflow */
    vf t = 1.0f / (1.0f + 0.3f * a);
    for (int i = 8; i >= 0; i--) p = p * t + factor[i];
    vf square = a * a, lost = a * a - square; /* what rounding the square lost, where the products are fused */
    vf tail = exp_any(-0.5f * square) * (1.0f - 0.5f * lost) * (p * t);
    return choose(x > splat(0), 1.0f - tail, tail);
}

#endif

/* What the bounds are made of. u is the unit roundoff of the precision promised (2^-24 for strict f32).
 *
 * - A sum or dot product of n terms, in any order, with or without fused multiply-add: gamma(n) times the sum of the
 *   terms' magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1 and 4.2).
 * - Elementary functions: the error that OpenCL C and Vulkan allow an implementation in single precision, in units of
 *   roundoff (1 ulp is at most 2 u); a device that is better only passes by more.
 * - Underflow: results below the smallest normal number may be flushed to zero.
 *
 * Every bound is on the difference from the exact result; the reference's final rounding is added by the comparison. */
#ifndef SCRY_CASES_BOUNDS_H
#define SCRY_CASES_BOUNDS_H

#include <math.h>
#include <stdint.h>

#define SCRY__TINY 0x1p-126 /* smallest normal f32 */

/* Relative error of n roundings. */
static inline double gamma_of(double n, double u)
{
    return n * u < 0.5 ? n * u / (1 - n * u) : INFINITY;
}

/* exp(x) with x computed, reduced by a product with log2(e): 4 ulp for the function, and the reduction's rounding
 * scaled by |x| (Vulkan: 3 + 2 |x| ulp). Relative. */
static inline double exp_error(double x, double u)
{
    return (8 + 4 * fabs(x)) * u;
}

/* ln(x), absolute: 4 ulp of the result, and where it is near 0 the 2^-21 that Vulkan allows. */
static inline double log_error(double log_x, double u)
{
    return 8 * u * (1 + fabs(log_x));
}

#define SCRY__TANH_ERROR 10. /* relative, in u: 5 ulp */
#define SCRY__ERF_ERROR  32. /* absolute, in u: 16 ulp of at most 1 */
#define SCRY__ROOT_ERROR 8.  /* 1/sqrt(x) or division by sqrt(x), relative, in u */

/* cap(x) = softcap * tanh(x / softcap) of an x known to within `error`, and cap's slope there, 1 - tanh^2: cap has
 * slope at most 1 and the error of tanh; the slope moves by 2 |tanh| times tanh's error, and by two roundings. */
typedef struct scry__capped {
    double value, error, slope, slope_error;
} scry__capped;

static inline scry__capped scry__cap_bounds(double x, double error, double softcap, double u)
{
    double moved = error + 2 * u * fabs(x), t = tanh(x / softcap), slope = 1 / (cosh(x / softcap) * cosh(x / softcap));
    double rounded = (SCRY__TANH_ERROR + 2) * u * fabs(t), blur = rounded + moved / softcap * slope;
    return (scry__capped){.value       = softcap * t,
                          .error       = moved + softcap * rounded,
                          .slope       = slope,
                          .slope_error = 2 * fabs(t) * blur + blur * blur + 2 * u};
}

#endif

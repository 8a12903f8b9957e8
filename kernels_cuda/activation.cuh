/* The functions of activation, for it and its gradient.
 *
 * Each is x times a factor in [0, 1] that is formed without cancellation, so that the tail to the left keeps its
 * relative accuracy; at -inf the formulas of op.h give NaN, and so do these. Errors, in units of roundoff of the
 * result, follow from those of erfcf (4 ulp), tanhf (2) and expf (2); division is rounded correctly. */
#ifndef SCRY_CUDA_ACTIVATION_CUH
#define SCRY_CUDA_ACTIVATION_CUH

#include "common.cuh"

enum { GELU_ERF, GELU_TANH, SILU, RELU }; /* scry_activation_kind */

/* (1 + erf(x / sqrt 2)) / 2, of which erfc gives the part on the far side of 0. */
DEVICE float normal_below(float x)
{
    float tail = 0.5f * erfcf(fabsf(x) * 0.70710678118654752f);
    return x > 0.0f ? 1.0f - tail : tail;
}

/* (1 + tanh(y)) / 2, which is 1 / (1 + exp(-2 y)): as the latter where the former cancels. */
DEVICE float logistic_of_double(float y)
{
    return y < -0.5f ? 1.0f / (1.0f + expf(-2.0f * y)) : 0.5f + 0.5f * tanhf(y);
}

DEVICE float activate(float x, int function)
{
    if (function == GELU_ERF) return x * normal_below(x);
    if (function == GELU_TANH) return x * logistic_of_double(0.79788456080286536f * (x + 0.044715f * x * x * x));
    if (function == SILU) return x / (1.0f + expf(-x));
    return x < 0.0f ? 0.0f : x;
}

#endif

// What activation.comp and activation_backward.comp share: the functions.
//
// Each function is x times a factor in [0, 1] that is formed without cancellation, so that the tail to the left keeps
// its relative accuracy; at -inf the formulas of op.h give NaN, and so do these. Errors, in units of roundoff u of the
// result: exponentials 4 and 2 for each unit of their argument's own rounding, tanh 4, division 5.

#include "math.glsl"

layout(constant_id = 3) const uint FUNCTION = 0;

// scry_activation_kind
const uint GELU_ERF = 0, GELU_TANH = 1, SILU = 2, RELU = 3;

// (1 + erf(x / sqrt 2)) / 2. The part on the far side of 0, erfc(|x| / sqrt 2) / 2, is exp(-x^2 / 2) p(t) with
// t = 1 / (1 + 0.3 |x| / sqrt 2) and a minimax polynomial p, whose relative error is 0.4 * 2^-24, 7 * 2^-24 with its
// roundings. What x^2 loses in rounding is made good behind the exponential. From |x| = 14 on it is 0.
float normal_below(float x)
{
    const float   size   = abs(x) > 14.0 ? 14.0 : abs(x);
    const float   t      = 1.0 / (1.0 + 0.21213204 * size);
    precise float square = size * size;
    precise float lost   = fma(size, size, -square);
    float         p      = -6.54748455e-02;
    p                    = p * t + 2.46677771e-01;
    p                    = p * t - 2.65360862e-01;
    p                    = p * t + 2.86251813e-01;
    p                    = p * t - 5.77228367e-02;
    p                    = p * t + 1.13101020e-01;
    p                    = p * t + 7.21977130e-02;
    p                    = p * t + 8.57857764e-02;
    p                    = p * t + 8.45417082e-02;
    p                    = p * t + 2.73388014e-06;
    const float tail     = p * (exp_negative(-0.5 * square) * (1.0 - 0.5 * lost));
    return x > 0.0 ? 1.0 - tail : tail;
}

// 1 / (1 + exp(-x)).
float logistic(float x)
{
    const float e = exp_negative(-abs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

// (1 + tanh(y)) / 2: as the logistic function of 2 y where tanh would cancel.
float half_of_tanh(float y)
{
    return y < -0.5 ? logistic(2.0 * y) : 0.5 + 0.5 * tanh_of(y);
}

float activate(float x)
{
    if (FUNCTION == GELU_ERF) return x * normal_below(x);
    if (FUNCTION == GELU_TANH) return x * half_of_tanh(0.79788456 * (x + 0.044715 * x * x * x));
    if (FUNCTION == SILU) return x * logistic(x);
    return x < 0.0 ? 0.0 : x;
}

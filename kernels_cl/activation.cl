/* activation: out = f(x), or f(x) * gated, element by element.
 *
 * x, gated (absent: f(x) alone) and out f32, of the shape that is walked; out may be x or gated. Launch: one dimension
 * of items, each with `each` runs of LANES elements of a row.
 *
 * Each function is x times a factor in [0, 1] that is formed without cancellation, so that the tail to the left keeps
 * its relative accuracy; at -inf the formulas of op.h give NaN, and so do these. Errors, in units of roundoff of the
 * result, follow from those that OpenCL allows erfc (16 ulp), tanh (5), exp (3) and division (2.5). */

enum { GELU_ERF, GELU_TANH, SILU, RELU }; /* scry_activation_kind */

/* (1 + erf(x / sqrt 2)) / 2, of which erfc gives the part on the far side of 0. */
inline lanes normal_below(lanes x)
{
    lanes tail = 0.5f * erfc(fabs(x) * 0.70710678118654752f);
    return select(tail, 1.0f - tail, x > 0.0f);
}

/* 1 / (1 + exp(-2 y)), which is (1 + tanh(y)) / 2: as the latter where division could cost more than it may. */
inline lanes logistic_of_double(lanes y)
{
    lanes far = 1.0f / (1.0f + exp(-2.0f * y));
    return select(0.5f + 0.5f * tanh(y), far, y < -0.5f);
}

inline lanes activate(lanes x, int function)
{
    if (function == GELU_ERF) return x * normal_below(x);
    if (function == GELU_TANH) return x * logistic_of_double(0.79788456080286536f * (x + 0.044715f * x * x * x));
    if (function == SILU) return x / (1.0f + exp(-x));
    return select(x, (lanes)0, x < 0.0f);
}

__kernel void activation(__global const float *x, view x_view, __global const float *gated, view gated_view,
                         __global float *out, view out_view, int function, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        lanes value = activate(load_run(&r, x, &x_view, F32), function);
        if (gated) value *= load_run(&r, gated, &gated_view, F32);
        store_run(&r, out, &out_view, value);
    }
}

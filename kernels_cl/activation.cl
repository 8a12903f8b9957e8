/* activation: out = f(x), or f(x) * gated, element by element. Behind exponential.cl in its program.
 *
 * x, gated (absent: f(x) alone) and out f32, of the shape that is walked; out may be x or gated. Launch: one dimension
 * of items, each with `each` runs of LANES elements of a row.
 *
 * Each function is x times a factor in [0, 1] that is formed without cancellation, so that the tail to the left keeps
 * its relative accuracy; at -inf the formulas of op.h give NaN, and so do these. Errors, in units of roundoff of the
 * result, follow from exp_negative's 2 ulp, those of the polynomials, and the 2.5 ulp that OpenCL allows division. */

enum { GELU_ERF, GELU_TANH, SILU, RELU }; /* scry_activation_kind */

INLINE lanes exp_of_minus(lanes x)
{
    lanes bounded;
    return exp_negative_lanes(-x, &bounded);
}

/* (1 + erf(x / sqrt 2)) / 2; in *bell exp(-x^2 / 2). The part on the far side of 0 is the latter times t p(t), t = 1 /
 * (1 + 0.3 |x|), p minimax up to |x| = 15 with relative error 0.06 * 2^-24. */
INLINE lanes normal_below(lanes x, lanes *bell)
{
    lanes t = 1.0f / (1.0f + 0.3f * fabs(x)), p = (lanes)(-0.02062872238457203f);
    *bell = exp_of_minus(0.5f * (x * x));
    p     = p * t + 0.11246511340141296f;
    p     = p * t - 0.2282855361700058f;
    p     = p * t + 0.19188426434993744f;
    p     = p * t - 0.07950995117425919f;
    p     = p * t + 0.09620533138513565f;
    p     = p * t + 0.07837208360433578f;
    p     = p * t + 0.11023937165737152f;
    p     = p * t + 0.11957131326198578f;
    p     = p * t + 0.11968671530485153f;

    lanes tail = *bell * (p * t);
    return select(tail, 1.0f - tail, x > 0.0f);
}

/* 1 / (1 + exp(-2 y)), which is (1 + tanh(y)) / 2: as the latter near 0, where division could cost more than it may,
 * with a polynomial for tanh, minimax on y^2 <= 0.4 with relative error 0.1 * 2^-24. */
INLINE lanes logistic_of_double(lanes y)
{
    lanes e = exp_of_minus(2.0f * fabs(y)), tail = e / (1.0f + e);
    lanes square = y * y, p = (lanes)(-0x1.722aep-8f);
    p            = p * square + 0x1.5157f4p-6f;
    p            = p * square - 0x1.b81dcp-5f;
    p            = p * square + 0x1.110646p-3f;
    p            = p * square - 0x1.55552ep-2f;
    lanes middle = 0.5f + 0.5f * (y + y * (square * p));
    return select(select(1.0f - tail, tail, y < 0.0f), middle, square < 0.4f);
}

INLINE lanes activate(lanes x, int function)
{
    lanes bell;
    if (function == GELU_ERF) return x * normal_below(x, &bell);
    if (function == GELU_TANH) return x * logistic_of_double(0.79788456080286536f * (x + 0.044715f * x * x * x));
    if (function == SILU) {
        lanes e = exp_of_minus(fabs(x));
        return select(x, x * e, x < 0.0f) / (1.0f + e);
    }
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

/* activation_backward: d_x = d_out * f'(x) * gated (+ d_x), d_gated = d_out * f(x) (+ d_gated), element by element.
 *
 * x, gated, d_out, d_x and d_gated f32, of the shape that is walked; gated and either output may be absent; d_x may be
 * d_out. Behind activation.cl in its program. Launch: one dimension of items, each with `each` runs of LANES elements
 * of a row.
 *
 * With s = 1 / (1 + exp(-z)) a slope is s + x s (1 - s) z', where 1 - s = 1 / (1 + exp(z)) is formed without
 * cancellation; where a factor is 0 the second term is 0. Errors as those of activation.cl, times 1 + |x|. */

/* a b, and 0 where a is 0 and b is whatever an overflow left. */
inline lanes product_or_zero(lanes a, lanes b)
{
    return select(a * b, (lanes)0, a == 0.0f);
}

INLINE lanes slope(lanes x, int function)
{
    if (function == RELU) return select(select((lanes)0, (lanes)1, x > 0.0f), x, isnan(x));
    if (function == GELU_ERF) {
        lanes bell, below = normal_below(x, &bell);
        return below + x * (0.39894228040143268f * bell);
    }
    if (function == SILU) {
        lanes e = exp_of_minus(fabs(x)), larger = 1.0f / (1.0f + e), smaller = e * larger;
        lanes below = select(larger, smaller, x < 0.0f), above = select(smaller, larger, x < 0.0f);
        return below * (1.0f + x * above);
    }
    lanes y     = 0.79788456080286536f * (x + 0.044715f * x * x * x);
    lanes below = logistic_of_double(y), above = logistic_of_double(-y);
    lanes bend = 1.5957691216057308f * (1.0f + 0.134145f * x * x);
    return below + product_or_zero(below * above, x * bend);
}

__kernel void activation_backward(__global const float *x, view x_view, __global const float *gated, view gated_view,
                                  __global const float *d_out, view d_out_view, __global float *d_x, view d_x_view,
                                  __global float *d_gated, view d_gated_view, int function, int accumulate, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        lanes value = load_run(&r, x, &x_view, F32), given = load_run(&r, d_out, &d_out_view, F32);
        if (d_gated) {
            lanes made = given * activate(value, function);
            if (accumulate) made += load_run(&r, d_gated, &d_gated_view, F32);
            store_run(&r, d_gated, &d_gated_view, made);
        }
        if (d_x) {
            lanes made = given * slope(value, function);
            if (gated) made *= load_run(&r, gated, &gated_view, F32);
            if (accumulate) made += load_run(&r, d_x, &d_x_view, F32);
            store_run(&r, d_x, &d_x_view, made);
        }
    }
}

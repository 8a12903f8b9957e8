/* activation_backward: d_x = d_out * f'(x) * gated (+ d_x), d_gated = d_out * f(x) (+ d_gated), element by element.
 *
 * x, gated, d_out, d_x and d_gated f32, of the shape that is walked; gated and either output may be absent; d_x may be
 * d_out. Launch: a thread for each run.
 *
 * With s = 1 / (1 + exp(-z)) a slope is s + x s (1 - s) z', where 1 - s = 1 / (1 + exp(z)) is formed without
 * cancellation; where a factor is 0 the second term is 0. Errors as those of activation.cuh, times 1 + |x|. */
#include "runs.cuh"

#include "activation.cuh"
#include "activation_backward.h"

/* a b, and 0 where a is 0 and b is whatever an overflow left. */
DEVICE float product_or_zero(float a, float b)
{
    return a == 0.0f ? 0.0f : a * b;
}

DEVICE float slope(float x, int function)
{
    if (function == RELU) return x != x ? x : x > 0.0f;
    if (function == GELU_ERF) return normal_below(x) + x * (0.39894228040143268f * expf(-0.5f * x * x));
    if (function == SILU) {
        float below = 1.0f / (1.0f + expf(-x)), above = 1.0f / (1.0f + expf(x));
        return below * (1.0f + x * above);
    }
    float y     = 0.79788456080286536f * (x + 0.044715f * x * x * x);
    float below = logistic_of_double(y), above = logistic_of_double(-y);
    float bend = 1.5957691216057308f * (1.0f + 0.134145f * x * x);
    return below + product_or_zero(below * above, x * bend);
}

CUDA_FLAT_KERNEL(activation_backward, cuda_activation_backward, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    run_values x = load_run(r, p.x), given = load_run(r, p.d_out), gated = {{1, 1, 1, 1}}, made;
    if (p.gated.data) gated = load_run(r, p.gated);
    if (p.d_gated.data) {
        for (int i = 0; i < CUDA_RUN; i++) made.x[i] = given.x[i] * activate(x.x[i], p.function);
        add_run(r, p.d_gated, made, p.accumulate);
    }
    if (p.d_x.data) {
        for (int i = 0; i < CUDA_RUN; i++) made.x[i] = given.x[i] * slope(x.x[i], p.function) * gated.x[i];
        add_run(r, p.d_x, made, p.accumulate);
    }
}

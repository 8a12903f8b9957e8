// activation_backward: d_x = d_out * f'(x) * gated (+ d_x), d_gated = d_out * f(x) (+ d_gated), element by element.
//
// x, gated, d_out, d_x and d_gated f32, of the shape that is walked; gated and either output may be absent; d_x may be
// d_out. Launch: items with `each` runs.
//
// With s = 1 / (1 + exp(-z)) a slope is s + x s (1 - s) z', where 1 - s = 1 / (1 + exp(z)) is formed without
// cancellation; where a factor is 0 the second term is 0. Errors as those of activation.glsl, times 1 + |x|.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"
#include "activation.glsl"

layout(constant_id = 4) const bool GATED       = false;
layout(constant_id = 5) const bool HAS_D_X     = false;
layout(constant_id = 6) const bool HAS_D_GATED = false;
layout(constant_id = 7) const bool ACCUMULATE  = false;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view x_view, gated_view, d_out_view, d_x_view, d_gated_view;
    walk all;
};
INPUT(1, x)
INPUT(2, gated)
INPUT(3, d_out)
UPDATED(4, d_x)
UPDATED(5, d_gated)

// a b, and 0 where a is 0 and b is whatever an overflow left.
float product_or_zero(float a, float b)
{
    return a == 0.0 ? 0.0 : a * b;
}

float slope(float x)
{
    if (FUNCTION == GELU_ERF) return normal_below(x) + x * (0.39894228 * exp_negative(-0.5 * x * x));
    if (FUNCTION == SILU) return logistic(x) * (1.0 + x * logistic(-x));
    if (FUNCTION == RELU) return x > 0.0 ? 1.0 : (x <= 0.0 ? 0.0 : x);
    const float y = 0.79788456 * (x + 0.044715 * x * x * x), below = half_of_tanh(y), above = half_of_tanh(-y);
    return below + product_or_zero(below * above, x * (1.5957691 * (1.0 + 0.134145 * x * x)));
}

void main()
{
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        LOAD_RUN(value, x, x_view, r, F32)
        LOAD_RUN(given, d_out, d_out_view, r, F32)
        if (HAS_D_GATED) {
            vec4 made = given * vec4(activate(value.x), activate(value.y), activate(value.z), activate(value.w));
            if (ACCUMULATE) {
                LOAD_UPDATED_RUN(before, d_gated, d_gated_view, r)
                made += before;
            }
            STORE_RUN(d_gated, d_gated_view, r, made)
        }
        if (HAS_D_X) {
            vec4 made = given * vec4(slope(value.x), slope(value.y), slope(value.z), slope(value.w));
            if (GATED) {
                LOAD_RUN(factor, gated, gated_view, r, F32)
                made *= factor;
            }
            if (ACCUMULATE) {
                LOAD_UPDATED_RUN(before, d_x, d_x_view, r)
                made += before;
            }
            STORE_RUN(d_x, d_x_view, r, made)
        }
    }
}

// adamw: one step of Adam with decoupled weight decay, in place, element by element.
//
// gradient, parameter, first and second f32 [n]. With g = gradient_factor * gradient: first = keep1 first + blend1 g;
// second = keep2 second + blend2 g^2; parameter -= decay * parameter + step * first / (factor2 sqrt(second) +
// epsilon). The host works the coefficients out in f64, bias corrections and rate among them. Launch: items with `each`
// runs. Errors: first gamma(4), second gamma(6) of their terms, the step gamma(8) besides that of the root and of the
// moments.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"

// backends/shared/optimise.h has the same.
struct adamw_step {
    float gradient_factor, keep1, blend1, keep2, blend2, factor2, epsilon, step, decay;
};

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view       gradient_view, parameter_view, first_view, second_view;
    adamw_step given;
    walk       all;
};
INPUT(1, gradient)
UPDATED(2, parameter)
UPDATED(3, first)
UPDATED(4, second)

void main()
{
    const adamw_step with = given;
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        LOAD_RUN(g, gradient, gradient_view, r, F32)
        LOAD_UPDATED_RUN(p, parameter, parameter_view, r)
        LOAD_UPDATED_RUN(m, first, first_view, r)
        LOAD_UPDATED_RUN(v, second, second_view, r)
        g *= with.gradient_factor;
        m = with.keep1 * m + with.blend1 * g;
        v = with.keep2 * v + with.blend2 * g * g;
        p -= with.decay * p + with.step * (m / (with.factor2 * sqrt(v) + with.epsilon));
        STORE_RUN(first, first_view, r, m)
        STORE_RUN(second, second_view, r, v)
        STORE_RUN(parameter, parameter_view, r, p)
    }
}

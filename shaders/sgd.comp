// sgd: one step of stochastic gradient descent, in place, element by element.
//
// gradient, parameter and velocity (absent: without momentum) f32 [n]. g = gradient_factor * gradient + decay *
// parameter; velocity = momentum * velocity + g; parameter -= rate * velocity, or where NESTEROV, rate * (g + momentum *
// velocity). Launch: items with `each` runs. Errors: velocity gamma(5) of its terms, the step gamma(8).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"

layout(constant_id = 3) const bool HAS_VELOCITY = false;
layout(constant_id = 4) const bool NESTEROV     = false;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view  gradient_view, parameter_view, velocity_view;
    float gradient_factor, rate, momentum, decay;
    walk  all;
};
INPUT(1, gradient)
UPDATED(2, parameter)
UPDATED(3, velocity)

void main()
{
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        LOAD_RUN(g, gradient, gradient_view, r, F32)
        LOAD_UPDATED_RUN(p, parameter, parameter_view, r)
        g         = gradient_factor * g + decay * p;
        vec4 step = g;
        if (HAS_VELOCITY) {
            LOAD_UPDATED_RUN(moved, velocity, velocity_view, r)
            moved = momentum * moved + g;
            step  = NESTEROV ? g + momentum * moved : moved;
            STORE_RUN(velocity, velocity_view, r, moved)
        }
        p -= rate * step;
        STORE_RUN(parameter, parameter_view, r, p)
    }
}

/* sgd: one step of stochastic gradient descent, in place, element by element.
 *
 * gradient, parameter and velocity (absent: without momentum) f32 [n]. g = gradient_factor * gradient + decay *
 * parameter; velocity = momentum * velocity + g; parameter -= rate * velocity, or where `nesterov`, rate * (g +
 * momentum * velocity). Launch: one dimension of items, each with `each` runs of LANES elements. Errors: velocity
 * gamma(5) of its terms, the step gamma(8). */

typedef struct {
    float gradient_factor, rate, momentum, decay;
    int   nesterov;
} sgd_step;

__kernel void sgd(__global const float *gradient, view gradient_view, __global float *parameter, view parameter_view,
                  __global float *velocity, view velocity_view, sgd_step with, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        lanes p = load_run(&r, parameter, &parameter_view, F32);
        lanes g = with.gradient_factor * load_run(&r, gradient, &gradient_view, F32) + with.decay * p, step = g;
        if (velocity) {
            lanes moved = with.momentum * load_run(&r, velocity, &velocity_view, F32) + g;
            store_run(&r, velocity, &velocity_view, moved);
            step = with.nesterov ? g + with.momentum * moved : moved;
        }
        store_run(&r, parameter, &parameter_view, p - with.rate * step);
    }
}

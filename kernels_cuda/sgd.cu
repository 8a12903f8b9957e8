/* sgd: one step of stochastic gradient descent, in place, element by element.
 *
 * gradient, parameter and velocity (absent: without momentum) f32 [n]. g = gradient_factor * gradient + decay *
 * parameter; velocity = momentum * velocity + g; parameter -= rate * velocity, or where `nesterov`, rate * (g +
 * momentum * velocity). Launch: a thread for each run. Errors: velocity gamma(5) of its terms, the step gamma(8). */
#include "runs.cuh"

#include "sgd.h"

CUDA_FLAT_KERNEL(sgd, cuda_sgd, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    run_values step = load_run(r, p.gradient), parameter = load_run(r, p.parameter);
    for (int i = 0; i < CUDA_RUN; i++) step.x[i] = p.gradient_factor * step.x[i] + p.decay * parameter.x[i];
    if (p.velocity.data) {
        run_values velocity = load_run(r, p.velocity);
        for (int i = 0; i < CUDA_RUN; i++) {
            velocity.x[i] = p.momentum * velocity.x[i] + step.x[i];
            step.x[i]     = p.nesterov ? step.x[i] + p.momentum * velocity.x[i] : velocity.x[i];
        }
        store_run(r, p.velocity, velocity);
    }
    for (int i = 0; i < CUDA_RUN; i++) parameter.x[i] -= p.rate * step.x[i];
    store_run(r, p.parameter, parameter);
}

/* adamw: one step of Adam with decoupled weight decay, in place, element by element.
 *
 * gradient, parameter, first and second f32 [n]. With g = gradient_factor * gradient: first = keep1 first + blend1 g;
 * second = keep2 second + blend2 g^2; parameter -= decay * parameter + step * first / (factor2 sqrt(second) +
 * epsilon). The host works the coefficients out, bias corrections and rate among them (backends/shared/optimise.h).
 * Launch: a thread for each run. Errors: first gamma(4), second gamma(6) of their terms, the step gamma(8) besides that
 * of the root (1 ulp) and of the moments. */
#include "runs.cuh"

#include "adamw.h"

CUDA_FLAT_KERNEL(adamw, cuda_adamw, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    run_values gradient = load_run(r, p.gradient), parameter = load_run(r, p.parameter);
    run_values first = load_run(r, p.first), second = load_run(r, p.second);
    for (int i = 0; i < CUDA_RUN; i++) {
        float g      = p.gradient_factor * gradient.x[i];
        first.x[i]   = p.keep1 * first.x[i] + p.blend1 * g;
        second.x[i]  = p.keep2 * second.x[i] + p.blend2 * g * g;
        float wanted = first.x[i] / (p.factor2 * sqrtf(second.x[i]) + p.epsilon);
        parameter.x[i] -= p.decay * parameter.x[i] + p.step * wanted;
    }
    store_run(r, p.first, first);
    store_run(r, p.second, second);
    store_run(r, p.parameter, parameter);
}

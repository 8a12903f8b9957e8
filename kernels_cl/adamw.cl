/* adamw: one step of Adam with decoupled weight decay, in place, element by element.
 *
 * gradient, parameter, first and second f32 [n]. With g = gradient_factor * gradient: first = keep1 first + blend1 g;
 * second = keep2 second + blend2 g^2; parameter -= decay * parameter + step * first / (factor2 sqrt(second) +
 * epsilon). The host works the coefficients out in f64, bias corrections and rate among them (optimise.c). Launch: one
 * dimension of items, each with `each` runs of LANES elements. Errors: first gamma(4), second gamma(6) of their terms,
 * the step gamma(8) besides that of the root (3 ulp) and of the moments. */

typedef struct {
    float gradient_factor, keep1, blend1, keep2, blend2, factor2, epsilon, step, decay;
} adamw_step;

__kernel void adamw(__global const float *gradient, view gradient_view, __global float *parameter, view parameter_view,
                    __global float *first, view first_view, __global float *second, view second_view, adamw_step with,
                    runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        lanes g = with.gradient_factor * load_run(&r, gradient, &gradient_view, F32);
        lanes p = load_run(&r, parameter, &parameter_view, F32);
        lanes m = with.keep1 * load_run(&r, first, &first_view, F32) + with.blend1 * g;
        lanes v = with.keep2 * load_run(&r, second, &second_view, F32) + with.blend2 * g * g;
        store_run(&r, first, &first_view, m);
        store_run(&r, second, &second_view, v);
        store_run(&r, parameter, &parameter_view,
                  p - (with.decay * p + with.step * (m / (with.factor2 * sqrt(v) + with.epsilon))));
    }
}

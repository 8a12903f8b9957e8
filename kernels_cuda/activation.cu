/* activation: out = f(x), or f(x) * gated, element by element.
 *
 * x, gated (absent: f(x) alone) and out f32, of the shape that is walked; out may be x or gated. Launch: a thread for
 * each run. Errors: see activation.cuh. */
#include "runs.cuh"

#include "activation.cuh"
#include "activation.h"

CUDA_FLAT_KERNEL(activation, cuda_activation, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    run_values values = load_run(r, p.x), gated = {{1, 1, 1, 1}};
    if (p.gated.data) gated = load_run(r, p.gated);
    for (int i = 0; i < CUDA_RUN; i++) values.x[i] = activate(values.x[i], p.function) * gated.x[i];
    store_run(r, p.out, values);
}

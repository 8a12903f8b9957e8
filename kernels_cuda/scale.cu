/* scale: out = factor * x + offset, element by element.
 *
 * x and out f32 (may be the same), of the shape that is walked. Launch: a thread for each run. Error: two roundings,
 * gamma(2) (|factor x| + |offset|). */
#include "runs.cuh"

#include "scale.h"

CUDA_FLAT_KERNEL(scale, cuda_scale, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    run_values values = load_run(r, p.x);
    for (int i = 0; i < CUDA_RUN; i++) values.x[i] = p.factor * values.x[i] + p.offset;
    store_run(r, p.out, values);
}

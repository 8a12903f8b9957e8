/* add: out = a + b, element by element.
 *
 * a f32, b f32, f16 or bf16, out f32 (may be a or b), all of the shape that is walked; a stride of 0 repeats an input.
 * Launch: a thread for each run. Error: one rounding, u |a + b|. */
#include "runs.cuh"

#include "add.h"

CUDA_FLAT_KERNEL(add, cuda_add, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    run_values a = load_run(r, p.a), b = load_run(r, p.b);
    for (int i = 0; i < CUDA_RUN; i++) a.x[i] += b.x[i];
    store_run(r, p.out, a);
}

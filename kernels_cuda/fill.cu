/* fill: out = value, with any strides; `whole` where out is i32.
 *
 * out of the shape that is walked. Launch: a thread for each run. */
#include "runs.cuh"

#include "fill.h"

CUDA_FLAT_KERNEL(fill, cuda_fill, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    if (p.out.dtype == I32) {
        uint32_t               bits = (uint32_t)p.whole;
        run_elements<uint32_t> all  = {{bits, bits, bits, bits}};
        store_elements(p.out.data, run_index(r, p.out), p.out.stride[3], r.count, all);
    } else {
        store_run(r, p.out, {{p.value, p.value, p.value, p.value}});
    }
}

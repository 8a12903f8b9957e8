/* out = x, element by element, with any strides: elements of 2 or 4 bytes moved as they are, or f32, f16 and bf16 made
 * into each other, rounded to nearest even.
 *
 * x and out of the shape that is walked. Launch: a thread for each run. Exact but for the rounding into the narrower
 * format. */
#include "runs.cuh"

#include "copy.h"

template <typename element> DEVICE void move_run(const run &r, const cuda_view &x, const cuda_view &out)
{
    run_elements<element> all = load_elements<element>(x.data, run_index(r, x), x.stride[3], r.count);
    store_elements(out.data, run_index(r, out), out.stride[3], r.count, all);
}

CUDA_FLAT_KERNEL(copy_2, cuda_copy, CUDA_RUN_THREADS)
{
    run r;
    if (take_run(&r, p.all, RUN_NUMBER)) move_run<uint16_t>(r, p.x, p.out);
}

CUDA_FLAT_KERNEL(copy_4, cuda_copy, CUDA_RUN_THREADS)
{
    run r;
    if (take_run(&r, p.all, RUN_NUMBER)) move_run<uint32_t>(r, p.x, p.out);
}

CUDA_FLAT_KERNEL(convert, cuda_copy, CUDA_RUN_THREADS)
{
    run r;
    if (take_run(&r, p.all, RUN_NUMBER)) store_run(r, p.out, load_run(r, p.x));
}

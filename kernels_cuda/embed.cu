/* embed: out [T, d] = scale * table[ids[t]] (+ out).
 *
 * ids i32 [T], table [V, d] f32, f16 or bf16, out f32 [T, d], which is walked as [1, 1, T, d]. An id outside the table
 * gives NaN. Launch: a thread for each run. Error: none with scale 1 and nothing added, else gamma(2) (|scale x| +
 * |out|). */
#include "runs.cuh"

#include "embed.h"

CUDA_FLAT_KERNEL(embed, cuda_embed, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    int64_t    id     = static_cast<const int32_t *>(p.ids.data)[r.at[2] * p.ids.stride[0]];
    run_values values = {{NAN, NAN, NAN, NAN}}, old = {};
    if (id >= 0 && id < p.vocabulary)
        values = load_values(p.table.data, id * p.table.stride[0] + r.at[3] * p.table.stride[1], p.table.stride[1],
                             r.count, p.table.dtype);
    if (p.accumulate) old = load_run(r, p.out);
    for (int i = 0; i < CUDA_RUN; i++)
        values.x[i] = p.accumulate ? p.scale * values.x[i] + old.x[i] : p.scale * values.x[i];
    store_run(r, p.out, values);
}

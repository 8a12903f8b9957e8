/* embed_backward: d_table[v] = scale * the sum of d_out[t] over the t with ids[t] = v, in ascending t (+ d_table[v]).
 *
 * ids i32 [T], d_out f32 [T, d], d_table f32 [V, d]. embed_chain finds for each t the next t of the same id, T where
 * there is none, and whether t is its id's first; a thread takes a token. Then the first t of each id follows its
 * chain, so that each row of the table has one thread for each run; rows without any are left alone, and ids outside
 * the table skipped. Launch: a thread for each run of d_out. Error: gamma(n + 2) of the magnitudes of n rows, none for
 * one row with scale 1. */
#include "runs.cuh"

#include "embed_backward.h"

CUDA_FLAT_KERNEL(embed_chain, cuda_embed_backward, CUDA_RUN_THREADS)
{
    const int32_t *ids    = static_cast<const int32_t *>(p.ids.data);
    const int64_t  stride = p.ids.stride[0], t = RUN_NUMBER;
    int64_t        earlier = t - 1, later = t + 1;
    if (t >= p.tokens) return;
    const int32_t id = ids[t * stride];
    while (earlier >= 0 && ids[earlier * stride] != id) earlier--;
    while (later < p.tokens && ids[later * stride] != id) later++;
    p.next[t]  = (int32_t)later;
    p.leads[t] = earlier < 0;
}

CUDA_FLAT_KERNEL(embed_backward, cuda_embed_backward, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    const int64_t id  = static_cast<const int32_t *>(p.ids.data)[r.at[2] * p.ids.stride[0]];
    run_values    sum = {};
    if (id < 0 || id >= p.vocabulary || !p.leads[r.at[2]]) return;
    for (int64_t t = r.at[2]; t < p.tokens; t = p.next[t]) {
        run_values given = load_values(p.d_out.data, t * p.d_out.stride[2] + r.at[3] * p.d_out.stride[3],
                                       p.d_out.stride[3], r.count, F32);
        for (int i = 0; i < CUDA_RUN; i++) sum.x[i] += given.x[i];
    }
    for (int i = 0; i < CUDA_RUN; i++) sum.x[i] *= p.scale;
    add_values(p.d_table.data, id * p.d_table.stride[0] + r.at[3] * p.d_table.stride[1], p.d_table.stride[1], r.count,
               sum, p.accumulate);
}

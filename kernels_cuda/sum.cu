/* sum: out [n] = the sum over t of x [T, n], or of x^2 (+ out).
 *
 * x f32 [T, n], out f32 [n]. Rows are taken in blocks of `each`, whose number follows from the sizes alone; each one's
 * sums go to scratch, [blocks, n], and are added up in the order of blocks.
 *
 *     sum_rows      a thread takes a run of columns of a block of rows
 *     sum_column    of a single column; a block of threads takes a block of rows, as a row (team.cuh)
 *     sum_merge     a thread takes a column
 *
 * Error: gamma(T + 2) of the magnitudes. */
#include "team.cuh"

#include "sum.h"

CUDA_FLAT_KERNEL(sum_rows, cuda_sum, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    run_values sums = {};
    int64_t    row = r.at[2] * p.each, end = min(row + p.each, p.rows);
    for (; row < end; row++) {
        run_values values =
            load_values(p.x.data, row * p.x.stride[0] + r.at[3] * p.x.stride[1], p.x.stride[1], r.count, F32);
        for (int i = 0; i < CUDA_RUN; i++) sums.x[i] += p.squares ? values.x[i] * values.x[i] : values.x[i];
    }
    store_run(r, p.sums, sums);
}

CUDA_KERNEL(sum_column, cuda_sum, CUDA_TEAM_THREADS)
{
    team         t     = {CUDA_TEAM_THREADS, (int)threadIdx.x};
    int64_t      first = BLOCK_NUMBER * p.each;
    const float *row   = static_cast<const float *>(p.x.data) + first * p.x.stride[0];
    float        sum   = sum_of_row(t, row, p.x.stride[0], min(p.each, p.rows - first), 0, p.squares);
    if (t.thread == 0) static_cast<float *>(p.sums.data)[BLOCK_NUMBER] = sum;
}

CUDA_FLAT_KERNEL(sum_merge, cuda_sum_merge, CUDA_TEAM_THREADS)
{
    int64_t column = BLOCK_NUMBER * CUDA_TEAM_THREADS + threadIdx.x;
    if (column >= p.columns) return;
    float *out = static_cast<float *>(p.out.data) + column * p.out.stride[0], sum = 0;
    for (int64_t block = 0; block < p.blocks; block++) sum += p.sums[block * p.columns + column];
    *out = p.accumulate ? *out + sum : sum;
}

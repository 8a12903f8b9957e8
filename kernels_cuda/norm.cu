/* norm: layer: (x - mean) / sqrt(var + epsilon) * (weight + weight_offset) + bias; rms: without the mean.
 *
 * x, out f32 [i, j, k, d] (may be the same), weight, bias f32, f16 or bf16 [d] or absent, scale f32 [i, j, k] or
 * absent: the denominator. Kind none copies x; its denominator is 1.
 *
 * Each row is read three times, of which the caches serve two: for the mean, for the squares about it (no cancellation
 * between large numbers), and for the result. team.cuh has the order of the sums. Errors: mean gamma(d) sum |x| / d,
 * denominator half that of the mean square and 8 u, result 4 u more (tests/cases/norm.c).
 *
 * Two kernels: in norm_warp a warp takes a row, in norm_block a whole block of CUDA_TEAM_THREADS. */
#include "team.cuh"

#include "norm.h"

enum { LAYER, RMS, NONE }; /* scry_norm_kind */

/* Entries of weight or bias from `i` on. */
DEVICE run_values load_parameter(const cuda_view &x, int64_t i, int count)
{
    return load_values(x.data, i * x.stride[0], x.stride[0], count, x.dtype);
}

/* Entries from `i` on of a normalised row. */
DEVICE void apply_parameters(const cuda_norm &p, int64_t i, int count, run_values *values)
{
    if (p.weight.data) {
        run_values weight = load_parameter(p.weight, i, count);
        for (int j = 0; j < CUDA_RUN; j++) values->x[j] *= weight.x[j] + p.weight_offset;
    }
    if (p.bias.data) {
        run_values bias = load_parameter(p.bias, i, count);
        for (int j = 0; j < CUDA_RUN; j++) values->x[j] += bias.x[j];
    }
}

DEVICE void write_row(const cuda_norm &p, const team &t, const run &r, float centre, float factor)
{
    int64_t from = run_index(r, p.x), to = run_index(r, p.out);
    for (int64_t i = (int64_t)t.thread * CUDA_RUN; i < p.size; i += (int64_t)t.threads * CUDA_RUN) {
        int        count  = entries_left(p.size, i);
        run_values values = load_values(p.x.data, from + i * p.x.stride[3], p.x.stride[3], count, F32);
        if (p.kind != NONE) {
            for (int j = 0; j < CUDA_RUN; j++) values.x[j] = (values.x[j] - centre) * factor;
            apply_parameters(p, i, count, &values);
        }
        store_values(p.out.data, to + i * p.out.stride[3], p.out.stride[3], count, F32, values);
    }
}

DEVICE void normalise_row(const cuda_norm &p, const team &t, const run &r)
{
    const float *row    = static_cast<const float *>(p.x.data) + run_index(r, p.x);
    float        centre = 0, square = 1;
    if (p.kind == LAYER) centre = sum_of_row(t, row, p.x.stride[3], p.size, 0, false) * p.per_entry;
    if (p.kind != NONE) square = sum_of_row(t, row, p.x.stride[3], p.size, centre, true) * p.per_entry + p.epsilon;
    float denominator = sqrtf(square);
    write_row(p, t, r, centre, 1 / denominator);
    if (p.scale.data && t.thread == 0) static_cast<float *>(p.scale.data)[run_index(r, p.scale)] = denominator;
}

CUDA_KERNEL(norm_warp, cuda_norm, CUDA_TEAM_THREADS, 4)
{
    run  r;
    team t = {WARP, (int)threadIdx.x % WARP};
    if (take_run(&r, p.rows, BLOCK_NUMBER * (CUDA_TEAM_THREADS / WARP) + threadIdx.x / WARP)) normalise_row(p, t, r);
}

CUDA_KERNEL(norm_block, cuda_norm, CUDA_TEAM_THREADS, 4)
{
    run  r;
    team t = {CUDA_TEAM_THREADS, (int)threadIdx.x};
    if (take_run(&r, p.rows, BLOCK_NUMBER)) normalise_row(p, t, r);
}

/* norm: layer: (x - mean) / sqrt(var + epsilon) * (weight + weight_offset) + bias; rms: without the mean.
 *
 * x, out f32 [i, j, k, d] (may be the same), weight, bias f32, f16 or bf16 [d] or absent, scale f32 [i, j, k] or
 * absent: the denominator. Kind none copies x; its denominator is 1.
 *
 * Each row is read three times, of which the caches serve two: for the mean, for the squares about it (no cancellation
 * between large numbers), and for the result. Entry e of a row belongs to thread e / 4 modulo the threads that share
 * the row, which adds up its entries in four sums by e modulo 4. The sums are added in a fixed tree, the warps' in
 * their order. Errors: mean gamma(d) sum |x| / d, denominator half that of the mean square and 8 u, result 4 u more
 * (tests/cases/norm.c).
 *
 * Two kernels: in norm_warp a warp takes a row, in norm_block a whole block of CUDA_NORM_THREADS. */
#include "runs.cuh"

#include "norm.h"

enum { LAYER, RMS, NONE }; /* scry_norm_kind */

/* The threads that share a row, and which of them this one is. */
struct team {
    int threads, thread;
};

/* The sum over the team, in each of its threads. */
DEVICE float sum_of_team(const team &t, float mine)
{
    for (int far = WARP / 2; far > 0; far /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, far);
    if (t.threads == WARP) return mine;
    __shared__ float partial[CUDA_NORM_THREADS / WARP];
    if (t.thread % WARP == 0) partial[t.thread / WARP] = mine;
    __syncthreads();
    float sum = partial[0];
    for (int i = 1; i < CUDA_NORM_THREADS / WARP; i++) sum += partial[i];
    __syncthreads(); /* the next sum overwrites them */
    return sum;
}

/* Entries of a row from `i` on. */
DEVICE int entries_left(int64_t size, int64_t i)
{
    return (int)(size - i < CUDA_RUN ? size - i : CUDA_RUN);
}

/* Of x - centre, or its square, over a row that begins at `row`. */
DEVICE float sum_of_row(const cuda_norm &p, const team &t, int64_t row, float centre, bool squares)
{
    float sum[CUDA_RUN] = {};
    for (int64_t i = (int64_t)t.thread * CUDA_RUN; i < p.size; i += (int64_t)t.threads * CUDA_RUN) {
        int        count  = entries_left(p.size, i);
        run_values values = load_values(p.x.data, row + i * p.x.stride[3], p.x.stride[3], count, F32);
        for (int j = 0; j < CUDA_RUN; j++) {
            float value = j < count ? values.x[j] - centre : 0.0f;
            sum[j] += squares ? value * value : value;
        }
    }
    return sum_of_team(t, (sum[0] + sum[1]) + (sum[2] + sum[3]));
}

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
    int64_t row    = run_index(r, p.x);
    float   centre = 0, square = 1;
    if (p.kind == LAYER) centre = sum_of_row(p, t, row, 0, false) * p.per_entry;
    if (p.kind != NONE) square = sum_of_row(p, t, row, centre, true) * p.per_entry + p.epsilon;
    float denominator = sqrtf(square);
    write_row(p, t, r, centre, 1 / denominator);
    if (p.scale.data && t.thread == 0) static_cast<float *>(p.scale.data)[run_index(r, p.scale)] = denominator;
}

CUDA_KERNEL(norm_warp, cuda_norm, CUDA_NORM_THREADS, 4)
{
    run  r;
    team t = {WARP, (int)threadIdx.x % WARP};
    if (take_run(&r, p.rows, BLOCK_NUMBER * (CUDA_NORM_THREADS / WARP) + threadIdx.x / WARP)) normalise_row(p, t, r);
}

CUDA_KERNEL(norm_block, cuda_norm, CUDA_NORM_THREADS, 4)
{
    run  r;
    team t = {CUDA_NORM_THREADS, (int)threadIdx.x};
    if (take_run(&r, p.rows, BLOCK_NUMBER)) normalise_row(p, t, r);
}

/* Sums over a row that a warp or a whole block shares, in a fixed order: entry e of a row belongs to thread e / 4
 * modulo the team's threads, which adds up its entries in four sums by e modulo 4. The threads' sums are added in a
 * fixed tree, the warps' in their order. */
#ifndef SCRY_CUDA_TEAM_CUH
#define SCRY_CUDA_TEAM_CUH

#include "runs.cuh"

/* The threads that share a row, WARP or CUDA_TEAM_THREADS of them, and which of them this one is. */
struct team {
    int threads, thread;
};

/* The sum over the team, in each of its threads. */
DEVICE float sum_of_team(const team &t, float mine)
{
    for (int far = WARP / 2; far > 0; far /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, far);
    if (t.threads == WARP) return mine;
    __shared__ float partial[CUDA_TEAM_THREADS / WARP];
    if (t.thread % WARP == 0) partial[t.thread / WARP] = mine;
    __syncthreads();
    float sum = partial[0];
    for (int i = 1; i < CUDA_TEAM_THREADS / WARP; i++) sum += partial[i];
    __syncthreads(); /* the next sum overwrites them */
    return sum;
}

/* Entries of a row from `i` on, at most a run of them. */
DEVICE int entries_left(int64_t size, int64_t i)
{
    return (int)(size - i < CUDA_RUN ? size - i : CUDA_RUN);
}

/* Of x - centre, or its square, over the `size` entries of a row, `stride` apart. */
DEVICE float sum_of_row(const team &t, const float *row, int64_t stride, int64_t size, float centre, bool squares)
{
    float sum[CUDA_RUN] = {};
    for (int64_t i = (int64_t)t.thread * CUDA_RUN; i < size; i += (int64_t)t.threads * CUDA_RUN) {
        int        count  = entries_left(size, i);
        run_values values = load_values(row, i * stride, stride, count, F32);
        for (int j = 0; j < CUDA_RUN; j++) {
            float value = j < count ? values.x[j] - centre : 0.0f;
            sum[j] += squares ? value * value : value;
        }
    }
    return sum_of_team(t, (sum[0] + sum[1]) + (sum[2] + sum[3]));
}

#endif

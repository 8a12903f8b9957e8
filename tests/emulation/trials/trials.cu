/* Kernels that try what the emulation does for kernels, each in blocks of THREADS threads: first some that are right,
 * then some with one fault each, which the emulation or a sanitizer must see. trials.c says what is expected of them.
 */
#include "../../../kernels_cuda/common.cuh"

#include "trials.h"

enum { THREADS = 64, ALL = -1 };

/* --- right --- */

/* out = in, backwards within each block, through shared memory. */
CUDA_KERNEL(reverse, trial_parameters, THREADS)
{
    __shared__ float kept[THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    kept[t]             = p.in[at + t];
    __syncthreads();
    p.out[at + t] = kept[THREADS - 1 - t];
}

CUDA_KERNEL(block_memory, trial_parameters, THREADS)
{
    BLOCK_MEMORY(float, kept);
    int64_t at = BLOCK_NUMBER * THREADS;
    int     t  = (int)threadIdx.x;
    kept[t]    = p.in[at + t];
    __syncthreads();
    p.out[at + t] = kept[THREADS - 1 - t];
}

/* Lane 5 of each group of 8. */
CUDA_KERNEL(shuffle, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    p.out[at]  = __shfl_sync(ALL, p.in[at], 5, 8);
}

CUDA_KERNEL(shuffle_up, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    p.out[at]  = __shfl_up_sync(ALL, p.in[at], 3);
}

CUDA_KERNEL(shuffle_down, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    p.out[at]  = __shfl_down_sync(ALL, p.in[at], 3);
}

CUDA_KERNEL(shuffle_xor, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    p.out[at]  = __shfl_xor_sync(ALL, p.in[at], 17);
}

/* How many of the warp have an odd number. */
CUDA_KERNEL(ballot, trial_parameters, THREADS)
{
    int64_t  at   = BLOCK_NUMBER * THREADS + threadIdx.x;
    unsigned odd  = __ballot_sync(ALL, (int)p.in[at] & 1);
    bool     some = __any_sync(ALL, p.in[at] < 0), all = __all_sync(ALL, p.in[at] >= 0);
    p.out[at] = (float)(__popc(odd) + (some ? 100 : 0) + (all ? 0 : 100));
}

CUDA_FLAT_KERNEL(flat, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    if (at < p.count) p.out[at] = 2 * p.in[at] + (float)(blockDim.x + gridDim.x);
}

/* The block's sum, by halves, in each element. */
CUDA_KERNEL(reduce, trial_parameters, THREADS)
{
    __shared__ float sums[THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    sums[t]             = p.in[at + t];
    for (int width = THREADS / 2; width > 0; width /= 2) {
        __syncthreads();
        if (t < width) sums[t] += sums[t + width];
    }
    __syncthreads();
    p.out[at + t] = sums[0];
}

DEVICE void copy_both(float *kept, const trial_parameters &p, int64_t at, int t)
{
    scry__emulated_copy_later(&kept[t], &p.in[at + t], sizeof(float), 0);
    scry__emulated_copies_commit();
    scry__emulated_copy_later(&kept[THREADS + t], &p.in[at + t], sizeof(float), 0);
    scry__emulated_copies_commit();
}

/* in + in, each brought in by a copy of its own. */
CUDA_KERNEL(late_copy, trial_parameters, THREADS)
{
    __shared__ float kept[2 * THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    copy_both(kept, p, at, t);
    scry__emulated_copies_wait(1);
    float first = kept[t];
    scry__emulated_copies_wait(0);
    p.out[at + t] = first + kept[THREADS + t];
}

/* in / 3 through f16. */
CUDA_FLAT_KERNEL(half, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    p.out[at]  = f16_to_f32(f32_to_f16(p.in[at] / 3));
}

/* --- wrong --- */

CUDA_KERNEL(unwaited_copy, trial_parameters, THREADS)
{
    __shared__ float kept[2 * THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    kept[t] = kept[THREADS + t] = -1;
    copy_both(kept, p, at, t);
    scry__emulated_copies_wait(1);
    p.out[at + t] = kept[t] + kept[THREADS + t];
}

/* Asked for while others read what it replaces. */
CUDA_KERNEL(early_copy, trial_parameters, THREADS)
{
    __shared__ float kept[THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    kept[t]             = p.in[at + t];
    __syncthreads();
    scry__emulated_copy_later(&kept[t], &p.in[at + t], sizeof(float), 0);
    scry__emulated_copies_commit();
    p.out[at + t] = kept[THREADS - 1 - t];
    __syncthreads();
    scry__emulated_copies_wait(0);
}

CUDA_KERNEL(divergent_block, trial_parameters, THREADS)
{
    if (threadIdx.x != 40) __syncthreads();
    p.out[BLOCK_NUMBER * THREADS + threadIdx.x] = 0;
}

CUDA_KERNEL(divergent_warp, trial_parameters, THREADS)
{
    float x = 1;
    if (threadIdx.x < 20) x = __shfl_xor_sync(ALL, x, 1);
    p.out[BLOCK_NUMBER * THREADS + threadIdx.x] = x;
}

CUDA_KERNEL(divergent_places, trial_parameters, THREADS)
{
    if (threadIdx.x & 1)
        __syncthreads();
    else
        p.out[BLOCK_NUMBER * THREADS + threadIdx.x] = 0;
    if (!(threadIdx.x & 1)) __syncthreads();
}

CUDA_KERNEL(partial_mask, trial_parameters, THREADS)
{
    p.out[BLOCK_NUMBER * THREADS + threadIdx.x] = __shfl_xor_sync(0xffff, 1.0f, 1);
}

CUDA_FLAT_KERNEL(meeting_flat, trial_parameters, THREADS)
{
    __syncthreads();
    p.out[BLOCK_NUMBER * THREADS + threadIdx.x] = 0;
}

/* Right where memory that nobody wrote happens to be 0. */
CUDA_KERNEL(unwritten_shared, trial_parameters, THREADS)
{
    __shared__ float kept[THREADS], more[THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    kept[t]             = p.in[at + t];
    if (p.count < 0) more[t] = 1;
    __syncthreads();
    p.out[at + t] = kept[THREADS - 1 - t] + more[t];
}

CUDA_KERNEL(missing_barrier, trial_parameters, THREADS)
{
    __shared__ float kept[THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    kept[t]             = p.in[at + t];
    p.out[at + t]       = kept[THREADS - 1 - t];
}

/* What is read behind a barrier is written again before all have read it. */
CUDA_KERNEL(missing_second_barrier, trial_parameters, THREADS)
{
    __shared__ float kept[THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    for (int round = 0; round < 2; round++) {
        kept[t] = p.in[at + t] + (float)round;
        __syncthreads();
        p.out[at + t] = kept[THREADS - 1 - t];
    }
}

/* A shuffle is no barrier for shared memory. */
CUDA_KERNEL(missing_warp_barrier, trial_parameters, THREADS)
{
    __shared__ float kept[THREADS];
    int64_t          at = BLOCK_NUMBER * THREADS;
    int              t  = (int)threadIdx.x;
    kept[t]             = p.in[at + t];
    float mine          = __shfl_xor_sync(ALL, 0.0f, 1);
    p.out[at + t]       = kept[t ^ 1] + mine;
}

/* All threads of a block write one element. */
CUDA_FLAT_KERNEL(flat_race, trial_parameters, THREADS)
{
    p.out[BLOCK_NUMBER] = p.in[threadIdx.x];
}

/* All blocks write one element. */
CUDA_KERNEL(blocks_race, trial_parameters, THREADS)
{
    __syncthreads();
    if (threadIdx.x == 0) p.out[0] = p.out[0] + p.in[BLOCK_NUMBER];
}

CUDA_FLAT_KERNEL(read_beyond, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    p.out[at]  = p.in[at + 1];
}

CUDA_KERNEL(write_beyond, trial_parameters, THREADS)
{
    int64_t at = BLOCK_NUMBER * THREADS + threadIdx.x;
    __syncthreads();
    p.out[at + 1] = p.in[at];
}

CUDA_KERNEL(block_memory_beyond, trial_parameters, THREADS)
{
    BLOCK_MEMORY(float, kept);
    kept[threadIdx.x + 1] = p.in[threadIdx.x];
    __syncthreads();
    p.out[threadIdx.x] = kept[threadIdx.x];
}

CUDA_KERNEL(shared_beyond, trial_parameters, THREADS)
{
    __shared__ float kept[4][THREADS / 4];
    int              t            = (int)threadIdx.x;
    kept[t / 16][t % 16 + t / 63] = p.in[t];
    __syncthreads();
    p.out[t] = kept[t / 16][t % 16];
}

CUDA_FLAT_KERNEL(misaligned, trial_parameters, THREADS)
{
    const float4 four  = *reinterpret_cast<const float4 *>(p.in + threadIdx.x % 8);
    p.out[threadIdx.x] = four.x;
}

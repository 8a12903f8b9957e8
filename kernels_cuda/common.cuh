/* What every .cu file begins with: how kernels are declared, and how they reach elements of any dtype.
 *
 * The same files are compiled twice: by nvcc for devices, and with SCRY_CUDA_EMULATED as host C++, where
 * tests/emulation/device.h provides the language (threadIdx, barriers, shuffles) and the two KERNEL macros.
 *
 *     CUDA_KERNEL(name, parameters, THREADS) { ... }        threads meet: barriers, shuffles, shared memory
 *     CUDA_FLAT_KERNEL(name, parameters, THREADS) { ... }   each thread works for itself
 *
 * declares kernel `name`, which takes `struct parameters` as `p` and runs in blocks of at most THREADS threads;
 * "THREADS, BLOCKS" in its place rations registers so that a multiprocessor holds that many blocks. A launch is a line
 * of blocks, which the host may cut into several; BLOCK_NUMBER, an int64_t, counts over all of them. Blocks must not
 * depend on each other.
 *
 *     DEVICE float f(...)                                   a function for kernels
 *     __shared__ float tile[64][65];                        shared memory, 48 KiB at most
 *     BLOCK_MEMORY(float, tile);                            all of the bytes that the launch asked for, 16-byte aligned
 *
 * Shuffles and ballots are those of whole warps: full masks, all 32 lanes. */
#ifndef SCRY_CUDA_COMMON_CUH
#define SCRY_CUDA_COMMON_CUH

#include "view.h"

#ifdef SCRY_CUDA_EMULATED
#include "emulation/device.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define CUDA_KERNEL(name, parameters, ...)                                                                             \
    extern "C" __global__ void __launch_bounds__(__VA_ARGS__) scry__cuda_kernel_##name(                                \
        const __grid_constant__ struct parameters p, const __grid_constant__ int64_t first_block)
#define CUDA_FLAT_KERNEL CUDA_KERNEL
#define DEVICE           static __device__ __forceinline__
#define BLOCK_MEMORY(type, name)                                                                                       \
    extern __shared__ __align__(16) unsigned char scry__block_memory[];                                                \
    type                                         *name = reinterpret_cast<type *>(scry__block_memory)

DEVICE float f16_to_f32(uint16_t bits)
{
    return __half2float(__ushort_as_half(bits));
}

/* To nearest even. */
DEVICE uint16_t f32_to_f16(float x)
{
    return __half_as_ushort(__float2half_rn(x));
}
#endif

#define BLOCK_NUMBER (first_block + (int64_t)blockIdx.x)

enum { F32, F16, BF16, I32 }; /* scry_dtype */

enum { WARP = 32 };

#define ALL_LANES 0xffffffffu /* the mask of shuffles */

DEVICE float bf16_to_f32(uint16_t bits)
{
    return __uint_as_float((uint32_t)bits << 16);
}

/* To nearest even; a NaN stays one. */
DEVICE uint16_t f32_to_bf16(float x)
{
    uint32_t bits = __float_as_uint(x);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* x y + z, rounded once on devices. */
DEVICE float multiply_add(float x, float y, float z)
{
#ifdef SCRY_CUDA_EMULATED
    return x * y + z;
#else
    return fmaf(x, y, z);
#endif
}

/* Element `index` of a float tensor of any dtype. */
DEVICE float load_as(const void *x, int64_t index, int dtype)
{
    if (dtype == F32) return static_cast<const float *>(x)[index];
    uint16_t bits = static_cast<const uint16_t *>(x)[index];
    return dtype == F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

DEVICE void store_as(void *x, int64_t index, int dtype, float value)
{
    if (dtype == F32)
        static_cast<float *>(x)[index] = value;
    else
        static_cast<uint16_t *>(x)[index] = dtype == F16 ? f32_to_f16(value) : f32_to_bf16(value);
}

#endif

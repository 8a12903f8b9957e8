/* The device language as host C++: what a .cu file finds in place of CUDA's own headers when it is compiled with
 * SCRY_CUDA_EMULATED. See kernels_cuda/common.cuh for the contract and crew.c for how threads run.
 *
 * Beyond the language itself there are, for what common.cuh's users give two forms:
 *
 *     scry__emulated_exchange(&mine, sizeof mine, EMULATED_HERE)     what all 32 lanes of a warp gave, for instructions
 *                                                                    of whole warps (mma, ldmatrix)
 *     scry__emulated_copy_later / _copies_commit / _copies_wait      cp.async: nothing arrives before it is waited for
 *
 * Arithmetic is the host's: correctly rounded +, *, /, sqrt and fmaf, no contraction, the C library's exp and log. */
#ifndef SCRY_EMULATION_DEVICE_H
#define SCRY_EMULATION_DEVICE_H

#include "emulation.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define EMULATED_TEXT(x) #x
#define EMULATED_LINE(x) EMULATED_TEXT(x)
#define EMULATED_HERE    __FILE__ ":" EMULATED_LINE(__LINE__)

#define EMULATED_KERNEL(name, parameters, threads, meets)                                                              \
    static void emulated_##name(const struct parameters &p, int64_t first_block);                                      \
    static void emulated_run_##name(const void *p, int64_t first_block)                                                \
    {                                                                                                                  \
        emulated_##name(*static_cast<const struct parameters *>(p), first_block);                                      \
    }                                                                                                                  \
    extern "C" {                                                                                                       \
    struct scry__emulated_kernel scry__cuda_kernel_##name = {                                                          \
        #name, threads, meets, sizeof(struct parameters), emulated_run_##name, 0};                                     \
    }                                                                                                                  \
    static void emulated_##name([[maybe_unused]] const struct parameters &p, [[maybe_unused]] int64_t first_block)

#define EMULATED_FIRST(first, ...)              first
#define CUDA_KERNEL(name, parameters, ...)      EMULATED_KERNEL(name, parameters, EMULATED_FIRST(__VA_ARGS__, 0), true)
#define CUDA_FLAT_KERNEL(name, parameters, ...) EMULATED_KERNEL(name, parameters, EMULATED_FIRST(__VA_ARGS__, 0), false)
#define DEVICE                                  [[maybe_unused]] static inline
#define BLOCK_MEMORY(type, name)                type *name = static_cast<type *>(static_cast<void *>(scry__emulated_here.block_memory))

#define __device__
#define __host__
#define __forceinline__  inline
#define __noinline__     __attribute__((noinline))
#define __constant__     const
#define __align__(bytes) alignas(bytes)
#define __shared__       static thread_local /* an OS thread runs one block at a time */

#define threadIdx scry__emulated_here.thread
#define blockIdx  scry__emulated_here.block
#define blockDim  scry__emulated_here.block_size
#define gridDim   scry__emulated_here.grid
#define warpSize  32

/* --- where threads meet. Shuffles and votes are those of whole warps --- */

#define __syncthreads()       scry__emulated_meet(SCRY__OF_BLOCK, EMULATED_HERE)
#define __syncwarp(...)       scry__emulated_meet(SCRY__OF_WARP, EMULATED_HERE)
#define __threadfence()       __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_block() __threadfence()

#define __shfl_sync(...)      emulated_shuffle(EMULATED_HERE, __VA_ARGS__)
#define __shfl_up_sync(...)   emulated_shuffle_up(EMULATED_HERE, __VA_ARGS__)
#define __shfl_down_sync(...) emulated_shuffle_down(EMULATED_HERE, __VA_ARGS__)
#define __shfl_xor_sync(...)  emulated_shuffle_xor(EMULATED_HERE, __VA_ARGS__)
#define __ballot_sync(...)    emulated_ballot(EMULATED_HERE, __VA_ARGS__)
#define __any_sync(...)       (emulated_ballot(EMULATED_HERE, __VA_ARGS__) != 0)
#define __all_sync(...)       (emulated_ballot(EMULATED_HERE, __VA_ARGS__) == 0xffffffffu)

DEVICE unsigned emulated_lane()
{
    return threadIdx.x % warpSize;
}

/* What lane `from` of the warp gives. */
template <typename T> DEVICE T emulated_take(const char *where, unsigned mask, T value, unsigned from)
{
    static_assert(sizeof(T) <= SCRY__MOST_EXCHANGED, "too much for a lane");
    if (mask != 0xffffffffu) scry__emulated_refuse("not all lanes are asked for at", where);
    const unsigned char *all = scry__emulated_exchange(&value, sizeof value, where);
    T                    taken;
    memcpy(&taken, all + from % warpSize * SCRY__MOST_EXCHANGED, sizeof taken);
    return taken;
}

/* `width` is 32 or a smaller power of two: lanes keep to their own group of so many. Who would take from beyond it
 * keeps its own. */
template <typename T> DEVICE T emulated_shuffle(const char *where, unsigned mask, T value, int from, int width = 32)
{
    unsigned group = emulated_lane() & ~(unsigned)(width - 1);
    return emulated_take(where, mask, value, group | ((unsigned)from & (unsigned)(width - 1)));
}

template <typename T>
DEVICE T emulated_shuffle_up(const char *where, unsigned mask, T value, unsigned delta, int width = 32)
{
    unsigned lane = emulated_lane(), group = lane & ~(unsigned)(width - 1);
    return emulated_take(where, mask, value, lane - group < delta ? lane : lane - delta);
}

template <typename T>
DEVICE T emulated_shuffle_down(const char *where, unsigned mask, T value, unsigned delta, int width = 32)
{
    unsigned lane = emulated_lane(), end = (lane & ~(unsigned)(width - 1)) + (unsigned)width;
    return emulated_take(where, mask, value, lane + delta < end ? lane + delta : lane);
}

template <typename T> DEVICE T emulated_shuffle_xor(const char *where, unsigned mask, T value, int bits, int width = 32)
{
    unsigned lane = emulated_lane(), end = (lane & ~(unsigned)(width - 1)) + (unsigned)width;
    unsigned from = lane ^ (unsigned)bits;
    return emulated_take(where, mask, value, from < end ? from : lane);
}

DEVICE unsigned emulated_ballot(const char *where, unsigned mask, bool vote)
{
    unsigned char mine = vote;
    if (mask != 0xffffffffu) scry__emulated_refuse("not all lanes are asked for at", where);
    const unsigned char *all   = scry__emulated_exchange(&mine, sizeof mine, where);
    unsigned             votes = 0;
    for (unsigned i = 0; i < warpSize; i++) votes |= (unsigned)all[i * SCRY__MOST_EXCHANGED] << i;
    return votes;
}

/* --- numbers --- */

template <typename To, typename From> DEVICE To emulated_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "of one size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

DEVICE float __uint_as_float(unsigned x)
{
    return emulated_bits<float>(x);
}
DEVICE float __int_as_float(int x)
{
    return emulated_bits<float>(x);
}
DEVICE unsigned __float_as_uint(float x)
{
    return emulated_bits<unsigned>(x);
}
DEVICE int __float_as_int(float x)
{
    return emulated_bits<int>(x);
}

DEVICE float f16_to_f32(uint16_t bits)
{
    unsigned sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31, mantissa = bits & 0x3ffu;
    if (exponent == 0) return copysignf((float)mantissa * 0x1p-24f, __uint_as_float(sign));
    return __uint_as_float(sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | mantissa << 13);
}

/* To nearest even. */
DEVICE uint16_t f32_to_f16(float x)
{
    unsigned bits = __float_as_uint(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return (uint16_t)(sign | 0x7fffu);
    if (rest >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more */
    if (rest < 0x38800000u)                                     /* a multiple of 2^-24, as are the floats about 0.5 */
        return (uint16_t)(sign | (__float_as_uint(__uint_as_float(rest) + 0.5f) - __float_as_uint(0.5f)));
    return (uint16_t)(sign | (((rest + 0xfffu + (rest >> 13 & 1)) >> 13) - (112u << 10)));
}

DEVICE float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}
DEVICE float __fadd_rn(float a, float b)
{
    return a + b;
}
DEVICE float __fsub_rn(float a, float b)
{
    return a - b;
}
DEVICE float __fmul_rn(float a, float b)
{
    return a * b;
}
DEVICE float __fdiv_rn(float a, float b)
{
    return a / b;
}
DEVICE float __fsqrt_rn(float x)
{
    return sqrtf(x);
}
DEVICE float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}

template <typename T> DEVICE T min(T a, T b)
{
    return b < a ? b : a;
}
template <typename T> DEVICE T max(T a, T b)
{
    return a < b ? b : a;
}
DEVICE float min(float a, float b)
{
    return fminf(a, b);
}
DEVICE float max(float a, float b)
{
    return fmaxf(a, b);
}

DEVICE int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
DEVICE int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}
DEVICE int __ffs(int x)
{
    return __builtin_ffs(x);
}
DEVICE int __ffsll(long long x)
{
    return __builtin_ffsll(x);
}

/* --- memory --- */

#define EMULATED_VECTORS(X)                                                                                            \
    X(float, float2, float4) X(int, int2, int4) X(unsigned, uint2, uint4) X(unsigned short, ushort2, ushort4)
#define EMULATED_VECTOR(element, two, four)                                                                            \
    struct alignas(2 * sizeof(element)) two {                                                                          \
        element x, y;                                                                                                  \
    };                                                                                                                 \
    struct alignas(4 * sizeof(element)) four {                                                                         \
        element x, y, z, w;                                                                                            \
    };                                                                                                                 \
    DEVICE two make_##two(element x, element y)                                                                        \
    {                                                                                                                  \
        return two{x, y};                                                                                              \
    }                                                                                                                  \
    DEVICE four make_##four(element x, element y, element z, element w)                                                \
    {                                                                                                                  \
        return four{x, y, z, w};                                                                                       \
    }
EMULATED_VECTORS(EMULATED_VECTOR)

template <typename T> DEVICE T __ldg(const T *from)
{
    return *from;
}
template <typename T> DEVICE T __ldcs(const T *from)
{
    return *from;
}
template <typename T> DEVICE void __stcs(T *to, T value)
{
    *to = value;
}

template <typename T> DEVICE T atomicAdd(T *to, T value)
{
    return __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}
template <typename T> DEVICE T atomicOr(T *to, T value)
{
    return __atomic_fetch_or(to, value, __ATOMIC_RELAXED);
}
template <typename T> DEVICE T atomicMax(T *to, T value)
{
    T seen = __atomic_load_n(to, __ATOMIC_RELAXED);
    while (seen < value && !__atomic_compare_exchange_n(to, &seen, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return seen;
}

#endif

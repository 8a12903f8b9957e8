/* Tensor cores, matrix loads and asynchronous copies: the few instructions of devices that CUDA C++ has no plain
 * functions for. Included behind common.cuh.
 *
 * multiply_* add to D [16, 8] in f32 the product of A [16, k] and B [k, 8], k being 32 bytes of what is multiplied: 16
 * elements of f16 or bf16, 8 of tf32. Each lane has parts of all three, as PTX (mma.sync, m16n8k16 and m16n8k8) lays
 * them out; with g = lane / 4 and t = lane % 4, words of 4 bytes:
 *
 *     a[0] word t of row g      a[1] word t of row g + 8     a[2], a[3] the same, words t + 4
 *     b[0] word t of column g   b[1] word t + 4 of column g
 *     d[0], d[1] columns 2t and 2t + 1 of row g              d[2], d[3] of row g + 8
 *
 * where rows of A and columns of B are those along k. So load_matrices gives both, for every type, from shared memory
 * with lines along k. Tensor cores take compute capability 8.0; the host launches nothing with them below.
 *
 * Emulated, lanes exchange their parts, so that a wrong layout gives wrong numbers there too. All 32 lanes of a warp
 * take part in all of these, save in copies. */
#ifndef SCRY_CUDA_TENSOR_CUH
#define SCRY_CUDA_TENSOR_CUH

#include "common.cuh"

/* --- Rounding on the way in --- */

/* Two elements in one word, the first in its low half; to nearest even. */
DEVICE uint32_t pack_f16(float first, float second)
{
#ifdef SCRY_CUDA_EMULATED
    return (uint32_t)f32_to_f16(second) << 16 | f32_to_f16(first);
#else
    __half2 pair = __floats2half2_rn(first, second);
    return *reinterpret_cast<uint32_t *>(&pair);
#endif
}

DEVICE uint32_t pack_bf16(float first, float second)
{
#ifdef SCRY_CUDA_EMULATED
    return (uint32_t)f32_to_bf16(second) << 16 | f32_to_bf16(first);
#else
    __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    return *reinterpret_cast<uint32_t *>(&pair);
#endif
}

/* To nearest, ties away from zero, as cvt.rna does; infinities and NaN stay. */
DEVICE uint32_t f32_to_tf32(float x)
{
    uint32_t bits = __float_as_uint(x);
    return (bits & 0x7f800000) == 0x7f800000 ? bits : (bits + 0x1000) & 0xffffe000;
}

/* --- Addresses in shared memory ---
 *
 * As numbers, for what a few of their bits choose. */

#ifdef SCRY_CUDA_EMULATED
typedef uintptr_t shared_address;
#else
typedef uint32_t shared_address;
#endif

DEVICE shared_address address_of(const void *x)
{
#ifdef SCRY_CUDA_EMULATED
    return reinterpret_cast<uintptr_t>(x);
#else
    return (uint32_t)__cvta_generic_to_shared(x);
#endif
}

#ifdef SCRY_CUDA_EMULATED

/* --- Emulated --- */

/* The elements of a word: two, or one of tf32. */
DEVICE float element_of(uint32_t word, int which, int dtype)
{
    if (dtype == F32) return __uint_as_float(word);
    uint16_t bits = (uint16_t)(word >> 16 * which);
    return dtype == F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

/* What lane `lane` gave to an exchange. */
template <typename T> DEVICE const T &of_lane(const unsigned char *all, int lane)
{
    return *reinterpret_cast<const T *>(all + lane * SCRY__MOST_EXCHANGED);
}

struct tensor_parts {
    uint32_t a[4], b[2];
};

/* dtype F32: tf32. */
DEVICE void multiply_emulated(float d[4], const uint32_t a[4], const uint32_t b[2], int dtype)
{
    const tensor_parts   mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    const unsigned char *all  = scry__emulated_exchange(&mine, sizeof mine, EMULATED_HERE);
    const int            lane = (int)threadIdx.x % WARP, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) /* row g or g + 8, column 2t or 2t + 1 */
        for (int word = 0; word < 8; word++)
            for (int e = 0; e < (dtype == F32 ? 1 : 2); e++) {
                const uint32_t row    = of_lane<tensor_parts>(all, g * 4 + word % 4).a[word / 4 * 2 + i / 2];
                const uint32_t column = of_lane<tensor_parts>(all, (2 * t + i % 2) * 4 + word % 4).b[word / 4];
                d[i] += element_of(row, e, dtype) * element_of(column, e, dtype);
            }
}

DEVICE void multiply_f16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    multiply_emulated(d, a, b, F16);
}

DEVICE void multiply_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    multiply_emulated(d, a, b, BF16);
}

DEVICE void multiply_tf32(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    multiply_emulated(d, a, b, F32);
}

DEVICE void load_matrices(uint32_t out[4], shared_address row)
{
    const unsigned char *all  = scry__emulated_exchange(&row, sizeof row, EMULATED_HERE);
    const int            lane = (int)threadIdx.x % WARP, element = lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
        const uint16_t *from = of_lane<const uint16_t *>(all, i * 8 + lane / 4);
        out[i]               = (uint32_t)from[element + 1] << 16 | from[element];
    }
}

DEVICE void load_matrices_turned(uint32_t out[4], shared_address row)
{
    const unsigned char *all  = scry__emulated_exchange(&row, sizeof row, EMULATED_HERE);
    const int            lane = (int)threadIdx.x % WARP, first = lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
        const uint16_t *low  = of_lane<const uint16_t *>(all, i * 8 + first),
                       *high = of_lane<const uint16_t *>(all, i * 8 + first + 1);
        out[i]               = (uint32_t)high[lane / 4] << 16 | low[lane / 4];
    }
}

template <int BYTES> DEVICE void copy_async(void *to, const void *from)
{
    scry__emulated_copy_later(to, from, BYTES, 0);
}

DEVICE void copy_async_commit()
{
    scry__emulated_copies_commit();
}

template <int PENDING> DEVICE void copy_async_wait()
{
    scry__emulated_copies_wait(PENDING);
}

#else

/* --- On devices --- */

#if __CUDA_ARCH__ >= 800
#define TENSOR_MULTIPLY(shape, type)                                                                                   \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 "                                       \
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                                     \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#else
#define TENSOR_MULTIPLY(shape, type) __trap()
#endif

DEVICE void multiply_f16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    TENSOR_MULTIPLY("m16n8k16", "f16");
}

DEVICE void multiply_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    TENSOR_MULTIPLY("m16n8k16", "bf16");
}

DEVICE void multiply_tf32(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    TENSOR_MULTIPLY("m16n8k8", "tf32");
}

#undef TENSOR_MULTIPLY

/* Four matrices of 8 rows of 16 bytes, 16-byte aligned in shared memory: lane l points to row l % 8 of matrix l / 8,
 * and gets of each matrix word l % 4 of row l / 4. */
DEVICE void load_matrices(uint32_t out[4], shared_address row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(row)
                 : "memory");
}

/* The same of the transposed matrices of 16-bit elements: elements l / 4 of rows l % 4 * 2 and the next. */
DEVICE void load_matrices_turned(uint32_t out[4], shared_address row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(row)
                 : "memory");
}

/* Copies 4, 8 or 16 bytes, aligned to as many, to shared memory: done once the thread has waited, and there for others
 * behind the barrier after that. At once below compute capability 8.0. */
template <int BYTES> DEVICE void copy_async(void *to, const void *from)
{
#if __CUDA_ARCH__ >= 800
    if (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address_of(to)), "l"(from) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(address_of(to)), "l"(from), "n"(BYTES)
                     : "memory");
#else
    memcpy(__builtin_assume_aligned(to, BYTES), __builtin_assume_aligned(from, BYTES), BYTES);
#endif
}

/* Ends a group of copies. */
DEVICE void copy_async_commit()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Waits for all of the thread's groups but the last PENDING. */
template <int PENDING> DEVICE void copy_async_wait()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

#endif

#endif

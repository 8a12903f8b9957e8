/* In front of every program: how kernels see tensors and masks. OpenCL C 1.2, no extension needed.
 *
 * Host side: backends/opencl/launch.c and mask.c pass these structs; the layouts must agree. */

#pragma OPENCL FP_CONTRACT ON

enum { F32, F16, BF16, I32 }; /* scry_dtype */

/* A tensor: element (i0, i1, ..) is at offset + i0*stride[0] + .. of its buffer, in elements; axes beyond the rank have
 * stride 0. */
typedef struct {
    long offset;
    long stride[4];
    int  dtype;
    int  unused;
} view;

/* What follows scry_mask's tensors, which are passed as parameters of their own:
 *     MASK_PARAMETERS   in the parameter list, for scry__cl_mask on the host. */
typedef struct {
    long causal, window, prefix, query_offset;
} mask;

#define MASK_PARAMETERS                                                                                                \
    mask masked, __global const int *key_begin, view key_begin_view, __global const int *key_end, view key_end_view,   \
        __global const float *additive, view additive_view

inline float bf16_to_f32(ushort bits)
{
    return as_float((uint)bits << 16);
}

/* Element `index` (counted from the buffer's start) of a float tensor of any dtype. */
inline float load_as(__global const void *x, long index, int dtype)
{
    if (dtype == F32) return ((__global const float *)x)[index];
    if (dtype == F16) return vload_half(index, (__global const half *)x);
    return bf16_to_f32(((__global const ushort *)x)[index]);
}

inline ushort f32_to_bf16(float x)
{
    const uint bits = as_uint(x);
    if (isnan(x)) return (ushort)(bits >> 16 | 0x40);
    return (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline void store_as(__global void *x, long index, int dtype, float value)
{
    if (dtype == F32)
        ((__global float *)x)[index] = value;
    else if (dtype == F16)
        vstore_half_rte(value, index, (__global half *)x);
    else
        ((__global ushort *)x)[index] = f32_to_bf16(value);
}

/* Element-wise kernels take WALK_PARAMETERS last (scry__cl_walk_launch on the host) and read
 *
 *     if (WALK_OUTSIDE) return;
 *     const long x_at = row_of(x_view, walked, WALK_ROW);
 *     WALK(i) .. x[x_at + i * x_view.stride[3]] ..
 *
 * Items are threads where IS_CPU: each takes a block of a row. Elsewhere neighbours take neighbours. */
typedef struct {
    long size[4];
} extent;

#define WALK_PARAMETERS extent walked

/* Index of the first element of row `row` of a walked operand. */
inline long row_of(view x, extent walked, long row)
{
    const long i2 = row % walked.size[2], i01 = row / walked.size[2];
    return x.offset + i01 / walked.size[1] * x.stride[0] + i01 % walked.size[1] * x.stride[1] + i2 * x.stride[2];
}

#define WALK_ROW     ((long)get_global_id(1))
#define WALK_OUTSIDE (WALK_ROW >= walked.size[0] * walked.size[1] * walked.size[2])

#ifdef IS_CPU
enum { BLOCK = 1024 };
#define WALK(i)                                                                                                        \
    for (long i = (long)get_global_id(0) * BLOCK, walk_end = min(walked.size[3], i + BLOCK); i < walk_end; i++)
#else
#define WALK(i) for (long i = (long)get_global_id(0); i < walked.size[3]; i += (long)get_global_size(0))
#endif

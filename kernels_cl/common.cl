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

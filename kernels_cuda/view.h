/* What host and kernels both know, in C and in C++: how a kernel sees a tensor, and how the host names a kernel.
 *
 * Each op has a header NAME.h of the same kind beside this one, with the parameters of its kernels: included by NAME.cu
 * and by backends/cuda/NAME.c, so that the two cannot differ. */
#ifndef SCRY_CUDA_VIEW_H
#define SCRY_CUDA_VIEW_H

#include <stdint.h>

/* A tensor: element (i0, i1, ..) is at data + (i0*stride[0] + ..) elements; axes beyond the rank have stride 0. An
 * absent tensor has no data. */
struct cuda_view {
    void   *data;
    int64_t stride[4];
    int32_t dtype, unused; /* scry_dtype */
};

/* Declares kernel `name` in C, where only its address is of use (scry__cuda_call). */
#ifndef __cplusplus
#define CUDA_KERNEL(name) extern void scry__cuda_kernel_##name(void)
#endif

#endif

/* Parameters of the kernel in activation_backward.cu. */
#ifndef SCRY_CUDA_ACTIVATION_BACKWARD_H
#define SCRY_CUDA_ACTIVATION_BACKWARD_H

#include "runs.h"

struct cuda_activation_backward {
    struct cuda_view x, gated, d_out, d_x, d_gated;
    struct cuda_runs all;
    int32_t          function, accumulate; /* scry_activation_kind */
};

#ifndef __cplusplus
CUDA_KERNEL(activation_backward);
#endif

#endif

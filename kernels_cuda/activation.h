/* Parameters of the kernel in activation.cu. */
#ifndef SCRY_CUDA_ACTIVATION_H
#define SCRY_CUDA_ACTIVATION_H

#include "runs.h"

struct cuda_activation {
    struct cuda_view x, gated, out;
    struct cuda_runs all;
    int32_t          function, unused; /* scry_activation_kind */
};

#ifndef __cplusplus
CUDA_KERNEL(activation);
#endif

#endif

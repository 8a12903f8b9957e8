/* Parameters of the kernel in adamw.cu. */
#ifndef SCRY_CUDA_ADAMW_H
#define SCRY_CUDA_ADAMW_H

#include "runs.h"

struct cuda_adamw {
    struct cuda_view gradient, parameter, first, second;
    struct cuda_runs all;
    float            gradient_factor, keep1, blend1, keep2, blend2, factor2, epsilon, step, decay, unused;
};

#ifndef __cplusplus
CUDA_KERNEL(adamw);
#endif

#endif

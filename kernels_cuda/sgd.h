/* Parameters of the kernel in sgd.cu. */
#ifndef SCRY_CUDA_SGD_H
#define SCRY_CUDA_SGD_H

#include "runs.h"

struct cuda_sgd {
    struct cuda_view gradient, parameter, velocity;
    struct cuda_runs all;
    float            gradient_factor, rate, momentum, decay;
    int32_t          nesterov, unused;
};

#ifndef __cplusplus
CUDA_KERNEL(sgd);
#endif

#endif

/* Parameters of the kernel in scale.cu. */
#ifndef SCRY_CUDA_SCALE_H
#define SCRY_CUDA_SCALE_H

#include "runs.h"

struct cuda_scale {
    struct cuda_view x, out;
    struct cuda_runs all;
    float            factor, offset;
};

#ifndef __cplusplus
CUDA_KERNEL(scale);
#endif

#endif

/* Parameters of the kernel in add.cu. */
#ifndef SCRY_CUDA_ADD_H
#define SCRY_CUDA_ADD_H

#include "runs.h"

struct cuda_add {
    struct cuda_view a, b, out;
    struct cuda_runs all;
};

#ifndef __cplusplus
CUDA_KERNEL(add);
#endif

#endif

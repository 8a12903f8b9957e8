/* Parameters of the kernels in copy.cu. */
#ifndef SCRY_CUDA_COPY_H
#define SCRY_CUDA_COPY_H

#include "runs.h"

struct cuda_copy {
    struct cuda_view x, out;
    struct cuda_runs all;
};

#ifndef __cplusplus
CUDA_KERNEL(copy_2);
CUDA_KERNEL(copy_4);
CUDA_KERNEL(convert);
#endif

#endif

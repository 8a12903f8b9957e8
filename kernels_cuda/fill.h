/* Parameters of the kernel in fill.cu. */
#ifndef SCRY_CUDA_FILL_H
#define SCRY_CUDA_FILL_H

#include "runs.h"

struct cuda_fill {
    struct cuda_view out;
    struct cuda_runs all;
    float            value;
    int32_t          whole; /* instead, where out is i32 */
};

#ifndef __cplusplus
CUDA_KERNEL(fill);
#endif

#endif

/* The parameters of softmax.cu. */
#ifndef SCRY_CUDA_SOFTMAX_H
#define SCRY_CUDA_SOFTMAX_H

#include "mask.h"

struct cuda_softmax {
    int64_t          rows, heads, queries, keys; /* rows: of all heads of all sequences */
    struct cuda_view scores, probabilities;
    struct cuda_mask mask;
    struct cuda_rows statistics;
};

#ifndef __cplusplus
CUDA_KERNEL(softmax_short);
CUDA_KERNEL(softmax_long);
#endif

#endif

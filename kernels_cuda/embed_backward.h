/* Parameters of the kernels in embed_backward.cu. */
#ifndef SCRY_CUDA_EMBED_BACKWARD_H
#define SCRY_CUDA_EMBED_BACKWARD_H

#include "runs.h"

struct cuda_embed_backward {
    struct cuda_view ids, d_out, d_table;
    struct cuda_runs all;   /* of d_out as [1, 1, T, d] */
    int32_t         *next;  /* of each token, [T] */
    int32_t         *leads; /* whether no token before it has its id, [T] */
    int64_t          tokens, vocabulary;
    float            scale;
    int32_t          accumulate;
};

#ifndef __cplusplus
CUDA_KERNEL(embed_chain);
CUDA_KERNEL(embed_backward);
#endif

#endif

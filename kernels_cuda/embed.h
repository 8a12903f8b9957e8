/* Parameters of the kernel in embed.cu. */
#ifndef SCRY_CUDA_EMBED_H
#define SCRY_CUDA_EMBED_H

#include "runs.h"

struct cuda_embed {
    struct cuda_view ids, table, out;
    struct cuda_runs all; /* of [1, 1, T, d] */
    int64_t          vocabulary;
    float            scale;
    int32_t          accumulate;
};

#ifndef __cplusplus
CUDA_KERNEL(embed);
#endif

#endif

/* Parameters of the kernel in rope.cu. */
#ifndef SCRY_CUDA_ROPE_H
#define SCRY_CUDA_ROPE_H

#include "runs.h"

struct cuda_rope {
    struct cuda_view x, out, cosine, sine, position;
    struct cuda_runs all; /* of [B, T, H, turned + copied] */
    int64_t          positions, pairs, turned, position_offset;
    int32_t          interleaved;
    float            sign;
};

#ifndef __cplusplus
CUDA_KERNEL(rope);
#endif

#endif

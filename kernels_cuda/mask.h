/* Masks and row statistics as softmax.cu and attention.cu take them. */
#ifndef SCRY_CUDA_MASK_H
#define SCRY_CUDA_MASK_H

#include "view.h"

/* scry_mask. */
struct cuda_mask {
    int64_t          window, prefix, query_offset;
    int32_t          is_causal, unused;
    struct cuda_view key_begin, key_end, additive;
};

/* scry_row_statistics. */
struct cuda_rows {
    struct cuda_view lse, entropy, max, argmax, previous, self, first, key_mass;
    int64_t          key;
};

#endif

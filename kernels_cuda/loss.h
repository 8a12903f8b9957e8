/* Parameters of the kernels in loss.cu. */
#ifndef SCRY_CUDA_LOSS_H
#define SCRY_CUDA_LOSS_H

#include "lens.h"
#include "runs.h"

/* What the entries of the vocabulary that have been seen come to for a row. */
struct cuda_loss_state {
    struct cuda_lens_state sums;           /* of x's logits; the reference's are the teacher's */
    float                  target, unused; /* its logit */
};

/* Entries [first, first + width) of the vocabulary, the tile, have their dot products in `dots`, [tokens, width], with
 * the rows of x, and in `taught` with those of the teacher, where there is one. */
struct cuda_loss {
    struct cuda_view        x, unembedding, bias, target;
    struct cuda_view        loss, d_x, d_unembedding, d_bias;
    float                  *dots, *taught;
    struct cuda_loss_state *states; /* [tokens] */
    struct cuda_runs        all;    /* of what the kernel walks */
    int64_t                 tokens, vocabulary, first, width;
    float                   logit_scale, softcap, factor;
    int32_t                 accumulate;
};

#ifndef __cplusplus
CUDA_KERNEL(loss_fold);
CUDA_KERNEL(loss_rows);
CUDA_KERNEL(loss_slopes);
CUDA_KERNEL(loss_d_x);
CUDA_KERNEL(loss_d_entries);
#endif

#endif

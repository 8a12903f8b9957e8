/* Scores of attention from the operands of a case, with their bounds: for attention and for its gradients. */
#ifndef SCRY_CASES_ATTENTION_SCORES_H
#define SCRY_CASES_ATTENTION_SCORES_H

#include "cases/bounds.h"
#include "cases/masks.h"

/* q [B, Q, H, D], k [B, K, G, D]. */
typedef struct scry__attention_from {
    const scry__plan  *plan;
    const scry__array *q, *k;
    const scry_mask   *mask;
    double             scale, softcap, unit;
} scry__attention_from;

/* What softmax sees of key `key` for query `i` of head `h`, -inf where the additive mask says so, with the slope of the
 * soft-cap there, 1 without one. A score is a dot product of length D, scaled: gamma(D + 4) |scale| sum
 * |q||k|, whether the scale goes to q, to the sum, or carries log2(e); an additive mask adds a rounding. */
scry__capped scry__attention_score(const scry__attention_from *from, int64_t b, int64_t h, int64_t i, int64_t key);

#endif

/* Scores and their bounds. See attention_scores.h. */
#include "cases/attention_scores.h"

scry__capped scry__attention_score(const scry__attention_from *from, int64_t b, int64_t h, int64_t i, int64_t key)
{
    const int64_t *queries = from->q->view.shape, *keys = from->k->view.shape;
    int64_t        Q = queries[1], H = queries[2], D = queries[3], K = keys[1], G = keys[2];
    double         u = from->unit, dot = 0, size = 0;
    for (int64_t d = 0; d < D; d++) {
        double product = scry__array_get(from->q, ((b * Q + i) * H + h) * D + d) *
                         scry__array_get(from->k, ((b * K + key) * G + h / (H / G)) * D + d);
        dot += product;
        size += fabs(product);
    }
    scry__capped score = {.value = from->scale * dot, .slope = 1};
    score.error        = gamma_of((double)D + 4, u) * fabs(from->scale) * size + SCRY__TINY;
    if (from->softcap > 0) score = scry__cap_bounds(score.value, score.error, from->softcap, u);
    double additive = scry__mask_additive(from->plan, from->mask, ((b * H + h) * Q + i) * K + key);
    if (additive != 0) score.error += 2 * u * (fabs(score.value) + fabs(additive));
    if (from->plan->exact) score.error = 0;
    score.value += additive;
    return score;
}

/* Head scores and their nulls. See heads.h. */
#include "analysis/heads.h"

#include <math.h>

scry__head_scores scry__head_scores_of(int count, const float *previous, const float *self, const float *first,
                                       const float *entropy, const float *max)
{
    double sum_previous = 0, sum_self = count ? self[0] : 0, sum_first = 0, sum_entropy = 0, sum_max = 0;
    for (int i = 1; i < count; i++) {
        sum_previous += previous[i];
        sum_self += self[i];
        sum_first += first[i];
        sum_entropy += entropy[i] / log(i + 1.0);
        sum_max += max[i];
    }
    double rows = count > 1 ? count - 1 : 1;
    return (scry__head_scores){.previous = (float)(sum_previous / rows),
                               .self     = (float)(sum_self / (count ? count : 1)),
                               .first    = (float)(sum_first / rows),
                               .entropy  = (float)(sum_entropy / rows),
                               .max      = (float)(sum_max / rows)};
}

scry__head_scores scry__head_scores_uniform(int count)
{
    double tail = 0; /* H(count) - 1 */
    for (int i = 1; i < count; i++) tail += 1.0 / (i + 1);
    double rows = count > 1 ? count - 1 : 1, mean = tail / rows;
    return (scry__head_scores){.previous = (float)mean,
                               .self     = (float)((1 + tail) / (count > 0 ? count : 1)),
                               .first    = (float)mean,
                               .entropy  = count > 1 ? 1.0f : 0.0f,
                               .max      = (float)mean};
}

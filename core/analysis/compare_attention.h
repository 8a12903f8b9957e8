/* Attention patterns of two sources, compared layer by layer. */
#ifndef SCRY_ANALYSIS_COMPARE_ATTENTION_H
#define SCRY_ANALYSIS_COMPARE_ATTENTION_H

#include "analysis/compare_source.h"

/* One row of weights of either side: the Jensen-Shannon divergence in nats, NaN where a weight is. */
double scry__row_divergence(const float *a, const float *b, int count);

/* Fills compare's layers, heads and places. Sizes and layers in common are known. */
scry_status scry__compare_attention(scry_compare *compare, const scry__pattern_source sources[2],
                                    const scry_compare_options *options);

#endif

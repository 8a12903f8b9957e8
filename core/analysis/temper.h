/* A distribution at other temperatures: softmax(logits / temperature), on the host in f64. */
#ifndef SCRY_ANALYSIS_TEMPER_H
#define SCRY_ANALYSIS_TEMPER_H

#include "scry/model.h"

/* Sum of exp((logit - best) / temperature) over all logits; *best is the largest of them. */
double scry__temper_sum(const float *logits, int count, double temperature, double *best);

/* Fills in the entropy, the sureness and the probability of each of `top`, which out has room for, at out->temperature.
 */
void scry__temper(scry_tempered *out, const float *logits, int count, const scry_candidate *top, int top_count);

#endif

/* What steering does to one prediction: how far it moves, and which tokens' probabilities rise and fall. */
#ifndef SCRY_ANALYSIS_STEER_SHIFT_H
#define SCRY_ANALYSIS_STEER_SHIFT_H

#include "scry/steer.h"

/* KL(p || q) of the softmaxes of logits [count], nats, in f64. */
double scry__divergence(const float *p, const float *q, int count);

/* Fills run->rises and run->falls, `most` of each at most, from logits [vocabulary] without the vector and with it. */
scry_status scry__shifts_find(scry_steered *run, scry_model *model, const float *plain, const float *steered, int most);

#endif

/* What steering does to one prediction: how far it moves, which tokens' probabilities rise and fall, and what becomes
 * of those at every strength. */
#ifndef SCRY_ANALYSIS_STEER_SHIFT_H
#define SCRY_ANALYSIS_STEER_SHIFT_H

#include "scry/steer.h"

/* KL(p || q) of the softmaxes of logits [count], nats, in f64. */
double scry__divergence(const float *p, const float *q, int count);

/* Fills run->rises and run->falls, `most` of each at most, from logits [vocabulary] without the vector and with it. */
scry_status scry__shifts_find(scry_steered *run, scry_model *model, const float *plain, const float *steered, int most);

/* Once all runs have their shifts: chooses the tokens to be followed, `most` of those that rise and of those that fall,
 * and fills in what they are without the vector and with it, from logits [vocabulary] and [count, vocabulary]. */
scry_status scry__followed_choose(scry_steering *steering, scry_model *model, const float *plain, const float *steered,
                                  int most);
/* What they are with one of the random vectors, at one strength. */
void scry__followed_take_random(scry_steering *steering, int run, int index, const float *logits, int vocabulary);
void scry__followed_release(scry_steering *steering);

#endif

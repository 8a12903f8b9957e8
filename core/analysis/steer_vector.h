/* Vectors made of prompts: what the residual stream holds at one hook point. */
#ifndef SCRY_ANALYSIS_STEER_VECTOR_H
#define SCRY_ANALYSIS_STEER_VECTOR_H

#include "scry/steer.h"

/* out [hidden_size] = the mean over the prompts of what `pool` takes of each at the hook point, in f64. */
scry_status scry__steer_mean(double *out, scry_model *model, const char *hook, const scry_steer_prompt *prompts,
                             int count, scry_steer_pool pool);

double scry__steer_length(const float *vector, int size);

/* Fills a vector with normal random numbers and makes it that long. */
void scry__steer_draw(float *out, int size, double length, uint64_t seed);

#endif

/* Attention rollout (Abnar and Zuidema, Quantifying attention flow in transformers, 2020): attention multiplied through
 * the layers, half of each layer's step being the residual stream that carries a position on. */
#ifndef SCRY_ANALYSIS_ROLLOUT_H
#define SCRY_ANALYSIS_ROLLOUT_H

#include "scry/status.h"

#include <stddef.h>

/* Where row i of a lower triangle begins, which has i + 1 weights; and so what a triangle of that many rows takes. */
size_t scry__triangle_row(int row);

/* row[count] = the last row of R_L, R_l = Â_l R_{l-1}, R_0 = I, Â = (A + I) with each row divided by its sum. `means`
 * holds A, each layer's mean over heads, as `layers` lower triangles. Sums to 1. */
scry_status scry__rollout(float *row, const float *means, int layers, int count);

#endif

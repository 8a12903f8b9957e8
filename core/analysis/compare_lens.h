/* Predictions of one or two models, read from their residual streams layer by layer. */
#ifndef SCRY_ANALYSIS_COMPARE_LENS_H
#define SCRY_ANALYSIS_COMPARE_LENS_H

#include "scry/compare.h"

/* Fills compare's losses, and its lens where `with_lens`, for the first `positions` tokens of both prompts. The models
 * have the same vocabulary and, with the lens, as many layers. */
scry_status scry__compare_lens(scry_compare *compare, scry_model *const models[2], int positions, bool with_lens);

/* The mean loss over a prompt; NaN for a single token. */
scry_status scry__prompt_loss(float *loss, scry_model *model, const scry_tokens *tokens);

#endif

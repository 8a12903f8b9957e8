/* What is asked of a prompt: its prediction at which position, and about which tokens. */
#ifndef SCRY_ANALYSIS_QUESTION_H
#define SCRY_ANALYSIS_QUESTION_H

#include "scry/model.h"

/* The position asked about, where there is one, else the last; refused outside the prompt. */
scry_status scry__question_position(int *out, const scry_tokens *tokens, bool has_position, int position);

/* The ids of the answer and of the wrong one; -1 where none is chosen. */
scry_status scry__question_tokens(int32_t *answer, int32_t *wrong, scry_model *model,
                                  const scry_token_choice *chosen_answer, const scry_token_choice *chosen_wrong);

/* The likeliest token behind `count` ids. */
scry_status scry__question_likeliest(int32_t *out, scry_model *model, const int32_t *ids, int count);

/* Of a candidate that has its id: logit, probability and text. */
scry_status scry__question_candidate(scry_candidate *candidate, scry_model *model, float logit, double lse);

#endif

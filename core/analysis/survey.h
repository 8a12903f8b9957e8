/* Every score of every head of one model, in two runs: the prompt, whose attention is reduced to numbers as it streams,
 * and the probe. */
#ifndef SCRY_ANALYSIS_SURVEY_H
#define SCRY_ANALYSIS_SURVEY_H

#include "analysis/probe.h"
#include "analysis/progress.h"
#include "analysis/score.h"

/* A survey's scores of one layer and head, [SCRY_HEAD_SCORE_COUNT]. */
typedef struct scry__survey {
    int          layer_count, head_count;
    scry__score *scores; /* [layer_count, head_count, SCRY_HEAD_SCORE_COUNT] */
} scry__survey;

/* `probe` NULL: induction and duplicate are NaN. Makes scry__survey_steps progress steps. */
scry_status  scry__survey_run(scry__survey *survey, scry_model *model, const scry_tokens *tokens,
                              const scry__probe_tokens *probe, scry__progress *progress);
void         scry__survey_finish(scry__survey *survey);
scry__score *scry__survey_at(const scry__survey *survey, int layer, int head);
int          scry__survey_steps(const scry_model *model, bool has_probe);

/* A random twin of the model, on its device; the n-th of a seed. Never the model itself where that is such a twin.
 * `first`, where not NULL, is the one of n = 0 and stays the caller's; all others are to be destroyed. */
scry_status scry__survey_twin(scry_model **out, const scry_model *model, scry_model *first, uint64_t seed, int n);

#endif

/* Judging: comparison of what a device wrote with what the reference wrote, within bounds derived per element. */
#ifndef SCRY_CASES_JUDGE_H
#define SCRY_CASES_JUDGE_H

#include "cases/cases.h"
#include "cases/plan.h"

typedef struct scry__verdict {
    scry__case_result *result;
    double             unit; /* unit roundoff of the precision that the device promises */
    bool               bare; /* each output is one input, or one term: its relative error is the roundoff delivered */
} scry__verdict;

/* Records that something is wrong; only the first is kept. */
void scry__verdict_fail(scry__verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Element `index` of an output (NULL: absent, nothing is judged) may differ from the reference by `bound`, plus the
 * reference's own rounding; bound 0 means equal. NaN matches only NaN, infinity only itself. */
void scry__verdict_value(scry__verdict *verdict, const scry__array *output, int64_t index, double bound);

/* The same where the judge has a result of its own, computed in double precision on the way to the bound: a second
 * opinion on the reference, which must lie within its final rounding of it (and 2^-20 of the bound, for the rounding of
 * both). */
void scry__verdict_result(scry__verdict *verdict, const scry__array *output, int64_t index, double exact, double bound);

/* An integer output that must lie in [low, high]. */
void scry__verdict_integer(scry__verdict *verdict, const scry__array *output, int64_t index, double low, double high);

/* Candidates of given value, each known to within its tolerance. A score of -inf marks one that cannot be chosen; where
 * a value is NaN nothing is asked of the order. */
typedef struct scry__ranking {
    const double *scores, *values, *tolerances; /* [count] */
    int64_t       count;
    bool          exact;
} scry__ranking;

/* The first `places` of `ids` (and `values`) from element `index` on must rank the candidates, largest first: distinct
 * ones, each within tolerance of the reference's at that place (the same one where `exact`), -1 where the reference has
 * -1. Either output may be NULL. */
void scry__verdict_ranking(scry__verdict *verdict, const scry__ranking *ranking, const scry__array *ids,
                           const scry__array *values, int64_t index, int64_t places);

/* The same places must be in order as they stand: largest value first, the lowest id first among equals, -1 behind all
 * ids. Nothing is asked where either output is NULL, or from a NaN on. */
void scry__verdict_order(scry__verdict *verdict, const scry__array *ids, const scry__array *values, int64_t index,
                         int64_t places);

/* One judge per op; each finds all it needs in the plan. */
typedef void scry__judge(const scry__plan *plan, scry__verdict *verdict);
scry__judge  scry__judge_matmul, scry__judge_softmax, scry__judge_attention, scry__judge_rope, scry__judge_norm,
    scry__judge_lens, scry__judge_embed, scry__judge_add, scry__judge_scale, scry__judge_activation, scry__judge_copy,
    scry__judge_fill, scry__judge_sum, scry__judge_activation_backward, scry__judge_norm_backward,
    scry__judge_embed_backward, scry__judge_attention_backward, scry__judge_loss, scry__judge_adamw, scry__judge_sgd;

#endif

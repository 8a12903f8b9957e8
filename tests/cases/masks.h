/* What cases of softmax_capture and attention share: masks and row statistics, built and judged. */
#ifndef SCRY_CASES_MASKS_H
#define SCRY_CASES_MASKS_H

#include "cases/judge.h"
#include "cases/row_bounds.h"

enum { SCRY__PAD_NONE, SCRY__PAD_LEFT, SCRY__PAD_RIGHT, SCRY__PAD_BOTH, SCRY__PAD_ALL, SCRY__PAD_WILD };
enum {
    SCRY__ADD_NONE,
    SCRY__ADD_BIAS,     /* finite everywhere */
    SCRY__ADD_MASK,     /* a quarter is -inf, in blocks and singly; the rest finite */
    SCRY__ADD_SHARED,   /* the same, one [Q, K] for all batches and heads */
    SCRY__ADD_DEAD,     /* every third row all -inf, the rest 0 */
    SCRY__ADD_EARLY,    /* -inf but for the first quarter of the keys */
    SCRY__ADD_LATE,     /* -inf but for the last quarter: whole tiles of keys before anything is seen */
    SCRY__ADD_SENTINEL, /* a third is -5e4, a finite number that some take for minus infinity */
};

typedef struct scry__mask_row {
    bool    causal;
    int64_t window, prefix, offset;
    int     pad, additive;
} scry__mask_row;

/* Sizes of the scores: batches, heads, queries, keys. */
typedef struct scry__score_shape {
    int64_t B, H, Q, K;
} scry__score_shape;

void scry__mask_add(scry__plan *plan, scry_mask *mask, const scry__mask_row *row, scry__score_shape shape);
void scry__row_statistics_add(scry__plan *plan, scry_row_statistics *rows, int64_t key, scry__score_shape shape);

/* Is the key seen? */
bool scry__mask_visible(const scry__plan *plan, const scry_mask *mask, int64_t b, int64_t i, int64_t j);
/* The additive mask at element `e` of [B, H, Q, K]; 0 where there is none. */
double scry__mask_additive(const scry__plan *plan, const scry_mask *mask, int64_t e);

/* The keys of a row, ranked by probability. */
scry__ranking scry__ranking_of(const scry__softmax_row *row, bool exact);

/* Judges all statistics of row `index` of [B, H, Q]. */
void scry__row_statistics_judge(const scry__plan *plan, scry__verdict *verdict, const scry_row_statistics *rows,
                                const scry_mask *mask, const scry__softmax_row *row, int64_t index, int64_t b,
                                int64_t i);

#endif

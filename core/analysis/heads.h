/* A head's attention in a few numbers, each beside its null: what uniform causal attention of that length would give.
 */
#ifndef SCRY_ANALYSIS_HEADS_H
#define SCRY_ANALYSIS_HEADS_H

typedef struct scry__head_scores {
    float previous; /* mean of A[i, i-1], i >= 1 */
    float self;     /* mean of A[i, i] */
    float first;    /* mean of A[i, 0], i >= 1: row 0 is always 1 */
    float entropy;  /* mean of row entropy / ln(i + 1), i >= 1: 1 is uniform */
    float max;      /* mean of the row maximum, i >= 1 */
} scry__head_scores;

/* One head's row statistics, each [count]. With a single row, scores over i >= 1 are 0. */
scry__head_scores scry__head_scores_of(int count, const float *previous, const float *self, const float *first,
                                       const float *entropy, const float *max);

/* The same scores of uniform causal attention over `count` tokens. */
scry__head_scores scry__head_scores_uniform(int count);

#endif

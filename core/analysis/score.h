/* One head's scores from its streamed statistics, and the same scores of uniform attention. Formulas and ranges are in
 * docs/definitions.md; what the scores are worth is certainty.h's. */
#ifndef SCRY_ANALYSIS_SCORE_H
#define SCRY_ANALYSIS_SCORE_H

#include "scry/heads.h"

/* A value with where it is: the distance of an offset, the key of a sink, else -1. */
typedef struct scry__score {
    double value;
    int    at;
} scry__score;

/* Statistics of a head over `count` causal rows from position 0, as the attention op captures them; each [count]. */
typedef struct scry__head_rows {
    int          count;
    int64_t      window; /* 0: none */
    const float *entropy, *max, *previous, *self, *first, *received, *distance;
} scry__head_rows;

/* Every score but those of the probe, which stay NaN. received_null is received.h's for these rows. */
void scry__scores_of_rows(scry__score scores[SCRY_HEAD_SCORE_COUNT], const scry__head_rows *rows,
                          const double *received_null);

/* The same of uniform attention over the keys that a window leaves. */
void scry__scores_uniform(scry__score scores[SCRY_HEAD_SCORE_COUNT], int count, int64_t window);

/* Keys 0 .. this-1 may be called sinks: later ones are seen by too few rows. */
int scry__sink_keys(int count);

/* Distances that are looked at for an offset: 2 .. this-1. */
int scry__offset_end(int count, int64_t window);

/* Rows that a score's mean is taken over, and its value if every one of them gave all its weight. */
void scry__score_extent(double *rows, double *ceiling, scry_head_score_kind kind, int at, int count, int64_t window);

/* What uniform attention gives to one key that all of rows [begin, end) see, on average. */
double scry__uniform_mean(int begin, int end, int64_t window);

#endif

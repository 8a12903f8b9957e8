/* How sure it is that a score is more than its null: a rule that knows how few rows it was taken from. */
#ifndef SCRY_ANALYSIS_CERTAINTY_H
#define SCRY_ANALYSIS_CERTAINTY_H

#include "scry/heads.h"

/* What a score is judged by. Where every row gave all its weight, its value would be `ceiling`. */
typedef struct scry__evidence {
    double value, ceiling;
    double rows;            /* that it is the mean of */
    double uniform, random; /* nulls; NaN: none */
} scry__evidence;

/* A score of random models' heads, added up. Zero-initialise. */
typedef struct scry__sample {
    double sum, largest;
    int    count;
} scry__sample;

void           scry__sample_add(scry__sample *sample, double value); /* NaN is passed over */
scry_head_null scry__sample_null(const scry__sample *sample, double uniform);

/* The lower end of the interval in which the mean of so many rows in [0, 1] would lie (Wilson, two standard errors). */
double scry__wilson_lower(double mean, double rows);

/* The part of the way from the larger null to the ceiling that the score's lower end has gone; at most 0 where it is no
 * more than its null, NaN where the score is undefined. */
double scry__margin_above(const scry__evidence *evidence);

/* Classes of a margin above a null, and of a normalised entropy's nearness to 1. */
scry_certainty scry__certainty_above(double margin);
scry_certainty scry__certainty_uniform(const scry__evidence *evidence);

#endif

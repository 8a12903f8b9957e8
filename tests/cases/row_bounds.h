/* Bounds of a softmax row: what an error in each score, and the arithmetic of the softmax itself, can do to the
 * probabilities and to what is read off them. For attention, softmax_capture and the lens. */
#ifndef SCRY_CASES_ROW_BOUNDS_H
#define SCRY_CASES_ROW_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct scry__softmax_row {
    int64_t       count;
    const double *scores;        /* exact; -inf: masked */
    const double *score_errors;  /* bound of each score's absolute error */
    double       *probabilities; /* exact */
    double       *errors;        /* bound of each probability's absolute error; 0 where masked */
    double       *log_errors;    /* bound of each probability's error in the log domain */
    bool          empty;         /* no key is visible */
    double lse, lse_error, entropy, entropy_error, largest, largest_error; /* the largest probability, and of errors */
} scry__softmax_row;

/* Fills all but count, scores and score_errors; u is the unit roundoff. */
void scry__softmax_row_bounds(scry__softmax_row *row, double u);

#endif

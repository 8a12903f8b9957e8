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

/* KL(p || q) in nats of two such rows of equal count, and the bound of its error. It moves by sum p |ln(p/q) - KL|
 * times the error of p's scores and by sum |q - p| times that of q's, and by the arithmetic of the sum and of both lse;
 * it is exactly 0 where the two rows are equal (NaN where they are). */
double scry__divergence_of(const scry__softmax_row *p, const scry__softmax_row *q, double u, double *bound);

#endif

/* Bounds of a normalised row, for norm and for the lens that begins with one. */
#ifndef SCRY_CASES_NORM_BOUNDS_H
#define SCRY_CASES_NORM_BOUNDS_H

#include "scry/op.h"

/* For one row x[d] with weight and bias (either may be NULL): the result, the bound of each entry's error, the
 * denominator and the bound of its relative error. values and errors hold d. */
typedef struct scry__norm_row {
    double *values, *errors;
    double  denominator, denominator_error;
} scry__norm_row;

void scry__norm_row_bounds(scry__norm_row *row, const scry_norm_parameters *parameters, const double *x,
                           const double *weight, const double *bias, int64_t d, double u);

#endif

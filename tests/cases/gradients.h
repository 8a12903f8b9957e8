/* What cases of the training ops share: outputs that may be added to, and their judging. */
#ifndef SCRY_CASES_GRADIENTS_H
#define SCRY_CASES_GRADIENTS_H

#include "cases/judge.h"

/* An f32 output, which holds usual numbers before the op where that accumulates. */
scry__array *scry__gradient_add(scry__plan *plan, scry_tensor *tensor, const char *name, bool accumulate,
                                unsigned layout, int rank, const int64_t *shape);

/* Element `index` of such an output (NULL: absent) is `value`, known to within `error`, on top of what it held where
 * the op accumulates. */
void scry__gradient_judge(const scry__plan *plan, scry__verdict *verdict, const scry__array *output, int64_t index,
                          double value, double error);

/* A sum of products under way: its value, the magnitudes of its terms, and the errors that they bring. */
typedef struct scry__gradient_sum {
    double value, size, error;
} scry__gradient_sum;

/* A term: a factor known to within an error, times a number as it is. */
void scry__gradient_add_term(scry__gradient_sum *sum, double factor, double factor_error, double other);

/* Element `index` of an output is `factor` times a sum, which took so many roundings. */
void scry__gradient_judge_sum(const scry__plan *plan, scry__verdict *verdict, const scry__array *output, int64_t index,
                              const scry__gradient_sum *sum, double roundings, double factor);

/* All elements of an operand; NULL where there is none. */
double *scry__gradient_read(const scry__array *operand, double *into);

#endif

/* What the cases of rope and the relation between two rotations share. */
#ifndef SCRY_CASES_ROPE_H
#define SCRY_CASES_ROPE_H

#include "cases/judge.h"

/* Cosines and sines in f64, rounded to the arrays' f32: row r holds position first + r, pair i turns by 10000^(-i /
 * pairs) for each position. */
void scry__rope_tables_fill(scry__array *cosine, scry__array *sine, int64_t first);

/* The entry that turns together with entry d. */
int64_t scry__rope_partner(const scry_rope *op, int64_t d);

/* Moves all positions on, further with each step, in tables that reach so far; false where there is no such step. */
bool scry__rope_shift(scry__plan *plan, int step);

/* The dot product of any two rows of a head must be the same after two runs at positions a shift apart. */
void scry__rope_compare_shifted(const scry__plan *a, const scry__plan *b, scry__verdict *verdict, int step);

#endif

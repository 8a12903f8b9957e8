/* Copying patterns: rows of tokens that repeat a pattern, and the best that any predictor can do on them.
 *
 * A pattern has 3 to 5 tokens, each length equally likely; its tokens are drawn uniformly from the vocabulary, and a
 * row repeats it until it is full. Who knows that, and nothing of the row but what came before, can at best have the
 * losses below (as in the teaching notebooks on induction heads; docs/definitions.md). */
#ifndef SCRY_TRAIN_COPY_H
#define SCRY_TRAIN_COPY_H

#include <stdint.h>

enum { SCRY__COPY_LEAST = 3, SCRY__COPY_MOST = 5 };

/* The stream's row of that number: `length` tokens. */
void scry__copy_row(int32_t *row, int length, int vocabulary, uint64_t stream, uint64_t number);

/* The Bayes-optimal loss of each position's token given those before it, in nats: exact expectations over all rows. The
 * mean over positions 1 .. length - 1, which a model predicts, is returned. */
double scry__copy_bound(double *losses, int length, int vocabulary);

/* The same predictor's mean loss on one row. */
double scry__copy_best(const int32_t *row, int length, int vocabulary);

#endif

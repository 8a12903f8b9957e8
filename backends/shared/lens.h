/* lens: what plugins ask about its operands, and its vocabulary in the pieces that a device reaches. */
#ifndef SCRY_SHARED_LENS_H
#define SCRY_SHARED_LENS_H

#include "scry/backend.h"

/* Whether each row is compared with its position's reference. */
bool scry__lens_compares(const scry_lens_op *op);
/* Whether a target's logit or rank is wanted. */
bool scry__lens_ranks(const scry_lens_op *op);
/* How many of the largest entries are wanted. */
int64_t scry__lens_top(const scry_lens_op *op);
/* The layer of x whose memory the reference is, as a final layer's usually is; the number of layers where none is, or
 * where nothing is compared. */
int64_t scry__lens_reference(const scry_lens_op *op);

/* scry_backend.reaches */
typedef bool scry__reaches(const scry_buffer *buffer, size_t offset, size_t bytes);

/* Entries from `first` on that one launch takes: units of `unit` entries, at most `most_units` of them, as many as the
 * device reaches of unembedding and bias; the last unit may be shorter. One unit is taken to be reachable. */
int64_t scry__lens_piece(const scry_lens_op *op, scry__reaches *reaches, int64_t first, int64_t unit,
                         int64_t most_units);
/* Refuses an unembedding that cannot be walked in such units. */
void scry__lens_check_units(const scry_lens_op *op, scry__reaches *reaches, int64_t unit, scry_op_info *info);

#endif

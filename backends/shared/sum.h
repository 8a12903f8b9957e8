/* sum over rows that a device cannot reach at once. */
#ifndef SCRY_SHARED_SUM_H
#define SCRY_SHARED_SUM_H

#include "operands.h"

struct scry__sum_pieces {
    void *state; /* of the functions */
    /* Whether a kernel reaches those bytes of x's buffer at once. */
    bool (*reaches)(const scry_buffer *buffer, size_t offset, size_t bytes);
    int64_t each; /* rows of a block, the last may have fewer: a sum that is never cut */
    /* Leaves the sums of the blocks of the piece's x in scratch, as those from block `first` on. */
    scry_status (*sum_blocks)(void *state, const scry_sum *piece, int64_t first);
    /* Adds up the blocks of all rows; the piece has some of the columns. */
    scry_status (*merge)(void *state, const scry_sum *piece);
};

/* Pieces hold whole blocks, so that the bits are those of the whole. Unsupported where a block of one column is out of
 * reach. */
scry_status scry__sum_in_pieces(const struct scry__sum_pieces *pieces, const scry_sum *op);

/* Whether it would be supported, and what query says where not. */
extern const char scry__sum_out_of_reach[];
bool              scry__sum_is_reachable(const struct scry__sum_pieces *pieces, const scry_sum *op);

#endif

/* embed over a table that a device cannot reach at once. */
#ifndef SCRY_SHARED_EMBED_H
#define SCRY_SHARED_EMBED_H

#include "operands.h"

struct scry__embed_pieces {
    void *device;
    /* Whether a kernel reaches those bytes of the table's buffer at once. */
    bool (*reaches)(const scry_buffer *buffer, size_t offset, size_t bytes);
    /* Runs a piece, whose table begins with row `first` of the whole one's `vocabulary`: rows of ids in other pieces
     * are left as they are, and those of ids in none become NaN where `first` is 0. */
    scry_status (*embed)(void *device, const scry_embed *piece, int64_t first, int64_t vocabulary);
    int64_t vocabulary; /* filled in */
};

scry_status scry__embed_in_pieces(const struct scry__embed_pieces *pieces, const scry_embed *op);

#endif

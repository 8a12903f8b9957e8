/* A hash index from 64-bit keys to values: open addressing, linear probing, at most two thirds full, never shrinking.
 *
 * Made once with room for all its keys. A file whose keys were chosen to crowd together is refused, so that no lookup
 * takes more than a fixed number of probes. */
#ifndef SCRY_MODEL_TOKENIZER_INDEX_H
#define SCRY_MODEL_TOKENIZER_INDEX_H

#include "scry/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct scry__index_slot {
    uint64_t key;
    int32_t  value; /* one more than the value; 0: empty */
} scry__index_slot;

typedef struct scry__index {
    scry__index_slot *slots;
    size_t            mask; /* slots - 1, a power of two less one */
} scry__index;

/* Room for `keys` keys. */
scry_status scry__index_create(scry__index *index, size_t keys);
void        scry__index_finish(scry__index *index);

/* Sets key's value (>= 0), replacing an earlier one. SCRY_BAD_INPUT where the keys crowd. */
scry_status scry__index_put(scry__index *index, uint64_t key, int32_t value);

/* The key's value, or -1. */
int32_t scry__index_find(const scry__index *index, uint64_t key);

/* A key for bytes. Different bytes may share one: compare them after a find. */
uint64_t scry__index_key(const char *bytes, size_t size);

#endif

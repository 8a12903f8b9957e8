/* A hash index from 64-bit keys to values. See tokenizer_index.h. */
#include "model/tokenizer_index.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

/* At two thirds full, honest keys stay within some tens of probes. */
enum { PROBE_LIMIT = 1024 };

static const uint64_t odd_multiplier = 0x9e3779b97f4a7c15; /* 2^64 over the golden ratio */

/* Spreads every bit of x over all bits; one to one. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 32) * odd_multiplier;
    x = (x ^ x >> 29) * odd_multiplier;
    return x ^ x >> 32;
}

scry_status scry__index_create(scry__index *index, size_t keys)
{
    size_t slots = 16;
    while (slots / 3 * 2 < keys) slots *= 2;
    index->slots = scry__alloc(slots, sizeof *index->slots);
    index->mask  = slots - 1;
    return index->slots ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

void scry__index_finish(scry__index *index)
{
    scry__free(index->slots);
    *index = (scry__index){0};
}

/* The slot that holds key or may take it; NULL past the probe limit. */
static scry__index_slot *slot_of(const scry__index *index, uint64_t key)
{
    size_t at = mix(key) & index->mask;
    for (int probe = 0; probe < PROBE_LIMIT; probe++) {
        scry__index_slot *slot = &index->slots[at];
        if (!slot->value || slot->key == key) return slot;
        at = (at + 1) & index->mask;
    }
    return NULL;
}

scry_status scry__index_put(scry__index *index, uint64_t key, int32_t value)
{
    scry__index_slot *slot = slot_of(index, key);
    if (!slot) return scry__fail(SCRY_BAD_INPUT, "more than %d entries share one place in the index", PROBE_LIMIT);
    *slot = (scry__index_slot){key, value + 1};
    return SCRY_OK;
}

int32_t scry__index_find(const scry__index *index, uint64_t key)
{
    const scry__index_slot *slot = slot_of(index, key);
    return slot ? slot->value - 1 : -1;
}

uint64_t scry__index_key(const char *bytes, size_t size)
{
    uint64_t key = size * odd_multiplier, block;
    for (; size >= sizeof block; bytes += sizeof block, size -= sizeof block) {
        memcpy(&block, bytes, sizeof block);
        key = mix(key ^ block);
    }
    block = 0;
    memcpy(&block, bytes, size);
    return mix(key ^ block);
}

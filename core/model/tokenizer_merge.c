/* One word to ids: its characters' tokens first, then the merges, lowest rank first and leftmost first. See
 * tokenizer_bpe.h.
 *
 * The symbols form a doubly linked list; a heap holds every neighbouring pair that a merge knows. An entry whose pair
 * has changed since is recognised when it comes up and dropped. */
#include "base/alloc.h"
#include "base/error.h"
#include "model/tokenizer_bpe.h"

#include <string.h>

typedef struct scry__symbol {
    int32_t id;             /* -1: merged into an earlier one */
    int32_t previous, next; /* -1: none */
} scry__symbol;

typedef struct scry__candidate {
    int32_t rank, position; /* of the left symbol */
} scry__candidate;

scry_status scry__ids_add(scry__ids *ids, int32_t id)
{
    if (ids->count == ids->capacity) {
        size_t   capacity = ids->capacity ? 2 * ids->capacity : 64;
        int32_t *data     = scry__realloc(ids->data, capacity, sizeof *data);
        if (!data) return SCRY_OUT_OF_MEMORY;
        ids->data     = data;
        ids->capacity = capacity;
    }
    ids->data[ids->count++] = id;
    return SCRY_OK;
}

void scry__merger_finish(scry__merger *merger)
{
    scry__free(merger->symbols);
    scry__free(merger->heap);
    *merger = (scry__merger){0};
}

/* A word of n bytes has at most n + 1 symbols; each pair enters the heap once, and each merge adds at most two. */
static scry_status reserve(scry__merger *merger, size_t size)
{
    size_t capacity      = size + 1;
    merger->symbol_count = merger->heap_count = 0;
    if (capacity <= merger->capacity) return SCRY_OK;
    if (capacity < 2 * merger->capacity) capacity = 2 * merger->capacity;
    scry__merger_finish(merger);
    merger->symbols = scry__alloc(capacity, sizeof *merger->symbols);
    merger->heap    = merger->symbols ? scry__alloc(capacity, 3 * sizeof *merger->heap) : NULL;
    if (!merger->heap) {
        scry__merger_finish(merger);
        return SCRY_OUT_OF_MEMORY;
    }
    merger->capacity = capacity;
    return SCRY_OK;
}

/* --- The heap --- */

static bool before(scry__candidate a, scry__candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.position < b.position;
}

static void heap_push(scry__merger *m, scry__candidate candidate)
{
    size_t at = m->heap_count++;
    while (at && before(candidate, m->heap[(at - 1) / 2])) {
        m->heap[at] = m->heap[(at - 1) / 2];
        at          = (at - 1) / 2;
    }
    m->heap[at] = candidate;
}

static scry__candidate heap_pop(scry__merger *m)
{
    scry__candidate top = m->heap[0], last = m->heap[--m->heap_count];
    size_t          at = 0, child;
    while ((child = 2 * at + 1) < m->heap_count) {
        if (child + 1 < m->heap_count && before(m->heap[child + 1], m->heap[child])) child++;
        if (!before(m->heap[child], last)) break;
        m->heap[at] = m->heap[child];
        at          = child;
    }
    m->heap[at] = last;
    return top;
}

/* --- Symbols --- */

static void add_symbol(scry__merger *m, int32_t id)
{
    int32_t at     = (int32_t)m->symbol_count++;
    m->symbols[at] = (scry__symbol){.id = id, .previous = at - 1, .next = -1};
    if (at) m->symbols[at - 1].next = at;
}

static int32_t find_character(const scry__bpe *bpe, const char *text, size_t size, uint32_t code_point)
{
    if (code_point < sizeof bpe->character_ids / sizeof *bpe->character_ids) return bpe->character_ids[code_point];
    return scry__bpe_find(bpe, text, size);
}

/* The ids of all bytes of one character; false where one has none. */
static bool add_bytes(const scry__bpe *bpe, scry__merger *m, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bpe->byte_ids[(uint8_t)text[i]] < 0) return false;
    for (size_t i = 0; i < size; i++) add_symbol(m, bpe->byte_ids[(uint8_t)text[i]]);
    return true;
}

/* The word's characters. One that has no token becomes its bytes, else the unknown token (one for each, or one for a
 * run), else nothing. */
static scry_status split_word(const scry__bpe *bpe, scry__merger *m, const char *word, size_t size)
{
    bool pending = false; /* an unknown token waits, in case the next character joins it */
    for (size_t at = 0; at < size;) {
        uint32_t code_point = 0;
        size_t   length     = (size_t)scry__utf8_decode(word + at, size - at, &code_point);
        int32_t  id         = find_character(bpe, word + at, length, code_point);
        if (id >= 0) {
            if (pending) add_symbol(m, bpe->unknown);
            pending = false;
            add_symbol(m, id);
        } else if (bpe->byte_fallback && add_bytes(bpe, m, word + at, length)) {
            /* Written; a waiting unknown token goes on waiting, as in `tokenizers`. */
        } else if (bpe->has_unknown) {
            if (bpe->unknown < 0)
                return scry__fail(SCRY_BAD_INPUT,
                                  "\"%.*s\" has no token, and unk_token is not in the vocabulary either", (int)length,
                                  word + at);
            if (pending && !bpe->fuse_unknown) add_symbol(m, bpe->unknown);
            pending = true;
        }
        at += length;
    }
    if (pending) add_symbol(m, bpe->unknown);
    return SCRY_OK;
}

/* --- Merging --- */

/* The rank of the merge of the symbol at `position` and its right neighbour, or -1. */
static int32_t rank_at(const scry__bpe *bpe, const scry__merger *m, int32_t position)
{
    const scry__symbol *left = &m->symbols[position];
    if (left->id < 0 || left->next < 0) return -1;
    return scry__index_find(&bpe->pairs, scry__pair_key(left->id, m->symbols[left->next].id));
}

static void consider(const scry__bpe *bpe, scry__merger *m, int32_t position)
{
    int32_t rank = rank_at(bpe, m, position);
    if (rank >= 0) heap_push(m, (scry__candidate){rank, position});
}

static void merge_all(const scry__bpe *bpe, scry__merger *m)
{
    for (size_t i = 0; i + 1 < m->symbol_count; i++) consider(bpe, m, (int32_t)i);
    while (m->heap_count) {
        scry__candidate candidate = heap_pop(m);
        int32_t         rank      = rank_at(bpe, m, candidate.position);
        /* Compared by result, as `tokenizers` does: a pair that changed into another with the same result still merges.
         */
        if (rank < 0 || bpe->results[rank] != bpe->results[candidate.rank]) continue;
        scry__symbol *left = &m->symbols[candidate.position], *right = &m->symbols[left->next];
        left->id   = bpe->results[rank];
        left->next = right->next;
        right->id  = -1;
        if (left->next >= 0) m->symbols[left->next].previous = candidate.position;
        if (left->previous >= 0) consider(bpe, m, left->previous);
        consider(bpe, m, candidate.position);
    }
}

scry_status scry__bpe_encode(const scry__bpe *bpe, scry__merger *merger, const char *word, size_t size, scry__ids *ids)
{
    if (bpe->ignore_merges) {
        int32_t id = scry__bpe_find(bpe, word, size);
        if (id >= 0) return scry__ids_add(ids, id);
    }
    scry_status status = reserve(merger, size);
    if (!status) status = split_word(bpe, merger, word, size);
    if (status) return status;
    merge_all(bpe, merger);
    for (int32_t at = merger->symbol_count ? 0 : -1; at >= 0 && !status; at = merger->symbols[at].next)
        status = scry__ids_add(ids, merger->symbols[at].id);
    return status;
}

/* Byte-pair encoding: the vocabulary, the merges, and one word turned into ids. */
#ifndef SCRY_MODEL_TOKENIZER_BPE_H
#define SCRY_MODEL_TOKENIZER_BPE_H

#include "base/json.h"
#include "base/text.h"
#include "model/tokenizer_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCRY__ID_LIMIT    = 1 << 22, /* ids are below */
    SCRY__MERGE_LIMIT = 1 << 23,
    SCRY__TOKEN_LIMIT = 1 << 16, /* bytes of one token */
};

/* Where a token's text lies in scry__bpe.bytes. */
typedef struct scry__token {
    uint32_t begin, size;
    bool     present, added, special;
} scry__token;

typedef struct scry__bpe {
    scry__text   bytes;
    scry__token *tokens;    /* by id */
    int32_t      count;     /* ids are 0 .. count - 1; gaps are not present */
    int32_t      own_count; /* tokens of the model itself */
    scry__index  ids;       /* of the model's own tokens; added ones are not built from text */
    scry__index  pairs;     /* (left id, right id) -> rank */
    int32_t     *results;   /* [merges] the id that the merge of that rank makes */
    int32_t      unknown;   /* -1: none */
    bool         has_unknown, fuse_unknown, byte_fallback, ignore_merges;
    int32_t      byte_ids[256];       /* of <0xNN>; -1: none */
    int32_t      character_ids[1024]; /* of tokens that are one code point below 1024; -1: none */
} scry__bpe;

/* From tokenizer.json's "model"; errors name the key but not the file. */
scry_status scry__bpe_load(scry__bpe *bpe, const json_t *model);
void        scry__bpe_finish(scry__bpe *bpe);

/* The id of the model's token with that text, or -1. */
int32_t scry__bpe_find(const scry__bpe *bpe, const char *text, size_t size);

/* Makes a free id stand for that text, which is not looked for when encoding. */
scry_status scry__bpe_add(scry__bpe *bpe, int64_t id, const char *text, size_t size);

static inline const char *scry__token_text(const scry__bpe *bpe, int32_t id)
{
    return bpe->bytes.data + bpe->tokens[id].begin;
}

/* The key of a merge in `pairs`. */
static inline uint64_t scry__pair_key(int32_t left, int32_t right)
{
    return (uint64_t)left << 32 | (uint32_t)right;
}

/* --- Encoding --- */

typedef struct scry__ids {
    int32_t *data;
    size_t   count, capacity;
} scry__ids;

scry_status scry__ids_add(scry__ids *ids, int32_t id);

/* What merging needs beside the word; kept from word to word. Zero-initialise. */
typedef struct scry__merger {
    struct scry__symbol    *symbols;
    struct scry__candidate *heap;
    size_t                  capacity, symbol_count, heap_count;
} scry__merger;

void scry__merger_finish(scry__merger *merger);

/* Adds the word's ids. Time is n log n in its length. */
scry_status scry__bpe_encode(const scry__bpe *bpe, scry__merger *merger, const char *word, size_t size, scry__ids *ids);

#endif

/* Stages: the small steps that normalizers, pre-tokenizers and decoders are made of.
 *
 * All of them turn a list of pieces of text into another list, so one loop runs them all. tokenizer_stage_load.c makes
 * them from tokenizer.json, tokenizer_stage.c runs those for encoding, tokenizer_decode.c those for decoding. */
#ifndef SCRY_MODEL_TOKENIZER_STAGE_H
#define SCRY_MODEL_TOKENIZER_STAGE_H

#include "base/json.h"
#include "base/text.h"
#include "model/tokenizer_regex.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that the pieces of one list may hold, so that a hostile file cannot blow up a text without end. */
enum { SCRY__PIECES_LIMIT = 1 << 28 };

/* As a piece's id: bytes that need not be UTF-8, which stages leave alone. */
enum { SCRY__RAW_BYTES = INT32_MAX };

/* A stretch of text, or a token that later stages leave alone. */
typedef struct scry__piece {
    size_t  begin, size; /* in the list's text */
    int32_t id;          /* the token; -1: still text */
    bool    first;       /* begins where the whole text begins */
    bool    added;       /* when decoding: an added token, whose content means itself */
} scry__piece;

/* Zero-initialise. After a failure `status` stays set and later additions do nothing: check once at the end. */
typedef struct scry__pieces {
    scry__text   text;
    scry__piece *items;
    size_t       count, capacity;
    scry_status  status;
} scry__pieces;

void scry__pieces_add(scry__pieces *pieces, scry__piece piece);
void scry__pieces_finish(scry__pieces *pieces);

/* The first failure; SCRY_BAD_INPUT past SCRY__PIECES_LIMIT. */
scry_status scry__pieces_status(const scry__pieces *pieces);

/* Adds a piece whose text was written to pieces->text from `begin` on; the rest is as in `model`. */
void scry__pieces_add_written(scry__pieces *pieces, size_t begin, scry__piece model);

/* Adds in's piece as it is. */
void scry__pieces_copy(scry__pieces *out, const scry__pieces *in, const scry__piece *piece);

typedef enum scry__stage_kind {
    /* text to text */
    SCRY__STAGE_NFC,
    SCRY__STAGE_NFD,
    SCRY__STAGE_NFKC,
    SCRY__STAGE_NFKD,
    SCRY__STAGE_LOWERCASE,
    SCRY__STAGE_REPLACE, /* each match of regex by content */
    SCRY__STAGE_PREPEND, /* content in front, where `when` says */
    SCRY__STAGE_BYTES,   /* each byte by its printable stand-in */
    /* one piece to several */
    SCRY__STAGE_SPLIT, /* at the matches of regex; or everything else, where `invert` */
    /* decoding */
    SCRY__STAGE_UNBYTES,       /* stand-ins back to bytes, all pieces joined */
    SCRY__STAGE_UNSPACE,       /* content to a space; dropped in the first piece where `when` is not NEVER */
    SCRY__STAGE_BYTE_FALLBACK, /* <0xNN> to its byte */
    SCRY__STAGE_FUSE,          /* all pieces to one */
    SCRY__STAGE_STRIP,         /* up to `start` and `stop` times content, at either end */
} scry__stage_kind;

typedef enum scry__behaviour {
    SCRY__ISOLATED,
    SCRY__REMOVED,
    SCRY__MERGED_WITH_PREVIOUS,
    SCRY__MERGED_WITH_NEXT,
    SCRY__CONTIGUOUS,
} scry__behaviour;

typedef enum scry__when {
    SCRY__ALWAYS,             /* to every piece */
    SCRY__UNLESS_THERE,       /* to every piece that does not begin with it */
    SCRY__FIRST_UNLESS_THERE, /* as before, to the piece that begins the text only */
    SCRY__NEVER,
} scry__when;

typedef struct scry__stage {
    scry__stage_kind kind;
    scry__regex     *regex;
    char            *content;
    size_t           content_size;
    scry__behaviour  behaviour;
    bool             invert;
    scry__when       when;
    int64_t          start, stop;
} scry__stage;

typedef struct scry__stages {
    scry__stage *items;
    int          count;
} scry__stages;

void scry__stages_finish(scry__stages *stages);

/* From tokenizer.json's objects, or null for none; errors name the object but not the file. */
scry_status scry__normalizers_load(scry__stages *stages, const json_t *value);
scry_status scry__pre_tokenizers_load(scry__stages *stages, const json_t *value);
scry_status scry__decoders_load(scry__stages *stages, const json_t *value);

/* Runs all stages over the pieces, in place. */
scry_status scry__stages_run(const scry__stages *stages, scry__pieces *pieces);

/* Runs all decoding stages over the pieces, in place. `alone`: each piece for itself, as the bytes that it stands for:
 * what looks at neighbours or at the text's ends is left out, and bytes that are no UTF-8 stay. */
scry_status scry__stages_decode(const scry__stages *stages, scry__pieces *pieces, bool alone);

/* Shared by both directions. */
scry_status scry__stage_replace(const scry__stage *stage, const scry__pieces *in, scry__pieces *out);

/* The byte-level alphabet: the printable stand-in of a byte, and the byte of a stand-in (-1: none). */
uint32_t scry__byte_stand_in(uint8_t byte);
int      scry__stand_in_byte(uint32_t code_point);

/* Unicode normalisation of valid UTF-8, added to `out`; kind is NFC, NFD, NFKC or NFKD. Linear time. */
scry_status scry__unicode_normalize(scry__text *out, const char *text, size_t size, scry__stage_kind kind);
scry_status scry__unicode_lowercase(scry__text *out, const char *text, size_t size);

/* White_Space, and what regular expressions count as part of a word. */
bool scry__unicode_is_space(uint32_t code_point);
bool scry__unicode_is_word(uint32_t code_point);

#endif

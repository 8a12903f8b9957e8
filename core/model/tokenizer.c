/* The tokenizer's public face: text to ids, ids to text. See scry/model.h and tokenizer.h. */
#include "model/tokenizer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <limits.h>
#include <string.h>

enum { TEXT_LIMIT = 1 << 25 }; /* bytes in one call */

static bool has_token(const scry_tokenizer *tokenizer, int32_t id)
{
    return tokenizer && id >= 0 && id < tokenizer->bpe.count && tokenizer->bpe.tokens[id].present;
}

int scry_tokenizer_vocabulary(const scry_tokenizer *tokenizer)
{
    return tokenizer ? tokenizer->bpe.count : 0;
}

bool scry_tokenizer_is_special(const scry_tokenizer *tokenizer, int32_t id)
{
    return has_token(tokenizer, id) && tokenizer->bpe.tokens[id].special;
}

const char *scry_tokenizer_bytes(const scry_tokenizer *tokenizer, int32_t id, size_t *size)
{
    if (!has_token(tokenizer, id)) return NULL;
    const scry__piece *piece = &tokenizer->spoken.items[id];
    if (size) *size = piece->size;
    return tokenizer->spoken.text.data + piece->begin;
}

/* --- Encoding --- */

/* The text cut into words and added tokens. */
static scry_status cut_text(const scry_tokenizer *tokenizer, const char *text, size_t size, scry__pieces *pieces)
{
    scry__text_add(&pieces->text, text, size);
    scry__pieces_add_written(pieces, 0, (scry__piece){.id = -1, .first = true});
    scry_status status = scry__pieces_status(pieces);
    if (!status) status = scry__added_split(&tokenizer->raw, pieces);
    if (!status) status = scry__stages_run(&tokenizer->normalizers, pieces);
    if (!status) status = scry__added_split(&tokenizer->normalized, pieces);
    if (!status) status = scry__stages_run(&tokenizer->pre_tokenizers, pieces);
    return status;
}

static scry_status add_all(scry__ids *ids, const scry__ids *more)
{
    scry_status status = SCRY_OK;
    for (size_t i = 0; i < more->count && !status; i++) status = scry__ids_add(ids, more->data[i]);
    return status;
}

scry_status scry_tokenizer_encode(const scry_tokenizer *tokenizer, const char *text, size_t size, bool special,
                                  int32_t **out, int *count)
{
    scry__pieces pieces = {0};
    scry__merger merger = {0};
    scry__ids    ids    = {0};
    scry_status  status = SCRY_OK;
    size_t       offset;
    if (!tokenizer || (!text && size) || !out || !count)
        return scry__fail(SCRY_BAD_ARGUMENT, "scry_tokenizer_encode: expected a tokenizer, a text and out-parameters");
    if (size > TEXT_LIMIT)
        return scry__fail(SCRY_BAD_ARGUMENT, "the text has %zu bytes: expected at most %d", size, TEXT_LIMIT);
    if (!scry__utf8_valid(text, size, &offset))
        return scry__fail(SCRY_BAD_ARGUMENT, "the text is not valid UTF-8 at byte %zu (0x%02X)", offset,
                          (unsigned char)text[offset]);
    if (special) status = add_all(&ids, &tokenizer->template.before);
    if (!status) status = cut_text(tokenizer, text, size, &pieces);
    for (size_t i = 0; i < pieces.count && !status; i++) {
        const scry__piece *piece = &pieces.items[i];
        if (piece->id >= 0)
            status = scry__ids_add(&ids, piece->id);
        else
            status = scry__bpe_encode(&tokenizer->bpe, &merger, pieces.text.data + piece->begin, piece->size, &ids);
    }
    if (!status && special) status = add_all(&ids, &tokenizer->template.after);
    if (!status && ids.count > INT_MAX)
        status = scry__fail(SCRY_BAD_ARGUMENT, "the text has %zu tokens: expected at most %d", ids.count, INT_MAX);
    if (!status && !ids.data) {
        ids.data = scry__alloc(1, sizeof *ids.data); /* no ids, but something to release */
        if (!ids.data) status = SCRY_OUT_OF_MEMORY;
    }
    scry__merger_finish(&merger);
    scry__pieces_finish(&pieces);
    if (status) {
        scry__free(ids.data);
        return status;
    }
    *out   = ids.data;
    *count = (int)ids.count;
    return SCRY_OK;
}

/* --- Decoding --- */

static scry_status gather(const scry_tokenizer *tokenizer, const int32_t *ids, int count, bool special,
                          scry__pieces *pieces)
{
    const scry__bpe *bpe = &tokenizer->bpe;
    for (int i = 0; i < count; i++) {
        size_t begin = pieces->text.size;
        if (ids[i] < 0) return scry__fail(SCRY_BAD_ARGUMENT, "ids[%d]: %d: expected an id from 0 on", i, ids[i]);
        if (!has_token(tokenizer, ids[i]) || (!special && bpe->tokens[ids[i]].special)) continue;
        scry__text_add(&pieces->text, scry__token_text(bpe, ids[i]), bpe->tokens[ids[i]].size);
        scry__pieces_add_written(pieces, begin, (scry__piece){.id = -1, .added = bpe->tokens[ids[i]].added});
    }
    return scry__pieces_status(pieces);
}

scry_status scry_tokenizer_decode(const scry_tokenizer *tokenizer, const int32_t *ids, int count, bool special,
                                  char **text, size_t *size)
{
    scry__pieces pieces = {0};
    scry__text   joined = {0};
    if (!tokenizer || (!ids && count) || count < 0 || !text)
        return scry__fail(SCRY_BAD_ARGUMENT, "scry_tokenizer_decode: expected a tokenizer, ids and an out-parameter");
    scry_status status = gather(tokenizer, ids, count, special, &pieces);
    if (!status) status = scry__stages_decode(&tokenizer->decoders, &pieces, false);
    for (size_t i = 0; i < pieces.count && !status; i++) {
        if (i && !tokenizer->has_decoder) scry__text_adds(&joined, " ");
        scry__text_add(&joined, pieces.text.data + pieces.items[i].begin, pieces.items[i].size);
    }
    scry__pieces_finish(&pieces);
    if (!status) return scry__text_take(&joined, text, size);
    scry__text_finish(&joined);
    return status;
}

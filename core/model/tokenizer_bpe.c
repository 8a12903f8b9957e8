/* Loading of vocabulary and merges. See tokenizer_bpe.h; tokenizer_merge.c applies them. */
#include "model/tokenizer_bpe.h"

#include "base/alloc.h"
#include "base/error.h"
#include "model/tokenizer_stage.h"

#include <stdio.h>
#include <string.h>

int32_t scry__bpe_find(const scry__bpe *bpe, const char *text, size_t size)
{
    int32_t id = scry__index_find(&bpe->ids, scry__index_key(text, size));
    if (id < 0 || bpe->tokens[id].size != size || memcmp(scry__token_text(bpe, id), text, size)) return -1;
    return id;
}

/* --- Vocabulary --- */

/* Grows the table of tokens to hold `id`; checks that id is free. */
static scry_status claim(scry__bpe *bpe, int64_t id, const char *text, size_t size)
{
    int shown = size < 100 ? (int)size : 100;
    if (id < 0 || id >= SCRY__ID_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "\"%.*s\": id %lld is outside 0 to %d", shown, text, (long long)id,
                          SCRY__ID_LIMIT - 1);
    if (size > SCRY__TOKEN_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "\"%.*s...\": a token of %zu bytes: expected at most %d", shown, text, size,
                          SCRY__TOKEN_LIMIT);
    if (bpe->bytes.size > UINT32_MAX - size) return scry__fail(SCRY_BAD_INPUT, "more than 4 GiB of tokens");
    if (id >= bpe->count) {
        scry__token *tokens = scry__realloc(bpe->tokens, (size_t)id + 1, sizeof *tokens);
        if (!tokens) return SCRY_OUT_OF_MEMORY;
        memset(tokens + bpe->count, 0, (size_t)(id + 1 - bpe->count) * sizeof *tokens);
        bpe->tokens = tokens;
        bpe->count  = (int32_t)id + 1;
    }
    const scry__token *other = &bpe->tokens[id];
    if (other->present)
        return scry__fail(SCRY_BAD_INPUT, "\"%.*s\": id %lld is already that of \"%.*s\"", shown, text, (long long)id,
                          other->size < 100 ? (int)other->size : 100, scry__token_text(bpe, (int32_t)id));
    return SCRY_OK;
}

scry_status scry__bpe_add(scry__bpe *bpe, int64_t id, const char *text, size_t size)
{
    scry_status status = claim(bpe, id, text, size);
    if (status) return status;
    bpe->tokens[id] = (scry__token){.begin = (uint32_t)bpe->bytes.size, .size = (uint32_t)size, .present = true};
    scry__text_add(&bpe->bytes, text, size);
    return bpe->bytes.status;
}

static scry_status index_token(scry__bpe *bpe, int32_t id, const char *text, size_t size)
{
    uint64_t key        = scry__index_key(text, size);
    uint32_t code_point = UINT32_MAX;
    if (scry__index_find(&bpe->ids, key) >= 0)
        return scry__fail(SCRY_BAD_INPUT, "\"%.100s\": its place in the index is taken by another token", text);
    if (size && (size_t)scry__utf8_decode(text, size, &code_point) == size &&
        code_point < sizeof bpe->character_ids / sizeof *bpe->character_ids)
        bpe->character_ids[code_point] = id;
    return scry__index_put(&bpe->ids, key, id);
}

static scry_status largest_id(const json_t *vocabulary, int64_t *largest)
{
    void *iterator = json_object_iter((json_t *)vocabulary);
    *largest       = -1;
    for (; iterator; iterator = json_object_iter_next((json_t *)vocabulary, iterator)) {
        const json_t *value = json_object_iter_value(iterator);
        if (!json_is_integer(value))
            return scry__fail(SCRY_BAD_INPUT, "\"%.100s\": expected an integer", json_object_iter_key(iterator));
        if (json_integer_value(value) > *largest) *largest = json_integer_value(value);
    }
    return SCRY_OK;
}

static scry_status load_vocabulary(scry__bpe *bpe, const json_t *vocabulary)
{
    int64_t     largest;
    void       *iterator = json_object_iter((json_t *)vocabulary);
    scry_status status   = largest_id(vocabulary, &largest);
    if (!status) status = scry__index_create(&bpe->ids, json_object_size(vocabulary));
    if (!status && largest >= 0 && largest < SCRY__ID_LIMIT) {
        /* All room at once; an id past the limit is refused below, with its token. */
        bpe->tokens = scry__alloc((size_t)largest + 1, sizeof *bpe->tokens);
        if (!bpe->tokens) return SCRY_OUT_OF_MEMORY;
        bpe->count = (int32_t)largest + 1;
    }
    bpe->own_count = (int32_t)json_object_size(vocabulary);
    for (; !status && iterator; iterator = json_object_iter_next((json_t *)vocabulary, iterator)) {
        const char *text = json_object_iter_key(iterator);
        size_t      size = json_object_iter_key_len(iterator);
        int64_t     id   = json_integer_value(json_object_iter_value(iterator));
        status           = scry__bpe_add(bpe, id, text, size);
        if (!status) status = index_token(bpe, (int32_t)id, text, size);
    }
    return status;
}

/* --- Merges --- */

typedef struct merge {
    const char *left, *right;
    size_t      left_size, right_size;
} merge;

/* "a b" or ["a", "b"]. */
static scry_status get_merge(const json_t *value, merge *out)
{
    if (json_is_array(value) && json_array_size(value) == 2) {
        const json_t *left = json_array_get(value, 0), *right = json_array_get(value, 1);
        if (json_is_string(left) && json_is_string(right)) {
            *out = (merge){json_string_value(left), json_string_value(right), json_string_length(left),
                           json_string_length(right)};
            return SCRY_OK;
        }
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value), *end = text + json_string_length(value);
        const char *space = memchr(text, ' ', (size_t)(end - text));
        if (space && !memchr(space + 1, ' ', (size_t)(end - space - 1))) {
            *out = (merge){text, space + 1, (size_t)(space - text), (size_t)(end - space - 1)};
            return SCRY_OK;
        }
    }
    return scry__fail(SCRY_BAD_INPUT, "expected \"left right\" or [\"left\", \"right\"]");
}

static scry_status find_part(const scry__bpe *bpe, const char *text, size_t size, int32_t *id)
{
    *id = scry__bpe_find(bpe, text, size);
    if (*id >= 0) return SCRY_OK;
    return scry__fail(SCRY_BAD_INPUT, "\"%.*s\" is not in the vocabulary", size < 100 ? (int)size : 100, text);
}

static scry_status load_merge(scry__bpe *bpe, const json_t *value, int32_t rank, scry__text *joined)
{
    merge       m = {0};
    int32_t     left, right, result;
    scry_status status = get_merge(value, &m);
    if (!status) status = find_part(bpe, m.left, m.left_size, &left);
    if (!status) status = find_part(bpe, m.right, m.right_size, &right);
    if (status) return status;
    joined->size = 0;
    scry__text_add(joined, m.left, m.left_size);
    scry__text_add(joined, m.right, m.right_size);
    if (joined->status) return joined->status;
    status = find_part(bpe, joined->data, joined->size, &result);
    if (status) return status;
    bpe->results[rank] = result;
    return scry__index_put(&bpe->pairs, scry__pair_key(left, right),
                           rank); /* of two equal merges the later one counts */
}

static scry_status load_merges(scry__bpe *bpe, const json_t *merges)
{
    scry__text  joined = {0};
    size_t      count  = json_array_size(merges);
    scry_status status;
    if (count > SCRY__MERGE_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "merges: %zu of them: expected at most %d", count, SCRY__MERGE_LIMIT);
    bpe->results = scry__alloc(count, sizeof *bpe->results);
    if (!bpe->results) return SCRY_OUT_OF_MEMORY;
    status = scry__index_create(&bpe->pairs, count);
    for (size_t i = 0; i < count && !status; i++) {
        status = load_merge(bpe, json_array_get(merges, i), (int32_t)i, &joined);
        if (status) scry__fail_prefix(status, "merges[%zu]", i);
    }
    scry__text_finish(&joined);
    return status;
}

/* --- The model --- */

static scry_status refuse_affix(scry__json_at at, const char *key)
{
    const char *affix  = "";
    scry_status status = scry__json_string(at, key, false, &affix);
    if (!status && *affix)
        status = scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": \"%.100s\": expected null or \"\"", at.origin, key, affix);
    return status;
}

static scry_status load_options(scry__bpe *bpe, scry__json_at at)
{
    const char *type    = "BPE"; /* the oldest files leave it out */
    double      dropout = 0;
    scry_status status  = scry__json_string(at, "type", false, &type);
    if (!status && strcmp(type, "BPE"))
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"type\": \"%.100s\": expected BPE", at.origin, type);
    if (!status)
        status = scry__json_only(at, "type dropout unk_token continuing_subword_prefix end_of_word_suffix fuse_unk "
                                     "byte_fallback ignore_merges vocab merges");
    if (!status) status = scry__json_number(at, "dropout", false, &dropout);
    if (!status && dropout != 0)
        status = scry__fail(SCRY_BAD_INPUT, "%s: key \"dropout\": %g: expected null or 0", at.origin, dropout);
    if (!status) status = refuse_affix(at, "continuing_subword_prefix");
    if (!status) status = refuse_affix(at, "end_of_word_suffix");
    if (!status) status = scry__json_bool(at, "fuse_unk", false, &bpe->fuse_unknown);
    if (!status) status = scry__json_bool(at, "byte_fallback", false, &bpe->byte_fallback);
    if (!status) status = scry__json_bool(at, "ignore_merges", false, &bpe->ignore_merges);
    return status;
}

/* Ids that encoding asks for again and again. */
static scry_status find_frequent(scry__bpe *bpe, scry__json_at at)
{
    const char *unknown = NULL;
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        bpe->byte_ids[byte] = scry__bpe_find(bpe, name, (size_t)snprintf(name, sizeof name, "<0x%02X>", byte));
    }
    scry_status status = scry__json_string(at, "unk_token", false, &unknown);
    bpe->has_unknown   = unknown != NULL;
    bpe->unknown       = unknown ? scry__bpe_find(bpe, unknown, strlen(unknown)) : -1;
    return status;
}

scry_status scry__bpe_load(scry__bpe *bpe, const json_t *model)
{
    const json_t *vocabulary, *merges;
    scry__json_at at     = {model, "model"};
    scry_status   status = load_options(bpe, at);
    for (size_t i = 0; i < sizeof bpe->character_ids / sizeof *bpe->character_ids; i++) bpe->character_ids[i] = -1;
    scry__text_add(&bpe->bytes, "", 0);
    if (!status) status = bpe->bytes.status;
    if (!status) status = scry__json_object(at, "vocab", true, &vocabulary);
    if (!status) status = scry__json_array(at, "merges", true, &merges);
    if (status) return status;
    status = load_vocabulary(bpe, vocabulary);
    if (status) return scry__fail_prefix(status, "model: vocab");
    status = load_merges(bpe, merges);
    if (status) return scry__fail_prefix(status, "model");
    return find_frequent(bpe, at);
}

void scry__bpe_finish(scry__bpe *bpe)
{
    scry__free(bpe->results);
    scry__index_finish(&bpe->pairs);
    scry__index_finish(&bpe->ids);
    scry__free(bpe->tokens);
    scry__text_finish(&bpe->bytes);
    *bpe = (scry__bpe){0};
}

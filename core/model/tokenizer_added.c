/* Added tokens: loading them, and cutting them out of text. See tokenizer.h. */
#include "model/tokenizer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { CONTENT_LIMIT = 4096, COUNT_LIMIT = 1 << 20 };

/* --- Loading --- */

/* The content as the normalizers leave it: that is what it is compared with. */
static scry_status normalize_content(const scry__stages *normalizers, const char *content, scry__added *added)
{
    scry__pieces pieces = {0};
    scry_status  status;
    scry__text_adds(&pieces.text, content);
    scry__pieces_add_written(&pieces, 0, (scry__piece){.id = -1, .first = true});
    status = scry__pieces_status(&pieces);
    if (!status) status = scry__stages_run(normalizers, &pieces);
    if (!status) {
        added->size    = pieces.items[0].size;
        added->content = scry__strndup(pieces.text.data + pieces.items[0].begin, added->size);
        if (!added->content) status = SCRY_OUT_OF_MEMORY;
    }
    scry__pieces_finish(&pieces);
    return status;
}

/* The file's own "id" is not what counts: a content that the vocabulary has keeps that id, and others are numbered on
 * from the vocabulary's size, as in `tokenizers`. */
static int32_t number(const scry__bpe *bpe, int32_t known, int32_t last)
{
    return known >= 0 ? known : last >= bpe->own_count ? last + 1 : bpe->own_count;
}

/* `last` is the largest id of an added token so far, or -1. */
static scry_status load_one(scry_tokenizer *tokenizer, const json_t *value, scry__added *added, int32_t last)
{
    scry__json_at at = {value, "the object"};
    const char   *content;
    int64_t       id      = 0;
    bool          special = false;
    if (!json_is_object(value)) return scry__fail(SCRY_BAD_INPUT, "expected an object");
    scry_status status = scry__json_only(at, "id content single_word lstrip rstrip normalized special");
    if (!status) status = scry__json_int(at, "id", true, 0, SCRY__ID_LIMIT - 1, &id);
    if (!status) status = scry__json_string(at, "content", true, &content);
    if (!status) status = scry__json_bool(at, "special", false, &special);
    added->normalized = !special;
    if (!status) status = scry__json_bool(at, "normalized", false, &added->normalized);
    if (!status) status = scry__json_bool(at, "single_word", false, &added->single_word);
    if (!status) status = scry__json_bool(at, "lstrip", false, &added->lstrip);
    if (!status) status = scry__json_bool(at, "rstrip", false, &added->rstrip);
    if (status) return status;
    size_t size = strlen(content);
    if (!size || size > CONTENT_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "key \"content\": %zu bytes: expected 1 to %d", size, CONTENT_LIMIT);
    scry__bpe *bpe   = &tokenizer->bpe;
    int32_t    known = scry__bpe_find(bpe, content, size);
    added->id        = number(bpe, known, last);
    if (added->id != id)
        scry__log(SCRY_LOG_WARNING, "added token \"%.100s\" has id %d, not %lld as tokenizer.json says", content,
                  added->id, (long long)id);
    if (added->normalized) {
        status = normalize_content(&tokenizer->normalizers, content, added);
    } else {
        added->size    = size;
        added->content = scry__strndup(content, size);
        status         = added->content ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    }
    if (!status && known < 0) status = scry__bpe_add(bpe, added->id, added->content, added->size);
    if (status) return status;
    bpe->tokens[added->id].added   = true;
    bpe->tokens[added->id].special = special;
    return SCRY_OK;
}

static int by_content(const void *a, const void *b)
{
    const scry__added *left = a, *right = b;
    size_t             common = left->size < right->size ? left->size : right->size;
    int                order  = memcmp(left->content, right->content, common);
    if (!order) order = (left->size > right->size) - (left->size < right->size);
    return order ? order : (left->id > right->id) - (left->id < right->id);
}

/* Moves those of `all` that are (not) normalized to their list, sorted. */
static scry_status fill(scry__added_list *list, scry__added *all, size_t count, bool normalized)
{
    list->items = scry__alloc(count, sizeof *list->items);
    if (!list->items) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        if (all[i].normalized != normalized || !all[i].size) continue; /* normalized to nothing: never found */
        list->items[list->count++]                   = all[i];
        list->starts[(unsigned char)*all[i].content] = true;
        all[i].content                               = NULL;
    }
    qsort(list->items, list->count, sizeof *list->items, by_content);
    for (size_t i = 1; i < list->count && !normalized; i++)
        if (list->items[i].size == list->items[i - 1].size &&
            !memcmp(list->items[i].content, list->items[i - 1].content, list->items[i].size))
            return scry__fail(SCRY_BAD_INPUT, "\"%.100s\" is added twice", list->items[i].content);
    return SCRY_OK;
}

scry_status scry__added_load(scry_tokenizer *tokenizer, const json_t *array)
{
    size_t      count  = json_array_size(array);
    int32_t     last   = -1;
    scry_status status = SCRY_OK;
    if (!array || json_is_null(array)) return SCRY_OK;
    if (!json_is_array(array)) return scry__fail(SCRY_BAD_INPUT, "added_tokens: expected an array");
    if (count > COUNT_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "added_tokens: %zu of them: expected at most %d", count, COUNT_LIMIT);
    scry__added *all = scry__alloc(count, sizeof *all);
    if (!all) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < count && !status; i++) {
        status = load_one(tokenizer, json_array_get(array, i), &all[i], last);
        if (all[i].id > last) last = all[i].id;
        if (status) scry__fail_prefix(status, "added_tokens[%zu]", i);
    }
    if (!status) status = fill(&tokenizer->raw, all, count, false);
    if (!status) status = fill(&tokenizer->normalized, all, count, true);
    for (size_t i = 0; i < count; i++) scry__free(all[i].content);
    scry__free(all);
    return status;
}

void scry__added_finish(scry__added_list *list)
{
    for (size_t i = 0; i < list->count; i++) scry__free(list->items[i].content);
    scry__free(list->items);
    *list = (scry__added_list){0};
}

/* --- Finding --- */

/* First index in [low, high) whose content at `depth` is at least `byte`; contents there are longer than depth. */
static size_t lower_bound(const scry__added_list *list, size_t low, size_t high, size_t depth, int byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((unsigned char)list->items[middle].content[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest content that begins the text, or NULL. */
static const scry__added *longest(const scry__added_list *list, const char *text, size_t size)
{
    const scry__added *best = NULL;
    size_t             low = 0, high = list->count;
    for (size_t depth = 0; low < high; depth++) {
        for (; low < high && list->items[low].size == depth; low++)
            best = &list->items[low]; /* of equal ones the largest id */
        if (depth == size) break;
        int byte = (unsigned char)text[depth];
        low      = lower_bound(list, low, high, depth, byte);
        high     = lower_bound(list, low, high, depth, byte + 1);
    }
    return best;
}

/* Where the code point that ends at `end` begins. */
static size_t step_back(const char *text, size_t end)
{
    do end--;
    while (end && ((unsigned char)text[end] & 0xc0) == 0x80);
    return end;
}

static bool stands_alone(const char *text, size_t size, size_t begin, size_t end)
{
    uint32_t code_point = 0;
    if (begin) {
        size_t before = step_back(text, begin);
        scry__utf8_decode(text + before, begin - before, &code_point);
        if (scry__unicode_is_word(code_point)) return false;
    }
    if (end == size) return true;
    scry__utf8_decode(text + end, size - end, &code_point);
    return !scry__unicode_is_word(code_point);
}

static size_t spaces_before(const char *text, size_t begin)
{
    while (begin) {
        uint32_t code_point = 0;
        size_t   before     = step_back(text, begin);
        scry__utf8_decode(text + before, begin - before, &code_point);
        if (!scry__unicode_is_space(code_point)) break;
        begin = before;
    }
    return begin;
}

static size_t spaces_behind(const char *text, size_t size, size_t end)
{
    while (end < size) {
        uint32_t code_point = 0;
        size_t   length     = (size_t)scry__utf8_decode(text + end, size - end, &code_point);
        if (!scry__unicode_is_space(code_point)) break;
        end += length;
    }
    return end;
}

static void add_part(scry__pieces *out, const scry__piece *whole, size_t begin, size_t end, int32_t id)
{
    if (begin < end)
        scry__pieces_add(out, (scry__piece){whole->begin + begin, end - begin, id, whole->first && !begin, false});
}

static void cut(const scry__added_list *list, const scry__piece *whole, scry__pieces *out)
{
    const char *text = out->text.data + whole->begin;
    size_t      size = whole->size, done = 0;
    for (size_t at = 0; at < size;) {
        const scry__added *found = list->starts[(unsigned char)text[at]] ? longest(list, text + at, size - at) : NULL;
        if (!found) {
            at++;
            continue;
        }
        size_t begin = at, end = at + found->size;
        at = end;
        if (found->single_word && !stands_alone(text, size, begin, end)) continue;
        if (found->lstrip) begin = spaces_before(text, begin);
        if (found->lstrip && begin < done) begin = done; /* the token before took those spaces */
        if (found->rstrip) end = spaces_behind(text, size, end);
        add_part(out, whole, done, begin, -1);
        add_part(out, whole, begin, end, found->id); /* even inside the spaces that the token before took */
        done = end;
    }
    add_part(out, whole, done, size, -1);
}

scry_status scry__added_split(const scry__added_list *list, scry__pieces *pieces)
{
    scry__pieces out = {.text = pieces->text};
    pieces->text     = (scry__text){0};
    for (size_t i = 0; i < pieces->count; i++) {
        if (pieces->items[i].id < 0)
            cut(list, &pieces->items[i], &out);
        else
            scry__pieces_add(&out, pieces->items[i]);
    }
    scry__pieces_finish(pieces);
    *pieces = out;
    return scry__pieces_status(pieces);
}

/* Reading documents and laying them into rows. See documents.h. */
#include "train/documents.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_lines.h"

#include <string.h>

enum { FIRST_SPACE = 1024, MOST_TOKENS = 1 << 30 };

struct reading {
    scry__documents      *documents;
    const scry_tokenizer *tokenizer;
    int64_t               used; /* tokens of the last row */
};

/* --- reading --- */

/* `items` with room for `needed` of them; NULL, and items stays, where memory is refused. */
static void *grown(void *items, int64_t *space, int64_t needed, size_t size)
{
    int64_t wanted = *space ? *space : FIRST_SPACE;
    if (items && needed <= *space) return items;
    while (wanted < needed) wanted *= 2;
    void *out = scry__realloc(items, (size_t)wanted, size);
    if (out) *space = wanted;
    return out;
}

/* Room for `count` more ids. */
static scry_status reserve_ids(scry__documents *documents, int64_t count)
{
    if (documents->id_count + count > MOST_TOKENS)
        return scry__fail(SCRY_BAD_INPUT, "documents of more than %d tokens", MOST_TOKENS);
    int32_t *ids = grown(documents->ids, &documents->id_space, documents->id_count + count, sizeof *documents->ids);
    if (!ids) return SCRY_OUT_OF_MEMORY;
    documents->ids = ids;
    return SCRY_OK;
}

static scry_status add_ids(scry__documents *documents, scry__json_at at, const json_t *list, int vocabulary)
{
    scry_status status = reserve_ids(documents, (int64_t)json_array_size(list));
    for (size_t i = 0; !status && i < json_array_size(list); i++) {
        const json_t *id    = json_array_get(list, i);
        json_int_t    value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value >= vocabulary)
            status = scry__fail(SCRY_BAD_INPUT, "%s: key \"ids\": entry %zu: expected an id, 0 to %d", at.origin, i,
                                vocabulary - 1);
        else
            documents->ids[documents->id_count++] = (int32_t)value;
    }
    return status;
}

static scry_status add_text(scry__documents *documents, scry__json_at at, const char *text,
                            const scry_tokenizer *tokenizer)
{
    int32_t    *ids    = NULL;
    int         count  = 0;
    scry_status status = scry_tokenizer_encode(tokenizer, text, strlen(text), true, &ids, &count);
    if (status == SCRY_BAD_ARGUMENT) status = scry__fail_prefix(SCRY_BAD_INPUT, "%s", at.origin);
    if (!status) status = reserve_ids(documents, count);
    if (!status && count) memcpy(documents->ids + documents->id_count, ids, (size_t)count * sizeof *ids);
    if (!status) documents->id_count += count;
    scry_free(ids);
    return status;
}

/* Puts a document behind the others of the last row, or into a new one. */
static scry_status place(struct reading *reading, const scry__document *document)
{
    scry__documents *documents = reading->documents;
    scry__document  *items     = grown(documents->items, &documents->space, documents->count + 1, sizeof *items);
    if (!items) return SCRY_OUT_OF_MEMORY;
    documents->items = items;
    int64_t *rows    = grown(documents->rows, &documents->row_space, documents->row_count + 2, sizeof *rows);
    if (!rows) return SCRY_OUT_OF_MEMORY;
    documents->rows = rows;
    if (!documents->row_count || reading->used + document->size > documents->length) {
        documents->rows[documents->row_count++] = documents->count;
        reading->used                           = 0;
    }
    reading->used += document->size;
    documents->items[documents->count++]  = *document;
    documents->rows[documents->row_count] = documents->count;
    return SCRY_OK;
}

static scry_status read_document(void *user, scry__json_at at, int line)
{
    struct reading  *reading   = user;
    scry__documents *documents = reading->documents;
    const char      *text      = NULL;
    const json_t    *list      = NULL;
    int64_t          unscored = 1, begin = documents->id_count;
    scry_status      status = scry__json_only(at, "text ids unscored");
    (void)line;
    if (!status) status = scry__json_string(at, "text", false, &text);
    if (!status) status = scry__json_array(at, "ids", false, &list);
    if (!status) status = scry__json_int(at, "unscored", false, 0, MOST_TOKENS, &unscored);
    if (!status && !text == !list)
        status = scry__fail(SCRY_BAD_INPUT, "%s: expected either key \"text\" or \"ids\"", at.origin);
    if (!status)
        status = text ? add_text(documents, at, text, reading->tokenizer)
                      : add_ids(documents, at, list, scry_tokenizer_vocabulary(reading->tokenizer));
    if (status) return status;
    int64_t size = documents->id_count - begin;
    if (size > documents->length) {
        size                = documents->length;
        documents->id_count = begin + size;
        documents->shortened++;
    }
    if (unscored < 1) unscored = 1;
    if (size <= unscored)
        return scry__fail(SCRY_BAD_INPUT, "%s: %lld tokens in a row's %d: expected more than the %lld not to predict",
                          at.origin, (long long)size, documents->length, (long long)unscored);
    return place(reading, &(scry__document){begin, (int32_t)size, (int32_t)unscored});
}

static void make_digest(scry__documents *documents)
{
    scry__sha256 hash;
    scry__sha256_begin(&hash);
    scry__sha256_add(&hash, documents->ids, (size_t)documents->id_count * sizeof *documents->ids);
    for (int64_t i = 0; i < documents->count; i++) {
        const int32_t layout[] = {documents->items[i].size, documents->items[i].unscored};
        scry__sha256_add(&hash, layout, sizeof layout);
    }
    scry__sha256_end(&hash, documents->digest);
}

scry_status scry__documents_open(scry__documents *documents, const char *path, const scry_tokenizer *tokenizer,
                                 int length)
{
    struct reading reading = {.documents = documents, .tokenizer = tokenizer};
    *documents             = (scry__documents){.length = length};
    scry_status status     = scry__json_lines(path, read_document, &reading);
    if (status) {
        scry__documents_close(documents);
        return status;
    }
    make_digest(documents);
    if (documents->shortened)
        scry__log(SCRY_LOG_WARNING, "%s: %lld of %lld documents are longer than a row's %d tokens and were cut", path,
                  (long long)documents->shortened, (long long)documents->count, length);
    return SCRY_OK;
}

void scry__documents_close(scry__documents *documents)
{
    scry__free(documents->ids);
    scry__free(documents->items);
    scry__free(documents->rows);
    *documents = (scry__documents){0};
}

/* --- rows --- */

void scry__documents_row(const scry__documents *documents, int64_t row, int32_t *ids, int32_t *targets, int32_t *begins)
{
    int at = 0;
    for (int64_t i = documents->rows[row]; i < documents->rows[row + 1]; i++) {
        const scry__document *document = &documents->items[i];
        const int32_t        *tokens   = documents->ids + document->begin;
        int                   begin    = at;
        for (int token = 0; token < document->size; token++, at++) {
            int next    = token + 1;
            ids[at]     = tokens[token];
            targets[at] = next < document->size && next >= document->unscored ? tokens[next] : -1;
            begins[at]  = begin;
        }
    }
    for (; at < documents->length; at++) {
        ids[at]     = 0;
        targets[at] = -1;
        begins[at]  = at;
    }
}

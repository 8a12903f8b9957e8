/* Tests of the tokenizer against the ids that `tokenizers` gives (tests/fixtures/tokenizers), and by hand. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "model/tokenizer_regex.h"
#include "scry/model.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIXTURES SCRY_SOURCE_DIR "/tests/fixtures/tokenizers/"

static const char *const fixtures[] = {"gpt2",   "gpt_neox",     "llama3",          "qwen2",         "byte_level_flags",
                                       "llama2", "llama2_flags", "metaspace_first", "metaspace_unk", "gemma"};
enum { FIXTURE_COUNT = sizeof fixtures / sizeof *fixtures };

static scry_tokenizer *open_fixture(const char *name)
{
    char            path[256];
    scry_tokenizer *tokenizer = NULL;
    snprintf(path, sizeof path, FIXTURES "%s", name);
    cr_assert_eq(scry_tokenizer_open(&tokenizer, path), SCRY_OK, "%s", scry_last_error());
    return tokenizer;
}

static json_t *load_cases(const char *name, const char *file)
{
    char    path[256];
    json_t *cases = NULL;
    snprintf(path, sizeof path, FIXTURES "%s/%s", name, file);
    cr_assert_eq(scry__json_load(&cases, path, 1 << 24), SCRY_OK, "%s", scry_last_error());
    return cases;
}

static void expect_ids(const char *name, const char *what, const json_t *expected, const int32_t *ids, int count,
                       const char *text)
{
    int same = (int)json_array_size(expected) == count;
    for (int i = 0; i < count && same; i++) same = json_integer_value(json_array_get(expected, (size_t)i)) == ids[i];
    if (same) return;
    fprintf(stderr, "%s: %s: expected", name, what);
    for (size_t i = 0; i < json_array_size(expected); i++)
        fprintf(stderr, " %lld", (long long)json_integer_value(json_array_get(expected, i)));
    fprintf(stderr, "\n  got");
    for (int i = 0; i < count; i++) fprintf(stderr, " %d", ids[i]);
    cr_expect(false, "%s: %s of \"%s\" differ", name, what, text);
}

static void expect_pieces(const char *name, const scry_tokenizer *tokenizer, const json_t *pieces, const int32_t *ids)
{
    size_t        i;
    const json_t *piece;
    json_array_foreach(pieces, i, piece)
    {
        size_t      size  = 0;
        const char *bytes = scry_tokenizer_bytes(tokenizer, ids[i], &size);
        cr_assert_not_null(bytes, "%s: id %d has no bytes", name, ids[i]);
        if (json_is_null(piece))
            cr_expect(!scry__utf8_valid(bytes, size, NULL), "%s: id %d: expected a part of a character", name, ids[i]);
        else
            cr_expect(size == json_string_length(piece) && !memcmp(bytes, json_string_value(piece), size),
                      "%s: id %d: expected \"%s\", got \"%.*s\"", name, ids[i], json_string_value(piece), (int)size,
                      bytes);
    }
}

Test(tokenizer, encode__gives_the_ids_and_pieces_of_tokenizers)
{
    for (int f = 0; f < FIXTURE_COUNT; f++) {
        scry_tokenizer *tokenizer = open_fixture(fixtures[f]);
        json_t         *cases     = load_cases(fixtures[f], "cases.json"), *one;
        size_t          at;
        cr_assert(json_array_size(cases) > 50);
        json_array_foreach(cases, at, one)
        {
            const json_t *text = json_object_get(one, "text");
            int32_t      *ids  = NULL;
            int           count;
            cr_assert_eq(
                scry_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), true, &ids, &count),
                SCRY_OK, "%s", scry_last_error());
            expect_ids(fixtures[f], "ids with special tokens", json_object_get(one, "ids_with_special"), ids, count,
                       json_string_value(text));
            scry_free(ids);
            cr_assert_eq(scry_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), false,
                                               &ids, &count),
                         SCRY_OK, "%s", scry_last_error());
            expect_ids(fixtures[f], "ids", json_object_get(one, "ids"), ids, count, json_string_value(text));
            if (count == (int)json_array_size(json_object_get(one, "pieces")))
                expect_pieces(fixtures[f], tokenizer, json_object_get(one, "pieces"), ids);
            scry_free(ids);
        }
        json_decref(cases);
        scry_tokenizer_destroy(&tokenizer);
    }
}

/* Decodes both the ids of texts and ids that no text gives: half a character, lone and reversed tokens. */
Test(tokenizer, decode__gives_the_text_of_tokenizers)
{
    static const char *const files[] = {"cases.json", "decode.json"};
    for (int f = 0; f < 2 * FIXTURE_COUNT; f++) {
        const char     *name      = fixtures[f / 2];
        scry_tokenizer *tokenizer = open_fixture(name);
        json_t         *cases     = load_cases(name, files[f % 2]), *one;
        size_t          at;
        json_array_foreach(cases, at, one)
        {
            const json_t *expected = json_object_get(one, "decoded"), *list = json_object_get(one, "ids");
            int           count = (int)json_array_size(list);
            int32_t      *ids   = scry__alloc((size_t)count, sizeof *ids);
            char         *text  = NULL;
            size_t        size  = 0;
            for (int i = 0; i < count; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
            cr_assert_eq(scry_tokenizer_decode(tokenizer, ids, count, true, &text, &size), SCRY_OK, "%s",
                         scry_last_error());
            cr_expect(size == json_string_length(expected) && !memcmp(text, json_string_value(expected), size),
                      "%s: %s[%zu]: expected \"%s\", got \"%s\"", name, files[f % 2], at, json_string_value(expected),
                      text);
            scry_free(text);
            scry__free(ids);
        }
        json_decref(cases);
        scry_tokenizer_destroy(&tokenizer);
    }
}

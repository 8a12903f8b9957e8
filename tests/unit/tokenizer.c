/* Tests of the tokenizer against the ids that `tokenizers` gives (tests/fixtures/tokenizers), and by hand. */
#include "refusals.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "model/tokenizer_regex.h"
#include "scry/model.h"

#include <criterion/criterion.h>
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

/* --- By hand --- */

/* A tokenizer.json under /tmp, made from a model and other members; the path lives until the next call. */
static const char *write_file(const char *bytes, size_t size)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/scry-tokenizer-%ld.json", (long)getpid());
    cr_assert_eq(scry__file_write(path, bytes, size), SCRY_OK, "%s", scry_last_error());
    return path;
}

static scry_status open_text(scry_tokenizer **tokenizer, const char *json)
{
    const char *path   = write_file(json, strlen(json));
    scry_status status = scry_tokenizer_open(tokenizer, path);
    unlink(path);
    return status;
}

#define MODEL(options, vocabulary, merges)                                                                             \
    "\"model\":{\"type\":\"BPE\"," options "\"vocab\":{" vocabulary "},\"merges\":[" merges "]}"
#define LETTERS              "\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4,\"abc\":5,\" \":6,\"?\":7"
#define MERGES               "\"a b\",[\"b\",\"c\"],\"ab c\""
#define PLAIN                MODEL("", LETTERS, MERGES)
#define ADDED(content, more) "\"added_tokens\":[{\"id\":8,\"content\":\"" content "\"" more "}],"
#define SPLIT(pattern, behaviour, invert)                                                                              \
    "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"" behaviour "\",\"invert\":" invert  \
    "},"

Test(tokenizer, encode__follows_the_file)
{
    static const struct {
        const char *name, *json, *text;
        int         count, ids[8];
    } cases[] = {
        {"lowest rank first", "{" PLAIN "}", "abcbc", 2, {5, 4}},
        {"overlapping pairs go leftmost first",
         "{" MODEL("", "\"a\":0,\"aa\":1", "\"a a\"") "}",
         "aaaaa",
         3,
         {1, 1, 0}},
        {"a later equal merge replaces the earlier",
         "{" MODEL("", LETTERS, "\"a b\",\"b c\",\"a b\"") "}",
         "abc",
         2,
         {0, 4}},
        {"characters without a token are left out", "{" PLAIN "}", "axb", 1, {3}},
        {"unknown, one for each", "{" MODEL("\"unk_token\":\"?\",", LETTERS, MERGES) "}", "axyb", 4, {0, 7, 7, 1}},
        {"unknown, fused",
         "{" MODEL("\"unk_token\":\"?\",\"fuse_unk\":true,", LETTERS, MERGES) "}",
         "axyb",
         3,
         {0, 7, 1}},
        {"bytes before unknown",
         "{" MODEL("\"unk_token\":\"a\",\"byte_fallback\":true,", "\"a\":0,\"<0xC3>\":1,\"<0xA9>\":2", "") "}",
         "\xc3\xa9z",
         3,
         {1, 2, 0}},
        {"a whole word needs no merges",
         "{" MODEL("\"ignore_merges\":true,", LETTERS ",\"cab\":8", MERGES) "}",
         "cab",
         1,
         {8}},
        {"and without the option it does", "{" MODEL("", LETTERS ",\"cab\":8", MERGES) "}", "cab", 2, {2, 3}},
        {"isolated", "{" SPLIT("{\"String\":\"b\"}", "Isolated", "false") PLAIN "}", "abcb", 4, {0, 1, 2, 1}},
        {"removed", "{" SPLIT("{\"Regex\":\"b\"}", "Removed", "false") PLAIN "}", "abcb", 2, {0, 2}},
        {"merged with previous",
         "{" SPLIT("{\"String\":\"b\"}", "MergedWithPrevious", "false") PLAIN "}",
         "abcb",
         3,
         {3, 2, 1}},
        {"merged with next",
         "{" SPLIT("{\"String\":\"b\"}", "MergedWithNext", "false") PLAIN "}",
         "abcb",
         3,
         {0, 4, 1}},
        {"contiguous", "{" SPLIT("{\"Regex\":\"[ab]\"}", "Contiguous", "false") PLAIN "}", "abc", 2, {3, 2}},
        {"inverted", "{" SPLIT("{\"Regex\":\"b\"}", "Removed", "true") PLAIN "}", "abcb", 2, {1, 1}},
        {"the longest added token wins", "{" ADDED("abcab", ",\"normalized\":false") PLAIN "}", "abcababc", 2, {8, 5}},
        {"a single word only",
         "{" ADDED("b", ",\"single_word\":true") "" MODEL("", "\"a\":0,\"c\":2,\" \":6", "") "}",
         "ab b",
         3,
         {0, 6, 3}},
        {"spaces on both sides",
         "{" ADDED("<x>", ",\"lstrip\":true,\"rstrip\":true") PLAIN "}",
         "a  <x> \u00a0 b",
         3,
         {0, 8, 1}},
        {"lower case", "{\"normalizer\":{\"type\":\"Lowercase\"}," PLAIN "}", "ABC", 1, {5}},
        {"marks are reordered and composed",
         "{\"normalizer\":{\"type\":\"NFC\"}," MODEL("", "\"\xe1\xba\xa1\":0,\"\xcc\x82\":1,\"\xe1\xba\xad\":2",
                                                     "") "}",
         "a\xcc\x82\xcc\xa3",
         1,
         {2}},
        {"digits",
         "{\"pre_tokenizer\":{\"type\":\"Digits\",\"individual_digits\":true}," MODEL("", "\"1\":0,\"2\":1,\"12\":2",
                                                                                      "\"1 2\"") "}",
         "12",
         2,
         {0, 1}},
        {"no type is BPE", "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}", "a", 1, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_tokenizer *tokenizer = NULL;
        int32_t        *ids       = NULL;
        int             count     = -1;
        cr_assert_eq(open_text(&tokenizer, cases[i].json), SCRY_OK, "%s: %s", cases[i].name, scry_last_error());
        cr_assert_eq(scry_tokenizer_encode(tokenizer, cases[i].text, strlen(cases[i].text), true, &ids, &count),
                     SCRY_OK);
        cr_expect_eq(count, cases[i].count, "%s: %d ids", cases[i].name, count);
        for (int j = 0; j < count && j < cases[i].count; j++)
            cr_expect_eq(ids[j], cases[i].ids[j], "%s: ids[%d] is %d", cases[i].name, j, ids[j]);
        scry_free(ids);
        scry_tokenizer_destroy(&tokenizer);
    }
}

/* Each file is refused with a message that holds `says`. */
Test(tokenizer, open__refuses_by_name_what_it_does_not_know)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "line 1"},
        {"{\"model\":", "line 1"},
        {"[]", "expected an object"},
        {"{}", "\"model\""},
        {"{\"model\":[]}", "expected an object, found an array"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", "\"WordPiece\": expected BPE"},
        {"{\"model\":{\"type\":\"BPE\",\"merges\":[]}}", "model: no key \"vocab\""},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", "model: no key \"merges\""},
        {"{" MODEL("\"dropout\":0.1,", LETTERS, MERGES) "}", "dropout"},
        {"{" MODEL("\"continuing_subword_prefix\":\"##\",", LETTERS, MERGES) "}", "\"##\""},
        {"{" MODEL("\"end_of_word_suffix\":\"</w>\",", LETTERS, MERGES) "}", "</w>"},
        {"{" MODEL("\"novel\":1,", LETTERS, MERGES) "}", "model: key \"novel\""},
        {"{" MODEL("\"fuse_unk\":1,", LETTERS, MERGES) "}", "fuse_unk"},
        {"{\"extra\":1," PLAIN "}", "key \"extra\""},
        {"{\"\":1," PLAIN "}", "key \"\""},
        {"{\"\":1," PLAIN "}", "key \"\""},
        {"{" MODEL("", "\"a\":0,\"b\":0", "") "}", "\"b\": id 0 is already that of \"a\""},
        {"{" MODEL("", "\"a\":0,\"a\":1", "") "}", "duplicate"},
        {"{" MODEL("", "\"a\":-1", "") "}", "id -1 is outside"},
        {"{" MODEL("", "\"a\":4194304", "") "}", "id 4194304 is outside"},
        {"{" MODEL("", "\"a\":9223372036854775807", "") "}", "is outside"},
        {"{" MODEL("", "\"a\":1.5", "") "}", "\"a\": expected an integer"},
        {"{" MODEL("", "\"a\":0,\"b\":1,\"ab\":2", "\"a x\"") "}", "merges[0]: \"x\" is not in the vocabulary"},
        {"{" MODEL("", "\"a\":0,\"b\":1", "\"a b\"") "}", "merges[0]: \"ab\" is not in the vocabulary"},
        {"{" MODEL("", LETTERS, "\"a b\",\"ab\"") "}", "merges[1]: expected"},
        {"{" MODEL("", LETTERS, "\"a  b\"") "}", "merges[0]: expected"},
        {"{" MODEL("", LETTERS, "[\"a\"]") "}", "merges[0]: expected"},
        {"{" MODEL("", LETTERS, "[\"a\",1]") "}", "merges[0]: expected"},
        {"{\"normalizer\":{\"type\":\"Nmt\"}," PLAIN "}", "normalizer: key \"type\": \"Nmt\""},
        {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Precompiled\"}]}"
         "," PLAIN "}",
         "normalizer: normalizers[1]: key \"type\": \"Precompiled\""},
        {"{\"normalizer\":{\"type\":\"NFC\",\"novel\":1}," PLAIN "}", "NFC: key \"novel\""},
        {"{\"normalizer\":{}," PLAIN "}", "\"type\""},
        {"{\"normalizer\":[]," PLAIN "}", "normalizer: expected an object"},
        {"{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}," PLAIN "}",
         "pre_tokenizer: key \"type\": \"BertPreTokenizer\""},
        {"{" SPLIT("{\"Regex\":\"a\"}", "Sometimes", "false") PLAIN "}", "behavior"},
        {"{" SPLIT("{\"Glob\":\"a\"}", "Isolated", "false") PLAIN "}", "Glob"},
        {"{" SPLIT("{\"Regex\":\"(a\"}", "Isolated", "false") PLAIN "}", "pattern \"(a\": offset"},
        {"{" SPLIT("{\"Regex\":\"a(?i)b\"}", "Isolated", "false") PLAIN "}", "not a supported group"},
        {"{" SPLIT("{\"Regex\":\"[a[b]]\"}", "Isolated", "false") PLAIN "}", "set inside a set"},
        {"{" SPLIT("{\"Regex\":\"[a-z&&b]\"}", "Isolated", "false") PLAIN "}", "intersection"},
        {"{" SPLIT("{\"Regex\":\"\\\\h\"}", "Isolated", "false") PLAIN "}", "not a supported escape"},
        {"{" SPLIT("{\"Regex\":\"a{2}+\"}", "Isolated", "false") PLAIN "}", "not a supported quantifier"},
        {"{" SPLIT("{\"Regex\":\"\\\\p{Nonesuch}\"}", "Isolated", "false") PLAIN "}", "pattern"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}," PLAIN "}", "expected one character"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}," PLAIN "}",
         "prepend_scheme"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"always\",\"add_prefix_"
         "space\":false}," PLAIN "}",
         "add_prefix_space"},
        {"{\"decoder\":{\"type\":\"CTC\"}," PLAIN "}", "decoder: key \"type\": \"CTC\""},
        {"{\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}," PLAIN "}", "start"},
        {"{\"post_processor\":{\"type\":\"BertProcessing\"}," PLAIN "}",
         "post_processor: key \"type\": \"BertProcessing\""},
        {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}},{"
         "\"Sequence\":{\"id\":\"A\"}}],"
         "\"special_tokens\":{\"x\":{\"ids\":[99]}}}," PLAIN "}",
         "\"x\": ids[0]: expected the id of a token"},
        {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\"}}],\"special_"
         "tokens\":{}}," PLAIN "}",
         "\"A\""},
        {"{\"added_tokens\":{}," PLAIN "}", "added_tokens: expected an array"},
        {"{\"added_tokens\":[{\"id\":8}]," PLAIN "}", "added_tokens[0]: the object: no key \"content\""},
        {"{" ADDED("", "") PLAIN "}", "content"},
        {"{" ADDED("x", ",\"novel\":1") PLAIN "}", "novel"},
        {"{\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]," MODEL("", "\"b\":1", "") "}",
         "id 1 is already that of \"b\""},
        {"{\"added_tokens\":[{\"id\":8,\"content\":\"x\",\"special\":true},{\"id\":9,\"content\":\"x\",\"special\":"
         "true}]," PLAIN "}",
         "\"x\" is added twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_tokenizer *tokenizer = NULL;
        cr_expect_eq(open_text(&tokenizer, cases[i].json), SCRY_BAD_INPUT, "%s", cases[i].json);
        cr_expect_null(tokenizer);
        cr_expect(strstr(scry_last_error(), cases[i].says), "%s\n  expected: %s\n  message: %s", cases[i].json,
                  cases[i].says, scry_last_error());
        cr_expect(strstr(scry_last_error(), "/tmp/scry-tokenizer-"), "names no file: %s", scry_last_error());
    }
}

Test(tokenizer, encode__says_where_text_is_not_utf8)
{
    scry_tokenizer *tokenizer = open_fixture("gpt2");
    int32_t        *ids       = NULL;
    int             count     = 0;
    cr_expect_eq(scry_tokenizer_encode(tokenizer, "caf\xc3", 4, true, &ids, &count), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "byte 3 (0xC3)"), "%s", scry_last_error());
    cr_expect_eq(scry_tokenizer_encode(NULL, "a", 1, true, &ids, &count), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_tokenizer_encode(tokenizer, NULL, 1, true, &ids, &count), SCRY_BAD_ARGUMENT);
    cr_expect_null(ids);
    scry_tokenizer_destroy(&tokenizer);
    cr_expect_null(tokenizer);
    scry_tokenizer_destroy(&tokenizer);
    scry_tokenizer_destroy(NULL);
}

Test(tokenizer, ids__outside_the_vocabulary_are_nobody)
{
    scry_tokenizer *tokenizer = open_fixture("gpt2");
    int             count     = scry_tokenizer_vocabulary(tokenizer);
    int32_t         ids[] = {64, count, INT32_MAX, 64}, negative[] = {64, -1};
    char           *text = NULL;
    size_t          size = 0;
    cr_expect_null(scry_tokenizer_bytes(tokenizer, -1, &size));
    cr_expect_null(scry_tokenizer_bytes(tokenizer, count, &size));
    cr_expect_null(scry_tokenizer_bytes(NULL, 0, &size));
    cr_expect_not_null(scry_tokenizer_bytes(tokenizer, count - 1, NULL));
    cr_expect(scry_tokenizer_is_special(tokenizer, count - 1) && !scry_tokenizer_is_special(tokenizer, 64));
    cr_expect(!scry_tokenizer_is_special(tokenizer, -1) && !scry_tokenizer_is_special(tokenizer, count));
    cr_assert_eq(scry_tokenizer_decode(tokenizer, ids, 4, true, &text, &size), SCRY_OK, "%s", scry_last_error());
    cr_expect_str_eq(text, "aa");
    scry_free(text);
    cr_expect_eq(scry_tokenizer_decode(tokenizer, negative, 2, true, &text, &size), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "ids[1]: -1"), "%s", scry_last_error());
    scry_tokenizer_destroy(&tokenizer);
}

Test(tokenizer, decode__leaves_special_tokens_out_where_asked)
{
    scry_tokenizer *tokenizer = open_fixture("llama2");
    int32_t        *ids       = NULL;
    int             count     = 0;
    char           *text      = NULL;
    cr_assert_eq(scry_tokenizer_encode(tokenizer, "hello", 5, true, &ids, &count), SCRY_OK);
    cr_assert_eq(scry_tokenizer_decode(tokenizer, ids, count, false, &text, NULL), SCRY_OK);
    cr_expect_str_eq(text, "hello");
    scry_free(text);
    scry_free(ids);
    scry_tokenizer_destroy(&tokenizer);
}

/* One word of a quarter of a megabyte, and a run of combining marks in the wrong order: quadratic work would take
 * minutes. */
Test(tokenizer, encode__takes_long_words, .timeout = 100)
{
    enum { SIZE = 1 << 18 };
    static const char *const units[] = {"a", " ", "<", "\n ", "e\xcc\x81", "\xcc\x81\xcc\x96"};
    char                    *text    = scry__alloc(SIZE, 1);
    for (int f = 0; f < FIXTURE_COUNT; f++) {
        scry_tokenizer *tokenizer = open_fixture(fixtures[f]);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            size_t   unit = strlen(units[u]), size = SIZE / unit * unit;
            int32_t *ids   = NULL;
            int      count = 0;
            for (size_t at = 0; at < size; at += unit) memcpy(text + at, units[u], unit);
            cr_expect_eq(scry_tokenizer_encode(tokenizer, text, size, true, &ids, &count), SCRY_OK, "%s: %s",
                         fixtures[f], scry_last_error());
            cr_expect(count > 0);
            scry_free(ids);
        }
        scry_tokenizer_destroy(&tokenizer);
    }
    scry__free(text);
}

/* Eight steps that each make twenty letters of one. */
Test(tokenizer, encode__stops_a_text_that_grows_without_end)
{
    scry__text      json      = {0};
    char           *text      = NULL;
    scry_tokenizer *tokenizer = NULL;
    int32_t        *ids       = NULL;
    int             count;
    scry__text_adds(&json, "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 8; i++)
        scry__text_addf(&json, "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"%s\"}",
                        i ? "," : "", "aaaaaaaaaaaaaaaaaaaa");
    scry__text_adds(&json, "]}," PLAIN "}");
    cr_assert_eq(scry__text_take(&json, &text, NULL), SCRY_OK);
    cr_assert_eq(open_text(&tokenizer, text), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry_tokenizer_encode(tokenizer, "aaa", 3, true, &ids, &count), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "more than"), "%s", scry_last_error());
    scry__free(text);
    scry_tokenizer_destroy(&tokenizer);
}

/* Fails the n-th allocation, for every n, through open, encode and decode: an error each time, and nothing lost (the
 * sanitizer build looks for leaks). */
Test(tokenizer, allocation__failing_anywhere_is_an_error)
{
    static const char        text[]  = "  caf\xc3\xa9 e\xcc\x81 <|endoftext|> 12345 <left> \xe4\xb8\x96";
    static const char *const names[] = {"byte_level_flags", "llama2_flags"};
    for (int f = 0; f < 2; f++) {
        char            path[256];
        struct refusals refusals = {0};
        snprintf(path, sizeof path, FIXTURES "%s", names[f]);
        while (refusals_next(&refusals)) {
            scry_tokenizer *tokenizer = NULL;
            int32_t        *ids       = NULL;
            char           *back      = NULL;
            int             count     = 0;
            scry_status     status    = scry_tokenizer_open(&tokenizer, path);
            if (!status) status = scry_tokenizer_encode(tokenizer, text, sizeof text - 1, true, &ids, &count);
            if (!status) status = scry_tokenizer_decode(tokenizer, ids, count, true, &back, NULL);
            refusals_check(&refusals, status, back != NULL);
            scry_free(back);
            scry_free(ids);
            scry_tokenizer_destroy(&tokenizer);
        }
    }
}

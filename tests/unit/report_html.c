/* Tests of core/report/html: policy, inert texts, determinism, the data that the page carries. */
#include "refusals.h"

#include "base/alloc.h"
#include "base/file.h"
#include "report/base64.h"
#include "report/html.h"
#include "report/html_attention.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { count = 5, layers = 2, heads = 3, top = 2 };

static const char        hostile[] = "</script><img src=x onerror=alert(1)>";
static char             *texts[] = {(char *)"<|begin|>", (char *)" cat", (char *)hostile, (char *)"\"'&", (char *)"\n"};
static int32_t           ids[]   = {0, 1, 2, 3, 4};
static const scry_tokens tokens  = {count, ids, texts};

static scry_candidate candidates[(layers + 1) * count * top];
static scry_lens_cell cells[(layers + 1) * count];
static scry_lens      lens = {(scry_tokens *)&tokens, layers + 1, count, top, cells, candidates, NULL, 0, false};

static const scry_lens *fake_lens(void)
{
    for (int i = 0; i < (layers + 1) * count; i++) {
        for (int k = 0; k < top; k++)
            candidates[i * top + k] =
                (scry_candidate){(i + k) % count, 2.0f - (float)k, k ? 0.25f : 0.5f, texts[(i + k) % count]};
        cells[i] = (scry_lens_cell){&candidates[i * top], 1, 3, i < layers * count ? 0.5f : 0, 1, i, 2, -1.5f};
    }
    return &lens;
}

/* Head 0 looks at itself, head 1 at the previous token, head 2 evenly. */
static scry__report_attention *fake_attention(void)
{
    scry__report_attention *attention                    = NULL;
    float                   pattern[heads][count][count] = {0};
    for (int i = 0; i < count; i++) {
        pattern[0][i][i]             = 1;
        pattern[1][i][i ? i - 1 : 0] = 1;
        for (int j = 0; j <= i; j++) pattern[2][i][j] = 1.0f / (float)(i + 1);
    }
    cr_assert_eq(scry__report_attention_create(&attention, layers, heads, count, 1), SCRY_OK);
    for (int layer = 0; layer < layers; layer++)
        cr_assert_eq(scry__report_attention_add(attention, layer, &pattern[0][0][0]), SCRY_OK);
    return attention;
}

static char *written(const struct scry__report *report, size_t *size)
{
    char path[64], *page = NULL;
    snprintf(path, sizeof path, "/tmp/scry-html-%ld.html", (long)getpid());
    cr_assert_eq(scry__html_write(path, report), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__file_read(&page, size, path, 1 << 26), SCRY_OK);
    unlink(path);
    return page;
}

static char *full_page(size_t *size)
{
    scry__report_attention *attention = fake_attention();
    struct scry__report     report    = {.prompt       = hostile,
                                         .tokens       = &tokens,
                                         .model_name   = "<b>model</b>",
                                         .command      = "scry report \"<i>\"",
                                         .attention    = attention,
                                         .lens         = fake_lens(),
                                         .continuation = hostile};
    char                   *page      = written(&report, size);
    scry__report_attention_destroy(&attention);
    return page;
}

static json_t *data_of(const char *page)
{
    static const char mark[] = "<script type=\"application/json\" id=\"data\">";
    const char       *begin  = strstr(page, mark);
    cr_assert_not_null(begin);
    begin += sizeof mark - 1;
    const char *end = strstr(begin, "</script>");
    cr_assert_not_null(end);
    json_error_t error;
    json_t      *data = json_loadb(begin, (size_t)(end - begin), 0, &error);
    cr_assert_not_null(data, "%s", error.text);
    return data;
}

/* What base64 of a deflated text holds; the number of bytes. */
static size_t inflated(uint8_t *out, size_t room, const char *base64)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t           packed[4096];
    size_t            size   = 0;
    uint32_t          bits   = 0;
    uLongf            length = room;
    int               held   = 0;
    for (; *base64 && *base64 != '='; base64++) {
        bits = bits << 6 | (uint32_t)(strchr(alphabet, *base64) - alphabet);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        packed[size++] = (uint8_t)(bits >> held);
        cr_assert_lt(size, sizeof packed);
    }
    cr_assert_eq(uncompress(out, &length, packed, size), Z_OK);
    return length;
}

static int occurrences(const char *text, const char *part)
{
    int found = 0;
    while ((text = strstr(text, part))) {
        found++;
        text++;
    }
    return found;
}

Test(html, page__refers_to_nothing_outside)
{
    size_t size;
    char  *page = full_page(&size);
    cr_expect_eq(strlen(page), size, "no NUL inside");
    /* How often each may stand there: SVG that is exported names its namespace, its clips and its images. */
    static const struct {
        const char *text, *allowed;
    } outside[] = {
        {"http:", "http://www.w3.org/2000/svg"},
        {"https:", NULL},
        {"src=\"", NULL},
        {"@import", NULL},
        {"url(", "url(#clip"},
        {"fetch(", NULL},
        {"innerHTML", NULL},
        {" style=\"", NULL},
        {" onclick", NULL},
        {"eval(", NULL},
    };
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        cr_expect_eq(occurrences(page, outside[i].text), outside[i].allowed ? occurrences(page, outside[i].allowed) : 0,
                     "the page contains %s", outside[i].text);
    cr_expect_eq(occurrences(page, "href=\""),
                 occurrences(page, "href=\"data:,\"") + occurrences(page, "href=\"${pixels}"),
                 "the only references are the empty icon, and pixels within an exported SVG");
    scry__free(page);
}

Test(html, page__says_where_nothing_follows_the_prompt)
{
    struct scry__report report = {.prompt = "The end.", .tokens = &tokens, .continuation = ""};
    size_t              size;
    char               *page = written(&report, &size);
    cr_expect(strstr(page, "It goes no further.") && !strstr(page, "It goes on"));
    scry__free(page);
}

Test(html, policy__allows_exactly_the_embedded_style_and_script)
{
    size_t      size;
    char       *page   = full_page(&size);
    const char *policy = strstr(page, "http-equiv=\"Content-Security-Policy\" content=\"");
    cr_assert_not_null(policy);
    cr_expect(strstr(policy,
                     "default-src &#39;none&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;; img-src data:; "
                     "style-src &#39;sha256-"));
    cr_expect(strstr(policy, "script-src &#39;sha256-"));
    cr_expect_null(strstr(page, "unsafe-"));
    cr_expect_lt(policy, strstr(page, "<style>"), "the policy stands before what it governs");
    cr_expect_null(strstr(page, "{{"), "every place of the template is filled");
    scry__free(page);
}

Test(html, texts__stay_inert)
{
    size_t size;
    char  *page = full_page(&size);
    cr_expect_null(strstr(page, "<img"));
    cr_expect_null(strstr(page, "<b>model"));
    cr_expect_eq(occurrences(page, "</script"), 2, "only the page's own two scripts end");
    cr_expect(strstr(page, "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"));
    json_t *data  = data_of(page);
    json_t *token = json_array_get(json_object_get(data, "tokens"), 2);
    cr_expect_str_eq(json_string_value(json_object_get(token, "text")), hostile);
    cr_expect_str_eq(json_string_value(json_object_get(data, "prompt")), hostile);
    json_decref(data);
    scry__free(page);
}

Test(html, page__is_the_same_every_time)
{
    size_t size, again_size;
    char  *page = full_page(&size), *again = full_page(&again_size);
    cr_expect(size == again_size && !memcmp(page, again, size));
    scry__free(page);
    scry__free(again);
}

Test(html, data__holds_lens_and_attention)
{
    size_t      size;
    const char *key;
    json_t     *value;
    char       *page = full_page(&size), keys[256] = "";
    json_t     *data = data_of(page), *view = json_object_get(data, "lens");
    json_object_foreach(data, key, value)
    {
        strcat(keys, key);
        strcat(keys, " ");
    }
    cr_expect_str_eq(
        keys, "schema version model device edits prompt tokens next colours colours_signed attention lens neurons ");
    cr_expect_str_eq(json_string_value(json_object_get(data, "schema")), "scry.page/1");
    cr_expect_eq(strlen(json_string_value(json_object_get(data, "colours"))), 256 * 6);
    cr_expect(json_is_false(json_object_get(view, "tuned")));
    cr_expect_eq(json_array_size(json_object_get(view, "top")), (layers + 1) * count * top);
    cr_expect_eq(json_array_size(json_object_get(view, "texts")), count);
    json_t *place = json_array_get(json_object_get(view, "top"), 7 * top);
    json_t *text  = json_array_get(json_object_get(view, "texts"), (size_t)json_integer_value(place));
    cr_expect_eq(json_integer_value(json_object_get(text, "id")), 7 % count);
    cr_expect_eq(json_number_value(json_array_get(json_object_get(view, "target_probability"), 0)), 0.22313);
    cr_expect_eq(json_integer_value(json_array_get(json_object_get(view, "rank"), 4)), 4);

    view = json_object_get(data, "attention");
    cr_expect_eq(json_integer_value(json_object_get(view, "block")), 1);
    cr_expect_eq(json_integer_value(json_object_get(view, "levels")), 65535);
    /* Each head's lower triangle has 15 codes of 2 bytes. */
    uint8_t              codes[heads * 15 * 2];
    static const uint8_t begin[] = {0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff};
    cr_expect_eq(inflated(codes, sizeof codes, json_string_value(json_array_get(json_object_get(view, "codes"), 1))),
                 sizeof codes);
    cr_expect(!memcmp(codes, begin, sizeof begin), "head 0 begins 65535, 0 65535, 0 0 65535");
    json_decref(data);
    scry__free(page);
}

Test(html, parts__stand_in_the_data_as_they_are)
{
    json_t                        *object  = json_pack("{s:f, s:s}", "value", 0.1234567890123, "text", hostile);
    const struct scry__report_part parts[] = {{"heads", object}, {"influence", object}};
    struct scry__report            report  = {.tokens = &tokens, .part_count = 2, .parts = parts};
    size_t                         size;
    char                          *page = written(&report, &size);
    json_t                        *data = data_of(page), *part = json_object_get(data, "influence");
    cr_expect_null(strstr(page, hostile));
    cr_expect_eq(json_number_value(json_object_get(part, "value")), 0.123456789, "nine digits");
    cr_expect_str_eq(json_string_value(json_object_get(part, "text")), hostile);
    cr_expect(json_equal(part, json_object_get(data, "heads")));
    json_decref(data);
    json_decref(object);
    scry__free(page);
}

/* One of many prompts has none; then it needs a name. */
Test(html, report__without_tokens_needs_a_title)
{
    size_t              size;
    struct scry__report report = {.title = "All <of> them"};
    char               *page   = written(&report, &size);
    json_t             *data   = data_of(page);
    cr_expect_eq(json_array_size(json_object_get(data, "tokens")), 0);
    cr_expect(strstr(page, "<h1><bdi>All &lt;of&gt; them</bdi></h1>") && !strstr(page, "<dt>prompt</dt>"));
    json_decref(data);
    scry__free(page);
    report.attention = fake_attention();
    cr_expect_eq(scry__html_write("/tmp/x.html", &report), SCRY_BAD_ARGUMENT);
    scry__report_attention_destroy((scry__report_attention **)&report.attention);
    cr_expect_eq(scry__html_write("/tmp/x.html", &(struct scry__report){.date = "today"}), SCRY_BAD_ARGUMENT);
}

Test(html, report__needs_only_tokens)
{
    size_t              size;
    struct scry__report report = {.tokens = &tokens};
    char               *page   = written(&report, &size);
    json_t             *data   = data_of(page);
    cr_expect(json_is_null(json_object_get(data, "attention")) && json_is_null(json_object_get(data, "lens")));
    json_decref(data);
    scry__free(page);

    scry_tokens none = {0};
    report.tokens    = &none;
    cr_expect_eq(scry__html_write("/tmp/x.html", &report), SCRY_BAD_ARGUMENT);
    scry__report_attention *attention = fake_attention();
    none                              = tokens;
    none.count                        = count - 1;
    report.attention                  = attention;
    cr_expect_eq(scry__html_write("/tmp/x.html", &report), SCRY_BAD_ARGUMENT);
    report = (struct scry__report){.tokens = &tokens};
    cr_expect_eq(scry__html_write("/nonexistent/x.html", &report), SCRY_IO);
    scry__report_attention_destroy(&attention);
}

Test(html, attention__knows_where_heads_look)
{
    scry__report_attention *attention = fake_attention();
    /* Head 1 of the first layer looks from the last token at the one before, and nothing beats it. */
    cr_expect(attention->look.layer == 0 && attention->look.head == 1 && attention->look.key == count - 2);
    cr_expect_eq(attention->look.weight, 1);
    cr_expect_eq(scry__report_attention_look(attention, 1, 0), 0, "it looks at itself");
    cr_expect_eq(scry__report_attention_look(attention, 1, 2), 1.0f / count);
    scry__report_attention_destroy(&attention);
}

Test(html, long_prompts__take_fewer_levels_then_blocks)
{
    static const struct {
        int layers, heads, tokens, levels, block, grid;
    } cases[] = {
        {6, 8, 200, 65535, 1, 200}, /* 964,800 weights */
        {6, 8, 256, 255, 1, 256},   /* 1,579,008 */
        {12, 12, 512, 31, 1, 512},  /* 18,911,232 */
        {12, 12, 1024, 31, 2, 512}, {48, 25, 1024, 31, 6, 171}, {1, 1, 1, 65535, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__report_attention *attention = NULL;
        cr_assert_eq(scry__report_attention_create(&attention, cases[i].layers, cases[i].heads, cases[i].tokens, 1),
                     SCRY_OK);
        cr_expect(attention->levels == cases[i].levels && attention->block == cases[i].block &&
                      attention->grid == cases[i].grid,
                  "case %zu: levels %d, block %d, grid %d", i, attention->levels, attention->block, attention->grid);
        scry__report_attention_destroy(&attention);
    }
}

Test(html, blocks__hold_the_largest_weight)
{
    enum { many = 1000, wide = 16, length = 64, grid = length / 2 };
    static float            pattern[wide][length][length];
    scry__report_attention *attention = NULL;
    pattern[1][length - 1][45]        = 0.36f;
    cr_assert_eq(scry__report_attention_create(&attention, many, wide, length, 1), SCRY_OK);
    cr_expect(attention->block == 2 && attention->grid == grid && attention->levels == 31);
    cr_assert_eq(scry__report_attention_add(attention, 0, &pattern[0][0][0]), SCRY_OK);
    cr_expect_eq(scry__report_attention_add(attention, 0, &pattern[0][0][0]), SCRY_BAD_ARGUMENT, "each layer once");
    cr_expect_eq(scry__report_attention_add(attention, many, &pattern[0][0][0]), SCRY_BAD_ARGUMENT);
    const uint8_t *last_row = attention->codes + attention->head_codes + (grid - 1) * grid / 2;
    cr_expect_eq(last_row[45 / 2], 19, "0.6 of 31, rounded");
    cr_expect_eq(last_row[45 / 2 + 1], 0);
    scry__report_attention_destroy(&attention);
}

Test(html, memory__refused_anywhere_is_an_error_and_leaves_no_file)
{
    char            path[64];
    struct refusals refusals = {0};
    snprintf(path, sizeof path, "/tmp/scry-html-memory-%d.html", (int)getpid());
    fake_lens();
    while (refusals_next(&refusals)) {
        scry__report_attention *attention                      = NULL;
        float                   pattern[heads * count * count] = {0};
        scry_status             status = scry__report_attention_create(&attention, 1, heads, count, 1);
        if (!status) status = scry__report_attention_add(attention, 0, pattern);
        struct scry__report report = {.tokens = &tokens, .attention = attention, .lens = &lens};
        if (!status) status = scry__html_write(path, &report);
        scry__report_attention_destroy(&attention);
        refusals_check(&refusals, status, scry__file_exists(path));
        unlink(path);
    }
    cr_expect_gt(refusals.refused, 20);
}

Test(base64, text__is_that_of_rfc_4648)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__text text = {0};
        scry__base64_add(&text, cases[i][0], strlen(cases[i][0]));
        cr_expect_str_eq(text.data ? text.data : "", cases[i][1]);
        scry__text_finish(&text);
    }
}

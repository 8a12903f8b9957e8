/* Documents: how lines become rows, where each begins, what is to be predicted, what is refused. */
#include "train/documents.h"

#include "base/file.h"
#include "refusals.h"
#include "train/data.h"
#include "train/recipe.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEMO SCRY_SOURCE_DIR "/models/demo"

static char            path[64];
static scry_tokenizer *tokenizer;

static void open_tokenizer(void)
{
    snprintf(path, sizeof path, "/tmp/scry-documents-%ld.jsonl", (long)getpid());
    cr_assert_eq(scry_tokenizer_open(&tokenizer, DEMO), SCRY_OK, "%s", scry_last_error());
}

static void close_tokenizer(void)
{
    scry_tokenizer_destroy(&tokenizer);
    remove(path);
}

TestSuite(documents, .init = open_tokenizer, .fini = close_tokenizer);

static scry_status open_lines(scry__documents *documents, const char *lines, int length)
{
    cr_assert_eq(scry__file_write(path, lines, strlen(lines)), SCRY_OK, "%s", scry_last_error());
    return scry__documents_open(documents, path, tokenizer, length);
}

enum { LENGTH = 6 };

static void expect_row(const scry__documents *documents, int64_t row, const int32_t (*expected)[LENGTH])
{
    int32_t found[3][LENGTH];
    scry__documents_row(documents, row, found[0], found[1], found[2]);
    for (int what = 0; what < 3; what++)
        for (int i = 0; i < LENGTH; i++)
            cr_expect_eq(found[what][i], expected[what][i], "row %lld, %s %d: %d, not %d", (long long)row,
                         (const char *[]){"id", "target", "begin"}[what], i, found[what][i], expected[what][i]);
}

/* By hand: two fit in a row, the third begins the next, the last is cut. */
Test(documents, rows__hold_whole_documents_in_order)
{
    static const int32_t expected[3][3][LENGTH] = {
        {{5, 6, 7, 8, 9, 0}, {6, 7, -1, 9, -1, -1}, {0, 0, 0, 3, 3, 5}},
        {{10, 11, 12, 13, 0, 0}, {-1, -1, 13, -1, -1, -1}, {0, 0, 0, 0, 4, 5}},
        {{20, 21, 22, 23, 24, 25}, {21, 22, 23, 24, 25, -1}, {0, 0, 0, 0, 0, 0}},
    };
    scry__documents documents;
    cr_assert_eq(open_lines(&documents,
                            "{\"ids\": [5, 6, 7]}\n\n{\"ids\": [8, 9]}\n{\"ids\": [10, 11, 12, 13], \"unscored\": 3}\n"
                            "{\"ids\": [20, 21, 22, 23, 24, 25, 26, 27], \"unscored\": 0}",
                            LENGTH),
                 SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(documents.row_count, 3);
    cr_expect_eq(documents.shortened, 1);
    for (int64_t row = 0; row < 3; row++) expect_row(&documents, row, expected[row]);
    scry__documents_close(&documents);
}

/* A text is encoded as a prompt is; special tokens have their names in it. */
Test(documents, texts__are_encoded_as_prompts_are)
{
    static const char text[] = "The capital of France is Paris.<|endoftext|>";
    scry__documents   documents;
    int32_t          *ids = NULL, found[3][32];
    int               count;
    cr_assert_eq(scry_tokenizer_encode(tokenizer, text, strlen(text), true, &ids, &count), SCRY_OK);
    cr_assert(count > 6 && ids[0] == 0 && ids[count - 1] == 1, "%d tokens", count);
    cr_assert_eq(open_lines(&documents, "{\"text\": \"The capital of France is Paris.<|endoftext|>\"}", 32), SCRY_OK,
                 "%s", scry_last_error());
    scry__documents_row(&documents, 0, found[0], found[1], found[2]);
    cr_expect_eq(memcmp(found[0], ids, (size_t)count * sizeof *ids), 0);
    cr_expect_eq(memcmp(found[1], ids + 1, (size_t)(count - 1) * sizeof *ids), 0);
    cr_expect_eq(found[1][count - 1], -1);
    scry__documents_close(&documents);
    scry_free(ids);
}

Test(documents, digest__tells_what_would_be_learned)
{
    static const char *const other[] = {"{\"ids\": [5, 6, 8]}\n{\"ids\": [8, 9]}",
                                        "{\"ids\": [5, 6]}\n{\"ids\": [7, 8, 9]}",
                                        "{\"ids\": [5, 6, 7], \"unscored\": 2}\n{\"ids\": [8, 9]}"};
    scry__documents          a, b;
    cr_assert_eq(open_lines(&a, "{\"ids\": [5, 6, 7]}\n{\"ids\": [8, 9]}", LENGTH), SCRY_OK);
    cr_assert_eq(open_lines(&b, "{\"ids\":[5,6,7],\"unscored\":1}\n\n{\"ids\":[8,9]}\n", LENGTH), SCRY_OK);
    cr_expect_str_eq(a.digest, b.digest);
    scry__documents_close(&b);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        cr_assert_eq(open_lines(&b, other[i], LENGTH), SCRY_OK, "%s", scry_last_error());
        cr_expect_str_neq(a.digest, b.digest, "%s", other[i]);
        scry__documents_close(&b);
    }
    scry__documents_close(&a);
}

Test(documents, bad_lines__are_refused_by_number)
{
    static const char *const cases[][2] = {
        {"", "empty: expected an object a line"},
        {"{\"ids\": [1, 2]}\n{\"ids\": [1,", "line 2, column 11"},
        {"[1, 2]", "line 1: expected an object"},
        {"{\"ids\": [1, 2], \"text\": \"a\"}", "line 1: expected either key \"text\" or \"ids\""},
        {"{\"unscored\": 1}", "line 1: expected either key \"text\" or \"ids\""},
        {"{\"ids\": [1, 2], \"weight\": 1}", "weight"},
        {"{\"ids\": [1, 1920]}", "line 1: key \"ids\": entry 1: expected an id, 0 to 1919"},
        {"{\"ids\": [1, \"a\"]}", "entry 1: expected an id"},
        {"{\"ids\": [1, 2], \"unscored\": -1}", "unscored"},
        {"{\"ids\": []}", "line 1: 0 tokens in a row's 6: expected more than the 1 not to predict"},
        {"{\"ids\": [1]}", "line 1: 1 tokens in a row's 6: expected more than the 1 not to predict"},
        {"{\"ids\": [1, 2, 3, 4, 5, 6, 7, 8], \"unscored\": 6}",
         "line 1: 6 tokens in a row's 6: expected more than the 6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__documents documents;
        cr_expect_eq(open_lines(&documents, cases[i][0], LENGTH), SCRY_BAD_INPUT, "%s", cases[i][0]);
        cr_expect(strstr(scry_last_error(), cases[i][1]) && strstr(scry_last_error(), path), "%s: %s", cases[i][0],
                  scry_last_error());
        cr_expect_null(documents.ids);
    }
}

static scry_recipe *recipe_of(const char *changes)
{
    char         text[512], *rest = text;
    scry_recipe *recipe = NULL;
    snprintf(text, sizeof text, "data=documents documents=%s tokenizer=%s batch=2 length=6 held_out=0.25 %s", path,
             DEMO, changes);
    cr_assert_eq(scry_recipe_create(&recipe, NULL), SCRY_OK);
    for (char *word; (word = strsep(&rest, " ")) && *word;) {
        char *value = strchr(word, '=');
        *value++    = 0;
        cr_assert_eq(scry_recipe_set(recipe, word, value), SCRY_OK, "%s", scry_last_error());
    }
    return recipe;
}

/* Each document fills a row here; its first id says which it is. */
static void expect_first(const scry__batch *batch, int one, int other)
{
    cr_expect_eq(batch->ids[0], one);
    cr_expect_eq(batch->ids[LENGTH], other);
}

Test(documents, batches__come_in_order_and_then_again)
{
    char        lines[1024] = "";
    int32_t     ids[2 * LENGTH], targets[2 * LENGTH], begins[2 * LENGTH];
    scry__batch batch = {ids, targets, begins};
    scry__data  data;
    double      best;
    for (int i = 0; i < 8; i++) sprintf(lines + strlen(lines), "{\"ids\": [%d, 1, 2, 3, 4, 5]}\n", 10 + i);
    cr_assert_eq(scry__file_write(path, lines, strlen(lines)), SCRY_OK);
    scry_recipe *recipe = recipe_of("");
    cr_assert_eq(scry__data_open(&data, recipe), SCRY_OK, "%s", scry_last_error());
    cr_expect(data.count == 8 && data.trained == 6 && recipe->vocabulary == 1920);
    scry__data_batch(&data, 1, &batch);
    expect_first(&batch, 10, 11);
    scry__data_batch(&data, 3, &batch);
    expect_first(&batch, 14, 15);
    scry__data_batch(&data, 4, &batch);
    expect_first(&batch, 10, 11);
    cr_expect_eq(begins[LENGTH + 5], 0);
    for (int number = 0; number < 2; number++) {
        scry__data_evaluation(&data, number, &batch, &best);
        expect_first(&batch, 16, 17);
    }
    scry__data_close(&data);
    scry_recipe_destroy(&recipe);
    recipe = recipe_of("held_out=0");
    cr_expect_eq(scry__data_open(&data, recipe), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "8 rows, of which 0 are held out: expected one or more in each part"), "%s",
              scry_last_error());
    scry_recipe_destroy(&recipe);
}

Test(documents, open__survives_every_refused_allocation)
{
    struct refusals   refusals = {0};
    static const char lines[]  = "{\"ids\": [5, 6, 7]}\n{\"text\": \"tea\"}\n";
    cr_assert_eq(scry__file_write(path, lines, strlen(lines)), SCRY_OK);
    while (refusals_next(&refusals)) {
        scry__documents documents;
        scry_status     status = scry__documents_open(&documents, path, tokenizer, LENGTH);
        refusals_check(&refusals, status, documents.ids != NULL);
        scry__documents_close(&documents);
    }
    cr_expect_gt(refusals.refused, 5);
}

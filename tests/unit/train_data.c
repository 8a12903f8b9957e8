/* What is trained on: copied patterns and their exact bound, text and its held-out part, batches by their number. */
#include "train/data.h"

#include "base/alloc.h"
#include "base/file.h"
#include "train/copy.h"
#include "train/recipe.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- copying --- */

/* The figures of the classic notebook's task: 8 tokens, rows of 24. */
Test(copying, bound__is_the_published_one)
{
    static const double expected[] = {2.0794, 2.0794, 2.0794, 1.8143, 1.1916, 0.1506, 0.0173, 0.0018};
    double              losses[24], mean = scry__copy_bound(losses, 24, 8);
    for (int i = 0; i < 8; i++) cr_expect_float_eq(losses[i], expected[i], 5e-5, "%d: %.5f", i, losses[i]);
    for (int i = 8; i < 24; i++) cr_expect(losses[i] >= 0 && losses[i] < 2e-3, "%d: %g", i, losses[i]);
    cr_expect_float_eq(mean, 0.31889, 5e-6, "%.6f", mean);
}

/* Over all rows there are, weighted by how likely they are: what the census of equal tokens has to sum to. */
Test(copying, bound__is_the_mean_over_all_rows)
{
    enum { LENGTH = 12, VOCABULARY = 3 };
    double losses[LENGTH], sum = 0;
    for (int pattern = SCRY__COPY_LEAST; pattern <= SCRY__COPY_MOST; pattern++) {
        int patterns = (int)lround(pow(VOCABULARY, pattern));
        for (int code = 0; code < patterns; code++) {
            int32_t row[LENGTH];
            for (int i = 0, rest = code; i < pattern; i++, rest /= VOCABULARY) row[i] = rest % VOCABULARY;
            for (int i = pattern; i < LENGTH; i++) row[i] = row[i - pattern];
            sum += scry__copy_best(row, LENGTH, VOCABULARY) / 3 / patterns;
        }
    }
    cr_expect_float_eq(scry__copy_bound(losses, LENGTH, VOCABULARY), sum, 1e-12);
}

/* What positions 3 and 4 of a row leave possible, by hand. */
Test(copying, best__follows_bayes)
{
    static const int32_t same[] = {1, 2, 3, 1, 2}, other[] = {1, 2, 3, 4, 1};
    double               u = 1.0 / 8, first = log(8), third = -log((1 + 2 * u) / 3);
    double               fourth = -log((1 + u * u) / (1 + 2 * u)); /* lengths 3 and 5 allow it, 4 does not */
    cr_expect_float_eq(scry__copy_best(same, 4, 8), (2 * first + third) / 3, 1e-12);
    cr_expect_float_eq(scry__copy_best(same, 5, 8), (2 * first + third + fourth) / 4, 1e-12);
    third  = -log(2 * u / 3);
    fourth = -log((1 + u) / 2);
    cr_expect_float_eq(scry__copy_best(other, 5, 8), (2 * first + third + fourth) / 4, 1e-12);
}

/* Lengths and tokens come equally often, and the mean of the best losses is the bound. */
Test(copying, rows__are_drawn_as_said)
{
    enum { ROWS = 20000, LENGTH = 24, VOCABULARY = 8 };
    int    periods[SCRY__COPY_MOST + 1] = {0}, tokens[VOCABULARY] = {0};
    double losses[LENGTH], bound = scry__copy_bound(losses, LENGTH, VOCABULARY), sum = 0, squares = 0;
    for (int number = 0; number < ROWS; number++) {
        int32_t row[LENGTH];
        int     period = 1;
        scry__copy_row(row, LENGTH, VOCABULARY, 77, (uint64_t)number);
        for (int i = period; i < LENGTH; i++)
            if (row[i] != row[i - period]) i = period++;
        cr_assert_leq(period, SCRY__COPY_MOST);
        if (period >= SCRY__COPY_LEAST) periods[period]++;
        for (int i = 0; i < SCRY__COPY_LEAST; i++) tokens[row[i]]++;
        double best = scry__copy_best(row, LENGTH, VOCABULARY);
        sum += best;
        squares += best * best;
    }
    for (int period = SCRY__COPY_LEAST; period <= SCRY__COPY_MOST; period++)
        cr_expect_lt(abs(periods[period] - ROWS / 3), ROWS / 50, "%d: %d", period, periods[period]);
    for (int token = 0; token < VOCABULARY; token++)
        cr_expect_lt(abs(tokens[token] - 3 * ROWS / VOCABULARY), ROWS / 60, "%d: %d", token, tokens[token]);
    double mean = sum / ROWS, error = sqrt((squares / ROWS - mean * mean) / ROWS);
    cr_expect_lt(fabs(mean - bound), 4 * error, "%g, not %g", mean, bound);
}

/* --- batches --- */

static scry_recipe *recipe_of(const char *text)
{
    json_t      *object = NULL;
    scry_recipe *recipe = NULL;
    cr_assert_eq(scry__json_parse(&object, text, strlen(text), "test"), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__recipe_read(&recipe, (scry__json_at){object, "test"}), SCRY_OK, "%s", scry_last_error());
    json_decref(object);
    return recipe;
}

enum { BATCH = 4, LENGTH = 24 };

struct batch {
    int32_t ids[BATCH * LENGTH], targets[BATCH * LENGTH], begins[BATCH * LENGTH];
};

static void expect_targets(const scry__data *data, const struct batch *batch)
{
    bool copy = data->recipe->data == SCRY_TRAIN_DATA_COPY;
    for (int i = 0; i < BATCH * LENGTH; i++) {
        bool last = i % LENGTH == LENGTH - 1;
        if (!last) cr_expect_eq(batch->targets[i], batch->ids[i + 1]);
        if (last && copy) cr_expect_eq(batch->targets[i], -1);
    }
}

Test(train_data, copied_batches__follow_from_seed_and_step)
{
    scry_recipe *recipe = recipe_of("{\"batch\": 4, \"seed\": 3}"), *other = recipe_of("{\"batch\": 4, \"seed\": 4}");
    scry__data   data, second;
    struct batch one = {0}, again = {0}, next = {0}, fresh = {0};
    double       best;
    cr_assert_eq(scry__data_open(&data, recipe), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__data_open(&second, other), SCRY_OK, "%s", scry_last_error());
    cr_expect_float_eq(data.bound, 0.31889, 5e-6);
    scry__data_batch(&data, 7, &(scry__batch){one.ids, one.targets, one.begins});
    scry__data_batch(&data, 8, &(scry__batch){next.ids, next.targets, next.begins});
    scry__data_batch(&data, 7, &(scry__batch){again.ids, again.targets, again.begins});
    cr_expect_eq(memcmp(&one, &again, sizeof one), 0);
    cr_expect_neq(memcmp(&one, &next, sizeof one), 0);
    scry__data_batch(&second, 7, &(scry__batch){again.ids, again.targets, again.begins});
    cr_expect_neq(memcmp(&one, &again, sizeof one), 0);
    scry__data_evaluation(&data, 6, &(scry__batch){fresh.ids, fresh.targets, fresh.begins}, &best);
    cr_expect_neq(memcmp(&one, &fresh, sizeof one), 0);
    expect_targets(&data, &one);
    expect_targets(&data, &fresh);
    double sum = 0;
    for (int row = 0; row < BATCH; row++) sum += scry__copy_best(fresh.ids + row * LENGTH, LENGTH, 8);
    cr_expect_float_eq(best, sum / BATCH, 1e-12);
    scry__data_close(&data);
    scry__data_close(&second);
    scry_recipe_destroy(&recipe);
    scry_recipe_destroy(&other);
}

#define DEMO SCRY_SOURCE_DIR "/models/demo"

static const char *write_text(int repeats)
{
    static char path[64];
    char        text[8192] = "";
    for (int i = 0; i < repeats; i++) sprintf(text + strlen(text), "The capital of France is Paris, number %d.\n", i);
    snprintf(path, sizeof path, "/tmp/scry-text-%ld.txt", (long)getpid());
    cr_assert_eq(scry__file_write(path, text, strlen(text)), SCRY_OK, "%s", scry_last_error());
    return path;
}

static scry_recipe *text_recipe(const char *path)
{
    scry_recipe *recipe = recipe_of("{\"data\": \"text\", \"tokenizer\": \"" DEMO "\", \"batch\": 4, \"length\": 24}");
    cr_assert_eq(scry_recipe_set(recipe, "text", path), SCRY_OK);
    return recipe;
}

/* Where `ids` begin in the text; -1: nowhere. */
static int64_t find(const scry__data *data, const int32_t *ids, int count)
{
    for (int64_t at = 0; at + count <= data->count; at++)
        if (!memcmp(data->ids + at, ids, (size_t)count * sizeof *ids)) return at;
    return -1;
}

Test(train_data, text__is_trained_on_but_for_its_end)
{
    scry_recipe *recipe = text_recipe(write_text(100));
    scry__data   data;
    struct batch batch;
    double       best;
    cr_assert_eq(scry__data_open(&data, recipe), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(recipe->vocabulary, 1920);
    cr_expect_eq(data.trained, data.count - data.count / 10);
    cr_expect_eq(strlen(data.digest), 64);
    cr_expect(isnan(data.bound));
    for (int step = 1; step <= 50; step++) {
        scry__data_batch(&data, step, &(scry__batch){batch.ids, batch.targets, batch.begins});
        expect_targets(&data, &batch);
        for (int row = 0; row < BATCH; row++) {
            int64_t at = find(&data, batch.ids + row * LENGTH, LENGTH);
            cr_expect(at >= 0 && at + LENGTH < data.trained, "row at %lld", (long long)at);
            cr_expect_eq(batch.targets[row * LENGTH + LENGTH - 1], data.ids[at + LENGTH]);
        }
    }
    for (int number = 0; number < 5; number++) {
        scry__data_evaluation(&data, number, &(scry__batch){batch.ids, batch.targets, batch.begins}, &best);
        expect_targets(&data, &batch);
        cr_expect(isnan(best));
        for (int row = 0; row < BATCH; row++) {
            int64_t rows = (data.count - data.trained - 1) / LENGTH;
            cr_expect_eq(find(&data, batch.ids + row * LENGTH, LENGTH),
                         data.trained + (number * BATCH + row) % rows * LENGTH);
        }
    }
    scry__data_close(&data);
    scry_recipe_destroy(&recipe);
}

Test(train_data, bad_texts__are_refused_by_name)
{
    static const char *const cases[][2] = {
        {"few", "tokens, of which 20 are held out: expected more than a row's 24 in each part"},
        {"missing", "/nonesuch.txt: No such file or directory"},
        {"bytes", ".txt: the text is not valid UTF-8 at byte 1"},
        {"tokenizer", "/nonesuch"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char  *path   = write_text(i == 0 ? 14 : 100);
        scry_recipe *recipe = text_recipe(path);
        scry__data   data;
        if (!strcmp(cases[i][0], "missing")) cr_assert_eq(scry_recipe_set(recipe, "text", "/nonesuch.txt"), SCRY_OK);
        if (!strcmp(cases[i][0], "bytes")) cr_assert_eq(scry__file_write(path, "a\xff", 2), SCRY_OK);
        if (!strcmp(cases[i][0], "tokenizer")) cr_assert_eq(scry_recipe_set(recipe, "tokenizer", "/nonesuch"), SCRY_OK);
        cr_expect_eq(scry__data_open(&data, recipe), SCRY_BAD_INPUT, "%s", cases[i][0]);
        cr_expect(strstr(scry_last_error(), cases[i][1]), "%s: %s", cases[i][0], scry_last_error());
        scry_recipe_destroy(&recipe);
        remove(path);
    }
}

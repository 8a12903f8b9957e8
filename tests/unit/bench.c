/* Benchmark records: what follows from their numbers, their JSON, two of them compared, and their picture. */
#include "refusals.h"

#include "base/alloc.h"
#include "base/file.h"
#include "report/bench_compare.h"
#include "report/roofline.h"

#include <criterion/criterion.h>
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64], picture[64];

static void name_files(void)
{
    snprintf(path, sizeof path, "/tmp/scry-bench-%d.json", (int)getpid());
    snprintf(picture, sizeof picture, "/tmp/scry-bench-%d.svg", (int)getpid());
}

static void remove_files(void)
{
    unlink(path);
    unlink(picture);
}

TestSuite(bench, .init = name_files, .fini = remove_files);

/* --- records to test with --- */

static scry__bench_record *new_record(void)
{
    scry__bench_record *record = NULL;
    cr_assert_eq(scry__bench_record_create(&record), SCRY_OK);
    snprintf(record->version, sizeof record->version, "0.1.0");
    snprintf(record->date, sizeof record->date, "2026-11-21T01:02:03Z");
    snprintf(record->host, sizeof record->host, "a processor <fast> & \"new\"");
    snprintf(record->clock, sizeof record->clock, "wall");
    record->processors     = 2;
    record->variable_count = 1;
    record->variables[0]   = (scry__bench_variable){.name = "OPENBLAS_CORETYPE", .value = "Haswell", .removed = true};
    record->device_count   = 1;
    record->devices[0]     = (scry__bench_device){
            .info           = {.name = "cpu:0", .backend = "cpu", .description = "a processor", .type = SCRY_DEVICE_CPU},
            .peak           = 500e9,
            .peak_by        = "1024 x 1024 x 1024 by tile",
            .copy_count     = 2,
            .copies         = {{1 << 20, 200e9}, {1 << 28, 40e9}},
            .tuned          = 3,
            .wait_seconds   = 1e-6,
            .overhead_count = 2,
            .overheads      = {{"add", "add/one", 2e-6, 5e-6, 1.5}, {"fill", "fill/infinity", 3e-6, 5e-6, 0}},
            .pass_count     = 1,
            .passes         = {{"prompt", "demo", 64, {5, 1, 3e-3, 2e-3, 4e-3, 2e-3}, 120, 80, 2}}};
    return record;
}

static scry__bench_row *add_row(scry__bench_record *record, const char *name, double median, double spread)
{
    scry__bench_row *row = scry__bench_record_add(record);
    cr_assert_not_null(row);
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->device, sizeof row->device, "cpu:0");
    row->flops        = 2e9;
    row->bytes        = 12e6;
    row->cold_seconds = 3 * median;
    row->times        = (scry__bench_times){.samples = 9, .runs = 1, .median = median, .least = median - spread / 2};
    row->times.low = median - spread / 2, row->times.high = median + spread / 2;
    return row;
}

/* --- numbers --- */

Test(bench, times__are_percentiles_of_the_samples)
{
    static const struct {
        double seconds[5];
        int    count;
        double least, low, median, high;
    } cases[] = {
        {{7}, 1, 7, 7, 7, 7},
        {{3, 1}, 2, 1, 1.2, 2, 2.8},
        {{5, 1, 4, 2, 3}, 5, 1, 1.4, 3, 4.6},
        {{100, 1, 1, 1, 1}, 5, 1, 1, 1, 60.4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double seconds[5];
        memcpy(seconds, cases[i].seconds, sizeof seconds);
        scry__bench_times times = scry__bench_times_of(seconds, cases[i].count, 4);
        cr_expect_eq(times.samples, cases[i].count);
        cr_expect_eq(times.runs, 4);
        cr_expect_float_eq(times.least, cases[i].least, 1e-12, "case %zu", i);
        cr_expect_float_eq(times.low, cases[i].low, 1e-12, "case %zu: %g", i, times.low);
        cr_expect_float_eq(times.median, cases[i].median, 1e-12, "case %zu: %g", i, times.median);
        cr_expect_float_eq(times.high, cases[i].high, 1e-12, "case %zu: %g", i, times.high);
    }
}

Test(bench, roof__is_the_longer_of_arithmetic_and_moving)
{
    static const struct {
        double flops, bytes, seconds;
    } cases[] = {
        {500e9, 1, 1},                                  /* arithmetic */
        {0, 40e9, 1},                                   /* past every copy: the largest */
        {1, 1 << 20, (1 << 20) / 200e9},                /* as small as the first copy */
        {1, 1 << 24, (1 << 24) / 89.442719099991588e9}, /* half way: the geometric mean */
        {500e9, 80e9, 2},
    };
    scry__bench_record *record = new_record();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double seconds = scry__bench_roof_seconds(&record->devices[0], cases[i].flops, cases[i].bytes);
        cr_expect_float_eq(seconds / cases[i].seconds, 1, 1e-9, "case %zu: %g", i, seconds);
    }
    cr_expect_eq(scry__bench_roof_seconds(&(scry__bench_device){0}, 1e9, 1e9), 0, "nothing is known of the device");
    scry__bench_record_destroy(&record);
}

/* --- comparison --- */

Test(bench, compare__moved_means_beyond_the_noise)
{
    static const struct {
        double           before, before_spread, after, after_spread;
        scry__bench_move move;
        double           ratio;
    } cases[] = {
        {1, 0, 1, 0, SCRY__BENCH_SAME, 1},
        {1, 0, 1.029, 0, SCRY__BENCH_SAME, 1 / 1.029},
        {1, 0, 1.031, 0, SCRY__BENCH_SLOWER, 1 / 1.031},
        {1.031, 0, 1, 0, SCRY__BENCH_FASTER, 1.031},
        {1, 0.3, 1.4, 0.4, SCRY__BENCH_SAME, 1 / 1.4}, /* the root of 0.09 + 0.16 is 0.5 */
        {1, 0.3, 1.51, 0.4, SCRY__BENCH_SLOWER, 1 / 1.51},
        {1.51, 0.4, 1, 0.3, SCRY__BENCH_FASTER, 1.51},
        {1e-6, 0, 2e-6, 0, SCRY__BENCH_SLOWER, 0.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__bench_record     *before = new_record(), *after = new_record();
        scry__bench_comparison *comparison = NULL;
        add_row(before, "matmul/a", cases[i].before, cases[i].before_spread);
        add_row(after, "matmul/a", cases[i].after, cases[i].after_spread);
        cr_assert_eq(scry__bench_compare(&comparison, before, after), SCRY_OK);
        cr_expect_eq(comparison->count, 1);
        cr_expect_eq(comparison->changes[0].move, cases[i].move, "case %zu: %s", i,
                     scry__bench_move_text(comparison->changes[0].move));
        cr_expect_float_eq(comparison->changes[0].ratio, cases[i].ratio, 1e-9, "case %zu", i);
        cr_expect_eq(comparison->faster, cases[i].move == SCRY__BENCH_FASTER);
        cr_expect_eq(comparison->slower, cases[i].move == SCRY__BENCH_SLOWER);
        scry__bench_comparison_destroy(&comparison);
        scry__bench_record_destroy(&before);
        scry__bench_record_destroy(&after);
    }
}

Test(bench, compare__names_rows_of_one_side_only)
{
    scry__bench_record     *before = new_record(), *after = new_record();
    scry__bench_comparison *comparison = NULL;
    add_row(before, "matmul/both", 1, 0);
    add_row(before, "matmul/gone", 1, 0);
    add_row(before, "matmul/refused", 1, 0);
    add_row(after, "matmul/new", 1, 0);
    add_row(after, "matmul/refused", 0, 0)->outcome = SCRY__BENCH_REFUSED;
    add_row(after, "matmul/both", 1, 0);
    snprintf(add_row(after, "matmul/gone", 1, 0)->device, 32,
             "opencl:0"); /* the name alone does not make it the same */
    cr_assert_eq(scry__bench_compare(&comparison, before, after), SCRY_OK);
    cr_assert_eq(comparison->count, 5);
    cr_expect_eq(comparison->apart, 4);
    for (int i = 0; i < 5; i++) {
        const scry__bench_change *change = &comparison->changes[i];
        const char               *name   = (change->after ? change->after : change->before)->name;
        cr_expect_eq(change->move == SCRY__BENCH_SAME, !strcmp(name, "matmul/both"), "%s", name);
        cr_expect_eq(change->ratio > 0, !strcmp(name, "matmul/both"), "%s", name);
    }
    cr_expect(!comparison->changes[4].after && !strcmp(comparison->changes[4].before->name, "matmul/gone"));
    scry__bench_comparison_destroy(&comparison);
    scry__bench_record_destroy(&before);
    scry__bench_record_destroy(&after);
}

/* --- JSON --- */

static char *json_of(const scry__bench_record *record)
{
    scry__json_builder builder = {0};
    json_t            *object  = NULL;
    scry__text         text    = {0};
    char              *out     = NULL;
    cr_assert_eq(scry__json_finish(&builder, scry__bench_record_json(&builder, record), &object), SCRY_OK);
    scry__json_dump(&text, object, false);
    cr_assert_eq(scry__text_take(&text, &out, NULL), SCRY_OK);
    json_decref(object);
    return out;
}

Test(bench, record__comes_back_as_it_was_written)
{
    scry__bench_record *record = new_record(), *again = NULL;
    scry__bench_row    *row = add_row(record, "matmul/a", 4e-3, 1e-4);
    row->library_times      = row->times;
    row->processor_share    = 0.75;
    row->ratio = row->ratio_low = row->ratio_high = 1.5;
    snprintf(row->library, sizeof row->library, "library (OpenBLAS)");
    row          = add_row(record, "matmul/b", 0, 0);
    row->outcome = SCRY__BENCH_REFUSED;
    row->times   = (scry__bench_times){0};
    row->worst   = INFINITY;
    snprintf(row->detail, sizeof row->detail, "c: element 3 is 1");
    cr_assert_eq(scry__bench_record_write(record, path), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__bench_record_read(&again, path), SCRY_OK, "%s", scry_last_error());
    record->rows[1].worst = 0; /* null, which is no number */
    again->rows[1].worst  = 0;
    char *before = json_of(record), *after = json_of(again);
    cr_expect_str_eq(before, after);
    cr_expect(strstr(before, "\"schema\":\"scry.bench/1\"") && strstr(before, "\"outcome\":\"refused\""), "%s", before);
    cr_expect(strstr(before, "\"tuned\":3,") && strstr(before, "\"processor_share\":0.75"), "%s", before);
    cr_expect(strstr(before, "\"queued\":3e-6,\"alone\":5e-6,\"dispatches\":null"), "%s", before);
    cr_expect(strstr(before, "\"dispatches\":120,\"barriers\":80,\"submissions\":2"), "%s", before);
    scry__free(before);
    scry__free(after);
    scry__bench_record_destroy(&record);
    scry__bench_record_destroy(&again);
}

/* The text with the first `from` replaced. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at  = strstr(text, from);
    scry__text  out = {0};
    char       *made;
    cr_assert_not_null(at, "%s", from);
    scry__text_add(&out, text, (size_t)(at - text));
    scry__text_adds(&out, to);
    scry__text_adds(&out, at + strlen(from));
    cr_assert_eq(scry__text_take(&out, &made, NULL), SCRY_OK);
    return made;
}

Test(bench, read__says_which_file_which_place_and_what_was_expected)
{
    static const struct {
        const char *from, *to, *place, *expected;
    } cases[] = {
        {"\"scry.bench/1\"", "\"scry.lens/1\"", "key \"schema\"", "expected \"scry.bench/1\""},
        {"\"schema\"", "\"scheme\"", "no key \"schema\"", "expected a string"},
        {"\"processors\":2", "\"processors\":-2", "key \"processors\"", "-2 is outside"},
        {"\"removed\":true", "\"removed\":1", "environment[0]: key \"removed\"", "expected true or false"},
        {"\"rate\":2e11", "\"rate\":\"fast\"", "devices[0].copies[0]: key \"rate\"", "expected a number"},
        {"\"rate\":2e11", "\"rate\":-1", "devices[0].copies[0]: key \"rate\"", "expected a number from 0"},
        {"\"queued\":2e-6", "\"queued\":null", "devices[0].overheads[0]", "no key \"queued\""},
        {"\"barriers\":80", "\"barriers\":-1", "devices[0].passes[0]: key \"barriers\"", "-1 is outside"},
        {"\"passes\":[", "\"passes\":[{},{},{},{},", "devices[0]: key \"passes\"", "expected up to 4, found 5"},
        {"\"type\":\"cpu\"", "\"type\":\"tpu\"", "devices[0]: key \"type\"", "found \"tpu\""},
        {"\"name\":\"matmul/a\"", "\"name\":7", "rows[0]: key \"name\"", "expected a string"},
        {"\"name\":\"matmul/b\"", "\"name\":\"matmul/a\"", "rows[1]: key \"name\"", "is there already, in rows[0]"},
        {"\"device\":\"cpu:0\"", "\"device\":\"cpu:1\"", "rows[0]: key \"device\"", "one of the record's devices"},
        {"\"outcome\":\"measured\"", "\"outcome\":\"good\"", "rows[0]: key \"outcome\"", "found \"good\""},
        {"\"samples\":9", "\"samples\":0", "rows[0]: key \"times\"", "expected samples"},
        {"\"median\":0.004", "\"median\":null", "rows[0].times", "no key \"median\""},
        {"\"median\":0.004", "\"median\":0", "rows[0]: key \"times\"", "median above 0"},
        {"\"rows\":[", "\"rows\":[5,", "rows[0]", "expected an object"},
        {"\"copies\":[", "\"copies\":[5,", "devices[0].copies[0]", "no key \"bytes\""},
        {"{\"schema\"", "[{\"schema\"", "line 2", "expected"},
    };
    scry__bench_record *record = new_record(), *again = NULL;
    add_row(record, "matmul/a", 4e-3, 1e-4);
    add_row(record, "matmul/b", 4e-3, 1e-4);
    char *good = json_of(record);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *bad = replaced(good, cases[i].from, cases[i].to);
        cr_assert_eq(scry__file_write(path, bad, strlen(bad)), SCRY_OK);
        cr_expect_eq(scry__bench_record_read(&again, path), SCRY_BAD_INPUT, "case %zu", i);
        const char *error = scry_last_error();
        cr_expect(strstr(error, path) && strstr(error, cases[i].place) && strstr(error, cases[i].expected),
                  "case %zu: %s", i, error);
        cr_expect_null(again);
        scry__free(bad);
    }
    scry__free(good);
    scry__bench_record_destroy(&record);
}

Test(bench, read__takes_keys_that_it_does_not_know)
{
    scry__bench_record *record = new_record(), *again = NULL;
    add_row(record, "matmul/a", 4e-3, 1e-4);
    char *good = json_of(record), *more = replaced(good, "\"op\"", "\"watts\":12,\"op\"");
    cr_assert_eq(scry__file_write(path, more, strlen(more)), SCRY_OK);
    cr_expect_eq(scry__bench_record_read(&again, path), SCRY_OK, "%s", scry_last_error());
    scry__free(good);
    scry__free(more);
    scry__bench_record_destroy(&record);
    scry__bench_record_destroy(&again);
}

Test(bench, read__survives_refused_memory)
{
    scry__bench_record *record   = new_record();
    struct refusals     refusals = {0};
    add_row(record, "matmul/a", 4e-3, 1e-4);
    cr_assert_eq(scry__bench_record_write(record, path), SCRY_OK);
    while (refusals_next(&refusals)) {
        scry__bench_record *again  = NULL;
        scry_status         status = scry__bench_record_read(&again, path);
        refusals_check(&refusals, status, again != NULL);
        scry__bench_record_destroy(&again);
    }
    cr_expect_gt(refusals.refused, 2);
    scry__bench_record_destroy(&record);
}

/* --- the picture --- */

static void note_title(GMarkupParseContext *context, const char *text, gsize size, gpointer found, GError **error)
{
    (void)error;
    if (!strcmp(g_markup_parse_context_get_element(context), "title")) g_string_append_len(found, text, (gssize)size);
}

Test(bench, roofline__is_xml_that_says_what_it_shows)
{
    static const GMarkupParser parser = {.text = note_title};
    scry__bench_record        *record = new_record();
    GString                   *title  = g_string_new(NULL);
    char                      *svg;
    size_t                     size;
    for (int i = 0; i < 40; i++) { /* many in one place */
        char name[32];
        snprintf(name, sizeof name, "matmul/%d", i);
        add_row(record, name, 5e-3 + i * 1e-6, 1e-4);
    }
    add_row(record, "copy/a", 1e-3, 1e-5)->flops = 0;
    cr_assert_eq(scry__roofline_write(picture, record), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__file_read(&svg, &size, picture, 1 << 24), SCRY_OK);
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, title, NULL);
    GError              *error   = NULL;
    cr_expect(g_markup_parse_context_parse(context, svg, (gssize)size, &error) &&
                  g_markup_parse_context_end_parse(context, &error),
              "%s", error ? error->message : "");
    cr_expect_str_eq(title->str, "Roofline on a processor <fast> & \"new\"");
    cr_expect(strstr(svg, "40 matmul/39 on cpu:0: ") && !strstr(svg, "41 "),
              "every row with arithmetic has its number");
    cr_expect(strstr(svg, "1 rows that only move data"));
    g_markup_parse_context_free(context);
    g_string_free(title, TRUE);
    scry__free(svg);
    scry__bench_record_destroy(&record);
}

Test(bench, roofline__refuses_what_it_cannot_draw)
{
    scry__bench_record *record                   = new_record();
    add_row(record, "copy/a", 1e-3, 1e-5)->flops = 0;
    cr_expect_eq(scry__roofline_write(picture, record), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "does arithmetic"), "%s", scry_last_error());
    add_row(record, "matmul/a", 1e-3, 1e-5);
    cr_expect_eq(scry__roofline_write("/tmp/roof.txt", record), SCRY_BAD_ARGUMENT);
    record->devices[0].peak       = 0; /* a device whose roof is not known */
    record->devices[0].copy_count = 0;
    cr_expect_eq(scry__roofline_write(picture, record), SCRY_OK, "%s", scry_last_error());
    scry__bench_record_destroy(&record);
}

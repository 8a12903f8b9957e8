/* scry bench as a user runs it. Nothing here holds a time against another: rows are small and samples few. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BRIEFLY "--min-time", "0.001"

static void set_up(void)
{
    make_folder();
    setenv("SCRY_TEST_PLUGINS", SCRY_BUILD_DIR "/tests/plugins", 1);
    setenv("OPENBLAS_CORETYPE", "Haswell", 1);
    setenv("OMP_NUM_THREADS", "2", 1);
}

TestSuite(bench, .init = set_up, .fini = remove_folder);

static json_t *parse(const struct outcome *outcome)
{
    json_t *object = json_loadb(outcome->out, outcome->out_size, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(object, "%s%s", outcome->out, outcome->err);
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "null";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static json_t *row_at(const json_t *record, size_t index)
{
    return json_array_get(json_object_get(record, "rows"), index);
}

Test(bench, record__says_what_was_measured_where)
{
    const char    *path    = in_folder("r.json");
    struct outcome outcome = SCRY("bench", "-d", "cpu", "--only", "matmul/33x31x257", BRIEFLY, "-o", path, "--json");
    json_t        *record = outcome_json(&outcome), *file = json_load_file(path, 0, NULL), *row = row_at(record, 0);
    cr_expect(json_equal(record, file), "the file and stdout are the same object");
    cr_expect_str_eq(text_of(record, "schema"), "scry.bench/1");
    cr_expect_str_eq(text_of(record, "clock"), "wall");
    cr_expect(strchr(text_of(record, "date"), 'T') && *text_of(record, "host"));
    cr_expect_gt(number_of(record, "processors"), 0);
    json_t *device = json_array_get(json_object_get(record, "devices"), 0), *times = json_object_get(row, "times");
    cr_expect_str_eq(text_of(device, "name"), "cpu:0");
    cr_expect_gt(number_of(device, "peak"), 0);
    cr_expect_gt(json_array_size(json_object_get(device, "copies")), 0);
    cr_expect_str_eq(text_of(row, "name"), "matmul/33x31x257");
    cr_expect_str_eq(text_of(row, "outcome"), "measured");
    cr_expect_str_eq(text_of(row, "kernel"), "tile");
    cr_expect_eq(number_of(row, "flops"), 2.0 * 33 * 31 * 257);
    cr_expect_gt(number_of(row, "bytes"), 0);
    cr_expect_gt(number_of(row, "cold_seconds"), 0);
    cr_expect_gt(number_of(row, "roof_share"), 0);
    cr_expect_gt(number_of(row, "processor_share"), 0);
    cr_expect(number_of(times, "least") > 0 && number_of(times, "low") <= number_of(times, "median") &&
              number_of(times, "median") <= number_of(times, "high"));
    cr_expect_geq(number_of(times, "samples"), 3);
    bool library = json_is_string(json_object_get(row, "library"));
    cr_expect_eq(number_of(row, "ratio") > 0, library);
    cr_expect_eq(json_is_object(json_object_get(row, "library_times")), library);
    json_decref(record);
    json_decref(file);
    outcome_free(&outcome);
}

Test(bench, devices__take_turns_with_the_kernels_asked_for)
{
    struct outcome outcome = SCRY("bench", "-d", "cpu,fake", "--only", "matmul/row-by-matrix", BRIEFLY, "--json");
    json_t        *record  = outcome_json(&outcome);
    cr_expect_eq(json_array_size(json_object_get(record, "devices")), 2);
    cr_expect_eq(json_array_size(json_object_get(record, "rows")), 2);
    cr_expect_str_eq(text_of(row_at(record, 0), "kernel"), "rows", "the device's choice");
    cr_expect_str_eq(text_of(row_at(record, 1), "device"), "fake:0");
    cr_expect(json_is_null(json_object_get(row_at(record, 1), "library")), "it has no kernels by name");
    json_decref(record);
    outcome_free(&outcome);
    outcome =
        SCRY("bench", "-d", "cpu", "--only", "matmul/row-by-matrix", "--kernels", "matmul=tile", BRIEFLY, "--json");
    record = outcome_json(&outcome);
    cr_expect_str_eq(text_of(row_at(record, 0), "kernel"), "tile");
    cr_expect_str_eq(text_of(json_array_get(json_object_get(record, "devices"), 0), "kernels"), "matmul=tile");
    json_decref(record);
    outcome_free(&outcome);
}

Test(bench, sections__overhead_and_passes_say_what_a_device_is_handed)
{
    struct outcome outcome = SCRY("bench", "-d", "cpu,fake", "--sections", "overhead", BRIEFLY, "--json");
    json_t        *record  = outcome_json(&outcome), *device;
    size_t         index;
    cr_expect_eq(json_array_size(json_object_get(record, "rows")), 0);
    json_array_foreach(json_object_get(record, "devices"), index, device)
    {
        json_t *overheads = json_object_get(device, "overheads"), *first = json_array_get(overheads, 0);
        cr_expect_eq(json_array_size(overheads), 20, "every op");
        cr_expect(number_of(first, "queued") > 0 && number_of(first, "alone") > 0);
        cr_expect(json_is_null(json_object_get(first, "dispatches")), "nobody counts them");
        cr_expect_gt(number_of(device, "wait_seconds"), 0);
        cr_expect_eq(json_array_size(json_object_get(device, "passes")), 0);
    }
    json_decref(record);
    outcome_free(&outcome);
    outcome =
        SCRY("bench", "-d", "cpu", "--sections", "passes", "--model", "tests/fixtures/models/gpt2", BRIEFLY, "--json");
    record         = outcome_json(&outcome);
    device         = json_array_get(json_object_get(record, "devices"), 0);
    json_t *passes = json_object_get(device, "passes"), *next = json_array_get(passes, 1);
    cr_expect_eq(json_array_size(passes), 2);
    cr_expect_str_eq(text_of(next, "name"), "next");
    cr_expect_str_eq(text_of(next, "model"), "gpt2");
    cr_expect_eq(number_of(next, "tokens"), 1);
    cr_expect_gt(number_of(json_object_get(next, "times"), "median"), 0);
    json_decref(record);
    outcome_free(&outcome);
    outcome = SCRY("bench", "-d", "cpu", "--sections", "passes,overhead", BRIEFLY);
    cr_expect(strstr(outcome.out, "pass prompt, 64 tokens of demo: ") && strstr(outcome.out, "a wait for nothing: "),
              "%s%s", outcome.out, outcome.err);
    outcome_free(&outcome);
}

Test(bench, environment__that_distorts_is_left_out_and_said)
{
    struct outcome outcome = SCRY("bench", "-d", "cpu", "--only", "add/plain", BRIEFLY, "--json");
    json_t        *record  = outcome_json(&outcome), *variable;
    size_t         index;
    int            seen = 0;
    json_array_foreach(json_object_get(record, "environment"), index, variable)
    {
        if (!strcmp(text_of(variable, "name"), "OPENBLAS_CORETYPE"))
            seen += json_is_true(json_object_get(variable, "removed"));
        if (!strcmp(text_of(variable, "name"), "OMP_NUM_THREADS"))
            seen += json_is_false(json_object_get(variable, "removed"));
    }
    cr_expect_eq(seen, 2, "%s", outcome.out);
    json_decref(record);
    outcome_free(&outcome);
}

/* One small row on the fake device, which misbehaves as the environment says. */
static void expect_outcome(const char *variable, const char *value, int exit_code, const char *wanted,
                           const char *detail)
{
    setenv(variable, value, 1);
    struct outcome outcome = SCRY("bench", "-d", "fake", "--only", "norm/layer", BRIEFLY, "--json");
    struct outcome table   = SCRY("bench", "-d", "fake", "--only", "norm/layer", BRIEFLY);
    json_t        *record = parse(&outcome), *row = row_at(record, 0);
    cr_expect_eq(outcome.exit_code, exit_code, "%s: %d, %s", wanted, outcome.exit_code, outcome.err);
    cr_expect_eq(table.exit_code, exit_code);
    cr_expect_str_eq(text_of(row, "outcome"), wanted);
    cr_expect(strstr(text_of(row, "detail"), detail), "%s: %s", wanted, text_of(row, "detail"));
    cr_expect(json_is_null(json_object_get(row, "times")) && json_is_null(json_object_get(row, "roof_share")));
    cr_expect(strstr(table.out, wanted) && strstr(table.out, detail), "%s", table.out);
    json_decref(record);
    outcome_free(&outcome);
    outcome_free(&table);
    unsetenv(variable);
}

Test(bench, rows__that_cannot_be_measured_say_why)
{
    expect_outcome("SCRY_FAKE_WRONG", "norm", 1, "refused", "out");
    expect_outcome("SCRY_FAKE_REFUSE", "norm", 0, "unsupported", "32 KiB");
    expect_outcome("SCRY_FAKE_FAIL", "buffer_read:7", 1, "failed", "buffer_read went wrong");
}

/* A record whose first row takes `factor` times as long as in the file. */
static const char *slowed(const char *path, double factor)
{
    static const char *const keys[] = {"median", "low", "high", "least"};
    const char              *other  = in_folder("slowed.json");
    json_t *record = json_load_file(path, 0, NULL), *times = json_object_get(row_at(record, 0), "times");
    double  median = number_of(times, "median");
    for (int i = 0; i < 4; i++) json_object_set_new(times, keys[i], json_real(median * factor)); /* no spread */
    cr_assert_eq(json_dump_file(record, other, 0), 0);
    json_decref(record);
    return other;
}

Test(bench, compare__shows_what_moved_and_strict_fails)
{
    const char    *base  = in_folder("base.json"), *even;
    struct outcome first = SCRY("bench", "-d", "cpu", "--only", "add/plain", BRIEFLY, "-o", base, "-q");
    cr_assert_eq(first.exit_code, 0, "%s", first.err);
    even              = in_folder("even.json");
    const char *plain = slowed(base, 1);
    cr_assert_eq(rename(plain, even), 0);
    const char    *slow   = slowed(base, 2);
    struct outcome same   = SCRY("bench", "--from", even, "--compare", even, "--strict");
    struct outcome told   = SCRY("bench", "--from", slow, "--compare", even);
    struct outcome strict = SCRY("bench", "--from", slow, "--compare", even, "--strict", "--json");
    struct outcome better = SCRY("bench", "--from", even, "--compare", slow, "--strict");
    cr_expect_eq(same.exit_code, 0, "%s", same.err);
    cr_expect(strstr(same.out, "0 faster, 0 slower, 1 within the noise"), "%s", same.out);
    cr_expect_eq(told.exit_code, 0, "%s", told.err);
    cr_expect(strstr(told.out, "0.500") && strstr(told.out, "0 faster, 1 slower"), "%s", told.out);
    cr_expect_eq(strict.exit_code, 1);
    json_t *record = parse(&strict), *comparison = json_object_get(record, "comparison");
    json_t *row = row_at(comparison, 0);
    cr_expect_str_eq(text_of(row, "move"), "slower");
    cr_expect_float_eq(number_of(row, "ratio"), 0.5, 1e-6);
    cr_expect_eq(number_of(comparison, "slower"), 1);
    cr_expect_eq(better.exit_code, 0, "%s", better.out);
    json_decref(record);
    outcome_free(&first);
    outcome_free(&same);
    outcome_free(&told);
    outcome_free(&strict);
    outcome_free(&better);
}

Test(bench, svg__draws_the_roofline)
{
    const char    *svg = in_folder("r.svg"), *png = in_folder("r.png"), *path = in_folder("r.json");
    struct outcome first  = SCRY("bench", "-d", "cpu", "--only", "matmul/31x33x32", BRIEFLY, "--svg", svg, "-o", path);
    struct outcome second = SCRY("bench", "--from", path, "--svg", png);
    cr_assert_eq(first.exit_code, 0, "%s", first.err);
    cr_assert_eq(second.exit_code, 0, "%s", second.err);
    char  *picture = read_file(svg, NULL);
    size_t size;
    cr_expect(strstr(picture, "<svg") && strstr(picture, "matmul/31x33x32"));
    free(picture);
    picture = read_file(png, &size);
    cr_expect(size > 1000 && !memcmp(picture, "\x89PNG\r\n\x1a\n", 8));
    free(picture);
    outcome_free(&first);
    outcome_free(&second);
}

Test(bench, bad_arguments__are_refused_before_anything_is_measured)
{
    const char *broken = in_folder("broken.json");
    FILE       *file   = fopen(broken, "w");
    fputs("{\"schema\": \"scry.bench/1\"}", file);
    fclose(file);
    const struct {
        const char *arguments[5];
        int         exit_code;
        const char *error;
    } cases[] = {
        {{"--only", "matmul/nonesuch"}, 2, "matmul/nonesuch"},
        {{"--op", "matmull"}, 2, "expected one of matmul"},
        {{"--op", "norm", "--only", "matmul/*"}, 2, "with --op norm"},
        {{"--svg", "roof.txt"}, 2, ".svg"},
        {{"--sections", "rows,roof"}, 2, "expected some of rows,overhead,passes"},
        {{"--sections", "passes", "--model", "/nonesuch", "-dcpu"}, 3, "nonesuch"},
        {{"--clock", "sun"}, 2, "expected wall or cpu"},
        {{"--repeat", "0"}, 2, "--repeat"},
        {{"--min-time", "-1"}, 2, "--min-time"},
        {{"--kernels", "matmul=nonesuch", "-d", "cpu"}, 2, "nonesuch"},
        {{"-d", "nowhere"}, 4, "nowhere"},
        {{"--compare", "/tmp/there/is/none.json"}, 3, "none.json"},
        {{"--compare", broken}, 3, "no key \"version\""},
        {{"--from", broken}, 3, "no key \"version\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arguments[8] = {"bench"};
        memcpy(arguments + 1, cases[i].arguments, sizeof cases[i].arguments);
        struct outcome outcome = run_scry(arguments);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "case %zu: %d, %s", i, outcome.exit_code, outcome.err);
        cr_expect(strstr(outcome.err, cases[i].error), "case %zu: %s", i, outcome.err);
        outcome_free(&outcome);
    }
}

Test(bench, interrupted__leaves_no_file)
{
    const char *path = in_folder("r.json");
    char        command[1024];
    snprintf(command, sizeof command,
             "timeout -s INT 0.4 '%s' bench -d cpu --op matmul -q -o '%s' >/dev/null 2>&1; test $? = 124",
             program_path(), path);
    cr_expect_eq(system(command), 0, "it ended by itself");
    snprintf(command, sizeof command, "test -z \"$(ls -A '%s')\"", in_folder("."));
    cr_expect_eq(system(command), 0, "something was left");
}

/* scry tune as a user runs it, and what the file that it keeps does to later runs. No time is held against another but
 * where the fake device is told to dawdle. */
#include "faults.h"
#include "program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_up(void)
{
    make_folder();
    setenv("SCRY_TEST_PLUGINS", SCRY_BUILD_DIR "/tests/plugins", 1);
    setenv("SCRY_CACHE_DIR", in_folder("cache/of/scry"), 1);
    setenv("SCRY_TUNED", "", 1);
    setenv("SCRY_FAKE_KERNELS", "add", 1);
    setenv("SCRY_FAKE_DRIVER", "2.0", 1);
}

TestSuite(tune, .init = set_up, .fini = remove_folder);

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "null";
}

/* The only op's class of that name in scry.tune/1. */
static json_t *class_of(const json_t *result, const char *name)
{
    json_t *op = json_array_get(json_object_get(result, "ops"), 0), *class;
    size_t  index;
    json_array_foreach(json_object_get(op, "classes"), index, class)
    {
        if (!strcmp(text_of(class, "class"), name)) return class;
    }
    return NULL;
}

/* Tunes add on the fake device. */
static json_t *tune(int exit_code)
{
    struct outcome outcome = SCRY("tune", "-d", "fake", "--op", "add", "--quick", "--json");
    cr_assert_eq(outcome.exit_code, exit_code, "%d: %s", outcome.exit_code, outcome.err);
    json_t *result = json_loadb(outcome.out, outcome.out_size, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(result, "%s", outcome.out);
    outcome_free(&outcome);
    return result;
}

/* The kernel that ran a row of add; its class is "small". */
static char *kernel_at(const char *row, const char *option, const char *value)
{
    static char    kernel[64];
    struct outcome outcome = SCRY("conform", "-d", "fake", "--only", row, "--json", option, value);
    json_t        *result  = outcome_json(&outcome);
    json_t        *device  = json_array_get(json_object_get(result, "devices"), 0);
    snprintf(kernel, sizeof kernel, "%s", text_of(json_array_get(json_object_get(device, "rows"), 0), "kernel"));
    json_decref(result);
    outcome_free(&outcome);
    return kernel;
}

Test(tune, winner__is_kept_and_runs_from_then_on)
{
    setenv("SCRY_FAKE_SLOW", "20000:add=first", 1);
    json_t *result = tune(0), *small = class_of(result, "small"), *large = class_of(result, "large");
    cr_expect_str_eq(text_of(result, "schema"), "scry.tune/1");
    cr_expect_str_eq(text_of(small, "own"), "first");
    cr_expect_str_eq(text_of(small, "kernel"), "second");
    cr_expect_str_eq(text_of(small, "row"), "add/lattice");
    cr_expect_str_eq(text_of(json_array_get(json_object_get(small, "times"), 1), "outcome"), "timed");
    cr_expect_not_null(large);
    json_t *file = json_load_file(text_of(result, "file"), 0, NULL);
    cr_expect_str_eq(text_of(file, "schema"), "scry.tuning/1");
    cr_expect_str_eq(text_of(file, "driver"), "2.0");
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "second");
    cr_expect_str_eq(kernel_at("add/plain", NULL, NULL), "first", "conform leaves tunings aside");
    cr_expect_str_eq(kernel_at("add/plain", "--kernels", "add=first"), "first");
    struct outcome devices = SCRY("devices", "-v");
    cr_expect(strstr(devices.out, "of 3 classes of shapes run another kernel"), "%s", devices.out);
    setenv("SCRY_TUNED", "0", 1);
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "first");
    json_decref(file);
    json_decref(result);
    outcome_free(&devices);
}

Test(tune, kernel__that_computes_wrongly_never_wins)
{
    static const struct {
        const char *wrong, *slow, *own_outcome, *winner; /* winner NULL: the own choice stays */
    } cases[] = {
        {"add=second", "20000:add=first", "timed", "null"},
        {"add=first", "20000:add=second", "excluded", "second"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("SCRY_FAKE_WRONG", cases[i].wrong, 1);
        setenv("SCRY_FAKE_SLOW", cases[i].slow, 1);
        json_t *result = tune(1), *small = class_of(result, "small"), *times = json_object_get(small, "times");
        size_t  wrong = i == 0;
        json_t *out   = json_array_get(times, wrong);
        cr_expect_str_eq(text_of(json_array_get(times, 0), "outcome"), cases[i].own_outcome, "case %zu", i);
        cr_expect_str_eq(text_of(out, "outcome"), "excluded", "case %zu", i);
        cr_expect(strstr(text_of(out, "reason"), "add/plain: out"), "case %zu: %s", i, text_of(out, "reason"));
        cr_expect_str_eq(text_of(small, "kernel"), cases[i].winner, "case %zu", i);
        json_decref(result);
        struct outcome table = SCRY("tune", "-d", "fake", "--op", "add", "--quick");
        cr_expect_eq(table.exit_code, 1);
        cr_expect(strstr(table.out, "excluded") && strstr(table.out, "add/plain: out"), "%s", table.out);
        outcome_free(&table);
    }
}

Test(tune, margin__keeps_the_own_choice_among_equals)
{
    setenv("SCRY_FAKE_SLOW", "3000:add", 1); /* both: what differs is noise */
    json_t *result = tune(0);
    cr_expect_str_eq(text_of(class_of(result, "small"), "kernel"), "null");
    json_decref(result);
}

Test(tune, file__of_another_driver_or_damaged_is_ignored_with_a_note)
{
    static const char *const damages[] = {"", "{\"schema\": ", "[]"};
    setenv("SCRY_FAKE_SLOW", "20000:add=first", 1);
    json_t *result = tune(0);
    char    path[512];
    snprintf(path, sizeof path, "%s", text_of(result, "file"));
    json_decref(result);
    unsetenv("SCRY_FAKE_SLOW");

    setenv("SCRY_FAKE_DRIVER", "2.1", 1);
    struct outcome outcome = SCRY("conform", "-d", "fake", "--only", "add/plain", "--tuned");
    cr_expect(strstr(outcome.err, "it is of driver \"2.0\": expected \"2.1\"; the tuning is not used"), "%s",
              outcome.err);
    cr_expect(strstr(outcome.out, "not used: "), "%s", outcome.out);
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "first");
    outcome_free(&outcome);
    setenv("SCRY_FAKE_DRIVER", "2.0", 1);
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "second");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        FILE *file = fopen(path, "w");
        cr_assert(file && fputs(damages[i], file) >= 0 && !fclose(file));
        cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "first", "case %zu", i);
    }
    outcome = SCRY("tune", "-d", "fake", "--forget");
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect_null(fopen(path, "r"), "a damaged file is removed too");
    outcome_free(&outcome);
}

Test(tune, forget__takes_away_what_is_kept)
{
    setenv("SCRY_FAKE_SLOW", "20000:add=first", 1);
    json_decref(tune(0));
    struct outcome outcome = SCRY("tune", "-d", "fake", "--forget", "--op", "lens");
    cr_expect(strstr(outcome.out, ": 0 classes forgotten"), "%s%s", outcome.out, outcome.err);
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "second");
    outcome_free(&outcome);
    outcome = SCRY("tune", "-d", "fake", "--forget");
    cr_expect(strstr(outcome.out, ": 3 classes forgotten"), "%s%s", outcome.out, outcome.err);
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "first");
    outcome_free(&outcome);
    outcome = SCRY("tune", "-d", "fake", "--forget");
    cr_expect(!outcome.exit_code && strstr(outcome.out, ": 0 classes forgotten"), "%s%s", outcome.out, outcome.err);
    outcome_free(&outcome);
}

Test(tune, forget__removes_nothing_that_is_no_tuning)
{
    const char *path = in_folder("precious.json");
    FILE       *file = fopen(path, "w");
    cr_assert(file && fputs("{}", file) >= 0 && !fclose(file));
    struct outcome given = SCRY("tune", "-d", "fake", "--forget", "-o", path);
    setenv("SCRY_TUNED", path, 1);
    struct outcome set = SCRY("tune", "-d", "fake", "--forget");
    cr_expect_eq(given.exit_code, 3);
    cr_expect_eq(set.exit_code, 3);
    cr_expect(strstr(set.err, "no key \"schema\""), "%s", set.err);
    free(read_file(path, NULL)); /* fails where it is gone */
    outcome_free(&given);
    outcome_free(&set);
}

Test(tune, output__is_a_file_that_SCRY_TUNED_names)
{
    const char *path = in_folder("mine.json");
    setenv("SCRY_FAKE_SLOW", "20000:add=first", 1);
    struct outcome outcome = SCRY("tune", "-d", "fake", "--op", "add", "--quick", "-o", path);
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "second, ") && strstr(outcome.out, "mine.json"), "%s", outcome.out);
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "first");
    setenv("SCRY_TUNED", path, 1);
    cr_expect_str_eq(kernel_at("add/plain", "--tuned", NULL), "second");
    outcome_free(&outcome);
}

Test(tune, bad_arguments__are_refused_before_anything_is_measured)
{
    const struct {
        const char *arguments[5], *tuned;
        int         exit_code;
        const char *error;
    } cases[] = {
        {{"-d", "fake", "--op", "nonesuch"}, "", 2, "expected one of matmul"},
        {{"-d", "fake", "--op", "lens"}, "", 2, "fake:0 has one kernel only for lens"},
        {{"-d", "reference"}, "", 2, "reference:0 has one kernel only for each op"},
        {{"-d", "nowhere"}, "", 4, "nowhere"},
        {{"-d", "fake"}, "0", 2, "SCRY_TUNED=0: expected another value, or -o FILE"},
        {{"-d", "fake", "TEXT"}, "", 2, "unexpected argument"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arguments[8] = {"tune"};
        memcpy(arguments + 1, cases[i].arguments, sizeof cases[i].arguments);
        setenv("SCRY_TUNED", cases[i].tuned, 1);
        struct outcome outcome = run_scry(arguments);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "case %zu: %d, %s", i, outcome.exit_code, outcome.err);
        cr_expect(strstr(outcome.err, cases[i].error), "case %zu: %s", i, outcome.err);
        outcome_free(&outcome);
    }
}

/* Keeps `kernel` for those classes of matmul that a short prompt on the demo model falls into. */
static void choose_for_matmul(const char *device, const char *kernel)
{
    static const char *const classes[] = {"tiny", "few-nk-half", "short-nk-half"};
    struct outcome           outcome   = SCRY("devices", "--json");
    json_t                  *found = outcome_json(&outcome), *entry, *list = json_array();
    size_t                   index;
    for (int i = 0; i < 3; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:f, s:f}", "op", "matmul", "class", classes[i],
                                              "kernel", kernel, "own", "other", "seconds", 1., "own_seconds", 2.));
    json_array_foreach(json_object_get(found, "devices"), index, entry)
    {
        if (strcmp(text_of(entry, "name"), device)) continue;
        json_t *file =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "schema", "scry.tuning/1", "version",
                      text_of(found, "version"), "date", "today", "backend", text_of(entry, "backend"), "description",
                      text_of(entry, "description"), "driver", text_of(entry, "driver"), "classes", list);
        cr_assert_eq(json_dump_file(file, in_folder("tuning.json"), 0), 0);
        json_decref(file);
    }
    json_decref(list);
    json_decref(found);
    outcome_free(&outcome);
    setenv("SCRY_TUNED", in_folder("tuning.json"), 1);
}

/* The logits of a few tokens, as the bytes of a file. */
static char *logits(const char *device, size_t *size, const char *option, const char *value)
{
    const char    *path = in_folder("logits.npz");
    struct outcome outcome =
        SCRY("trace", "-d", device, "--ids", FEW_IDS, "--hooks", "logits", "-q", "-o", path, option, value);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    return read_file(path, size);
}

/* To the bit. */
static void expect_same_as_by_name(const char *device, const char *kernel)
{
    char   option[64];
    size_t named_size, tuned_size;
    snprintf(option, sizeof option, "matmul=%s", kernel);
    char *named = logits(device, &named_size, "--kernels", option);
    choose_for_matmul(device, kernel);
    char          *tuned  = logits(device, &tuned_size, NULL, NULL);
    struct outcome said   = SCRY("bench", "-d", device, "--only", "matmul/31x33x32", "--repeat", "1", "--json");
    json_t        *record = outcome_json(&said), *row = json_array_get(json_object_get(record, "rows"), 0);
    cr_expect(!strncmp(text_of(row, "kernel"), kernel, strlen(kernel)), "%s", text_of(row, "kernel"));
    cr_expect(named_size == tuned_size && !memcmp(named, tuned, named_size), "%s on %s", kernel, device);
    json_decref(record);
    outcome_free(&said);
    free(named);
    free(tuned);
}

Test(tune, results__are_those_of_the_kernel_by_name)
{
    expect_same_as_by_name("cpu:0", "tile");
}

Test(tune, results__are_those_of_the_kernel_by_name_on_opencl)
{
    need_driver(&opencl_driver);
    expect_same_as_by_name("opencl:0", "tile");
}

Test(tune, results__are_those_of_the_kernel_by_name_on_vulkan)
{
    need_driver(&vulkan_driver);
    expect_same_as_by_name("vulkan:0", "tile64");
}

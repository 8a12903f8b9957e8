/* scry conform as people and their CI use it: what it says of good devices and of bad ones, and that what it says can
 * be read by machines and reproduced. The bad devices are the plugin that misbehaves on demand. */
#include "program.h"

#include <criterion/criterion.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set_up(void)
{
    make_folder();
    setenv("SCRY_TEST_PLUGINS", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(conform, .init = set_up, .fini = remove_folder);

/* stdout as JSON whatever the exit code, which is 1 where checks fail. */
static json_t *parse(const struct outcome *outcome)
{
    json_error_t error;
    json_t      *object = json_loadb(outcome->out, outcome->out_size, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(object, "stdout is no JSON: %s; %s", error.text, outcome->err);
    return object;
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int number_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    cr_assert(json_is_integer(value), "%s is no number", key);
    return (int)json_integer_value(value);
}

/* Entry of an array of objects with that text under `key`; NULL where there is none. */
static json_t *entry_of(json_t *array, const char *key, const char *text)
{
    size_t  index;
    json_t *entry;
    json_array_foreach(array, index, entry) if (!strcmp(text_of(entry, key), text)) return entry;
    return NULL;
}

static json_t *device_of(json_t *results, const char *name)
{
    json_t *device = entry_of(json_object_get(results, "devices"), "name", name);
    cr_assert_not_null(device, "there is no device %s", name);
    return device;
}

Test(conform, cpu__passes_and_delivers_f32)
{
    struct outcome outcome = SCRY("conform", "--device", "cpu", "--tier", "tiny");
    cr_expect_eq(outcome.exit_code, 0, "%s%s", outcome.out, outcome.err);
    cr_expect(strstr(outcome.out, " passed, 0 failed, 0 not supported (tiny tier, "), "%s", outcome.out);
    cr_expect(strstr(outcome.out, "attention            f32\n"), "%s", outcome.out);
    cr_expect(!strstr(outcome.out, "FAILED"), "%s", outcome.out);
    outcome_free(&outcome);
}

Test(conform, without_a_device__all_that_are_usable_but_the_reference)
{
    struct outcome outcome = SCRY("conform", "--tier", "tiny", "--op", "fill", "--json");
    json_t        *results = outcome_json(&outcome);
    cr_expect_not_null(entry_of(json_object_get(results, "devices"), "name", "cpu:0"));
    cr_expect_not_null(entry_of(json_object_get(results, "devices"), "name", "fake:0"));
    cr_expect_null(entry_of(json_object_get(results, "devices"), "backend", "reference"));
    json_decref(results);
    outcome_free(&outcome);
}

Test(conform, json__says_what_each_row_came_to)
{
    struct outcome outcome = SCRY("conform", "-d", "cpu", "--only", "matmul/3*", "--json", "--seed", "5");
    json_t        *results = outcome_json(&outcome), *device = device_of(results, "cpu:0");
    json_t        *row = entry_of(json_object_get(device, "rows"), "name", "matmul/33x31x257");
    json_t        *op  = entry_of(json_object_get(device, "ops"), "op", "matmul");
    cr_assert(row && op);
    cr_expect_str_eq(text_of(results, "schema"), "scry.conform/1");
    cr_expect_str_eq(text_of(results, "tier"), "quick");
    cr_expect_str_eq(text_of(device, "status"), "done");
    cr_expect_str_eq(text_of(row, "outcome"), "passed");
    cr_expect_str_eq(text_of(row, "seed"), "5");
    cr_expect_str_eq(text_of(row, "command"), "scry conform --device cpu:0 --only 'matmul/33x31x257' --seed 5");
    cr_expect_eq(number_of(row, "compared"), 33 * 31);
    cr_expect_lt(json_number_value(json_object_get(row, "worst")), 1.0);
    cr_expect_str_eq(text_of(op, "precision"), "f32");
    cr_expect_eq(number_of(op, "passed"), (int)json_array_size(json_object_get(device, "rows")));
    json_decref(results);
    outcome_free(&outcome);
}

Test(conform, list__names_every_row_once)
{
    struct outcome outcome = SCRY("conform", "--list", "--tier", "full", "--json"), text = SCRY("conform", "--list");
    json_t        *results = outcome_json(&outcome), *rows = json_object_get(results, "rows"), *row;
    size_t         index;
    int            benchmarks = 0, relations = 0;
    cr_expect_str_eq(text_of(results, "schema"), "scry.cases/1");
    json_array_foreach(rows, index, row)
    {
        cr_expect_eq(entry_of(rows, "name", text_of(row, "name")), row, "%s is there twice", text_of(row, "name"));
        benchmarks += json_is_true(json_object_get(row, "benchmark"));
        relations += json_is_true(json_object_get(row, "relation"));
    }
    cr_expect(benchmarks >= 12 && relations >= 12, "%d and %d", benchmarks, relations);
    cr_expect(strstr(text.out, "matmul/33x31x257\n") && !strstr(text.out, "(benchmark)"), "%s", text.out);
    json_decref(results);
    outcome_free(&outcome);
    outcome_free(&text);
}

/* The first line of the output that is a command, without what stands before it. */
static char *command_in(char *out)
{
    char *command = strstr(out, "    scry conform --device");
    cr_assert_not_null(command, "no command in: %s", out);
    *strchr(command, '\n') = 0;
    return command + 4;
}

/* Runs a line as a shell would, with scry in its path; gives the exit code. */
static int run_line(const char *line)
{
    char command[1024];
    if (access(in_folder("scry"), F_OK)) cr_assert_eq(symlink(program_path(), in_folder("scry")), 0);
    snprintf(command, sizeof command, "PATH='%s' SCRY_PLUGIN_PATH='%s' %s >'%s'", in_folder(""),
             getenv("SCRY_TEST_PLUGINS"), line, in_folder("out"));
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(conform, failures__are_reported_with_a_line_that_reproduces_them)
{
    setenv("SCRY_FAKE_WRONG", "matmul", 1);
    setenv("SCRY_FAKE_KERNELS", "1", 1);
    struct outcome outcome = SCRY("conform", "-d", "fake", "--op", "matmul,fill", "--tier", "tiny", "--seed", "9",
                                  "--kernels", "matmul=second");
    cr_expect_eq(outcome.exit_code, 1, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "FAILED matmul/1x1x1 on fake:0, kernel second: c: element 0 is "), "%s", outcome.out);
    char *command = command_in(outcome.out);
    cr_expect_str_eq(command, "scry conform --device fake:0 --only 'matmul/1x1x1' --seed 9 --kernels matmul=second");
    cr_expect_eq(run_line(command), 1);
    char *again = read_file(in_folder("out"), NULL);
    cr_expect(strstr(again, "\n0 passed, 1 failed, 0 not supported"), "%s", again);
    unsetenv("SCRY_FAKE_WRONG");
    cr_expect_eq(run_line(command), 0);
    free(again);
    outcome_free(&outcome);
}

Test(conform, each_kernel__has_its_turn)
{
    static const char *const kernels[] = {"matmul=first", "matmul=second"};
    setenv("SCRY_FAKE_KERNELS", "1", 1);
    struct outcome outcome =
        SCRY("conform", "--device", "fake", "--kernels", "each", "--tier", "tiny", "--op", "matmul,fill", "--json");
    json_t *results = outcome_json(&outcome), *devices = json_object_get(results, "devices");
    cr_assert_eq(json_array_size(devices), 2);
    int passed[2];
    for (size_t i = 0; i < 2; i++) {
        json_t *device = json_array_get(devices, i);
        passed[i]      = number_of(device, "passed");
        cr_expect_str_eq(text_of(device, "kernels"), kernels[i]);
        cr_expect_eq((int)json_array_size(json_object_get(device, "rows")), passed[i]);
        const char *command = text_of(json_array_get(json_object_get(device, "rows"), 0), "command");
        cr_expect(strstr(command, kernels[i]), "%s", command);
    }
    cr_expect_gt(passed[1], 0);
    cr_expect_gt(passed[0], passed[1], "fill has one kernel, and sits out the second turn");
    json_decref(results);
    outcome_free(&outcome);

    outcome = SCRY("conform", "--device", "fake", "--kernels", "each", "--tier", "tiny", "--op", "fill", "--json");
    results = outcome_json(&outcome);
    cr_expect_eq(json_array_size(json_object_get(results, "devices")), 1, "no turn in which nothing is asked");
    json_decref(results);
    outcome_free(&outcome);
}

Test(conform, fail_fast__leaves_the_rest_out)
{
    setenv("SCRY_FAKE_WRONG", "add", 1);
    struct outcome outcome =
        SCRY("conform", "-d", "fake,cpu", "--op", "add", "--tier", "tiny", "--fail-fast", "--json");
    json_t *results = parse(&outcome), *fake = device_of(results, "fake:0");
    cr_expect_eq(outcome.exit_code, 1);
    cr_expect_eq(number_of(fake, "failed"), 1);
    cr_expect_gt(number_of(fake, "not_run"), 0);
    json_decref(results);
    outcome_free(&outcome);
}

Test(conform, what_a_device_cannot_do__is_no_pass)
{
    setenv("SCRY_FAKE_REFUSE", "rope", 1);
    struct outcome some    = SCRY("conform", "-d", "fake", "--op", "rope,fill", "--tier", "tiny", "--json");
    struct outcome none    = SCRY("conform", "-d", "fake", "--op", "rope", "--tier", "tiny");
    json_t        *results = outcome_json(&some), *ops = json_object_get(device_of(results, "fake:0"), "ops");
    json_t        *rope = entry_of(ops, "op", "rope"), *fill = entry_of(ops, "op", "fill");
    cr_expect(number_of(rope, "passed") == 0 && number_of(rope, "not_supported") > 0);
    cr_expect(number_of(fill, "passed") > 0 && number_of(fill, "not_supported") == 0);
    cr_expect(json_is_null(json_object_get(rope, "precision")));
    cr_expect_eq(none.exit_code, 1);
    cr_expect(strstr(none.out, "Not supported: rope on fake:0: it takes more than the 32 KiB at hand"), "%s", none.out);
    cr_expect(strstr(none.out, "\n0 passed, 0 failed, "), "%s", none.out);
    cr_expect(strstr(none.out, "FAILED fake: not one row passed"), "%s", none.out);
    json_decref(results);
    outcome_free(&some);
    outcome_free(&none);
}

/* A kernel that does not build, say. */
Test(conform, support_that_is_promised_and_not_kept__is_a_failure)
{
    setenv("SCRY_FAKE_FAIL", "run:5", 1); /* SCRY_UNSUPPORTED */
    struct outcome outcome = SCRY("conform", "-d", "fake", "--op", "fill", "--tier", "tiny", "--fail-fast");
    cr_expect_eq(outcome.exit_code, 1);
    cr_expect(strstr(outcome.out, "query says that it is supported, and the run that it is not: run went wrong"), "%s",
              outcome.out);
    outcome_free(&outcome);
}

/* Memory may be short for what is large, not for what is small. */
Test(conform, short_memory__is_a_failure_of_small_rows_only)
{
    setenv("SCRY_FAKE_FAIL", "buffer_create:6", 1);
    struct outcome large = SCRY("conform", "-d", "fake", "--only", "scale/1024x3072");
    struct outcome small = SCRY("conform", "-d", "fake", "--only", "scale/plain");
    cr_expect(strstr(large.out, "\n0 passed, 0 failed, 1 not supported"), "%s", large.out);
    cr_expect(strstr(small.out, "\n0 passed, 1 failed, 0 not supported"), "%s", small.out);
    outcome_free(&large);
    outcome_free(&small);
}

/* A device that promises less passes only where less is asked for. */
Test(conform, promised_precision__is_what_a_row_is_held_to)
{
    setenv("SCRY_FAKE_HALF", "matmul", 1);
    setenv("SCRY_FAKE_ROUND", "f16", 1);
    struct outcome outcome = SCRY("conform", "-d", "fake", "--only", "matmul/allow-*", "--json");
    json_t        *results = parse(&outcome), *rows = json_object_get(device_of(results, "fake:0"), "rows");
    json_t        *row = entry_of(rows, "name", "matmul/allow-f16");
    cr_expect_eq(outcome.exit_code, 0);
    cr_expect_str_eq(text_of(row, "outcome"), "passed", "%s", text_of(row, "detail"));
    cr_expect_gt(json_number_value(json_object_get(row, "delivered")), 0x1p-20);
    cr_expect_str_eq(text_of(entry_of(rows, "name", "matmul/allow-bf16"), "outcome"), "not supported");
    unsetenv("SCRY_FAKE_HALF");
    outcome_free(&outcome);
    json_decref(results);
    outcome = SCRY("conform", "-d", "fake", "--only", "matmul/allow-f16");
    cr_expect_eq(outcome.exit_code, 1, "strict f32 was promised: %s", outcome.out);
    outcome_free(&outcome);
}

/* Inputs staged in less than f32 in silence: every op that reads floats says so, and how few bits there were. */
Test(conform, delivered_precision__is_named)
{
    static const char *const formats[] = {"f16", "tf32", "bf16"};
    for (int i = 0; i < 3; i++) {
        setenv("SCRY_FAKE_ROUND", formats[i], 1);
        struct outcome outcome = SCRY("conform", "-d", "fake", "--tier", "tiny", "--json");
        json_t        *results = parse(&outcome), *op;
        size_t         index;
        cr_expect_eq(outcome.exit_code, 1);
        json_array_foreach(json_object_get(device_of(results, "fake:0"), "ops"), index, op)
        {
            const char *expected = strcmp(text_of(op, "op"), "fill") ? formats[i] : "f32";
            cr_expect_str_eq(text_of(op, "precision"), expected, "%s with %s: %s", text_of(op, "op"), formats[i],
                             text_of(op, "precision"));
        }
        json_decref(results);
        outcome_free(&outcome);
    }
}

Test(conform, a_device_that_cannot_be_opened__is_reported_and_the_others_go_on)
{
    setenv("SCRY_FAKE_FAIL", "open:4", 1);
    struct outcome outcome = SCRY("conform", "-d", "fake,nothing,cpu", "--op", "fill", "--tier", "tiny");
    cr_expect_eq(outcome.exit_code, 4, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "fake: fake:0: open went wrong\n"), "%s", outcome.out);
    cr_expect(strstr(outcome.out, "nothing: device \"nothing\": expected one of "), "%s", outcome.out);
    cr_expect(strstr(outcome.out, " passed, 0 failed, 0 not supported, ") && strstr(outcome.out, " not run (tiny"),
              "%s", outcome.out);
    outcome_free(&outcome);
}

Test(conform, a_lost_device__is_reported_and_the_others_go_on)
{
    setenv("SCRY_FAKE_FAIL", "run:8:5", 1);
    struct outcome outcome = SCRY("conform", "-d", "fake,cpu", "--op", "fill", "--tier", "tiny", "--json");
    json_t        *results = parse(&outcome), *fake = device_of(results, "fake:0");
    cr_expect_eq(outcome.exit_code, 7);
    cr_expect_str_eq(text_of(fake, "status"), "device lost");
    cr_expect(strstr(text_of(fake, "reason"), "lost at fill/") && strstr(text_of(fake, "reason"), "run went wrong"),
              "%s", text_of(fake, "reason"));
    cr_expect_gt(number_of(fake, "passed"), 0);
    cr_expect_gt(number_of(fake, "not_run"), 0);
    cr_expect_eq(number_of(fake, "failed"), 0);
    cr_expect_eq(number_of(device_of(results, "cpu:0"), "passed"), (int)json_array_size(json_object_get(fake, "rows")));
    json_decref(results);
    outcome_free(&outcome);
}

/* --- JUnit --- */

struct counted {
    int suites, cases, failures, skipped, errors, declared;
};

static void start_element(void *user, const XML_Char *name, const XML_Char **attributes)
{
    struct counted *counted = user;
    counted->suites += !strcmp(name, "testsuite");
    counted->cases += !strcmp(name, "testcase");
    counted->failures += !strcmp(name, "failure");
    counted->skipped += !strcmp(name, "skipped");
    counted->errors += !strcmp(name, "error");
    for (; !strcmp(name, "testsuite") && *attributes; attributes += 2)
        if (!strcmp(attributes[0], "tests")) counted->declared += atoi(attributes[1]);
}

Test(conform, junit__is_well_formed_and_counts_what_there_is)
{
    setenv("SCRY_FAKE_WRONG", "add", 1);
    setenv("SCRY_FAKE_REFUSE", "scale", 1);
    struct outcome outcome = SCRY("conform", "-d", "fake,<no> & \"device\"", "--op", "add,scale,fill", "--tier", "tiny",
                                  "--junit", in_folder("j.xml"));
    struct counted counted = {0};
    size_t         size;
    char          *bytes  = read_file(in_folder("j.xml"), &size);
    XML_Parser     parser = XML_ParserCreate(NULL);
    XML_SetUserData(parser, &counted);
    XML_SetElementHandler(parser, start_element, NULL);
    cr_expect_eq(XML_Parse(parser, bytes, (int)size, 1), XML_STATUS_OK, "line %d: %s: %s",
                 (int)XML_GetCurrentLineNumber(parser), XML_ErrorString(XML_GetErrorCode(parser)), bytes);
    cr_expect_eq(outcome.exit_code, 1);
    cr_expect_eq(counted.suites, 2);
    cr_expect_eq(counted.cases, counted.declared);
    cr_expect_eq(counted.errors, 1);
    cr_expect_gt(counted.failures, 5);
    cr_expect_gt(counted.skipped, 5);
    cr_expect(strstr(bytes, "scry conform --device fake:0 --only 'add/plain'"), "%s", bytes);
    XML_ParserFree(parser);
    free(bytes);
    outcome_free(&outcome);
}

Test(conform, bad_arguments__are_refused_before_any_work)
{
    static const struct {
        const char *arguments[4], *says;
        int         exit_code;
    } cases[] = {
        {{"--tier", "huge"}, "--tier huge: expected tiny, quick or full", 2},
        {{"--op", "matmul,nope"}, "--op \"nope\": expected one of matmul, ", 2},
        {{"--op", ""}, "--op \"\": expected one of matmul, ", 2},
        {{"--only", "matmul/nope"}, "--only \"matmul/nope\": no row", 2},
        {{"--only", "matmul/*", "--op", "add"}, "no row", 2},
        {{"-d", ""}, "--device \"\": expected names", 2},
        {{"-d", "cpu,,cpu"}, "--device \"cpu,,cpu\": expected names", 2},
        {{"--seed", "x"}, "--seed \"x\": expected a whole number", 2},
        {{"something"}, "unexpected argument something", 2},
        {{"-d", "cpu", "--junit", "/nowhere/j.xml"}, "/nowhere", 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *given   = cases[i].arguments;
        struct outcome     outcome = SCRY("conform", given[0], given[1], given[2], given[3]);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "%s: exit code %d", cases[i].says, outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].says, outcome.err);
        outcome_free(&outcome);
    }
}

/* Running the program on a device whose driver fails. See faults.h. */
#include "faults.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct driver opencl_driver = {"opencl:0",         SCRY_OPENCL_FAULTS, "pencl",
                                     "SCRY_TEST_OPENCL", "pocl-opencl-icd",  NULL};
const struct driver vulkan_driver = {"vulkan:0",         SCRY_VULKAN_FAULTS,    "ulkan",
                                     "SCRY_TEST_VULKAN", "mesa-vulkan-drivers", NULL};
const struct driver cuda_driver   = {"cuda-emulated:0", NULL, "cuda", "SCRY_TEST_CUDA", "g++", NULL};
const struct driver cublas_driver = {"cuda-emulated:0", NULL, "cuda", "SCRY_TEST_CUDA", "g++", "matmul=library"};

void need_driver(const struct driver *driver)
{
    struct outcome outcome = SCRY("conform", "--device", driver->device, "--only", "copy/one", "-q");
    bool           there   = !outcome.exit_code;
    cr_assert(there || !getenv(driver->required), "%s", outcome.err);
    outcome_free(&outcome);
    if (!there) cr_skip("no device %s: install %s to run this test", driver->device, driver->package);
}

const char *many_ids(void)
{
    enum { IDS = 300 };
    static char ids[IDS * 4 + 1];
    *ids = 0;
    for (int i = 0; i < IDS; i++) sprintf(ids + strlen(ids), "%s%d", i ? "," : "", i + 1);
    return ids;
}

/* Sets a variable to what it was, if anything, and more; what it was, to be freed. */
static char *extend(const char *variable, const char *more)
{
    char        whole[1024];
    const char *given = getenv(variable);
    snprintf(whole, sizeof whole, "%s%s%s", given ? given : "", given ? ":" : "", more);
    char *kept = given ? strdup(given) : NULL;
    setenv(variable, whole, 1);
    return kept;
}

static void restore(const char *variable, char *kept)
{
    kept ? setenv(variable, kept, 1) : unsetenv(variable);
    free(kept);
}

struct outcome faulty_lens(const struct driver *driver, const char *ids, const char *fault)
{
    setenv("SCRY_FAULT_REPORT", in_folder("calls"), 1);
    unlink(in_folder("calls"));
    fault ? setenv("SCRY_FAULT", fault, 1) : unsetenv("SCRY_FAULT");
    char *options = extend("ASAN_OPTIONS", "verify_asan_link_order=0"); /* its library wants to be the first */
    char *preload = driver->library ? extend("LD_PRELOAD", driver->library) : NULL;

    struct outcome outcome = SCRY("lens", "--device", driver->device, "--ids", ids, "--json", "-q",
                                  driver->kernels ? "--kernels" : NULL, driver->kernels);
    if (driver->library) restore("LD_PRELOAD", preload);
    restore("ASAN_OPTIONS", options);
    return outcome;
}

long count_calls(const char *report, const char *name)
{
    size_t length = strlen(name);
    long   count  = 0;
    for (const char *at = report; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (!strncmp(at, name, length) && at[length] == ' ') count += strtol(at + length, NULL, 10);
    return count;
}

long last_calls(const char *name)
{
    char *report = read_file(in_folder("calls"), NULL);
    long  count  = count_calls(report, name);
    free(report);
    return count;
}

bool same_results(const char *out, const char *expected)
{
    json_t *a = json_loads(out, 0, NULL), *b = json_loads(expected, 0, NULL);
    json_object_del(a, "device");
    json_object_del(b, "device");
    bool same = a && json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

int count_lines(const char *text, const char *part)
{
    int count = 0;
    while ((text = strstr(text, part))) {
        count++;
        text += strlen(part);
    }
    return count;
}

void use_cache(enum cache cache)
{
    static int fresh;
    char       name[32] = "cache";
    if (cache == EMPTY_CACHE) snprintf(name, sizeof name, "cache-%d", fresh++);
    setenv("SCRY_CACHE_DIR", cache == NO_CACHE ? "/dev/null/none" : in_folder(name), 1);
}

static void expect_nothing_left(const char *rule)
{
    cr_expect_eq(last_calls("left"), 0, "%s: %ld objects are not released", rule, last_calls("left"));
}

/* In one line, beside which nothing stands that is not the program's own. */
static bool is_told(const struct driver *driver, const struct outcome *outcome)
{
    return count_lines(outcome->err, "scry: error: ") == 1 && strstr(outcome->err, driver->said) &&
           count_lines(outcome->err, "\n") == count_lines(outcome->err, "scry: ");
}

/* One run with a fault: the same result as without it, or an error as the table says. The result may stand where the
 * call that failed had done its part, as the last wait before the program ends; `first` calls have not. */
static void expect_end(const struct driver *driver, const char *ids, const struct fault *row, const char *rule,
                       bool first, const char *expected)
{
    struct outcome outcome   = faulty_lens(driver, ids, rule);
    bool           same      = !outcome.exit_code && same_results(outcome.out, expected);
    int            code      = row->exit_code & ~OR_DONE;
    bool           may_stand = !first || row->exit_code & OR_DONE;
    cr_expect((same && may_stand) || (code && is_told(driver, &outcome) && outcome.exit_code == code),
              "%s: exit code %d, expected %d: %s", rule, outcome.exit_code, row->exit_code, outcome.err);
    expect_nothing_left(rule);
    outcome_free(&outcome);
}

void expect_ends(const struct driver *driver, const char *ids, const struct fault *rows, int count, enum cache cache)
{
    use_cache(cache);
    struct outcome expected = faulty_lens(driver, ids, NULL); /* fills the cache */
    outcome_free(&expected);
    use_cache(cache);
    expected     = faulty_lens(driver, ids, NULL);
    char *report = read_file(in_folder("calls"), NULL);
    cr_assert_eq(expected.exit_code, 0, "%s", expected.err);
    expect_nothing_left("no fault");
    for (const struct fault *row = rows; row < rows + count; row++) {
        long calls = count_calls(report, row->function), at[] = {1, 2, calls / 2, calls};
        cr_expect_gt(calls, 0, "%s is never called", row->function);
        for (int i = 0; i < COUNT(at); i++) {
            char rule[96];
            if (at[i] > calls || (i && at[i] <= at[i - 1])) continue;
            snprintf(rule, sizeof rule, "%s:%ld:%d", row->function, at[i], row->code);
            use_cache(cache);
            expect_end(driver, ids, row, rule, i == 0, expected.out);
        }
    }
    free(report);
    outcome_free(&expected);
}

void expect_rows(const struct driver *driver, const char *ids, const struct fault *rows, int count)
{
    struct outcome outcome = faulty_lens(driver, ids, NULL);
    char          *report  = read_file(in_folder("calls"), NULL), name[64];
    int            used;
    for (const char *at = report; sscanf(at, "%63s %*d\n%n", name, &used) == 1; at += used) {
        int i = 0;
        while (i < count && strcmp(rows[i].function, name)) i++;
        cr_expect(i < count || !strcmp(name, "left"), "%s has no row in the table of faults", name);
    }
    free(report);
    outcome_free(&outcome);
}

void expect_gone(const struct driver *driver, const char *rule, int exit_code)
{
    struct outcome outcome = faulty_lens(driver, FEW_IDS, rule);
    cr_expect_eq(outcome.exit_code, exit_code, "%s: exit code %d: %s", rule, outcome.exit_code, outcome.err);
    cr_expect_eq(count_lines(outcome.err, "scry: error: "), 1, "%s: %s", rule, outcome.err);
    expect_nothing_left(rule);
    outcome_free(&outcome);
}

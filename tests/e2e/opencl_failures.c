/* OpenCL drivers that fail: each call that the plugin makes fails once, early and late, and the program ends with the
 * documented exit code and one line that says why, with every object released. The calls fail in a library that is
 * preloaded (tests/plugins/opencl_faults.c). */
#include "opencl.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(opencl_failures, .init = make_folder, .fini = remove_folder, .timeout = 600);

/* Where programs come from: built at every start, with a place to keep them (an empty cache) or without, or taken from
 * the test's own cache. */
enum cache { NO_CACHE, EMPTY_CACHE, FULL_CACHE };

static void use_cache(enum cache cache)
{
    static int fresh;
    char       name[32] = "cache";
    if (cache == EMPTY_CACHE) snprintf(name, sizeof name, "cache-%d", fresh++);
    setenv("SCRY_CACHE_DIR", cache == NO_CACHE ? "/dev/null/none" : in_folder(name), 1);
}

/* OR_DONE: the program may also find another way and be done. */
enum { NO_DEVICE = 4, NO_MEMORY = 5, LOST = 7, OR_DONE = 64, HARMLESS = OR_DONE };

/* What the program makes of a function that fails with a code. */
struct fault {
    const char *function;
    int         code, exit_code;
};

static const struct fault faults[] = {
    {"clGetPlatformIDs", -1001, NO_DEVICE},
    {"clGetPlatformIDs", -6, NO_DEVICE},
    {"clGetPlatformInfo", -30, HARMLESS},
    {"clGetDeviceIDs", -1, NO_DEVICE},
    {"clGetDeviceIDs", -6, NO_DEVICE},
    {"clGetDeviceInfo", -33, NO_DEVICE | OR_DONE},
    {"clCreateContext", -6, NO_MEMORY},
    {"clCreateContext", -2, NO_DEVICE},
    {"clCreateCommandQueue", -6, NO_MEMORY},
    {"clCreateCommandQueue", -33, NO_DEVICE},
    {"clCreateBuffer", -4, NO_MEMORY | OR_DONE},
    {"clCreateBuffer", -5, NO_MEMORY | OR_DONE},
    {"clCreateBuffer", -34, LOST},
    {"clCreateProgramWithSource", -6, NO_MEMORY},
    {"clBuildProgram", -11, NO_DEVICE},
    {"clBuildProgram", -6, NO_MEMORY},
    {"clCreateKernel", -46, NO_DEVICE},
    {"clCreateKernel", -5, NO_MEMORY},
    {"clSetKernelArg", -51, NO_DEVICE},
    {"clSetKernelArg", -6, NO_MEMORY},
    {"clEnqueueNDRangeKernel", -5, NO_MEMORY},
    {"clEnqueueNDRangeKernel", -4, NO_MEMORY},
    {"clEnqueueNDRangeKernel", -54, NO_DEVICE},
    {"clEnqueueNDRangeKernel", -36, LOST},
    {"clEnqueueNDRangeKernel", -9999, LOST},
    {"clEnqueueWriteBuffer", -6, NO_MEMORY},
    {"clEnqueueWriteBuffer", -5, LOST},
    {"clEnqueueReadBuffer", -6, NO_MEMORY},
    {"clEnqueueReadBuffer", -14, LOST},
    {"clEnqueueCopyBuffer", -4, NO_MEMORY},
    {"clEnqueueCopyBuffer", -34, LOST},
    {"clFinish", -5, LOST},
    {"clFinish", -36, LOST},
    {"clReleaseContext", -34, HARMLESS},
    {"clReleaseCommandQueue", -36, HARMLESS},
    {"clReleaseMemObject", -38, HARMLESS},
    {"clReleaseProgram", -44, HARMLESS},
    {"clReleaseKernel", -48, HARMLESS},
};

static const struct fault empty_cache_faults[] = {{"clGetProgramInfo", -30, HARMLESS},
                                                  {"clGetProgramInfo", -6, HARMLESS}};

/* Programs are built where the cache's do not load. */
static const struct fault full_cache_faults[] = {
    {"clBuildProgram", -11, HARMLESS},
    {"clBuildProgram", -42, HARMLESS},
    {"clCreateProgramWithBinary", -42, HARMLESS},
    {"clCreateProgramWithBinary", -6, HARMLESS},
};

/* Where buffers are in parts and ranges are staged. */
static const struct fault part_faults[] = {
    {"clCreateBuffer", -4, NO_MEMORY | OR_DONE}, {"clSetKernelArg", -6, NO_MEMORY},
    {"clEnqueueCopyBuffer", -4, NO_MEMORY},      {"clEnqueueCopyBuffer", -36, LOST},
    {"clEnqueueNDRangeKernel", -36, LOST},       {"clEnqueueReadBuffer", -5, LOST},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* One run with a fault: the same result as without it, or an error as the table says. The result may stand where the
 * call that failed had done its part, as the last wait before the program ends; `first` calls have not. */
static void expect_end(const char *ids, const struct fault *row, const char *rule, bool first, const char *expected)
{
    struct outcome outcome   = opencl_lens(ids, rule);
    bool           same      = !outcome.exit_code && same_results(outcome.out, expected);
    bool           told      = count_lines(outcome.err, "scry: error: ") == 1 && strstr(outcome.err, "pencl");
    int            code      = row->exit_code & ~OR_DONE;
    bool           may_stand = !first || row->exit_code & OR_DONE;
    cr_expect((same && may_stand) || (code && told && outcome.exit_code == code), "%s: exit code %d, expected %d: %s",
              rule, outcome.exit_code, row->exit_code, outcome.err);
    cr_expect_eq(opencl_last_count("left"), 0, "%s: %ld objects are not released", rule, opencl_last_count("left"));
    outcome_free(&outcome);
}

/* Each function that the plugin calls is in the table. */
static void expect_rows(const char *report)
{
    char name[64];
    int  used;
    for (const char *at = report; sscanf(at, "%63s %*d\n%n", name, &used) == 1; at += used) {
        int i = 0;
        while (i < COUNT(faults) && strcmp(faults[i].function, name)) i++;
        cr_expect(i < COUNT(faults) || !strcmp(name, "left"), "%s has no row in the table of faults", name);
    }
}

/* Each of these calls fails in a run of its own: the first, the second, one in the middle, the last. */
static void expect_ends(const char *ids, const struct fault *rows, int count, enum cache cache)
{
    use_cache(cache);
    struct outcome expected = opencl_lens(ids, NULL); /* fills the cache */
    outcome_free(&expected);
    use_cache(cache);
    expected     = opencl_lens(ids, NULL);
    char *report = read_file(in_folder("calls"), NULL);
    cr_assert_eq(expected.exit_code, 0, "%s", expected.err);
    cr_expect_eq(opencl_count(report, "left"), 0);
    if (cache == NO_CACHE) expect_rows(report);
    for (const struct fault *row = rows; row < rows + count; row++) {
        long calls = opencl_count(report, row->function), at[] = {1, 2, calls / 2, calls};
        cr_expect_gt(calls, 0, "%s is never called", row->function);
        for (int i = 0; i < COUNT(at); i++) {
            char rule[96];
            if (at[i] > calls || (i && at[i] <= at[i - 1])) continue;
            snprintf(rule, sizeof rule, "%s:%ld:%d", row->function, at[i], row->code);
            use_cache(cache);
            expect_end(ids, row, rule, i == 0, expected.out);
        }
    }
    free(report);
    outcome_free(&expected);
}

Test(opencl_failures, each_call_that_fails__ends_with_a_reason)
{
    need_opencl();
    expect_ends(FEW_IDS, faults, COUNT(faults), NO_CACHE);
}

Test(opencl_failures, each_call_that_the_cache_makes__may_fail)
{
    need_opencl();
    expect_ends(FEW_IDS, empty_cache_faults, COUNT(empty_cache_faults), EMPTY_CACHE);
    expect_ends(FEW_IDS, full_cache_faults, COUNT(full_cache_faults), FULL_CACHE);
}

/* A prompt long enough for buffers in parts, where the device allocates 1 MiB at once. */
Test(opencl_failures, each_call_that_fails_among_parts__ends_with_a_reason)
{
    enum { IDS = 300 };
    char ids[IDS * 4 + 1] = "";
    need_opencl();
    for (int i = 0; i < IDS; i++) sprintf(ids + strlen(ids), "%s%d", i ? "," : "", i + 1);
    use_cache(FULL_CACHE);
    struct outcome whole  = opencl_lens(ids, NULL);
    long           copies = opencl_last_count("clEnqueueCopyBuffer");
    setenv("SCRY_OPENCL_MAX_ALLOCATION", "1", 1);
    struct outcome parted = opencl_lens(ids, NULL);
    cr_expect(!whole.exit_code && same_results(parted.out, whole.out), "parts change the results: %s", parted.err);
    cr_expect_gt(opencl_last_count("clEnqueueCopyBuffer"), copies, "nothing is staged");
    outcome_free(&whole);
    outcome_free(&parted);
    expect_ends(ids, part_faults, COUNT(part_faults), FULL_CACHE);
}

/* From some call on the driver answers nothing but this code. */
Test(opencl_failures, device_that_is_gone__ends_the_program)
{
    static const struct {
        const char *rule;
        int         exit_code;
    } rows[] = {
        {"clEnqueueNDRangeKernel:3+:-36", LOST}, {"clEnqueueNDRangeKernel:1+:-9999", LOST},
        {"clEnqueueReadBuffer:1+:-5", LOST},     {"clEnqueueWriteBuffer:2+:-34", LOST},
        {"clSetKernelArg:9+:-6", NO_MEMORY},     {"clCreateBuffer:5+:-2", LOST},
        {"clCreateKernel:1+:-5", NO_MEMORY},     {"clGetPlatformIDs:2+:-1001", NO_DEVICE},
    };
    need_opencl();
    use_cache(NO_CACHE);
    for (int i = 0; i < COUNT(rows); i++) {
        struct outcome outcome = opencl_lens(FEW_IDS, rows[i].rule);
        cr_expect_eq(outcome.exit_code, rows[i].exit_code, "%s: exit code %d: %s", rows[i].rule, outcome.exit_code,
                     outcome.err);
        cr_expect_eq(count_lines(outcome.err, "scry: error: "), 1, "%s: %s", rows[i].rule, outcome.err);
        cr_expect_eq(opencl_last_count("left"), 0, "%s: %ld objects are not released", rows[i].rule,
                     opencl_last_count("left"));
        outcome_free(&outcome);
    }
}

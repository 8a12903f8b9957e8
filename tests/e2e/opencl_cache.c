/* The cache of built OpenCL programs through the program: what is broken in it is rebuilt and replaced, and nothing
 * else changes; and the places where there is none, or no driver, or a source that does not build. */
#include "faults.h"
#include "kept.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(opencl_cache, .init = make_folder, .fini = remove_folder, .timeout = 600);

/* A run that must succeed: the number of programs that it built from source. */
static long built(const char *expected, const char *what)
{
    struct outcome outcome = faulty_lens(&opencl_driver, FEW_IDS, NULL);
    cr_expect(!outcome.exit_code && (!expected || same_results(outcome.out, expected)), "%s: exit code %d: %s", what,
              outcome.exit_code, outcome.err);
    cr_expect_eq(*outcome.err, 0, "%s: %s", what, outcome.err);
    outcome_free(&outcome);
    return last_calls("clCreateProgramWithSource");
}

Test(opencl_cache, what_is_broken__is_built_anew_and_replaced)
{
    need_driver(&opencl_driver);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
    struct outcome    expected = faulty_lens(&opencl_driver, FEW_IDS, NULL);
    long              programs = last_calls("clCreateProgramWithSource");
    struct kept_files files    = kept_list();
    cr_assert_eq(expected.exit_code, 0, "%s", expected.err);
    cr_assert_gt(programs, 1);
    cr_expect_eq(files.count, programs, "%d files for %ld programs", files.count, programs);
    cr_expect_eq(built(expected.out, "whole"), 0);
    for (int i = 0; i < kept_damage_count; i++) {
        const struct damage *damage = &kept_damages[i];
        kept_apply(damage, files.names[0], files.names[1]);
        cr_expect_eq(built(expected.out, damage->name), 1, "%s: not built anew", damage->name);
        cr_expect_eq(built(expected.out, damage->name), 0, "%s: not replaced", damage->name);
    }
    cr_expect_eq(kept_list().count, programs, "a temporary file was left");
    outcome_free(&expected);
}

/* The cache has a most; what was used last stays. */
Test(opencl_cache, cache_that_is_full__loses_what_was_used_longest_ago)
{
    enum { MOST = 512 };
    need_driver(&opencl_driver);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
    kept_fill("opencl", MOST);
    long programs = built(NULL, "full cache");
    cr_expect_eq(built(NULL, "full cache"), 0);
    cr_expect_eq(kept_gone("opencl", MOST), programs);
}

/* What stands in the way of a file or of the directory costs the cache and nothing else. */
Test(opencl_cache, place_that_cannot_be_written__costs_only_the_cache)
{
    need_driver(&opencl_driver);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
    struct outcome    expected = faulty_lens(&opencl_driver, FEW_IDS, NULL);
    struct kept_files files    = kept_list();
    cr_assert_eq(expected.exit_code, 0, "%s", expected.err);
    cr_assert_gt(files.count, 0);
    unlink(kept_path(files.names[0]));
    cr_assert_eq(mkdir(kept_path(files.names[0]), 0700), 0);
    cr_expect_eq(built(expected.out, "a directory in a file's place"), 1);
    cr_expect_eq(built(expected.out, "a directory in a file's place"), 1);
    cr_expect_eq(kept_list().count, files.count, "a temporary file was left");
    setenv("POCL_CACHE_DIR", in_folder("pocl"), 0);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    for (const char *const *place = unusable_places; *place; place++) {
        setenv("SCRY_CACHE_DIR", *place, 1);
        cr_expect_gt(built(expected.out, *place), 0, "%s", *place);
        struct outcome told = SCRY("lens", "--device", "opencl:0", "--ids", FEW_IDS, "-v");
        cr_expect_eq(count_lines(told.err, "the cache cannot be written"), 1, "%s: %s", *place, told.err);
        outcome_free(&told);
    }
    outcome_free(&expected);
}

Test(opencl_cache, places__are_tried_in_order)
{
    need_driver(&opencl_driver);
    setenv("POCL_CACHE_DIR", in_folder("pocl"), 0);
    static const struct {
        const char *variable, *made;
    } rows[] = {{"HOME", "home/.cache/scry"}, {"XDG_CACHE_HOME", "xdg/scry"}, {"SCRY_CACHE_DIR", "own/deep"}};
    static const char *const values[] = {"home", "xdg", "own/deep"};
    unsetenv("SCRY_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setenv(rows[i].variable, in_folder(values[i]), 1);
        cr_expect_gt(built(NULL, rows[i].variable), 1);
        cr_expect_eq(access(in_folder(rows[i].made), X_OK), 0, "%s: %s is not there", rows[i].variable, rows[i].made);
        cr_expect_eq(built(NULL, rows[i].variable), 0);
    }
}

static void expect_error(int exit_code, const char *const *says)
{
    struct outcome outcome = faulty_lens(&opencl_driver, FEW_IDS, NULL);
    cr_expect_eq(outcome.exit_code, exit_code, "exit code %d: %s", outcome.exit_code, outcome.err);
    cr_expect_eq(count_lines(outcome.err, "scry: error: "), 1, "%s", outcome.err);
    for (; *says; says++) cr_expect(strstr(outcome.err, *says), "expected \"%s\", got: %s", *says, outcome.err);
    outcome_free(&outcome);
}
#define EXPECT_ERROR(exit_code, ...) expect_error(exit_code, (const char *const[]){__VA_ARGS__, NULL})

Test(opencl_cache, machine_without_a_usable_driver__says_what_to_do)
{
    need_driver(&opencl_driver);
    setenv("OCL_ICD_VENDORS", in_folder("none"), 1);
    EXPECT_ERROR(4, "no OpenCL platform", "pocl-opencl-icd");
    static const char pocl[] = "/etc/OpenCL/vendors/pocl.icd";
    if (access(pocl, R_OK)) return;
    setenv("OCL_ICD_VENDORS", pocl, 1);
    unsetenv("POCL_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/dev/null/none", 1);
    EXPECT_ERROR(4, "POCL_CACHE_DIR", "HOME");
}

Test(opencl_cache, source_that_does_not_build__shows_the_compilers_reason)
{
    char        command[512];
    const char *sources = in_folder("kernels");
    need_driver(&opencl_driver);
    setenv("SCRY_OPENCL_SOURCES", sources, 1);
    EXPECT_ERROR(6, "kernels/common.cl", "No such file");
    snprintf(command, sizeof command, "cp -r %s/kernels_cl %s", SCRY_SOURCE_DIR, sources);
    cr_assert_eq(system(command), 0);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
    cr_expect_gt(built(NULL, "copied sources"), 0);
    snprintf(command, sizeof command, "for f in %s/*.cl; do echo 'int broken = nonsense;' >>$f; done", sources);
    cr_assert_eq(system(command), 0);
    EXPECT_ERROR(4, "does not build", "nonsense", "error:", ".cl");
}

/* The cache of built OpenCL programs through the program: what is broken in it is rebuilt and replaced, and nothing
 * else changes; and the places where there is none, or no driver, or a source that does not build. */
#include "faults.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(opencl_cache, .init = make_folder, .fini = remove_folder, .timeout = 600);

enum { MOST_FILES = 64 };

struct listing {
    int  count;
    char names[MOST_FILES][64];
};

static struct listing list_cache(void)
{
    struct listing listing = {0};
    struct dirent *entry;
    DIR           *folder = opendir(in_folder("cache"));
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && listing.count < MOST_FILES)
            snprintf(listing.names[listing.count++], sizeof listing.names[0], "%s", entry->d_name);
    if (folder) closedir(folder);
    return listing;
}

static const char *in_cache(const char *name)
{
    char path[96];
    snprintf(path, sizeof path, "cache/%s", name);
    return in_folder(path);
}

static void write_bytes(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, size, file) == size, "%s", path);
    fclose(file);
}

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

enum change { CUT, GROW, FLIP, FOREIGN };

/* What happens to a cache file: cut to `at` bytes, one bit of byte `at` flipped (from the end where `at` is below 0).
 */
static const struct damage {
    const char *name;
    enum change change;
    long        at;
} damages[] = {
    {"empty", CUT, 0},
    {"cut in the head", CUT, 17},
    {"cut in the key", CUT, 200},
    {"cut in the binary", CUT, -1000},
    {"last byte missing", CUT, -1},
    {"a byte more", GROW, 0},
    {"bit in the magic", FLIP, 3},
    {"bit in the key's length", FLIP, 9},
    {"bit in the highest byte of the binary's length", FLIP, 23},
    {"bit in the checksum", FLIP, 24},
    {"bit in the key", FLIP, 40},
    {"bit in the binary", FLIP, -2000},
    {"last bit", FLIP, -1},
    {"another program's", FOREIGN, 0},
};

static void apply(const struct damage *damage, const char *name, const char *other)
{
    size_t size, at;
    char  *bytes = read_file(in_cache(damage->change == FOREIGN ? other : name), &size);
    at           = (size_t)(damage->at < 0 ? (long)size + damage->at : damage->at);
    if (damage->change == CUT) size = at;
    if (damage->change == FLIP) bytes[at] ^= 1;
    write_bytes(in_cache(name), bytes, size + (damage->change == GROW)); /* read_file ends with a 0 */
    free(bytes);
}

Test(opencl_cache, what_is_broken__is_built_anew_and_replaced)
{
    need_driver(&opencl_driver);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
    struct outcome expected = faulty_lens(&opencl_driver, FEW_IDS, NULL);
    long           programs = last_calls("clCreateProgramWithSource");
    struct listing listing  = list_cache();
    cr_assert_eq(expected.exit_code, 0, "%s", expected.err);
    cr_assert_gt(programs, 1);
    cr_expect_eq(listing.count, programs, "%d files for %ld programs", listing.count, programs);
    cr_expect_eq(built(expected.out, "whole"), 0);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const struct damage *damage = &damages[i];
        apply(damage, listing.names[0], listing.names[1]);
        cr_expect_eq(built(expected.out, damage->name), 1, "%s: not built anew", damage->name);
        cr_expect_eq(built(expected.out, damage->name), 0, "%s: not replaced", damage->name);
    }
    cr_expect_eq(list_cache().count, programs, "a temporary file was left");
    outcome_free(&expected);
}

/* The cache has a most; what was used last stays. */
Test(opencl_cache, cache_that_is_full__loses_what_was_used_longest_ago)
{
    enum { MOST = 512 };
    need_driver(&opencl_driver);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
    cr_assert_eq(mkdir(in_folder("cache"), 0700), 0);
    for (int i = 0; i < MOST; i++) {
        char                  name[32];
        const struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        snprintf(name, sizeof name, "opencl-%d.bin", i);
        write_bytes(in_cache(name), "x", 1);
        cr_assert_eq(utimensat(AT_FDCWD, in_cache(name), times, 0), 0);
    }
    long programs = built(NULL, "full cache");
    cr_expect_eq(built(NULL, "full cache"), 0);
    for (int i = 0; i < MOST; i++) {
        char name[32];
        snprintf(name, sizeof name, "opencl-%d.bin", i);
        cr_expect_eq(!access(in_cache(name), F_OK), i >= programs, "%s", name);
    }
}

/* What stands in the way of a file or of the directory costs the cache and nothing else. */
Test(opencl_cache, place_that_cannot_be_written__costs_only_the_cache)
{
    need_driver(&opencl_driver);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
    struct outcome expected = faulty_lens(&opencl_driver, FEW_IDS, NULL);
    struct listing listing  = list_cache();
    cr_assert_eq(expected.exit_code, 0, "%s", expected.err);
    cr_assert_gt(listing.count, 0);
    unlink(in_cache(listing.names[0]));
    cr_assert_eq(mkdir(in_cache(listing.names[0]), 0700), 0);
    cr_expect_eq(built(expected.out, "a directory in a file's place"), 1);
    cr_expect_eq(built(expected.out, "a directory in a file's place"), 1);
    cr_expect_eq(list_cache().count, listing.count, "a temporary file was left");
    static const char *const places[] = {"/dev/null/none", "/proc", "relative", ""};
    setenv("POCL_CACHE_DIR", in_folder("pocl"), 0);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        setenv("SCRY_CACHE_DIR", places[i], 1);
        cr_expect_gt(built(expected.out, places[i]), 0, "%s", places[i]);
        struct outcome told = SCRY("lens", "--device", "opencl:0", "--ids", FEW_IDS, "-v");
        cr_expect_eq(count_lines(told.err, "the cache cannot be written"), 1, "%s: %s", places[i], told.err);
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

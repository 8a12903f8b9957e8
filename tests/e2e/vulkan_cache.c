/* What the Vulkan backend keeps on disk, through the program: what is broken there is made anew and replaced, and
 * nothing else changes; a driver never sees pipelines that are not its own; what self-tests found is remembered. */
#include "faults.h"
#include "kept.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(vulkan_cache, .init = make_folder, .fini = remove_folder, .timeout = 600);

static void begin(void)
{
    need_driver(&vulkan_driver);
    setenv("SCRY_CACHE_DIR", in_folder("cache"), 1);
}

enum { MOST = 32, KIND_BYTES = 16 };

/* The file that keeps this; fails the test where there is none. */
static const char *find_kept(const char *kind)
{
    static struct kept_files files;
    files = kept_list();
    for (int i = 0; i < files.count; i++) {
        char *bytes = read_file(kept_path(files.names[i]), NULL);
        bool  found = !strncmp(bytes + KEPT_HEAD, kind, KIND_BYTES);
        free(bytes);
        if (found) return files.names[i];
    }
    cr_assert_fail("no file keeps %s", kind);
    return NULL;
}

/* A run that must succeed: how often it said this. */
static int said(const char *text, const char *what)
{
    struct outcome outcome = SCRY("conform", "--device", "vulkan:0", "--only", "fill/zero", "-v");
    cr_expect_eq(outcome.exit_code, 0, "%s: exit code %d: %s", what, outcome.exit_code, outcome.err);
    int count = count_lines(outcome.err, text);
    outcome_free(&outcome);
    return count;
}

/* Runs with a file as it is now: it is refused once, and put back as it was. */
static void expect_replaced(const char *name, const char *original, size_t size, const char *refusal, const char *what)
{
    size_t now_size;
    cr_expect_eq(said(refusal, what), 1, "%s: %s was not refused", what, name);
    char *now = read_file(kept_path(name), &now_size);
    cr_expect(now_size == size && !memcmp(now, original, size), "%s: %s was not replaced", what, name);
    free(now);
}

static void expect_damages(const char *kind, const char *other_kind)
{
    char   name[64], other[64];
    size_t size;
    said("not usable", "first run");
    snprintf(name, sizeof name, "%s", find_kept(kind));
    snprintf(other, sizeof other, "%s", find_kept(other_kind));
    char *original = read_file(kept_path(name), &size);
    cr_expect_eq(said("not usable", "whole"), 0);
    for (int i = 0; i < kept_damage_count; i++) {
        kept_apply(&kept_damages[i], name, other);
        /* An empty file counts as none. */
        if (!i)
            cr_expect_eq(said("not usable", "empty"), 0);
        else
            expect_replaced(name, original, size, "is not usable", kept_damages[i].name);
    }
    cr_expect_eq(kept_list().count, 2, "a temporary file was left");
    free(original);
}

Test(vulkan_cache, pipelines_that_are_broken__are_replaced)
{
    begin();
    expect_damages("pipelines", "self-tests 1");
}

Test(vulkan_cache, verdicts_that_are_broken__are_replaced)
{
    begin();
    expect_damages("self-tests 1", "pipelines");
}

/* Under a sound checksum: what only the standard's header tells. */
Test(vulkan_cache, pipelines_of_another_driver__never_reach_this_one)
{
    static const struct damage rows[] = {
        {"header of another size", FLIP, CONTENT, 0}, {"header in another version", FLIP, CONTENT, 4},
        {"another vendor's", FLIP, CONTENT, 8},       {"another device's", FLIP, CONTENT, 12},
        {"another driver's", FLIP, CONTENT, 16},      {"another driver's, by its last byte", FLIP, CONTENT, 31},
        {"less than a header", CUT, CONTENT, 31},
    };
    char   name[64];
    size_t size;
    begin();
    said("not usable", "first run");
    snprintf(name, sizeof name, "%s", find_kept("pipelines"));
    char *original = read_file(kept_path(name), &size);
    for (int i = 0; i < COUNT(rows); i++) {
        kept_apply(&rows[i], name, NULL);
        kept_seal(name);
        expect_replaced(name, original, size, "another driver's", rows[i].name);
    }
    free(original);
}

Test(vulkan_cache, cache_that_is_full__loses_what_was_used_longest_ago)
{
    begin();
    kept_fill("vulkan", MOST);
    said("not usable", "full cache");
    cr_expect_eq(kept_gone("vulkan", MOST), 2);
    cr_expect_eq(said("not usable", "full cache"), 0);
    cr_expect_eq(kept_list().count, MOST);
}

Test(vulkan_cache, place_that_cannot_be_written__costs_only_the_cache)
{
    begin();
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    for (const char *const *place = unusable_places; *place; place++) {
        setenv("SCRY_CACHE_DIR", *place, 1);
        cr_expect_eq(said("the cache cannot be written", *place), 1, "%s", *place);
    }
}

/* Results stay right without the path, and what foreign kernels did is not remembered. */
Test(vulkan_cache, self_test_that_fails__switches_the_path_off)
{
    static const struct {
        const char *shaders, *row, *says;
    } cases[] = {
        {SCRY_PLANTED_SHADERS "/wrong", "softmax/causal", "subgroups is off: its self-test failed"},
        {SCRY_PLANTED_SHADERS "/wrong_half", "matmul/allow-f16", "float16 is off: its self-test failed: matmul"},
    };
    begin();
    for (int i = 0; i < COUNT(cases); i++) {
        setenv("SCRY_VULKAN_SHADERS", cases[i].shaders, 1);
        struct outcome outcome = SCRY("conform", "--device", "vulkan:0", "--only", cases[i].row);
        cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
        cr_expect_eq(count_lines(outcome.err, cases[i].says), 1, "%s", outcome.err);
        outcome_free(&outcome);
        cr_expect_eq(kept_list().count, 0);
    }
    unsetenv("SCRY_VULKAN_SHADERS");
    cr_expect_eq(said("is off", "scry's own"), 0);
}

Test(vulkan_cache, switches_of_paths__are_checked)
{
    begin();
    setenv("SCRY_VULKAN_PATHS", "-subgroups,-float16", 1);
    cr_expect_eq(said("is off", "both off"), 0);
    setenv("SCRY_VULKAN_PATHS", "-subgroups,-float", 1);
    struct outcome outcome = SCRY("conform", "--device", "vulkan:0", "--only", "fill/zero");
    cr_expect(strstr(outcome.out, "SCRY_VULKAN_PATHS: \"-float\""), "%s", outcome.out);
    cr_expect_neq(outcome.exit_code, 0);
    outcome_free(&outcome);
}

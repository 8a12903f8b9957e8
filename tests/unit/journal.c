/* Journals: lines that are there again, torn ones that are not, one writer at a time. */
#include "base/journal.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96];

static void make(void)
{
    snprintf(folder, sizeof folder, "/tmp/scry-journal-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/j", folder);
}

static void remove_all(void)
{
    unlink(path);
    rmdir(path);
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(journal, .init = make, .fini = remove_all);

static void write_bytes(const char *bytes)
{
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(bytes, file) >= 0 && !fclose(file));
}

/* The whole file is `expected`. */
static void expect_bytes(const char *expected)
{
    char  *bytes = NULL;
    size_t size  = 0;
    cr_assert_eq(scry__file_read(&bytes, &size, path, 1000), SCRY_OK, "%s", scry_last_error());
    cr_expect_str_eq(bytes, expected);
    scry_free(bytes);
}

Test(journal, open__gives_whole_lines_and_goes_on_behind_them)
{
    static const struct {
        const char *bytes, *lines[4], *after;
    } cases[] = {
        {"", {NULL}, "new\n"},        {"a\nbc\n", {"a", "bc"}, "a\nbc\nnew\n"},
        {"a\nbc", {"a"}, "a\nnew\n"}, {"\n\nx", {"", ""}, "\n\nnew\n"},
        {"torn", {NULL}, "new\n"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        scry__journal journal;
        const char   *line;
        size_t        size;
        int           count = 0;
        write_bytes(cases[c].bytes);
        cr_assert_eq(scry__journal_open(&journal, path), SCRY_OK, "%s", scry_last_error());
        for (; scry__journal_read(&journal, &line, &size); count++)
            cr_expect(cases[c].lines[count] && size == strlen(cases[c].lines[count]) &&
                          !memcmp(line, cases[c].lines[count], size),
                      "case %zu, line %d", c, count);
        cr_expect(!cases[c].lines[count], "case %zu: %d lines", c, count);
        cr_expect_eq(journal.line, count);
        cr_expect_eq(scry__journal_add(&journal, "new\n", 4), SCRY_OK);
        cr_expect_eq(journal.line, count + 1);
        scry__journal_close(&journal);
        expect_bytes(cases[c].after);
    }
}

Test(journal, remove__leaves_nothing)
{
    scry__journal journal;
    cr_assert_eq(scry__journal_open(&journal, path), SCRY_OK);
    cr_expect_eq(scry__journal_add(&journal, "x\n", 2), SCRY_OK);
    cr_expect_eq(scry__journal_remove(&journal), SCRY_OK);
    cr_expect(access(path, F_OK));
    scry__journal_close(&journal);
}

Test(journal, open__is_refused_to_a_second_writer_and_for_what_is_no_file)
{
    scry__journal first, second;
    cr_assert_eq(scry__journal_open(&first, path), SCRY_OK);
    cr_expect_eq(scry__journal_open(&second, path), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "another process"), "%s", scry_last_error());
    scry__journal_close(&first);
    cr_assert_eq(scry__journal_open(&second, path), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__journal_remove(&second), SCRY_OK);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_eq(scry__journal_open(&first, path), SCRY_IO);
    cr_expect(strstr(scry_last_error(), path), "%s", scry_last_error());
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(scry__journal_open(&first, path), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "expected a regular file"), "%s", scry_last_error());
}

Test(journal, open__survives_every_refused_allocation)
{
    struct refusals refusals = {0};
    while (refusals_next(&refusals)) {
        scry__journal journal;
        scry_status   status = scry__journal_open(&journal, path);
        refusals_check(&refusals, status, journal.descriptor >= 0);
        scry__journal_close(&journal);
    }
    cr_expect_geq(refusals.refused, 1);
}

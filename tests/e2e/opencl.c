/* Running the program on an OpenCL device whose calls are counted and may fail. See opencl.h. */
#include "opencl.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void need_opencl(void)
{
    struct outcome outcome = SCRY("conform", "--device", "opencl:0", "--only", "copy/one", "-q");
    bool           there   = !outcome.exit_code;
    cr_assert(there || !getenv("SCRY_TEST_OPENCL"), "%s", outcome.err);
    outcome_free(&outcome);
    if (!there) cr_skip("no OpenCL device: install pocl-opencl-icd to run this test");
}

struct outcome opencl_lens(const char *ids, const char *fault)
{
    char        options[512];
    const char *given = getenv("ASAN_OPTIONS"); /* a sanitizer's library wants to be the first */
    snprintf(options, sizeof options, "%s:verify_asan_link_order=0", given ? given : "");
    if (!given || !strstr(given, "verify_asan_link_order")) setenv("ASAN_OPTIONS", options, 1);
    setenv("SCRY_FAULT_REPORT", in_folder("calls"), 1);
    fault ? setenv("SCRY_FAULT", fault, 1) : unsetenv("SCRY_FAULT");
    setenv("LD_PRELOAD", SCRY_OPENCL_FAULTS, 1);
    struct outcome outcome = SCRY("lens", "--device", "opencl:0", "--ids", ids, "--json", "-q");
    unsetenv("LD_PRELOAD");
    return outcome;
}

long opencl_count(const char *report, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = report; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (!strncmp(at, name, length) && at[length] == ' ') return strtol(at + length, NULL, 10);
    return 0;
}

long opencl_last_count(const char *name)
{
    char *report = read_file(in_folder("calls"), NULL);
    long  count  = opencl_count(report, name);
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

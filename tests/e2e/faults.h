/* Running the program on a plugin's device whose driver's calls are counted and may fail. The calls fail in a library
 * that is preloaded between the plugin and the driver's loader (tests/plugins/opencl_faults.c, vulkan_faults.c), or in
 * the driver itself where that is a test's own (tests/emulation). */
#ifndef SCRY_TESTS_E2E_FAULTS_H
#define SCRY_TESTS_E2E_FAULTS_H

#include "program.h"

#include <stdbool.h>

struct driver {
    const char *device;   /* "opencl:0" */
    const char *library;  /* to be preloaded; NULL: none */
    const char *said;     /* a part of each reason */
    const char *required; /* the variable under which a missing device fails the test */
    const char *package;  /* of Debian, which brings such a device */
    const char *kernels;  /* as --kernels takes them, instead of its choice */
};

extern const struct driver opencl_driver, vulkan_driver, cuda_driver, cublas_driver;

/* Skips the test, saying so, on machines without such a device; fails it there under $SCRY_TEST_OPENCL,
 * $SCRY_TEST_VULKAN or $SCRY_TEST_CUDA. */
void need_driver(const struct driver *driver);

/* A short prompt for the demo model. */
#define FEW_IDS "5,17,3"

/* 300 ids, long enough for buffers in parts of 1 MiB. */
const char *many_ids(void);

/* `scry lens` on the device under the preloaded library, which fails what `fault` says (NULL: nothing) and leaves its
 * report as "calls" in the test's folder. */
struct outcome faulty_lens(const struct driver *driver, const char *ids, const char *fault);

/* What a report says of a function: how often it was called; of "left": the objects that were not released. Several
 * libraries may have added to it. */
long count_calls(const char *report, const char *name);

/* The same of the last run. */
long last_calls(const char *name);

/* The same results in two runs' JSON, from devices that may have told different things of themselves. */
bool same_results(const char *out, const char *expected);

/* How often `text` holds `part`. */
int count_lines(const char *text, const char *part);

/* Where what the driver builds comes from: built at every start, with a place to keep it (an empty cache) or without,
 * or taken from the test's own cache. */
enum cache { NO_CACHE, EMPTY_CACHE, FULL_CACHE };

void use_cache(enum cache cache);

/* OR_DONE: the program may also find another way and be done. */
enum { NO_DEVICE = 4, NO_MEMORY = 5, LOST = 7, OR_DONE = 64, HARMLESS = OR_DONE };

/* What the program makes of a function that fails with a code. */
struct fault {
    const char *function;
    int         code, exit_code;
};

/* Each of these calls fails in a run of its own: the first, the second, one in the middle, the last. The program gives
 * the same result as without it, or ends as the row says, with one line that says why; and every object is released. */
void expect_ends(const struct driver *driver, const char *ids, const struct fault *rows, int count, enum cache cache);

/* Each function that the plugin calls with such a prompt is in the table. */
void expect_rows(const struct driver *driver, const char *ids, const struct fault *rows, int count);

/* From some call on, as `rule` says, the driver answers nothing but this code. */
void expect_gone(const struct driver *driver, const char *rule, int exit_code);

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

#endif

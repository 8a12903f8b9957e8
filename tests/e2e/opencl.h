/* Running the program on an OpenCL device whose calls are counted and may fail. */
#ifndef SCRY_TESTS_E2E_OPENCL_H
#define SCRY_TESTS_E2E_OPENCL_H

#include "program.h"

#include <stdbool.h>

/* Skips the test, saying so, on machines without an OpenCL device; fails it there under $SCRY_TEST_OPENCL. */
void need_opencl(void);

/* A short prompt for the demo model. */
#define FEW_IDS "5,17,3"

/* `scry lens` on opencl:0 under the preloaded library (tests/plugins/opencl_faults.c), which fails what `fault` says
 * (NULL: nothing) and leaves its report as "calls" in the test's folder. */
struct outcome opencl_lens(const char *ids, const char *fault);

/* What a report says of a function: how often it was called; of "left": the objects that were not released. */
long opencl_count(const char *report, const char *name);

/* The same of the last run. */
long opencl_last_count(const char *name);

/* The same results in two runs' JSON, from devices that may have told different things of themselves. */
bool same_results(const char *out, const char *expected);

/* How often `text` holds `part`. */
int count_lines(const char *text, const char *part);

#endif

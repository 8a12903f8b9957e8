/* Comparing what a page shows with a result's JSON. */
#ifndef SCRY_TESTS_BROWSER_SHOWN_H
#define SCRY_TESTS_BROWSER_SHOWN_H

#include <jansson.h>

json_t     *at(json_t *array, int index);
json_t     *of(json_t *object, const char *key);
double      number_of(json_t *object, const char *key); /* NaN where it is null */
int         int_of(json_t *object, const char *key);
const char *text_at(json_t *array, int index); /* "" where there is none */

/* "39.7 %", "< 0.01 %" as shares; how far off the digits shown may be goes to *slack. NaN for a dash. */
double read_percent(const char *text, double *slack);
/* "0.123", "+1.5"; NaN for a dash. */
double read_number(const char *text);

/* Fails the test where the two differ by more, or one alone is NaN. */
void expect_close(double shown, double exact, double slack, const char *what, int i, int j);

/* Half of the last of that many decimals, and what five significant digits lose. */
double decimals(int count, double exact);

#endif

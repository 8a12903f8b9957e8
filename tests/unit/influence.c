/* What an output position drew on: sinks and their null, rollout, and cuts, against facts that hold whatever the model.
 */
#include "analysis/received.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- what keys receive --- */

enum { ROWS = 100 };

/* A[i][j] of a head that does nothing: even over what the row sees. */
static double even(int row, int key, int window)
{
    int first = window && row >= window ? row - window + 1 : 0;
    return key < first || key > row ? 0 : 1.0 / (row - first + 1);
}

Test(influence, received_null__is_the_sum_over_rows_that_see_the_key)
{
    static const struct {
        int count, window;
    } cases[] = {{1, 0}, {2, 0}, {ROWS, 0}, {ROWS, 1}, {ROWS, 7}, {ROWS, ROWS - 1}, {ROWS, ROWS}, {ROWS, 3 * ROWS}};
    double null[ROWS];
    for (size_t c = 0; c < COUNT(cases); c++) {
        double all = 0;
        scry__received_null(null, cases[c].count, cases[c].window);
        for (int key = 0; key < cases[c].count; key++) {
            double sum  = 0;
            int    rows = 0;
            for (int row = 0; row < cases[c].count; row++) {
                double weight = even(row, key, cases[c].window);
                sum += weight;
                rows += weight > 0;
            }
            all += null[key];
            cr_expect_float_eq(null[key], sum, 1e-12, "case %zu, key %d: %g, not %g", c, key, null[key], sum);
            cr_expect_eq(scry__received_rows(cases[c].count, cases[c].window, key), rows, "case %zu, key %d", c, key);
        }
        cr_expect_float_eq(all, cases[c].count, 1e-10, "case %zu: rows sum to 1", c);
    }
}

static int sinks_of(double (*weight)(int row, int key, int window), int window)
{
    double null[ROWS];
    int    sinks = 0;
    scry__received_null(null, ROWS, window);
    for (int key = 0; key < ROWS; key++) {
        double received = 0;
        for (int row = key; row < ROWS; row++) received += weight(row, key, window);
        sinks += scry__is_sink(received, null[key], scry__received_rows(ROWS, window, key));
    }
    return sinks;
}

static double to_previous(int row, int key, int window)
{
    (void)window;
    return key == (row ? row - 1 : 0);
}

static double to_first(int row, int key, int window)
{
    (void)row, (void)window;
    return key == 0;
}

static double half_to_third(int row, int key, int window)
{
    return row < 3 ? even(row, key, window) : key == 3 ? 0.5 : 0.5 * even(row, key, window);
}

Test(influence, sinks__are_keys_that_most_rows_attend_to)
{
    static const struct {
        const char *name;
        double (*weight)(int row, int key, int window);
        int window, sinks;
    } cases[] = {
        {"uniform", even, 0, 0},         {"uniform in a window", even, 9, 0},
        {"uniform, narrow", even, 2, 0}, {"the previous", to_previous, 0, 0},
        {"the first", to_first, 0, 1},   {"half", half_to_third, 0, 1},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        int sinks = sinks_of(cases[c].weight, cases[c].window);
        cr_expect_eq(sinks, cases[c].sinks, "%s: %d sinks", cases[c].name, sinks);
    }
}

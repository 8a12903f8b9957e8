/* Compensated sums: the rounding error of each addition is kept beside the sum (Neumaier's method, in Knuth's form
 * without a branch). The result is as if summed in about twice the precision of double, then rounded once. */
#ifndef SCRY_REFERENCE_SUM_H
#define SCRY_REFERENCE_SUM_H

#include <math.h>

struct sum {
    double high, low;
};

static inline void sum_add(struct sum *sum, double value)
{
    double total = sum->high + value;
    double added = total - sum->high;
    sum->low += (sum->high - (total - added)) + (value - added);
    sum->high = total;
}

/* An infinite or NaN sum has a meaningless error term. */
static inline double sum_value(const struct sum *sum)
{
    return isfinite(sum->high) ? sum->high + sum->low : sum->high;
}

#endif

/* A call again and again, each time with another of its allocations refused:
 *
 *     struct refusals refusals = {0};
 *     while (refusals_next(&refusals)) {
 *         scry_lens *lens = NULL;
 *         refusals_check(&refusals, scry_lens_run(&lens, ...), lens != NULL);
 *         scry_lens_destroy(&lens);
 *     }
 *     cr_expect_gt(refusals.refused, 40);
 *
 * Some refusals are survived, such as that of more scratch than an op needs. */
#ifndef TESTS_UNIT_REFUSALS_H
#define TESTS_UNIT_REFUSALS_H

#include "scry/status.h"

#include <stdbool.h>

struct refusals {
    long n;       /* which allocation is refused, from 1 on */
    int  refused; /* calls that failed */
    bool over;    /* the call had fewer allocations, and succeeded */
};

/* Prepares the next refusal; false once the call has run through. */
bool refusals_next(struct refusals *self);

/* The call must have succeeded and left its result, or said SCRY_OUT_OF_MEMORY and left none. */
void refusals_check(struct refusals *self, scry_status status, bool has_result);

#endif

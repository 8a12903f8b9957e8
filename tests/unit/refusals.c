/* Refused allocations, one after the other. See refusals.h. */
#include "refusals.h"

#include "base/alloc.h"

#include <criterion/criterion.h>

enum { MOST_ALLOCATIONS = 100000 };

bool refusals_next(struct refusals *self)
{
    if (self->over) return false;
    cr_assert_lt(self->n, MOST_ALLOCATIONS, "still refused at allocation %ld", self->n);
    scry__alloc_fail_at(++self->n);
    return true;
}

void refusals_check(struct refusals *self, scry_status status, bool has_result)
{
    self->over = scry__alloc_fail_at(0);
    self->refused += status != SCRY_OK;
    cr_assert(status == SCRY_OK || (status == SCRY_OUT_OF_MEMORY && !self->over), "allocation %ld: %s: %s", self->n,
              scry_status_text(status), scry_last_error());
    cr_assert_eq(has_result, status == SCRY_OK, "allocation %ld", self->n);
}

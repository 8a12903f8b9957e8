/* From the result codes of a driver's API to statuses with a reason. */
#ifndef SCRY_SHARED_CODES_H
#define SCRY_SHARED_CODES_H

#include "scry/backend.h"

/* A code that a reader may meet. */
struct scry__code {
    int64_t     code;
    const char *text; /* its name, and more where it needs it */
    scry_status status;
};

struct scry__codes {
    const struct scry__code *list;
    size_t                   count;
    const char              *api;     /* "vulkan": what the detail begins with */
    const char              *unnamed; /* what is said of codes that are not in the list: SCRY_UNSUPPORTED */
};

/* The row of `code`; NULL where the list has none. */
const struct scry__code *scry__codes_find(const struct scry__codes *codes, int64_t code);

/* Says `code`, met in the call `what`, by host->fail as "API: WHAT: TEXT (CODE)", and returns its status. Where that is
 * SCRY_DEVICE_LOST, *lost, if there is one, becomes true. */
scry_status scry__codes_fail(const struct scry__codes *codes, const struct scry_host *host, int64_t code,
                             const char *what, bool *lost);

#endif

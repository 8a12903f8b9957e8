/* Lists of small numbers as people write them: "0-3,5". */
#ifndef SCRY_TRACE_LIST_H
#define SCRY_TRACE_LIST_H

#include "scry/status.h"

#include <stdbool.h>

/* Sets member[i] for every number of `text`, all of them where text is NULL or "all"; numbers run from 0 to count-1.
 * `what` ("layer", "head") names them in errors. */
scry_status scry__list_parse(const char *text, const char *what, int count, bool *member);

#endif

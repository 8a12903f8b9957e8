/* JSON Lines: a file with one object a line. */
#ifndef SCRY_BASE_JSON_LINES_H
#define SCRY_BASE_JSON_LINES_H

#include "base/json.h"

/* Calls `each` with every line's object, in order; it may keep a reference. at.origin is "PATH: line N", N from 1, and
 * gone behind the call. Empty lines are skipped; a file without any object is SCRY_BAD_INPUT, as is one that is no
 * text, or a line that is no object. The first status other than SCRY_OK ends it. */
scry_status scry__json_lines(const char *path, scry_status (*each)(void *user, scry__json_at at, int line), void *user);

#endif

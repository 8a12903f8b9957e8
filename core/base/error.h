/* Setting the thread's error detail. */
#ifndef SCRY_BASE_ERROR_H
#define SCRY_BASE_ERROR_H

#include "scry/status.h"

#include <stddef.h>

/* Sets the detail (cut at about 1,000 bytes) and returns `status`, so that `return scry__fail(...)` reads well. */
scry_status scry__fail(scry_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory, without allocating. */
scry_status scry__fail_memory(size_t count, size_t size);

/* Puts "prefix: " before the present detail: how callers add the file or tensor that they know. Returns `status`. */
scry_status scry__fail_prefix(scry_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

void scry__log(scry_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

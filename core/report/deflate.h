/* Deflate, as zlib writes it: what browsers inflate with DecompressionStream("deflate"). */
#ifndef SCRY_REPORT_DEFLATE_H
#define SCRY_REPORT_DEFLATE_H

#include "scry/status.h"

#include <stddef.h>
#include <stdint.h>

/* The same bytes always give the same result. *out is allocated; release it with scry__free. */
scry_status scry__deflate(uint8_t **out, size_t *out_size, const void *bytes, size_t size);

#endif

/* The kernels' sources: the files in kernels_cl/, embedded when scry is built. */
#ifndef SCRY_OPENCL_SOURCES_H
#define SCRY_OPENCL_SOURCES_H

#include <stddef.h>
#include <stdint.h>

#include "scry/status.h"

typedef struct scry__cl_source {
    const char *text; /* NUL-terminated */
    size_t      size;
    uint8_t     sha256[32];
} scry__cl_source;

/* kernels_cl/FILE.cl as it was embedded, or as it lies in the directory that $SCRY_OPENCL_SOURCES names; there `*owned`
 * is what to release. */
scry_status scry__cl_source_find(const char **text, char **owned, const char *file);

#endif

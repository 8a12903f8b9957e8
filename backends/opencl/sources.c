/* Finding a kernel's source. See sources.h. */
#include "sources.h"

#include "opencl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SCRY__CL_SOURCE_LIST(X): X(name) for each file; made by the build. */
#include "list.h"

#define DECLARE(name) extern const scry__cl_source scry__cl_source_##name;
SCRY__CL_SOURCE_LIST(DECLARE)
#undef DECLARE

static const struct {
    const char            *file;
    const scry__cl_source *source;
} sources[] = {
#define ROW(name) {#name, &scry__cl_source_##name},
    SCRY__CL_SOURCE_LIST(ROW)
#undef ROW
};

enum { MOST_BYTES = 1 << 20 };

static scry_status read_source(char **text, const char *directory, const char *file)
{
    char        path[4096];
    scry_status status = SCRY_OUT_OF_MEMORY;
    snprintf(path, sizeof path, "%s/%s.cl", directory, file);
    FILE *stream = fopen(path, "re");
    if (!stream) return scry__cl_host->fail(SCRY_IO, "%s: %s", path, strerror(errno));
    *text = scry__cl_host->allocate(MOST_BYTES + 1, 1);
    if (!*text) goto fail;
    status = SCRY_OK;
    if (fread(*text, 1, MOST_BYTES + 1, stream) > MOST_BYTES)
        status = scry__cl_host->fail(SCRY_BAD_INPUT, "%s: expected at most %d bytes", path, (int)MOST_BYTES);
    else if (ferror(stream))
        status = scry__cl_host->fail(SCRY_IO, "%s: %s", path, strerror(errno));

fail:
    fclose(stream);
    return status;
}

scry_status scry__cl_source_find(const char **text, char **owned, const char *file)
{
    const char *directory = secure_getenv("SCRY_OPENCL_SOURCES");
    if (directory && *directory) {
        scry_status status = read_source(owned, directory, file);
        *text              = *owned;
        return status;
    }
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (strcmp(sources[i].file, file)) continue;
        *text = sources[i].source->text;
        return SCRY_OK;
    }
    return scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: there is no kernel file %s.cl", file);
}

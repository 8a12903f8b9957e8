/* Finding a kernel's source. See sources.h. */
#include "sources.h"

#include "opencl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SCRY__CL_SOURCE_LIST(X): X(name) for each file; made by the build. */
#include "sources_list.h"

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

static char *read_source(const char *directory, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.cl", directory, file);
    FILE *stream = fopen(path, "re");
    char *text   = stream ? scry__cl_host->allocate(MOST_BYTES + 1, 1) : NULL;
    if (!stream) scry__cl_host->fail(SCRY_IO, "%s: %s", path, strerror(errno));
    if (text && fread(text, 1, MOST_BYTES + 1, stream) > MOST_BYTES) {
        scry__cl_host->fail(SCRY_BAD_INPUT, "%s: expected at most %d bytes", path, (int)MOST_BYTES);
        scry__cl_host->release(text);
        text = NULL;
    }
    if (stream) fclose(stream);
    return text;
}

const char *scry__cl_source_text(const char *file, char **owned)
{
    const char *directory = secure_getenv("SCRY_OPENCL_SOURCES");
    *owned                = directory && *directory ? read_source(directory, file) : NULL;
    if (directory && *directory) return *owned;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (!strcmp(sources[i].file, file)) return sources[i].source->text;
    scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: there is no kernel file %s.cl", file);
    return NULL;
}

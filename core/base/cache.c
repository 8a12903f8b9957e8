/* The cache's folder. See cache.h. */
#include "base/cache.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

scry_status scry__cache_path(char **out, const char *name)
{
    static const struct {
        const char *variable, *below;
    } places[]      = {{"SCRY_CACHE_DIR", ""}, {"XDG_CACHE_HOME", "/scry"}, {"HOME", "/.cache/scry"}};
    scry__text path = {0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *base = secure_getenv(places[i].variable);
        if (!base || *base != '/') continue;
        scry__text_addf(&path, "%s%s/%s", base, places[i].below, name);
        return scry__text_take(&path, out, NULL);
    }
    return scry__fail(SCRY_IO, "no folder for what is kept: SCRY_CACHE_DIR names one");
}

void scry__cache_make_folders(const char *path)
{
    char *folder = scry__strdup(path);
    for (char *slash = folder ? folder + 1 : NULL; slash && (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(folder, 0700);
        *slash = '/';
    }
    scry__free(folder);
}

/* The registry of backends: those linked in, those that scry knows by name, and those found as plugins.
 *
 * A plugin is loaded when it is first asked for, once in the life of the process; a failure keeps its reason and
 * changes nothing else. Every function may be called from any thread. */
#ifndef SCRY_DEVICE_REGISTRY_H
#define SCRY_DEVICE_REGISTRY_H

#include "scry/backend.h"

enum { SCRY__BACKEND_NAME = 16, SCRY__MAX_BACKENDS = 32 };

/* One backend; never moves and never changes once handed out. */
typedef struct scry__entry {
    char                       name[SCRY__BACKEND_NAME];
    const struct scry_backend *backend;     /* NULL: cannot be used */
    char                       reason[256]; /* why not */
    bool                       loaded;      /* tried, with or without success */
} scry__entry;

/* The entry of that name, loading its plugin if that was not tried yet; NULL where there is no such backend. */
const scry__entry *scry__registry_find(const char *name);

/* Looks for plugins without loading any: *entries is the registry's array, the count is returned. */
int scry__registry_scan(const scry__entry **entries);

/* The table that backends call back through. */
extern const struct scry_host scry__host;

/* What a table says of itself must hold before any of its functions is called. NULL if all is well, else what is wrong
 * (in `reason`, of `size` bytes). `name` is what it must be called. */
const char *scry__backend_refuse(const struct scry_backend *backend, const char *name, char *reason, size_t size);

/* Loads libscry-NAME.so from `path`. NULL with the reason where that fails. */
const struct scry_backend *scry__plugin_load(const char *path, const char *name, char *reason, size_t size);

/* Looks through the plugin directories in order; true with the path of the first libscry-NAME.so. */
bool scry__plugin_find(const char *name, char *path, size_t size);

/* Calls `found` for the name of each plugin file in each directory, in no particular order. */
void scry__plugin_scan(void (*found)(const char *name));

#endif

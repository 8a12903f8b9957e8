/* The table of backends. See registry.h. */
#include "device/registry.h"

#include "absent.h"
#include "base/text.h"
#include "device/builtin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* STATIC_BACKEND(identifier, name) for each plugin that the build links in; its entry is then scry_IDENTIFIER_entry. */
#ifndef SCRY_STATIC_BACKENDS
#define SCRY_STATIC_BACKENDS
#endif

#define STATIC_BACKEND(identifier, name) scry_backend_entry_function scry_##identifier##_entry;
SCRY_STATIC_BACKENDS
#undef STATIC_BACKEND

/* Listed even where no plugin is installed, so that people see what there could be. */
static const char *const known[] = {"cuda", "opencl", "vulkan"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static scry__entry     entries[SCRY__MAX_BACKENDS];
static int             entry_count;
static bool            scanned;

static scry__entry *lookup(const char *name)
{
    for (int i = 0; i < entry_count; i++)
        if (!strcmp(entries[i].name, name)) return &entries[i];
    return NULL;
}

static scry__entry *append(const char *name)
{
    if (entry_count == SCRY__MAX_BACKENDS) return NULL;
    scry__entry *entry = &entries[entry_count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    return entry;
}

static void append_builtin(const char *name, scry_backend_entry_function *function)
{
    scry__entry               *entry   = append(name);
    const struct scry_backend *backend = function(&scry__host);
    if (!scry__backend_refuse(backend, name, entry->reason, sizeof entry->reason)) entry->backend = backend;
    entry->loaded = true;
}

static void note_plugin(const char *name)
{
    if (!lookup(name)) append(name);
}

/* With the lock held. */
static void prepare(void)
{
    if (entry_count) return;
    append_builtin("reference", scry_reference_entry);
    append_builtin("cpu", scry_cpu_entry);
#define STATIC_BACKEND(identifier, name) append_builtin(#name, scry_##identifier##_entry);
    SCRY_STATIC_BACKENDS
#undef STATIC_BACKEND
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) note_plugin(known[i]);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const scry__entry *)a)->name, ((const scry__entry *)b)->name);
}

/* With the lock held. Directories come in no fixed order, so what they hold is sorted before anyone sees it. */
static void scan(void)
{
    prepare();
    if (scanned) return;
    scanned   = true;
    int first = entry_count;
    scry__plugin_scan(note_plugin);
    qsort(entries + first, (size_t)(entry_count - first), sizeof *entries, compare_names);
}

/* Why this build made no plugin of that name; NULL where it did, or where the name is not one of its own. */
static const char *absence(const char *name)
{
    static const struct {
        const char *name, *reason;
    } absent[] = {
#define ABSENT_ROW(name, reason) {#name, reason},
        SCRY__ABSENT_LIST(ABSENT_ROW)
#undef ABSENT_ROW
            {NULL, NULL},
    };
    int i = 0;
    while (absent[i].name && strcmp(absent[i].name, name)) i++;
    return absent[i].reason;
}

static void explain(scry__entry *entry)
{
    const char *reason = absence(entry->name);
    snprintf(entry->reason, sizeof entry->reason, "not installed: no libscry-%s.so in the plugin directories%s%s",
             entry->name, reason ? ", and this build made none: " : "", reason ? reason : "");
}

/* With the lock held. */
static void load(scry__entry *entry)
{
    char path[4096];
    if (entry->loaded) return;
    if (scry__plugin_find(entry->name, path, sizeof path))
        entry->backend = scry__plugin_load(path, entry->name, entry->reason, sizeof entry->reason);
    else
        explain(entry);
    entry->loaded = true;
}

const scry__entry *scry__registry_find(const char *name)
{
    pthread_mutex_lock(&lock);
    prepare();
    scry__entry *entry = lookup(name);
    if (!entry) {
        scan();
        entry = lookup(name);
    }
    if (entry) load(entry);
    pthread_mutex_unlock(&lock);
    return entry;
}

int scry__registry_scan(const scry__entry **out)
{
    pthread_mutex_lock(&lock);
    scan();
    int count = entry_count;
    pthread_mutex_unlock(&lock);
    *out = entries;
    return count;
}

/* What the libraries share that fail a driver's calls on demand: preloaded before the program, each stands between a
 * plugin and the driver's loader.
 *
 *   SCRY_FAULT         "clFinish:3:-5": the third call of clFinish gives -5 and does nothing; "clFinish:3+:-5": and so
 *                      does every later call of any function but releases, as on a device that is gone
 *   SCRY_FAULT_REPORT  a file to which are added, when the program ends, a line "NAME CALLS" for each function that was
 *                      called, and "left N" with the number of objects made and not released
 *
 * To be defined before: FAULTS_LIST(X), which gives X(name, ...) for each function; FAULTS_LOADER, the loader's file,
 * where REAL is used; and, after, drain(). */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_SEEN __attribute__((visibility("default")))

enum call {
#define NUMBER(name, ...) CALL_##name,
    FAULTS_LIST(NUMBER)
#undef NUMBER
        CALL_COUNT
};

static const char *const names[] = {
#define TEXT(name, ...) #name,
    FAULTS_LIST(TEXT)
#undef TEXT
};

static atomic_long calls[CALL_COUNT], left;

/* For tests that load the library themselves: how often a function was called, or "left". */
FAULTS_SEEN long faults_count(const char *name);

long faults_count(const char *name)
{
    for (int i = 0; i < CALL_COUNT; i++)
        if (!strcmp(names[i], name)) return calls[i];
    return left;
}

/* Lets the device finish what it has, before it is gone. */
static void drain(void);

#ifdef FAULTS_LOADER
/* The loader's function: the plugin has loaded it, but not for others to see. */
static void *real_named(const char *name)
{
    static void *loader;
    if (!loader) loader = dlopen(FAULTS_LOADER, RTLD_LAZY);
    void *function = loader ? dlsym(loader, name) : NULL;
    if (!function) abort();
    return function;
}

#define REAL(name) ((__typeof__(name) *)real_named(#name))
#endif

/* Counts the call; true with the code where it is to fail. */
static bool fails(enum call call, bool releases, int *code)
{
    static atomic_bool gone;
    long               number = atomic_fetch_add(&calls[call], 1) + 1, wanted = 0;
    const char        *rule   = getenv("SCRY_FAULT");
    size_t             length = strlen(names[call]);
    char              *end;
    if (!rule || !strchr(rule, ':')) return false;
    bool named = !strncmp(rule, names[call], length) && rule[length] == ':';
    wanted     = strtol(strchr(rule, ':') + 1, &end, 10);
    *code      = (int)strtol(strrchr(rule, ':') + 1, NULL, 10);
    if (named && number == wanted && *end == '+') {
        gone = true; /* and does nothing more */
        drain();
    }
    return (named && number == wanted) || (gone && !releases);
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("SCRY_FAULT_REPORT");
    FILE       *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    for (int i = 0; i < CALL_COUNT; i++)
        if (calls[i]) fprintf(file, "%s %ld\n", names[i], (long)calls[i]);
    fprintf(file, "left %ld\n", (long)left);
    fclose(file);
}

/* Which devices there are, which of them a name means, and which one is best. See scry/device.h.
 *
 * The order is the same every time: by score, then as the registry lists backends, then by the backend's own index. */
#include "base/alloc.h"
#include "base/error.h"
#include "device/front.h"
#include "device/registry.h"
#include "device/selftest.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_PER_BACKEND = 16 };

/* Backends are asked for their devices by one thread at a time. */
static pthread_mutex_t find_lock = PTHREAD_MUTEX_INITIALIZER;

/* The devices of one backend; names are made here, so that --device takes what is listed. */
static scry_status find_devices(const struct scry_backend *backend, scry_device_info infos[DEVICES_PER_BACKEND],
                                int *count)
{
    *count = 0;
    memset(infos, 0, DEVICES_PER_BACKEND * sizeof *infos);
    scry__fail(SCRY_OK, "%s", "");
    pthread_mutex_lock(&find_lock);
    scry_status status = backend->find(infos, DEVICES_PER_BACKEND, count);
    pthread_mutex_unlock(&find_lock);
    if (!status && *count <= 0) status = scry__fail(SCRY_NO_DEVICE, "no device found");
    if (status) {
        *count = 0;
        return status;
    }
    if (*count > DEVICES_PER_BACKEND) *count = DEVICES_PER_BACKEND;
    for (int i = 0; i < *count; i++) {
        if ((unsigned)infos[i].type > SCRY_DEVICE_DISCRETE_GPU) {
            *count = 0;
            return scry__fail(SCRY_NO_DEVICE, "its device %d is of type %d: expected 0 to %d", i, (int)infos[i].type,
                              SCRY_DEVICE_DISCRETE_GPU);
        }
        snprintf(infos[i].name, sizeof infos[i].name, "%s:%d", backend->name, i);
        snprintf(infos[i].backend, sizeof infos[i].backend, "%s", backend->name);
        infos[i].description[sizeof infos[i].description - 1] = 0;
        infos[i].driver[sizeof infos[i].driver - 1]           = 0;
    }
    return SCRY_OK;
}

/* Sorting: candidates of the automatic choice come first, backends without a device last. */
enum { RANK_CANDIDATE, RANK_NAMED_ONLY, RANK_UNUSABLE, RANK_ABSENT };

typedef struct candidate {
    scry_device_entry          entry;
    const struct scry_backend *backend; /* NULL: none, entry.reason says why */
    int                        index;   /* among the backend's devices */
    int                        rank, order;
} candidate;

/* Higher scores first; equal ones in the order of the registry, so that the choice is the same every time. */
static int compare_candidates(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    if (a->rank != b->rank) return a->rank - b->rank;
    if (a->rank == RANK_CANDIDATE && a->entry.info.score != b->entry.info.score)
        return a->entry.info.score > b->entry.info.score ? -1 : 1;
    return a->order - b->order;
}

/* One backend's rows from `rows` on: its devices, or one that says why there is none. Returns how many. */
static int collect_backend(candidate *rows, const char *name)
{
    scry_device_info   infos[DEVICES_PER_BACKEND];
    int                count  = 0;
    const scry__entry *entry  = scry__registry_find(name);
    const char        *reason = entry->reason;
    if (entry->backend && find_devices(entry->backend, infos, &count)) reason = scry_last_error();
    for (int i = 0; i < count; i++) {
        bool named_only = infos[i].type == SCRY_DEVICE_REFERENCE || infos[i].score < 0;
        int  rank       = named_only ? RANK_NAMED_ONLY : RANK_CANDIDATE;
        rows[i]         = (candidate){.entry = {.info = infos[i]}, .backend = entry->backend, .index = i, .rank = rank};
    }
    if (count) return count;
    rows[0] = (candidate){.rank = RANK_ABSENT};
    snprintf(rows[0].entry.info.name, sizeof rows[0].entry.info.name, "%s", name);
    snprintf(rows[0].entry.info.backend, sizeof rows[0].entry.info.backend, "%s", name);
    snprintf(rows[0].entry.reason, sizeof rows[0].entry.reason, "%s", reason);
    return 1;
}

/* Every device of every backend, in order of preference; release with scry__free. */
static scry_status collect(candidate **out, int *count)
{
    const scry__entry *entries;
    int                backends = scry__registry_scan(&entries), used = 0;
    candidate         *rows = scry__alloc((size_t)backends * DEVICES_PER_BACKEND, sizeof *rows);
    if (!rows) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < backends; i++) used += collect_backend(rows + used, entries[i].name);
    for (int i = 0; i < used; i++) rows[i].order = i;
    qsort(rows, (size_t)used, sizeof *rows, compare_candidates);
    *out   = rows;
    *count = used;
    return SCRY_OK;
}

/* Splits "vulkan:1"; *index is -1 where the name has none. */
static bool split_name(const char *text, char name[SCRY__BACKEND_NAME], int *index)
{
    size_t length = strcspn(text, ":");
    *index        = -1;
    if (!length || length >= SCRY__BACKEND_NAME) return false;
    memcpy(name, text, length);
    name[length] = 0;
    if (!text[length]) return true;
    const char *digits = text + length + 1;
    size_t      count  = strspn(digits, "0123456789");
    if (!count || count > 3 || digits[count]) return false;
    *index = atoi(digits);
    return true;
}

static scry_status fail_unknown(const char *text)
{
    char               names[512] = "";
    const scry__entry *entries;
    int                count = scry__registry_scan(&entries);
    for (int i = 0; i < count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", entries[i].name);
    }
    return scry__fail(SCRY_NO_DEVICE, "device \"%.40s\": expected one of %s, with :N for the N-th of its devices", text,
                      names);
}

static scry_status open_named(scry_device **out, const char *text, const scry_device_options *options)
{
    char               name[SCRY__BACKEND_NAME];
    int                index, count, best = 0;
    scry_device_info   infos[DEVICES_PER_BACKEND];
    const scry__entry *entry = split_name(text, name, &index) ? scry__registry_find(name) : NULL;
    if (!entry) return fail_unknown(text);
    if (!entry->backend) return scry__fail(SCRY_NO_DEVICE, "%s: %s", name, entry->reason);
    scry_status status = find_devices(entry->backend, infos, &count);
    if (status) return scry__fail_prefix(status, "%s", name);
    if (index >= count)
        return scry__fail(SCRY_NO_DEVICE, "device \"%s\": %s has %d device%s", text, name, count,
                          count == 1 ? "" : "s");
    for (int i = 1; i < count; i++)
        if (infos[i].score > infos[best].score) best = i;
    if (index < 0) index = best;
    status = scry__device_open_at(out, entry->backend, index, &infos[index], options);
    return status ? scry__fail_prefix(status, "%s", infos[index].name) : SCRY_OK;
}

/* Opens candidate `at` and keeps it only if its self-test passes. The test never falls back. */
static scry_status open_tested(scry_device **out, const candidate *at, const scry_device_options *options)
{
    scry_device        *device = NULL;
    scry_device_options strict = *options;
    strict.fallback            = SCRY_FALLBACK_STRICT;
    scry_status status         = scry__device_open_at(&device, at->backend, at->index, &at->entry.info, &strict);
    if (!status) status = scry__self_test(device);
    if (status) goto fail;
    device->front->fallback = options->fallback;
    *out                    = device;
    return SCRY_OK;

fail:
    scry_device_destroy(&device);
    return status;
}

/* The first candidate that passes, in order of preference. One without a kernel that was asked for is passed over. */
static scry_status open_best(scry_device **out, const scry_device_options *options)
{
    candidate  *candidates;
    int         count;
    char        first[256] = "no backend but the reference is installed";
    scry_status status     = collect(&candidates, &count);
    if (status) return status;
    scry_status failure = SCRY_NO_DEVICE;
    status              = SCRY_NO_DEVICE;
    for (int i = 0; status && i < count && candidates[i].rank == RANK_CANDIDATE; i++) {
        const char *name = candidates[i].entry.info.name;
        status           = open_tested(out, &candidates[i], options);
        if (!status) break;
        scry__log(SCRY_LOG_WARNING, "%s passed over: %s", name, scry_last_error());
        bool telling = status == SCRY_BAD_ARGUMENT && failure != status; /* with other kernels it would do */
        if (i == 0 || telling) snprintf(first, sizeof first, "%s: %s", name, scry_last_error());
        if (status == SCRY_OUT_OF_MEMORY || telling) failure = status;
    }
    scry__free(candidates);
    return status ? scry__fail(failure, "no usable device: %s", first) : SCRY_OK;
}

scry_status scry_device_open(scry_device **out, const scry_device_options *options)
{
    scry_device_options given = options ? *options : (scry_device_options){0};
    if (!out) return scry__fail(SCRY_BAD_ARGUMENT, "device: expected a place for the result");
    if ((unsigned)given.fallback > SCRY_FALLBACK_ALLOW_CPU)
        return scry__fail(SCRY_BAD_ARGUMENT, "device: fallback %d: expected 0 or 1", (int)given.fallback);
    if (given.threads < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "device: %d threads: expected 0 or more", given.threads);
    scry_status status = scry__kernels_check(given.kernels);
    if (status) return status;
    if (!given.name) given.name = getenv("SCRY_DEVICE");
    return given.name && *given.name ? open_named(out, given.name, &given) : open_best(out, &given);
}

/* Names that do not fit are left out whole. */
static void note_kernels(scry_device_entry *entry, const scry_device *device)
{
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        const char *const *names = scry_device_kernels(device, (scry_op_kind)kind);
        size_t             used  = 0;
        for (; *names; names++) {
            if (used + 1 + strlen(*names) >= sizeof entry->kernels[kind]) continue;
            used += (size_t)sprintf(entry->kernels[kind] + used, "%s%s", used ? "," : "", *names);
        }
    }
}

static void note_properties(scry_device_entry *entry, const scry_device *device)
{
    if (!device->backend->properties) return;
    int count             = device->backend->properties(device, entry->properties, SCRY_MAX_PROPERTIES);
    entry->property_count = count < SCRY_MAX_PROPERTIES ? count : SCRY_MAX_PROPERTIES;
}

/* Opens and tests each candidate: what `usable` and the reasons of the unusable ones say. */
static void test_all(candidate *candidates, int count)
{
    for (int i = 0; i < count && candidates[i].rank != RANK_ABSENT; i++) {
        scry_device_entry *entry  = &candidates[i].entry;
        scry_device       *device = NULL;
        entry->usable             = !open_tested(&device, &candidates[i], &(scry_device_options){0});
        if (entry->usable) note_kernels(entry, device);
        if (entry->usable) note_properties(entry, device);
        if (entry->usable) scry_device_get_tuning(device, &entry->tuning);
        scry_device_destroy(&device);
        if (entry->usable) continue;
        snprintf(entry->reason, sizeof entry->reason, "%s", scry_last_error());
        candidates[i].rank = RANK_UNUSABLE;
    }
}

/* The index of what a name means among the sorted candidates; -1 where nothing usable is meant. */
static int find_meant(const candidate *candidates, int count, const char *text)
{
    for (int i = 0; i < count; i++) {
        const scry_device_info *info = &candidates[i].entry.info;
        if (candidates[i].entry.usable && (!strcmp(info->name, text) || !strcmp(info->backend, text))) return i;
    }
    return -1;
}

/* Why each usable device is, or is not, what scry_device_open would take. */
static void explain(candidate *candidates, int count)
{
    const char *named  = getenv("SCRY_DEVICE");
    int         chosen = count && candidates[0].rank == RANK_CANDIDATE ? 0 : -1;
    if (named && *named) chosen = find_meant(candidates, count, named);
    for (int i = 0; i < count; i++) {
        scry_device_entry *entry = &candidates[i].entry;
        if (!entry->usable) continue;
        if (i == chosen)
            snprintf(entry->reason, sizeof entry->reason, "chosen");
        else if (named && *named)
            snprintf(entry->reason, sizeof entry->reason, "SCRY_DEVICE asks for %.40s", named);
        else if (candidates[i].rank == RANK_NAMED_ONLY)
            snprintf(entry->reason, sizeof entry->reason, "taken only where it is named");
        else
            snprintf(entry->reason, sizeof entry->reason, "score %d, against %d of %s", entry->info.score,
                     candidates[chosen].entry.info.score, candidates[chosen].entry.info.name);
    }
}

scry_status scry_devices_find(scry_device_list **out)
{
    candidate        *candidates = NULL;
    scry_device_list *list       = NULL;
    int               count;
    if (!out) return scry__fail(SCRY_BAD_ARGUMENT, "devices: expected a place for the result");
    scry_status status = collect(&candidates, &count);
    if (status) return status;
    test_all(candidates, count);
    qsort(candidates, (size_t)count, sizeof *candidates, compare_candidates);
    explain(candidates, count);

    status = SCRY_OUT_OF_MEMORY;
    list   = scry__alloc(1, sizeof *list);
    if (!list) goto fail;
    list->entries = scry__alloc((size_t)count, sizeof *list->entries);
    if (!list->entries) goto fail;
    for (int i = 0; i < count; i++) list->entries[i] = candidates[i].entry;
    list->count = count;
    scry__free(candidates);
    *out = list;
    return SCRY_OK;

fail:
    scry_devices_destroy(&list);
    scry__free(candidates);
    return status;
}

void scry_devices_destroy(scry_device_list **list)
{
    if (!list || !*list) return;
    scry__free((*list)->entries);
    scry__free(*list);
    *list = NULL;
}

/* Which device a name means, and which one is best. See scry/device.h. */
#include "base/error.h"
#include "device/front.h"
#include "device/registry.h"

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
        snprintf(infos[i].name, sizeof infos[i].name, "%s:%d", backend->name, i);
        snprintf(infos[i].backend, sizeof infos[i].backend, "%s", backend->name);
        infos[i].description[sizeof infos[i].description - 1] = 0;
        infos[i].driver[sizeof infos[i].driver - 1]           = 0;
    }
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
    return scry__device_open_at(out, entry->backend, index, &infos[index], options);
}

scry_status scry_device_open(scry_device **out, const scry_device_options *options)
{
    scry_device_options given = options ? *options : (scry_device_options){0};
    if (!out) return scry__fail(SCRY_BAD_ARGUMENT, "device: expected a place for the result");
    if (!given.name) given.name = getenv("SCRY_DEVICE");
    if (!given.name || !*given.name) given.name = "cpu";
    return open_named(out, given.name, &given);
}

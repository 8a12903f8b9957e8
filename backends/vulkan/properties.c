/* What was probed of an open device, for people to read. */
#include "probe.h"

#include <stdarg.h>
#include <stdio.h>

struct list {
    scry_device_property *out;
    int                   capacity, count;
};

static void add(struct list *list, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add(struct list *list, const char *name, const char *format, ...)
{
    int at = list->count++;
    if (at >= list->capacity) return;
    va_list arguments;
    va_start(arguments, format);
    snprintf(list->out[at].name, sizeof list->out[at].name, "%s", name);
    vsnprintf(list->out[at].value, sizeof list->out[at].value, format, arguments);
    va_end(arguments);
}

static const char *yes(bool value)
{
    return value ? "yes" : "no";
}

static void add_limits(struct list *list, const struct scry__vk_limits *limits)
{
    add(list, "api-version", "%u.%u.%u", VK_API_VERSION_MAJOR(limits->api_version),
        VK_API_VERSION_MINOR(limits->api_version), VK_API_VERSION_PATCH(limits->api_version));
    add(list, "vendor-device", "%04x:%04x", limits->vendor, limits->device);
    add(list, "binding-limit", "%zu bytes, from multiples of %u", limits->most_bound, limits->alignment);
    add(list, "allocation-limit", "%zu bytes", limits->most_allocated);
    add(list, "group-limit", "%u groups of %u items, %u bytes shared", limits->most_groups, limits->most_items,
        limits->shared_bytes);
    if (limits->imports_memory)
        add(list, "memory-import", "yes, from multiples of %u", limits->import_alignment);
    else
        add(list, "memory-import", "no");
    if (limits->timestamp_bits)
        add(list, "timestamps", "%u bits of %g ns", limits->timestamp_bits, (double)limits->timestamp_period);
    else
        add(list, "timestamps", "no");
}

int scry__vk_properties(const scry_device *device, scry_device_property *out, int capacity)
{
    const struct scry__vk        *vk     = device->impl;
    const struct scry__vk_limits *limits = &vk->limits;
    struct list                   list   = {.out = out, .capacity = capacity};
    add_limits(&list, limits);
    if (limits->subgroup_least)
        add(&list, "subgroup-size", "%u, %u to %u can be required", limits->subgroup_size, limits->subgroup_least,
            limits->subgroup_most);
    else
        add(&list, "subgroup-size", "%u", limits->subgroup_size);
    add(&list, "subgroup-operations", "%s", yes(limits->subgroup_arithmetic));
    add(&list, "shader-float16", "%s", yes(limits->float16));
    add(&list, "storage-float16", "%s", yes(limits->storage16));
    add(&list, "cooperative-matrix", "%s", yes(limits->cooperative_matrix));
    add(&list, "float-atomics", "%s", yes(limits->float_atomics));
    for (int i = 0; i < SCRY__VK_PATHS; i++) {
        char name[32];
        snprintf(name, sizeof name, "path-%s", scry__vk_path_text(i));
        add(&list, name, "%s: %s", vk->path[i].usable ? "on" : "off", vk->path[i].reason);
    }
    return least(list.count, capacity);
}

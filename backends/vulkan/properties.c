/* What was probed of an open device, for people to read. */
#include "shared/properties.h"

#include "probe.h"
#include <stdio.h>

static void add_limits(struct scry__properties *list, const struct scry__vk_limits *limits)
{
    scry__property_add(list, "api-version", "%u.%u.%u", VK_API_VERSION_MAJOR(limits->api_version),
                       VK_API_VERSION_MINOR(limits->api_version), VK_API_VERSION_PATCH(limits->api_version));
    scry__property_add(list, "vendor-device", "%04x:%04x", limits->vendor, limits->device);
    scry__property_add(list, "binding-limit", "%zu bytes, from multiples of %u", limits->most_bound, limits->alignment);
    scry__property_add(list, "allocation-limit", "%zu bytes", limits->most_allocated);
    scry__property_add(list, "group-limit", "%u groups of %u items, %u bytes shared", limits->most_groups,
                       limits->most_items, limits->shared_bytes);
    if (limits->imports_memory)
        scry__property_add(list, "memory-import", "yes, from multiples of %u", limits->import_alignment);
    else
        scry__property_add(list, "memory-import", "no");
    if (limits->timestamp_bits)
        scry__property_add(list, "timestamps", "%u bits of %g ns", limits->timestamp_bits,
                           (double)limits->timestamp_period);
    else
        scry__property_add(list, "timestamps", "no");
}

int scry__vk_properties(const scry_device *device, scry_device_property *out, int capacity)
{
    const struct scry__vk        *vk     = device->impl;
    const struct scry__vk_limits *limits = &vk->limits;
    struct scry__properties       list   = {.out = out, .capacity = capacity};
    add_limits(&list, limits);
    if (limits->subgroup_least)
        scry__property_add(&list, "subgroup-size", "%u, %u to %u can be required", limits->subgroup_size,
                           limits->subgroup_least, limits->subgroup_most);
    else
        scry__property_add(&list, "subgroup-size", "%u", limits->subgroup_size);
    scry__property_add(&list, "subgroup-operations", "%s", scry__yes(limits->subgroup_arithmetic));
    scry__property_add(&list, "shader-float16", "%s", scry__yes(limits->float16));
    scry__property_add(&list, "storage-float16", "%s", scry__yes(limits->storage16));
    scry__property_add(&list, "cooperative-matrix", "%s", scry__yes(limits->cooperative_matrix));
    scry__property_add(&list, "float-atomics", "%s", scry__yes(limits->float_atomics));
    for (int i = 0; i < SCRY__VK_PATHS; i++) {
        char name[32];
        snprintf(name, sizeof name, "path-%s", scry__vk_path_text(i));
        scry__property_add(&list, name, "%s: %s", vk->path[i].usable ? "on" : "off", vk->path[i].reason);
    }
    return list.count;
}

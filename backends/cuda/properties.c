/* What was probed of an open device, for people to read. */
#include "shared/properties.h"
#include "cuda.h"

int scry__cuda_properties(const scry_device *device, scry_device_property *out, int capacity)
{
    const struct scry__cuda        *cuda   = device->impl;
    const struct scry__cuda_limits *limits = &cuda->limits;
    struct scry__properties         list   = {.out = out, .capacity = capacity};
    scry__property_add(&list, "capability", "%d.%d", limits->compute / 10, limits->compute % 10);
    scry__property_add(&list, "multiprocessors", "%d", limits->processors);
    scry__property_add(&list, "block-limit", "%zu bytes shared", limits->shared_bytes);
    scry__property_add(&list, "l2-cache", "%zu bytes", limits->l2_bytes);
    scry__property_add(&list, "memory-pools", "%s", scry__yes(limits->has_pools));
    scry__property_add(&list, "host-memory", "%s", limits->shares_memory ? "used in place" : "copied");
    scry__property_add(&list, "time-limit", "%s", limits->is_watched ? "yes, as it shows a screen" : "no");
    scry__property_add(&list, "cublas", "%s",
                       scry__cuda_library_usable(cuda) ? "yes" : scry__cuda_library_reason(cuda));
    return list.count;
}

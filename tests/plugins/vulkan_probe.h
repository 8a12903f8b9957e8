/* A trial of the Vulkan backend's probing and opening (backends/vulkan/probe.c) on devices that are made up: what no
 * driver at hand has, or lacks. */
#ifndef TESTS_VULKAN_PROBE_H
#define TESTS_VULKAN_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/* 0 in a number means what a card has that lacks nothing. */
struct probe_device {
    const char *name;
    uint32_t    minor;       /* of Vulkan 1.minor */
    int         type;        /* VkPhysicalDeviceType */
    uint32_t    queues[3];   /* VkQueueFlags of its families; 0 ends them */
    bool        changes_nan; /* does not promise to keep infinities and NaN */
    uint32_t    storage_buffers, shared_bytes;
    bool        has_shared_memory;             /* a type that is the device's own, mapped and coherent */
    uint32_t    subgroup_least, subgroup_most; /* that can be required; 0: no such extension */
    bool        requires_in_compute;           /* in compute shaders too */
    bool        float16, host_memory, portable_only;
    struct {
        const char *lacks; /* "": nothing */
        uint32_t    queue_family;
        bool        is_cpu, shares_memory;
        uint32_t    subgroup_least;
    } expected;
};

/* What went wrong; NULL: nothing. Static text, or a buffer of the next call. */
typedef const char *probe_trial_function(const struct probe_device *device);

#endif

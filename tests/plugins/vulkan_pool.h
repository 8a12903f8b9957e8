/* A trial of the Vulkan backend's memory (backends/vulkan/pool.c and part.c) on a device that is made up: memory types,
 * alignments and units of flushing that no driver at hand has. */
#ifndef TESTS_VULKAN_POOL_H
#define TESTS_VULKAN_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_USES = 3 /* device, upload, readback */ };

struct pool_device {
    const char *name;
    bool        shares_memory;
    bool        dedicated;           /* wants an allocation for each buffer */
    uint32_t    atom;                /* unit of flushing */
    size_t      alignment;           /* of small buffers in memory */
    int         expected[POOL_USES]; /* the type that serves each use best */
    int         type_count;
    uint32_t    types[8]; /* VkMemoryPropertyFlags */
};

/* Parts come and go, `steps` times, and are written and read from both sides. The fail_at-th call that can fail, of the
 * driver or of the host's allocation, does (0: none); calls of them are counted in `calls`. What went wrong; NULL:
 * nothing. Static text, or a buffer of the next call. */
typedef const char *pool_trial_function(const struct pool_device *device, uint64_t seed, int steps, long fail_at,
                                        long *calls);

#endif

/* Ranges of device memory, and the blocks that they are cut from: part.c's view of pool.c. */
#ifndef SCRY_VK_POOL_H
#define SCRY_VK_POOL_H

#include "vk.h"

/* One VkDeviceMemory. Its ranges are listed in order, and no two neighbours are free. */
struct scry__vk_block {
    struct scry__vk_block *next;
    struct scry__vk_range *first;
    VkDeviceMemory         memory;
    VkMemoryPropertyFlags  flags;
    uint32_t               type;
    size_t                 bytes;
    bool                   alone; /* made for one part */
    char                  *host;  /* where the host sees it, else NULL */
};

struct scry__vk_range {
    struct scry__vk_block *block;
    struct scry__vk_range *before, *after;
    size_t                 offset, bytes;
    bool                   taken;
};

/* What a part asks of its memory. */
struct scry__vk_wish {
    VkBuffer buffer;
    uint32_t type; /* of memory */
    size_t   bytes, alignment;
    size_t   block_bytes; /* of a new block that parts share */
    bool     alone;       /* it wants its own */
    char    *host;        /* memory of the host that becomes the device's; NULL: the device's own */
};

const VkPhysicalDeviceMemoryProperties *scry__vk_pool_memory(const struct scry__vk *vk);

/* Finds a range for the part, or gets more memory. */
scry_status scry__vk_range_take(struct scry__vk_range **out, struct scry__vk *vk, const struct scry__vk_wish *wish);
/* A block without a part is given back at once. */
void scry__vk_range_give(struct scry__vk *vk, struct scry__vk_range *range);

#endif

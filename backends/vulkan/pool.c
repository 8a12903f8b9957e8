/* Device memory: few VkDeviceMemory blocks, each cut into ranges. A device may allow no more than 4096 allocations, and
 * each costs a call into the kernel.
 *
 * A block is of one memory type; one that can be mapped stays mapped. A part takes the smallest free range that holds
 * it; large parts, and those over the host's memory, have a block to themselves. */
#include "pool.h"

#include "part.h"

#include <assert.h>

struct scry__vk_memory_pool {
    VkPhysicalDeviceMemoryProperties memory;
    struct scry__vk_block           *blocks;
};

scry_status scry__vk_pool_create(struct scry__vk *vk)
{
    vk->pool = scry__vk_host->allocate(1, sizeof *vk->pool);
    if (!vk->pool) return SCRY_OUT_OF_MEMORY;
    vkGetPhysicalDeviceMemoryProperties(vk->physical, &vk->pool->memory);
    return SCRY_OK;
}

void scry__vk_pool_destroy(struct scry__vk *vk)
{
    if (!vk->pool) return;
    scry__vk_staging_destroy(vk);
    scry__vk_ring_destroy(vk);
    assert(!vk->pool->blocks);
    scry__vk_host->release(vk->pool);
    vk->pool = NULL;
}

const VkPhysicalDeviceMemoryProperties *scry__vk_pool_memory(const struct scry__vk *vk)
{
    return &vk->pool->memory;
}

/* --- Ranges of a block --- */

/* Splits a free range behind its first `bytes`, unless nothing is left there. */
static scry_status cut(struct scry__vk_range *range, size_t bytes)
{
    if (bytes == range->bytes) return SCRY_OK;
    struct scry__vk_range *rest = scry__vk_host->allocate(1, sizeof *rest);
    if (!rest) return SCRY_OUT_OF_MEMORY;
    *rest        = *range;
    rest->before = range;
    rest->offset = range->offset + bytes;
    rest->bytes  = range->bytes - bytes;
    if (rest->after) rest->after->before = rest;
    range->after = rest;
    range->bytes = bytes;
    return SCRY_OK;
}

/* Makes a free range one with a free range behind it. */
static void join(struct scry__vk_range *range)
{
    struct scry__vk_range *rest = range->after;
    if (!rest || rest->taken || range->taken) return;
    range->bytes += rest->bytes;
    range->after = rest->after;
    if (range->after) range->after->before = range;
    scry__vk_host->release(rest);
}

static size_t padding(const struct scry__vk_range *range, size_t alignment)
{
    return (alignment - range->offset % alignment) % alignment;
}

/* Takes `bytes` of a free range that has room for them; NULL, and nothing changed, where the host has no memory. */
static struct scry__vk_range *take(struct scry__vk_range *range, size_t bytes, size_t alignment)
{
    size_t                 before = padding(range, alignment);
    struct scry__vk_range *taken  = range;
    if (before) {
        if (cut(range, before)) return NULL;
        taken = range->after;
    }
    if (cut(taken, bytes)) {
        join(range);
        return NULL;
    }
    taken->taken = true;
    return taken;
}

/* The smallest free range that holds the part; NULL where none does. */
static struct scry__vk_range *find(const struct scry__vk_memory_pool *pool, const struct scry__vk_wish *wish)
{
    struct scry__vk_range *best = NULL;
    for (struct scry__vk_block *block = pool->blocks; block; block = block->next) {
        if (block->alone || block->type != wish->type) continue;
        for (struct scry__vk_range *range = block->first; range; range = range->after)
            if (!range->taken && padding(range, wish->alignment) + wish->bytes <= range->bytes &&
                (!best || range->bytes < best->bytes))
                best = range;
    }
    return best;
}

/* --- Blocks --- */

/* A block that is in the pool's list or not, with one range or none. */
static void destroy(struct scry__vk *vk, struct scry__vk_block *block)
{
    struct scry__vk_block **at = &vk->pool->blocks;
    while (*at && *at != block) at = &(*at)->next;
    if (*at) *at = block->next;
    if (block->memory) vkFreeMemory(vk->device, block->memory, NULL); /* unmaps it */
    scry__vk_host->release(block->first);
    scry__vk_host->release(block);
}

static scry_status map(struct scry__vk *vk, struct scry__vk_block *block)
{
    void *host = NULL;
    if (block->host || !(block->flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)) return SCRY_OK;
    VkResult code = vkMapMemory(vk->device, block->memory, 0, VK_WHOLE_SIZE, 0, &host);
    block->host   = host;
    return scry__vk_check(vk, code, "vkMapMemory");
}

/* A block of one free range: for the part alone, or for others too. */
static scry_status create(struct scry__vk_block **out, struct scry__vk *vk, const struct scry__vk_wish *wish,
                          bool alone)
{
    const VkImportMemoryHostPointerInfoEXT import    = {.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                                                        .handleType =
                                                            VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
                                                        .pHostPointer = wish->host};
    const VkMemoryDedicatedAllocateInfo    dedicated = {.sType  = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
                                                        .buffer = wish->buffer};
    const size_t                           bytes     = alone ? wish->bytes : wish->block_bytes;
    const VkMemoryAllocateInfo             info      = {.sType           = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                                        .pNext           = wish->host ? (const void *)&import
                                                                           : alone    ? (const void *)&dedicated
                                                                                      : NULL,
                                                        .allocationSize  = bytes,
                                                        .memoryTypeIndex = wish->type};
    scry_status                            status    = SCRY_OUT_OF_MEMORY;
    struct scry__vk_block                 *block     = scry__vk_host->allocate(1, sizeof *block);
    if (!block) return status;
    *block       = (struct scry__vk_block){.type = wish->type, .bytes = bytes, .alone = alone, .host = wish->host};
    block->flags = vk->pool->memory.memoryTypes[wish->type].propertyFlags;
    block->first = scry__vk_host->allocate(1, sizeof *block->first);
    if (!block->first) goto fail;
    *block->first = (struct scry__vk_range){.block = block, .bytes = bytes};
    status        = scry__vk_check(vk, vkAllocateMemory(vk->device, &info, NULL, &block->memory), "vkAllocateMemory");
    if (!status) status = map(vk, block);
    if (status) goto fail;
    block->next      = vk->pool->blocks;
    vk->pool->blocks = block;
    *out             = block;
    return SCRY_OK;

fail:
    destroy(vk, block);
    return status;
}

scry_status scry__vk_range_take(struct scry__vk_range **out, struct scry__vk *vk, const struct scry__vk_wish *wish)
{
    struct scry__vk_block *block  = NULL;
    struct scry__vk_range *range  = wish->alone ? NULL : find(vk->pool, wish);
    scry_status            status = SCRY_OK;
    if (!range) {
        status = create(&block, vk, wish, wish->alone);
        /* Where a whole block is too much, the part may still fit. */
        if (status == SCRY_OUT_OF_MEMORY && !wish->alone) status = create(&block, vk, wish, true);
        if (status) return status;
        range = block->first;
    }
    *out = take(range, wish->bytes, wish->alignment);
    if (*out) return SCRY_OK;
    if (block) destroy(vk, block);
    return SCRY_OUT_OF_MEMORY;
}

void scry__vk_range_give(struct scry__vk *vk, struct scry__vk_range *range)
{
    struct scry__vk_block *block = range->block;
    range->taken                 = false;
    join(range);
    if (range->before) join(range->before);
    if (!block->first->taken && !block->first->after) destroy(vk, block);
}

/* Parts and the memory under them: few VkDeviceMemory blocks, each cut into ranges. A device may allow no more than
 * 4096 allocations, and each costs a call into the kernel.
 *
 * A block is one memory type's; a mapped one stays mapped. Its ranges are listed in order, and no two neighbours are
 * free. A part takes the smallest free range that holds it; large parts have a block to themselves. A block without a
 * part is given back at once. */
#include "pool.h"

#include <assert.h>
#include <limits.h>

struct range {
    struct block *block;
    struct range *before, *after;
    size_t        offset, bytes;
    bool          taken;
};

struct block {
    struct block  *next;
    struct range  *first;
    VkDeviceMemory memory;
    uint32_t       type;
    size_t         bytes;
    bool           alone; /* made for one part */
    char          *host;  /* where it is mapped */
};

struct scry__vk_memory_pool {
    VkPhysicalDeviceMemoryProperties memory;
    struct block                    *blocks;
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
    assert(!vk->pool->blocks);
    scry__vk_host->release(vk->pool);
    vk->pool = NULL;
}

/* --- Ranges of a block --- */

/* Splits a free range behind its first `bytes`, unless nothing is left there. */
static scry_status cut(struct range *range, size_t bytes)
{
    if (bytes == range->bytes) return SCRY_OK;
    struct range *rest = scry__vk_host->allocate(1, sizeof *rest);
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

/* Makes a free range one with the free range behind it. */
static void join(struct range *range)
{
    struct range *rest = range->after;
    if (!rest || rest->taken || range->taken) return;
    range->bytes += rest->bytes;
    range->after = rest->after;
    if (range->after) range->after->before = range;
    scry__vk_host->release(rest);
}

static size_t padding(const struct range *range, size_t alignment)
{
    return (alignment - range->offset % alignment) % alignment;
}

/* Takes `bytes` of a free range that has room for them; NULL, and nothing changed, where the host has no memory. */
static struct range *take(struct range *range, size_t bytes, size_t alignment)
{
    size_t        before = padding(range, alignment);
    struct range *taken  = range;
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

/* --- Blocks --- */

static void destroy_block(struct scry__vk *vk, struct block *block)
{
    struct block **at = &vk->pool->blocks;
    while (*at && *at != block) at = &(*at)->next;
    if (*at) *at = block->next;
    if (block->memory) vkFreeMemory(vk->device, block->memory, NULL); /* unmaps it */
    scry__vk_host->release(block->first);
    scry__vk_host->release(block);
}

/* A block of one free range. `extension`: what else is told of the allocation. */
static scry_status create_block(struct block **out, struct scry__vk *vk, uint32_t type, size_t bytes,
                                const void *extension)
{
    const VkMemoryType *kind   = &vk->pool->memory.memoryTypes[type];
    struct block       *block  = scry__vk_host->allocate(1, sizeof *block);
    struct range       *range  = scry__vk_host->allocate(1, sizeof *range);
    scry_status         status = SCRY_OUT_OF_MEMORY;
    if (!block || !range) goto fail;
    *range = (struct range){.block = block, .bytes = bytes};
    *block = (struct block){.first = range, .type = type, .bytes = bytes};

    const VkMemoryAllocateInfo info = {.sType           = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .pNext           = extension,
                                       .allocationSize  = bytes,
                                       .memoryTypeIndex = type};
    status = scry__vk_check(vk, vkAllocateMemory(vk->device, &info, NULL, &block->memory), "vkAllocateMemory");
    if (status) goto fail;
    if (kind->propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) {
        void *host = NULL;
        status = scry__vk_check(vk, vkMapMemory(vk->device, block->memory, 0, VK_WHOLE_SIZE, 0, &host), "vkMapMemory");
        if (status) goto fail;
        block->host = host;
    }
    block->next      = vk->pool->blocks;
    vk->pool->blocks = block;
    *out             = block;
    return SCRY_OK;

fail:
    if (block && block->first)
        destroy_block(vk, block);
    else {
        scry__vk_host->release(range);
        scry__vk_host->release(block);
    }
    return status;
}

/* --- Parts --- */

/* Memory for a use: properties that it must have, that it had better have, and that it had better not. Types are in the
 * driver's order of preference, so of equals the first is taken. */
static const struct {
    VkMemoryPropertyFlags needed, wanted, unwanted;
    size_t                block_bytes; /* of a block that parts share */
} uses[] = {
    [SCRY__VK_FOR_DEVICE]   = {.wanted = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, .block_bytes = 64 << 20},
    [SCRY__VK_FOR_UPLOAD]   = {.needed      = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                               .unwanted    = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                               .block_bytes = 8 << 20},
    [SCRY__VK_FOR_READBACK] = {.needed      = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
                               .wanted      = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                               .unwanted    = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                               .block_bytes = 8 << 20},
};

/* Types with other properties want something that is never enabled here. */
enum {
    KNOWN_PROPERTIES = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT
};

/* The best type among those of the mask. */
static scry_status choose_type(uint32_t *out, const struct scry__vk *vk, uint32_t mask, enum scry__vk_use use)
{
    const VkPhysicalDeviceMemoryProperties *memory = &vk->pool->memory;
    VkMemoryPropertyFlags                   wanted = uses[use].wanted;
    int                                     best   = INT_MIN;
    if (use == SCRY__VK_FOR_DEVICE && vk->limits.shares_memory) wanted |= VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = memory->memoryTypes[i].propertyFlags;
        int score = 2 * __builtin_popcount(flags & wanted) - __builtin_popcount(flags & uses[use].unwanted);
        if (!(mask >> i & 1) || (uses[use].needed & ~flags) || (flags & ~(unsigned)KNOWN_PROPERTIES)) continue;
        if (score > best) {
            best = score;
            *out = i;
        }
    }
    if (best > INT_MIN) return SCRY_OK;
    return scry__vk_host->fail(SCRY_UNSUPPORTED, "vulkan: no type of memory serves buffers: expected one of mask %#x",
                               (unsigned)mask);
}

/* What a part asks of its memory. */
struct wish {
    VkBuffer buffer;
    uint32_t type;
    size_t   bytes, alignment;
    size_t   block_bytes;
    bool     alone;
};

/* The smallest free range that holds the part; NULL where none does. */
static struct range *find_range(const struct scry__vk_memory_pool *pool, const struct wish *wish)
{
    struct range *best = NULL;
    for (struct block *block = pool->blocks; block; block = block->next) {
        if (block->alone || block->type != wish->type) continue;
        for (struct range *range = block->first; range; range = range->after)
            if (!range->taken && padding(range, wish->alignment) + wish->bytes <= range->bytes &&
                (!best || range->bytes < best->bytes))
                best = range;
    }
    return best;
}

/* A block for the part alone. */
static scry_status create_own_block(struct block **out, struct scry__vk *vk, const struct wish *wish)
{
    const VkMemoryDedicatedAllocateInfo dedicated = {.sType  = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
                                                     .buffer = wish->buffer};
    scry_status                         status    = create_block(out, vk, wish->type, wish->bytes, &dedicated);
    if (!status) (*out)->alone = true;
    return status;
}

/* Finds memory for the part, or gets more of it. */
static scry_status allocate(struct range **out, struct scry__vk *vk, const struct wish *wish)
{
    struct block *block  = NULL;
    struct range *range  = wish->alone ? NULL : find_range(vk->pool, wish);
    scry_status   status = SCRY_OK;
    if (!range) {
        status = wish->alone ? SCRY_OUT_OF_MEMORY : create_block(&block, vk, wish->type, wish->block_bytes, NULL);
        /* Where a whole block is too much, the part may still fit. */
        if (status == SCRY_OUT_OF_MEMORY) status = create_own_block(&block, vk, wish);
        if (status) return status;
        range = block->first;
    }
    *out = take(range, wish->bytes, wish->alignment);
    if (*out) return SCRY_OK;
    if (block) destroy_block(vk, block);
    return SCRY_OUT_OF_MEMORY;
}

static void give_back(struct scry__vk *vk, struct range *range)
{
    struct block *block = range->block;
    range->taken        = false;
    join(range);
    if (range->before) join(range->before);
    if (!block->first->taken && !block->first->after) destroy_block(vk, block);
}

static scry_status make_wish(struct wish *out, const struct scry__vk *vk, VkBuffer buffer, enum scry__vk_use use)
{
    VkMemoryDedicatedRequirements dedicated = {.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS};
    VkMemoryRequirements2         answer    = {.sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, .pNext = &dedicated};
    const VkBufferMemoryRequirementsInfo2 question = {.sType  = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2,
                                                      .buffer = buffer};
    vkGetBufferMemoryRequirements2(vk->device, &question, &answer);
    const VkMemoryRequirements *needs  = &answer.memoryRequirements;
    uint32_t                    type   = 0;
    scry_status                 status = choose_type(&type, vk, needs->memoryTypeBits, use);
    /* Whole units of what is flushed, so that no two parts share one. */
    int64_t unit  = most((int64_t)needs->alignment, most(vk->limits.atom, SCRY__VK_UNIT));
    size_t  bytes = (size_t)round_up((int64_t)needs->size, unit);
    size_t  block =
        uses[use].block_bytes < vk->limits.most_allocated ? uses[use].block_bytes : vk->limits.most_allocated;
    bool alone = dedicated.prefersDedicatedAllocation || dedicated.requiresDedicatedAllocation || bytes > block / 4;
    *out       = (struct wish){.buffer      = buffer,
                               .type        = type,
                               .bytes       = alone ? (size_t)needs->size : bytes,
                               .alignment   = (size_t)unit,
                               .block_bytes = block,
                               .alone       = alone};
    return status;
}

/* Kernels read whole words, also where the last element is half of one. */
enum { WHOLE_BYTES = 16 };

static scry_status create_buffer(VkBuffer *out, struct scry__vk *vk, size_t bytes, const void *extension)
{
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .pNext = extension,
                                     .size  = (VkDeviceSize)round_up((int64_t)bytes, WHOLE_BYTES),
                                     .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                              VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    return scry__vk_check(vk, vkCreateBuffer(vk->device, &info, NULL, out), "vkCreateBuffer");
}

scry_status scry__vk_part_create(struct scry__vk_part *out, struct scry__vk *vk, size_t bytes, enum scry__vk_use use)
{
    struct scry__vk_part part  = {0};
    struct range        *range = NULL;
    struct wish          wish;
    scry_status          status = create_buffer(&part.buffer, vk, bytes, NULL);
    if (!status) status = make_wish(&wish, vk, part.buffer, use);
    if (!status) status = allocate(&range, vk, &wish);
    if (status) goto fail;
    part.allocation = range;
    status = scry__vk_check(vk, vkBindBufferMemory(vk->device, part.buffer, range->block->memory, range->offset),
                            "vkBindBufferMemory");
    if (status) goto fail;
    *out = part;
    return SCRY_OK;

fail:
    scry__vk_part_destroy(vk, &part);
    return status;
}

void scry__vk_part_destroy(struct scry__vk *vk, struct scry__vk_part *part)
{
    if (part->buffer) vkDestroyBuffer(vk->device, part->buffer, NULL);
    if (part->allocation) give_back(vk, part->allocation);
    *part = (struct scry__vk_part){0};
}

char *scry__vk_part_host(const struct scry__vk_part *part)
{
    const struct range *range = part->allocation;
    return range->block->host ? range->block->host + range->offset : NULL;
}

/* The units of non-coherent memory that hold these bytes of the part; false where its memory is coherent. */
static bool find_units(VkMappedMemoryRange *out, const struct scry__vk *vk, const struct scry__vk_part *part,
                       size_t offset, size_t bytes)
{
    const struct range *range = part->allocation;
    const struct block *block = range->block;
    size_t              atom  = vk->limits.atom;
    if (vk->pool->memory.memoryTypes[block->type].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) return false;
    size_t begin = (range->offset + offset) / atom * atom;
    size_t end   = (size_t)round_up((int64_t)(range->offset + offset + bytes), (int64_t)atom);
    *out         = (VkMappedMemoryRange){.sType  = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                         .memory = block->memory,
                                         .offset = begin,
                                         .size   = end < block->bytes ? end - begin : VK_WHOLE_SIZE};
    return true;
}

scry_status scry__vk_part_flush(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset, size_t bytes)
{
    VkMappedMemoryRange units;
    if (!find_units(&units, vk, part, offset, bytes)) return SCRY_OK;
    return scry__vk_check(vk, vkFlushMappedMemoryRanges(vk->device, 1, &units), "vkFlushMappedMemoryRanges");
}

scry_status scry__vk_part_invalidate(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset, size_t bytes)
{
    VkMappedMemoryRange units;
    if (!find_units(&units, vk, part, offset, bytes)) return SCRY_OK;
    return scry__vk_check(vk, vkInvalidateMappedMemoryRanges(vk->device, 1, &units), "vkInvalidateMappedMemoryRanges");
}

scry_status scry__vk_mapped_create(struct scry__vk_mapped *out, struct scry__vk *vk, size_t bytes)
{
    struct scry__vk_part part;
    scry_status          status = scry__vk_part_create(&part, vk, bytes, SCRY__VK_FOR_UPLOAD);
    if (status) return status;
    *out = (struct scry__vk_mapped){part.buffer, part.allocation, scry__vk_part_host(&part)};
    return SCRY_OK;
}

void scry__vk_mapped_destroy(struct scry__vk *vk, struct scry__vk_mapped *mapped)
{
    struct scry__vk_part part = {mapped->buffer, mapped->allocation};
    scry__vk_part_destroy(vk, &part);
    *mapped = (struct scry__vk_mapped){0};
}

/* Parts of buffers: the kind of memory that each wants, the VkBuffer over it, and what the host sees of it. See part.h.
 */
#include "part.h"

#include "pool.h"

#include <limits.h>

/* Memory for a use: what it must be, what it should be, what would be welcome where the device shares its memory, and
 * what it had better not be. A driver lists its types in order of preference, so of equals the first is taken. */
static const struct {
    VkMemoryPropertyFlags needed, wanted, welcome, unwanted;
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

/* A part that would take more than one of so many shares of a block has its own. */
enum { LARGE_SHARE = 4 };

/* Types with other properties want something that is never enabled here. */
enum {
    KNOWN = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
            VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT
};

/* The best type of memory among those of the mask. */
static scry_status choose_type(uint32_t *out, const struct scry__vk *vk, uint32_t mask, enum scry__vk_use use)
{
    const VkPhysicalDeviceMemoryProperties *memory  = scry__vk_pool_memory(vk);
    VkMemoryPropertyFlags                   welcome = 0;
    int                                     best    = INT_MIN;
    if (use == SCRY__VK_FOR_DEVICE && vk->limits.shares_memory)
        welcome = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = memory->memoryTypes[i].propertyFlags;
        if (!(mask >> i & 1) || (uses[use].needed & ~flags) || (flags & ~(unsigned)KNOWN)) continue;
        int score = 4 * __builtin_popcount(flags & uses[use].wanted) + __builtin_popcount(flags & welcome) -
                    __builtin_popcount(flags & uses[use].unwanted);
        if (score <= best) continue;
        best = score;
        *out = i;
    }
    if (best > INT_MIN) return SCRY_OK;
    return scry__vk_host->fail(SCRY_UNSUPPORTED, "vulkan: no type of memory serves buffers: expected one of mask %#x",
                               (unsigned)mask);
}

/* `types`: the mask of those that may be chosen. */
static scry_status make_wish(struct scry__vk_wish *out, const struct scry__vk *vk, VkBuffer buffer,
                             enum scry__vk_use use, uint32_t types)
{
    VkMemoryDedicatedRequirements dedicated = {.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS};
    VkMemoryRequirements2         answer    = {.sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, .pNext = &dedicated};
    const VkBufferMemoryRequirementsInfo2 question = {.sType  = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2,
                                                      .buffer = buffer};
    vkGetBufferMemoryRequirements2(vk->device, &question, &answer);
    const VkMemoryRequirements *needs = &answer.memoryRequirements;
    /* Whole units of what is flushed, so that no two parts share one. */
    int64_t unit  = most((int64_t)needs->alignment, most(vk->limits.atom, SCRY__VK_UNIT));
    size_t  bytes = (size_t)round_up((int64_t)needs->size, unit);
    size_t  block = lesser(uses[use].block_bytes, vk->limits.most_allocated);
    bool    alone =
        dedicated.prefersDedicatedAllocation || dedicated.requiresDedicatedAllocation || bytes > block / LARGE_SHARE;
    *out = (struct scry__vk_wish){.buffer      = buffer,
                                  .bytes       = alone ? (size_t)needs->size : bytes,
                                  .alignment   = (size_t)unit,
                                  .block_bytes = block,
                                  .alone       = alone};
    return choose_type(&out->type, vk, needs->memoryTypeBits & types, use);
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

/* Puts memory under the part's buffer. */
static scry_status bind(struct scry__vk *vk, struct scry__vk_part *part, const struct scry__vk_wish *wish)
{
    struct scry__vk_range *range  = NULL;
    scry_status            status = scry__vk_range_take(&range, vk, wish);
    if (status) return status;
    part->allocation = range;
    return scry__vk_check(vk, vkBindBufferMemory(vk->device, part->buffer, range->block->memory, range->offset),
                          "vkBindBufferMemory");
}

scry_status scry__vk_part_create(struct scry__vk_part *out, struct scry__vk *vk, size_t bytes, enum scry__vk_use use)
{
    struct scry__vk_part part = {0};
    struct scry__vk_wish wish;
    scry_status          status = create_buffer(&part.buffer, vk, bytes, NULL);
    if (!status) status = make_wish(&wish, vk, part.buffer, use, UINT32_MAX);
    if (!status) status = bind(vk, &part, &wish);
    if (status) goto fail;
    *out = part;
    return SCRY_OK;

fail:
    scry__vk_part_destroy(vk, &part);
    return status;
}

/* The types of memory that the host's own can become. */
static scry_status find_types(uint32_t *out, struct scry__vk *vk, const void *host)
{
    PFN_vkGetMemoryHostPointerPropertiesEXT get =
        (PFN_vkGetMemoryHostPointerPropertiesEXT)vkGetDeviceProcAddr(vk->device, "vkGetMemoryHostPointerPropertiesEXT");
    VkMemoryHostPointerPropertiesEXT properties = {.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    if (!get) return SCRY_UNSUPPORTED;
    VkResult code = get(vk->device, VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, host, &properties);
    *out          = properties.memoryTypeBits;
    return scry__vk_check(vk, code, "vkGetMemoryHostPointerPropertiesEXT");
}

scry_status scry__vk_part_import(struct scry__vk_part *out, struct scry__vk *vk, char *host, size_t bytes)
{
    const VkExternalMemoryBufferCreateInfo external = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                                                       .handleTypes =
                                                           VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
    struct scry__vk_part                   part     = {0};
    uint32_t                               types    = 0;
    struct scry__vk_wish                   wish;
    scry_status                            status = find_types(&types, vk, host);
    if (!status) status = create_buffer(&part.buffer, vk, bytes, &external);
    if (!status) status = make_wish(&wish, vk, part.buffer, SCRY__VK_FOR_DEVICE, types);
    /* A driver may want more than there is. */
    if (!status && wish.bytes > bytes) status = SCRY_UNSUPPORTED;
    if (status) goto fail;
    wish.host  = host;
    wish.bytes = bytes;
    wish.alone = true;
    status     = bind(vk, &part, &wish);
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
    if (part->allocation) scry__vk_range_give(vk, part->allocation);
    *part = (struct scry__vk_part){0};
}

/* --- What the host sees --- */

char *scry__vk_part_host(const struct scry__vk_part *part)
{
    const struct scry__vk_range *range = part->allocation;
    return range->block->host ? range->block->host + range->offset : NULL;
}

static bool has(const struct scry__vk_part *part, VkMemoryPropertyFlags flag)
{
    const struct scry__vk_range *range = part->allocation;
    return range->block->flags & flag;
}

bool scry__vk_part_is_cached(const struct scry__vk_part *part)
{
    return has(part, VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
}

bool scry__vk_part_is_coherent(const struct scry__vk_part *part)
{
    return has(part, VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
}

/* The units of non-coherent memory that hold these bytes of the part; false where its memory is coherent. */
static bool find_units(VkMappedMemoryRange *out, const struct scry__vk *vk, const struct scry__vk_part *part,
                       size_t offset, size_t bytes)
{
    const struct scry__vk_range *range = part->allocation;
    const size_t                 atom  = vk->limits.atom;
    if (scry__vk_part_is_coherent(part)) return false;
    size_t begin = (range->offset + offset) / atom * atom;
    size_t end   = (size_t)round_up((int64_t)(range->offset + offset + bytes), (int64_t)atom);
    *out         = (VkMappedMemoryRange){.sType  = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                         .memory = range->block->memory,
                                         .offset = begin,
                                         .size   = end < range->block->bytes ? end - begin : VK_WHOLE_SIZE};
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

/* --- Copies --- */

scry_status scry__vk_part_copy(struct scry__vk *vk, const struct scry__vk_place *to, const struct scry__vk_place *from,
                               size_t bytes)
{
    const struct scry__vk_touched touched[] = {{from->buffer, from->offset, bytes, SCRY__VK_READ},
                                               {to->buffer, to->offset, bytes, SCRY__VK_WRITE}};
    const VkBufferCopy            region    = {.srcOffset = from->offset, .dstOffset = to->offset, .size = bytes};
    VkCommandBuffer               commands;
    scry_status status = scry__vk_commands(vk, &commands, touched, 2, scry__vk_seconds(vk, (double)bytes / 4));
    if (!status) vkCmdCopyBuffer(commands, from->buffer, to->buffer, 1, &region);
    return status;
}

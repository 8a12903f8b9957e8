/* A made-up Vulkan device under the backend's memory. See vulkan_pool.h. */
#include "vulkan_pool.h"

#include "vulkan/part.h"
#include "vulkan/pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- The device --- */

enum { MOST_BUFFERS = 256 };

/* Memory as the device sees it, and as the host does: they differ until it is flushed or invalidated. */
struct memory {
    uint32_t type;
    size_t   bytes;
    char    *device, *host;
    VkBuffer alone; /* the buffer that it was made for */
};

struct buffer {
    size_t         bytes, offset;
    struct memory *memory;
};

static const struct pool_device *made_up;
static struct buffer            *buffers[MOST_BUFFERS]; /* those that are there */
static long                      memory_count, host_count, call_count, failing_call;
static char                      wrong[256];

static void complain(const char *format, ...)
{
    va_list list;
    if (*wrong) return;
    va_start(list, format);
    vsnprintf(wrong, sizeof wrong, format, list);
    va_end(list);
}

/* Counts a call that can fail. */
static bool fails(void)
{
    return ++call_count == failing_call;
}

static bool is_coherent(const struct memory *memory)
{
    return made_up->types[memory->type] & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
}

void vkGetPhysicalDeviceMemoryProperties(VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties *out)
{
    (void)physical;
    *out = (VkPhysicalDeviceMemoryProperties){.memoryTypeCount = (uint32_t)made_up->type_count, .memoryHeapCount = 1};
    for (int i = 0; i < made_up->type_count; i++) out->memoryTypes[i].propertyFlags = made_up->types[i];
}

VkResult vkAllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *callbacks,
                          VkDeviceMemory *out)
{
    (void)device, (void)callbacks;
    if (fails()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const VkMemoryDedicatedAllocateInfo *dedicated = info->pNext;
    struct memory                       *memory    = calloc(1, sizeof *memory);
    *memory        = (struct memory){.type = info->memoryTypeIndex, .bytes = info->allocationSize};
    memory->device = calloc(1, memory->bytes);
    memory->host   = is_coherent(memory) ? memory->device : calloc(1, memory->bytes);
    memory->alone  = dedicated ? dedicated->buffer : NULL;
    memory_count++;
    *out = (VkDeviceMemory)memory;
    return VK_SUCCESS;
}

void vkFreeMemory(VkDevice device, VkDeviceMemory handle, const VkAllocationCallbacks *callbacks)
{
    (void)device, (void)callbacks;
    struct memory *memory = (struct memory *)handle;
    for (int i = 0; i < MOST_BUFFERS; i++)
        if (buffers[i] && buffers[i]->memory == memory) complain("memory is freed under a buffer");
    if (memory->host != memory->device) free(memory->host);
    free(memory->device);
    free(memory);
    memory_count--;
}

VkResult vkMapMemory(VkDevice device, VkDeviceMemory handle, VkDeviceSize offset, VkDeviceSize bytes,
                     VkMemoryMapFlags flags, void **out)
{
    (void)device, (void)bytes, (void)flags;
    if (fails()) return VK_ERROR_MEMORY_MAP_FAILED;
    *out = ((struct memory *)handle)->host + offset;
    return VK_SUCCESS;
}

/* Copies a range of whole units. */
static VkResult synchronise(const VkMappedMemoryRange *range, bool to_device)
{
    struct memory *memory = (struct memory *)range->memory;
    size_t         bytes  = range->size == VK_WHOLE_SIZE ? memory->bytes - range->offset : range->size;
    if (range->offset % made_up->atom || (range->size != VK_WHOLE_SIZE && bytes % made_up->atom) ||
        range->offset + bytes > memory->bytes)
        complain("%zu bytes from %zu of %zu are no whole units", bytes, (size_t)range->offset, memory->bytes);
    else if (to_device)
        memcpy(memory->device + range->offset, memory->host + range->offset, bytes);
    else
        memcpy(memory->host + range->offset, memory->device + range->offset, bytes);
    return VK_SUCCESS;
}

VkResult vkFlushMappedMemoryRanges(VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges)
{
    (void)device, (void)count;
    return fails() ? VK_ERROR_OUT_OF_HOST_MEMORY : synchronise(ranges, true);
}

VkResult vkInvalidateMappedMemoryRanges(VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges)
{
    (void)device, (void)count;
    return fails() ? VK_ERROR_OUT_OF_HOST_MEMORY : synchronise(ranges, false);
}

VkResult vkCreateBuffer(VkDevice device, const VkBufferCreateInfo *info, const VkAllocationCallbacks *callbacks,
                        VkBuffer *out)
{
    (void)device, (void)callbacks;
    int free_slot = 0;
    if (fails()) return VK_ERROR_OUT_OF_HOST_MEMORY;
    while (buffers[free_slot]) free_slot++;
    buffers[free_slot]  = calloc(1, sizeof *buffers[free_slot]);
    *buffers[free_slot] = (struct buffer){.bytes = info->size};
    *out                = (VkBuffer)buffers[free_slot];
    return VK_SUCCESS;
}

void vkDestroyBuffer(VkDevice device, VkBuffer handle, const VkAllocationCallbacks *callbacks)
{
    (void)device, (void)callbacks;
    int slot = 0;
    while (buffers[slot] != (struct buffer *)handle) slot++;
    free(buffers[slot]);
    buffers[slot] = NULL;
}

/* Larger buffers want more. */
static size_t alignment_of(const struct buffer *buffer)
{
    return buffer->bytes > 8192 ? made_up->alignment * 8 : made_up->alignment;
}

void vkGetBufferMemoryRequirements2(VkDevice device, const VkBufferMemoryRequirementsInfo2 *info,
                                    VkMemoryRequirements2 *out)
{
    (void)device;
    const struct buffer           *buffer    = (const struct buffer *)info->buffer;
    VkMemoryDedicatedRequirements *dedicated = out->pNext;
    size_t                         unit      = alignment_of(buffer);
    size_t                         size      = (buffer->bytes + unit - 1) / unit * unit;
    out->memoryRequirements = (VkMemoryRequirements){size, unit, ((uint32_t)1 << made_up->type_count) - 1};
    dedicated->prefersDedicatedAllocation = made_up->dedicated;
}

VkResult vkBindBufferMemory(VkDevice device, VkBuffer handle, VkDeviceMemory memory_handle, VkDeviceSize offset)
{
    (void)device;
    if (fails()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    struct buffer *buffer = (struct buffer *)handle;
    struct memory *memory = (struct memory *)memory_handle;
    if (offset % alignment_of(buffer) || offset + buffer->bytes > memory->bytes)
        complain("%zu bytes are bound at %zu of %zu", buffer->bytes, (size_t)offset, memory->bytes);
    if ((memory->alone || made_up->dedicated) && (memory->alone != handle || offset))
        complain("memory for one buffer is bound to another");
    for (int i = 0; i < MOST_BUFFERS; i++)
        if (buffers[i] && buffers[i]->memory == memory && offset < buffers[i]->offset + buffers[i]->bytes &&
            buffers[i]->offset < offset + buffer->bytes)
            complain("two buffers overlap at %zu", (size_t)offset);
    buffer->memory = memory;
    buffer->offset = offset;
    return VK_SUCCESS;
}

PFN_vkVoidFunction vkGetDeviceProcAddr(VkDevice device, const char *name)
{
    (void)device, (void)name;
    return NULL;
}

void vkCmdCopyBuffer(VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t count, const VkBufferCopy *regions)
{
    (void)commands, (void)from, (void)to, (void)count, (void)regions;
}

/* --- What the rest of the backend is to pool.c and part.c --- */

static void *host_allocate(size_t count, size_t size)
{
    if (fails()) return NULL;
    host_count++;
    return calloc(count, size);
}

static void host_release(void *memory)
{
    host_count -= memory != NULL;
    free(memory);
}

static scry_status host_fail(scry_status status, const char *format, ...)
{
    (void)format;
    return status;
}

static const struct scry_host host          = {.allocate = host_allocate, .release = host_release, .fail = host_fail};
const struct scry_host       *scry__vk_host = &host;

scry_status scry__vk_check(struct scry__vk *vk, VkResult code, const char *what)
{
    (void)vk, (void)what;
    return code == VK_SUCCESS ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

void scry__vk_ring_destroy(struct scry__vk *vk)
{
    (void)vk;
}

void scry__vk_staging_destroy(struct scry__vk *vk)
{
    (void)vk;
}

scry_status scry__vk_commands(struct scry__vk *vk, VkCommandBuffer *out, const struct scry__vk_touched *touched,
                              int count, double seconds)
{
    (void)vk, (void)out, (void)touched, (void)count, (void)seconds;
    return SCRY_UNSUPPORTED;
}

double scry__vk_seconds(const struct scry__vk *vk, double operations)
{
    (void)vk;
    return operations;
}

/* --- The trial --- */

enum { KEPT = 40 };

struct kept {
    struct scry__vk_part part;
    size_t               bytes;
    unsigned char        mark; /* that the device's bytes hold */
};

static uint64_t random_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* What the device sees of a part. */
static unsigned char *device_bytes(const struct kept *kept)
{
    const struct buffer *buffer = (const struct buffer *)kept->part.buffer;
    return (unsigned char *)buffer->memory->device + buffer->offset;
}

static void expect_mark(const struct kept *kept, const unsigned char *bytes, const char *who)
{
    for (size_t i = 0; i < kept->bytes; i++)
        if (bytes[i] != kept->mark) {
            complain("byte %zu of %zu is not as the %s wrote it", i, kept->bytes, who);
            return;
        }
}

/* The host writes, and the device sees it; or the other way around. */
static scry_status exchange(struct scry__vk *vk, struct kept *kept, unsigned char mark)
{
    unsigned char *host_bytes = (unsigned char *)scry__vk_part_host(&kept->part);
    bool           is_written = mark & 1 && host_bytes;
    expect_mark(kept, device_bytes(kept), "last one");
    memset(is_written ? host_bytes : device_bytes(kept), mark, kept->bytes);
    scry_status status = SCRY_OK;
    if (is_written) status = scry__vk_part_flush(vk, &kept->part, 0, kept->bytes);
    if (!is_written && host_bytes) status = scry__vk_part_invalidate(vk, &kept->part, 0, kept->bytes);
    if (status) return status;
    kept->mark = mark;
    expect_mark(kept, device_bytes(kept), "host");
    if (host_bytes) expect_mark(kept, host_bytes, "device");
    return SCRY_OK;
}

static scry_status begin(struct scry__vk *vk, struct kept *kept, uint64_t bits)
{
    enum scry__vk_use use    = (enum scry__vk_use)(bits % POOL_USES);
    size_t            most   = bits / 4 % 64 ? (size_t)1 << (bits / 256 % 18) : (size_t)20 << 20;
    size_t            bytes  = 1 + bits / 8192 % most;
    scry_status       status = scry__vk_part_create(&kept->part, vk, bytes, use);
    if (status) return status;
    const struct buffer *buffer = (const struct buffer *)kept->part.buffer;
    if (buffer->memory->type != (uint32_t)made_up->expected[use])
        complain("use %d has memory of type %u", (int)use, (unsigned)buffer->memory->type);
    kept->bytes = bytes;
    kept->mark  = device_bytes(kept)[0];
    memset(device_bytes(kept), kept->mark, bytes);
    return SCRY_OK;
}

static scry_status go_on(struct scry__vk *vk, uint64_t seed, int steps)
{
    struct kept kept[KEPT];
    scry_status status = SCRY_OK;
    memset(kept, 0, sizeof kept);
    for (int i = 0; i < steps && !status && !*wrong; i++) {
        struct kept *one = &kept[random_bits(&seed) % KEPT];
        if (!one->bytes)
            status = begin(vk, one, random_bits(&seed));
        else if (random_bits(&seed) % 2)
            status = exchange(vk, one, (unsigned char)random_bits(&seed));
        else {
            scry__vk_part_destroy(vk, &one->part);
            one->bytes = 0;
        }
    }
    for (int i = 0; i < KEPT; i++) scry__vk_part_destroy(vk, &kept[i].part);
    return status;
}

SCRY_API pool_trial_function vulkan_pool_trial;

const char *vulkan_pool_trial(const struct pool_device *device, uint64_t seed, int steps, long fail_at, long *calls)
{
    struct scry__vk vk = {
        .limits = {.shares_memory = device->shares_memory, .atom = device->atom, .most_allocated = (size_t)1 << 30}};
    made_up    = device;
    call_count = memory_count = host_count = 0;
    failing_call                           = fail_at;
    *wrong                                 = 0;
    scry_status status                     = scry__vk_pool_create(&vk);
    if (!status) status = go_on(&vk, seed, steps);
    if (memory_count) complain("%ld allocations are left", memory_count);
    scry__vk_pool_destroy(&vk);
    if (host_count) complain("%ld allocations of the host are left", host_count);
    for (int i = 0; i < MOST_BUFFERS; i++)
        if (buffers[i]) complain("buffers are left");
    if (!fail_at && status) complain("status %d", (int)status);
    *calls = call_count;
    return *wrong ? wrong : NULL;
}

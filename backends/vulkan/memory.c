/* Buffers: one part, or several where the device allocates no more at once; what the host writes and reads of them. */
#include "pool.h"

#include <string.h>

enum { COPIED = 64 << 20 }; /* bytes of one command, so that a submission stays short */

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void release(struct scry__vk *vk, struct scry__vk_memory *memory)
{
    for (int i = 0; memory && i < memory->count; i++) scry__vk_part_destroy(vk, &memory->parts[i]);
    scry__vk_host->release(memory);
}

scry_status scry__vk_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    struct scry__vk        *vk     = device->impl;
    size_t                  most   = vk->limits.most_allocated;
    scry_buffer            *buffer = NULL;
    struct scry__vk_memory *memory = NULL;
    scry_status             status = SCRY_OUT_OF_MEMORY;
    if (bytes > vk->limits.memory_bytes)
        return scry__vk_host->fail(SCRY_OUT_OF_MEMORY, "vulkan: a buffer of %zu bytes: the device has %llu", bytes,
                                   (unsigned long long)vk->limits.memory_bytes);
    int count = (int)((bytes - 1) / most + 1);
    buffer    = scry__vk_host->allocate(1, sizeof *buffer);
    memory    = scry__vk_host->allocate(1, sizeof *memory + (size_t)count * sizeof *memory->parts);
    if (!buffer || !memory) goto fail;
    *memory = (struct scry__vk_memory){.part_bytes = most, .count = count};
    status  = count > 1 ? scry__vk_staging_create(vk) : SCRY_OK;
    if (status) goto fail;
    for (int i = 0; i < count; i++) {
        size_t left = bytes - (size_t)i * most;
        status      = scry__vk_part_create(&memory->parts[i], vk, lesser(left, most), SCRY__VK_FOR_DEVICE);
        if (status) goto fail;
    }
    *buffer = (scry_buffer){.device = device, .size = bytes, .impl = memory};
    *out    = buffer;
    return SCRY_OK;

fail:
    release(vk, memory);
    scry__vk_host->release(buffer);
    return status;
}

scry_status scry__vk_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    scry_buffer *buffer = NULL;
    scry_status  status = scry__vk_buffer_create(&buffer, device, bytes);
    if (!status) status = scry__vk_buffer_write(buffer, 0, memory, bytes);
    if (status) goto fail;
    *out = buffer;
    return SCRY_OK;

fail:
    if (buffer) scry__vk_buffer_destroy(&buffer);
    return status;
}

void scry__vk_buffer_destroy(scry_buffer **buffer)
{
    release((*buffer)->device->impl, (*buffer)->impl);
    scry__vk_host->release(*buffer);
    *buffer = NULL;
}

/* The part where byte `offset` lies. The end of a buffer belongs to its last part. */
static int part_of(const scry_buffer *buffer, size_t offset)
{
    const struct scry__vk_memory *memory = buffer->impl;
    return (int)least((int64_t)((memory->skipped + offset) / memory->part_bytes), memory->count - 1);
}

struct scry__vk_place scry__vk_place(const scry_buffer *buffer, size_t offset)
{
    const struct scry__vk_memory *memory = buffer->impl;
    int                           part   = part_of(buffer, offset);
    size_t                        begin = (size_t)part * memory->part_bytes, at = memory->skipped + offset;
    size_t end = part == memory->count - 1 ? memory->skipped + buffer->size : begin + memory->part_bytes;
    return (struct scry__vk_place){.buffer = memory->parts[part].buffer, .offset = at - begin, .left = end - at};
}

bool scry__vk_reaches(const scry_buffer *buffer, size_t offset, size_t bytes)
{
    const struct scry__vk *vk    = buffer->device->impl;
    struct scry__vk_place  place = scry__vk_place(buffer, offset);
    if (bytes <= SCRY_REACHABLE_BYTES) return true;
    return bytes <= place.left && bytes + place.offset % vk->limits.alignment <= vk->limits.most_bound;
}

scry_status scry__vk_copy_range(struct scry__vk *vk, const struct scry__vk_place *to, const struct scry__vk_place *from,
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

scry_status scry__vk_move(struct scry__vk *vk, scry_buffer *to, size_t to_offset, const scry_buffer *from,
                          size_t from_offset, size_t bytes)
{
    scry_status status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__vk_place source = scry__vk_place(from, from_offset + done);
        struct scry__vk_place target = scry__vk_place(to, to_offset + done);
        some                         = lesser(lesser(bytes - done, COPIED), lesser(source.left, target.left));
        status                       = scry__vk_copy_range(vk, &target, &source, some);
    }
    return status;
}

enum { SLOT_BYTES = 1 << 20 };

scry_status scry__vk_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    struct scry__vk       *vk     = buffer->device->impl;
    struct scry__vk_mapped mapped = {0};
    scry_status            status = scry__vk_mapped_create(&mapped, vk, SLOT_BYTES);
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__vk_place to = scry__vk_place(buffer, offset + done), from = {mapped.buffer, 0, SLOT_BYTES};
        some = lesser(lesser(bytes - done, SLOT_BYTES), to.left);
        memcpy(mapped.host, (const char *)data + done, some);
        status = scry__vk_copy_range(vk, &to, &from, some);
        if (!status) status = scry__vk_wait(vk);
    }
    scry__vk_mapped_destroy(vk, &mapped);
    return status;
}

scry_status scry__vk_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    struct scry__vk       *vk     = buffer->device->impl;
    struct scry__vk_mapped mapped = {0};
    scry_status            status = scry__vk_mapped_create(&mapped, vk, SLOT_BYTES);
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__vk_place from = scry__vk_place(buffer, offset + done), to = {mapped.buffer, 0, SLOT_BYTES};
        some   = lesser(lesser(bytes - done, SLOT_BYTES), from.left);
        status = scry__vk_copy_range(vk, &to, &from, some);
        if (!status) status = scry__vk_wait(vk);
        if (!status) memcpy((char *)data + done, mapped.host, some);
    }
    scry__vk_mapped_destroy(vk, &mapped);
    return status;
}

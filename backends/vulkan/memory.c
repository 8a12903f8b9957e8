/* Buffers: one part, or several where the device allocates no more at once; what the host writes and reads of them.
 * Where host and device share memory, the host touches it directly, and wrapped memory is used where it lies. */
#include "part.h"

#include <string.h>

enum {
    COPIED = 64 << 20, /* bytes of one command, so that a submission stays short */
    WAITED = 1 << 20,  /* a write of more bytes is worth waiting for the device, so that it is copied once, not twice */
    MAPPED = 64 << 10, /* fewer bytes than this are copied, where they could be used in place by an allocation */
    PAGE   = 4096,
};

static void release(struct scry__vk *vk, struct scry__vk_memory *memory)
{
    for (int i = 0; memory && i < memory->count; i++) scry__vk_part_destroy(vk, &memory->parts[i]);
    scry__vk_host->release(memory);
}

/* Whether the host touches the part itself. */
static bool is_shared(const struct scry__vk *vk, const struct scry__vk_part *part)
{
    return vk->limits.shares_memory && scry__vk_part_host(part);
}

/* Where the host may read and write a whole buffer by itself, as soon as nothing uses it; NULL: nowhere. */
static char *host_of(const struct scry__vk *vk, const struct scry__vk_memory *memory)
{
    const struct scry__vk_part *part  = &memory->parts[0];
    bool                        whole = memory->count == 1 && is_shared(vk, part);
    return whole && scry__vk_part_is_cached(part) && scry__vk_part_is_coherent(part)
               ? scry__vk_part_host(part) + memory->skipped
               : NULL;
}

/* A buffer of `bytes` over new memory, or over `host`, of which it skips the first bytes. */
static scry_status create(scry_buffer **out, scry_device *device, size_t bytes, char *host, size_t skipped)
{
    struct scry__vk        *vk     = device->impl;
    const size_t            most   = vk->limits.most_allocated;
    scry_status             status = SCRY_OUT_OF_MEMORY;
    int                     count  = (int)((skipped + bytes - 1) / most + 1);
    scry_buffer            *buffer = scry__vk_host->allocate(1, sizeof *buffer);
    struct scry__vk_memory *memory = scry__vk_host->allocate(1, sizeof *memory + (size_t)count * sizeof *memory->parts);
    if (!buffer || !memory) goto fail;
    *memory = (struct scry__vk_memory){.part_bytes = most, .skipped = skipped, .count = count};
    status  = count > 1 ? scry__vk_staging_create(vk) : SCRY_OK;
    for (int i = 0; i < count && !status; i++) {
        size_t begin = (size_t)i * most, some = lesser(skipped + bytes - begin, most);
        status = host ? scry__vk_part_import(&memory->parts[i], vk, host + begin, (size_t)round_up((int64_t)some, PAGE))
                      : scry__vk_part_create(&memory->parts[i], vk, some, SCRY__VK_FOR_DEVICE);
    }
    if (status) goto fail;
    *buffer = (scry_buffer){.device = device, .size = bytes, .impl = memory, .host = host_of(vk, memory)};
    *out    = buffer;
    return SCRY_OK;

fail:
    release(vk, memory);
    scry__vk_host->release(buffer);
    return status;
}

scry_status scry__vk_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    const struct scry__vk *vk = device->impl;
    if (bytes > vk->limits.memory_bytes)
        return scry__vk_host->fail(SCRY_OUT_OF_MEMORY, "vulkan: a buffer of %zu bytes: the device has %llu", bytes,
                                   (unsigned long long)vk->limits.memory_bytes);
    return create(out, device, bytes, NULL, 0);
}

/* A driver takes whole units of memory, which have to be whole pages: what lies around the caller's bytes in their
 * first and last page is the device's too, and never looked at. */
static scry_status import(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    const struct scry__vk *vk      = device->impl;
    size_t                 skipped = (uintptr_t)memory % PAGE;
    if (!vk->limits.shares_memory || !vk->limits.imports_memory || PAGE % vk->limits.import_alignment || bytes < MAPPED)
        return SCRY_UNSUPPORTED;
    return create(out, device, bytes, (char *)memory - skipped, skipped);
}

scry_status scry__vk_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    scry_buffer *buffer = NULL;
    scry_status  status = import(out, device, memory, bytes);
    /* A driver may refuse this memory, mapped as it is, in its own way: a copy serves as well. */
    if (!status || status == SCRY_DEVICE_LOST) return status;
    status = scry__vk_buffer_create(&buffer, device, bytes);
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
    struct scry__vk *vk = (*buffer)->device->impl;
    scry__vk_drain(vk);
    release(vk, (*buffer)->impl);
    scry__vk_host->release(*buffer);
    *buffer = NULL;
}

/* The part where byte `offset` lies. The end of a buffer belongs to its last part. */
static int part_of(const scry_buffer *buffer, size_t offset)
{
    const struct scry__vk_memory *memory = buffer->impl;
    return (int)lesser((memory->skipped + offset) / memory->part_bytes, (size_t)memory->count - 1);
}

struct scry__vk_place scry__vk_place(const scry_buffer *buffer, size_t offset)
{
    const struct scry__vk_memory *memory = buffer->impl;
    int                           part   = part_of(buffer, offset);
    size_t                        begin = (size_t)part * memory->part_bytes, at = memory->skipped + offset;
    size_t                        end = lesser(begin + memory->part_bytes, memory->skipped + buffer->size);
    return (struct scry__vk_place){.buffer = memory->parts[part].buffer, .offset = at - begin, .left = end - at};
}

bool scry__vk_reaches(const scry_buffer *buffer, size_t offset, size_t bytes)
{
    const struct scry__vk *vk    = buffer->device->impl;
    struct scry__vk_place  place = scry__vk_place(buffer, offset);
    if (bytes <= SCRY_REACHABLE_BYTES) return true;
    return bytes <= place.left && bytes + place.offset % vk->limits.alignment <= vk->limits.most_bound;
}

scry_status scry__vk_move(struct scry__vk *vk, scry_buffer *to, size_t to_offset, const scry_buffer *from,
                          size_t from_offset, size_t bytes)
{
    scry_status status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__vk_place source = scry__vk_place(from, from_offset + done);
        struct scry__vk_place target = scry__vk_place(to, to_offset + done);
        some                         = lesser(lesser(bytes - done, COPIED), lesser(source.left, target.left));
        status                       = scry__vk_part_copy(vk, &target, &source, some);
    }
    return status;
}

/* Bytes that the host writes where it sees the part, once no work uses them. */
static scry_status write_directly(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset,
                                  const void *data, size_t bytes)
{
    scry_status status = scry__vk_wait(vk);
    if (status) return status;
    memcpy(scry__vk_part_host(part) + offset, data, bytes);
    return scry__vk_part_flush(vk, part, offset, bytes);
}

static scry_status read_directly(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset, void *data,
                                 size_t bytes)
{
    scry_status status = scry__vk_wait(vk);
    if (!status) status = scry__vk_part_invalidate(vk, part, offset, bytes);
    if (!status) memcpy(data, scry__vk_part_host(part) + offset, bytes);
    return status;
}

scry_status scry__vk_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    const struct scry__vk_memory *memory = buffer->impl;
    struct scry__vk              *vk     = buffer->device->impl;
    const char                   *from   = data;
    scry_status                   status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        const struct scry__vk_part *part   = &memory->parts[part_of(buffer, offset + done)];
        struct scry__vk_place       place  = scry__vk_place(buffer, offset + done);
        bool                        direct = is_shared(vk, part) && (scry__vk_is_idle(vk) || bytes > WAITED);
        some                               = lesser(bytes - done, place.left);
        status                             = direct ? write_directly(vk, part, place.offset, from + done, some)
                                                    : scry__vk_upload(vk, &place, from + done, some);
    }
    return status;
}

scry_status scry__vk_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    const struct scry__vk_memory *memory = buffer->impl;
    struct scry__vk              *vk     = buffer->device->impl;
    char                         *to     = data;
    scry_status                   status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        const struct scry__vk_part *part  = &memory->parts[part_of(buffer, offset + done)];
        struct scry__vk_place       place = scry__vk_place(buffer, offset + done);
        some                              = lesser(bytes - done, place.left);
        status                            = is_shared(vk, part) && scry__vk_part_is_cached(part)
                                                ? read_directly(vk, part, place.offset, to + done, some)
                                                : scry__vk_download(vk, &place, to + done, some);
    }
    return status;
}

/* Buffers: one cl_mem, or several where the device allocates no more at once. Wrapped memory is used in place where the
 * device shares the host's. */
#include "opencl.h"

/* Drivers use the host's memory in place only from the beginning of a page on, and whole cache lines of it. What lies
 * around the caller's bytes in their first page and their last line is mapped as well; kernels never look at it. */
enum { PAGE = 4096, LINE = 64 };

static void release(struct scry__cl_memory *memory)
{
    for (int i = 0; memory && i < memory->count; i++)
        if (memory->parts[i]) clReleaseMemObject(memory->parts[i]);
    scry__cl_host->release(memory);
}

/* Bytes of part `i` of a buffer of `bytes`. */
static size_t part_bytes(const struct scry__cl_memory *memory, int i, size_t bytes)
{
    size_t begin = (size_t)i * memory->part_bytes, left = memory->skipped + bytes - begin;
    return left < memory->part_bytes ? left : memory->part_bytes;
}

/* Where ranges across parts are copied together; made by the first buffer that has parts. */
static scry_status create_staging(struct scry__cl *cl)
{
    cl_int code = CL_SUCCESS;
    for (int i = 0; i < SCRY__CL_STAGED && code == CL_SUCCESS; i++)
        if (!cl->staging[i])
            cl->staging[i] = clCreateBuffer(cl->context, CL_MEM_READ_WRITE, SCRY_REACHABLE_BYTES, NULL, &code);
    return scry__cl_check(cl, code, "clCreateBuffer for staging");
}

/* The parts of a new buffer: over `host` where that is given, with `skipped` bytes before the buffer's own. */
static scry_status create_parts(struct scry__cl_memory **out, struct scry__cl *cl, size_t bytes, char *host,
                                size_t skipped)
{
    cl_mem_flags flags  = host ? CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR : CL_MEM_READ_WRITE;
    size_t       count  = (skipped + bytes - 1) / cl->most_allocated + 1;
    scry_status  status = count > 1 ? create_staging(cl) : SCRY_OK;
    if (status) return status;
    struct scry__cl_memory *memory = scry__cl_host->allocate(1, sizeof *memory + count * sizeof *memory->parts);
    if (!memory) return SCRY_OUT_OF_MEMORY;
    *memory = (struct scry__cl_memory){.part_bytes = cl->most_allocated, .skipped = skipped, .count = (int)count};
    for (int i = 0; i < memory->count && !status; i++) {
        cl_int code;
        char  *begin = host ? host - skipped + (size_t)i * memory->part_bytes : NULL;
        size_t size  = part_bytes(memory, i, bytes);
        if (host) size = (size_t)round_up((int64_t)size, LINE);
        memory->parts[i] = clCreateBuffer(cl->context, flags, size, begin, &code);
        status           = scry__cl_check(cl, code, "clCreateBuffer");
    }
    if (status) {
        release(memory);
        return status;
    }
    *out = memory;
    return SCRY_OK;
}

static scry_status create(scry_buffer **out, scry_device *device, size_t bytes, char *host, size_t skipped)
{
    scry_buffer *buffer = scry__cl_host->allocate(1, sizeof *buffer);
    if (!buffer) return SCRY_OUT_OF_MEMORY;
    struct scry__cl_memory *memory = NULL;
    scry_status             status = create_parts(&memory, device->impl, bytes, host, skipped);
    if (status) {
        scry__cl_host->release(buffer);
        return status;
    }
    *buffer = (scry_buffer){.device = device, .size = bytes, .impl = memory};
    *out    = buffer;
    return SCRY_OK;
}

scry_status scry__cl_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    uint64_t most = device->info.memory_bytes;
    if (most && bytes > most)
        return scry__cl_host->fail(SCRY_OUT_OF_MEMORY, "opencl: a buffer of %zu bytes: the device has %llu", bytes,
                                   (unsigned long long)most);
    return create(out, device, bytes, NULL, 0);
}

scry_status scry__cl_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    const struct scry__cl *cl     = device->impl;
    scry_buffer           *buffer = NULL;
    scry_status            status = SCRY_UNSUPPORTED;
    if (cl->shares_memory) status = create(out, device, bytes, (char *)memory, (uintptr_t)memory % PAGE);
    /* A driver may refuse this memory, mapped as it is, in its own way: a copy serves as well. */
    if (!status || status == SCRY_DEVICE_LOST) return status;
    status = scry__cl_buffer_create(&buffer, device, bytes);
    if (!status) status = scry__cl_buffer_write(buffer, 0, memory, bytes);
    if (status) goto fail;
    *out = buffer;
    return SCRY_OK;

fail:
    if (buffer) scry__cl_buffer_destroy(&buffer);
    return status;
}

void scry__cl_buffer_destroy(scry_buffer **buffer)
{
    scry__cl_drain((*buffer)->device->impl);
    release((*buffer)->impl);
    scry__cl_host->release(*buffer);
    *buffer = NULL;
}

struct scry__cl_place scry__cl_place(const scry_buffer *buffer, size_t offset)
{
    const struct scry__cl_memory *memory = buffer->impl;
    size_t                        at     = memory->skipped + offset;
    size_t                        part   = at / memory->part_bytes;
    size_t                        begin  = part * memory->part_bytes;
    /* The end of a buffer belongs to its last part. */
    if (part == (size_t)memory->count) begin = --part * memory->part_bytes;
    size_t end = memory->skipped + buffer->size;
    if (part + 1 < (size_t)memory->count) end = begin + memory->part_bytes;
    return (struct scry__cl_place){.part = memory->parts[part], .offset = at - begin, .left = end - at};
}

bool scry__cl_reaches(const scry_buffer *buffer, size_t offset, size_t bytes)
{
    return bytes <= SCRY_REACHABLE_BYTES || bytes <= scry__cl_place(buffer, offset).left;
}

scry_status scry__cl_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    struct scry__cl *cl     = buffer->device->impl;
    scry_status      status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__cl_place place = scry__cl_place(buffer, offset + done);
        some                        = bytes - done < place.left ? bytes - done : place.left;
        status                      = scry__cl_check_wait(cl,
                                                          clEnqueueWriteBuffer(cl->queue, place.part, CL_TRUE, place.offset, some,
                                                                               (const char *)data + done, 0, NULL, NULL),
                                                          "clEnqueueWriteBuffer");
    }
    return status;
}

scry_status scry__cl_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    struct scry__cl *cl     = buffer->device->impl;
    scry_status      status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__cl_place place = scry__cl_place(buffer, offset + done);
        some                        = bytes - done < place.left ? bytes - done : place.left;
        status                      = scry__cl_check_wait(
                                 cl,
                                 clEnqueueReadBuffer(cl->queue, place.part, CL_TRUE, place.offset, some, (char *)data + done, 0, NULL, NULL),
                                 "clEnqueueReadBuffer");
    }
    return status;
}

scry_status scry__cl_move(struct scry__cl *cl, scry_buffer *to, size_t to_offset, const scry_buffer *from,
                          size_t from_offset, size_t bytes)
{
    scry_status status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__cl_place source = scry__cl_place(from, from_offset + done);
        struct scry__cl_place target = scry__cl_place(to, to_offset + done);
        size_t                left   = source.left < target.left ? source.left : target.left;
        some                         = bytes - done < left ? bytes - done : left;
        cl_int code =
            clEnqueueCopyBuffer(cl->queue, source.part, target.part, source.offset, target.offset, some, 0, NULL, NULL);
        status = scry__cl_check(cl, code, "clEnqueueCopyBuffer");
    }
    return status;
}

/* Buffers: one cl_mem, or several where the device allocates no more at once. */
#include "opencl.h"

static void release(struct scry__cl_memory *memory)
{
    for (int i = 0; memory && i < memory->count; i++)
        if (memory->parts[i]) clReleaseMemObject(memory->parts[i]);
    scry__cl_host->release(memory);
}

static struct scry__cl_memory *allocate(const struct scry__cl *cl, size_t bytes)
{
    size_t                  count  = (bytes + cl->most_allocated - 1) / cl->most_allocated;
    struct scry__cl_memory *memory = scry__cl_host->allocate(1, sizeof *memory + count * sizeof(cl_mem));
    if (!memory) return NULL;
    memory->count      = (int)count;
    memory->part_bytes = cl->most_allocated;
    return memory;
}

/* Bytes of part `i` of a buffer of `bytes`. */
static size_t part_bytes(const struct scry__cl_memory *memory, int i, size_t bytes)
{
    size_t begin = (size_t)i * memory->part_bytes;
    return bytes - begin < memory->part_bytes ? bytes - begin : memory->part_bytes;
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

scry_status scry__cl_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    struct scry__cl *cl     = device->impl;
    scry_status      status = SCRY_OUT_OF_MEMORY;
    cl_int           code   = CL_SUCCESS;
    scry_buffer     *buffer = scry__cl_host->allocate(1, sizeof *buffer);
    if (!buffer) return status;
    struct scry__cl_memory *memory = allocate(cl, bytes);
    if (!memory) goto fail;
    status = memory->count > 1 ? create_staging(cl) : SCRY_OK;
    for (int i = 0; i < memory->count && !status; i++) {
        memory->parts[i] = clCreateBuffer(cl->context, CL_MEM_READ_WRITE, part_bytes(memory, i, bytes), NULL, &code);
        status           = scry__cl_check(cl, code, "clCreateBuffer");
    }
    if (status) goto fail;
    buffer->impl = memory;
    *out         = buffer;
    return SCRY_OK;

fail:
    release(memory);
    scry__cl_host->release(buffer);
    return status;
}

void scry__cl_buffer_destroy(scry_buffer **buffer)
{
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

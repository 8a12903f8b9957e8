/* Buffers: each one allocation, from the device's own pool in the order of a stream where it has pools.
 *
 * Uploads go through their own stream, so that they run beside the ops: weights arrive while layers are computed. A
 * buffer's `written` event stands behind its last one, and the first op that uses the buffer waits for it. What ops
 * have used already is written behind them: in their stream where that is little, as a wait on both sides would take
 * longer than the copy. */
#include "ring.h"

enum {
    LITTLE    = 64 << 10,
    ALIGNMENT = 16, /* of what kernels load at once */
};

static scry_status allocate(struct scry__cuda *cuda, void **data, size_t bytes)
{
    if (!cuda->pool) return scry__cuda_check(cuda, cudaMalloc(data, bytes), "cudaMalloc");
    return scry__cuda_check(cuda, cudaMallocFromPoolAsync(data, bytes, cuda->pool, cuda->copies),
                            "cudaMallocFromPoolAsync");
}

/* Ops wait for what the copies' stream was given so far before they use the memory. */
static scry_status mark_written(struct scry__cuda *cuda, struct scry__cuda_memory *memory)
{
    memory->is_pending = true;
    return scry__cuda_check(cuda, cudaEventRecord(memory->written, cuda->copies), "cudaEventRecord");
}

/* Sets a mark in the ops' stream, behind all of it that counts as given by `covers`. */
static scry_status set_mark(struct scry__cuda *cuda, uint64_t covers)
{
    struct scry__cuda_mark *mark = &cuda->marks[cuda->next_mark];
    scry_status status = scry__cuda_check(cuda, cudaEventRecord(mark->event, cuda->stream), "cudaEventRecord");
    mark->covers       = status ? 0 : covers;
    cuda->next_mark    = (cuda->next_mark + 1) % SCRY__CUDA_MARKS;
    return status;
}

/* The first mark behind what was given up to `used`; NULL where there is none. */
static const struct scry__cuda_mark *mark_behind(const struct scry__cuda *cuda, uint64_t used)
{
    const struct scry__cuda_mark *first = NULL;
    for (int i = 0; i < SCRY__CUDA_MARKS; i++) {
        const struct scry__cuda_mark *mark = &cuda->marks[i];
        if (mark->covers >= used && (!first || mark->covers < first->covers)) first = mark;
    }
    return first;
}

/* Lets the op that is being enqueued use the memory. */
static scry_status await_written(struct scry__cuda *cuda, struct scry__cuda_memory *memory)
{
    scry_status status = SCRY_OK;
    uint64_t    before = cuda->given - 1;
    if (memory->is_pending && before && !mark_behind(cuda, before)) status = set_mark(cuda, before);
    if (memory->is_pending && !status)
        status = scry__cuda_check(cuda, cudaStreamWaitEvent(cuda->stream, memory->written, 0), "cudaStreamWaitEvent");
    if (status) return status;
    memory->is_pending = false;
    memory->used       = cuda->given;
    return SCRY_OK;
}

static void *address(struct scry__cuda *cuda, const scry_buffer *buffer, size_t offset)
{
    struct scry__cuda_memory *memory = buffer->impl;
    scry_status               status = await_written(cuda, memory);
    if (status) cuda->failed = status;
    return (char *)memory->data + offset;
}

void *scry__cuda_address(struct scry__cuda *cuda, const scry_tensor *tensor)
{
    return present(tensor) ? address(cuda, tensor->buffer, tensor->offset) : NULL;
}

void *scry__cuda_scratch(struct scry__cuda *cuda, size_t offset)
{
    return cuda->front->scratch ? address(cuda, cuda->front->scratch, offset) : NULL;
}

static void release(struct scry__cuda *cuda, struct scry__cuda_memory *memory)
{
    if (memory->data && !memory->is_borrowed) {
        if (cuda->pool)
            cudaFreeAsync(memory->data, cuda->copies);
        else
            cudaFree(memory->data);
    }
    if (memory->written) cudaEventDestroy(memory->written);
    scry__cuda_host->release(memory);
}

/* Memory over `borrowed`, or, where that is NULL, of its own. */
static scry_status create(scry_buffer **out, scry_device *device, size_t bytes, void *borrowed)
{
    struct scry__cuda        *cuda   = device->impl;
    struct scry__cuda_memory *memory = NULL;
    scry_buffer              *buffer = scry__cuda_host->allocate(1, sizeof *buffer);
    if (!buffer) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__cuda_enter(cuda);
    if (status) goto fail;
    status = SCRY_OUT_OF_MEMORY;
    memory = scry__cuda_host->allocate(1, sizeof *memory);
    if (!memory) goto fail;
    *memory = (struct scry__cuda_memory){.data = borrowed, .is_borrowed = borrowed != NULL};
    status  = scry__cuda_check(cuda, cudaEventCreateWithFlags(&memory->written, cudaEventDisableTiming),
                               "cudaEventCreateWithFlags");
    if (!status && !borrowed) status = allocate(cuda, &memory->data, bytes);
    if (!status) status = mark_written(cuda, memory);
    if (status) goto fail;
    *buffer = (scry_buffer){.device = device, .size = bytes, .impl = memory};
    *out    = buffer;
    return SCRY_OK;

fail:
    if (memory) release(cuda, memory);
    scry__cuda_host->release(buffer);
    return status;
}

scry_status scry__cuda_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    uint64_t most = device->info.memory_bytes;
    if (most && bytes > most)
        return scry__cuda_host->fail(SCRY_OUT_OF_MEMORY, "cuda: a buffer of %zu bytes: the device has %llu", bytes,
                                     (unsigned long long)most);
    return create(out, device, bytes, NULL);
}

scry_status scry__cuda_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    const struct scry__cuda *cuda       = device->impl;
    scry_buffer             *buffer     = NULL;
    bool                     is_aligned = (uintptr_t)memory % ALIGNMENT == 0;
    if (cuda->limits.shares_memory && is_aligned) return create(out, device, bytes, (void *)memory);
    scry_status status = scry__cuda_buffer_create(&buffer, device, bytes);
    if (!status) status = scry__cuda_buffer_write(buffer, 0, memory, bytes);
    if (status) goto fail;
    *out = buffer;
    return SCRY_OK;

fail:
    if (buffer) scry__cuda_buffer_destroy(&buffer);
    return status;
}

void scry__cuda_buffer_destroy(scry_buffer **buffer)
{
    struct scry__cuda *cuda = (*buffer)->device->impl;
    cudaSetDevice(cuda->index); /* a failure is not worth the detail of the one before, and the next call meets it */
    release(cuda, (*buffer)->impl);
    scry__cuda_host->release(*buffer);
    *buffer = NULL;
}

/* Makes the copies' stream wait for what the ops' stream was given up to `used`. */
static scry_status follow_ops(struct scry__cuda *cuda, uint64_t used)
{
    scry_status status = mark_behind(cuda, used) ? SCRY_OK : set_mark(cuda, cuda->given);
    return status ? status
                  : scry__cuda_check(cuda, cudaStreamWaitEvent(cuda->copies, mark_behind(cuda, used)->event, 0),
                                     "cudaStreamWaitEvent");
}

scry_status scry__cuda_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    struct scry__cuda        *cuda   = buffer->device->impl;
    struct scry__cuda_memory *memory = buffer->impl;
    void                     *to     = (char *)memory->data + offset;
    scry_status               status = scry__cuda_enter(cuda);
    if (status) return status;
    if (memory->used && bytes <= LITTLE) {
        memory->used = ++cuda->given;
        return scry__cuda_upload(cuda, to, data, bytes, cuda->stream);
    }
    if (memory->used) status = follow_ops(cuda, memory->used);
    if (!status) status = scry__cuda_upload(cuda, to, data, bytes, cuda->copies);
    if (!status) status = mark_written(cuda, memory);
    /* Until it is used again, nothing but copies is to be followed. */
    if (!status) memory->used = 0;
    return status;
}

scry_status scry__cuda_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    struct scry__cuda        *cuda   = buffer->device->impl;
    struct scry__cuda_memory *memory = buffer->impl;
    scry_status               status = scry__cuda_enter(cuda);
    cuda->given++;
    if (!status) status = await_written(cuda, memory);
    return status ? status : scry__cuda_download(cuda, data, (const char *)memory->data + offset, bytes, cuda->stream);
}

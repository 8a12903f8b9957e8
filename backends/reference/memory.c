/* Buffers of the reference: host memory through the host's gate. */
#include "reference.h"

/* A buffer at `address`; `owned` is what destroy releases besides the struct. */
static scry_status make(scry_buffer **out, void *address, void *owned)
{
    scry_buffer *buffer = scry__reference_host->allocate(1, sizeof *buffer);
    if (!buffer) return SCRY_OUT_OF_MEMORY;
    buffer->host = address;
    buffer->impl = owned;
    *out         = buffer;
    return SCRY_OK;
}

scry_status scry__reference_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    (void)device;
    void *memory = scry__reference_host->allocate_aligned(bytes);
    if (!memory) return SCRY_OUT_OF_MEMORY;
    scry_status status = make(out, memory, memory);
    if (status) scry__reference_host->release_aligned(memory);
    return status;
}

scry_status scry__reference_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    (void)device;
    (void)bytes;
    return make(out, (void *)(uintptr_t)memory, NULL); /* read only by contract: ops never write it */
}

void scry__reference_buffer_destroy(scry_buffer **buffer)
{
    if (!*buffer) return;
    if ((*buffer)->impl) scry__reference_host->release_aligned((*buffer)->impl);
    scry__reference_host->release(*buffer);
    *buffer = NULL;
}

scry_status scry__reference_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    if (bytes) memcpy((char *)buffer->host + offset, data, bytes);
    return SCRY_OK;
}

scry_status scry__reference_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    if (bytes) memcpy(data, (const char *)buffer->host + offset, bytes);
    return SCRY_OK;
}

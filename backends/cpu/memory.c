/* Buffers: host memory, aligned for the kernels; wrapped memory is used in place. */
#include "cpu.h"

#include <string.h>

/* impl of a buffer that owns its memory; a wrapped one has none. */
static char owned;

scry_status scry__cpu_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    (void)device;
    scry_buffer *buffer = scry__cpu_host->allocate(1, sizeof *buffer);
    if (!buffer) return SCRY_OUT_OF_MEMORY;
    buffer->host = scry__cpu_host->allocate_aligned(bytes);
    if (!buffer->host) {
        scry__cpu_host->release(buffer);
        return SCRY_OUT_OF_MEMORY;
    }
    buffer->impl = &owned;
    *out         = buffer;
    return SCRY_OK;
}

scry_status scry__cpu_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    (void)device, (void)bytes;
    scry_buffer *buffer = scry__cpu_host->allocate(1, sizeof *buffer);
    if (!buffer) return SCRY_OUT_OF_MEMORY;
    buffer->host = (void *)memory; /* read-only by contract: no op writes to a wrapped buffer */
    *out         = buffer;
    return SCRY_OK;
}

void scry__cpu_buffer_destroy(scry_buffer **buffer)
{
    if ((*buffer)->impl) scry__cpu_host->release_aligned((*buffer)->host);
    scry__cpu_host->release(*buffer);
    *buffer = NULL;
}

scry_status scry__cpu_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    memcpy((char *)buffer->host + offset, data, bytes);
    return SCRY_OK;
}

scry_status scry__cpu_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    memcpy(data, (const char *)buffer->host + offset, bytes);
    return SCRY_OK;
}

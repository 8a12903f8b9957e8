/* Buffers: bounds are checked here, so that backends only move bytes. See scry/device.h. */
#include "base/error.h"
#include "device/front.h"

#include <stdio.h>

static scry_status check_new(scry_buffer **out, scry_device *device, size_t bytes)
{
    if (!out || !device) return scry__fail(SCRY_BAD_ARGUMENT, "buffer: expected a device and a place for the result");
    if (!bytes) return scry__fail(SCRY_BAD_ARGUMENT, "buffer: 0 bytes: expected at least 1");
    return scry__front_check(device);
}

static scry_status check_range(const scry_buffer *buffer, const char *call, size_t offset, size_t bytes)
{
    if (!buffer) return scry__fail(SCRY_BAD_ARGUMENT, "buffer %s: expected a buffer", call);
    if (offset > buffer->size || bytes > buffer->size - offset)
        return scry__fail(SCRY_BAD_ARGUMENT, "buffer %s: %zu bytes at offset %zu: expected them inside its %zu bytes",
                          call, bytes, offset, buffer->size);
    return scry__front_check(buffer->device);
}

scry_status scry_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    scry_buffer *buffer = NULL;
    scry_status  status = check_new(out, device, bytes);
    if (!status) status = scry__front_result(device, device->backend->buffer_create(&buffer, device, bytes));
    if (status) return status;
    buffer->device = device;
    buffer->size   = bytes;
    *out           = buffer;
    return SCRY_OK;
}

scry_status scry_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes)
{
    scry_buffer *buffer = NULL;
    scry_status  status = check_new(out, device, bytes);
    if (status) return status;
    if (!memory) return scry__fail(SCRY_BAD_ARGUMENT, "buffer: expected memory to wrap");
    if (device->backend->buffer_wrap) {
        status = scry__front_result(device, device->backend->buffer_wrap(&buffer, device, memory, bytes));
        if (status) return status;
        buffer->device = device;
        buffer->size   = bytes;
    } else {
        status = scry_buffer_create(&buffer, device, bytes);
        if (!status) status = scry_buffer_write(buffer, 0, memory, bytes);
        if (status) goto fail;
    }
    buffer->read_only = true;
    *out              = buffer;
    return SCRY_OK;

fail:
    scry_buffer_destroy(&buffer);
    return status;
}

/* Waits for the work under way, which may use a buffer that is about to go. Often the caller is cleaning up after a
 * failure, so the thread's detail stays that failure's; what fails here is told by the next call. */
static void wait_quietly(scry_device *device)
{
    struct scry_front *front = device->front;
    char               kept[1024];
    if (front->lost) return;
    snprintf(kept, sizeof kept, "%s", scry_last_error());
    scry_status status = scry__front_result(device, device->backend->finish(device));
    if (!status) return;
    front->failed = status;
    snprintf(front->failed_reason, sizeof front->failed_reason, "%s", scry_last_error());
    scry__fail(SCRY_OK, "%s", kept);
}

void scry_buffer_destroy(scry_buffer **buffer)
{
    if (!buffer || !*buffer) return;
    wait_quietly((*buffer)->device);
    (*buffer)->device->backend->buffer_destroy(buffer);
    *buffer = NULL;
}

size_t scry_buffer_size(const scry_buffer *buffer)
{
    return buffer ? buffer->size : 0;
}

scry_status scry_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    scry_status status = check_range(buffer, "write", offset, bytes);
    if (status || !bytes) return status;
    if (buffer->read_only) return scry__fail(SCRY_BAD_ARGUMENT, "buffer write: a wrapped buffer is read-only");
    if (!data) return scry__fail(SCRY_BAD_ARGUMENT, "buffer write: expected data");
    return scry__front_result(buffer->device, buffer->device->backend->buffer_write(buffer, offset, data, bytes));
}

scry_status scry_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    scry_status status = check_range(buffer, "read", offset, bytes);
    if (status || !bytes) return status;
    if (!data) return scry__fail(SCRY_BAD_ARGUMENT, "buffer read: expected a place for the data");
    return scry__front_result(buffer->device, buffer->device->backend->buffer_read(buffer, offset, data, bytes));
}

void *scry_buffer_host(scry_buffer *buffer)
{
    return buffer ? buffer->host : NULL;
}

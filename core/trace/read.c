/* Bringing a tensor to the host. See read.h. */
#include "trace/read.h"

#include "scry/backend.h"

#include <string.h>

/* Copies row after row; a row whose stride is 1 is one run. Axes that the tensor lacks count as size 1 in front. */
static void gather(const scry_tensor *tensor, const char *from, char *to)
{
    size_t  size = scry_dtype_size(tensor->dtype);
    int64_t shape[SCRY_MAX_RANK], step[SCRY_MAX_RANK];
    for (int axis = 0; axis < SCRY_MAX_RANK; axis++) {
        int own     = axis - (SCRY_MAX_RANK - tensor->rank);
        shape[axis] = own < 0 ? 1 : tensor->shape[own];
        step[axis]  = own < 0 ? 0 : tensor->stride[own] * (int64_t)size;
    }
    for (int64_t i = 0; i < shape[0]; i++)
        for (int64_t j = 0; j < shape[1]; j++)
            for (int64_t k = 0; k < shape[2]; k++) {
                const char *row = from + i * step[0] + j * step[1] + k * step[2];
                bool        run = step[3] == (int64_t)size;
                if (run) memcpy(to, row, (size_t)shape[3] * size);
                for (int64_t l = 0; !run && l < shape[3]; l++) memcpy(to + (size_t)l * size, row + l * step[3], size);
                to += (size_t)shape[3] * size;
            }
}

/* Devices with memory of their own first pack the elements. */
static scry_status read_packed(const scry_tensor *tensor, void *out)
{
    scry_device *device = tensor->buffer->device;
    scry_buffer *buffer = NULL;
    size_t       bytes  = (size_t)scry_tensor_count(tensor) * scry_dtype_size(tensor->dtype);
    scry_status  status = scry_buffer_create(&buffer, device, bytes);
    if (status) return status;
    scry_op op = {.kind = SCRY_OP_COPY};
    op.copy    = (scry_copy){*tensor, scry_tensor_of(buffer, 0, tensor->dtype, tensor->rank, tensor->shape)};
    status     = scry_device_run(device, &op);
    if (!status) status = scry_buffer_read(buffer, 0, out, bytes);
    scry_buffer_destroy(&buffer);
    return status;
}

scry_status scry__read_tensor(const scry_tensor *tensor, void *out)
{
    size_t bytes = (size_t)scry_tensor_count(tensor) * scry_dtype_size(tensor->dtype);
    if (!bytes) return SCRY_OK;
    if (scry_tensor_is_contiguous(tensor)) return scry_buffer_read(tensor->buffer, tensor->offset, out, bytes);
    const char *host = scry_buffer_host(tensor->buffer);
    if (!host) return read_packed(tensor, out);
    scry_status status = scry_device_finish(tensor->buffer->device);
    if (!status) gather(tensor, host + tensor->offset, out);
    return status;
}

scry_status scry__tensor_on_host(void **out, const scry_tensor *tensor)
{
    char *host = scry_tensor_is_contiguous(tensor) ? scry_buffer_host(tensor->buffer) : NULL;
    *out       = host ? host + tensor->offset : NULL;
    return host ? scry_device_finish(tensor->buffer->device) : SCRY_OK;
}

/* One operand as a view of its buffer: nothing that it reaches lies outside. See validate.h.
 *
 * Every number here may be hostile, so each product and sum is checked. */
#include "device/validate.h"

#include "scry/backend.h"

#include <stdio.h>

static scry_status check_dtype(const scry_op *op, const scry__operand *operand)
{
    const scry_tensor *tensor = scry__operand_in(op, operand);
    char               allowed[32];
    size_t             used = 0;
    if ((unsigned)tensor->dtype < SCRY_DTYPE_COUNT && operand->dtypes >> tensor->dtype & 1) return SCRY_OK;
    for (int dtype = 0; dtype < SCRY_DTYPE_COUNT; dtype++)
        if (operand->dtypes >> dtype & 1)
            used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "",
                                     scry_dtype_text((scry_dtype)dtype));
    return scry__refuse(op, operand, "%s: expected %s", scry_dtype_text(tensor->dtype), allowed);
}

/* Sizes, strides, and the element range within the buffer. */
static scry_status check_extent(const scry_op *op, const scry__operand *operand)
{
    const scry_tensor *tensor = scry__operand_in(op, operand);
    size_t             size = scry_dtype_size(tensor->dtype), last = 0, end = 0;
    int64_t            count = 1;
    bool               fits = true, small = true, empty = false;
    for (int axis = 0; axis < tensor->rank; axis++) {
        int64_t length = tensor->shape[axis], stride = tensor->stride[axis];
        size_t  reach;
        if (length < 0) return scry__refuse(op, operand, "expected no negative size");
        if (stride < 0) return scry__refuse(op, operand, "stride %lld: expected none negative", (long long)stride);
        empty |= length == 0;
        if (length == 0) continue;
        small = small && !__builtin_mul_overflow(count, length, &count) && count <= SCRY__MAX_ELEMENTS;
        fits  = fits && !__builtin_mul_overflow((size_t)(length - 1), (size_t)stride, &reach) &&
               !__builtin_add_overflow(last, reach, &last);
    }
    if (!small) return scry__refuse(op, operand, "expected at most %lld elements", (long long)SCRY__MAX_ELEMENTS);
    if (tensor->offset % size)
        return scry__refuse(op, operand, "offset %zu: expected a multiple of %zu bytes", tensor->offset, size);
    fits = fits && !__builtin_add_overflow(last, 1, &end) && !__builtin_mul_overflow(end, size, &end);
    if (empty) {
        fits = true;
        end  = 0;
    }
    fits = fits && !__builtin_add_overflow(end, tensor->offset, &end) && end <= tensor->buffer->size;
    if (!fits)
        return scry__refuse(op, operand, "from offset %zu: expected its elements inside the buffer's %zu bytes",
                            tensor->offset, tensor->buffer->size);
    return SCRY_OK;
}

/* An output's elements are distinct: sorted by stride, each axis steps over all that the smaller ones reach. */
static bool elements_are_distinct(const scry_tensor *tensor)
{
    int64_t covered             = 1; /* elements spanned by the axes seen so far */
    bool    used[SCRY_MAX_RANK] = {0};
    for (int round = 0; round < tensor->rank; round++) {
        int smallest = -1;
        for (int axis = 0; axis < tensor->rank; axis++)
            if (!used[axis] && (smallest < 0 || tensor->stride[axis] < tensor->stride[smallest])) smallest = axis;
        used[smallest] = true;
        if (tensor->shape[smallest] <= 1) continue;
        if (tensor->stride[smallest] < covered) return false;
        covered += (tensor->shape[smallest] - 1) * tensor->stride[smallest];
    }
    return true;
}

scry_status scry__validate_output(const scry_op *op, const scry__operand *operand)
{
    const scry_tensor *tensor = scry__operand_in(op, operand);
    if (!(operand->flags & SCRY__WRITE)) return SCRY_OK;
    if (tensor->buffer->read_only)
        return scry__refuse(op, operand, "a wrapped buffer: expected one that can be written");
    if (scry_tensor_count(tensor) && !elements_are_distinct(tensor))
        return scry__refuse(op, operand, "expected strides that keep an output's elements apart");
    return SCRY_OK;
}

scry_status scry__validate_view(const scry_device *device, const scry_op *op, const scry__operand *operand)
{
    const scry_tensor *tensor = scry__operand_in(op, operand);
    if (tensor->buffer->device != device)
        return scry__refuse(op, operand, "expected a buffer of %s", device->info.name);
    if (tensor->rank < 1 || tensor->rank > SCRY_MAX_RANK)
        return scry__refuse(op, operand, "rank %d: expected 1 to %d", tensor->rank, SCRY_MAX_RANK);
    scry_status status = check_dtype(op, operand);
    return status ? status : check_extent(op, operand);
}

/* Extents and views of operands. See operands.h. */
#include "operands.h"

#include <string.h>

size_t scry__extent_bytes(const scry_tensor *x)
{
    size_t last = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!x->shape[i]) return 0;
        last += (size_t)(x->shape[i] - 1) * (size_t)x->stride[i];
    }
    return (last + 1) * scry__element_bytes(x->dtype);
}

bool scry__is_dense(const scry_tensor *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->rank; i++) count *= x->shape[i];
    return scry__extent_bytes(x) == (size_t)count * scry__element_bytes(x->dtype);
}

bool scry__is_contiguous(const scry_tensor *x)
{
    int64_t stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        if (x->shape[i] != 1 && x->stride[i] != stride) return false;
        stride *= x->shape[i];
    }
    return true;
}

bool scry__is_same_view(const scry_tensor *a, const scry_tensor *b)
{
    return a->buffer == b->buffer && a->offset == b->offset && a->rank == b->rank &&
           !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) &&
           !memcmp(a->stride, b->stride, (size_t)a->rank * sizeof *a->stride);
}

scry_tensor scry__slice(scry_tensor x, int axis, int64_t begin, int64_t count)
{
    if (!present(&x)) return x;
    x.offset += (size_t)(begin * x.stride[axis]) * scry__element_bytes(x.dtype);
    x.shape[axis] = count;
    return x;
}

scry_tensor scry__widened(scry_tensor x, int behind)
{
    scry_tensor wide  = x;
    int         front = SCRY_MAX_RANK - behind - x.rank;
    wide.rank         = SCRY_MAX_RANK;
    for (int i = 0; i < SCRY_MAX_RANK; i++) {
        bool own       = i >= front && i < front + x.rank;
        wide.shape[i]  = own ? x.shape[i - front] : 1;
        wide.stride[i] = own ? x.stride[i - front] : 0;
    }
    return wide;
}

bool scry__rows_wanted(const scry_row_statistics *rows)
{
    return present(&rows->lse) || present(&rows->entropy) || present(&rows->max) || present(&rows->argmax) ||
           present(&rows->previous) || present(&rows->self) || present(&rows->first) || present(&rows->key_mass);
}

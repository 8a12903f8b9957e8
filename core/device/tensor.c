/* Tensor views. See scry/tensor.h. */
#include "scry/op.h"

static const struct {
    size_t      size;
    const char *text;
} dtypes[] = {
#define DTYPE_ROW(name, bytes, text) {bytes, text},
    SCRY_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

size_t scry_dtype_size(scry_dtype dtype)
{
    return (unsigned)dtype < SCRY_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

const char *scry_dtype_text(scry_dtype dtype)
{
    return (unsigned)dtype < SCRY_DTYPE_COUNT ? dtypes[dtype].text : "unknown";
}

scry_tensor scry_tensor_of(scry_buffer *buffer, size_t offset, scry_dtype dtype, int rank, const int64_t *shape)
{
    scry_tensor tensor = {.buffer = buffer, .offset = offset, .dtype = dtype, .rank = rank};
    int64_t     stride = 1;
    for (int axis = rank - 1; axis >= 0; axis--) {
        tensor.shape[axis]  = shape[axis];
        tensor.stride[axis] = stride;
        stride *= shape[axis];
    }
    return tensor;
}

int64_t scry_tensor_count(const scry_tensor *tensor)
{
    int64_t count = tensor->buffer != NULL;
    for (int axis = 0; axis < tensor->rank; axis++) count *= tensor->shape[axis];
    return count;
}

bool scry_tensor_is_contiguous(const scry_tensor *tensor)
{
    int64_t expected = 1;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        if (tensor->shape[axis] != 1 && tensor->stride[axis] != expected) return false;
        expected *= tensor->shape[axis];
    }
    return true;
}

scry_tensor scry_tensor_slice(scry_tensor tensor, int axis, int64_t begin, int64_t count)
{
    tensor.offset += (size_t)(begin * tensor.stride[axis]) * scry_dtype_size(tensor.dtype);
    tensor.shape[axis] = count;
    return tensor;
}

scry_tensor scry_tensor_swap(scry_tensor tensor, int axis_a, int axis_b)
{
    int64_t shape = tensor.shape[axis_a], stride = tensor.stride[axis_a];
    tensor.shape[axis_a]  = tensor.shape[axis_b];
    tensor.stride[axis_a] = tensor.stride[axis_b];
    tensor.shape[axis_b]  = shape;
    tensor.stride[axis_b] = stride;
    return tensor;
}

const char *scry_op_text(scry_op_kind kind)
{
    static const char *const texts[] = {
#define OP_ROW(name, text, member) text,
        SCRY_OP_LIST(OP_ROW)
#undef OP_ROW
    };
    return (unsigned)kind < SCRY_OP_COUNT ? texts[kind] : "unknown";
}

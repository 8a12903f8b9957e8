/* Tensors: strided views of device buffers, as plain data. */
#ifndef SCRY_TENSOR_H
#define SCRY_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scry/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scry_device scry_device;
typedef struct scry_buffer scry_buffer;

/* X(name, bytes per element, text) */
#define SCRY_DTYPE_LIST(X)                                                                                             \
    X(F32, 4, "f32")                                                                                                   \
    X(F16, 2, "f16")                                                                                                   \
    X(BF16, 2, "bf16")                                                                                                 \
    X(I32, 4, "i32")

typedef enum scry_dtype {
#define SCRY_DTYPE_ENUM(name, bytes, text) SCRY_##name,
    SCRY_DTYPE_LIST(SCRY_DTYPE_ENUM)
#undef SCRY_DTYPE_ENUM
        SCRY_DTYPE_COUNT
} scry_dtype;

SCRY_API size_t      scry_dtype_size(scry_dtype dtype);
SCRY_API const char *scry_dtype_text(scry_dtype dtype);

enum { SCRY_MAX_RANK = 4 };

/* A view of `buffer`. Element (i0, i1, ...) lies at byte offset + (i0*stride[0] + i1*stride[1] + ...) * element size.
 * Strides count elements and are never negative; a stride of 0 repeats the element (inputs only). A tensor whose
 * buffer is NULL is absent: optional operands are left out that way. The view does not own its buffer. */
typedef struct scry_tensor {
    scry_buffer *buffer;
    size_t       offset; /* bytes */
    scry_dtype   dtype;
    int          rank; /* 1 to SCRY_MAX_RANK */
    int64_t      shape[SCRY_MAX_RANK];
    int64_t      stride[SCRY_MAX_RANK];
} scry_tensor;

/* A contiguous row-major view of `buffer` from byte `offset`; shape holds `rank` sizes. */
SCRY_API scry_tensor scry_tensor_of(scry_buffer *buffer, size_t offset, scry_dtype dtype, int rank,
                                    const int64_t *shape);

/* Number of elements (product of the shape); 0 for an absent tensor. */
SCRY_API int64_t scry_tensor_count(const scry_tensor *tensor);

/* True where elements lie in row-major order without gaps. */
SCRY_API bool scry_tensor_is_contiguous(const scry_tensor *tensor);

/* The part [begin, begin+count) along `axis`. The caller keeps it inside the shape. */
SCRY_API scry_tensor scry_tensor_slice(scry_tensor tensor, int axis, int64_t begin, int64_t count);

/* The view with two axes exchanged (a transposed matrix for rank 2). */
SCRY_API scry_tensor scry_tensor_swap(scry_tensor tensor, int axis_a, int axis_b);

#ifdef __cplusplus
}
#endif
#endif

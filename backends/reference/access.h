/* Elements of tensors as doubles: the only place where the reference touches the bytes of an operand.
 *
 * An element is named by its position, counted in elements from the view's first one: at2(x, i, j) is i * stride[0] +
 * j * stride[1]. Loading widens exactly; storing rounds once, to nearest even. */
#ifndef SCRY_REFERENCE_ACCESS_H
#define SCRY_REFERENCE_ACCESS_H

#include "scry/backend.h"

#include <string.h>

/* See number.c. */
double   scry__reference_f16_value(uint16_t bits);
uint16_t scry__reference_f16_bits(double value);
uint16_t scry__reference_bf16_bits(double value);
int32_t  scry__reference_i32(double value);

static inline bool present(const scry_tensor *x)
{
    return x->buffer != NULL;
}

static inline int64_t at1(const scry_tensor *x, int64_t i)
{
    return i * x->stride[0];
}

static inline int64_t at2(const scry_tensor *x, int64_t i, int64_t j)
{
    return i * x->stride[0] + j * x->stride[1];
}

static inline int64_t at3(const scry_tensor *x, int64_t i, int64_t j, int64_t k)
{
    return i * x->stride[0] + j * x->stride[1] + k * x->stride[2];
}

static inline int64_t at4(const scry_tensor *x, int64_t i, int64_t j, int64_t k, int64_t l)
{
    return i * x->stride[0] + j * x->stride[1] + k * x->stride[2] + l * x->stride[3];
}

/* Position of entry `index` when the first `axes` axes are counted through in row-major order, the others at 0. */
static inline int64_t at_index(const scry_tensor *x, int axes, int64_t index)
{
    int64_t position = 0;
    for (int axis = axes - 1; axis >= 0; axis--) {
        position += index % x->shape[axis] * x->stride[axis];
        index /= x->shape[axis];
    }
    return position;
}

/* Number of entries of the first `axes` axes. */
static inline int64_t count_of(const scry_tensor *x, int axes)
{
    int64_t count = 1;
    for (int axis = 0; axis < axes; axis++) count *= x->shape[axis];
    return count;
}

static inline double load(const scry_tensor *x, int64_t position)
{
    const char *first = (const char *)x->buffer->host + x->offset;
    float       f32;
    uint16_t    half;
    uint32_t    widened;
    int32_t     i32;
    switch (x->dtype) {
    case SCRY_F32:
        memcpy(&f32, first + position * 4, 4);
        return f32;
    case SCRY_F16:
        memcpy(&half, first + position * 2, 2);
        return scry__reference_f16_value(half);
    case SCRY_BF16:
        memcpy(&half, first + position * 2, 2);
        widened = (uint32_t)half << 16;
        memcpy(&f32, &widened, 4);
        return f32;
    default:
        memcpy(&i32, first + position * 4, 4);
        return i32;
    }
}

static inline void store(const scry_tensor *x, int64_t position, double value)
{
    char    *first = (char *)x->buffer->host + x->offset;
    float    f32;
    uint16_t half;
    int32_t  i32;
    switch (x->dtype) {
    case SCRY_F32:
        f32 = (float)value;
        memcpy(first + position * 4, &f32, 4);
        break;
    case SCRY_F16:
    case SCRY_BF16:
        half = x->dtype == SCRY_F16 ? scry__reference_f16_bits(value) : scry__reference_bf16_bits(value);
        memcpy(first + position * 2, &half, 2);
        break;
    default:
        i32 = scry__reference_i32(value);
        memcpy(first + position * 4, &i32, 4);
        break;
    }
}

/* On top of what is there where the op adds. */
static inline void store_or_add(const scry_tensor *x, int64_t position, double value, bool accumulate)
{
    store(x, position, accumulate ? load(x, position) + value : value);
}

#endif

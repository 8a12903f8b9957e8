/* Rows of operands. See operand.h. */
#include "operand.h"

int64_t scry__cpu_row_index(const scry_tensor *x, int axes, int64_t row)
{
    int64_t index = 0;
    for (int axis = axes - 1; axis > 0 && row; axis--) {
        index += row % x->shape[axis] * x->stride[axis];
        row /= x->shape[axis];
    }
    return axes ? index + row * x->stride[0] : 0;
}

int64_t scry__cpu_row_count(const scry_tensor *x, int axes)
{
    int64_t count = 1;
    for (int axis = 0; axis < axes; axis++) count *= x->shape[axis];
    return count;
}

bool scry__cpu_is_contiguous(const scry_tensor *x)
{
    int64_t expected = 1;
    for (int axis = x->rank - 1; axis >= 0; axis--) {
        if (x->shape[axis] != 1 && x->stride[axis] != expected) return false;
        expected *= x->shape[axis];
    }
    return true;
}

const float *scry__cpu_gather(const struct scry__cpu *cpu, const scry_tensor *x, int64_t index, int64_t stride,
                              int64_t count, float *space)
{
    if (x->dtype == SCRY_F32 && stride == 1) return element(x, index);
    if (stride == 1)
        cpu->kernels->widen(space, element(x, index), x->dtype, count);
    else if (x->dtype == SCRY_F32)
        for (int64_t i = 0; i < count; i++) space[i] = *(const float *)element(x, index + i * stride);
    else
        for (int64_t i = 0; i < count; i++) cpu->kernels->widen(space + i, element(x, index + i * stride), x->dtype, 1);
    return space;
}

float *scry__cpu_place(const scry_tensor *x, int64_t index, int64_t stride, float *space)
{
    return x->dtype == SCRY_F32 && stride == 1 ? element(x, index) : space;
}

void scry__cpu_scatter(const struct scry__cpu *cpu, const scry_tensor *x, int64_t index, int64_t stride, int64_t count,
                       const float *values)
{
    if (scry__cpu_place(x, index, stride, NULL)) return;
    if (stride == 1)
        cpu->kernels->narrow(element(x, index), x->dtype, values, count);
    else
        for (int64_t i = 0; i < count; i++)
            cpu->kernels->narrow(element(x, index + i * stride), x->dtype, values + i, 1);
}

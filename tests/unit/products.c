/* See products.h. */
#include "unit/products.h"

#include "base/number.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static scry_buffer *buffer_of(scry_device *device, const void *data, size_t bytes)
{
    scry_buffer *buffer = NULL;
    cr_assert_eq(scry_buffer_create(&buffer, device, bytes), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_write(buffer, 0, data, bytes), SCRY_OK, "%s", scry_last_error());
    return buffer;
}

/* As f32, or the upper halves. */
static scry_buffer *stored(scry_device *device, const float *values, int count, scry_dtype dtype)
{
    if (dtype == SCRY_F32) return buffer_of(device, values, (size_t)count * sizeof *values);
    uint16_t *halves = malloc((size_t)count * sizeof *halves);
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        halves[i] = (uint16_t)(bits >> 16);
    }
    scry_buffer *buffer = buffer_of(device, halves, (size_t)count * sizeof *halves);
    free(halves);
    return buffer;
}

static float *random_floats(int count, uint64_t seed)
{
    scry__random random;
    float       *values = malloc((size_t)count * sizeof *values);
    scry__random_seed(&random, seed);
    for (int i = 0; i < count; i++) values[i] = (float)scry__random_uniform(&random) - 0.5f;
    return values;
}

static scry_tensor matrix(scry_device *device, int rows, int columns, uint64_t seed)
{
    float      *values = random_floats(rows * columns, seed);
    scry_tensor tensor =
        scry_tensor_of(stored(device, values, rows * columns, SCRY_F32), 0, SCRY_F32, 2, (int64_t[]){rows, columns});
    free(values);
    return tensor;
}

static scry_tensor weights(scry_device *device, const struct product *p)
{
    int    shape[] = {p->transposed ? p->columns : p->depth, p->transposed ? p->depth : p->columns};
    int    line = shape[1] + p->pad, count = shape[0] * line;
    float *values = random_floats(p->depth * p->columns, 2), *lines = calloc((size_t)count, sizeof *lines);
    for (int k = 0; k < p->depth; k++)
        for (int n = 0; n < p->columns; n++)
            lines[p->transposed ? n * line + k : k * line + n] = values[k * p->columns + n];
    scry_tensor b =
        scry_tensor_of(stored(device, lines, count, p->dtype), 0, p->dtype, 2, (int64_t[]){shape[0], shape[1]});
    b.stride[0] = line;
    free(lines);
    free(values);
    return p->transposed ? scry_tensor_swap(b, 0, 1) : b;
}

float *product_make(scry_device *device, const struct product *p)
{
    size_t  bytes = (size_t)p->rows * (size_t)p->columns * sizeof(float);
    float  *out   = malloc(bytes);
    scry_op op    = {.kind = SCRY_OP_MATMUL, .matmul.alpha = 1};
    op.matmul.a   = matrix(device, p->rows, p->depth, 1);
    op.matmul.b   = weights(device, p);
    op.matmul.c   = matrix(device, p->rows, p->columns, 3);
    if (p->scaled) {
        float *values   = random_floats(p->columns, 4);
        op.matmul.alpha = 0.75f;
        op.matmul.beta  = -1.5f;
        op.matmul.bias =
            scry_tensor_of(stored(device, values, p->columns, p->dtype), 0, p->dtype, 1, (int64_t[]){p->columns});
        free(values);
    }
    cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_read(op.matmul.c.buffer, 0, out, bytes), SCRY_OK, "%s", scry_last_error());
    scry_buffer_destroy(&op.matmul.a.buffer);
    scry_buffer_destroy(&op.matmul.b.buffer);
    scry_buffer_destroy(&op.matmul.c.buffer);
    scry_buffer_destroy(&op.matmul.bias.buffer);
    return out;
}

void product_check_rows(scry_device *device, const struct product *whole)
{
    static const int counts[] = {1, 2, 4, 5, 8, 9, 17, 33, 130, 523};
    float           *all      = product_make(device, whole);
    struct product   some     = *whole;
    for (int layout = 0; layout < 4; layout++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts && counts[i] <= whole->rows; i++) {
            some.transposed = layout & 1;
            some.pad        = layout & 2 ? 3 : 0;
            some.rows       = counts[i];
            float *part     = product_make(device, &some);
            cr_assert(!memcmp(part, all, (size_t)(some.rows * some.columns) * sizeof *all), "layout %d, %d rows",
                      layout, some.rows);
            free(part);
        }
    free(all);
}

/* matmul on OpenCL: an element's bits depend on its own row and column alone, not on how many rows there are nor on how
 * weights are laid out, whichever form of a kernel serves the size. */
#include "base/number.h"
#include "scry/device.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

/* Past the sizes from which each kernel takes its largest tile, and no multiple of any. */
enum { MOST_ROWS = 523, COLUMNS = 519, DEPTH = 67, MOST_WEIGHTS = DEPTH * COLUMNS };

static scry_device *device;

static scry_buffer *buffer_of(const void *data, size_t bytes)
{
    scry_buffer *buffer = NULL;
    cr_assert_eq(scry_buffer_create(&buffer, device, bytes), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_write(buffer, 0, data, bytes), SCRY_OK, "%s", scry_last_error());
    return buffer;
}

static void random_floats(float *out, int count, uint64_t seed)
{
    scry__random random;
    scry__random_seed(&random, seed);
    for (int i = 0; i < count; i++) out[i] = (float)scry__random_uniform(&random) - 0.5f;
}

/* Weights [DEPTH, COLUMNS], the contiguous axis last or first, with rows as they are stored or padded. */
static scry_tensor weights(scry_dtype dtype, bool transposed, int64_t pad)
{
    static float    values[MOST_WEIGHTS];
    static uint32_t stored[MOST_WEIGHTS + (COLUMNS + DEPTH) * 3];
    uint16_t       *halves  = (uint16_t *)stored;
    int64_t         shape[] = {transposed ? COLUMNS : DEPTH, transposed ? DEPTH : COLUMNS}, row = shape[1] + pad;
    random_floats(values, MOST_WEIGHTS, 2);
    for (int64_t k = 0; k < DEPTH; k++)
        for (int64_t n = 0; n < COLUMNS; n++) {
            int64_t  at = transposed ? n * row + k : k * row + n;
            uint32_t bits;
            memcpy(&bits, &values[k * COLUMNS + n], sizeof bits);
            if (dtype == SCRY_BF16)
                halves[at] = (uint16_t)(bits >> 16);
            else
                stored[at] = bits;
        }
    scry_tensor b = scry_tensor_of(buffer_of(stored, sizeof stored), 0, dtype, 2, shape);
    b.stride[0]   = row;
    return transposed ? scry_tensor_swap(b, 0, 1) : b;
}

static void multiply(float *out, scry_tensor a, scry_tensor b, scry_buffer *c, int64_t rows)
{
    const int64_t shape[] = {rows, COLUMNS};
    scry_op       op      = {.kind = SCRY_OP_MATMUL, .matmul.b = b, .matmul.alpha = 1};
    op.matmul.a           = scry_tensor_slice(a, 0, 0, rows);
    op.matmul.c           = scry_tensor_of(c, 0, SCRY_F32, 2, shape);
    cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_read(c, 0, out, (size_t)rows * COLUMNS * sizeof *out), SCRY_OK);
}

struct row {
    char       kernels[16];
    scry_dtype dtype;
};

ParameterizedTestParameters(opencl_matmul, a_row__is_what_it_is_among_others)
{
    static struct row rows[] = {
        {"matmul=block", SCRY_F32}, {"matmul=block", SCRY_BF16}, {"matmul=tile", SCRY_F32}, {"matmul=tile", SCRY_BF16}};
    return cr_make_param_array(struct row, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(struct row *row, opencl_matmul, a_row__is_what_it_is_among_others)
{
    static const int counts[] = {MOST_ROWS, 1, 2, 4, 5, 8, 9, 33, 130};
    static float     whole[MOST_ROWS * COLUMNS], some[MOST_ROWS * COLUMNS], values[MOST_ROWS * DEPTH];
    device = device_need("opencl:0", row->kernels);
    random_floats(values, MOST_ROWS * DEPTH, 1);
    scry_tensor  a = scry_tensor_of(buffer_of(values, sizeof values), 0, SCRY_F32, 2, (int64_t[]){MOST_ROWS, DEPTH});
    scry_buffer *c = buffer_of(some, sizeof some);
    for (int layout = 0; layout < 4; layout++) {
        scry_tensor b = weights(row->dtype, layout & 1, layout & 2 ? 3 : 0);
        if (layout == 0) multiply(whole, a, b, c, MOST_ROWS);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            multiply(some, a, b, c, counts[i]);
            cr_assert(!memcmp(some, whole, (size_t)counts[i] * COLUMNS * sizeof *some), "%s, layout %d, %d rows",
                      row->kernels, layout, counts[i]);
        }
        scry_buffer_destroy(&b.buffer);
    }
    scry_buffer_destroy(&c);
    scry_buffer_destroy(&a.buffer);
    scry_device_destroy(&device);
}

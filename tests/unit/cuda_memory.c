/* Buffers of the CUDA backend, emulated: uploads run beside the ops, on a stream of their own, and each must still come
 * in its order with them. Emulated streams do nothing before somebody waits for it, so an order that nothing enforces
 * shows. */
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static scry_device *device;

static void open_device(void)
{
    device = device_need("cuda-emulated:0", NULL);
}

static void close_device(void)
{
    scry_device_destroy(&device);
}

TestSuite(cuda_memory, .init = open_device, .fini = close_device, .timeout = 120);

/* Floats of a buffer: few enough to be written in the stream of the ops, one more, what takes several slots of the
 * ring, and more than all of them. */
static const int64_t counts[] = {1, 257, 16384, 16385, 1500001, 5000011};

static scry_buffer *create(int64_t count)
{
    scry_buffer *buffer = NULL;
    cr_assert_eq(scry_buffer_create(&buffer, device, (size_t)count * sizeof(float)), SCRY_OK, "%s", scry_last_error());
    return buffer;
}

/* Element i of the buffer from `begin` on becomes i + seed. */
static void put(scry_buffer *buffer, int64_t begin, int64_t count, float seed)
{
    float *data = malloc((size_t)count * sizeof *data);
    cr_assert_not_null(data);
    for (int64_t i = 0; i < count; i++) data[i] = (float)(begin + i) + seed;
    scry_status status = scry_buffer_write(buffer, (size_t)begin * sizeof *data, data, (size_t)count * sizeof *data);
    cr_assert_eq(status, SCRY_OK, "%s", scry_last_error());
    memset(data, 0xff, (size_t)count * sizeof *data); /* it was taken */
    free(data);
}

/* Whether element i is factor * (i + seed), from `begin` on. */
static bool holds(scry_buffer *buffer, int64_t begin, int64_t count, float factor, float seed)
{
    float *data = malloc((size_t)count * sizeof *data);
    bool   all  = true;
    cr_assert_not_null(data);
    scry_status status = scry_buffer_read(buffer, (size_t)begin * sizeof *data, data, (size_t)count * sizeof *data);
    cr_assert_eq(status, SCRY_OK, "%s", scry_last_error());
    for (int64_t i = 0; i < count; i++) all = all && data[i] == factor * ((float)(begin + i) + seed);
    free(data);
    return all;
}

static void twice(scry_buffer *x, scry_buffer *out, int64_t count)
{
    scry_op op = {.kind = SCRY_OP_SCALE};
    op.scale   = (scry_scale){.x      = scry_tensor_of(x, 0, SCRY_F32, 1, &count),
                              .out    = scry_tensor_of(out, 0, SCRY_F32, 1, &count),
                              .factor = 2};
    cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
}

Test(cuda_memory, writes_between_ops__are_seen_by_later_ones_only)
{
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        int64_t      n = counts[c], half = n / 2;
        scry_buffer *x = create(n), *y = create(n), *z = create(n);
        put(x, 0, n, 1);
        twice(x, y, n);
        put(x, 0, n, 7);
        twice(x, z, n);
        if (half) put(x, half, n - half, 3);
        cr_expect(holds(y, 0, n, 2, 1), "%lld floats: before the write", (long long)n);
        cr_expect(holds(z, 0, n, 2, 7), "%lld floats: behind it", (long long)n);
        cr_expect(!half || holds(x, 0, half, 1, 7), "%lld floats: what was not written again", (long long)n);
        cr_expect(!half || holds(x, half, n - half, 1, 3), "%lld floats: what was", (long long)n);
        scry_buffer_destroy(&x);
        scry_buffer_destroy(&y);
        scry_buffer_destroy(&z);
    }
}

/* With few copies, as a slot of the ring that is taken again has been waited for. */
Test(cuda_memory, writes_one_after_another__end_in_that_order)
{
    int64_t      n = 20000;
    scry_buffer *x = create(n), *y = create(n);
    put(x, 0, n, 1); /* of memory that no op has used: by the copies' stream */
    twice(x, y, n);
    put(x, 0, n, 2);    /* behind that op */
    put(x, 0, 1000, 3); /* little, behind that copy */
    twice(x, y, n);
    cr_expect(holds(y, 0, 1000, 2, 3));
    cr_expect(holds(y, 1000, n - 1000, 2, 2));
    put(x, 0, 1000, 4); /* little, in the stream of the ops */
    put(x, 0, 500, 5);
    cr_expect(holds(x, 0, 500, 1, 5));
    cr_expect(holds(x, 500, 500, 1, 4));
    cr_expect(holds(x, 1000, n - 1000, 1, 2));
    scry_buffer_destroy(&x);
    scry_buffer_destroy(&y);
}

/* As a model's layers do that do not fit: each is written once the ops of the one before are enqueued. */
Test(cuda_memory, two_buffers_written_in_turn__serve_all_that_was_written)
{
    enum { ROUNDS = 9 };
    int64_t      n       = 40000;
    scry_buffer *slot[2] = {create(n), create(n)}, *out[ROUNDS], *sum = create(n);
    put(slot[0], 0, n, 0);
    for (int i = 0; i < ROUNDS; i++) {
        out[i] = create(n);
        twice(slot[i % 2], sum, n); /* the mark of a round stands in front of its first op, of two */
        twice(slot[i % 2], out[i], n);
        if (i + 1 < ROUNDS) put(slot[(i + 1) % 2], 0, n, (float)(i + 1));
    }
    for (int i = 0; i < ROUNDS; i++) {
        cr_expect(holds(out[i], 0, n, 2, (float)i), "round %d", i);
        scry_buffer_destroy(&out[i]);
    }
    cr_expect(holds(sum, 0, n, 2, ROUNDS - 1));
    scry_buffer_destroy(&sum);
    for (int i = 0; i < 2; i++) scry_buffer_destroy(&slot[i]);
}

Test(cuda_memory, buffers_given_up_while_they_are_written__leave_others_alone)
{
    int64_t n = 1500001;
    for (int round = 0; round < 4; round++) {
        scry_buffer *gone = create(n), *kept = create(n);
        put(gone, 0, n, 1);
        put(kept, 0, n, 2);
        scry_buffer_destroy(&gone);
        scry_buffer *next = create(n);
        put(next, 0, n, 3);
        cr_expect(holds(kept, 0, n, 1, 2));
        cr_expect(holds(next, 0, n, 1, 3));
        scry_buffer_destroy(&kept);
        scry_buffer_destroy(&next);
    }
}

Test(cuda_memory, device_closed_with_uploads_under_way__waits_for_them)
{
    scry_buffer *x = create(5000011);
    put(x, 0, 5000011, 1);
    scry_buffer_destroy(&x);
    scry_device_destroy(&device);
    cr_expect_null(device);
}

Test(cuda_memory, more_than_there_is__is_out_of_memory)
{
    scry_buffer *buffer = NULL;
    size_t       bytes  = (size_t)scry_device_get_info(device)->memory_bytes + 1;
    cr_expect_eq(scry_buffer_create(&buffer, device, bytes), SCRY_OUT_OF_MEMORY);
    cr_expect(strstr(scry_last_error(), "the device has "), "%s", scry_last_error());
    cr_expect_null(buffer);
}

/* What every backend with buffers in parts is held to. See parts.h. */
#include "unit/parts.h"

#include "base/number.h"
#include "device/operands.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 1 << 20 };

static scry_device *device;

void parts_use(const char *name)
{
    device = device_need(name, NULL);
}

void parts_close(void)
{
    scry_device_destroy(&device);
}

static scry_buffer *create(size_t bytes)
{
    scry_buffer *buffer = NULL;
    cr_assert_eq(scry_buffer_create(&buffer, device, bytes), SCRY_OK, "%s", scry_last_error());
    return buffer;
}

static void put(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    cr_assert_eq(scry_buffer_write(buffer, offset, data, bytes), SCRY_OK, "%s", scry_last_error());
}

static void get(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    cr_assert_eq(scry_buffer_read(buffer, offset, data, bytes), SCRY_OK, "%s", scry_last_error());
}

static void run(const scry_op *op)
{
    cr_assert_eq(scry_device_run(device, op), SCRY_OK, "%s", scry_last_error());
}

static unsigned char *random_bytes(size_t bytes, uint64_t seed)
{
    scry__random   random;
    unsigned char *made = malloc(bytes);
    cr_assert_not_null(made);
    scry__random_seed(&random, seed);
    for (size_t i = 0; i < bytes; i++) made[i] = (unsigned char)scry__random_bits(&random);
    return made;
}

/* A range of a buffer of three and a half parts. */
static const struct range {
    size_t offset, bytes;
} ranges[] = {
    {0, 1},        {0, PART},        {PART - 1, 1},        {PART - 1, 2},     {PART, 1},
    {PART - 3, 7}, {0, 3 * PART},    {2 * PART - 5, PART}, {17, 3 * PART},    {3 * PART, PART / 2},
    {0, PART + 1}, {PART + 1, PART}, {2 * PART - 1, PART}, {0, 7 * PART / 2}, {7 * PART / 2 - 1, 1},
};

void parts_bytes_across_parts__are_read_as_they_were_written(void)
{
    const size_t   size   = 7 * PART / 2;
    scry_buffer   *buffer = create(size);
    unsigned char *mirror = random_bytes(size, 1), *seen = malloc(size);
    put(buffer, 0, mirror, size);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        unsigned char *fresh = random_bytes(ranges[i].bytes, 2 + i);
        put(buffer, ranges[i].offset, fresh, ranges[i].bytes);
        memcpy(mirror + ranges[i].offset, fresh, ranges[i].bytes);
        free(fresh);
        get(buffer, 0, seen, size);
        cr_expect(!memcmp(seen, mirror, size), "write of %zu bytes at %zu", ranges[i].bytes, ranges[i].offset);
        get(buffer, ranges[i].offset, seen, ranges[i].bytes);
        cr_expect(!memcmp(seen, mirror + ranges[i].offset, ranges[i].bytes), "read of %zu bytes at %zu",
                  ranges[i].bytes, ranges[i].offset);
    }
    free(seen);
    free(mirror);
    scry_buffer_destroy(&buffer);
}

void parts_more_than_there_is__is_out_of_memory(void)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - PART + 2, SIZE_MAX / 2, (size_t)1 << 50};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        scry_buffer *buffer = NULL;
        cr_expect_eq(scry_buffer_create(&buffer, device, sizes[i]), SCRY_OUT_OF_MEMORY, "%zu bytes", sizes[i]);
        cr_expect_null(buffer);
    }
}

/* However the memory lies in its pages, and longer than a part. */
void parts_wrapped_memory__is_read_where_it_lies(void)
{
    const size_t   size   = 5 * PART / 2;
    unsigned char *memory = random_bytes(size, 3), *seen = malloc(size);
    scry_buffer   *copy = create(size);
    for (size_t skip = 0; skip <= 4100; skip += skip < 12 ? 4 : 511 * 4) {
        scry_buffer *wrapped = NULL;
        int64_t      words   = (int64_t)(size - skip) / 4;
        cr_assert_eq(scry_buffer_wrap(&wrapped, device, memory + skip, size - skip), SCRY_OK, "%s", scry_last_error());
        run(&(scry_op){.kind = SCRY_OP_COPY,
                       .copy = {.x   = scry_tensor_of(wrapped, 0, SCRY_I32, 1, &words),
                                .out = scry_tensor_of(copy, 0, SCRY_I32, 1, &words)}});
        get(copy, 0, seen, (size_t)words * 4);
        cr_expect(!memcmp(seen, memory + skip, (size_t)words * 4), "memory %zu bytes into a page", skip);
        get(wrapped, PART - 2, seen, 4);
        cr_expect(!memcmp(seen, memory + skip + PART - 2, 4));
        scry_buffer_destroy(&wrapped);
    }
    scry_buffer_destroy(&copy);
    free(seen);
    free(memory);
}

/* Numbers that suit every operand: indices for i32, values around 0 for floats. */
static void fill_arena(const scry_op *op, char *arena, size_t base)
{
    scry__random         random;
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    scry__random_seed(&random, (uint64_t)op->kind);
    memset(arena, 0x7b, ARENA_BYTES);
    for (int i = 0; i < count; i++) {
        const scry_tensor *x = scry__operand_in(op, &operands[i]);
        for (size_t at = 0; at < scry__tensor_extent(x); at += 4) {
            int32_t whole = (int32_t)(at / 4 % 3);
            float   value = (float)scry__random_normal(&random);
            memcpy(arena + x->offset - base + at, x->dtype == SCRY_I32 ? (void *)&whole : (void *)&value, 4);
        }
    }
}

/* The op with its arena at byte `base` of the buffer; what the arena holds behind it. */
static void run_at(const scry_op *given, scry_buffer *buffer, size_t base, char *arena)
{
    scry_op              op = *given;
    const scry__operand *operands;
    int                  count = scry__operands(op.kind, &operands);
    for (int i = 0; i < count; i++) scry__operand_of(&op, &operands[i])->offset += base;
    fill_arena(&op, arena, base);
    put(buffer, base, arena, ARENA_BYTES);
    run(&op);
    get(buffer, base, arena, ARENA_BYTES);
}

/* The parts meet inside each operand in turn: behind its first element, in its middle, before its last; or,
 * `everywhere`, behind every word of it. */
static void expect_same_bits(const scry_op *op, const char *what, bool everywhere)
{
    const scry__operand *operands;
    int                  count  = scry__operands(op->kind, &operands);
    scry_buffer         *buffer = scry__operand_in(op, &operands[0])->buffer;
    char                *whole = malloc(ARENA_BYTES), *parted = malloc(ARENA_BYTES);
    run_at(op, buffer, 0, whole);
    for (int i = 0; i < count; i++) {
        const scry_tensor *x     = scry__operand_in(op, &operands[i]);
        size_t             first = 4 - x->offset % 4, bytes = scry__tensor_extent(x);
        size_t             words = bytes > first ? (bytes - first + 3) / 4 : 0;
        for (size_t word = 0; word < words; word++) {
            size_t at = first + 4 * word;
            if (!everywhere && word != 0 && word != words / 2 && word != words - 1) continue;
            run_at(op, buffer, PART - x->offset - at, parted);
            cr_expect(!memcmp(parted, whole, ARENA_BYTES), "%s: the parts meet at byte %zu of %s", what, at,
                      operands[i].name);
        }
    }
    free(whole);
    free(parted);
}

void parts_every_op_across_parts__computes_the_same_bits(void)
{
    scry_buffer *buffer = create(2 * PART);
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        scry_op op = device_op((scry_op_kind)kind, buffer);
        if (device_can_run(device, &op)) expect_same_bits(&op, scry_op_text(op.kind), false);
    }
    scry_buffer_destroy(&buffer);
}

/* Elements of one output between those of another, and between bytes of nobody's. */
void parts_interleaved_outputs_across_parts__leave_each_other_alone(void)
{
    scry_buffer         *buffer  = create(2 * PART);
    scry_op              op      = device_op(SCRY_OP_SOFTMAX_CAPTURE, buffer);
    scry_row_statistics *rows    = &op.softmax.rows;
    scry_tensor         *among[] = {&rows->lse, &rows->entropy, &rows->max, &rows->previous};
    for (int i = 0; i < 4; i++) {
        scry_tensor *x = among[i];
        x->offset      = rows->lse.offset + (size_t)i * 4;
        for (int axis = 0; axis < x->rank; axis++) x->stride[axis] *= 5;
    }
    expect_same_bits(&op, "interleaved statistics", false);
    scry_buffer_destroy(&buffer);
}

/* Elements of two bytes: each beside one of nobody's; two in each word; beginning in the middle of a word. */
void parts_interleaved_halves_across_parts__leave_each_other_alone(void)
{
    static const struct {
        int64_t stride[2]; /* of axes that do not become one */
        size_t  skipped;
    } layouts[] = {{{20, 3}, 0}, {{7, 1}, 0}, {{7, 1}, 2}};

    scry_buffer *buffer = create(2 * PART);
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        scry_op op        = device_op(SCRY_OP_COPY, buffer);
        op.copy.out.dtype = SCRY_F16;
        op.copy.out.offset += layouts[i].skipped;
        memcpy(op.copy.out.stride, layouts[i].stride, sizeof layouts[i].stride);
        expect_same_bits(&op, "halves", true);
    }
    scry_buffer_destroy(&buffer);
}

/* Ranges of many parts: the front door cuts them. */
void parts_op_over_many_parts__is_cut(void)
{
    const int64_t shape[] = {700, 1111};
    const size_t  size    = (size_t)(shape[0] * shape[1]) * 4;
    scry_buffer  *from = create(size + 12), *to = create(size + 40);
    float        *values = malloc(size), *seen = malloc(size);
    for (int64_t i = 0; i < shape[0] * shape[1]; i++) values[i] = (float)(i % 1000003);
    put(from, 12, values, size);
    run(&(scry_op){.kind  = SCRY_OP_SCALE,
                   .scale = {.x      = scry_tensor_of(from, 12, SCRY_F32, 2, shape),
                             .out    = scry_tensor_of(to, 40, SCRY_F32, 2, shape),
                             .factor = 2}});
    get(to, 40, seen, size);
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        cr_assert_eq(seen[i], values[i] * 2, "element %lld: %g", (long long)i, (double)seen[i]);
    free(values);
    free(seen);
    scry_buffer_destroy(&to);
    scry_buffer_destroy(&from);
}

/* Small integers, whose sums are exact: a column, its rows apart, and a matrix by rows and by columns. */
void parts_sum_over_many_parts__adds_up_every_row(void)
{
    static const struct {
        int64_t shape[2], stride[2];
    } views[] = {{{777777, 1}, {1, 1}}, {{99999, 1}, {9, 1}}, {{701, 1111}, {1111, 1}}, {{2111, 401}, {1, 2111}}};
    enum { ELEMENTS = 900000, MOST_COLUMNS = 1111 };
    float       *values = malloc(ELEMENTS * sizeof *values), seen[MOST_COLUMNS];
    scry_buffer *from = create(ELEMENTS * sizeof *values), *to = create(sizeof seen);
    for (int64_t i = 0; i < ELEMENTS; i++) values[i] = (float)(i * 7919 % 13);
    put(from, 0, values, ELEMENTS * sizeof *values);
    for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
        const int64_t *shape = views[v].shape, *stride = views[v].stride;
        scry_tensor    x = scry_tensor_of(from, 0, SCRY_F32, 2, shape);
        memcpy(x.stride, stride, sizeof views[v].stride);
        run(&(scry_op){.kind = SCRY_OP_SUM, .sum = {.x = x, .out = scry_tensor_of(to, 0, SCRY_F32, 1, &shape[1])}});
        get(to, 0, seen, (size_t)shape[1] * sizeof *seen);
        for (int64_t n = 0; n < shape[1]; n++) {
            double sum = 0;
            for (int64_t t = 0; t < shape[0]; t++) sum += (double)values[t * stride[0] + n * stride[1]];
            cr_assert_eq((double)seen[n], sum, "view %zu, column %lld: %g, not %g", v, (long long)n, (double)seen[n],
                         sum);
        }
    }
    free(values);
    scry_buffer_destroy(&to);
    scry_buffer_destroy(&from);
}

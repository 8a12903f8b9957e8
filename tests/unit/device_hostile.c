/* Ops with random fields over random memory: each is refused, or runs without touching what is not its own. */
#include "base/number.h"
#include "device/operands.h"
#include "scry/backend.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 6000 };

static int64_t random_number(scry__random *random)
{
    static const int64_t numbers[] = {0,
                                      1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      8,
                                      127,
                                      128,
                                      129,
                                      -1,
                                      INT32_MAX,
                                      65536,
                                      INT64_MAX,
                                      INT64_MIN,
                                      INT64_C(1) << 32,
                                      INT64_C(1) << 47,
                                      INT64_MAX / 4,
                                      INT64_MAX / 8 + 1};
    return numbers[scry__random_below(random, sizeof numbers / sizeof *numbers)];
}

static void spoil_tensor(scry__random *random, scry_tensor *tensor, scry_buffer *arena)
{
    int axis = (int)scry__random_below(random, SCRY_MAX_RANK);
    switch (scry__random_below(random, 8)) {
    case 0:
        tensor->shape[axis] = random_number(random);
        break;
    case 1:
        tensor->stride[axis] = random_number(random);
        break;
    case 2:
        tensor->offset = (size_t)random_number(random);
        break;
    case 3:
        tensor->offset = ARENA_BYTES - scry__random_below(random, 512);
        break;
    case 4:
        tensor->dtype = (scry_dtype)scry__random_below(random, SCRY_DTYPE_COUNT + 1);
        break;
    case 5:
        tensor->rank = (int)scry__random_below(random, 6);
        break;
    case 6:
        tensor->buffer = tensor->buffer ? NULL : arena;
        break;
    default:
        *tensor = scry_tensor_swap(*tensor, axis, (axis + 1) % SCRY_MAX_RANK);
        break;
    }
}

/* All operands along one letter at once, so that shapes still agree. */
static void resize(scry__random *random, scry_op *op)
{
    const scry__operand *operands;
    int                  count  = scry__operands(op->kind, &operands);
    int64_t              size   = (int64_t)scry__random_below(random, 4);
    const scry__operand *chosen = &operands[scry__random_below(random, (uint64_t)count)];
    char                 letter = chosen->shape[scry__random_below(random, strlen(chosen->shape))];
    for (int i = 0; i < count; i++) {
        scry_tensor *tensor  = scry__operand_of(op, &operands[i]);
        const char  *letters = operands[i].shape;
        int          before  = tensor->rank - (int)strlen(letters);
        for (int axis = 0; letters[axis]; axis++)
            if (letters[axis] == letter && before + axis >= 0 && before + axis < SCRY_MAX_RANK)
                tensor->shape[before + axis] = size;
    }
}

static void spoil_parameters(scry__random *random, scry_op *op)
{
    scry_mask *mask = op->kind == SCRY_OP_ATTENTION ? &op->attention.mask : &op->softmax.mask;
    switch (op->kind) {
    case SCRY_OP_ATTENTION:
        op->attention.capture.heads[0]    = scry__random_below(random, 20);
        op->attention.capture.query_begin = scry__random_below(random, 3) ? 0 : random_number(random);
        op->attention.capture.key_begin   = scry__random_below(random, 3) ? 0 : random_number(random);
        op->attention.softcap             = (float)scry__random_below(random, 3);
        /* fall through */
    case SCRY_OP_SOFTMAX_CAPTURE:
        mask->causal       = scry__random_below(random, 2);
        mask->window       = scry__random_below(random, 3) ? 0 : random_number(random);
        mask->prefix       = scry__random_below(random, 3) ? 0 : random_number(random);
        mask->query_offset = scry__random_below(random, 3) ? 0 : random_number(random);
        break;
    case SCRY_OP_ROPE:
        op->rope.position_offset = random_number(random);
        op->rope.interleaved     = scry__random_below(random, 2);
        break;
    case SCRY_OP_NORM:
        op->norm.parameters.kind = (scry_norm_kind)scry__random_below(random, 4);
        break;
    case SCRY_OP_LENS:
        op->lens.norm.kind = (scry_norm_kind)scry__random_below(random, 4);
        break;
    case SCRY_OP_NORM_BACKWARD:
        op->norm_backward.parameters.kind = (scry_norm_kind)scry__random_below(random, 4);
        op->norm_backward.accumulate      = scry__random_below(random, 2);
        break;
    case SCRY_OP_ATTENTION_BACKWARD:
        op->attention_backward.softcap           = (float)scry__random_below(random, 3);
        op->attention_backward.mask.window       = random_number(random);
        op->attention_backward.mask.prefix       = random_number(random);
        op->attention_backward.mask.query_offset = random_number(random);
        break;
    case SCRY_OP_LOSS:
        op->loss.accumulate = scry__random_below(random, 2);
        op->loss.softcap    = (float)scry__random_below(random, 3);
        break;
    case SCRY_OP_ADAMW:
        op->adamw.step = random_number(random);
        break;
    case SCRY_OP_SGD:
        op->sgd.momentum = (float)scry__random_below(random, 2);
        break;
    default:
        op->precision = (scry_precision)scry__random_below(random, 5);
        break;
    }
}

static scry_op random_op(scry__random *random, scry_buffer *arena)
{
    scry_op              op = device_op((scry_op_kind)scry__random_below(random, SCRY_OP_COUNT), arena);
    const scry__operand *operands;
    int                  count   = scry__operands(op.kind, &operands);
    uint64_t             changes = scry__random_below(random, 4);
    for (uint64_t i = 0; i < changes; i++) {
        const scry__operand *operand = &operands[scry__random_below(random, (uint64_t)count)];
        uint64_t             what    = scry__random_below(random, 3);
        if (what == 0) spoil_tensor(random, scry__operand_of(&op, operand), arena);
        if (what == 1) resize(random, &op);
        if (what == 2) spoil_parameters(random, &op);
    }
    return op;
}

/* Copies the elements of an output from `found` to `expected`. */
static void accept_output(char *expected, const char *found, const scry_tensor *tensor)
{
    size_t size = scry_dtype_size(tensor->dtype);
    for (int64_t i = 0; i < scry_tensor_count(tensor); i++) {
        size_t  at   = tensor->offset;
        int64_t rest = i;
        for (int axis = tensor->rank - 1; axis >= 0; rest /= tensor->shape[axis--])
            at += (size_t)(rest % tensor->shape[axis] * tensor->stride[axis]) * size;
        memcpy(expected + at, found + at, size);
    }
}

/* Runs one op; afterwards `content`, the arena's, may differ in elements of outputs only, and only if it was done. */
static bool run_one(scry_device *device, const scry_op *op, scry_buffer *arena, char *content)
{
    static char          found[ARENA_BYTES];
    const scry__operand *operands;
    int                  count  = scry__operands(op->kind, &operands);
    scry_status          status = scry_device_run(device, op);
    cr_assert(status == SCRY_OK || status == SCRY_BAD_ARGUMENT, "%s: %s", scry_op_text(op->kind), scry_last_error());
    cr_assert_eq(scry_buffer_read(arena, 0, found, sizeof found), SCRY_OK);
    for (int i = 0; status == SCRY_OK && i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        if (tensor->buffer && operands[i].flags & SCRY__WRITE) accept_output(content, found, tensor);
    }
    cr_assert(!memcmp(content, found, sizeof found), "%s wrote elsewhere", scry_op_text(op->kind));
    return status == SCRY_OK;
}

static void run_hostile_ops(const char *name, uint64_t seed)
{
    static char  content[ARENA_BYTES];
    scry__random random;
    scry_device *device = NULL;
    scry_buffer *arena  = NULL;
    int          done   = 0;
    scry__random_seed(&random, seed);
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name}), SCRY_OK);
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    for (int i = 0; i < TRIES; i++) {
        if (i % 64 == 0) {
            for (size_t j = 0; j < ARENA_BYTES; j++) content[j] = (char)scry__random_bits(&random);
            cr_assert_eq(scry_buffer_write(arena, 0, content, sizeof content), SCRY_OK);
        }
        scry_op op = random_op(&random, arena);
        done += run_one(device, &op, arena, content);
    }
    cr_expect(done > TRIES / 4 && done < TRIES, "%d of %d ran", done, TRIES);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

Test(device_hostile, reference__touches_only_outputs_of_valid_ops)
{
    run_hostile_ops("reference", 1);
}

Test(device_hostile, cpu__touches_only_outputs_of_valid_ops)
{
    run_hostile_ops("cpu", 2);
}

static void move_op(scry_op *op, scry_buffer *from, scry_buffer *to)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        scry_tensor *tensor = scry__operand_of(op, &operands[i]);
        if (tensor->buffer == from) tensor->buffer = to;
    }
}

/* Runs an op whole in one arena and under a reach in the other, which holds the same: both must come to hold the same
 * again. Returns into how many pieces it was cut. */
static uint64_t run_twice(scry_device *device, const scry_op *op, scry_buffer *whole, scry_buffer *cut,
                          unsigned long long reach)
{
    static char expected[ARENA_BYTES], found[ARENA_BYTES];
    scry_op     moved = *op;
    char        rule[32];
    move_op(&moved, whole, cut);
    snprintf(rule, sizeof rule, "%llu", reach);
    setenv("SCRY_FAKE_REACH", rule, 1);
    uint64_t    before = device_runs(device);
    scry_status status = scry_device_run(device, &moved);
    uint64_t    pieces = device_runs(device) - before;
    unsetenv("SCRY_FAKE_REACH");
    if (status == SCRY_OK) status = scry_device_run(device, op);
    cr_assert(status == SCRY_OK || status == SCRY_BAD_ARGUMENT || (status == SCRY_UNSUPPORTED && !pieces), "%s: %s",
              scry_op_text(op->kind), scry_last_error());
    cr_assert_eq(scry_buffer_read(whole, 0, expected, sizeof expected), SCRY_OK);
    cr_assert_eq(scry_buffer_read(cut, 0, found, sizeof found), SCRY_OK);
    cr_assert(!memcmp(expected, found, sizeof found), "%s in %llu pieces", scry_op_text(op->kind),
              (unsigned long long)pieces);
    return pieces;
}

Test(device_hostile, pieces__leave_what_the_whole_leaves)
{
    static char  content[ARENA_BYTES];
    scry__random random;
    scry_device *device = NULL;
    scry_buffer *whole = NULL, *cut = NULL;
    int          done = 0;
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    scry__random_seed(&random, 3);
    device = device_open("fake", SCRY_FALLBACK_STRICT);
    cr_assert_eq(scry_buffer_create(&whole, device, ARENA_BYTES), SCRY_OK);
    cr_assert_eq(scry_buffer_create(&cut, device, ARENA_BYTES), SCRY_OK);
    for (int i = 0; i < TRIES; i++) {
        if (i % 64 == 0) {
            for (size_t j = 0; j < ARENA_BYTES; j++) content[j] = (char)scry__random_bits(&random);
            cr_assert_eq(scry_buffer_write(whole, 0, content, sizeof content), SCRY_OK);
            cr_assert_eq(scry_buffer_write(cut, 0, content, sizeof content), SCRY_OK);
        }
        scry_op op = random_op(&random, whole);
        done += run_twice(device, &op, whole, cut, 8 + scry__random_below(&random, 600)) > 1;
    }
    cr_expect_gt(done, TRIES / 12, "%d of %d ran in pieces", done, TRIES);
    scry_buffer_destroy(&cut);
    scry_buffer_destroy(&whole);
    scry_device_destroy(&device);
}

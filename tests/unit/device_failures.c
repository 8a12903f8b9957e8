/* Devices that refuse, fail or get lost: what the caller sees, and what the handle remembers. */

#include "scry/backend.h"
#include "unit/device_ops.h"
#include "unit/refusals.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    unsetenv("SCRY_DEVICE");
}

TestSuite(device_failures, .init = use_plugins);

/* A buffer of ARENA_BYTES that holds small numbers: as f32 from -3 to 3 in steps of a quarter. */
static scry_buffer *make_arena(scry_device *device)
{
    static float values[ARENA_BYTES / sizeof(float)];
    scry_buffer *arena = NULL;
    for (size_t i = 0; i < ARENA_BYTES / sizeof(float); i++) values[i] = (float)((int)(i * 7 % 25) - 12) / 4;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    cr_assert_eq(scry_buffer_write(arena, 0, values, sizeof values), SCRY_OK);
    return arena;
}

/* Each call that reaches a backend, by the slot that it goes through. */
static scry_status call_slot(const char *slot, scry_device *device, scry_buffer *arena)
{
    scry_op      op     = device_op(SCRY_OP_ADD, arena);
    scry_buffer *buffer = NULL;
    scry_op_info info;
    char         byte   = 1;
    scry_status  status = SCRY_OK;
    if (!strcmp(slot, "buffer_create")) status = scry_buffer_create(&buffer, device, 64);
    if (!strcmp(slot, "buffer_wrap")) status = scry_buffer_wrap(&buffer, device, &byte, 1);
    if (!strcmp(slot, "buffer_write")) status = scry_buffer_write(arena, 0, &byte, 1);
    if (!strcmp(slot, "buffer_read")) status = scry_buffer_read(arena, 0, &byte, 1);
    if (!strcmp(slot, "query")) status = scry_device_query(device, &op, &info);
    if (!strcmp(slot, "run")) status = scry_device_run(device, &op);
    if (!strcmp(slot, "finish")) status = scry_device_finish(device);
    scry_buffer_destroy(&buffer);
    return status;
}

static const char *const slots[] = {"buffer_create", "buffer_wrap", "buffer_write", "buffer_read",
                                    "query",         "run",         "finish"};

enum { SLOTS = sizeof slots / sizeof *slots };

static void fail_slot(const char *slot, scry_status status)
{
    char rule[64];
    /* Without a wrap of its own, the device's wrap is a create and a write. */
    snprintf(rule, sizeof rule, "%s:%d", strcmp(slot, "buffer_wrap") ? slot : "buffer_write", (int)status);
    setenv("SCRY_FAKE_FAIL", rule, 1);
}

Test(device_failures, call__passes_on_what_the_backend_says)
{
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = make_arena(device);
    for (int i = 0; i < SLOTS; i++) {
        fail_slot(slots[i], SCRY_IO);
        cr_expect_eq(call_slot(slots[i], device, arena), SCRY_IO, "%s", slots[i]);
        cr_expect(strstr(scry_last_error(), "went wrong"), "%s: %s", slots[i], scry_last_error());
        unsetenv("SCRY_FAKE_FAIL");
        cr_expect_eq(call_slot(slots[i], device, arena), SCRY_OK, "%s: %s", slots[i], scry_last_error());
    }
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

Test(device_failures, call__on_a_lost_device_says_so_ever_after)
{
    for (int lost = 0; lost < SLOTS; lost++) {
        scry_device *device = device_open("fake", SCRY_FALLBACK_ALLOW_CPU);
        scry_device *second = device_open("fake", SCRY_FALLBACK_STRICT);
        scry_buffer *arena  = make_arena(device);
        fail_slot(slots[lost], SCRY_DEVICE_LOST);
        cr_expect_eq(call_slot(slots[lost], device, arena), SCRY_DEVICE_LOST, "%s", slots[lost]);
        unsetenv("SCRY_FAKE_FAIL");
        for (int i = 0; i < SLOTS; i++) {
            cr_expect_eq(call_slot(slots[i], device, arena), SCRY_DEVICE_LOST, "%s after %s", slots[i], slots[lost]);
            cr_expect(strstr(scry_last_error(), "fake:0 was lost: "), "%s", scry_last_error());
        }
        cr_expect_eq(scry_device_finish(second), SCRY_OK, "another handle is lost too");
        scry_buffer_destroy(&arena);
        scry_device_destroy(&second);
        scry_device_destroy(&device);
    }
}

/* Work may fail only when somebody waits for it, and destroying a buffer does. */
Test(device_failures, work_that_fails_as_a_buffer_goes__is_told_by_the_next_call)
{
    for (int i = 0; i < SLOTS; i++) {
        scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
        scry_buffer *arena = make_arena(device), *other = make_arena(device);
        fail_slot("finish", SCRY_OUT_OF_MEMORY);
        scry_buffer_destroy(&other);
        unsetenv("SCRY_FAKE_FAIL");
        cr_expect_eq(call_slot(slots[i], device, arena), SCRY_OUT_OF_MEMORY, "%s", slots[i]);
        cr_expect_str_eq(scry_last_error(), "fake:0: earlier work failed: finish went wrong");
        cr_expect_eq(call_slot(slots[i], device, arena), SCRY_OK, "%s: %s", slots[i], scry_last_error());
        scry_buffer_destroy(&arena);
        scry_device_destroy(&device);
    }
}

static void list_and_expect(const char *name, const char *reason)
{
    scry_device_list *list = NULL;
    cr_assert_eq(scry_devices_find(&list), SCRY_OK);
    for (int i = 0; i < list->count; i++)
        if (!strcmp(list->entries[i].info.name, name)) cr_expect_str_eq(list->entries[i].reason, reason);
    scry_devices_destroy(&list);
}

Test(device_failures, open__says_why_it_fails)
{
    scry_device *device = NULL;
    fail_slot("open", SCRY_UNSUPPORTED);
    cr_expect_eq(scry_device_open(&device, &(scry_device_options){.name = "fake"}), SCRY_NO_DEVICE);
    cr_expect_str_eq(scry_last_error(), "fake:0: open went wrong");
    setenv("SCRY_FAKE_SCORES", "100000", 1);
    list_and_expect("fake:0", "open went wrong");
    fail_slot("find", SCRY_NO_DEVICE);
    list_and_expect("fake", "find went wrong");
    cr_expect_eq(scry_device_open(&device, &(scry_device_options){.name = "fake"}), SCRY_NO_DEVICE);
    cr_expect_str_eq(scry_last_error(), "fake: find went wrong");
    cr_expect_null(device);
}

Test(device_failures, find__is_held_to_the_types_that_there_are)
{
    scry_device *device = NULL;
    setenv("SCRY_FAKE_TYPE", "99", 1);
    list_and_expect("fake", "its device 0 is of type 99: expected 0 to 4");
    cr_expect_eq(scry_device_open(&device, &(scry_device_options){.name = "fake"}), SCRY_NO_DEVICE);
    cr_expect_str_eq(scry_last_error(), "fake: its device 0 is of type 99: expected 0 to 4");
}

Test(device_failures, strict__fails_with_op_device_and_reason)
{
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = make_arena(device);
    scry_op      op     = device_op(SCRY_OP_ADD, arena);
    scry_op_info info;
    setenv("SCRY_FAKE_REFUSE", "add", 1);
    cr_expect_eq(scry_device_query(device, &op, &info), SCRY_OK);
    cr_expect_eq(info.support, SCRY_NOT_SUPPORTED);
    cr_expect_str_eq(info.reason, "it takes more than the 32 KiB at hand");
    cr_expect_eq(scry_device_run(device, &op), SCRY_UNSUPPORTED);
    cr_expect_str_eq(scry_last_error(), "add on fake:0: it takes more than the 32 KiB at hand");
    cr_expect_eq(scry_device_fallbacks(device), 0);
    cr_expect_str_eq(scry_device_last_fallback(device), "");
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

Test(device_failures, strict__holds_the_device_to_the_precision_asked_for)
{
    static const struct {
        scry_precision asked;
        scry_status    status;
    } cases[]           = {{SCRY_STRICT_F32, SCRY_UNSUPPORTED},
                           {SCRY_ALLOW_TF32, SCRY_UNSUPPORTED},
                           {SCRY_ALLOW_F16, SCRY_OK},
                           {SCRY_ALLOW_BF16, SCRY_UNSUPPORTED}};
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = make_arena(device);
    setenv("SCRY_FAKE_HALF", "matmul", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_op op   = device_op(SCRY_OP_MATMUL, arena);
        op.precision = cases[i].asked;
        cr_expect_eq(scry_device_run(device, &op), cases[i].status, "case %zu: %s", i, scry_last_error());
        if (i == 0) cr_expect_str_eq(scry_last_error(), "matmul on fake:0: it delivers f16 where f32 was asked for");
    }
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

static char last_log[512];

static void keep_log(void *user, scry_log_level level, const char *line)
{
    (void)user;
    if (level == SCRY_LOG_WARNING) snprintf(last_log, sizeof last_log, "%s", line);
}

/* Some shapes of memory that staging has to get right. */
static void make_in_place(scry_op *op)
{
    if (op->kind == SCRY_OP_ADD) op->add.out = op->add.a;
    if (op->kind == SCRY_OP_ROPE) op->rope.out = op->rope.x;
    if (op->kind == SCRY_OP_SOFTMAX_CAPTURE) op->softmax.probabilities = op->softmax.scores;
}

static void interleave(scry_op *op)
{
    if (op->kind != SCRY_OP_ADD) return;
    op->add.a.stride[0] = op->add.out.stride[0] = 12; /* columns 1 to 5 and 6 to 10 of one matrix of 12 columns */
    op->add.a.offset                            = 4;
    op->add.out.offset                          = 24;
}

static void interleave_swapped(scry_op *op)
{
    interleave(op);
    if (op->kind != SCRY_OP_ADD) return;
    op->add.a.offset   = 24;
    op->add.out.offset = 4;
}

static void make_empty_operand(scry_op *op)
{
    if (op->kind != SCRY_OP_MATMUL) return;
    op->matmul.a.shape[2] = op->matmul.b.shape[1] = 0;
    op->matmul.a.offset                           = ARENA_BYTES;
}

static void leave(scry_op *op)
{
    (void)op;
}

Test(device_failures, allow_cpu__leaves_memory_as_the_cpu_would)
{
    static void (*const shapes[])(scry_op * op) = {leave, make_in_place, interleave, interleave_swapped,
                                                   make_empty_operand};
    enum { SHAPES = sizeof shapes / sizeof *shapes };
    static char  expected[ARENA_BYTES], found[ARENA_BYTES];
    uint64_t     count  = 0;
    scry_device *device = device_open("fake", SCRY_FALLBACK_ALLOW_CPU), *cpu = device_open("cpu", SCRY_FALLBACK_STRICT);
    scry_set_log_sink(keep_log, NULL);
    for (int i = 0; i < SHAPES * SCRY_OP_COUNT; i++) {
        scry_buffer *arena = make_arena(device), *cpu_arena = make_arena(cpu);
        scry_op      op  = device_op((scry_op_kind)(i / SHAPES), arena),
                cpu_op   = device_op((scry_op_kind)(i / SHAPES), cpu_arena);
        const char *text = scry_op_text(op.kind);
        char        line[128];
        shapes[i % SHAPES](&op);
        shapes[i % SHAPES](&cpu_op);
        setenv("SCRY_FAKE_REFUSE", text, 1);
        cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s %d: %s", text, i % SHAPES, scry_last_error());
        cr_assert_eq(scry_device_run(cpu, &cpu_op), SCRY_OK, "%s %d: %s", text, i % SHAPES, scry_last_error());
        cr_assert_eq(scry_buffer_read(arena, 0, found, sizeof found), SCRY_OK);
        cr_assert_eq(scry_buffer_read(cpu_arena, 0, expected, sizeof expected), SCRY_OK);
        cr_expect(!memcmp(found, expected, sizeof found), "%s, shape %d", text, i % SHAPES);
        snprintf(line, sizeof line, "%s ran on cpu instead of fake:0: it takes more than the 32 KiB at hand", text);
        cr_expect_str_eq(scry_device_last_fallback(device), line);
        cr_expect_str_eq(last_log, line);
        cr_expect_eq(scry_device_fallbacks(device), ++count);
        scry_buffer_destroy(&cpu_arena);
        scry_buffer_destroy(&arena);
    }
    scry_device_destroy(&cpu);
    scry_device_destroy(&device);
}

Test(device_failures, allow_cpu__still_passes_on_other_failures)
{
    scry_device *device = device_open("fake", SCRY_FALLBACK_ALLOW_CPU);
    scry_buffer *arena  = make_arena(device);
    scry_op      op     = device_op(SCRY_OP_ADD, arena);
    fail_slot("run", SCRY_IO);
    cr_expect_eq(scry_device_run(device, &op), SCRY_IO);
    unsetenv("SCRY_FAKE_FAIL");
    setenv("SCRY_FAKE_REFUSE", "add", 1);
    fail_slot("buffer_read", SCRY_DEVICE_LOST);
    cr_expect_eq(scry_device_run(device, &op), SCRY_DEVICE_LOST);
    cr_expect_eq(scry_device_fallbacks(device), 0);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

Test(device_failures, scratch__is_there_and_only_grows)
{
    static const size_t wanted[] = {100, 4096, 50, 5000, 6000, 0};
    scry_device        *device   = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer        *arena    = make_arena(device);
    scry_op             op       = device_op(SCRY_OP_ADD, arena);
    size_t              before   = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char number[32];
        snprintf(number, sizeof number, "%zu", wanted[i]);
        setenv("SCRY_FAKE_SCRATCH", number, 1);
        cr_assert_eq(scry_device_run(device, &op), SCRY_OK);
        cr_expect_geq(device->scratch->size, wanted[i]);
        cr_expect_geq(device->scratch->size, before);
        before = device->scratch->size;
    }
    setenv("SCRY_FAKE_SCRATCH", "18446744073709551615", 1);
    cr_expect_eq(scry_device_run(device, &op), SCRY_OUT_OF_MEMORY);
    setenv("SCRY_FAKE_SCRATCH", "100", 1);
    cr_expect_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

/* Opens, runs ops that need scratch and a fallback, lists; every allocation on the way may be the one refused. */
static scry_status use_everything(const char *name)
{
    scry_device_list *list   = NULL;
    scry_device      *device = NULL;
    scry_buffer      *arena  = NULL;
    scry_status       status =
        scry_device_open(&device, &(scry_device_options){.name = name, .fallback = SCRY_FALLBACK_ALLOW_CPU});
    if (!status) status = scry_buffer_create(&arena, device, ARENA_BYTES);
    if (!status) {
        scry_op op = device_op(SCRY_OP_ATTENTION, arena), refused = device_op(SCRY_OP_ADD, arena);
        status = scry_device_run(device, &op);
        if (!status) status = scry_device_run(device, &refused);
        if (!status) status = scry_device_finish(device);
    }
    if (!status) status = scry_devices_find(&list);
    scry_devices_destroy(&list);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
    return status;
}

Test(device_failures, allocation__refused_anywhere_ends_cleanly)
{
    static const char *const names[] = {"fake", "reference", "cpu", NULL};
    /* Where plugins are linked in, drivers' devices would be opened four hundred times: they have tests of their own.
     */
    setenv("VK_ICD_FILENAMES", "/dev/null", 1);
    setenv("OCL_ICD_VENDORS", "/nonexistent", 1);
    setenv("SCRY_FAKE_REFUSE", "add", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct refusals refusals = {0};
        while (refusals_next(&refusals)) {
            scry_status status = use_everything(names[i]);
            refusals_check(&refusals, status, !status);
        }
        cr_expect_gt(refusals.refused, 3);
    }
}

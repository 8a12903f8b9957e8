/* What callers see of ops that run in pieces: refusals, answers to queries, fallbacks, the log. */
#include "scry/backend.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    unsetenv("SCRY_DEVICE");
}

TestSuite(device_pieces, .init = use_plugins);

Test(device_pieces, run__says_what_it_cannot_cut)
{
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = NULL;
    scry_op_info info;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    scry_op op = device_op(SCRY_OP_MATMUL, arena);
    setenv("SCRY_FAKE_REACH", "59", 1);
    cr_expect_eq(scry_device_run(device, &op), SCRY_UNSUPPORTED);
    cr_expect_str_eq(scry_last_error(),
                     "matmul on fake:0: b: 60 bytes that no cut shortens: expected at most 1048576 in "
                     "one range");
    cr_expect_eq(device_runs(device), 0, "pieces ran before the refusal");
    cr_expect_eq(scry_device_query(device, &op, &info), SCRY_OK);
    cr_expect_eq(info.support, SCRY_NOT_SUPPORTED);
    cr_expect(strstr(info.reason, "b: 60 bytes"), "%s", info.reason);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

Test(device_pieces, run__refuses_everything_where_nothing_is_reachable)
{
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = NULL;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    setenv("SCRY_FAKE_REACH", "0", 1);
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        scry_op op = device_op((scry_op_kind)kind, arena);
        cr_expect_eq(scry_device_run(device, &op), SCRY_UNSUPPORTED, "%s", scry_op_text(op.kind));
        cr_expect(strstr(scry_last_error(), "bytes that no cut shortens"), "%s", scry_last_error());
    }
    cr_expect_eq(device_runs(device), 0);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

Test(device_pieces, allow_cpu__runs_there_what_cannot_be_cut)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    float              got[4];
    scry_device       *device = device_open("fake", SCRY_FALLBACK_ALLOW_CPU);
    scry_buffer       *buffer = NULL;
    cr_assert_eq(scry_buffer_create(&buffer, device, 64), SCRY_OK);
    cr_assert_eq(scry_buffer_write(buffer, 0, values, sizeof values), SCRY_OK);
    scry_op op = {.kind   = SCRY_OP_MATMUL,
                  .matmul = {.a     = scry_tensor_of(buffer, 0, SCRY_F32, 2, (int64_t[]){2, 3}),
                             .b     = scry_tensor_of(buffer, 0, SCRY_F32, 2, (int64_t[]){3, 2}),
                             .c     = scry_tensor_of(buffer, 24, SCRY_F32, 2, (int64_t[]){2, 2}),
                             .alpha = 1}};
    setenv("SCRY_FAKE_REACH", "8", 1);
    cr_expect_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry_device_fallbacks(device), 1);
    cr_expect(strstr(scry_device_last_fallback(device), "matmul ran on cpu instead of fake:0: b: 20 bytes"), "%s",
              scry_device_last_fallback(device));
    cr_assert_eq(scry_buffer_read(buffer, 24, got, sizeof got), SCRY_OK);
    cr_expect(got[0] == 22 && got[1] == 28 && got[2] == 49 && got[3] == 64);
    scry_buffer_destroy(&buffer);
    scry_device_destroy(&device);
}

static int  info_lines;
static char info_line[256];

static void keep_log(void *user, scry_log_level level, const char *line)
{
    (void)user;
    if (level > SCRY_LOG_INFO) return;
    info_lines++;
    snprintf(info_line, sizeof info_line, "%s", line);
}

Test(device_pieces, run__says_once_that_it_cuts)
{
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = NULL;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    scry_op op = device_op(SCRY_OP_FILL, arena);
    scry_set_log_sink(keep_log, NULL);
    cr_expect_eq(scry_device_run(device, &op), SCRY_OK);
    cr_expect_eq(info_lines, 0);
    setenv("SCRY_FAKE_REACH", "8", 1);
    for (int i = 0; i < 3; i++) cr_expect_eq(scry_device_run(device, &op), SCRY_OK);
    scry_set_log_sink(NULL, NULL);
    cr_expect_eq(info_lines, 1);
    cr_expect(!strncmp(info_line, "fake:0: fill runs in 6 pieces", 29), "%s", info_line);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

/* A backend whose answer grows worse from piece to piece. */
static int                 queries, last_worse;
static struct scry_backend worsening;

static scry_status worsening_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    static const size_t scratch[] = {100, 300, 200, 50};
    int                 piece     = queries++ % 4;
    (void)device;
    (void)op;
    *info = (scry_op_info){.scratch_bytes = scratch[piece]};
    snprintf(info->kernel, sizeof info->kernel, "kernel %d", piece);
    snprintf(info->reason, sizeof info->reason, "reason %d", piece);
    if (last_worse > 0 && piece == 1) info->precision = SCRY_ALLOW_TF32;
    if (last_worse > 1 && piece == 2) info->support = SCRY_EMULATED;
    if (last_worse > 2 && piece == 3) info->support = SCRY_NOT_SUPPORTED;
    return SCRY_OK;
}

Test(device_pieces, query__answers_for_the_worst_piece)
{
    static const struct {
        scry_support   support;
        scry_precision precision;
        const char    *kernel;
        size_t         scratch;
    } cases[]           = {{SCRY_SUPPORTED, SCRY_STRICT_F32, "kernel 0", 300},
                           {SCRY_SUPPORTED, SCRY_ALLOW_TF32, "kernel 1", 300},
                           {SCRY_EMULATED, SCRY_STRICT_F32, "kernel 2", 300},
                           {SCRY_NOT_SUPPORTED, SCRY_STRICT_F32, "kernel 3", 300}};
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = NULL;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    scry_op op      = device_op(SCRY_OP_ADD, arena);
    op.precision    = SCRY_ALLOW_TF32;
    worsening       = *device->backend;
    worsening.query = worsening_query;
    device->backend = &worsening;
    setenv("SCRY_FAKE_REACH", "12", 1); /* 3 and 2 elements of each of two rows */
    for (last_worse = 0; last_worse < 4; last_worse++) {
        scry_op_info info;
        cr_assert_eq(scry_device_query(device, &op, &info), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(queries % 4, 0, "%d queries", queries);
        cr_expect_eq(info.support, cases[last_worse].support, "%d", last_worse);
        cr_expect_eq(info.precision, cases[last_worse].precision, "%d", last_worse);
        cr_expect_eq(info.scratch_bytes, cases[last_worse].scratch, "%d", last_worse);
        cr_expect_str_eq(info.kernel, cases[last_worse].kernel);
        cr_expect_eq(info.flops, 10);
        cr_expect_eq(info.bytes_moved, 120, "%g", info.bytes_moved);
    }
    last_worse = 0;
    cr_expect_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    cr_expect_geq(device->scratch->size, 300);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

Test(device_pieces, run__ends_with_the_piece_that_fails)
{
    scry_device *device = device_open("fake", SCRY_FALLBACK_STRICT);
    scry_buffer *arena  = NULL;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    scry_op op = device_op(SCRY_OP_ADD, arena);
    setenv("SCRY_FAKE_REACH", "8", 1);
    char rule[32];
    snprintf(rule, sizeof rule, "run:%d:3", SCRY_IO);
    setenv("SCRY_FAKE_FAIL", rule, 1);
    cr_expect_eq(scry_device_run(device, &op), SCRY_IO);
    cr_expect_eq(device_runs(device), 2);
    unsetenv("SCRY_FAKE_FAIL");
    cr_expect_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

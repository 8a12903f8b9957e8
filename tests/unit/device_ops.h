/* Valid ops of every kind, made from the operand table, for tests that spoil them; and opening what they run on. */
#ifndef TESTS_DEVICE_OPS_H
#define TESTS_DEVICE_OPS_H

#include "scry/device.h"

enum { ARENA_BYTES = 1 << 17, ARENA_STEP = 4096 };

/* A valid op with every optional operand present, each contiguous at its own multiple of ARENA_STEP in `arena` (of
 * ARENA_BYTES). Sizes: B 2, H 4, G 2, Q 3, K 5, D 8, Dv 6; S 4, q 2, k 3, N 4, t 2; T 3, P 16, R 6; d 8, V 11; matmul
 * [2, 4, 3] by [2, 3, 7]; elementwise [2, 5]. */
scry_op device_op(scry_op_kind kind, scry_buffer *arena);

/* Opens a device; fails the running test on an error. */
scry_device *device_open(const char *name, scry_fallback fallback);

/* Opens a plugin's device, such as "opencl:0", with kernels by name (NULL: its choice). Skips the running test, saying
 * so, on machines without one; fails it there where $SCRY_TEST_OPENCL, or $SCRY_TEST_VULKAN, is set. */
scry_device *device_need(const char *name, const char *kernels);

/* Whether the device says that it can run a valid op. */
bool device_can_run(scry_device *device, const scry_op *op);

/* A valid op that is changed, and what the front door must say of it. */
struct device_change {
    const char  *name;
    scry_op_kind kind;
    void (*change)(scry_op *op);
    const char *message;      /* how the error begins, where it is refused */
    double      flops, bytes; /* where it is asked what it costs */
};

/* Runs each: all are SCRY_BAD_ARGUMENT with their messages. */
void device_expect_refused(scry_device *device, scry_buffer *arena, const struct device_change *changes, size_t count);

/* Asks what each costs. */
void device_expect_costs(scry_device *device, scry_buffer *arena, const struct device_change *changes, size_t count);

/* How many ops the fake plugin has been given since it was loaded. */
uint64_t device_runs(const scry_device *device);

#endif

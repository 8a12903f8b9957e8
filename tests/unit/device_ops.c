/* Valid ops of every kind. See device_ops.h. */
#include "unit/device_ops.h"

#include "device/operands.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const int64_t sizes[128] = {
    ['B'] = 2, ['H'] = 4, ['G'] = 2, ['Q'] = 3,  ['K'] = 5, ['D'] = 8, ['E'] = 6,  ['S'] = 4, ['q'] = 2, ['k'] = 3,
    ['N'] = 4, ['t'] = 2, ['T'] = 3, ['P'] = 16, ['r'] = 3, ['d'] = 8, ['V'] = 11, ['m'] = 4, ['n'] = 7,
};

static scry_tensor operand_view(const scry__operand *operand, bool elementwise, scry_buffer *arena, size_t offset)
{
    int64_t     shape[SCRY_MAX_RANK];
    int         rank    = 0;
    const char *letters = operand->shape;
    if (*letters == '.') {
        shape[rank++] = 2;
        if (elementwise) shape[rank++] = 5;
        letters++;
    }
    for (; *letters; letters++) shape[rank++] = sizes[(int)*letters];
    return scry_tensor_of(arena, offset, operand->dtypes >> SCRY_F32 & 1 ? SCRY_F32 : SCRY_I32, rank, shape);
}

static void set_scalars(scry_op *op)
{
    switch (op->kind) {
    case SCRY_OP_MATMUL:
        op->matmul.alpha = op->matmul.beta = 1;
        break;
    case SCRY_OP_ATTENTION:
        op->attention.scale       = 0.25f;
        op->attention.mask.causal = true;
        break;
    case SCRY_OP_NORM:
        op->norm.parameters.epsilon = 1e-5f;
        break;
    case SCRY_OP_LENS:
        op->lens.norm.epsilon = 1e-5f;
        break;
    case SCRY_OP_NORM_BACKWARD:
        op->norm_backward.parameters.epsilon = 1e-5f;
        break;
    case SCRY_OP_ATTENTION_BACKWARD:
        op->attention_backward.scale       = 0.25f;
        op->attention_backward.mask.causal = true;
        break;
    case SCRY_OP_LOSS:
        op->loss.teacher.buffer = NULL; /* there is a target */
        op->loss.factor         = 0.5f;
        break;
    case SCRY_OP_ADAMW:
        op->adamw.rate = op->adamw.beta1 = op->adamw.beta2 = 0.5f;
        op->adamw.epsilon = op->adamw.gradient_factor = 1;
        op->adamw.step                                = 1;
        break;
    case SCRY_OP_SGD:
        op->sgd.rate = op->sgd.momentum = 0.5f;
        op->sgd.gradient_factor         = 1;
        break;
    default:
        break;
    }
}

scry_op device_op(scry_op_kind kind, scry_buffer *arena)
{
    const scry__operand *operands;
    int                  count = scry__operands(kind, &operands);
    scry_op              op;
    memset(&op, 0, sizeof op);
    op.kind = kind;
    for (int i = 0; i < count; i++) {
        bool elementwise = kind != SCRY_OP_MATMUL && kind != SCRY_OP_NORM && kind != SCRY_OP_NORM_BACKWARD;
        *scry__operand_of(&op, &operands[i]) = operand_view(&operands[i], elementwise, arena, (size_t)i * ARENA_STEP);
    }
    set_scalars(&op);
    return op;
}

scry_device *device_open(const char *name, scry_fallback fallback)
{
    scry_device *device = NULL;
    scry_status  status = scry_device_open(&device, &(scry_device_options){.name = name, .fallback = fallback});
    cr_assert_eq(status, SCRY_OK, "%s", scry_last_error());
    return device;
}

scry_device *device_need(const char *name, const char *kernels)
{
    static const struct {
        const char *backend, *required, *package;
    } plugins[]         = {{"opencl", "SCRY_TEST_OPENCL", "pocl-opencl-icd"},
                           {"vulkan", "SCRY_TEST_VULKAN", "mesa-vulkan-drivers"},
                           {"cuda-emulated", "SCRY_TEST_CUDA", "a C++ compiler, and build anew"}};
    scry_device *device = NULL;
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR, 1);
    scry_status status = scry_device_open(&device, &(scry_device_options){.name = name, .kernels = kernels});
    for (size_t i = 0; i < sizeof plugins / sizeof *plugins; i++) {
        if (!status || strncmp(name, plugins[i].backend, strlen(plugins[i].backend))) continue;
        cr_assert(!getenv(plugins[i].required), "%s", scry_last_error());
        cr_skip("no device %s: install %s to run this test", name, plugins[i].package);
    }
    cr_assert_eq(status, SCRY_OK, "%s", scry_last_error());
    return device;
}

bool device_can_run(scry_device *device, const scry_op *op)
{
    scry_op_info info;
    cr_assert_eq(scry_device_query(device, op, &info), SCRY_OK, "%s", scry_last_error());
    return info.support != SCRY_NOT_SUPPORTED;
}

uint64_t device_runs(const scry_device *device)
{
    scry_device_statistics statistics;
    scry_device_get_statistics(device, &statistics);
    return statistics.programs_built;
}

void device_expect_refused(scry_device *device, scry_buffer *arena, const struct device_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        scry_op op = device_op(changes[i].kind, arena);
        changes[i].change(&op);
        scry_status status = scry_device_run(device, &op);
        cr_expect_eq(status, SCRY_BAD_ARGUMENT, "%s: %s", changes[i].name, scry_status_text(status));
        cr_expect(!strncmp(scry_last_error(), changes[i].message, strlen(changes[i].message)), "%s: \"%s\"",
                  changes[i].name, scry_last_error());
    }
}

void device_expect_costs(scry_device *device, scry_buffer *arena, const struct device_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        scry_op      op = device_op(changes[i].kind, arena);
        scry_op_info info;
        changes[i].change(&op);
        cr_assert_eq(scry_device_query(device, &op, &info), SCRY_OK, "%s: %s", changes[i].name, scry_last_error());
        cr_expect(info.flops == changes[i].flops, "%s: %g flops", changes[i].name, info.flops);
        cr_expect(info.bytes_moved == changes[i].bytes, "%s: %g bytes", changes[i].name, info.bytes_moved);
    }
}

/* What the cpu device says of an op, and the way from an op to its function. */
#include "cpu.h"

#include <stdio.h>

/* X(kind, function, member of the union): the op list with the names of this backend's functions. */
#define OP_CASES(X)                                                                                                    \
    X(MATMUL, matmul, matmul)                                                                                          \
    X(SOFTMAX_CAPTURE, softmax_capture, softmax)                                                                       \
    X(ATTENTION, attention, attention)                                                                                 \
    X(ROPE, rope, rope)                                                                                                \
    X(NORM, norm, norm)                                                                                                \
    X(LENS, lens, lens)                                                                                                \
    X(EMBED, embed, embed)                                                                                             \
    X(ADD, add, add)                                                                                                   \
    X(SCALE, scale, scale)                                                                                             \
    X(ACTIVATION, activation, activation)                                                                              \
    X(COPY, copy, copy)                                                                                                \
    X(FILL, fill, fill)                                                                                                \
    X(SUM, sum, sum)                                                                                                   \
    X(ACTIVATION_BACKWARD, activation_backward, activation_backward)                                                   \
    X(NORM_BACKWARD, norm_backward, norm_backward)                                                                     \
    X(EMBED_BACKWARD, embed_backward, embed_backward)                                                                  \
    X(ATTENTION_BACKWARD, attention_backward, attention_backward)                                                      \
    X(LOSS, loss, loss)                                                                                                \
    X(ADAMW, adamw, adamw)                                                                                             \
    X(SGD, sgd, sgd)

scry_status scry__cpu_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    const struct scry__cpu *cpu = device->impl;
    info->support               = SCRY_SUPPORTED;
    info->precision             = SCRY_STRICT_F32;
    if (op->kind == SCRY_OP_MATMUL) scry__cpu_matmul_describe(cpu, &op->matmul, info);
    switch (op->kind) {
#define QUERY_CASE(kind, name, member)                                                                                 \
    case SCRY_OP_##kind:                                                                                               \
        info->scratch_bytes = scry__cpu_##name##_scratch(cpu, &op->member);                                            \
        return SCRY_OK;
        OP_CASES(QUERY_CASE)
#undef QUERY_CASE
    default:
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason, "the backend has no kernel for it");
        return SCRY_OK;
    }
}

const char *const *scry__cpu_kernel_names(const scry_device *device, scry_op_kind kind)
{
    static const char *const none[] = {NULL};
    (void)device;
    return kind == SCRY_OP_MATMUL ? scry__cpu_matmul_kernels() : none;
}

scry_status scry__cpu_run(scry_device *device, const scry_op *op)
{
    const struct scry__cpu *cpu     = device->impl;
    void                   *scratch = device->scratch ? device->scratch->host : NULL;
    switch (op->kind) {
#define RUN_CASE(kind, name, member)                                                                                   \
    case SCRY_OP_##kind:                                                                                               \
        scry__cpu_##name(cpu, &op->member, scratch);                                                                   \
        return SCRY_OK;
        OP_CASES(RUN_CASE)
#undef RUN_CASE
    default:
        return scry__cpu_host->fail(SCRY_UNSUPPORTED, "cpu: unknown op %d", (int)op->kind);
    }
}

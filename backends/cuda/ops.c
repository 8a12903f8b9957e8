/* What a CUDA device says of an op, and the way from an op to its function. */
#include "cuda.h"

#include <stdio.h>

scry_status scry__cuda_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    const struct scry__cuda *cuda = device->impl;
    info->support                 = SCRY_SUPPORTED;
    info->precision               = SCRY_STRICT_F32;
    switch (op->kind) {
#define QUERY_CASE(KIND, name, type)                                                                                   \
    case SCRY_OP_##KIND:                                                                                               \
        scry__cuda_##name##_query(cuda, &op->name, op->precision, info);                                               \
        break;
        SCRY__CUDA_OP_LIST(QUERY_CASE)
#undef QUERY_CASE
    default:
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason, "the CUDA backend has no kernel for it");
    }
    return SCRY_OK;
}

static scry_status run(struct scry__cuda *cuda, const scry_op *op)
{
    switch (op->kind) {
#define RUN_CASE(KIND, name, type)                                                                                     \
    case SCRY_OP_##KIND:                                                                                               \
        return scry__cuda_##name(cuda, &op->name, op->precision);
        SCRY__CUDA_OP_LIST(RUN_CASE)
#undef RUN_CASE
    default:
        return scry__cuda_host->fail(SCRY_UNSUPPORTED, "cuda: unknown op %d", (int)op->kind);
    }
}

scry_status scry__cuda_run(scry_device *device, const scry_op *op)
{
    struct scry__cuda *cuda   = device->impl;
    scry_status        status = scry__cuda_enter(cuda);
    cuda->failed              = SCRY_OK;
    if (!status) status = run(cuda, op);
    return status ? status : cuda->failed;
}

const char *const *scry__cuda_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const none[] = {NULL};
    (void)device;
    switch (kind) {
#define KERNELS_CASE(KIND, names)                                                                                      \
    case SCRY_OP_##KIND:                                                                                               \
        return names;
        SCRY__CUDA_KERNELS_LIST(KERNELS_CASE)
#undef KERNELS_CASE
    default:
        return none;
    }
}

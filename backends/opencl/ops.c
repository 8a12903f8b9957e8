/* What an OpenCL device says of an op, and the way from an op to its function. */
#include "opencl.h"

#include <stdio.h>

scry_status scry__cl_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    const struct scry__cl *cl = device->impl;
    info->support             = SCRY_SUPPORTED;
    info->precision           = SCRY_STRICT_F32;
    switch (op->kind) {
#define QUERY_CASE(KIND, name, type)                                                                                   \
    case SCRY_OP_##KIND:                                                                                               \
        scry__cl_##name##_query(cl, &op->name, info);                                                                  \
        break;
        SCRY__CL_OP_LIST(QUERY_CASE)
#undef QUERY_CASE
    default:
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason, "the OpenCL backend has no kernel for it");
    }
    /* Kernels see their scratch as one range. */
    if (info->support != SCRY_NOT_SUPPORTED && info->scratch_bytes > cl->most_allocated) {
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason,
                 "it takes %zu bytes of scratch, where the device allocates %zu at once", info->scratch_bytes,
                 cl->most_allocated);
    }
    return SCRY_OK;
}

scry_status scry__cl_run(scry_device *device, const scry_op *op)
{
    struct scry__cl *cl = device->impl;
    switch (op->kind) {
#define RUN_CASE(KIND, name, type)                                                                                     \
    case SCRY_OP_##KIND:                                                                                               \
        return scry__cl_##name(cl, &op->name);
        SCRY__CL_OP_LIST(RUN_CASE)
#undef RUN_CASE
    default:
        return scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: unknown op %d", (int)op->kind);
    }
}

const char *const *scry__cl_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const none[] = {NULL};
    (void)device;
    switch (kind) {
#define KERNELS_CASE(KIND, names)                                                                                      \
    case SCRY_OP_##KIND:                                                                                               \
        return names;
        SCRY__CL_KERNELS_LIST(KERNELS_CASE)
#undef KERNELS_CASE
    default:
        return none;
    }
}

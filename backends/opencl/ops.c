/* What an OpenCL device says of an op, and the way from an op to its function. */
#include "opencl.h"

scry_status scry__cl_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    const struct scry__cl *cl = device->impl;
    scry__op_query(device, op, info);
    scry__limit_scratch(info, cl->most_allocated);
    return SCRY_OK;
}

scry_status scry__cl_run(scry_device *device, const scry_op *op)
{
    return scry__op_run(device, op);
}

const char *const *scry__cl_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const *const names[SCRY_OP_COUNT] = {
        [SCRY_OP_SOFTMAX_CAPTURE]     = scry__cl_softmax_kernels,
        [SCRY_OP_ATTENTION]           = scry__cl_attention_kernels,
        [SCRY_OP_ROPE]                = scry__cl_runs_kernels,
        [SCRY_OP_NORM]                = scry__cl_norm_kernels,
        [SCRY_OP_LENS]                = scry__cl_lens_kernels,
        [SCRY_OP_EMBED]               = scry__cl_runs_kernels,
        [SCRY_OP_ADD]                 = scry__cl_runs_kernels,
        [SCRY_OP_SCALE]               = scry__cl_runs_kernels,
        [SCRY_OP_ACTIVATION]          = scry__cl_runs_kernels,
        [SCRY_OP_SUM]                 = scry__cl_runs_kernels,
        [SCRY_OP_ACTIVATION_BACKWARD] = scry__cl_runs_kernels,
        [SCRY_OP_NORM_BACKWARD]       = scry__cl_runs_kernels,
        [SCRY_OP_EMBED_BACKWARD]      = scry__cl_runs_kernels,
        [SCRY_OP_ATTENTION_BACKWARD]  = scry__cl_runs_kernels,
        [SCRY_OP_LOSS]                = scry__cl_runs_kernels,
        [SCRY_OP_ADAMW]               = scry__cl_runs_kernels,
        [SCRY_OP_SGD]                 = scry__cl_runs_kernels,
    };
    (void)device;
    return kind == SCRY_OP_MATMUL ? scry__cl_matmul_kernels() : names[kind];
}

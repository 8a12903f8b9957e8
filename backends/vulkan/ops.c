/* What a Vulkan device says of an op, and the way from an op to its function. */
#include "vk.h"

scry_status scry__vk_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    const struct scry__vk *vk = device->impl;
    scry__op_query(device, op, info);
    scry__limit_scratch(info, vk->limits.most_allocated);
    return SCRY_OK;
}

scry_status scry__vk_run(scry_device *device, const scry_op *op)
{
    return scry__op_run(device, op);
}

const char *const *scry__vk_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const *const names[SCRY_OP_COUNT] = {
        [SCRY_OP_ATTENTION]           = scry__vk_attention_kernels,
        [SCRY_OP_ROPE]                = scry__vk_runs_kernels,
        [SCRY_OP_NORM]                = scry__vk_norm_kernels,
        [SCRY_OP_LENS]                = scry__vk_lens_kernels,
        [SCRY_OP_EMBED]               = scry__vk_runs_kernels,
        [SCRY_OP_ADD]                 = scry__vk_runs_kernels,
        [SCRY_OP_SCALE]               = scry__vk_runs_kernels,
        [SCRY_OP_ACTIVATION]          = scry__vk_runs_kernels,
        [SCRY_OP_COPY]                = scry__vk_runs_kernels,
        [SCRY_OP_FILL]                = scry__vk_runs_kernels,
        [SCRY_OP_SUM]                 = scry__vk_runs_kernels,
        [SCRY_OP_ACTIVATION_BACKWARD] = scry__vk_runs_kernels,
        [SCRY_OP_NORM_BACKWARD]       = scry__vk_norm_kernels,
        [SCRY_OP_EMBED_BACKWARD]      = scry__vk_runs_kernels,
        [SCRY_OP_ATTENTION_BACKWARD]  = scry__vk_runs_kernels,
        [SCRY_OP_LOSS]                = scry__vk_runs_kernels,
        [SCRY_OP_ADAMW]               = scry__vk_runs_kernels,
        [SCRY_OP_SGD]                 = scry__vk_runs_kernels,
    };
    if (kind == SCRY_OP_MATMUL) return scry__vk_matmul_kernels(device->impl);
    return kind == SCRY_OP_SOFTMAX_CAPTURE ? scry__vk_softmax_kernels(device->impl) : names[kind];
}

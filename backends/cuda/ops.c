/* What a CUDA device says of an op, and the way from an op to its function. */
#include "cuda.h"

scry_status scry__cuda_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    scry__op_query(device, op, info);
    return SCRY_OK;
}

scry_status scry__cuda_run(scry_device *device, const scry_op *op)
{
    struct scry__cuda *cuda   = device->impl;
    scry_status        status = scry__cuda_enter(cuda);
    cuda->failed              = SCRY_OK;
    cuda->given++;
    if (!status) status = scry__op_run(device, op);
    return status ? status : cuda->failed;
}

const char *const *scry__cuda_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const *const names[SCRY_OP_COUNT] = {
        [SCRY_OP_ATTENTION] = scry__cuda_attention_kernels,
        [SCRY_OP_NORM]      = scry__cuda_norm_kernels,
        [SCRY_OP_LENS]      = scry__cuda_lens_kernels,
    };
    return kind == SCRY_OP_MATMUL ? scry__cuda_matmul_kernels(device->impl) : names[kind];
}

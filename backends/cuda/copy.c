/* copy and fill. */
#include "kernels_cuda/copy.h"
#include "kernels_cuda/fill.h"
#include "runs.h"

#include <math.h>

SCRY__CUDA_PLAIN_QUERY(copy, scry_copy)

scry_status scry__cuda_copy(struct scry__cuda *cuda, const scry_copy *op, scry_precision allowed)
{
    (void)allowed;
    size_t size = scry__element_bytes(op->x.dtype);
    bool   same = op->x.dtype == op->out.dtype;
    if (same && scry__is_contiguous(&op->x) && scry__is_contiguous(&op->out)) {
        void       *to   = scry__cuda_address(cuda, &op->out);
        const void *from = scry__cuda_address(cuda, &op->x);
        if (cuda->failed) return cuda->failed;
        cudaError_t code =
            cudaMemcpyAsync(to, from, scry__extent_bytes(&op->x), cudaMemcpyDeviceToDevice, cuda->stream);
        return scry__cuda_check(cuda, code, "cudaMemcpyAsync");
    }
    struct scry__walk walk = {.count = 2, .operand = {op->x, op->out}};
    scry__walk_prepare(&walk);
    struct cuda_copy copy = {
        .x   = scry__cuda_view(cuda, &walk.operand[0]),
        .out = scry__cuda_view(cuda, &walk.operand[1]),
        .all = scry__cuda_runs(walk.shape),
    };
    struct scry__cuda_call call = !same       ? (struct scry__cuda_call){SCRY__CUDA_CALL(convert)}
                                  : size == 2 ? (struct scry__cuda_call){SCRY__CUDA_CALL(copy_2)}
                                              : (struct scry__cuda_call){SCRY__CUDA_CALL(copy_4)};
    return scry__cuda_runs_launch(cuda, call, &copy.all, &copy);
}

SCRY__CUDA_PLAIN_QUERY(fill, scry_fill)

scry_status scry__cuda_fill(struct scry__cuda *cuda, const scry_fill *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__walk walk  = {.count = 1, .operand = {op->out}};
    bool              whole = op->out.dtype == SCRY_I32;
    scry__walk_prepare(&walk);
    struct cuda_fill fill = {
        .out   = scry__cuda_view(cuda, &walk.operand[0]),
        .all   = scry__cuda_runs(walk.shape),
        .value = (float)op->value,
        .whole = whole ? (int32_t)fmin(fmax(rint(op->value), INT32_MIN), INT32_MAX) : 0,
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(fill)}, &fill.all, &fill);
}

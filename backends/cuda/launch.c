/* Launching kernels: views of tensors, and the launch, cut where one would be too much for the device. */
#include "cuda.h"

enum {
    UNASKED_SHARED  = 48 << 10,
    MOST_BLOCKS     = INT32_MAX, /* of a line */
    EMULATED_BLOCKS = 1000,      /* so that tests see launches that are cut */
};

/* What a multiprocessor of a watched device does in a quarter of a second, at a hundredth of what the slowest of them
 * could. */
#define OPERATIONS_AT_ONCE 5e8

struct cuda_view scry__cuda_view(struct scry__cuda *cuda, const scry_tensor *tensor)
{
    struct cuda_view view = {.data = scry__cuda_address(cuda, tensor), .dtype = (int32_t)tensor->dtype};
    for (int i = 0; i < tensor->rank; i++) view.stride[i] = tensor->stride[i];
    return view;
}

static int64_t blocks_at_once(const struct scry__cuda *cuda, const struct scry__cuda_call *call)
{
    double most_operations = OPERATIONS_AT_ONCE * cuda->limits.processors;
    if (cuda->limits.is_emulated) return EMULATED_BLOCKS;
    if (!cuda->limits.is_watched || call->operations <= most_operations) return MOST_BLOCKS;
    return most(1, least(MOST_BLOCKS, (int64_t)((double)call->blocks * (most_operations / call->operations))));
}

scry_status scry__cuda_launch(struct scry__cuda *cuda, const struct scry__cuda_call *call, const void *parameters)
{
    int64_t     at_once = blocks_at_once(cuda, call);
    scry_status status  = cuda->failed;
    if (!status && call->shared_bytes > UNASKED_SHARED)
        status = scry__cuda_check(
            cuda,
            cudaFuncSetAttribute(call->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)call->shared_bytes),
            call->name);
    for (int64_t first = 0, some; first < call->blocks && !status; first += some) {
        void *arguments[] = {(void *)parameters, &first};
        some              = least(call->blocks - first, at_once);
        cudaError_t code =
            cudaLaunchKernel(call->kernel, (dim3){(unsigned)some, 1, 1}, (dim3){(unsigned)call->threads, 1, 1},
                             arguments, call->shared_bytes, cuda->stream);
        status = scry__cuda_check(cuda, code, call->name);
        if (!status) cuda->statistics.dispatches++;
    }
    return status;
}

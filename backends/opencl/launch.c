/* Launching kernels: arguments as kernels_cl/common.cl lays them out, and the enqueue. */
#include "opencl.h"

#include <stdio.h>
#include <string.h>

/* `view` of common.cl. */
struct view {
    cl_long offset, stride[SCRY_MAX_RANK];
    cl_int  dtype, unused;
};

_Static_assert(sizeof(struct view) == 48, "as common.cl lays it out");

struct scry__cl_call scry__cl_call(struct scry__cl *cl, const char *file, const char *name, const char *options)
{
    struct scry__cl_call call = {.cl = cl};
    call.status               = scry__cl_kernel(&call.kernel, cl, file, name, options);
    return call;
}

static void argument(struct scry__cl_call *call, size_t bytes, const void *value)
{
    if (call->status) return;
    cl_int code  = clSetKernelArg(call->kernel, call->arguments++, bytes, value);
    call->status = scry__cl_check(call->cl, code, "clSetKernelArg");
}

void scry__cl_memory(struct scry__cl_call *call, cl_mem memory)
{
    argument(call, sizeof memory, &memory);
}

void scry__cl_view(struct scry__cl_call *call, const scry_tensor *tensor, size_t offset)
{
    struct view view = {.dtype = (cl_int)tensor->dtype};
    view.offset      = (cl_long)(offset / scry__element_bytes(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++) view.stride[i] = tensor->stride[i];
    argument(call, sizeof view, &view);
}

void scry__cl_tensor(struct scry__cl_call *call, const scry_tensor *tensor, unsigned access)
{
    struct scry__cl_place place = {0};
    if (present(tensor) && !call->status) call->status = scry__cl_stage(call, tensor, access, &place);
    scry__cl_memory(call, place.part);
    scry__cl_view(call, tensor, place.offset);
}

void scry__cl_scratch(struct scry__cl_call *call, size_t offset)
{
    scry_buffer          *scratch = call->cl->front->scratch;
    struct scry__cl_place place   = {0};
    if (scratch) place = scry__cl_place(scratch, offset);
    scry__cl_memory(call, place.part);
    scry__cl_long(call, (int64_t)place.offset / 4);
}

void scry__cl_long(struct scry__cl_call *call, int64_t value)
{
    argument(call, sizeof value, &value);
}

void scry__cl_int(struct scry__cl_call *call, int32_t value)
{
    argument(call, sizeof value, &value);
}

void scry__cl_float(struct scry__cl_call *call, float value)
{
    argument(call, sizeof value, &value);
}

void scry__cl_local(struct scry__cl_call *call, size_t bytes)
{
    argument(call, bytes, NULL);
}

void scry__cl_bytes(struct scry__cl_call *call, const void *value, size_t bytes)
{
    argument(call, bytes, value);
}

/* A driver on a CPU compiles a kernel anew for each group size that it is launched with, so of sizes that fit the range
 * only powers of two are taken. */
static const size_t *choose_group(const struct scry__cl *cl, const size_t *global, size_t group[3])
{
    enum { MOST = 64 };
    if (!cl->is_cpu) return NULL;
    group[0] = group[1] = group[2] = 1;
    while (group[0] < MOST && 2 * group[0] <= cl->most_items && global[0] % (2 * group[0]) == 0) group[0] *= 2;
    return group;
}

scry_status scry__cl_launch(struct scry__cl_call *call, int dimensions, const size_t *global, const size_t *local)
{
    size_t rounded[3], group[3];
    if (call->status) return call->status;
    if (!local) local = choose_group(call->cl, global, group);
    for (int i = 0; i < dimensions; i++) {
        if (!global[i]) return SCRY_OK;
        rounded[i] = local ? (global[i] + local[i] - 1) / local[i] * local[i] : global[i];
    }
    cl_int code =
        clEnqueueNDRangeKernel(call->cl->queue, call->kernel, (cl_uint)dimensions, NULL, rounded, local, 0, NULL, NULL);
    scry_status status = scry__cl_check(call->cl, code, "clEnqueueNDRangeKernel");
    if (!status) call->cl->statistics.dispatches++;
    return status || !call->staged_count ? status : scry__cl_unstage(call);
}

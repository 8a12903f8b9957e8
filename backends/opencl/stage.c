/* Staging: a tensor across two parts of its buffer is copied together before a kernel and, where the kernel wrote it,
 * apart again behind it.
 *
 * The front door cuts ops until each range lies in one part or takes at most SCRY_REACHABLE_BYTES. Parts are at least
 * that long, so a staged range crosses one boundary. */
#include "runs.h"

/* Copies the staged range to (or, `back`, from) slot `slot`. */
static scry_status move_range(struct scry__cl *cl, int slot, const scry_tensor *x, bool back)
{
    size_t      bytes  = scry__extent_bytes(x);
    scry_status status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__cl_place place = scry__cl_place(x->buffer, x->offset + done);
        some                        = bytes - done < place.left ? bytes - done : place.left;
        cl_mem from = back ? cl->staging[slot] : place.part, to = back ? place.part : cl->staging[slot];
        cl_int code = clEnqueueCopyBuffer(cl->queue, from, to, back ? done : place.offset, back ? place.offset : done,
                                          some, 0, NULL, NULL);
        status      = scry__cl_check(cl, code, "clEnqueueCopyBuffer");
    }
    return status;
}

scry_status scry__cl_stage(struct scry__cl_call *call, const scry_tensor *x, unsigned access,
                           struct scry__cl_place *place)
{
    size_t bytes = scry__extent_bytes(x);
    *place       = scry__cl_place(x->buffer, x->offset);
    if (bytes <= place->left) return SCRY_OK;
    if (bytes > SCRY_REACHABLE_BYTES)
        return scry__cl_host->fail(SCRY_UNSUPPORTED,
                                   "opencl: %zu bytes across the parts of a buffer: expected at most %d", bytes,
                                   (int)SCRY_REACHABLE_BYTES);
    int slot = 0;
    while (slot < call->staged_count && !scry__is_same_view(&call->staged[slot].tensor, x)) slot++;
    if (slot == SCRY__CL_STAGED)
        return scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: more than %d tensors across parts", (int)SCRY__CL_STAGED);
    *place = (struct scry__cl_place){.part = call->cl->staging[slot], .left = SCRY_REACHABLE_BYTES};
    if (access & SCRY__CL_WRITE) call->staged[slot].written = true;
    if (slot < call->staged_count) return SCRY_OK;
    call->staged[call->staged_count++].tensor = *x;
    /* What is written is read too: a kernel may leave elements out, and what lies between them is another's. */
    return move_range(call->cl, slot, x, false);
}

/* Element by element: another output of the same kernel may lie between them. */
static scry_status scatter(struct scry__cl *cl, int slot, const scry_tensor *x)
{
    size_t                size = scry__element_bytes(x->dtype);
    struct scry__cl_place low  = scry__cl_place(x->buffer, x->offset);
    struct scry__cl_place high = scry__cl_place(x->buffer, x->offset + low.left);
    struct scry__walk     walk = {.count = 1, .operand = {*x}};
    scry__walk_prepare(&walk);
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_COPY, "scatter", size == 2 ? "scatter_2" : "scatter_4");
    scry__cl_memory(&call, cl->staging[slot]);
    scry__cl_view(&call, &walk.operand[0], 0);
    scry__cl_memory(&call, low.part);
    scry__cl_memory(&call, high.part);
    scry__cl_long(&call, (int64_t)(low.offset / size));
    scry__cl_long(&call, (int64_t)(low.left / size));
    return scry__cl_runs_launch(&call, SCRY_OP_COPY, walk.shape);
}

scry_status scry__cl_unstage(struct scry__cl_call *call)
{
    scry_status status = SCRY_OK;
    for (int slot = 0; slot < call->staged_count && !status; slot++) {
        const scry_tensor *x = &call->staged[slot].tensor;
        if (!call->staged[slot].written) continue;
        status = scry__is_dense(x) ? move_range(call->cl, slot, x, true) : scatter(call->cl, slot, x);
    }
    call->staged_count = 0;
    return status;
}

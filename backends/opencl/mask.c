/* What softmax_capture and attention share on the host: masks as kernel parameters, and the row statistics. */
#include "opencl.h"

void scry__cl_mask(struct scry__cl_call *call, const scry_mask *mask)
{
    /* `mask` of kernels_cl/common.cl. */
    const struct {
        int64_t causal, window, prefix, query_offset;
    } masked = {mask->causal, mask->window, mask->prefix, mask->query_offset};
    scry__cl_bytes(call, &masked, sizeof masked);
    scry__cl_tensor(call, &mask->key_begin, SCRY__CL_READ);
    scry__cl_tensor(call, &mask->key_end, SCRY__CL_READ);
    scry__cl_tensor(call, &mask->additive, SCRY__CL_READ);
}

scry_status scry__cl_rows(struct scry__cl *cl, const scry_row_statistics *rows, const int64_t shape[3], size_t offset)
{
    const scry_tensor *const wanted[] = {&rows->lse,      &rows->entropy, &rows->max,   &rows->argmax,
                                         &rows->previous, &rows->self,    &rows->first, &rows->key_mass};
    struct scry__cl_call     call     = scry__cl_call(cl, "mask+rows", "rows", "");
    for (int axis = 0; axis < 3; axis++) scry__cl_long(&call, shape[axis]);
    scry__cl_scratch(&call, offset);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) scry__cl_tensor(&call, wanted[i], SCRY__CL_WRITE);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)(shape[0] * shape[1] * shape[2])}, NULL);
}

/* softmax_capture: an item for each row, with wide vectors ("block"), or a group of items ("group"). See
 * kernels_cl/softmax.cl. */
#include "runs.h"

#include <stdio.h>

enum { GROUP = 64 };

const char *const scry__cl_softmax_kernels[] = {"block", "group", NULL};

static int64_t row_count(const scry_softmax *op)
{
    return op->scores.shape[0] * op->scores.shape[1] * op->scores.shape[2];
}

void scry__cl_softmax_query(const struct scry__cl *cl, const scry_softmax *op, scry_precision allowed,
                            scry_op_info *info)
{
    (void)allowed;
    bool is_block       = scry__cl_is_block(cl, SCRY_OP_SOFTMAX_CAPTURE);
    info->scratch_bytes = (size_t)row_count(op) * SCRY__CL_RECORD * sizeof(float);
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__cl_softmax_kernels[!is_block]);
}

scry_status scry__cl_softmax(struct scry__cl *cl, const scry_softmax *op, scry_precision allowed)
{
    (void)allowed;
    bool   is_block = scry__cl_is_block(cl, SCRY_OP_SOFTMAX_CAPTURE);
    size_t local    = is_block                 ? 1
                      : cl->most_items < GROUP ? cl->most_items
                                               : GROUP,
           global   = (size_t)row_count(op) * local;
    char options[48];
    snprintf(options, sizeof options, "-DGROUP=%zu -DWIDTH=%d", local, is_block ? 16 : 1);
    struct scry__cl_call call = scry__cl_call(cl, "exponential+mask+softmax", "softmax", options);
    for (int axis = 1; axis < 4; axis++) scry__cl_long(&call, op->scores.shape[axis]);
    scry__cl_long(&call, op->rows.key);
    scry__cl_tensor(&call, &op->scores, SCRY__CL_READ);
    scry__cl_mask(&call, &op->mask);
    scry__cl_tensor(&call, &op->probabilities, SCRY__CL_WRITE);
    scry__cl_scratch(&call, 0);
    scry_status status = scry__cl_launch(&call, 1, &global, &local);
    if (!status && scry__rows_wanted(&op->rows)) status = scry__cl_rows(cl, &op->rows, op->scores.shape, 0);
    return status;
}

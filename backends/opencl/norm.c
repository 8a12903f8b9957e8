/* norm: an item for a few rows ("block"), or a group of items for each row ("group"). */
#include "norm.h"
#include "runs.h"

#include <stdio.h>

enum { GROUP = 64 };

const char *const scry__cl_norm_kernels[] = {"block", "group", NULL};

struct scry__cl_norm_of scry__cl_norm_of(const scry_norm_parameters *parameters, const scry_tensor *x)
{
    scry_tensor             wide = scry__widened(*x, 0);
    struct scry__cl_norm_of norm = {
        .kind          = (cl_int)parameters->kind,
        .epsilon       = parameters->epsilon,
        .weight_offset = parameters->weight_offset,
        .per_entry     = 1 / (cl_float)wide.shape[3],
    };
    for (int i = 0; i < SCRY_MAX_RANK; i++) norm.shape[i] = wide.shape[i];
    return norm;
}

void scry__cl_norm_query(const struct scry__cl *cl, const scry_norm *op, scry_precision allowed, scry_op_info *info)
{
    (void)op, (void)allowed;
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__cl_norm_kernels[!scry__cl_is_block(cl, SCRY_OP_NORM)]);
}

static scry_status launch(struct scry__cl_call *call, struct scry__cl_norm_of *norm)
{
    bool    is_block = scry__cl_is_block(call->cl, SCRY_OP_NORM);
    int64_t rows     = norm->shape[0] * norm->shape[1] * norm->shape[2];
    size_t  items    = 1;
    norm->each       = scry__cl_share(call->cl, SCRY_OP_NORM, rows, norm->shape[3]);
    while (!is_block && items < GROUP && 2 * items <= call->cl->most_items) items *= 2;
    scry__cl_bytes(call, norm, sizeof *norm);
    if (!is_block) scry__cl_local(call, items * sizeof(cl_float));
    size_t groups = (size_t)((rows + norm->each - 1) / norm->each);
    return scry__cl_launch(call, 1, &(size_t){groups * items}, &items);
}

scry_status scry__cl_norm(struct scry__cl *cl, const scry_norm *op, scry_precision allowed)
{
    (void)allowed;
    const scry_norm_parameters *parameters = &op->parameters;
    scry_tensor x = scry__widened(op->x, 0), out = scry__widened(op->out, 0), scale = scry__widened(op->scale, 1);
    bool        is_block         = scry__cl_is_block(cl, SCRY_OP_NORM);
    struct scry__cl_norm_of norm = scry__cl_norm_of(parameters, &op->x);
    struct scry__cl_call call = scry__cl_lanes_call(cl, SCRY_OP_NORM, "norm", is_block ? "norm_block" : "norm_group");
    scry__cl_tensor(&call, &x, SCRY__CL_READ);
    scry__cl_tensor(&call, &parameters->weight, SCRY__CL_READ);
    scry__cl_tensor(&call, &parameters->bias, SCRY__CL_READ);
    scry__cl_tensor(&call, &out, SCRY__CL_WRITE);
    scry__cl_tensor(&call, &scale, SCRY__CL_WRITE);
    return launch(&call, &norm);
}

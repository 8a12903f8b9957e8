/* norm: an item for each row ("block"), or a group of items ("group"). */
#include "norm.h"
#include "runs.h"

#include <stdio.h>

enum {
    WIDE      = 4096, /* entries from which a CPU, too, shares a row out */
    ABSENT    = 255,  /* as in norm_kinds.glsl */
    PER_ENTRY = 12,   /* operations */
    PER_ROW   = 500,
    TURNS     = 1, /* of an item's loops for each entry */
};

const char *const scry__vk_norm_kernels[] = {"block", "group", NULL};

bool scry__vk_norm_is_block(const struct scry__vk *vk, scry_op_kind kind, int64_t entries, int64_t turns)
{
    return scry__vk_is_block(vk, kind) && entries < (vk->front->kernel[kind] ? SCRY__VK_TURNS / turns : WIDE);
}

static bool is_block(const struct scry__vk *vk, const scry_norm *op)
{
    return scry__vk_norm_is_block(vk, SCRY_OP_NORM, op->x.shape[op->x.rank - 1], TURNS);
}

uint32_t scry__vk_norm_dtype(const scry_tensor *x)
{
    return present(x) ? (uint32_t)x->dtype : ABSENT;
}

void scry__vk_norm_query(const struct scry__vk *vk, const scry_norm *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__vk_norm_kernels[!is_block(vk, op)]);
}

scry_status scry__vk_norm(struct scry__vk *vk, const scry_norm *op, scry_precision allowed)
{
    (void)allowed;
    const scry_norm_parameters *parameters = &op->parameters;
    const bool                  block      = is_block(vk, op);
    scry_tensor x = scry__widened(op->x, 0), out = scry__widened(op->out, 0), scale = scry__widened(op->scale, 1);
    int64_t     rows = x.shape[0] * x.shape[1] * x.shape[2], entries = x.shape[3];
    struct scry__vk_call call =
        scry__vk_call(vk, block ? "norm_block" : "norm_group", block ? SCRY__VK_NORM_BLOCK : SCRY__VK_NORM_GROUP);
    scry__vk_constant(&call, 0); /* FOURS */
    scry__vk_constant(&call, (uint32_t)parameters->kind);
    scry__vk_constant(&call, scry__vk_norm_dtype(&parameters->weight));
    scry__vk_constant(&call, scry__vk_norm_dtype(&parameters->bias));
    scry__vk_tensor(&call, &x, SCRY__VK_READ);
    scry__vk_tensor(&call, &parameters->weight, SCRY__VK_READ);
    scry__vk_tensor(&call, &parameters->bias, SCRY__VK_READ);
    scry__vk_tensor(&call, &out, SCRY__VK_WRITE);
    call.constants[1] = entries % 4 == 0 && !call.uneven; /* before `scale`, which is no row */
    scry__vk_tensor(&call, &scale, SCRY__VK_WRITE);
    for (int i = 0; i < SCRY_MAX_RANK; i++) scry__vk_int(&call, x.shape[i]);
    scry__vk_float(&call, parameters->epsilon);
    scry__vk_float(&call, parameters->weight_offset);
    scry__vk_float(&call, 1 / (float)entries);
    return scry__vk_launch(&call, block ? units_of(rows, SCRY__VK_NORM_BLOCK) : rows,
                           (double)rows * ((double)entries * PER_ENTRY + PER_ROW));
}

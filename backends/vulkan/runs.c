/* Choice and launch of kernels that walk a shape in runs. See runs.h. */
#include "runs.h"

#include <stdio.h>
#include <string.h>

enum {
    RUN         = SCRY__VK_RUN, /* as in runs.glsl */
    BLOCK_ITEMS = 8,            /* of a group: the lanes of one vector */
    THIN_ITEMS  = 64,           /* of a group */
    BLOCK_RUNS  = 64,           /* that an item takes at most: enough to be worth its beginning */
    BUSY_GROUPS = 64,           /* so many keep every core busy, also where one is late */
};

/* "block": items that work through a stretch each, for devices of CPU type. "thin": an item for each run. */
const char *const scry__vk_runs_kernels[] = {"block", "thin", NULL};

bool scry__vk_is_block(const struct scry__vk *vk, scry_op_kind kind)
{
    const char *asked = vk->front->kernel[kind];
    return asked ? !strcmp(asked, "block") : vk->limits.is_cpu;
}

void scry__vk_runs_query(const struct scry__vk *vk, scry_op_kind kind, scry_op_info *info)
{
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__vk_runs_kernels[!scry__vk_is_block(vk, kind)]);
}

struct scry__vk_call scry__vk_items_call(struct scry__vk *vk, scry_op_kind kind, const char *name)
{
    bool                 is_block = scry__vk_is_block(vk, kind);
    uint32_t             items    = (uint32_t)least(is_block ? BLOCK_ITEMS : THIN_ITEMS, vk->limits.most_items);
    struct scry__vk_call call     = scry__vk_call(vk, name, items);
    scry__vk_constant(&call, 0); /* FOURS, which is known later */
    return call;
}

struct scry__vk_call scry__vk_runs_call(struct scry__vk *vk, scry_op_kind kind, const char *name)
{
    struct scry__vk_call call = scry__vk_items_call(vk, kind, name);
    scry__vk_constant(&call, 0); /* FLAT, which the launch knows */
    return call;
}

void scry__vk_in_fours(struct scry__vk_call *call, int64_t size)
{
    call->constants[1] = !call->uneven && size % RUN == 0;
}

scry_status scry__vk_items_launch(struct scry__vk_call *call, int64_t items, double operations)
{
    if (items > UINT32_MAX - call->constants[0]) items = (int64_t)UINT32_MAX + 1; /* which no parameter is */
    scry__vk_int(call, items);
    return scry__vk_launch(call, units_of(items, call->constants[0]), (double)items * operations);
}

/* Runs of an item: few enough that there are groups for every core. */
static int64_t share_of(const struct scry__vk_call *call, scry_op_kind kind, int64_t runs)
{
    if (!scry__vk_is_block(call->vk, kind)) return 1;
    return most(1, least(BLOCK_RUNS, runs / (call->constants[0] * BUSY_GROUPS)));
}

scry_status scry__vk_runs_launch(struct scry__vk_call *call, scry_op_kind kind, const int64_t shape[SCRY_MAX_RANK],
                                 bool in_fours, double operations)
{
    int64_t rows = shape[0] * shape[1] * shape[2], runs = rows * units_of(shape[3], RUN);
    int64_t each = share_of(call, kind, runs);
    for (int i = 0; i < SCRY_MAX_RANK; i++) scry__vk_int(call, shape[i]);
    scry__vk_int(call, each);
    scry__vk_int(call, runs);
    if (in_fours) scry__vk_in_fours(call, shape[3]);
    call->constants[2] = rows == 1;
    return scry__vk_launch(call, units_of(runs, each * call->constants[0]), (double)runs * RUN * operations);
}

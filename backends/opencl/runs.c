/* Choice and launch of kernels that walk a shape in runs. See runs.h. */
#include "runs.h"

#include <stdio.h>
#include <string.h>

enum {
    BLOCK_LANES   = 16,
    THIN_LANES    = 4,
    GROUP         = 64,   /* items of a group of thin ones */
    PER_UNIT      = 4,    /* items for each compute unit, so that a late one does not hold up the rest */
    WORTH_AN_ITEM = 4096, /* elements */
};

/* "block": few items that work through a stretch each, with vectors of 16, for devices of CPU type. "thin": an item for
 * each run of 4. */
const char *const scry__cl_runs_kernels[] = {"block", "thin", NULL};

/* `runs` of kernels_cl/common.cl. */
struct runs {
    cl_long shape[SCRY_MAX_RANK];
    cl_long each;
};

bool scry__cl_is_block(const struct scry__cl *cl, scry_op_kind kind)
{
    const char *asked = cl->front->kernel[kind];
    return asked ? !strcmp(asked, "block") : cl->is_cpu;
}

void scry__cl_runs_query(const struct scry__cl *cl, scry_op_kind kind, scry_op_info *info)
{
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__cl_runs_kernels[!scry__cl_is_block(cl, kind)]);
}

int scry__cl_lanes(const struct scry__cl *cl, scry_op_kind kind)
{
    return scry__cl_is_block(cl, kind) ? BLOCK_LANES : THIN_LANES;
}

struct scry__cl_call scry__cl_lanes_call(struct scry__cl *cl, scry_op_kind kind, const char *file, const char *name)
{
    char options[24];
    snprintf(options, sizeof options, "-DLANES=%d", scry__cl_lanes(cl, kind));
    return scry__cl_call(cl, file, name, options);
}

int64_t scry__cl_share(const struct scry__cl *cl, scry_op_kind kind, int64_t count, int64_t size)
{
    if (!scry__cl_is_block(cl, kind)) return 1;
    int64_t items = most(1, least((int64_t)cl->compute_units * PER_UNIT, count * size / WORTH_AN_ITEM));
    return most(1, (count + items - 1) / items);
}

scry_status scry__cl_runs_launch(struct scry__cl_call *call, scry_op_kind kind, const int64_t shape[SCRY_MAX_RANK])
{
    int         lanes = scry__cl_lanes(call->cl, kind);
    int64_t     count = shape[0] * shape[1] * shape[2] * ((shape[3] + lanes - 1) / lanes);
    struct runs runs  = {.each = scry__cl_share(call->cl, kind, count, lanes)};
    for (int i = 0; i < SCRY_MAX_RANK; i++) runs.shape[i] = shape[i];
    scry__cl_bytes(call, &runs, sizeof runs);
    size_t global = (size_t)((count + runs.each - 1) / runs.each);
    size_t local  = scry__cl_is_block(call->cl, kind) ? 1 : (size_t)least(GROUP, (int64_t)call->cl->most_items);
    return scry__cl_launch(call, 1, &global, &local);
}

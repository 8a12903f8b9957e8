/* softmax_capture: an item for each row ("block"), or a work group, which puts together what its items found through
 * shared memory ("group") or by the device's subgroups ("subgroup"). See shaders/softmax.glsl.
 *
 * "group-N" does as if subgroups had N lanes; "subgroup-N" demands N of the device, where it leaves the choice. */
#include "validation.h"

#include <stdio.h>
#include <string.h>

enum {
    GROUP    = 64,   /* items for a row; also the largest subgroup that "group" can stand in for */
    BLOCK    = 16,   /* rows for a work group of "block" */
    LANES    = 8,    /* of "group" */
    RUN      = 32,   /* keys that "block" holds at a time */
    SHORT    = 4,    /* the same where validation instruments every access, which is written out for each of them */
    MOST     = 4096, /* keys up to which "block" serves a CPU: longer rows are shared out */
    PER_KEY  = 60,   /* operations, both passes */
    SUBGROUP = 6,    /* where "subgroup" stands in the list */
};

/* Names of kernels, and the lanes of their subgroups; 0: any. */
static const struct form {
    const char *name, *kernel;
    uint32_t    lanes;
} forms[] = {
    {"block", "softmax_block", 0},           {"group", "softmax_group", LANES},
    {"group-4", "softmax_group", 4},         {"group-16", "softmax_group", 16},
    {"group-32", "softmax_group", 32},       {"group-64", "softmax_group", 64},
    {"subgroup", "softmax_subgroup", 0},     {"subgroup-4", "softmax_subgroup", 4},
    {"subgroup-8", "softmax_subgroup", 8},   {"subgroup-16", "softmax_subgroup", 16},
    {"subgroup-32", "softmax_subgroup", 32}, {"subgroup-64", "softmax_subgroup", 64},
};

enum { FORMS = sizeof forms / sizeof *forms };

_Static_assert((int)FORMS < (int)SCRY__VK_SOFTMAX_KERNELS, "and a NULL");

static bool is_offered(const struct scry__vk_limits *limits, const struct form *form)
{
    if (form < &forms[SUBGROUP]) return true;
    bool required =
        limits->subgroup_least && form->lanes >= limits->subgroup_least && form->lanes <= limits->subgroup_most;
    return limits->subgroup_arithmetic && (form->lanes == 0 || required);
}

const char *const *scry__vk_softmax_kernels(struct scry__vk *vk)
{
    int count = 0;
    for (int i = 0; i < FORMS; i++)
        if (is_offered(&vk->limits, &forms[i])) vk->softmax_kernels[count++] = forms[i].name;
    vk->softmax_kernels[count] = NULL;
    return vk->softmax_kernels;
}

/* By the number of keys only: a row has the same bits, however many others there are. */
static const struct form *form_of(const struct scry__vk *vk, const scry_softmax *op)
{
    const char *asked = vk->front->kernel[SCRY_OP_SOFTMAX_CAPTURE];
    for (int i = 0; asked && i < FORMS; i++)
        if (!strcmp(asked, forms[i].name)) return &forms[i];
    if (vk->limits.is_cpu && op->scores.shape[3] <= MOST) return &forms[0];
    return vk->path[SCRY__VK_SUBGROUPS].usable ? &forms[SUBGROUP] : &forms[1];
}

static int64_t row_count(const scry_softmax *op)
{
    return op->scores.shape[0] * op->scores.shape[1] * op->scores.shape[2];
}

void scry__vk_softmax_query(const struct scry__vk *vk, const scry_softmax *op, scry_precision allowed,
                            scry_op_info *info)
{
    (void)allowed;
    info->scratch_bytes = scry__vk_record_bytes(row_count(op));
    snprintf(info->kernel, sizeof info->kernel, "%s", form_of(vk, op)->name);
    scry__vk_check_rows(vk, info, op->scores.shape[2], op->scores.shape[3]);
    scry__vk_check_turns(vk, info,
                         form_of(vk, op) == &forms[0] ? 2 * op->scores.shape[3]
                                                      : 3 * units_of(op->scores.shape[3], GROUP) + 100);
}

scry_status scry__vk_softmax(struct scry__vk *vk, const scry_softmax *op, scry_precision allowed)
{
    (void)allowed;
    const struct form   *form  = form_of(vk, op);
    const int64_t       *shape = op->scores.shape, rows = row_count(op);
    const bool           block = form == &forms[0];
    struct scry__vk_call call  = scry__vk_call(vk, form->kernel, block ? BLOCK : GROUP);
    if (block) scry__vk_constant(&call, scry__vk_is_instrumented(vk) ? SHORT : RUN);
    if (form < &forms[SUBGROUP] && !block) scry__vk_constant(&call, form->lanes);
    if (form >= &forms[SUBGROUP]) call.subgroup_size = form->lanes;
    scry__vk_int(&call, rows);
    for (int axis = 1; axis < SCRY_MAX_RANK; axis++) scry__vk_int(&call, shape[axis]);
    scry__vk_int(&call, scry__vk_key(&op->rows, shape[3]));
    scry__vk_tensor(&call, &op->scores, SCRY__VK_READ);
    scry__vk_mask(&call, &op->mask, shape[2], shape[3], 0);
    scry__vk_tensor(&call, &op->probabilities, SCRY__VK_WRITE);
    scry__vk_scratch(&call, 0, scry__vk_record_bytes(rows), SCRY__VK_WRITE);
    const double operations = (double)rows * ((double)shape[3] * PER_KEY + 100);
    scry_status  status     = scry__vk_launch(&call, block ? units_of(rows, BLOCK) : rows, operations);
    if (!status && scry__rows_wanted(&op->rows)) status = scry__vk_rows(vk, &op->rows, shape);
    return status;
}

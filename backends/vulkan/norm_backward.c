/* norm_backward: rows, then the sums over blocks of them. shaders/norm_backward.glsl and norm_backward_sums.comp say
 * how. */
#include "norm.h"
#include "runs.h"
#include "sum.h"

#include <stdio.h>

enum {
    PER_ENTRY = 30, /* operations */
    PER_ROW   = 500,
    TURNS     = 10, /* of an item's loops for each entry, from above */
};

/* An op as its kernels take it. */
struct job {
    struct scry__vk          *vk;
    const scry_norm_backward *op;
    scry_tensor               x, d_out, d_x;
    int64_t                   rows, entries;
    struct scry__vk_blocks    blocks;
    size_t                    weights, biases, end; /* places in scratch, behind each row's mean and scale */
};

static struct job job_of(const struct scry__vk *vk, const scry_norm_backward *op)
{
    struct job job = {.vk    = (struct scry__vk *)vk,
                      .op    = op,
                      .x     = scry__widened(op->x, 0),
                      .d_out = scry__widened(op->d_out, 0),
                      .d_x   = scry__widened(op->d_x, 0)};
    job.rows       = job.x.shape[0] * job.x.shape[1] * job.x.shape[2];
    job.entries    = job.x.shape[3];
    job.blocks     = scry__vk_blocks(job.rows);
    size_t sums    = (size_t)round_up(job.blocks.count * job.entries * (int64_t)sizeof(float), SCRY__VK_UNIT);
    job.weights    = (size_t)round_up(2 * job.rows * (int64_t)sizeof(float), SCRY__VK_UNIT);
    job.biases     = job.weights + sums;
    job.end        = job.biases + sums;
    return job;
}

static bool is_block(const struct job *job)
{
    return scry__vk_norm_is_block(job->vk, SCRY_OP_NORM_BACKWARD, job->entries, TURNS);
}

void scry__vk_norm_backward_query(const struct scry__vk *vk, const scry_norm_backward *op, scry_precision allowed,
                                  scry_op_info *info)
{
    (void)allowed;
    struct job job = job_of(vk, op);
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__vk_norm_kernels[!is_block(&job)]);
    info->scratch_bytes = job.end;
    scry__vk_check_scratch(vk, info);
    scry__vk_check_turns(vk, info, job.blocks.count);
}

static void pass_shape(struct scry__vk_call *call, const struct job *job)
{
    for (int i = 0; i < SCRY_MAX_RANK; i++) scry__vk_int(call, job->x.shape[i]);
}

static scry_status run_rows(const struct job *job)
{
    const scry_norm_backward   *op         = job->op;
    const scry_norm_parameters *parameters = &op->parameters;
    const bool                  block      = is_block(job);
    const uint32_t              items      = block ? SCRY__VK_NORM_BLOCK : SCRY__VK_NORM_GROUP;
    struct scry__vk_call call = scry__vk_call(job->vk, block ? "norm_backward_block" : "norm_backward_group", items);
    scry__vk_constant(&call, 0); /* FOURS */
    scry__vk_constant(&call, (uint32_t)parameters->kind);
    scry__vk_constant(&call, scry__vk_norm_dtype(&parameters->weight));
    scry__vk_constant(&call, present(&op->d_x));
    scry__vk_constant(&call, op->accumulate);
    scry__vk_tensor(&call, &job->x, SCRY__VK_READ);
    scry__vk_tensor(&call, &job->d_out, SCRY__VK_READ);
    scry__vk_tensor(&call, &parameters->weight, SCRY__VK_READ);
    scry__vk_tensor(&call, &job->d_x, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_in_fours(&call, job->entries);
    scry__vk_scratch(&call, 0, job->weights, SCRY__VK_WRITE);
    pass_shape(&call, job);
    scry__vk_float(&call, parameters->epsilon);
    scry__vk_float(&call, parameters->weight_offset);
    scry__vk_float(&call, 1 / (float)job->entries);
    scry__vk_int(&call, job->rows);
    return scry__vk_launch(&call, block ? units_of(job->rows, items) : job->rows,
                           (double)job->rows * ((double)job->entries * PER_ENTRY + PER_ROW));
}

static scry_status run_sums(const struct job *job)
{
    const scry_norm_backward *op    = job->op;
    int64_t                   items = units_of(job->entries, SCRY__VK_RUN) * job->blocks.count;
    struct scry__vk_call      call  = scry__vk_items_call(job->vk, SCRY_OP_NORM_BACKWARD, "norm_backward_sums");
    scry__vk_tensor(&call, &job->x, SCRY__VK_READ);
    scry__vk_tensor(&call, &job->d_out, SCRY__VK_READ);
    scry__vk_in_fours(&call, job->entries);
    scry__vk_scratch(&call, 0, job->weights, SCRY__VK_READ);
    scry__vk_scratch(&call, job->weights, job->biases - job->weights, SCRY__VK_WRITE);
    scry__vk_scratch(&call, job->biases, job->end - job->biases, SCRY__VK_WRITE);
    pass_shape(&call, job);
    scry__vk_int(&call, job->blocks.each);
    scry_status status = scry__vk_items_launch(&call, items, (double)job->blocks.each * 24);
    if (!status)
        status = scry__vk_merge_sums(job->vk, SCRY_OP_NORM_BACKWARD, job->weights, job->blocks.count, &op->d_weight,
                                     op->accumulate);
    if (!status)
        status = scry__vk_merge_sums(job->vk, SCRY_OP_NORM_BACKWARD, job->biases, job->blocks.count, &op->d_bias,
                                     op->accumulate);
    return status;
}

scry_status scry__vk_norm_backward(struct scry__vk *vk, const scry_norm_backward *op, scry_precision allowed)
{
    (void)allowed;
    struct job  job    = job_of(vk, op);
    scry_status status = run_rows(&job);
    if (!status && (present(&op->d_weight) || present(&op->d_bias))) status = run_sums(&job);
    return status;
}

/* norm: LayerNorm and RMSNorm over the last axis. Means are summed in stretches, whose totals are f64. */
#include "norm.h"

#include <math.h>
#include <string.h>

struct norm_job {
    const scry_norm      *op;
    struct scry__cpu_norm norm;
    float                *scratch; /* 2 * size floats for each part */
};

struct scry__cpu_norm scry__cpu_norm_of(const struct scry__cpu *cpu, const scry_norm_parameters *parameters,
                                        int64_t size, float *space)
{
    struct scry__cpu_norm norm   = {.cpu = cpu, .parameters = parameters, .size = size};
    const scry_tensor    *weight = &parameters->weight, *bias = &parameters->bias;
    if (parameters->kind == SCRY_NORM_NONE) return norm;
    if (present(weight)) norm.weight = scry__cpu_gather(cpu, weight, 0, weight->stride[0], size, space);
    if (present(bias)) norm.bias = scry__cpu_gather(cpu, bias, 0, bias->stride[0], size, space + size);
    return norm;
}

double scry__cpu_norm_denominator(const struct scry__cpu_norm *norm, const float *x, float *centre)
{
    const struct scry__cpu_kernels *kernels = norm->cpu->kernels;
    double                          count   = (double)norm->size;
    *centre                                 = 0;
    if (norm->parameters->kind == SCRY_NORM_NONE) return 1;
    bool   layer = norm->parameters->kind == SCRY_NORM_LAYER;
    double mean  = layer ? kernels->moment(x, norm->size, 0, 1) / count : 0;
    *centre      = (float)mean;
    /* Squares about a centre that is the mean but for rounding: no cancellation between large numbers. */
    double off    = mean - (double)*centre;
    double square = kernels->moment(x, norm->size, *centre, 2) / count - off * off;
    return sqrt(square + (double)norm->parameters->epsilon);
}

float scry__cpu_norm_row(const struct scry__cpu_norm *norm, const float *x, float *out)
{
    float  centre;
    double denominator = scry__cpu_norm_denominator(norm, x, &centre);
    if (norm->parameters->kind != SCRY_NORM_NONE)
        norm->cpu->kernels->normalise(out, x, norm->size, centre, (float)(1 / denominator), norm->weight,
                                      norm->parameters->weight_offset, norm->bias);
    else if (out != x)
        memcpy(out, x, (size_t)norm->size * sizeof *x);
    return (float)denominator;
}

static void norm_part(const void *job_of, int part, int parts)
{
    const struct norm_job *job  = job_of;
    const scry_norm       *op   = job->op;
    int                    axes = op->x.rank - 1;
    int64_t                size = job->norm.size, begin, end;
    float                 *in = job->scratch + 2 * size * part, *made = in + size;
    scry__cpu_share(scry__cpu_row_count(&op->x, axes), 1, part, parts, &begin, &end);
    for (; begin < end; begin++) {
        int64_t      from = scry__cpu_row_index(&op->x, axes, begin), to = scry__cpu_row_index(&op->out, axes, begin);
        const float *x           = scry__cpu_gather(job->norm.cpu, &op->x, from, op->x.stride[axes], size, in);
        float       *out         = scry__cpu_place(&op->out, to, op->out.stride[axes], made);
        float        denominator = scry__cpu_norm_row(&job->norm, x, out);
        scry__cpu_scatter(job->norm.cpu, &op->out, to, op->out.stride[axes], size, out);
        if (present(&op->scale))
            *(float *)element(&op->scale, scry__cpu_row_index(&op->scale, op->scale.rank, begin)) = denominator;
    }
}

size_t scry__cpu_norm_scratch(const struct scry__cpu *cpu, const scry_norm *op)
{
    return (size_t)(2 * op->x.shape[op->x.rank - 1] * (cpu->threads + 1)) * sizeof(float);
}

void scry__cpu_norm(const struct scry__cpu *cpu, const scry_norm *op, void *scratch)
{
    int64_t         size = op->x.shape[op->x.rank - 1];
    struct norm_job job  = {.op = op, .scratch = (float *)scratch + 2 * size};
    job.norm             = scry__cpu_norm_of(cpu, &op->parameters, size, scratch);
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, (double)scry__cpu_row_count(&op->x, op->x.rank)),
                       norm_part, &job);
}

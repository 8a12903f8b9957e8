/* What it takes to hand one op to a device: a small one of each kind, among many and alone. See bench_measure.h. */
#include "cli/bench_measure.h"

#include "cases/cases.h"

#include <stdio.h>

/* Rows with hardly any work; what they take is launching and waiting. */
static const char *const rows[SCRY_OP_COUNT] = {
    [SCRY_OP_MATMUL]              = "matmul/1x1x1",
    [SCRY_OP_SOFTMAX_CAPTURE]     = "softmax/one",
    [SCRY_OP_ATTENTION]           = "attention/one-bare",
    [SCRY_OP_ROPE]                = "rope/one",
    [SCRY_OP_NORM]                = "norm/layer-one-entry",
    [SCRY_OP_LENS]                = "lens/one",
    [SCRY_OP_EMBED]               = "embed/one",
    [SCRY_OP_ADD]                 = "add/one",
    [SCRY_OP_SCALE]               = "scale/zero",
    [SCRY_OP_ACTIVATION]          = "activation/one",
    [SCRY_OP_COPY]                = "copy/one",
    [SCRY_OP_FILL]                = "fill/infinity",
    [SCRY_OP_SUM]                 = "sum/one",
    [SCRY_OP_ACTIVATION_BACKWARD] = "activation_backward/one",
    [SCRY_OP_NORM_BACKWARD]       = "norm_backward/layer-one-entry",
    [SCRY_OP_EMBED_BACKWARD]      = "embed_backward/one",
    [SCRY_OP_ATTENTION_BACKWARD]  = "attention_backward/one",
    [SCRY_OP_LOSS]                = "loss/one",
    [SCRY_OP_ADAMW]               = "adamw/one",
    [SCRY_OP_SGD]                 = "sgd/one",
};

/* Of the effort for a row. */
static const double share_of_effort = 0.25;

enum { ALONE_SAMPLES = 51, COUNTED_RUNS = 16 };

/* The median of single runs, each with its wait; of waits alone where there is no op. */
static scry_status time_alone(scry_device *device, const scry_op *op, double *median)
{
    double      samples[ALONE_SAMPLES];
    scry_status status = SCRY_OK;
    for (int i = 0; !status && i < ALONE_SAMPLES; i++) {
        double start = bench_now();
        if (op) status = scry_device_run(device, op);
        if (!status) status = scry_device_finish(device);
        samples[i] = bench_now() - start;
    }
    if (!status) *median = scry__bench_times_of(samples, ALONE_SAMPLES, 1).median;
    return status;
}

static scry_status count_dispatches(scry_device *device, const scry_op *op, double *dispatches)
{
    scry_device_statistics before, after;
    scry_status            status = SCRY_OK;
    scry_device_get_statistics(device, &before);
    for (int i = 0; !status && i < COUNTED_RUNS; i++) status = scry_device_run(device, op);
    if (!status) status = scry_device_finish(device);
    scry_device_get_statistics(device, &after);
    *dispatches = (double)(after.dispatches - before.dispatches) / COUNTED_RUNS;
    return status;
}

/* *supported is false where the device cannot run the op: then there is nothing to say. */
static scry_status measure_op(scry__bench_overhead *overhead, scry_device *device, scry_op_kind kind,
                              const struct bench_effort *effort, bool *supported)
{
    scry__case_load *load = NULL;
    scry_op_info     info;
    scry_status      status = scry__case_load_create(&load, scry__case_find(rows[kind]), device);
    if (!status) status = scry_device_query(device, scry__case_load_op(load), &info);
    *supported = !status && info.support != SCRY_NOT_SUPPORTED;
    if (*supported) {
        struct bench_contender contender = {.device = device, .op = scry__case_load_op(load)};
        snprintf(overhead->op, sizeof overhead->op, "%s", scry_op_text(kind));
        snprintf(overhead->row, sizeof overhead->row, "%s", rows[kind]);
        status           = bench_race(&contender, 1, effort);
        overhead->queued = contender.times.median;
        if (!status) status = time_alone(device, contender.op, &overhead->alone);
        if (!status) status = count_dispatches(device, contender.op, &overhead->dispatches);
    }
    scry__case_load_destroy(&load);
    return status;
}

scry_status bench_measure_overhead(const struct bench_target *target, const struct bench_effort *effort)
{
    scry__bench_device       *record = target->record;
    const struct bench_effort part   = {.seconds = effort->seconds * share_of_effort, .repeats = effort->repeats};
    scry_status               status = time_alone(target->device, NULL, &record->wait_seconds);
    for (int kind = 0; !status && kind < SCRY_OP_COUNT; kind++) {
        bool                  supported = false;
        scry__bench_overhead *overhead  = &record->overheads[record->overhead_count];
        status                          = measure_op(overhead, target->device, (scry_op_kind)kind, &part, &supported);
        record->overhead_count += supported;
    }
    return status;
}

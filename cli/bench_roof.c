/* The roofline of a device, measured on it: the fastest matmul of any of its kernels, and copies of several sizes. See
 * bench_measure.h. */
#include "cli/bench_measure.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* Cubes of these sizes, and copies that move these MiB: larger ones are left out where one run would take longer than
 * the samples of a row. */
static const int64_t matmul_sizes[]   = {256, 512, 1024, 2048};
static const int64_t copy_mebibytes[] = {1, 4, 16, 64, 256};

/* Of the effort for a row; there are several points, and the best of them counts. */
static const double share_of_effort = 0.2;

/* A buffer of so many f32, all 0.5: a number that no kernel treats as special. */
static scry_status create_filled(scry_buffer **out, scry_device *device, int64_t count)
{
    enum { CHUNK = 4096 };
    float       values[CHUNK];
    scry_status status = scry_buffer_create(out, device, (size_t)count * sizeof *values);
    for (int i = 0; i < CHUNK; i++) values[i] = 0.5f;
    for (int64_t at = 0; !status && at < count; at += CHUNK) {
        size_t part = (size_t)(count - at < CHUNK ? count - at : CHUNK);
        status      = scry_buffer_write(*out, (size_t)at * sizeof *values, values, part * sizeof *values);
    }
    return status;
}

/* Times one op; 0 where the device cannot run it. */
static scry_status time_op(scry_device *device, const scry_op *op, const struct bench_effort *effort,
                           scry_op_info *info, double *median)
{
    struct bench_effort    part      = {.seconds = effort->seconds * share_of_effort};
    struct bench_contender contender = {.device = device, .op = op};
    *median                          = 0;
    scry_status status               = scry_device_query(device, op, info);
    if (status || info->support == SCRY_NOT_SUPPORTED) return status;
    status  = bench_race(&contender, 1, &part);
    *median = contender.times.median;
    return status;
}

/* One cube on an open kernel; *median as in time_op. */
static scry_status time_matmul(scry_device *device, int64_t size, const struct bench_effort *effort, scry_op_info *info,
                               double *median)
{
    scry_buffer *buffers[3] = {0};
    scry_op      op         = {.kind = SCRY_OP_MATMUL, .matmul.alpha = 1};
    scry_tensor *operands[] = {&op.matmul.a, &op.matmul.b, &op.matmul.c};
    scry_status  status     = SCRY_OK;
    for (int i = 0; !status && i < 3; i++) {
        status       = create_filled(&buffers[i], device, size * size);
        *operands[i] = scry_tensor_of(buffers[i], 0, SCRY_F32, 2, (int64_t[]){size, size});
    }
    if (!status) status = time_op(device, &op, effort, info, median);
    for (int i = 0; i < 3; i++) scry_buffer_destroy(&buffers[i]);
    return status;
}

/* What does not fit, or the device cannot do, is no point of the roofline and no failure. */
static scry_status left_out(scry_status status)
{
    return status == SCRY_OUT_OF_MEMORY || status == SCRY_UNSUPPORTED ? SCRY_OK : status;
}

/* The sizes in turn on one kernel, on a handle that has only that. */
static scry_status measure_kernel(const struct bench_target *target, const char *kernel,
                                  const struct bench_effort *effort)
{
    char                kernels[64];
    scry_device        *device = NULL;
    scry__bench_device *record = target->record;
    snprintf(kernels, sizeof kernels, "matmul=%s", kernel ? kernel : "");
    scry_status status = scry_device_open(
        &device, &(scry_device_options){.name = record->info.name, .kernels = kernel ? kernels : NULL});
    double before = 0;
    for (size_t i = 0; !status && i < sizeof matmul_sizes / sizeof *matmul_sizes && before * 8 < effort->seconds; i++) {
        scry_op_info info;
        int64_t      size = matmul_sizes[i];
        status            = time_matmul(device, size, effort, &info, &before);
        if (status || !(before > 0)) break;
        if (info.flops / before <= record->peak) continue;
        record->peak = info.flops / before;
        snprintf(record->peak_by, sizeof record->peak_by, "%lld x %lld x %lld%s%.40s", (long long)size, (long long)size,
                 (long long)size, *info.kernel ? " by " : "", info.kernel);
    }
    scry_device_destroy(&device);
    bench_pause();
    return left_out(status);
}

static scry_status measure_copy(const struct bench_target *target, int64_t bytes, const struct bench_effort *effort,
                                double *median)
{
    scry_buffer *from = NULL, *to = NULL;
    int64_t      count  = bytes / 2 / (int64_t)sizeof(float);
    scry_status  status = create_filled(&from, target->device, count);
    scry_op_info info;
    double       scaled = 0;
    *median             = 0;
    if (!status) status = create_filled(&to, target->device, count);
    if (!status) {
        scry_tensor x     = scry_tensor_of(from, 0, SCRY_F32, 1, &count);
        scry_tensor out   = scry_tensor_of(to, 0, SCRY_F32, 1, &count);
        scry_op     copy  = {.kind = SCRY_OP_COPY, .copy = {.x = x, .out = out}};
        scry_op     scale = {.kind = SCRY_OP_SCALE, .scale = {.x = x, .out = out, .factor = 0.5f}};
        status            = time_op(target->device, &copy, effort, &info, median);
        if (!status) status = time_op(target->device, &scale, effort, &info, &scaled);
    }
    if (scaled > 0 && (scaled < *median || !(*median > 0))) *median = scaled;
    scry_buffer_destroy(&from);
    scry_buffer_destroy(&to);
    return status;
}

scry_status bench_measure_roof(const struct bench_target *target, const struct bench_effort *effort)
{
    scry__bench_device *record  = target->record;
    const char *const  *kernels = scry_device_kernels(target->device, SCRY_OP_MATMUL);
    scry_status         status  = *kernels ? SCRY_OK : measure_kernel(target, NULL, effort);
    uint64_t            most    = target->record->info.max_buffer_bytes;
    double              median  = 0;
    for (; !status && *kernels; kernels++) status = measure_kernel(target, *kernels, effort);
    for (size_t i = 0; !status && i < sizeof copy_mebibytes / sizeof *copy_mebibytes && median * 4 < effort->seconds;
         i++) {
        int64_t bytes = copy_mebibytes[i] << 20;
        if (most && (uint64_t)bytes / 2 > most) break;
        status = measure_copy(target, bytes, effort, &median);
        if (status || !(median > 0)) break;
        record->copies[record->copy_count++] =
            (scry__bench_copy){.bytes = (double)bytes, .rate = (double)bytes / median};
    }
    return left_out(status);
}

/* One row of the case table on a device: conformance, cold start, samples, and the library beside it. See
 * bench_measure.h. */
#include "cli/bench_measure.h"

#include "base/error.h"
#include "cases/cases.h"

#include <stdio.h>
#include <string.h>

const char bench_library[] = "library";

/* "KERNELS,matmul=library": the last of two rules for an op counts. */
static scry_status open_library(struct bench_target *target)
{
    char               kernels[256];
    const char *const *names = scry_device_kernels(target->device, SCRY_OP_MATMUL);
    while (*names && strcmp(*names, bench_library)) names++;
    if (!*names || (target->kernels && strstr(target->kernels, "matmul=library"))) return SCRY_OK;
    snprintf(kernels, sizeof kernels, "%s%smatmul=%s", target->kernels ? target->kernels : "",
             target->kernels ? "," : "", bench_library);
    return scry_device_open(&target->library,
                            &(scry_device_options){.name = target->record->info.name, .kernels = kernels});
}

scry_status bench_target_open(struct bench_target *target, const char *name, const char *kernels,
                              scry__bench_device *record)
{
    *target            = (struct bench_target){.kernels = kernels, .record = record};
    double      start  = bench_now();
    scry_status status = scry_device_open(&target->device, &(scry_device_options){.name = name, .kernels = kernels});
    if (status) return status;
    record->open_seconds = bench_now() - start;
    record->info         = *scry_device_get_info(target->device);
    scry_device_tuning tuning;
    scry_device_get_tuning(target->device, &tuning);
    record->tuned = tuning.choices;
    snprintf(record->kernels, sizeof record->kernels, "%s", kernels ? kernels : "");
    return open_library(target);
}

void bench_target_close(struct bench_target *target)
{
    scry_device_destroy(&target->library);
    scry_device_destroy(&target->device);
}

/* The first run of a row on a device that was opened for it; what building programs took is apart. */
static scry_status run_cold(scry__bench_row *row, scry_device *device, const scry_op *op)
{
    scry_device_statistics before, after;
    scry_device_get_statistics(device, &before);
    double      start  = bench_now();
    scry_status status = scry_device_run(device, op);
    if (!status) status = scry_device_finish(device);
    double seconds = bench_now() - start;
    scry_device_get_statistics(device, &after);
    row->build_seconds   = after.build_seconds - before.build_seconds;
    row->programs_built  = (int64_t)(after.programs_built - before.programs_built);
    row->programs_loaded = (int64_t)(after.programs_loaded - before.programs_loaded);
    row->cold_seconds    = seconds > row->build_seconds ? seconds - row->build_seconds : 0;
    return status;
}

/* Asks what will run. False where the device cannot: the row says so. */
static bool describe(scry__bench_row *row, scry_device *device, const scry_op *op, scry_status *status)
{
    scry_op_info info;
    *status = scry_device_query(device, op, &info);
    if (*status) return false;
    row->flops = info.flops;
    row->bytes = info.bytes_moved;
    snprintf(row->kernel, sizeof row->kernel, "%s", info.kernel);
    if (info.support != SCRY_NOT_SUPPORTED) return true;
    row->outcome = SCRY__BENCH_UNSUPPORTED;
    snprintf(row->detail, sizeof row->detail, "%s", info.reason);
    return false;
}

/* Whether the row may be measured: its own conformance, on the handle that will be timed. */
static bool conforms(scry__bench_row *row, int index, scry_device *reference, scry_device *device, scry_status *status)
{
    scry__case_result result;
    double            start = bench_now();
    *status                 = scry__case_run(&result, index, 0, reference, device);
    if (*status) return false;
    scry__log(SCRY_LOG_INFO, "%s: its conformance took %.1f s", row->name, bench_now() - start);
    row->worst = result.worst;
    if (result.passed) return true;
    row->outcome = result.status ? SCRY__BENCH_FAILED : SCRY__BENCH_REFUSED;
    snprintf(row->detail, sizeof row->detail, "%s", result.detail);
    return false;
}

/* The library's op on the same data; NULL where there is none, or it cannot run the row. */
static scry_status load_library(scry__case_load **load, scry__bench_row *row, int index,
                                const struct bench_target *target)
{
    scry_op_info info;
    if (!target->library || scry__case_at(index).kind != SCRY_OP_MATMUL) return SCRY_OK;
    scry_status status = scry__case_load_create(load, index, target->library);
    if (!status) status = scry_device_query(target->library, scry__case_load_op(*load), &info);
    if (status) return status;
    if (info.support == SCRY_NOT_SUPPORTED)
        scry__case_load_destroy(load);
    else
        snprintf(row->library, sizeof row->library, "%s", info.kernel);
    return SCRY_OK;
}

/* Where the device is the processor: 1 if none of it idled. */
static double share_of_processors(const struct bench_target *target, const struct bench_contender *contender)
{
    scry_device_type type = target->record->info.type;
    if (type != SCRY_DEVICE_CPU && type != SCRY_DEVICE_SOFTWARE_GPU && type != SCRY_DEVICE_REFERENCE) return 0;
    double offered = contender->wall_seconds * (double)target->processors;
    return offered > 0 ? contender->processor_seconds / offered : 0;
}

static scry_status race(scry__bench_row *row, scry_device *device, const scry__case_load *ours,
                        const struct bench_target *target, const scry__case_load *library,
                        const struct bench_effort *effort)
{
    struct bench_contender contenders[2] = {{.device = device, .op = scry__case_load_op(ours)},
                                            {.device = target->library}};
    if (library) contenders[1].op = scry__case_load_op(library);
    struct bench_effort with_library = *effort;
    with_library.pauses              = library != NULL;
    scry_status status               = bench_race(contenders, library ? 2 : 1, &with_library);
    if (status) return status;
    row->times           = contenders[0].times;
    row->processor_share = share_of_processors(target, &contenders[0]);
    row->roof_share      = scry__bench_roof_seconds(target->record, row->flops, row->bytes) / row->times.median;
    if (!library) return SCRY_OK;
    row->library_times = contenders[1].times;
    row->ratio         = contenders[1].ratio.median;
    row->ratio_low     = contenders[1].ratio.low;
    row->ratio_high    = contenders[1].ratio.high;
    return SCRY_OK;
}

void bench_measure_row(scry__bench_row *row, int index, const struct bench_target *target, scry_device *reference,
                       const struct bench_effort *effort)
{
    const scry__case at     = scry__case_at(index);
    scry_device     *device = NULL;
    scry__case_load *ours = NULL, *library = NULL;
    snprintf(row->name, sizeof row->name, "%s", at.name);
    snprintf(row->op, sizeof row->op, "%s", scry_op_text(at.kind));
    snprintf(row->device, sizeof row->device, "%s", target->record->info.name);
    scry_status status = scry_device_open(
        &device, &(scry_device_options){.name = target->record->info.name, .kernels = target->kernels});
    if (!status) status = scry__case_load_create(&ours, index, device);
    bool able = !status && describe(row, device, scry__case_load_op(ours), &status);
    if (able) status = run_cold(row, device, scry__case_load_op(ours));
    bool fit = able && !status && conforms(row, index, reference, device, &status);
    if (fit && !status) status = load_library(&library, row, index, target);
    if (fit && !status) status = race(row, device, ours, target, library, effort);
    if (status) {
        row->outcome = SCRY__BENCH_FAILED;
        snprintf(row->detail, sizeof row->detail, "%s", scry_last_error());
    }
    scry__case_load_destroy(&library);
    scry__case_load_destroy(&ours);
    scry_device_destroy(&device);
}

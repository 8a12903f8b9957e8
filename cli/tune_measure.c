/* What scry tune measures: which kernels compute what they should, and which of them is the fastest for a class of
 * shapes. See tune.h. */
#include "cli/tune.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* One that takes so many times as long as the fastest does not race. */
static const double hopeless = 3;

/* --- Conformance --- */

/* Takes one row's result into account; false where the kernel is excluded by it. */
static bool judge(struct tune_kernel *kernel, const char *row, scry_status status, const scry__case_result *result)
{
    const char *detail = status ? scry_last_error() : result->detail;
    if (!status && result->status == SCRY_UNSUPPORTED) {
        kernel->unsupported++;
        return true;
    }
    if (!status && result->passed) {
        kernel->passed++;
        return true;
    }
    snprintf(kernel->excluded, sizeof kernel->excluded, "%.60s: %s", row, detail);
    return false;
}

/* The op's rows of the table, and the relations, up to the first that fails. */
static void run_rows(struct tune_run *run, scry_op_kind kind, struct tune_kernel *kernel)
{
    bool              sound = true;
    scry__case_result result;
    for (int i = 0; sound && i < scry__case_count(); i++) {
        scry__case row = scry__case_at(i);
        if (row.kind != kind || row.tier > run->tier) continue;
        scry_status status = scry__case_run(&result, i, 0, run->reference, kernel->device);
        sound              = judge(kernel, row.name, status, &result);
    }
    for (int i = 0; sound && i < scry__relation_count(); i++) {
        scry__case row = scry__relation_at(i);
        if (row.kind != kind || row.tier > run->tier) continue;
        scry_status status = scry__relation_run(&result, i, 0, kernel->device);
        sound              = judge(kernel, row.name, status, &result);
    }
    if (sound && !kernel->passed)
        snprintf(kernel->excluded, sizeof kernel->excluded, "it supports none of %d rows", kernel->unsupported);
}

static scry_status open_kernel(struct tune_run *run, scry_op_kind kind, struct tune_kernel *kernel)
{
    char kernels[128];
    snprintf(kernels, sizeof kernels, "%s=%s", scry_op_text(kind), kernel->name);
    return scry_device_open(&kernel->device,
                            &(scry_device_options){.name = run->info.name, .kernels = kernels, .untuned = true});
}

scry_status tune_check_kernels(struct tune_run *run, struct tune_op *op)
{
    const char *const *names = scry_device_kernels(run->device, op->kind);
    for (; *names && op->kernel_count < TUNE_KERNELS - 1; names++) {
        struct tune_kernel *kernel = &op->kernels[op->kernel_count++];
        snprintf(kernel->name, sizeof kernel->name, "%s", *names);
        run->progress.label = kernel->name;
        scry_status status  = open_kernel(run, op->kind, kernel);
        if (status == SCRY_OUT_OF_MEMORY) return status;
        if (status)
            snprintf(kernel->excluded, sizeof kernel->excluded, "%s", scry_last_error());
        else
            run_rows(run, op->kind, kernel);
    }
    snprintf(op->kernels[op->kernel_count].name, sizeof op->kernels->name, "own choice");
    return SCRY_OK;
}

void tune_finish_op(struct tune_op *op)
{
    for (int i = 0; i < op->kernel_count; i++) scry_device_destroy(&op->kernels[i].device);
}

/* --- One class --- */

/* The class on each kernel's handle, and on the one that chooses by itself, the last. */
struct field {
    scry__case_load *loads[TUNE_KERNELS];
    scry_op_info     infos[TUNE_KERNELS];
    int              racers[TUNE_KERNELS], racer_count;
};

static scry_device *device_of(const struct tune_run *run, const struct tune_op *op, int i)
{
    return i < op->kernel_count ? op->kernels[i].device : run->device;
}

static void leave_out(struct tune_time *time, enum tune_outcome outcome, const char *reason)
{
    time->outcome = outcome;
    snprintf(time->reason, sizeof time->reason, "%s", reason);
}

/* Loads and asks. What cannot run the shape, or has failed before, is left out. */
static scry_status enter(struct field *field, const struct tune_run *run, const struct tune_op *op,
                         struct tune_class *at, int i)
{
    scry_device *device = device_of(run, op, i);
    if (*op->kernels[i].excluded) {
        leave_out(&at->times[i], TUNE_EXCLUDED, op->kernels[i].excluded);
        return SCRY_OK;
    }
    scry_status status = scry__case_load_create(&field->loads[i], at->row, device);
    if (!status) status = scry_device_query(device, scry__case_load_op(field->loads[i]), &field->infos[i]);
    if (status == SCRY_OUT_OF_MEMORY || (!status && field->infos[i].support == SCRY_NOT_SUPPORTED)) {
        leave_out(&at->times[i], TUNE_UNSUPPORTED, status ? scry_last_error() : field->infos[i].reason);
        scry__case_load_destroy(&field->loads[i]);
        return SCRY_OK;
    }
    return status;
}

/* Which of the kernels the backend chose: the one that gives itself the same name. An excluded one is asked nothing, so
 * that it is known by the name it was asked for. */
static int find_own(const struct field *field, const struct tune_op *op)
{
    const char *own = field->infos[op->kernel_count].kernel;
    if (!field->loads[op->kernel_count]) return op->kernel_count;
    for (int i = 0; i < op->kernel_count; i++) {
        const char *name = *op->kernels[i].excluded ? op->kernels[i].name : field->infos[i].kernel;
        if (!strcmp(name, own)) return i;
    }
    return op->kernel_count;
}

/* The row itself, with this kernel: what is right for small shapes may be wrong for this one. */
static scry_status check_shape(struct field *field, const struct tune_run *run, const struct tune_op *op,
                               struct tune_class *at, int i)
{
    scry__case_result result;
    scry_status       status = scry__case_run(&result, at->row, 0, run->reference, device_of(run, op, i));
    if (status || result.passed) return status;
    leave_out(&at->times[i], TUNE_EXCLUDED, result.detail);
    scry__case_load_destroy(&field->loads[i]);
    return SCRY_OK;
}

static struct bench_contender contender_of(const struct field *field, const struct tune_run *run,
                                           const struct tune_op *op, int i)
{
    return (struct bench_contender){.device = device_of(run, op, i), .op = scry__case_load_op(field->loads[i])};
}

/* One run of each; what fails is excluded. The time of the fastest. */
static double run_once(struct field *field, const struct tune_run *run, const struct tune_op *op, struct tune_class *at)
{
    double best = 0;
    for (int i = 0; i <= op->kernel_count; i++) {
        if (!field->loads[i]) continue;
        struct bench_contender contender = contender_of(field, run, op, i);
        if (bench_time_once(&contender, &at->times[i].seconds)) {
            leave_out(&at->times[i], TUNE_EXCLUDED, scry_last_error());
            scry__case_load_destroy(&field->loads[i]);
        } else if (!(best > 0) || at->times[i].seconds < best) {
            best = at->times[i].seconds;
        }
    }
    return best;
}

/* Who races: all that are right at this shape and not hopeless in one run; the own choice, never hopeless, is the
 * first.
 */
static scry_status choose_racers(struct field *field, const struct tune_run *run, const struct tune_op *op,
                                 struct tune_class *at)
{
    double      best   = run_once(field, run, op, at);
    scry_status status = SCRY_OK;
    for (int turn = -1; !status && turn <= op->kernel_count; turn++) {
        int i = turn < 0 ? at->own : turn;
        if (!field->loads[i] || (turn >= 0 && i == at->own)) continue;
        if (i != at->own && at->times[i].seconds > hopeless * best)
            at->times[i].outcome = TUNE_BEHIND;
        else
            status = check_shape(field, run, op, at, i);
        if (!status && field->loads[i] && at->times[i].outcome == TUNE_TIMED) field->racers[field->racer_count++] = i;
    }
    return status;
}

/* The fastest block by block, if it is faster than the own choice by the margin, in nearly every block, and also over
 * all of them: on a busy machine the two may disagree. */
static int choose_winner(const struct field *field, const struct bench_contender *contenders,
                         const struct tune_class *at)
{
    int  best  = 0;
    bool loyal = field->racers[0] == at->own;
    for (int i = 1; i < field->racer_count; i++) {
        const scry__bench_times *ratio  = &contenders[i].ratio;
        bool                     faster = contenders[i].times.median < contenders[0].times.median;
        if (loyal && (ratio->median > TUNE_MARGIN || ratio->high >= 1 || !faster)) continue;
        if (ratio->median < contenders[best].ratio.median) best = i;
    }
    return field->racers[best];
}

static scry_status race(struct field *field, const struct tune_run *run, const struct tune_op *op,
                        struct tune_class *at)
{
    struct bench_contender contenders[TUNE_KERNELS];
    scry_status            status = choose_racers(field, run, op, at);
    if (status || !field->racer_count) return status;
    struct bench_effort effort = run->effort;
    for (int i = 0; i < field->racer_count; i++) {
        contenders[i] = contender_of(field, run, op, field->racers[i]);
        effort.pauses = effort.pauses || !strcmp(op->kernels[field->racers[i]].name, bench_library);
    }
    status = bench_race(contenders, field->racer_count, &effort);
    for (int i = 0; !status && i < field->racer_count; i++) {
        struct tune_time *time = &at->times[field->racers[i]];
        time->seconds          = contenders[i].times.median;
        time->ratio            = contenders[i].ratio.median;
    }
    if (!status) at->winner = choose_winner(field, contenders, at);
    return status;
}

scry_status tune_measure_class(struct tune_run *run, struct tune_op *op, struct tune_class *at)
{
    struct field field  = {0};
    int          last   = op->kernel_count;
    scry_status  status = SCRY_OK;
    at->winner          = -1;
    for (int i = 0; !status && i <= last; i++) status = enter(&field, run, op, at, i);
    at->own = find_own(&field, op);
    if (!status && at->own != last) { /* it is one of the others, under its name */
        scry__case_load_destroy(&field.loads[last]);
        at->times[last] = (struct tune_time){.outcome = TUNE_UNSUPPORTED};
    }
    if (!status) status = race(&field, run, op, at);
    for (int i = 0; i <= last; i++) scry__case_load_destroy(&field.loads[i]);
    return status;
}

int tune_choices(const struct tune_run *run)
{
    int count = 0;
    for (int i = 0; i < run->op_count; i++)
        for (int j = 0; j < run->ops[i].class_count; j++)
            count += run->ops[i].classes[j].winner >= 0 && run->ops[i].classes[j].winner != run->ops[i].classes[j].own;
    return count;
}

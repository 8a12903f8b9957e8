/* scry tune: which of a device's kernels is the fastest for each class of shapes, measured and kept for later runs.
 *
 * This file chooses what is measured and keeps the result; tune_measure.c measures, tune_show.c tells. */
#include "cli/tune.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "device/tuning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double usual_seconds = 0.2, quick_seconds = 0.03;

struct tune {
    struct cli_common common;
    const char       *op, *output;
    bool              quick, forget;
    bool              named; /* the file is one that the user names */
    struct tune_run   run;
    int               exit_code;
};

/* --- What to measure --- */

static scry_status choose_ops(struct tune *tune)
{
    struct tune_run *run = &tune->run;
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        const char *const *kernels = scry_device_kernels(run->device, (scry_op_kind)kind);
        if (!cli_has_op(tune->op, (scry_op_kind)kind) || !kernels[0] || !kernels[1]) continue;
        struct tune_op *op = &run->ops[run->op_count++];
        op->kind           = (scry_op_kind)kind;
        op->class_count    = scry__shape_class_count(op->kind);
        for (int i = 0; i < op->class_count; i++)
            op->classes[i] = (struct tune_class){
                .shape = i, .row = scry__case_of_class(op->kind, scry__shape_class_name(op->kind, i))};
    }
    if (run->op_count) return SCRY_OK;
    return cli_bad("%s has one kernel only for %s: there is nothing to choose", run->info.name,
                   tune->op ? tune->op : "each op");
}

/* --- Measuring --- */

static scry_status measure(struct tune *tune)
{
    struct tune_run *run   = &tune->run;
    double           start = cli_now();
    int              done = 0, total = 0;
    scry_status      status = scry_device_open(&run->reference, &(scry_device_options){.name = "reference"});
    for (int i = 0; i < run->op_count; i++) total += 1 + run->ops[i].class_count;
    cli_progress_start(&run->progress, &tune->common, "");
    for (int i = 0; !status && i < run->op_count; i++) {
        struct tune_op *op  = &run->ops[i];
        run->progress.label = scry_op_text(op->kind);
        cli_progress_step(&run->progress, done++, total);
        status = tune_check_kernels(run, op);
        for (int j = 0; !status && j < op->class_count; j++) {
            run->progress.label = scry__case_at(op->classes[j].row).name;
            cli_progress_step(&run->progress, done++, total);
            status = tune_measure_class(run, op, &op->classes[j]);
        }
        tune_finish_op(op);
    }
    cli_progress_end(&run->progress);
    run->seconds = cli_now() - start;
    return status;
}

/* --- Keeping --- */

/* What is there already, as far as it is sound; else nothing. */
static scry_status read_old(scry__tuning **out, const struct tune_run *run)
{
    scry_status status = scry__file_exists(run->file) ? scry__tuning_read(out, run->file, &run->info) : SCRY_BAD_INPUT;
    if (status == SCRY_OUT_OF_MEMORY || !status) return status;
    *out = scry__tuning_create(&run->info);
    return *out ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static void note_class(scry__tuning *tuning, const struct tune_op *op, const struct tune_class *at)
{
    scry__tuned_class *class = scry__tuning_at(tuning, op->kind, at->shape);
    bool stays               = at->winner == at->own;
    snprintf(class->kernel, sizeof class->kernel, "%s", stays ? "" : op->kernels[at->winner].name);
    snprintf(class->own, sizeof class->own, "%s", op->kernels[at->own].name);
    class->seconds     = at->times[at->winner].seconds;
    class->own_seconds = at->times[at->own].seconds;
}

/* With --op, what was measured of other ops before stays. */
static scry_status keep(const struct tune *tune)
{
    const struct tune_run *run    = &tune->run;
    scry__tuning          *tuning = NULL;
    time_t                 now    = time(NULL);
    struct tm              date;
    scry_status            status = SCRY_OK;
    if (tune->op)
        status = read_old(&tuning, run);
    else if (!(tuning = scry__tuning_create(&run->info)))
        status = SCRY_OUT_OF_MEMORY;
    if (status) return status;
    strftime(tuning->date, sizeof tuning->date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &date));
    for (int i = 0; i < run->op_count; i++)
        for (int j = 0; j < run->ops[i].class_count; j++)
            if (run->ops[i].classes[j].winner >= 0) note_class(tuning, &run->ops[i], &run->ops[i].classes[j]);
    status = scry__tuning_write(tuning, run->file);
    scry__free(tuning);
    return status;
}

/* --- Forgetting --- */

/* Takes the classes of the ops named out of the tuning; how many there were. */
static int drop(scry__tuning *tuning, const char *ops)
{
    int kept = 0, count = tuning->count;
    for (int i = 0; i < count; i++)
        if (!cli_has_op(ops, tuning->classes[i].kind)) tuning->classes[kept++] = tuning->classes[i];
    tuning->count = kept;
    return count - kept;
}

/* In its own place a file that cannot be used any more is forgotten whole; one that the user names may be anything. */
static scry_status forget(const struct tune *tune, int *forgotten)
{
    const struct tune_run *run    = &tune->run;
    scry__tuning          *tuning = NULL;
    *forgotten                    = 0;
    if (!scry__file_exists(run->file)) return SCRY_OK;
    scry_status status = tune->named ? scry__tuning_read(&tuning, run->file, &run->info) : read_old(&tuning, run);
    if (status) return status;
    *forgotten = drop(tuning, tune->op);
    if (tuning->count)
        status = scry__tuning_write(tuning, run->file);
    else if (unlink(run->file))
        status = scry__fail(SCRY_IO, "%s: cannot remove: %s", run->file, strerror(errno));
    scry__free(tuning);
    return status;
}

static scry_status print_forgotten(const struct tune *tune, int forgotten)
{
    scry__text text = {0};
    if (tune->common.json) return tune_print_json(&tune->run);
    scry__text_addf(&text, "%s: %d classes forgotten\n", tune->run.file, forgotten);
    return cli_print(&text);
}

/* --- The command --- */

static scry_status find_file(struct tune *tune)
{
    struct tune_run *run   = &tune->run;
    const char      *asked = getenv("SCRY_TUNED");
    tune->named            = tune->output || (asked && *asked);
    if (tune->output) {
        run->file = scry__strdup(tune->output);
        return run->file ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    }
    scry_status status = scry__tuning_path(&run->file, &run->info);
    if (status || run->file) return status;
    return cli_bad("SCRY_TUNED=0: expected another value, or -o FILE: else there is no file to keep the result in");
}

/* 1 where a kernel failed its conformance. */
static int judge(const struct tune_run *run)
{
    bool wrong = false;
    for (int i = 0; i < run->op_count; i++)
        for (int j = 0; j < run->ops[i].class_count; j++)
            for (int k = 0; k <= run->ops[i].kernel_count; k++)
                wrong = wrong || run->ops[i].classes[j].times[k].outcome == TUNE_EXCLUDED;
    return wrong ? scry_status_exit_code(SCRY_CHECK_FAILED) : 0;
}

static scry_status run(void *state, const char *unused)
{
    struct tune     *tune      = state;
    struct tune_run *run       = &tune->run;
    int              forgotten = 0;
    (void)unused;
    run->tier          = tune->quick ? SCRY__TIER_TINY : SCRY__TIER_QUICK;
    run->effort        = (struct bench_effort){.seconds = tune->quick ? quick_seconds : usual_seconds};
    scry_status status = cli_check_ops(tune->op);
    if (!status)
        status = scry_device_open(&run->device, &(scry_device_options){.name = tune->common.device, .untuned = true});
    if (!status) {
        run->info = *scry_device_get_info(run->device);
        status    = find_file(tune);
    }
    if (!status && tune->forget) {
        status = forget(tune, &forgotten);
        if (!status) status = print_forgotten(tune, forgotten);
    } else if (!status) {
        status = choose_ops(tune);
        if (!status) status = measure(tune);
        if (!status) status = keep(tune);
        if (!status) status = tune->common.json ? tune_print_json(run) : tune_print(run);
        if (!status) tune->exit_code = judge(run);
    }
    scry_device_destroy(&run->reference);
    scry_device_destroy(&run->device);
    scry__free(run->file);
    return status;
}

int cli_tune(int argc, char **argv)
{
    struct tune            *tune      = scry__alloc(1, sizeof *tune);
    const struct cli_option options[] = {
        {'d', "device", CLI_STRING, &tune->common.device, "NAME",
         "cpu, vulkan:1, ... (default: $SCRY_DEVICE, else the best)", 0, 0},
        {0, "op", CLI_STRING, &tune->op, "OP[,OP...]", "only these ops; what is known of others stays", 0, 0},
        {0, "quick", CLI_FLAG, &tune->quick, NULL, "fewer samples, and the tiny tier of conformance", 0, 0},
        {'o', "output", CLI_STRING, &tune->output, "FILE", "keep the result there; SCRY_TUNED=FILE uses it", 0, 0},
        {0, "forget", CLI_FLAG, &tune->forget, NULL, "measure nothing; remove what is kept of the device", 0, 0},
        {0, "json", CLI_FLAG, &tune->common.json, NULL, "one JSON object on stdout", 0, 0},
        {'q', "quiet", CLI_FLAG, &tune->common.quiet, NULL, "no progress, no notes", 0, 0},
        {'v', "verbose", CLI_FLAG, &tune->common.verbose, NULL, "say what is being done", 0, 0},
    };
    const struct cli_syntax syntax = {
        .usage = "scry tune [options]",
        .about =
            "Times each kernel of a device at each class of shapes, and keeps the best in the cache's folder: from "
            "then on\n"
            "it runs there unless --kernels says otherwise. A kernel that fails a row of the case table cannot win "
            "(exit 1);\n"
            "one that wins is at least 5 % faster than the device's own choice. SCRY_TUNED=0 leaves tunings "
            "aside.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
    };
    int code = cli_main(&syntax, &tune->common, argc, argv, run, tune);
    if (!code) code = tune->exit_code;
    scry__free(tune);
    return code;
}

/* scry bench: how fast each op is on each device, beside the device's roofline and the vendor's or ecosystem's library.
 */
#include "cli/bench_host.h"
#include "cli/bench_measure.h"
#include "cli/bench_table.h"
#include "cli/command.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cases/cases.h"
#include "report/roofline.h"

#include <stdio.h>
#include <string.h>

static const double usual_seconds = 0.5, quick_seconds = 0.05;

struct bench {
    struct cli_common   common;
    const char         *op, *only, *sections, *output, *picture, *compare, *from, *clock;
    struct bench_effort effort;
    bool                quick, strict;
    /* Filled on the way: */
    scry__bench_record     *record, *before;
    scry__bench_comparison *comparison;
    scry_device            *reference;
    int                    *rows; /* of the case table */
    int                     row_count;
    struct cli_progress     progress;
    int                     exit_code;
};

/* --- what to measure --- */

static const char all_sections[] = "rows,overhead,passes";

/* Who names rows wants those alone. */
static bool has_section(const struct bench *bench, const char *section)
{
    const char *usual = bench->only || bench->op ? "rows" : all_sections;
    return cli_is_listed(bench->sections ? bench->sections : usual, section);
}

static scry_status check_sections(const struct bench *bench)
{
    for (const char *at = bench->sections; at; at = strchr(at, ',')) {
        char name[16];
        at += *at == ',';
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        if (!cli_is_listed(all_sections, name))
            return cli_bad("--sections \"%.60s\": expected some of %s", bench->sections, all_sections);
    }
    return SCRY_OK;
}

/* The rows made for benchmarks, and any other that is asked for by its whole name. */
static scry_status choose_rows(struct bench *bench)
{
    scry_status status = cli_check_ops(bench->op);
    if (status) return status;
    if (!has_section(bench, "rows")) return SCRY_OK;
    bench->rows = scry__alloc((size_t)scry__case_count(), sizeof *bench->rows);
    if (!bench->rows) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case row = scry__case_at(i);
        if (cli_has_op(bench->op, row.kind) && cli_has_row(bench->only, row.name, row.benchmark))
            bench->rows[bench->row_count++] = i;
    }
    if (bench->row_count) return SCRY_OK;
    return cli_bad("--only %.80s%s%s: expected a row of the case table, or a pattern such as 'matmul/*' that fits one "
                   "made for benchmarks",
                   bench->only ? bench->only : "(all)", bench->op ? " with --op " : "", bench->op ? bench->op : "");
}

/* --- measuring --- */

/* What is said of a device besides rows. A demo model that is not installed is passed over. */
static scry_status measure_sections(struct bench *bench, const struct bench_target *target)
{
    scry_status status = SCRY_OK;
    if (has_section(bench, "overhead")) status = bench_measure_overhead(target, &bench->effort);
    if (status || !has_section(bench, "passes")) return status;
    char *path = cli_model_path(&bench->common);
    if (!path) return SCRY_OUT_OF_MEMORY;
    if (bench->common.model_path || bench->sections || scry__file_exists(path))
        status = bench_measure_passes(target, path, &bench->effort);
    scry__free(path);
    return status;
}

static scry_status measure_device(struct bench *bench, const char *name, int done, int total)
{
    struct bench_target target;
    scry__bench_device *device = &bench->record->devices[bench->record->device_count];
    scry_status         status = bench_target_open(&target, name, bench->common.kernels, device);
    if (!status) bench->record->device_count++;
    target.processors     = bench->record->processors;
    bench->progress.label = device->info.name;
    cli_progress_step(&bench->progress, done, total);
    if (!status && bench->row_count) status = bench_measure_roof(&target, &bench->effort);
    if (!status) status = measure_sections(bench, &target);
    for (int i = 0; !status && i < bench->row_count; i++) {
        scry__bench_row *row  = scry__bench_record_add(bench->record);
        bench->progress.label = scry__case_at(bench->rows[i]).name;
        cli_progress_step(&bench->progress, done + i, total);
        if (row)
            bench_measure_row(row, bench->rows[i], &target, bench->reference, &bench->effort);
        else
            status = SCRY_OUT_OF_MEMORY;
    }
    bench_target_close(&target);
    return status;
}

/* Each device of "cpu,opencl:0" in turn. */
static scry_status measure(struct bench *bench)
{
    char        names[SCRY__BENCH_DEVICES][40] = {""};
    const char *at                             = bench->common.device;
    int         count                          = at ? 0 : 1;
    while (at && *at) {
        int size = (int)strcspn(at, ",");
        if (count == SCRY__BENCH_DEVICES || size >= (int)sizeof names[0])
            return cli_bad("--device %.80s: expected up to %d names with commas between them", bench->common.device,
                           SCRY__BENCH_DEVICES);
        snprintf(names[count++], sizeof names[0], "%.*s", size, at);
        at += size + (at[size] == ',');
    }
    bench_host_describe(bench->record);
    snprintf(bench->record->clock, sizeof bench->record->clock, "%s", bench->clock);
    if (!strcmp(bench->clock, "cpu")) bench_count_processor_time();
    scry_status status = scry_device_open(&bench->reference, &(scry_device_options){.name = "reference"});
    cli_progress_start(&bench->progress, &bench->common, "");
    for (int i = 0; !status && i < count; i++)
        status = measure_device(bench, *names[i] ? names[i] : NULL, i * bench->row_count, count * bench->row_count);
    cli_progress_end(&bench->progress);
    return status;
}

/* --- showing --- */

static scry_status print_json(const struct bench *bench)
{
    scry__json_builder builder = {0};
    json_t            *object = NULL, *made = scry__bench_record_json(&builder, bench->record);
    if (bench->comparison)
        scry__json_set(&builder, made, "comparison", scry__bench_comparison_json(&builder, bench->comparison));
    scry_status status = scry__json_finish(&builder, made, &object);
    return status ? status : cli_print_json(object);
}

static scry_status print_tables(const struct bench *bench)
{
    scry__text     text     = {0};
    scry__terminal terminal = cli_terminal();
    scry_status    status   = bench_add_record(&text, &terminal, bench->record);
    if (!status && bench->comparison) status = bench_add_comparison(&text, &terminal, bench->comparison);
    if (status) {
        scry__text_finish(&text);
        return status;
    }
    return cli_print(&text);
}

/* 1 where a row was refused or failed or, if that matters, became slower. */
static int judge(const struct bench *bench)
{
    bool wrong = bench->strict && bench->comparison && bench->comparison->slower;
    for (int64_t i = 0; i < bench->record->row_count; i++) {
        scry__bench_outcome outcome = bench->record->rows[i].outcome;
        wrong                       = wrong || outcome == SCRY__BENCH_REFUSED || outcome == SCRY__BENCH_FAILED;
    }
    return wrong ? scry_status_exit_code(SCRY_CHECK_FAILED) : 0;
}

static scry_status run(void *state, const char *unused)
{
    struct bench *bench  = state;
    scry_status   status = cli_check_suffix(bench->picture, ".svg .png .pdf");
    (void)unused;
    if (!status && strcmp(bench->clock, "wall") && strcmp(bench->clock, "cpu"))
        status = cli_bad("--clock %.40s: expected wall or cpu", bench->clock);
    if (!status) status = check_sections(bench);
    if (!bench->effort.seconds) bench->effort.seconds = bench->quick ? quick_seconds : usual_seconds;
    if (!status && bench->compare) status = scry__bench_record_read(&bench->before, bench->compare);
    if (!status && bench->from) {
        status = scry__bench_record_read(&bench->record, bench->from);
    } else if (!status) {
        status = scry__bench_record_create(&bench->record);
        if (!status) status = choose_rows(bench);
        if (!status) bench_host_clean(bench->record);
        if (!status) status = measure(bench);
    }
    if (!status && bench->before) status = scry__bench_compare(&bench->comparison, bench->before, bench->record);
    if (!status && bench->output) status = scry__bench_record_write(bench->record, bench->output);
    if (!status && bench->picture) status = scry__roofline_write(bench->picture, bench->record);
    if (!status) status = bench->common.json ? print_json(bench) : print_tables(bench);
    if (!status) bench->exit_code = judge(bench);
    scry_device_destroy(&bench->reference);
    scry__bench_comparison_destroy(&bench->comparison);
    scry__bench_record_destroy(&bench->before);
    scry__bench_record_destroy(&bench->record);
    scry__free(bench->rows);
    return status;
}

int cli_bench(int argc, char **argv)
{
    struct bench            bench     = {.clock = "wall"};
    const struct cli_option options[] = {
        {'d', "device", CLI_STRING, &bench.common.device, "D[,D...]", "devices (default: $SCRY_DEVICE, else the best)",
         0, 0},
        {0, "kernels", CLI_STRING, &bench.common.kernels, "OP=KERNEL,...", "kernels instead of the device's choice", 0,
         0},
        {0, "op", CLI_STRING, &bench.op, "OP[,OP...]", "only rows of these ops", 0, 0},
        {0, "only", CLI_STRING, &bench.only, "ROW[,ROW..]", "these rows; 'matmul/*' is a pattern", 0, 0},
        {0, "sections", CLI_STRING, &bench.sections, "LIST",
         "some of rows,overhead,passes (default: all; rows with --op or --only)", 0, 0},
        {'m', "model", CLI_STRING, &bench.common.model_path, "DIR",
         "checkpoint of the passes (default: the demo model)", 0, 0},
        {0, "min-time", CLI_REAL, &bench.effort.seconds, "S", "seconds of samples for each row (0.5)", 0.001, 3600},
        {0, "quick", CLI_FLAG, &bench.quick, NULL, "a tenth of that", 0, 0},
        {0, "repeat", CLI_INT, &bench.effort.repeats, "N", "so many samples instead", 1, 1000},
        {0, "clock", CLI_STRING, &bench.clock, "CLOCK", "wall (default), or cpu: processor time, for a busy machine", 0,
         0},
        {'o', "output", CLI_STRING, &bench.output, "F.json", "write the record", 0, 0},
        {0, "svg", CLI_STRING, &bench.picture, "F", "draw the roofline: .svg, .png or .pdf", 0, 0},
        {0, "compare", CLI_STRING, &bench.compare, "RECORD", "an older record to put beside", 0, 0},
        {0, "from", CLI_STRING, &bench.from, "RECORD", "show this record instead of measuring", 0, 0},
        {0, "strict", CLI_FLAG, &bench.strict, NULL, "exit 1 where a row is slower beyond the noise", 0, 0},
        {0, "json", CLI_FLAG, &bench.common.json, NULL, "one JSON object on stdout", 0, 0},
        {'q', "quiet", CLI_FLAG, &bench.common.quiet, NULL, "no progress, no notes", 0, 0},
        {'v', "verbose", CLI_FLAG, &bench.common.verbose, NULL, "say what is being done", 0, 0},
    };
    const struct cli_syntax syntax = {
        .usage = "scry bench [options]",
        .about =
            "Times the rows of the case table that are made for it. A row whose conformance fails is refused (exit "
            "1).\n"
            "Overhead is what handing a small op to the device takes; passes are forward passes of a model, with the\n"
            "dispatches, barriers and submissions of one.\n"
            "The roofline is measured too: the share of it is the time that the fastest matmul and copies allow over\n"
            "the time taken. Where OpenBLAS or CLBlast can be loaded, it takes turns with ours in the same run.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
    };
    int code = cli_main(&syntax, &bench.common, argc, argv, run, &bench);
    return code ? code : bench.exit_code;
}

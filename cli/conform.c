/* scry conform: runs the table of op cases on devices and holds what they compute against the reference.
 *
 * This file chooses rows and devices and runs them; conform_text.c, conform_json.c and conform_junit.c tell. */
#include "cli/conform.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

const char *const conform_tier_texts[] = {"tiny", "quick", "full", NULL};

struct conform {
    struct cli_common  common;
    const char        *tier, *op, *only, *junit;
    bool               fail_fast, list;
    struct conform_run run;
    int                exit_code;
};

/* --- Rows --- */

static scry_status parse_tier(struct conform *state)
{
    state->run.tier = SCRY__TIER_QUICK;
    for (int tier = 0; state->tier && conform_tier_texts[tier]; tier++)
        if (!strcmp(state->tier, conform_tier_texts[tier])) {
            state->run.tier = (scry__tier)tier;
            return SCRY_OK;
        }
    return state->tier ? cli_bad("--tier %s: expected tiny, quick or full", state->tier) : SCRY_OK;
}

/* A row that is named is taken from any tier; a pattern, from the tier asked for. */
static bool is_chosen(const struct conform *state, const scry__case *row)
{
    return cli_has_op(state->op, row->kind) && cli_has_row(state->only, row->name, row->tier <= state->run.tier);
}

/* By op, cases before relations. */
static scry_status choose_rows(struct conform *state)
{
    struct conform_run *run   = &state->run;
    int                 cases = scry__case_count(), relations = scry__relation_count();
    run->rows = scry__alloc((size_t)(cases + relations), sizeof *run->rows);
    if (!run->rows) return SCRY_OUT_OF_MEMORY;
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++)
        for (int i = 0; i < cases + relations; i++) {
            bool relation = i >= cases;
            if (relation && run->tuned) break; /* they compare shapes, which may run different kernels */
            int        index = relation ? i - cases : i;
            scry__case row   = relation ? scry__relation_at(index) : scry__case_at(index);
            if ((int)row.kind == kind && is_chosen(state, &row))
                run->rows[run->row_count++] = (struct conform_row){row, index, relation};
        }
    if (run->row_count) return SCRY_OK;
    return cli_bad("--only \"%.60s\": no row of the %s tier%s has that name; --list shows them",
                   state->only ? state->only : "", conform_tier_texts[run->tier], state->op ? " and op" : "");
}

/* --- Devices --- */

static scry_status add_device(struct conform_run *run, const char *name, size_t length)
{
    struct conform_device *device = &run->devices[run->device_count++];
    snprintf(device->name, sizeof device->name, "%.*s", (int)length, name);
    memcpy(device->heading, device->name, sizeof device->name);
    if (run->kernels && !run->each_kernel) snprintf(device->kernels, sizeof device->kernels, "%s", run->kernels);
    device->outcomes = scry__alloc((size_t)run->row_count, sizeof *device->outcomes);
    return device->outcomes ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static scry_status choose_named(struct conform_run *run, const char *names)
{
    size_t      most   = 1;
    scry_status status = SCRY_OK;
    for (const char *at = names; *at; at++) most += *at == ',';
    run->devices = scry__alloc(most, sizeof *run->devices);
    if (!run->devices) return SCRY_OUT_OF_MEMORY;
    for (const char *at = names; !status && at; at = strchr(at, ',')) {
        at += *at == ',';
        size_t length = strcspn(at, ",");
        if (!length || length >= sizeof run->devices->name)
            return cli_bad("--device \"%.60s\": expected names of devices, separated by commas", names);
        status = add_device(run, at, length);
    }
    return status;
}

/* Every device that may be taken unnamed; the reference would only be compared with itself. */
static scry_status choose_found(struct conform_run *run)
{
    scry_status status = scry_devices_find(&run->found);
    if (status) return status;
    run->devices = scry__alloc((size_t)run->found->count, sizeof *run->devices);
    if (!run->devices) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < run->found->count; i++) {
        const scry_device_entry *entry = &run->found->entries[i];
        if (entry->usable && entry->info.type != SCRY_DEVICE_REFERENCE && entry->info.score >= 0)
            status = add_device(run, entry->info.name, strlen(entry->info.name));
    }
    return status;
}

/* --- Running --- */

/* Not every device has the memory for the largest rows; for the others, any has. */
static bool is_too_large(const struct conform_row *row, const scry__case_result *result)
{
    return result->status == SCRY_OUT_OF_MEMORY && row->row.tier == SCRY__TIER_FULL;
}

/* Where the case could not be made, or the reference could not run it, nothing was proved either: a failure too. */
static void run_row(const struct conform_run *run, const struct conform_row *row, struct conform_outcome *outcome,
                    scry_device *reference, scry_device *device)
{
    scry__case_result *result = &outcome->result;
    double             start  = cli_now();
    scry_status        status = row->relation ? scry__relation_run(result, row->index, run->seed, device)
                                              : scry__case_run(result, row->index, run->seed, reference, device);
    outcome->seconds          = cli_now() - start;
    outcome->verdict          = CONFORM_FAILED;
    if (status)
        snprintf(result->detail, sizeof result->detail, "%s", scry_last_error());
    else if (result->status == SCRY_UNSUPPORTED || is_too_large(row, result))
        outcome->verdict = CONFORM_UNSUPPORTED;
    else if (result->status == SCRY_DEVICE_LOST)
        outcome->verdict = CONFORM_NOT_RUN;
    else if (result->passed)
        outcome->verdict = CONFORM_PASSED;
}

/* All rows on one device. */
static void run_device(struct conform *state, struct conform_device *to, scry_device *reference)
{
    struct conform_run       *run      = &state->run;
    scry_device              *device   = NULL;
    struct cli_progress       progress = {0};
    const scry_device_options options  = {.name = to->name, .kernels = to->kernels, .untuned = !run->tuned};
    to->status                         = scry_device_open(&device, &options);
    if (to->status) {
        snprintf(to->reason, sizeof to->reason, "%s", scry_last_error());
        return;
    }
    to->info = *scry_device_get_info(device);
    scry_device_get_tuning(device, &to->tuning);
    cli_progress_start(&progress, &state->common, to->heading);
    for (int i = 0; !run->stopped && !to->status && i < run->row_count; i++) {
        struct conform_outcome *outcome = &to->outcomes[i];
        if (to->left_out[run->rows[i].row.kind]) {
            outcome->verdict = CONFORM_LEFT_OUT;
            continue;
        }
        run_row(run, &run->rows[i], outcome, reference, device);
        if (outcome->result.status == SCRY_DEVICE_LOST) {
            to->status = SCRY_DEVICE_LOST;
            snprintf(to->reason, sizeof to->reason, "lost at %s: %s", run->rows[i].row.name, outcome->result.detail);
        }
        run->stopped = state->fail_fast && outcome->verdict == CONFORM_FAILED;
        cli_progress_step(&progress, i + 1, run->row_count);
    }
    cli_progress_end(&progress);
    scry_device_destroy(&device);
}

/* 1 where a check failed or nothing passed, else the code of what kept a device from being checked. */
static int exit_code_of(const struct conform_run *run)
{
    int code = 0;
    for (int i = 0; i < run->device_count; i++) {
        const struct conform_device *device  = &run->devices[i];
        struct conform_summary       summary = conform_summarize(run, device, SCRY_OP_COUNT);
        bool                         failed  = summary.failed || (!device->status && !run->stopped && !summary.passed);
        if (failed) return scry_status_exit_code(SCRY_CHECK_FAILED);
        if (!code) code = scry_status_exit_code(device->status);
    }
    return code;
}

static scry_status tell(struct conform *state, scry__writer *junit)
{
    json_t     *object = NULL;
    scry__text  text   = {0};
    scry_status status = SCRY_OK;
    if (state->junit) {
        status = conform_junit(&text, &state->run);
        if (!status) status = scry__writer_write(junit, text.data, text.size);
        if (!status) status = scry__writer_commit(junit);
        scry__text_finish(&text);
    }
    if (status) return status;
    if (!state->common.json) return conform_print(&state->run);
    status = conform_json(&object, &state->run);
    return status ? status : cli_print_json(object);
}

static scry_status run_all(struct conform *state)
{
    struct conform_run *run       = &state->run;
    scry_device        *reference = NULL;
    scry__writer        junit     = {0};
    double              start     = cli_now();
    scry_status         status    = scry_device_open(&reference, &(scry_device_options){.name = "reference"});
    if (!status && state->junit) status = scry__writer_open(&junit, state->junit); /* before the work, not after it */
    if (status) goto fail;
    for (int i = 0; i < run->device_count; i++) run_device(state, &run->devices[i], reference);
    run->seconds = cli_now() - start;
    status       = tell(state, &junit);
    if (!status) state->exit_code = exit_code_of(run);

fail:
    if (status) scry__writer_abort(&junit);
    scry_device_destroy(&reference);
    return status;
}

static scry_status list_rows(const struct conform *state)
{
    json_t *object = NULL;
    if (!state->common.json) return conform_print_rows(&state->run);
    scry_status status = conform_json_rows(&object, &state->run);
    return status ? status : cli_print_json(object);
}

static scry_status run(void *argument, const char *unused)
{
    struct conform     *state  = argument;
    struct conform_run *run    = &state->run;
    scry_status         status = parse_tier(state);
    run->each_kernel           = run->kernels && !strcmp(run->kernels, "each");
    (void)unused;
    if (!status) status = cli_check_ops(state->op);
    if (!status) status = choose_rows(state);
    if (!status && state->list) return list_rows(state);
    if (!status) status = state->common.device ? choose_named(run, state->common.device) : choose_found(run);
    if (!status && run->each_kernel) status = conform_each_kernel(run);
    return status ? status : run_all(state);
}

static void finish(struct conform_run *run)
{
    for (int i = 0; i < run->device_count; i++) scry__free(run->devices[i].outcomes);
    scry__free(run->devices);
    scry__free(run->rows);
    scry_devices_destroy(&run->found);
}

int cli_conform(int argc, char **argv)
{
    struct conform          state     = {0};
    const struct cli_option options[] = {
        {'d', "device", CLI_STRING, &state.common.device, "D[,D...]", "devices to check (default: all that are usable)",
         0, 0},
        {0, "tier", CLI_STRING, &state.tier, "TIER", "tiny, quick (default) or full; each holds the one before", 0, 0},
        {0, "op", CLI_STRING, &state.op, "OP[,OP...]", "only rows of these ops", 0, 0},
        {0, "only", CLI_STRING, &state.only, "ROW[,ROW..]", "only these rows (of any tier); 'matmul/*' is a pattern", 0,
         0},
        {0, "kernels", CLI_STRING, &state.run.kernels, "OP=NAME,..",
         "kernels instead of the device's choice; \"each\": all of its own in turn", 0, 0},
        {0, "tuned", CLI_FLAG, &state.run.tuned, NULL, "with the kernels that scry tune chose; no relations", 0, 0},
        {0, "seed", CLI_SEED, &state.run.seed, "N", "other data (default: each row its own)", 0, 0},
        {0, "fail-fast", CLI_FLAG, &state.fail_fast, NULL, "stop at the first failure", 0, 0},
        {0, "list", CLI_FLAG, &state.list, NULL, "list the rows and run nothing", 0, 0},
        {0, "junit", CLI_STRING, &state.junit, "FILE", "write the results as JUnit XML too", 0, 0},
        {0, "json", CLI_FLAG, &state.common.json, NULL, "one JSON object on stdout", 0, 0},
        {'q', "quiet", CLI_FLAG, &state.common.quiet, NULL, "no progress", 0, 0},
        {'v', "verbose", CLI_FLAG, &state.common.verbose, NULL, "say what is being done", 0, 0},
    };
    const struct cli_syntax syntax = {
        .usage = "scry conform [options]",
        .about = "Checks devices against the reference: every op on many shapes, masks and kinds of data, each element "
                 "within a\n"
                 "bound derived from the arithmetic, with facts that hold between two runs. Prints the worst error as "
                 "a fraction\n"
                 "of its bound, the precision that was delivered, and for each failure a command that reproduces it.\n"
                 "Ends with 1 where a check failed.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
    };
    int code = cli_main(&syntax, &state.common, argc, argv, run, &state);
    finish(&state.run);
    return code ? code : state.exit_code;
}

/* The results of `scry conform` for people: a table of ops and devices, the precision delivered, and each failure with
 * the command that reproduces it. */
#include "cli/conform.h"
#include "cli/output.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void count_outcome(struct conform_summary *summary, const struct conform_outcome *outcome)
{
    summary->passed += outcome->verdict == CONFORM_PASSED;
    summary->failed += outcome->verdict == CONFORM_FAILED;
    summary->unsupported += outcome->verdict == CONFORM_UNSUPPORTED;
    summary->not_run += outcome->verdict == CONFORM_NOT_RUN;
}

/* Takes the precision that a row shows into account. What rows show that allow less counts only where no other ran: of
 * a kernel that works in less. */
static void add_evidence(struct conform_summary *summary, const scry__case_result *result, bool strict)
{
    if (summary->strict && !strict) return;
    if (!summary->strict && strict)
        summary->bare = summary->wide = summary->overflowed = false, summary->delivered = 0, summary->strict = true;
    summary->wide       = summary->wide || result->wide;
    summary->overflowed = summary->overflowed || result->overflowed;
    if (summary->bare && !result->bare) return;
    if (!summary->bare && result->bare) summary->delivered = 0; /* what other rows say counts no more */
    summary->bare      = result->bare;
    summary->delivered = fmax(summary->delivered, result->delivered);
}

struct conform_summary conform_summarize(const struct conform_run *run, const struct conform_device *device,
                                         scry_op_kind kind)
{
    struct conform_summary summary = {0};
    for (int i = 0; i < run->row_count; i++) {
        const struct conform_outcome *outcome = &device->outcomes[i];
        bool                          ran = outcome->verdict == CONFORM_PASSED || outcome->verdict == CONFORM_FAILED;
        if (kind != SCRY_OP_COUNT && run->rows[i].row.kind != kind) continue;
        count_outcome(&summary, outcome);
        if (ran) summary.worst = fmax(summary.worst, outcome->result.worst);
        if (ran) add_evidence(&summary, &outcome->result, run->rows[i].row.precision == SCRY_STRICT_F32);
    }
    return summary;
}

/* One rounding of an input to 11 bits leaves at most 2^-11, to 8 bits 2^-8, truncation twice that; the places between
 * those are the borders, and f32 has room for the few roundings of a bare row. */
const char *conform_precision_text(const struct conform_summary *summary)
{
    if (!summary->passed && !summary->failed) return "";
    if (summary->delivered <= 0x1p-18 && !summary->overflowed) return "f32";
    if (summary->delivered <= 0x1.6p-10) return summary->overflowed ? "f16" : summary->wide ? "tf32" : "f16/tf32";
    return summary->delivered <= 0x1.6p-7 ? "bf16" : "less";
}

/* As asked for; of each op in turn, only this one's. */
static void add_kernels(scry__text *out, const struct conform_run *run, const struct conform_device *device,
                        scry_op_kind kind)
{
    const char *op = scry_op_text(kind), *at = device->kernels;
    size_t      length = strlen(op);
    if (!run->each_kernel) {
        if (*at) scry__text_addf(out, " --kernels %s", at);
        return;
    }
    while (*at && (strncmp(at, op, length) || at[length] != '=')) {
        at += strcspn(at, ",");
        at += *at == ',';
    }
    if (*at) scry__text_addf(out, " --kernels %.*s", (int)strcspn(at, ","), at);
}

void conform_add_command(scry__text *out, const struct conform_run *run, const struct conform_device *device,
                         const struct conform_row *row)
{
    scry__text_addf(out, "scry conform --device %s --only '%s'", *device->info.name ? device->info.name : device->name,
                    row->row.name);
    if (run->tuned) scry__text_adds(out, " --tuned");
    if (run->seed) scry__text_addf(out, " --seed %llu", (unsigned long long)run->seed);
    add_kernels(out, run, device, row->row.kind);
}

/* --- The tables --- */

enum { CELL = 96 };

/* "0.62     51 passed" */
static void fill_cell(char cell[CELL], const struct conform_summary *summary)
{
    const struct {
        int         count;
        const char *what;
    } counts[]  = {{summary->passed, "passed"},
                   {summary->failed, "FAILED"},
                   {summary->unsupported, "not supported"},
                   {summary->not_run, "not run"}};
    size_t used = 0;
    if (summary->passed || summary->failed)
        used = (size_t)snprintf(cell, CELL, "%-7.2g", summary->worst);
    else
        used = (size_t)snprintf(cell, CELL, "%7s", "");
    for (size_t i = 0; i < sizeof counts / sizeof *counts && used < CELL; i++)
        if (counts[i].count)
            used += (size_t)snprintf(cell + used, CELL - used, "%4d %s", counts[i].count, counts[i].what);
}

static void fill_precision(char cell[CELL], const struct conform_summary *summary)
{
    snprintf(cell, CELL, "%s", conform_precision_text(summary));
}

/* Ops down, devices across. */
static scry_status add_table(scry__text *out, const struct conform_run *run, const char *heading,
                             void (*fill)(char cell[CELL], const struct conform_summary *summary))
{
    int                 columns = 1 + run->device_count, rows = 0;
    scry__table_column *column = scry__alloc((size_t)columns, sizeof *column);
    const char        **cells  = scry__alloc((size_t)columns * SCRY_OP_COUNT, sizeof *cells);
    char(*texts)[CELL]         = scry__alloc((size_t)columns * SCRY_OP_COUNT, sizeof *texts);
    scry__terminal terminal    = cli_terminal();
    scry_status    status      = column && cells && texts ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < columns; i++)
        column[i] = (scry__table_column){.heading = i ? run->devices[i - 1].heading : heading, .whole = true};
    for (int kind = 0; !status && kind < SCRY_OP_COUNT; kind++) {
        int chosen = 0;
        for (int i = 0; i < run->row_count; i++) chosen += (int)run->rows[i].row.kind == kind;
        if (!chosen) continue;
        cells[rows * columns] = scry_op_text((scry_op_kind)kind);
        for (int i = 1; i < columns; i++) {
            struct conform_summary summary = conform_summarize(run, &run->devices[i - 1], (scry_op_kind)kind);
            fill(texts[rows * columns + i], &summary);
            cells[rows * columns + i] = texts[rows * columns + i];
        }
        rows++;
    }
    scry__table table = {.column_count = columns, .row_count = rows, .columns = column, .cells = cells};
    if (!status) status = scry__terminal_table(out, &terminal, &table);
    scry__free(column);
    scry__free(cells);
    scry__free(texts);
    return status;
}

/* --- Around them --- */

static void add_devices(scry__text *out, const struct conform_run *run)
{
    for (int i = 0; i < run->device_count; i++) {
        const struct conform_device *device = &run->devices[i];
        scry__text_addf(out, "%s: %s%s%s%s%s\n", device->heading, device->info.description,
                        *device->info.driver ? ", " : "", device->info.driver,
                        device->status && *device->info.name ? "; " : "", device->reason);
        if (run->each_kernel) scry__text_addf(out, "    kernels %s\n", device->kernels);
        cli_add_tuning(out, "    tuning ", &device->tuning);
    }
    for (int i = 0; run->found && i < run->found->count; i++) {
        const scry_device_entry *entry = &run->found->entries[i];
        if (!entry->usable) scry__text_addf(out, "%s: not usable: %s\n", entry->info.name, entry->reason);
    }
    scry__text_adds(out, "\n");
}

static void add_failures(scry__text *out, const struct conform_run *run)
{
    for (int n = 0; n < run->device_count; n++) {
        const struct conform_device *device = &run->devices[n];
        for (int i = 0; i < run->row_count; i++) {
            const scry__case_result *result = &device->outcomes[i].result;
            if (device->outcomes[i].verdict != CONFORM_FAILED) continue;
            scry__text_addf(out, "\nFAILED %s on %s%s%s: %s\n    ", run->rows[i].row.name, device->info.name,
                            *result->kernel ? ", kernel " : "", result->kernel, result->detail);
            conform_add_command(out, run, device, &run->rows[i]);
            scry__text_adds(out, "\n");
        }
    }
}

/* What no device can do, with the first reason that was given. */
static void add_unsupported(scry__text *out, const struct conform_run *run)
{
    for (int n = 0; n < run->device_count; n++)
        for (int kind = 0; kind < SCRY_OP_COUNT; kind++)
            for (int i = 0; i < run->row_count; i++) {
                const struct conform_outcome *outcome = &run->devices[n].outcomes[i];
                if ((int)run->rows[i].row.kind != kind || outcome->verdict != CONFORM_UNSUPPORTED) continue;
                scry__text_addf(out, "\nNot supported: %s\n", outcome->result.detail);
                break;
            }
}

static void add_totals(scry__text *out, const struct conform_run *run)
{
    struct conform_summary all = {0};
    for (int i = 0; i < run->device_count; i++) {
        const struct conform_device *device = &run->devices[i];
        struct conform_summary       one    = conform_summarize(run, device, SCRY_OP_COUNT);
        all.passed += one.passed;
        all.failed += one.failed;
        all.unsupported += one.unsupported;
        all.not_run += one.not_run;
        if (!device->status && !run->stopped && !one.passed && !one.failed)
            scry__text_addf(out, "\nFAILED %s: not one row passed\n", device->heading);
    }
    scry__text_addf(out, "\n%d passed, %d failed, %d not supported", all.passed, all.failed, all.unsupported);
    if (all.not_run) scry__text_addf(out, ", %d not run%s", all.not_run, run->stopped ? " after the failure" : "");
    scry__text_addf(out, " (%s tier, %.1f s)\n", conform_tier_texts[run->tier], run->seconds);
}

scry_status conform_print(const struct conform_run *run)
{
    scry__text text = {0};
    add_devices(&text, run);
    scry_status status = add_table(&text, run, "error/bound", fill_cell);
    scry__text_adds(&text, "\n");
    if (!status) status = add_table(&text, run, "delivered", fill_precision);
    add_unsupported(&text, run);
    add_failures(&text, run);
    add_totals(&text, run);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

scry_status conform_print_rows(const struct conform_run *run)
{
    scry__text text = {0};
    for (int i = 0; i < run->row_count; i++) {
        const scry__case *row = &run->rows[i].row;
        scry__text_addf(&text, "%-5s  %s%s\n", conform_tier_texts[row->tier], row->name,
                        row->benchmark ? "  (benchmark)" : "");
    }
    return cli_print(&text);
}

/* A benchmark's record, and the comparison of two, as tables. See bench_table.h. */
#include "cli/bench_table.h"

#include "cli/sheet.h"

#include <stdio.h>
#include <string.h>

/* --- a record --- */

enum column { ROW, KERNEL, MEDIAN, SPREAD, GFLOPS, GBYTES, ROOF, CORES, COLD, BUILD, LIBRARY, RECORD_COLUMNS };

static const scry__table_column record_columns[RECORD_COLUMNS] = {
    {"row", SCRY__ALIGN_LEFT, true},      {"kernel", SCRY__ALIGN_LEFT, false},   {"median", SCRY__ALIGN_RIGHT, true},
    {"spread", SCRY__ALIGN_RIGHT, true},  {"GFLOP/s", SCRY__ALIGN_RIGHT, true},  {"GB/s", SCRY__ALIGN_RIGHT, true},
    {"of roof", SCRY__ALIGN_RIGHT, true}, {"of cores", SCRY__ALIGN_RIGHT, true}, {"cold", SCRY__ALIGN_RIGHT, true},
    {"build", SCRY__ALIGN_RIGHT, true},   {"library", SCRY__ALIGN_RIGHT, true},
};

static void put_row(struct cli_sheet *sheet, const scry__bench_row *row)
{
    const scry__bench_times *times = &row->times;
    cli_sheet_put(sheet, ROW, "%s", row->name);
    cli_sheet_put(sheet, KERNEL, "%s", row->kernel);
    cli_sheet_put_seconds(sheet, MEDIAN, times->median);
    cli_sheet_put(sheet, SPREAD, "%.1f %%", 100 * (times->high - times->low) / times->median);
    if (row->flops > 0) cli_sheet_put(sheet, GFLOPS, "%.1f", row->flops / times->median * 1e-9);
    cli_sheet_put(sheet, GBYTES, "%.1f", row->bytes / times->median * 1e-9);
    if (row->roof_share > 0) cli_sheet_put(sheet, ROOF, "%.0f %%", 100 * row->roof_share);
    if (row->processor_share > 0) cli_sheet_put(sheet, CORES, "%.0f %%", 100 * row->processor_share);
    cli_sheet_put_seconds(sheet, COLD, row->cold_seconds);
    if (row->programs_built || row->programs_loaded) cli_sheet_put_seconds(sheet, BUILD, row->build_seconds);
    if (*row->library) cli_sheet_put(sheet, LIBRARY, "%.2f (%.2f-%.2f)", row->ratio, row->ratio_low, row->ratio_high);
    sheet->rows++;
}

static void add_device(scry__text *out, const scry__bench_device *device)
{
    scry__text_addf(out, "%s: %s, %s%s%s; opened in %.3g ms\n", device->info.name, device->info.description,
                    *device->info.driver ? device->info.driver : "no driver", *device->kernels ? ", kernels " : "",
                    device->kernels, device->open_seconds * 1e3);
    if (device->tuned)
        scry__text_addf(out, "  tuned: %lld classes of shapes run another kernel than the device would choose\n",
                        (long long)device->tuned);
    if (!(device->peak > 0) && !device->copy_count) return;
    scry__text_adds(out, "  roof: ");
    if (device->peak > 0) scry__text_addf(out, "%.1f GFLOP/s (matmul %s); ", device->peak * 1e-9, device->peak_by);
    for (int64_t i = 0; i < device->copy_count; i++)
        scry__text_addf(out, "%s%.1f GB/s at %.0f MiB", i ? ", " : "copies ", device->copies[i].rate * 1e-9,
                        device->copies[i].bytes / (1 << 20));
    scry__text_adds(out, "\n");
}

enum { OP, QUEUED, ALONE, DISPATCHES, EACH, OVERHEAD_COLUMNS };

static const scry__table_column overhead_columns[OVERHEAD_COLUMNS] = {
    {"small op", SCRY__ALIGN_LEFT, true},    {"among many", SCRY__ALIGN_RIGHT, true},
    {"alone", SCRY__ALIGN_RIGHT, true},      {"dispatches", SCRY__ALIGN_RIGHT, true},
    {"a dispatch", SCRY__ALIGN_RIGHT, true},
};

static scry_status add_overheads(scry__text *out, const scry__terminal *terminal, const scry__bench_device *device)
{
    struct cli_sheet sheet;
    if (!device->overhead_count) return SCRY_OK;
    if (!cli_sheet_create(&sheet, OVERHEAD_COLUMNS, device->overhead_count)) return SCRY_OUT_OF_MEMORY;
    for (int64_t i = 0; i < device->overhead_count; i++, sheet.rows++) {
        const scry__bench_overhead *overhead = &device->overheads[i];
        cli_sheet_put(&sheet, OP, "%s", overhead->row);
        cli_sheet_put_seconds(&sheet, QUEUED, overhead->queued);
        cli_sheet_put_seconds(&sheet, ALONE, overhead->alone);
        if (!(overhead->dispatches > 0)) continue;
        cli_sheet_put(&sheet, DISPATCHES, "%.3g", overhead->dispatches);
        cli_sheet_put_seconds(&sheet, EACH, overhead->queued / overhead->dispatches);
    }
    scry_status status = cli_sheet_add(out, terminal, &sheet, overhead_columns);
    cli_sheet_finish(&sheet);
    scry__text_addf(out, "a wait for nothing: %.3g us\n", device->wait_seconds * 1e6);
    return status;
}

static void add_passes(scry__text *out, const scry__bench_device *device)
{
    for (int64_t i = 0; i < device->pass_count; i++) {
        const scry__bench_pass *pass = &device->passes[i];
        scry__text_addf(out, "pass %s, %lld token%s of %s: %.4g ms (%.4g-%.4g)", pass->name, (long long)pass->tokens,
                        pass->tokens == 1 ? "" : "s", pass->model, pass->times.median * 1e3, pass->times.low * 1e3,
                        pass->times.high * 1e3);
        if (pass->dispatches + pass->barriers + pass->submissions)
            scry__text_addf(out, ", %lld dispatches, %lld barriers, %lld submissions", (long long)pass->dispatches,
                            (long long)pass->barriers, (long long)pass->submissions);
        scry__text_adds(out, "\n");
    }
}

/* What the library of this device's rows is; NULL where none ran. */
static const char *library_of(const scry__bench_record *record, const char *device)
{
    for (int64_t i = 0; i < record->row_count; i++)
        if (*record->rows[i].library && !strcmp(record->rows[i].device, device)) return record->rows[i].library;
    return NULL;
}

/* Where what is in the column "library" is explained, with the inside of "library (OpenBLAS 0.3.21)". */
static void add_library_note(scry__text *out, const char *library)
{
    const char *inside = strchr(library, '(');
    scry__text_adds(out,
                    "library: its time over ours, above 1 where ours is faster, with 10-90 % of alternating blocks");
    if (inside) scry__text_addf(out, "; it is %.*s", (int)strcspn(inside + 1, ")"), inside + 1);
    scry__text_adds(out, "\n");
}

static scry_status add_device_rows(scry__text *out, const scry__terminal *terminal, const scry__bench_record *record,
                                   const scry__bench_device *device)
{
    struct cli_sheet sheet;
    const char      *name = device->info.name, *library = library_of(record, name);
    if (!cli_sheet_create(&sheet, RECORD_COLUMNS, record->row_count + 1)) return SCRY_OUT_OF_MEMORY;
    for (int64_t i = 0; i < record->row_count; i++)
        if (!strcmp(record->rows[i].device, name) && record->rows[i].outcome == SCRY__BENCH_MEASURED)
            put_row(&sheet, &record->rows[i]);
    add_device(out, device);
    scry_status status = cli_sheet_add(out, terminal, &sheet, record_columns);
    cli_sheet_finish(&sheet);
    if (library) add_library_note(out, library);
    for (int64_t i = 0; i < record->row_count; i++) {
        const scry__bench_row *row = &record->rows[i];
        if (strcmp(row->device, name) || row->outcome == SCRY__BENCH_MEASURED) continue;
        scry__text_addf(out, "%s: %s: %s\n", row->name, scry__bench_outcome_text(row->outcome), row->detail);
    }
    if (!status) status = add_overheads(out, terminal, device);
    if (!status) add_passes(out, device);
    return status;
}

scry_status bench_add_record(scry__text *out, const scry__terminal *terminal, const scry__bench_record *record)
{
    scry_status status = SCRY_OK;
    scry__text_addf(out, "scry %s%s%s, %s, on %s, load %.2f%s\n", record->version, *record->commit ? " at " : "",
                    record->commit, record->date, *record->host ? record->host : "an unknown processor", record->load,
                    strcmp(record->clock, "cpu") ? "" : ", in processor time");
    for (int64_t i = 0; i < record->variable_count; i++)
        scry__text_addf(out, "%s=%s %s\n", record->variables[i].name, record->variables[i].value,
                        record->variables[i].removed ? "was set and is left out" : "is set");
    for (int64_t i = 0; !status && i < record->device_count; i++) {
        scry__text_adds(out, "\n");
        status = add_device_rows(out, terminal, record, &record->devices[i]);
    }
    return status ? status : out->status;
}

/* --- a comparison --- */

enum { NAME, DEVICE, BEFORE, AFTER, RATIO, NOISE, MOVE, CHANGE_COLUMNS };

static const scry__table_column change_columns[CHANGE_COLUMNS] = {
    {"row", SCRY__ALIGN_LEFT, true},    {"device", SCRY__ALIGN_LEFT, true}, {"before", SCRY__ALIGN_RIGHT, true},
    {"after", SCRY__ALIGN_RIGHT, true}, {"ratio", SCRY__ALIGN_RIGHT, true}, {"noise", SCRY__ALIGN_RIGHT, true},
    {"", SCRY__ALIGN_LEFT, true},
};

static void put_side(struct cli_sheet *sheet, int column, const scry__bench_row *row)
{
    if (!row)
        cli_sheet_put(sheet, column, "not there");
    else if (row->outcome != SCRY__BENCH_MEASURED)
        cli_sheet_put(sheet, column, "%s", scry__bench_outcome_text(row->outcome));
    else
        cli_sheet_put_seconds(sheet, column, row->times.median);
}

static void put_change(struct cli_sheet *sheet, const scry__bench_change *change)
{
    const scry__bench_row *row = change->after ? change->after : change->before;
    cli_sheet_put(sheet, NAME, "%s", row->name);
    cli_sheet_put(sheet, DEVICE, "%s", row->device);
    put_side(sheet, BEFORE, change->before);
    put_side(sheet, AFTER, change->after);
    if (change->move != SCRY__BENCH_APART) {
        cli_sheet_put(sheet, RATIO, "%.3f", change->ratio);
        cli_sheet_put(sheet, NOISE, "%.1f %%", 100 * change->noise);
    }
    if (change->move == SCRY__BENCH_FASTER || change->move == SCRY__BENCH_SLOWER)
        cli_sheet_put(sheet, MOVE, "%s", scry__bench_move_text(change->move));
    sheet->rows++;
}

static void add_differences(scry__text *out, const scry__bench_comparison *comparison)
{
    const scry__bench_record *before = comparison->before, *after = comparison->after;
    if (strcmp(before->clock, after->clock))
        scry__text_addf(out, "Another clock: %s, now %s\n", before->clock, after->clock);
    if (strcmp(before->host, after->host))
        scry__text_addf(out, "Another processor: %s, now %s\n", before->host, after->host);
    for (int64_t i = 0; i < after->device_count; i++) {
        const scry_device_info   *now = &after->devices[i].info;
        const scry__bench_device *old = scry__bench_device_find(before, now->name);
        if (!old || (!strcmp(old->info.description, now->description) && !strcmp(old->info.driver, now->driver)))
            continue;
        scry__text_addf(out, "Another %s: %s, %s, now %s, %s\n", now->name, old->info.description, old->info.driver,
                        now->description, now->driver);
    }
}

scry_status bench_add_comparison(scry__text *out, const scry__terminal *terminal,
                                 const scry__bench_comparison *comparison)
{
    struct cli_sheet sheet;
    if (!cli_sheet_create(&sheet, CHANGE_COLUMNS, comparison->count + 1)) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < comparison->count; i++) put_change(&sheet, &comparison->changes[i]);
    scry__text_addf(out, "\nBeside %s%s%s of %s\n", comparison->before->version,
                    *comparison->before->commit ? " at " : "", comparison->before->commit, comparison->before->date);
    add_differences(out, comparison);
    scry_status status = cli_sheet_add(out, terminal, &sheet, change_columns);
    cli_sheet_finish(&sheet);
    scry__text_addf(out, "%d faster, %d slower, %d within the noise, %d not measured on both sides\n",
                    comparison->faster, comparison->slower,
                    comparison->count - comparison->faster - comparison->slower - comparison->apart, comparison->apart);
    return status ? status : out->status;
}

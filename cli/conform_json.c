/* The results of `scry conform` as JSON; docs/json.md describes the keys. */
#include "cli/conform.h"

#include "base/alloc.h"
#include "report/json_parts.h"

#include <math.h>
#include <stdio.h>

/* Seeds have 64 bits, more than readers of JSON keep in a number. */
static void set_seed(scry__json_builder *builder, json_t *object, uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    scry__json_set_text(builder, object, "seed", text);
}

static void set_counts(scry__json_builder *builder, json_t *object, const struct conform_summary *summary)
{
    scry__json_set_int(builder, object, "passed", summary->passed);
    scry__json_set_int(builder, object, "failed", summary->failed);
    scry__json_set_int(builder, object, "not_supported", summary->unsupported);
    scry__json_set_int(builder, object, "not_run", summary->not_run);
}

static json_t *op_object(scry__json_builder *builder, const struct conform_run *run,
                         const struct conform_device *device, scry_op_kind kind)
{
    struct conform_summary summary = conform_summarize(run, device, kind);
    const char            *name    = conform_precision_text(&summary);
    bool                   ran     = *name != 0;
    json_t                *object  = scry__json_new_object(builder);
    scry__json_set_text(builder, object, "op", scry_op_text(kind));
    set_counts(builder, object, &summary);
    scry__json_set_number(builder, object, "worst", ran ? summary.worst : (double)NAN);
    scry__json_set_text(builder, object, "precision", ran ? name : NULL);
    scry__json_set_number(builder, object, "delivered", ran ? summary.delivered : (double)NAN);
    return object;
}

static json_t *row_object(scry__json_builder *builder, const struct conform_run *run,
                          const struct conform_device *device, int index)
{
    static const char *const      outcomes[] = {"not run", "passed", "failed", "not supported"};
    const struct conform_row     *row        = &run->rows[index];
    const struct conform_outcome *outcome    = &device->outcomes[index];
    const scry__case_result      *result     = &outcome->result;
    bool                          ran        = outcome->verdict == CONFORM_PASSED || outcome->verdict == CONFORM_FAILED;
    scry__text                    command    = {0};
    json_t                       *object     = scry__json_new_object(builder);
    conform_add_command(&command, run, device, row);
    if (command.status) builder->status = command.status;
    scry__json_set_text(builder, object, "name", row->row.name);
    scry__json_set_text(builder, object, "op", scry_op_text(row->row.kind));
    scry__json_set_text(builder, object, "tier", conform_tier_texts[row->row.tier]);
    set_seed(builder, object, conform_seed(run, row));
    scry__json_set_text(builder, object, "outcome", outcomes[outcome->verdict]);
    scry__json_set_text(builder, object, "detail", *result->detail ? result->detail : NULL);
    scry__json_set_text(builder, object, "kernel", *result->kernel ? result->kernel : NULL);
    scry__json_set_int(builder, object, "compared", result->compared);
    scry__json_set_number(builder, object, "worst", ran ? result->worst : (double)NAN);
    scry__json_set_text(builder, object, "output", *result->output ? result->output : NULL);
    scry__json_set_number(builder, object, "delivered", ran ? result->delivered : (double)NAN);
    scry__json_set_number(builder, object, "seconds", outcome->seconds);
    scry__json_set_text(builder, object, "command", command.data);
    scry__text_finish(&command);
    return object;
}

static json_t *device_object(scry__json_builder *builder, const struct conform_run *run,
                             const struct conform_device *device)
{
    struct conform_summary summary = conform_summarize(run, device, SCRY_OP_COUNT);
    json_t                *object = scry__json_new_object(builder), *ops = scry__json_new_array(builder);
    json_t                *rows = scry__json_new_array(builder);
    scry_device_info       info = device->info;
    if (!*info.name) snprintf(info.name, sizeof info.name, "%.31s", device->name);
    scry__json_add_device(builder, object, &info);
    scry__json_set_text(builder, object, "kernels", *device->kernels ? device->kernels : NULL);
    scry__json_set(builder, object, "tuning", scry__json_tuning(builder, &device->tuning));
    scry__json_set_text(builder, object, "status", scry_status_text(device->status));
    scry__json_set_text(builder, object, "reason", device->status ? device->reason : NULL);
    set_counts(builder, object, &summary);
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        bool chosen = false;
        for (int i = 0; i < run->row_count; i++) chosen = chosen || (int)run->rows[i].row.kind == kind;
        if (chosen) scry__json_append(builder, ops, op_object(builder, run, device, (scry_op_kind)kind));
    }
    for (int i = 0; i < run->row_count; i++)
        if (device->outcomes[i].verdict != CONFORM_LEFT_OUT)
            scry__json_append(builder, rows, row_object(builder, run, device, i));
    scry__json_set(builder, object, "ops", ops);
    scry__json_set(builder, object, "rows", rows);
    return object;
}

scry_status conform_json(json_t **out, const struct conform_run *run)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.conform/1", NULL);
    json_t            *devices = scry__json_new_array(&builder);
    scry__json_set_text(&builder, object, "tier", conform_tier_texts[run->tier]);
    scry__json_set_text(&builder, object, "kernels", run->kernels);
    scry__json_set_number(&builder, object, "seconds", run->seconds);
    for (int i = 0; i < run->device_count; i++)
        scry__json_append(&builder, devices, device_object(&builder, run, &run->devices[i]));
    scry__json_set(&builder, object, "devices", devices);
    return scry__json_finish(&builder, object, out);
}

scry_status conform_json_rows(json_t **out, const struct conform_run *run)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.cases/1", NULL);
    json_t            *rows    = scry__json_new_array(&builder);
    for (int i = 0; i < run->row_count; i++) {
        const scry__case *row  = &run->rows[i].row;
        json_t           *line = scry__json_new_object(&builder);
        scry__json_set_text(&builder, line, "name", row->name);
        scry__json_set_text(&builder, line, "op", scry_op_text(row->kind));
        scry__json_set_text(&builder, line, "tier", conform_tier_texts[row->tier]);
        scry__json_set_bool(&builder, line, "relation", run->rows[i].relation);
        scry__json_set_bool(&builder, line, "benchmark", row->benchmark);
        set_seed(&builder, line, conform_seed(run, &run->rows[i]));
        scry__json_append(&builder, rows, line);
    }
    scry__json_set(&builder, object, "rows", rows);
    return scry__json_finish(&builder, object, out);
}

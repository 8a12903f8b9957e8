/* scry devices: backends and devices, and why one is not usable. */
#include "cli/command.h"
#include "cli/output.h"

#include "base/text.h"
#include "report/json_out.h"
#include "report/terminal.h"

#include <stdio.h>

static void print_bytes(scry__text *out, const char *what, uint64_t bytes)
{
    if (bytes) scry__text_addf(out, "    %-16s %.1f MiB\n", what, (double)bytes / (1 << 20));
}

/* As --kernels takes them: one line for each op that has several. */
static void print_kernels(scry__text *out, const scry_device_entry *entry)
{
    const char *what = "kernels";
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        if (!*entry->kernels[kind]) continue;
        scry__text_addf(out, "    %-16s %s = ", what, scry_op_text((scry_op_kind)kind));
        for (const char *at = entry->kernels[kind]; *at; at++) scry__text_addf(out, *at == ',' ? ", " : "%c", *at);
        scry__text_addf(out, "\n");
        what = "";
    }
}

static void print_entry(scry__text *out, const scry_device_entry *entry, bool verbose)
{
    const scry_device_info *info = &entry->info;
    scry__text_addf(out, "%-14s %-10s %s%s%s\n", info->name, entry->usable ? "usable" : "not usable", info->description,
                    *info->description && *entry->reason ? ": " : "", entry->reason);
    if (!verbose || !*info->description) return;
    scry__text_addf(out, "    %-16s %s\n    %-16s %s\n    %-16s %d\n", "type", scry_device_type_text(info->type),
                    "driver", *info->driver ? info->driver : "none", "score", info->score);
    print_bytes(out, "memory", info->memory_bytes);
    print_bytes(out, "largest binding", info->max_buffer_bytes);
    if (info->shared_bytes) scry__text_addf(out, "    %-16s %u B\n", "shared memory", info->shared_bytes);
    if (info->subgroup_size) scry__text_addf(out, "    %-16s %u\n", "subgroup", info->subgroup_size);
    if (info->compute_units) scry__text_addf(out, "    %-16s %u\n", "compute units", info->compute_units);
    for (int i = 0; i < entry->property_count; i++)
        scry__text_addf(out, "    %-16s %s\n", entry->properties[i].name, entry->properties[i].value);
    print_kernels(out, entry);
    cli_add_tuning(out, "    tuning           ", &entry->tuning);
}

static scry_status run(void *state, const char *unused)
{
    const struct cli_common *common = state;
    scry_device_list        *list   = NULL;
    json_t                  *object = NULL;
    scry__text               text   = {0};
    scry_status              status = scry_devices_find(&list);
    (void)unused;
    if (status) return status;
    if (common->json) {
        status = scry__json_devices(&object, list);
        if (!status) status = cli_print_json(object);
    } else {
        for (int i = 0; i < list->count; i++) print_entry(&text, &list->entries[i], common->verbose);
        status = cli_print(&text);
    }
    scry_devices_destroy(&list);
    return status;
}

int cli_devices(int argc, char **argv)
{
    struct cli_common       common    = {0};
    const struct cli_option options[] = {
        {0, "json", CLI_FLAG, &common.json, NULL, "one JSON object on stdout", 0, 0},
        {'q', "quiet", CLI_FLAG, &common.quiet, NULL, "no notes", 0, 0},
        {'v', "verbose", CLI_FLAG, &common.verbose, NULL, "limits, kernels and tuning of each device", 0, 0},
    };
    const struct cli_syntax syntax = {
        .usage = "scry devices [options]",
        .about = "Lists every backend and device in order of preference, runs the self-test of each, and says why one "
                 "is not\n"
                 "usable or was not chosen. Plugins are looked for in $SCRY_PLUGIN_PATH and beside the program.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
    };
    return cli_main(&syntax, &common, argc, argv, run, &common);
}

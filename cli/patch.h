/* Between patch.c (one pair of prompts), patch_pairs.c (a file of them) and what shows both: patch_show.c and
 * patch_page.c. */
#ifndef SCRY_CLI_PATCH_H
#define SCRY_CLI_PATCH_H

#include "cli/command.h"
#include "cli/output.h"
#include "cli/pair.h"

struct patch {
    struct cli_common   common;
    scry_patch_options  options;
    struct cli_pair     prompts;
    const char         *direction, *method, *kinds, *metric_name; /* as given */
    const char         *output, *pairs;
    scry_patch_metric   metric;
    bool                directions[SCRY_PATCH_DIRECTION_COUNT]; /* asked for */
    struct cli_progress progress;
};

/* Runs a pair in every direction asked for: *count results, each to be destroyed. Where it fails, none are there. */
scry_status patch_run(struct patch *patch, const char *clean, const char *corrupt,
                      scry_patching *results[SCRY_PATCH_DIRECTION_COUNT], int *count);

/* The pairs of --pairs, and what their mean is. */
scry_status patch_run_pairs(struct patch *patch);

scry_status patch_print(const struct patch *patch, scry_patching *const *results, int count);
scry_status patch_draw(const struct patch *patch, scry_patching *const *results, int count);
scry_status patch_write_page(const struct patch *patch, scry_patching *const *results, int count);
scry_status patch_print_summary(const struct patch *patch, const scry_patch_summary *summary);
scry_status patch_draw_summary(const struct patch *patch, const scry_patch_summary *summary);
scry_status patch_write_summary_page(const struct patch *patch, const scry_patch_summary *summary);

/* Is the output a JSON file, or a page? Else it is a picture. */
bool patch_writes_json(const struct patch *patch);
bool patch_writes_page(const struct patch *patch);
/* The object goes to the file, if it is to be one, and to stdout with --json; it is released. */
scry_status patch_put_json(const struct patch *patch, json_t *object);

#endif

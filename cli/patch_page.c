/* Activation patching as an HTML page. See patch.h. */
#include "cli/page.h"
#include "cli/patch.h"

#include "report/json_patching.h"

#include <stdio.h>

static scry_status name_page(scry__text *title, const struct patch *patch)
{
    for (int i = 0; i < patch->prompts.argument_count; i++)
        scry__text_addf(title, "%s%s", i ? " beside " : "", patch->prompts.arguments[i]);
    return title->status;
}

static scry_status write_page(const struct patch *patch, struct scry__report *page)
{
    char date[CLI_DATE_SIZE];
    cli_page_origin(page, patch->common.model, date);
    scry_status status = scry__html_write(patch->output, page);
    if (!status && !patch->common.quiet) fprintf(stderr, "scry: the patching is in %s\n", patch->output);
    return status;
}

scry_status patch_write_page(const struct patch *patch, scry_patching *const *results, int count)
{
    const scry_tokens       *tokens = results[0]->clean.tokens;
    const scry_lens_options  lensed = {.ids = tokens->ids, .id_count = tokens->count, .top = 10};
    scry__text               title  = {0};
    scry_lens               *lens   = NULL;
    struct scry__report_part part   = {.key = "patching"};
    scry_status              status = scry_lens_run(&lens, patch->common.model, NULL, &lensed);
    if (!status) status = scry__json_patching(&part.object, results, count, NULL);
    if (!status) status = name_page(&title, patch);
    struct scry__report page = {.title      = title.data,
                                .prompt     = patch->prompts.arguments[0],
                                .tokens     = tokens,
                                .lens       = lens,
                                .part_count = 1,
                                .parts      = &part};
    if (!status) status = write_page(patch, &page);
    json_decref(part.object);
    scry_lens_destroy(&lens);
    scry__text_finish(&title);
    return status;
}

scry_status patch_write_summary_page(const struct patch *patch, const scry_patch_summary *summary)
{
    scry__text               title  = {0};
    struct scry__report_part part   = {.key = "patching_pairs"};
    scry_status              status = scry__json_patch_summary(&part.object, summary, NULL);
    scry__text_addf(&title, "%d pairs of %s", summary->pair_count, cli_base_name(patch->pairs));
    if (!status) status = title.status;
    struct scry__report page = {.title = title.data, .part_count = 1, .parts = &part};
    if (!status) status = write_page(patch, &page);
    json_decref(part.object);
    scry__text_finish(&title);
    return status;
}

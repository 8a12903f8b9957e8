/* What commands over two prompts share. See pair.h. */
#include "cli/pair.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"

#include <string.h>

scry_status cli_pair_check(scry_patch_options *options)
{
    options->has_position = options->position >= 0;
    scry_status status    = cli_check_token(&options->answer, "answer");
    return status ? status : cli_check_token(&options->wrong, "wrong");
}

scry_status cli_pair_check_prompts(const struct cli_pair *pair)
{
    int ids = (pair->ids_text[0] != NULL) + (pair->ids_text[1] != NULL);
    if (pair->argument_count + ids == 2 && ids != 1) return SCRY_OK;
    return cli_bad("%d texts and %d lists of ids: expected CLEAN and CORRUPT, or --clean-ids and --corrupt-ids",
                   pair->argument_count, ids);
}

scry_status cli_pair_read(struct cli_pair *pair, scry_patch_options *options)
{
    int        *counts[] = {&options->clean_id_count, &options->corrupt_id_count};
    scry_status status   = SCRY_OK;
    for (int i = 0; i < 2 && !status; i++)
        if (pair->ids_text[i])
            status = cli_parse_ids(i ? "corrupt-ids" : "clean-ids", pair->ids_text[i], &pair->ids[i], counts[i]);
    options->clean_ids   = pair->ids[0];
    options->corrupt_ids = pair->ids[1];
    return status;
}

void cli_pair_finish(struct cli_pair *pair)
{
    for (int i = 0; i < 2; i++) scry__free(pair->ids[i]);
}

scry_status cli_pair_method(scry_patch_method *method, const char *name)
{
    *method = SCRY_PATCH_METHOD_EXACT;
    if (!name) return SCRY_OK;
    for (int i = 0; i < SCRY_PATCH_METHOD_COUNT; i++) {
        *method = (scry_patch_method)i;
        if (!strcmp(name, scry_patch_method_text(*method))) return SCRY_OK;
    }
    return cli_bad("--method \"%s\": expected exact, estimate or both", name);
}

scry_status cli_pair_metric(scry_patch_metric *metric, const char *name, scry_patch_method method)
{
    scry__text all = {0};
    for (int i = 0; i < SCRY_PATCH_METRIC_COUNT; i++) {
        *metric = (scry_patch_metric)i;
        if (!scry_patch_method_gives(method, *metric)) continue;
        if (!strcmp(name, scry_patch_metric_text(*metric))) {
            scry__text_finish(&all);
            return SCRY_OK;
        }
        scry__text_addf(&all, "%s%s", all.size ? ", " : "", scry_patch_metric_text(*metric));
    }
    scry_status status = cli_bad("--metric \"%s\": expected one of %s", name, all.status ? "" : all.data);
    scry__text_finish(&all);
    return status;
}

/* --- both runs as they are --- */

enum { RUN, ANSWER, WRONG, DIFFERENCE, PROBABILITY, COLUMN_COUNT };
static const scry__table_column columns[] = {
    [RUN]         = {"run", SCRY__ALIGN_LEFT, true},
    [ANSWER]      = {"answer", SCRY__ALIGN_RIGHT, true},
    [WRONG]       = {"wrong", SCRY__ALIGN_RIGHT, true},
    [DIFFERENCE]  = {"difference", SCRY__ALIGN_RIGHT, true},
    [PROBABILITY] = {"p(answer)", SCRY__ALIGN_RIGHT, true},
};

static void put_side(struct cli_sheet *sheet, const char *name, const scry_patch_side *side)
{
    cli_sheet_put(sheet, RUN, "%s", name);
    cli_sheet_put(sheet, ANSWER, "%.3f", (double)side->answer.logit);
    cli_sheet_put(sheet, WRONG, "%.3f", (double)side->wrong.logit);
    cli_sheet_put(sheet, DIFFERENCE, "%+.3f", (double)side->logit_difference);
    cli_sheet_put(sheet, PROBABILITY, "%.4g", (double)side->answer.probability);
    sheet->rows++;
}

scry_status cli_pair_add_sides(scry__text *out, const scry_patching *pair)
{
    scry__terminal   terminal = cli_terminal();
    struct cli_sheet sheet;
    if (!cli_sheet_create(&sheet, COLUMN_COUNT, 2)) return SCRY_OUT_OF_MEMORY;
    scry__text_adds(out, "Answer ");
    scry__label_add(out, pair->clean.answer.text);
    scry__text_adds(out, ", wrong ");
    scry__label_add(out, pair->clean.wrong.text);
    scry__text_adds(out, "; logits, and their difference:\n");
    put_side(&sheet, "clean", &pair->clean);
    put_side(&sheet, "corrupt", &pair->corrupt);
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

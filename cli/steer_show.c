/* What scry steer prints. See steer.h. */
#include "cli/sheet.h"
#include "cli/steer.h"

#include <math.h>

static void add_prompt_list(scry__text *out, const char *sign, const struct cli_list *texts)
{
    for (int i = 0; i < texts->count; i++) {
        scry__text_addf(out, "%s \"", i ? "," : sign);
        scry__label_prose(out, texts->items[i]);
        scry__text_adds(out, "\"");
    }
}

void steer_describe(scry__text *out, const struct steer *steer)
{
    const scry_steering *result = steer->result;
    scry_range           at     = result->positions;
    scry__text_adds(out, "Vector:");
    if (steer->vector_path) {
        scry__text_addf(out, " %s", steer->vector_path);
    } else {
        add_prompt_list(out, "", &steer->plus);
        add_prompt_list(out, "", &steer->plus_ids);
        add_prompt_list(out, " less", &steer->minus);
        add_prompt_list(out, " less", &steer->minus_ids);
    }
    scry__text_addf(out, "\nof length %.4g, where the stream has %.4g; added to blocks.%d.hook_%s at ", result->length,
                    result->stream, result->layer, scry_steer_site_text(result->site));
    switch (result->reach) {
    case SCRY_STEER_REACH_RANGE:
        scry__text_addf(out, at.end ? "positions %d to %d" : "positions from %d on", at.begin, at.end - 1);
        break;
    case SCRY_STEER_REACH_LAST:
        scry__text_adds(out, "the prompt's last position");
        break;
    default:
        scry__text_addf(out, "%s positions", scry_steer_reach_text(result->reach));
    }
}

/* Share of the stream below which a vector from prompts is worth a remark. */
#define SHORT 0.1

static void add_remark(scry__text *out, const struct steer *steer)
{
    const scry_steering *result = steer->result;
    if (steer->vector_path || result->length >= SHORT * result->stream) return;
    scry__text_addf(out,
                    "\nThat is %.2g %% of the stream: the prompts hardly differ there. scry patch tells where they "
                    "do; --layer and --pool mean look elsewhere.",
                    100 * result->length / result->stream);
}

static void add_continuation(scry__text *out, const struct steer *steer, const char *text,
                             const scry_generation *generation)
{
    scry__label_prose(out, text ? text : "...");
    scry__text_adds(out, "|");
    scry__label_prose(out, generation->text);
    scry__text_addf(out, steer->common.verbose ? " (%s)\n" : "\n", generation->stop_reason);
}

/* How far the prediction moved at each strength, beside what random vectors do. */
static scry_status add_distances(scry__text *out, const struct steer *steer)
{
    enum { STRENGTH, KL, RANDOM, COUNT };
    static const scry__table_column columns[] = {
        {"strength", SCRY__ALIGN_RIGHT, true}, {"KL", SCRY__ALIGN_RIGHT, true}, {"random", SCRY__ALIGN_RIGHT, true}};
    const scry_steering *result   = steer->result;
    scry__terminal       terminal = cli_terminal();
    struct cli_sheet     sheet;
    if (!cli_sheet_create(&sheet, COUNT, result->count)) return SCRY_OUT_OF_MEMORY;
    for (; sheet.rows < result->count; sheet.rows++) {
        const scry_steered *run = &result->runs[sheet.rows];
        cli_sheet_put(&sheet, STRENGTH, "%g", (double)run->strength);
        cli_sheet_put(&sheet, KL, "%.4f", (double)run->kl);
        cli_sheet_put(&sheet, RANDOM, "%.4f", (double)run->random_kl);
    }
    scry__text_addf(out,
                    "\nHow far the %s prediction moves, in nats, and how far random vectors of that length "
                    "move it:\n",
                    result->step ? "second" : "first");
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

static void put_shift(struct cli_sheet *sheet, const char *what, double strength, const scry_shift *shift)
{
    enum { WHAT, STRENGTH, TOKEN, BEFORE, AFTER };
    cli_sheet_put(sheet, WHAT, "%s", what);
    cli_sheet_put(sheet, STRENGTH, "%g", strength);
    cli_sheet_put_token(sheet, TOKEN, shift->text);
    cli_sheet_put(sheet, BEFORE, "%.4f", (double)shift->before);
    cli_sheet_put(sheet, AFTER, "%.4f", (double)shift->after);
    sheet->rows++;
}

/* Which tokens become likelier there, and which less likely. */
static scry_status add_shifts(scry__text *out, const struct steer *steer)
{
    static const scry__table_column columns[] = {{"", SCRY__ALIGN_LEFT, true},
                                                 {"strength", SCRY__ALIGN_RIGHT, true},
                                                 {"token", SCRY__ALIGN_LEFT, false},
                                                 {"without", SCRY__ALIGN_RIGHT, true},
                                                 {"with", SCRY__ALIGN_RIGHT, true}};
    const scry_steering            *result    = steer->result;
    scry__terminal                  terminal  = cli_terminal();
    int                             rows      = 0;
    struct cli_sheet                sheet;
    for (int i = 0; i < result->count; i++) rows += result->runs[i].rise_count + result->runs[i].fall_count;
    if (!rows) return SCRY_OK;
    if (!cli_sheet_create(&sheet, sizeof columns / sizeof *columns, rows)) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->count; i++) {
        const scry_steered *run = &result->runs[i];
        for (int j = 0; j < run->rise_count; j++)
            put_shift(&sheet, j ? "" : "rises", (double)run->strength, &run->rises[j]);
        for (int j = 0; j < run->fall_count; j++)
            put_shift(&sheet, j ? "" : "falls", (double)run->strength, &run->falls[j]);
    }
    scry__text_adds(out, "\nTokens whose probability there changes most:\n");
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

scry_status steer_print(const struct steer *steer, const char *text)
{
    const scry_steering *result = steer->result;
    scry__text           out    = {0};
    scry_status          status = SCRY_OK;
    steer_describe(&out, steer);
    add_remark(&out, steer);
    cli_add_edits(&out, "\n", &steer->common, "");
    scry__text_adds(&out, "\n\n");
    scry__text_addf(&out, "%9s  ", "without");
    add_continuation(&out, steer, text, result->plain);
    for (int i = 0; i < result->count; i++) {
        scry__text_addf(&out, "%9g  ", (double)result->runs[i].strength);
        add_continuation(&out, steer, text, result->runs[i].generation);
    }
    if (result->count && !isnan(result->runs[0].kl)) {
        status = add_distances(&out, steer);
        if (!status) status = add_shifts(&out, steer);
    }
    if (!status) return cli_print(&out);
    scry__text_finish(&out);
    return status;
}

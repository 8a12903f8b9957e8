/* scry ablate: what a model says without each of its parts, in the terminal or as a picture. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "report/ablation_picture.h"
#include "report/json_ablation.h"
#include "trace/edit_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ablate {
    struct cli_common     common;
    scry_ablation_options options;
    const char           *ways, *measure_text, *prompts, *output;
    scry_ablation_measure measure;
    int                   top; /* parts shown of each way */
    bool                  all;
    scry_ablation        *result;
    struct cli_progress   progress;
};

/* --- tables --- */

enum { PART, LOGIT, LOG_PROBABILITY, LOSS, KL, COLUMN_COUNT };
static const scry__table_column columns[] = {
    [PART]            = {"without", SCRY__ALIGN_LEFT, true},
    [LOGIT]           = {"logit", SCRY__ALIGN_RIGHT, true},
    [LOG_PROBABILITY] = {"log-prob.", SCRY__ALIGN_RIGHT, true},
    [LOSS]            = {"loss", SCRY__ALIGN_RIGHT, true},
    [KL]              = {"KL", SCRY__ALIGN_RIGHT, true},
};

/* A part with the size of what it is ranked by. */
struct rank {
    const scry_ablated *ablated;
    float               size;
};

static int by_size(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x->ablated < y->ablated ? -1 : x->ablated > y->ablated;
}

/* The parts of one way, those that matter most first; *count is how many. */
static struct rank *rank_parts(const struct ablate *ablate, scry_ablation_way way, int *count)
{
    const scry_ablation *result = ablate->result;
    struct rank         *ranks  = scry__alloc((size_t)result->count, sizeof *ranks);
    *count                      = 0;
    for (int i = 0; ranks && i < result->count; i++) {
        const scry_ablated *one  = &result->ablated[i];
        float               size = fabsf(scry_ablated_value(one, ablate->measure));
        if (one->way == way) ranks[(*count)++] = (struct rank){one, isnan(size) ? INFINITY : size};
    }
    if (ranks) qsort(ranks, (size_t)*count, sizeof *ranks, by_size);
    return ranks;
}

static void put_part(struct cli_sheet *sheet, const scry_ablated *one)
{
    if (one->head >= 0)
        cli_sheet_put(sheet, PART, "%s %d.%d", scry_ablation_part_text(one->part), one->layer, one->head);
    else
        cli_sheet_put(sheet, PART, "%s %d", scry_ablation_part_text(one->part), one->layer);
    cli_sheet_put(sheet, LOGIT, "%+.3f", (double)one->logit);
    cli_sheet_put(sheet, LOG_PROBABILITY, "%+.3g", (double)one->log_probability);
    if (!isnan(one->loss)) cli_sheet_put(sheet, LOSS, "%+.3g", (double)one->loss);
    cli_sheet_put(sheet, KL, "%.3g", (double)one->kl);
    sheet->rows++;
}

static void add_way(scry__text *out, const scry_ablation *result, scry_ablation_way way)
{
    switch (way) {
    case SCRY_ABLATION_WAY_MEAN:
        scry__text_adds(out, "\nBy the mean over all positions of ");
        if (result->mean_count)
            scry__text_addf(out, "%d prompt%s", result->mean_count, result->mean_count == 1 ? "" : "s");
        else
            scry__text_adds(out, "this prompt");
        break;
    case SCRY_ABLATION_WAY_RESAMPLE:
        scry__text_adds(out, "\nBy what stands there in \"");
        scry__label_prose(out, result->resampled);
        scry__text_adds(out, "\"");
        break;
    default:
        scry__text_adds(out, "\nBy zero");
    }
}

static scry_status add_parts(scry__text *out, const struct ablate *ablate, scry_ablation_way way)
{
    scry__terminal   terminal = cli_terminal();
    int              count;
    struct rank     *ranks  = rank_parts(ablate, way, &count);
    int              shown  = ablate->all || ablate->top > count ? count : ablate->top;
    struct cli_sheet sheet  = {0};
    scry_status      status = ranks && cli_sheet_create(&sheet, COLUMN_COUNT, shown) ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < shown; i++) put_part(&sheet, ranks[i].ablated);
    add_way(out, ablate->result, way);
    if (shown < count)
        scry__text_addf(out, " (the %d of %d that matter most; --all shows the others too)", shown, count);
    scry__text_adds(out, ":\n");
    if (!status) status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    scry__free(ranks);
    return status;
}

static scry_status print_tables(const struct ablate *ablate)
{
    const scry_ablation *result = ablate->result;
    scry__text           text   = {0};
    scry_status          status = SCRY_OK;
    scry__text_addf(&text, "Position %d ", result->position);
    scry__label_add(&text, result->tokens->texts[result->position]);
    cli_add_candidate(&text, " and the next token", &result->answer);
    if (result->has_wrong) cli_add_candidate(&text, "less", &result->wrong);
    if (!isnan(result->loss))
        scry__text_addf(&text, "The loss over the prompt's %d tokens: %.3f\n", result->tokens->count,
                        (double)result->loss);
    scry__text_addf(&text, "logit%s, log-prob., loss, KL: what changes without the part",
                    result->has_wrong ? " difference" : "");
    if (result->at >= 0) scry__text_addf(&text, " at position %d", result->at);
    scry__text_adds(&text, " (+: it rises)\n");
    for (int way = 0; !status && way < SCRY_ABLATION_WAY_COUNT; way++)
        if (result->ways >> way & 1) status = add_parts(&text, ablate, (scry_ablation_way)way);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

/* --- the command --- */

static scry_status print_result(const struct ablate *ablate)
{
    const scry_ablation *result = ablate->result;
    scry_status          status = SCRY_OK;
    if (ablate->output) status = scry__ablation_picture_write(ablate->output, result, ablate->measure);
    if (!status && ablate->output && !ablate->common.quiet)
        fprintf(stderr, "scry: %d ablations in %s\n", result->count, ablate->output);
    if (!status && ablate->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&ablate->common);
        status                   = scry__json_ablation(&object, result, &source);
        if (!status) status = cli_print_json(object);
    }
    if (!status && !ablate->common.json && !ablate->output) status = print_tables(ablate);
    return status;
}

/* The way of that name; SCRY_ABLATION_WAY_COUNT where there is none. */
static int find_way(const char *name, size_t length)
{
    int way = 0;
    for (; way < SCRY_ABLATION_WAY_COUNT; way++) {
        const char *text = scry_ablation_way_text((scry_ablation_way)way);
        if (strlen(text) == length && !strncmp(text, name, length)) break;
    }
    return way;
}

/* --by zero,mean or all: as far as there are prompts. */
static scry_status choose_ways(struct ablate *ablate)
{
    unsigned   *ways = &ablate->options.ways, resample = 1U << SCRY_ABLATION_WAY_RESAMPLE;
    const char *text = ablate->ways ? ablate->ways : "zero", *at = text;
    size_t      length;
    if (!strcmp(text, "all")) {
        *ways = (1U << SCRY_ABLATION_WAY_COUNT) - 1 - (ablate->prompts ? 0 : resample);
        return SCRY_OK;
    }
    do {
        length  = strcspn(at, ",");
        int way = find_way(at, length);
        if (way == SCRY_ABLATION_WAY_COUNT)
            return cli_bad("--by \"%s\": expected zero, mean, resample, several with commas between, or all", text);
        *ways |= 1U << way;
        at += length + 1;
    } while (at[-1]);
    if (*ways & resample && !ablate->prompts)
        return cli_bad("--by resample: expected --prompts FILE too, from which one is drawn");
    return SCRY_OK;
}

static scry_status choose_measure(struct ablate *ablate)
{
    bool has_wrong  = ablate->options.wrong.text || ablate->options.wrong.has_id;
    ablate->measure = has_wrong ? SCRY_ABLATION_MEASURE_LOGIT : SCRY_ABLATION_MEASURE_LOG_PROBABILITY;
    if (!ablate->measure_text) return SCRY_OK;
    for (int measure = 0; measure < SCRY_ABLATION_MEASURE_COUNT; measure++) {
        ablate->measure = (scry_ablation_measure)measure;
        if (!strcmp(ablate->measure_text, scry_ablation_measure_text(ablate->measure))) break;
        if (measure + 1 == SCRY_ABLATION_MEASURE_COUNT)
            return cli_bad("--measure \"%s\": expected logit, log-probability, loss or kl", ablate->measure_text);
    }
    if (ablate->measure == SCRY_ABLATION_MEASURE_LOSS && ablate->options.skip_loss)
        return cli_bad("--measure loss and --no-loss were given together: expected one of them");
    return SCRY_OK;
}

static scry_status check(struct ablate *ablate)
{
    scry_ablation_options *options = &ablate->options;
    options->has_position          = options->position >= 0;
    options->has_at                = options->at >= 0;
    scry_status status             = cli_check_token(&options->answer, "answer");
    if (!status) status = cli_check_token(&options->wrong, "wrong");
    if (!status) status = choose_ways(ablate);
    if (!status) status = choose_measure(ablate);
    return status ? status : cli_check_suffix(ablate->output, ".png .svg .pdf");
}

static bool step(void *user, int64_t done, int64_t total)
{
    cli_progress_step(user, done, total);
    return true;
}

static scry_status show(void *state, const char *text)
{
    struct ablate *ablate  = state;
    char         **prompts = NULL;
    scry_status    status  = check(ablate);
    if (!status && ablate->prompts)
        status = scry__edit_read_prompts(&prompts, &ablate->options.prompt_count, ablate->prompts);
    if (!status) status = cli_open(&ablate->common, text);
    if (status) goto done;
    ablate->options.ids      = ablate->common.ids;
    ablate->options.id_count = ablate->common.id_count;
    ablate->options.prompts  = (const char *const *)prompts;
    ablate->options.progress = step;
    ablate->options.user     = &ablate->progress;
    cli_progress_start(&ablate->progress, &ablate->common, "ablations");
    status = scry_ablation_run(&ablate->result, ablate->common.model, text, &ablate->options);
    cli_progress_end(&ablate->progress);
    if (!status) status = print_result(ablate);
    if (!status) cli_note_fallbacks(&ablate->common);
    scry_ablation_destroy(&ablate->result);
done:
    for (int i = 0; i < ablate->options.prompt_count; i++) scry__free(prompts[i]);
    scry__free(prompts);
    return status;
}

int cli_ablate(int argc, char **argv)
{
    struct ablate ablate = {.options = {.answer.id = -1, .wrong.id = -1, .position = -1, .at = -1}, .top = 10};
    const struct cli_option options[] = {
        {'p', "position", CLI_INT, &ablate.options.position, "N", "the position that is asked about (the last)", 0,
         1e9},
        {'a', "answer", CLI_STRING, &ablate.options.answer.text, "TOKEN",
         "the next token that is watched, e.g. \" Paris\" (the likeliest)", 0, 0},
        {0, "answer-id", CLI_INT, &ablate.options.answer.id, "ID", "the same, by id", 0, 1e9},
        {'w', "wrong", CLI_STRING, &ablate.options.wrong.text, "TOKEN",
         "watch the difference to this one's logit instead, e.g. \" Rome\"", 0, 0},
        {0, "wrong-id", CLI_INT, &ablate.options.wrong.id, "ID", "the same, by id", 0, 1e9},
        {0, "by", CLI_STRING, &ablate.ways, "WAYS", "zero (usual), mean, resample, several with commas between, or all",
         0, 0},
        {0, "prompts", CLI_STRING, &ablate.prompts, "FILE",
         "prompts, one a line, for mean and resample (the mean: over this prompt)", 0, 0},
        {0, "seed", CLI_SEED, &ablate.options.seed, "SEED", "draws the prompt that is resampled (0)", 0, 0},
        {0, "at", CLI_INT, &ablate.options.at, "N", "away at this position only (at all)", 0, 1e9},
        {0, "no-loss", CLI_FLAG, &ablate.options.skip_loss, NULL, "leave out the loss: less work", 0, 0},
        {0, "measure", CLI_STRING, &ablate.measure_text, "NAME",
         "what tables and picture go by: logit (usual with --wrong), log-probability, loss or kl", 0, 0},
        {'k', "top", CLI_INT, &ablate.top, "K", "parts in each table (10)", 1, 1e6},
        {0, "all", CLI_FLAG, &ablate.all, NULL, "all parts", 0, 0},
        {'o', "output", CLI_STRING, &ablate.output, "FILE",
         ".png, .svg or .pdf instead of the terminal: layers x heads, attention, MLP and layer", 0, 0},
        CLI_MODEL_OPTIONS(ablate.common),
        CLI_COMMON_OPTIONS(ablate.common),
    };
    const struct cli_syntax syntax = {
        .usage   = "scry ablate [options] TEXT",
        .about   = "What the model says without one of its parts: every head, attention block, MLP and layer is taken "
                   "away, one at\n"
                   "a time, and what it wrote is replaced by zeros, by its mean, or by what it writes in another prompt. "
                   "A ranking\n"
                   "of what that changes: the next token's logit and log-probability, the loss over the prompt, and the "
                   "KL.",
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &ablate.common, argc, argv, show, &ablate);
}

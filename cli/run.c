/* scry run: generates, printing the candidates of each step. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct run {
    struct cli_common       common;
    scry_generation_options options;
    double                  temperature;
    const char             *temperature_list;
    float                   temperatures[SCRY_MAX_TEMPERATURES];
    int                     step;    /* printed so far */
    scry_status             printed; /* how printing went; generation stops where stdout takes no more */
};

/* "0.5,1,2" */
static scry_status parse_temperatures(struct run *run)
{
    scry_generation_options *options = &run->options;
    options->temperatures            = run->temperatures;
    for (const char *at = run->temperature_list; at; at = *at == ',' ? at + 1 : NULL) {
        char *end;
        float value = strtof(at, &end);
        bool  full  = options->temperature_count == SCRY_MAX_TEMPERATURES;
        if (end == at || (*end && *end != ',') || !(value > 0) || !isfinite(value) || full)
            return cli_bad("--temperatures \"%s\": expected up to %d numbers above 0 such as 0.5,1,2; wrong at \"%s\"",
                           run->temperature_list, SCRY_MAX_TEMPERATURES, at);
        run->temperatures[options->temperature_count++] = value;
        at                                              = end;
    }
    return SCRY_OK;
}

static void add_candidates(scry__text *line, const struct run *run, const scry_step *step)
{
    for (int i = 0; i < run->options.top; i++) {
        scry__text_adds(line, i ? "  " : "");
        scry__label_add(line, step->top[i].text);
        scry__text_addf(line, " %.3f (%.2f)", (double)step->top[i].probability, (double)step->top[i].logit);
    }
}

static const char *mark_of(scry_sureness sureness)
{
    return sureness == SCRY_SURENESS_USUAL ? "" : scry_sureness_text(sureness);
}

/* Candidates down, temperatures across; below them the entropy, and what is wrong with it. */
static scry_status add_temperatures(scry__text *out, const struct run *run, const scry_step *step)
{
    enum { TOKEN, LOGIT, FIRST };
    int                count = run->options.temperature_count, top = run->options.top;
    scry__terminal     terminal                               = cli_terminal();
    scry__table_column columns[FIRST + SCRY_MAX_TEMPERATURES] = {{"token", SCRY__ALIGN_LEFT, false},
                                                                 {"logit", SCRY__ALIGN_RIGHT, true}};
    char               headings[SCRY_MAX_TEMPERATURES][32];
    struct cli_sheet   sheet;
    if (!cli_sheet_create(&sheet, FIRST + count, top + 2)) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) {
        snprintf(headings[i], sizeof headings[i], "at %g", (double)run->temperatures[i]);
        columns[FIRST + i] = (scry__table_column){headings[i], SCRY__ALIGN_RIGHT, true};
    }
    for (; sheet.rows < top; sheet.rows++) {
        cli_sheet_put_token(&sheet, TOKEN, step->top[sheet.rows].text);
        cli_sheet_put(&sheet, LOGIT, "%.3f", (double)step->top[sheet.rows].logit);
        for (int i = 0; i < count; i++)
            cli_sheet_put(&sheet, FIRST + i, "%.4f", (double)step->tempered[i].probabilities[sheet.rows]);
    }
    cli_sheet_put(&sheet, TOKEN, "entropy");
    for (int i = 0; i < count; i++) cli_sheet_put(&sheet, FIRST + i, "%.3f", (double)step->tempered[i].entropy);
    sheet.rows++;
    for (int i = 0; i < count; i++) cli_sheet_put(&sheet, FIRST + i, "%s", mark_of(step->tempered[i].sureness));
    sheet.rows++;
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

/* A line for each step as it comes: the token taken, then the candidates, or a table of them by temperature. */
static bool print_step(void *user, const scry_step *step)
{
    struct run *run   = user;
    scry__text  line  = {0};
    scry__text  token = {0};
    scry__label_add(&token, step->chosen.text);
    scry__text_addf(&line, "%3d  ", run->step++);
    if (!token.status) scry__label_fit(&line, token.data, 14, SCRY__ALIGN_LEFT);
    scry__text_addf(&line, " entropy %5.3f  ", (double)step->entropy);
    scry__text_finish(&token);
    if (run->options.temperature_count) {
        scry__text_addf(&line, "%s\n", mark_of(step->sureness));
        run->printed = add_temperatures(&line, run, step);
    } else {
        scry__text_addf(&line, "%-8s  ", mark_of(step->sureness));
        add_candidates(&line, run, step);
    }
    scry__text_adds(&line, "\n");
    if (!run->printed)
        run->printed = cli_print(&line);
    else
        scry__text_finish(&line);
    return !run->printed;
}

static scry_status print_edits(const struct run *run)
{
    scry__text head = {0};
    cli_add_edits(&head, "", &run->common, "\n");
    return cli_print(&head);
}

static scry_status generate(void *state, const char *text)
{
    struct run              *run        = state;
    scry_generation_options *options    = &run->options;
    scry_generation         *generation = NULL;
    json_t                  *object     = NULL;
    scry__text               summary    = {0};
    scry_status              status     = parse_temperatures(run);
    if (!status) status = cli_open(&run->common, text);
    if (!status && !run->common.json) status = print_edits(run);
    if (status) return status;
    int vocabulary       = scry_model_get_info(run->common.model)->vocabulary;
    options->top         = options->top < vocabulary ? options->top : vocabulary;
    options->ids         = run->common.ids;
    options->id_count    = run->common.id_count;
    options->edits       = run->common.edits;
    options->temperature = (float)run->temperature;
    options->on_step     = run->common.json ? NULL : print_step;
    options->user        = run;
    status               = scry_generate(&generation, run->common.model, text, options);
    if (status) return status;
    status = run->printed;
    if (!status && run->common.json) {
        scry__json_source source = cli_source(&run->common);
        status                   = scry__json_generation(&object, generation, &source);
        if (!status) status = cli_print_json(object);
    } else if (!status && !run->common.quiet) {
        scry__text_adds(&summary, "\n");
        scry__label_prose(&summary, text ? text : "...");
        scry__text_adds(&summary, "|");
        scry__label_prose(&summary, generation->text);
        scry__text_addf(&summary, "\nstopped: %s\n", generation->stop_reason);
        status = cli_print(&summary);
    }
    if (!status) cli_note_fallbacks(&run->common);
    scry_generation_destroy(&generation);
    return status;
}

int cli_run(int argc, char **argv)
{
    struct run              run       = {.options = {.max_tokens = 20, .top = 5}};
    const struct cli_option options[] = {
        {'n', "tokens", CLI_INT, &run.options.max_tokens, "N", "tokens to generate (20)", 1, 1000000},
        {'k', "top", CLI_INT, &run.options.top, "K", "candidates shown a step (5)", 1, SCRY_MAX_TOP},
        {'t', "temperature", CLI_REAL, &run.temperature, "X", "0 takes the most likely token (0)", 0, 100},
        {0, "temperatures", CLI_STRING, &run.temperature_list, "X,Y,..",
         "show each step's distribution at these, side by side", 0, 0},
        {'s', "seed", CLI_SEED, &run.options.seed, "N", "of the sampling at a temperature (0)", 0, 0},
        {0, "ignore-end", CLI_FLAG, &run.options.ignore_end, NULL, "go on past the end-of-text token", 0, 0},
        CLI_EDIT_OPTION(run.common),
        CLI_MODEL_OPTIONS(run.common),
        CLI_COMMON_OPTIONS(run.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry run [options] TEXT",
        .about = "Generates a continuation. Each line shows the token taken, the entropy of the distribution in nats, "
                 "and the\n"
                 "likeliest candidates with their probabilities and, in brackets, raw logits. A distribution is marked "
                 "\"too sure\"\n"
                 "where it leaves less than 1.01 choices (exp(entropy)), \"too flat\" where it leaves more than the "
                 "square root of\n"
                 "the vocabulary.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &run.common, argc, argv, generate, &run);
}

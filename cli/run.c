/* scry run: generates, printing the candidates of each step. */
#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

struct run {
    struct cli_common       common;
    scry_generation_options options;
    double                  temperature;
    int                     step;    /* printed so far */
    scry_status             printed; /* how printing went; generation stops where stdout takes no more */
};

/* One line a step, as it comes: the token taken, then the candidates with their probabilities. */
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
    for (int i = 0; i < run->options.top; i++) {
        scry__text_addf(&line, "%s", i ? "  " : "");
        scry__label_add(&line, step->top[i].text);
        scry__text_addf(&line, " %.3f", (double)step->top[i].probability);
    }
    scry__text_adds(&line, "\n");
    run->printed = cli_print(&line);
    return !run->printed;
}

static scry_status generate(void *state, const char *text)
{
    struct run              *run        = state;
    scry_generation_options *options    = &run->options;
    scry_generation         *generation = NULL;
    json_t                  *object     = NULL;
    scry__text               summary    = {0};
    scry_status              status     = cli_open(&run->common, text);
    if (status) return status;
    int vocabulary       = scry_model_get_info(run->common.model)->vocabulary;
    options->top         = options->top < vocabulary ? options->top : vocabulary;
    options->ids         = run->common.ids;
    options->id_count    = run->common.id_count;
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
        {'s', "seed", CLI_SEED, &run.options.seed, "N", "of the sampling at a temperature (0)", 0, 0},
        {0, "ignore-end", CLI_FLAG, &run.options.ignore_end, NULL, "go on past the end-of-text token", 0, 0},
        CLI_MODEL_OPTIONS(run.common),
        CLI_COMMON_OPTIONS(run.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry run [options] TEXT",
        .about = "Generates a continuation. Each line shows the token taken, the entropy of the distribution in nats, "
                 "and the\n"
                 "likeliest candidates with their probabilities.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &run.common, argc, argv, generate, &run);
}

/* scry tune-lens: trains a tuned lens on a text, and evaluates one beside the logit lens. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "base/file.h"
#include "report/json_lens_evaluation.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_SIZE = 96 };

struct tune_lens {
    struct cli_common      common;
    scry_tune_lens_options options;
    const char            *output, *evaluate, *optimiser; /* files to be written, to be evaluated; as given */
    int                    every;                         /* steps between checkpoints; 0: none; -1: not given */
    char                  *checkpoints;                   /* the folder beside the output; NULL: none */
    scry_tuned_lens       *tuned;
    scry_lens_evaluation  *evaluation;
    float                 *losses; /* [steps, layers]; NULL: nothing was trained */
    int                    steps;
    struct cli_progress    progress;
    char                   label[LABEL_SIZE];
};

/* --- on the way --- */

/* The first and the last translator's KL, those between left out where they are many. */
static void label_losses(char label[LABEL_SIZE], const scry_tune_lens_progress *progress)
{
    enum { MOST = 8, FIRST = 3 };
    int used = snprintf(label, LABEL_SIZE, "KL by layer");
    for (int layer = 0; layer < progress->layer_count; layer++) {
        if (progress->layer_count > MOST && layer == FIRST) {
            layer = progress->layer_count - FIRST;
            used += snprintf(label + used, (size_t)(LABEL_SIZE - used), " ..");
        }
        used += snprintf(label + used, (size_t)(LABEL_SIZE - used), " %.3f", progress->losses[layer]);
    }
}

static bool show_step(void *user, const scry_tune_lens_progress *progress)
{
    struct tune_lens *tune   = user;
    size_t            layers = (size_t)progress->layer_count, done = (size_t)tune->steps;
    if (progress->history) {
        float *grown = scry__realloc(tune->losses, (size_t)progress->step * layers, sizeof *grown);
        if (!grown) return false;
        memcpy(grown + done * layers, progress->history + done * layers,
               ((size_t)progress->step - done) * layers * sizeof *grown);
        tune->losses = grown;
        tune->steps  = progress->step;
        if (progress->losses) label_losses(tune->label, progress);
    }
    if (progress->history && !progress->losses) {
        tune->progress.before = progress->step;
        if (!tune->common.quiet)
            fprintf(stderr, "scry: going on behind step %d of %d, from %s\n", progress->step, progress->steps,
                    tune->checkpoints);
    }
    cli_progress_step(&tune->progress, progress->step, progress->steps);
    return true;
}

/* --- what is printed --- */

static scry_status print_table(const struct tune_lens *tune)
{
    enum { LAYER, LOSS_LOGIT, LOSS_TUNED, KL_LOGIT, KL_TUNED, ENTROPY_LOGIT, ENTROPY_TUNED, COUNT };
    static const scry__table_column columns[COUNT] = {
        {"layer", SCRY__ALIGN_LEFT, true},  {"loss: logit lens", SCRY__ALIGN_RIGHT, true},
        {"tuned", SCRY__ALIGN_RIGHT, true}, {"KL: logit lens", SCRY__ALIGN_RIGHT, true},
        {"tuned", SCRY__ALIGN_RIGHT, true}, {"entropy: logit lens", SCRY__ALIGN_RIGHT, true},
        {"tuned", SCRY__ALIGN_RIGHT, true},
    };
    const scry_lens_evaluation *evaluation = tune->evaluation;
    scry__terminal              terminal   = cli_terminal();
    scry__text                  out        = {0};
    struct cli_sheet            sheet;
    if (!cli_sheet_create(&sheet, COUNT, evaluation->layer_count)) return SCRY_OUT_OF_MEMORY;
    for (; sheet.rows < evaluation->layer_count; sheet.rows++) {
        const scry_lens_quality *logit = &evaluation->logit[sheet.rows], *tuned = &evaluation->tuned[sheet.rows];
        bool                     last = sheet.rows == evaluation->layer_count - 1;
        cli_sheet_put(&sheet, LAYER, sheet.rows ? "%d%s" : "embed", sheet.rows, last ? " (final)" : "");
        cli_sheet_put(&sheet, LOSS_LOGIT, "%.4f", logit->cross_entropy);
        cli_sheet_put(&sheet, LOSS_TUNED, "%.4f", tuned->cross_entropy);
        cli_sheet_put(&sheet, KL_LOGIT, "%.4f", logit->kl);
        cli_sheet_put(&sheet, KL_TUNED, "%.4f", tuned->kl);
        cli_sheet_put(&sheet, ENTROPY_LOGIT, "%.4f", logit->entropy);
        cli_sheet_put(&sheet, ENTROPY_TUNED, "%.4f", tuned->entropy);
    }
    scry__text_addf(&out,
                    "On %lld positions that were held out, in nats: loss of the next token, KL from the final "
                    "layer, entropy.\n\n",
                    (long long)evaluation->tokens);
    scry_status status = cli_sheet_add(&out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    if (!status) return cli_print(&out);
    scry__text_finish(&out);
    return status;
}

static scry_status print_result(const struct tune_lens *tune)
{
    if (tune->output && !tune->common.quiet) fprintf(stderr, "scry: the tuned lens is in %s\n", tune->output);
    if (!tune->common.json) return print_table(tune);
    json_t           *object = NULL;
    scry__json_source source = cli_source(&tune->common);
    scry_status       status =
        scry__json_lens_evaluation(&object, tune->evaluation, tune->evaluate ? tune->evaluate : tune->output,
                                   tune->options.text, tune->losses, tune->steps, &source);
    return status ? status : cli_print_json(object);
}

/* --- the command --- */

static scry_status check(struct tune_lens *tune, const char *text)
{
    if (!text) return cli_bad("expected a TEXTFILE to train or evaluate on");
    if (!tune->output == !tune->evaluate) return cli_bad("expected either --output FILE, to train, or --evaluate FILE");
    if (tune->options.resume && (!tune->output || !tune->every))
        return cli_bad("--resume: expected --output FILE, and checkpoints beside it");
    if (tune->optimiser && strcmp(tune->optimiser, "adamw") && strcmp(tune->optimiser, "sgd"))
        return cli_bad("--optimiser \"%s\": expected adamw or sgd", tune->optimiser);
    if (tune->optimiser && !strcmp(tune->optimiser, "sgd")) tune->options.optimiser = SCRY_TRAIN_OPTIMISER_SGD;
    return cli_check_suffix(tune->output, ".safetensors");
}

/* Whether the file can be written, before a training ends with that. */
static scry_status try_output(const struct tune_lens *tune)
{
    scry__writer writer;
    scry_status  status = scry__writer_open(&writer, tune->output);
    if (!status) scry__writer_abort(&writer);
    return status;
}

static scry_status name_checkpoints(struct tune_lens *tune)
{
    scry__text path = {0};
    if (!tune->every) return SCRY_OK;
    scry__text_addf(&path, "%s.partial", tune->output);
    scry_status status             = scry__text_take(&path, &tune->checkpoints, NULL);
    tune->options.checkpoints      = tune->checkpoints;
    tune->options.checkpoint_every = tune->every > 0 ? tune->every : 0;
    return status;
}

static scry_status train(struct tune_lens *tune)
{
    scry_status status = try_output(tune);
    if (!status) status = name_checkpoints(tune);
    cli_progress_start(&tune->progress, &tune->common, tune->label);
    if (!status) status = scry_tuned_lens_create(&tune->tuned, tune->common.model);
    if (!status) status = scry_tuned_lens_train(tune->tuned, &tune->options);
    cli_progress_end(&tune->progress);
    return status ? status : scry_tuned_lens_write(tune->tuned, tune->output);
}

static scry_status evaluate(struct tune_lens *tune)
{
    tune->progress.before = 0;
    cli_progress_start(&tune->progress, &tune->common, "evaluating");
    scry_status status = scry_tuned_lens_evaluate(&tune->evaluation, tune->tuned, &tune->options);
    cli_progress_end(&tune->progress);
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct tune_lens *tune   = state;
    scry_status       status = check(tune, text);
    if (!status) status = cli_open_model(&tune->common);
    if (status) return status;
    tune->options.text     = text;
    tune->options.progress = show_step;
    tune->options.user     = tune;
    if (tune->evaluate)
        status = scry_tuned_lens_open(&tune->tuned, tune->common.model, tune->evaluate);
    else
        status = train(tune);
    if (!status) status = evaluate(tune);
    if (!status) status = print_result(tune);
    if (!status && tune->checkpoints) status = scry_tuned_lens_remove_checkpoints(tune->checkpoints);
    if (!status) cli_note_fallbacks(&tune->common);
    scry_lens_evaluation_destroy(&tune->evaluation);
    scry_tuned_lens_destroy(&tune->tuned);
    scry__free(tune->checkpoints);
    scry__free(tune->losses);
    return status;
}

int cli_tune_lens(int argc, char **argv)
{
    struct tune_lens        tune      = {.label = "training", .every = -1};
    scry_tune_lens_options *of        = &tune.options;
    const struct cli_option options[] = {
        {'o', "output", CLI_STRING, &tune.output, "FILE", "where the trained lens goes, .safetensors", 0, 0},
        {0, "resume", CLI_FLAG, &of->resume, NULL, "go on behind the newest whole checkpoint, if any", 0, 0},
        {0, "checkpoint-every", CLI_INT, &tune.every, "N", "steps between checkpoints in FILE.partial, 0: none (50)", 0,
         1 << 20},
        {0, "evaluate", CLI_STRING, &tune.evaluate, "FILE", "do not train: evaluate this lens", 0, 0},
        {0, "held-out", CLI_REAL, &of->held_out, "SHARE",
         "share of the text, its end, to evaluate on (0.1); with --evaluate 1 is all of it", 0, 1},
        {0, "batch", CLI_INT, &of->batch, "N", "rows of a step (8)", 1, 1 << 20},
        {0, "length", CLI_INT, &of->length, "N", "tokens of a row (128, or the model's context)", 1, 1 << 20},
        {0, "steps", CLI_INT, &of->steps, "N", "steps (250)", 1, 1 << 20},
        {0, "optimiser", CLI_STRING, &tune.optimiser, "NAME", "adamw, or sgd with Nesterov momentum 0.9 (adamw)", 0, 0},
        {0, "rate", CLI_REAL, &of->rate, "RATE", "learning rate, which falls to 0 (0.003, sgd 1)", 0, 1e9},
        {0, "decay", CLI_REAL, &of->decay, "RATE", "weight decay, towards the logit lens (0)", 0, 1e9},
        {0, "clip", CLI_REAL, &of->clip, "LENGTH", "longest gradient of a layer (1)", 0, 1e9},
        {0, "seed", CLI_SEED, &of->seed, "SEED", "of which rows are taken (0)", 0, 0},
        {0, "evaluation-batches", CLI_INT, &of->evaluation_batches, "N", "batches evaluated on at most (32)", 1,
         1 << 20},
        CLI_CHECKPOINT_OPTIONS(tune.common),
        CLI_COMMON_OPTIONS(tune.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry tune-lens [options] TEXTFILE -o FILE\n       scry tune-lens [options] TEXTFILE --evaluate FILE",
        .about =
            "Trains a tuned lens (Belrose et al. 2023): for each layer a translator h + A h + b, so that what the\n"
            "model's own final norm and unembedding then read diverges least from the model's prediction. The\n"
            "model stays as it is. At the end, or with --evaluate, both lenses are compared by layer on the part\n"
            "of the text that was held out. scry lens --tuned FILE reads by it. Until all is done the folder\n"
            "FILE.partial has the newest checkpoint, so that a run that was stopped in any way goes on with\n"
            "--resume and ends with the same lens.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &tune.common, argc, argv, show, &tune);
}

/* scry train: trains a tiny model by a recipe, from a file or from the options, and writes its checkpoints. */
#include "cli/command.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "base/file.h"
#include "report/json_training.h"
#include "report/training_curve.h"
#include "train/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_FIELDS = 64, MOST_OPTIONS = MOST_FIELDS + 16, NAME_SIZE = 32, HELP_SIZE = 96 };

struct train {
    struct cli_common   common;
    const char         *name, *output; /* of the recipe; the folder */
    bool                resume;
    int                 until;                           /* 0: the last step */
    char                options[MOST_FIELDS][NAME_SIZE]; /* of the recipe's fields, with dashes */
    char                helps[MOST_FIELDS][HELP_SIZE];   /* with the default */
    const char         *values[MOST_FIELDS];             /* as given; NULL: not */
    scry_recipe        *recipe;
    scry_training      *result;
    struct cli_progress progress;
    char                label[64];
    int                 begun; /* the step before the first of this run; -1: none is done yet */
    double              started;
    bool                headed; /* the table's head is printed */
};

/* --- the recipe --- */

static bool any_given(const struct train *train)
{
    for (int i = 0; i < scry__recipe_field_count; i++)
        if (train->values[i]) return true;
    return false;
}

/* What the options are put over: the recipe asked for, that of the newest checkpoint, or the defaults. */
static scry_status open_base(struct train *train)
{
    scry_training *training = NULL;
    char          *path     = NULL;
    int            step;
    scry_status    status = SCRY_OK;
    if (train->name || !train->resume) return scry_recipe_create(&train->recipe, train->name);
    if (scry__file_exists(train->output)) status = scry_checkpoint_find(&path, &step, train->output);
    if (!status && path) {
        status = scry_training_read(&training, path);
        if (!status) status = scry__recipe_copy(&train->recipe, training->recipe);
    } else if (!status && any_given(train)) {
        status = scry_recipe_create(&train->recipe, NULL);
    }
    scry_training_destroy(&training);
    scry_free(path);
    return status;
}

static scry_status open_recipe(struct train *train)
{
    scry_status status = open_base(train);
    bool        data = false, text = false, documents = false; /* given */
    for (int i = 0; !status && i < scry__recipe_field_count; i++) {
        if (!train->values[i]) continue;
        status = scry_recipe_set(train->recipe, scry__recipe_fields[i].name, train->values[i]);
        data |= !strcmp(scry__recipe_fields[i].name, "data");
        text |= !strcmp(scry__recipe_fields[i].name, "text");
        documents |= !strcmp(scry__recipe_fields[i].name, "documents");
    }
    if (!status && text && !data) train->recipe->data = SCRY_TRAIN_DATA_TEXT;
    if (!status && documents && !data) train->recipe->data = SCRY_TRAIN_DATA_DOCUMENTS;
    return status;
}

/* --- on the way --- */

/* "1.2345" in a column so wide; "-" for what there is not. */
static void add_number(scry__text *line, int width, double value)
{
    if (isfinite(value))
        scry__text_addf(line, "  %*.4f", width, value);
    else
        scry__text_addf(line, "  %*s", width, "-");
}

static void print_evaluation(struct train *train, const scry_train_progress *progress)
{
    const scry_evaluation *evaluation = progress->evaluation;
    scry__text             line       = {0};
    if (!train->headed)
        scry__text_addf(&line, "%8s  %8s  %10s  %8s  %8s\n", "step", "loss", "evaluation", "error", "at best");
    scry__text_addf(&line, "%8d", progress->step);
    add_number(&line, 8, (double)progress->loss);
    add_number(&line, 10, evaluation->loss);
    add_number(&line, 8, evaluation->error);
    add_number(&line, 8, evaluation->best);
    scry__text_adds(&line, "\n");
    cli_progress_end(&train->progress);
    cli_print(&line); /* a closed output shows at the end */
    train->headed = true;
}

static bool step(void *user, const scry_train_progress *progress)
{
    struct train *train = user;
    double        time  = cli_now();
    if (train->begun < 0) {
        train->begun   = progress->step;
        train->started = time;
        cli_progress_start(&train->progress, &train->common, train->label);
    }
    double seconds = time - train->started;
    snprintf(train->label, sizeof train->label, "loss %.4f, %.0f tokens/s", (double)progress->loss,
             seconds > 0 ? (double)(progress->step - train->begun) * (double)progress->tokens / seconds : 0.0);
    if (progress->evaluation && !train->common.json && !train->common.quiet) print_evaluation(train, progress);
    cli_progress_step(&train->progress, progress->step, progress->steps);
    return true;
}

/* --- the command --- */

/* The loss curve stands beside the checkpoints. */
static scry_status write_curve(const struct train *train)
{
    char       *picture = scry__path_join(train->output, "loss.svg");
    char       *numbers = scry__path_join(train->output, "loss.csv");
    scry_status status  = picture && numbers ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__training_csv_write(numbers, train->result);
    if (!status) status = scry__training_curve_write(picture, train->result);
    scry__free(numbers);
    scry__free(picture);
    return status;
}

static scry_status print_result(const struct train *train)
{
    const scry_training *result = train->result;
    if (train->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&train->common);
        scry_status       status = scry__json_training(&object, result, train->output, &source);
        return status ? status : cli_print_json(object);
    }
    scry__text             text = {0};
    const scry_evaluation *last = result->evaluation_count ? &result->evaluations[result->evaluation_count - 1] : NULL;
    scry__text_addf(&text, "Step %d of %d", result->step, result->recipe->steps);
    if (last) scry__text_addf(&text, ": evaluation %.4f", last->loss);
    if (last && isfinite(last->best)) scry__text_addf(&text, ", %.4f above the best possible", last->loss - last->best);
    scry__text_addf(&text, ". Checkpoints, loss.svg and loss.csv are in %s\n", train->output);
    return cli_print(&text);
}

static scry_status run(void *state, const char *text)
{
    struct train *train = state;
    (void)text;
    if (!train->output) return cli_bad("scry train: expected --output FOLDER");
    scry_status status = open_recipe(train);
    if (!status) status = cli_open_device(&train->common);
    if (status) return status;
    scry_train_options options = {.recipe   = train->recipe,
                                  .output   = train->output,
                                  .resume   = train->resume,
                                  .until    = train->until,
                                  .progress = step,
                                  .user     = train};
    status                     = scry_train_run(&train->result, train->common.opened_device, &options);
    cli_progress_end(&train->progress);
    if (!status) status = write_curve(train);
    if (!status) status = print_result(train);
    if (!status) cli_note_fallbacks(&train->common);
    return status;
}

/* "layers (2)", by the defaults, where there is one that says something. */
static void describe(char help[HELP_SIZE], const scry__recipe_field *field, const json_t *defaults)
{
    const json_t *value = json_object_get(defaults, field->name);
    if (json_is_string(value))
        snprintf(help, HELP_SIZE, "%s (%s)", field->help, json_string_value(value));
    else if (json_is_number(value) && !strchr(field->help, '('))
        snprintf(help, HELP_SIZE, "%s (%g)", field->help, json_number_value(value));
    else
        snprintf(help, HELP_SIZE, "%s", field->help);
}

/* The recipe's fields as options: "kv_heads" is --kv-heads. */
static scry_status add_fields(struct train *train, struct cli_option *options)
{
    scry_recipe       *recipe  = NULL;
    scry__json_builder builder = {0};
    scry_status        status  = scry_recipe_create(&recipe, NULL);
    if (status) return status;
    json_t *defaults = scry__recipe_json(&builder, recipe);
    for (int i = 0; i < scry__recipe_field_count; i++) {
        const scry__recipe_field *field = &scry__recipe_fields[i];
        snprintf(train->options[i], NAME_SIZE, "%s", field->name);
        for (char *dash = train->options[i]; (dash = strchr(dash, '_')) != NULL;) *dash = '-';
        describe(train->helps[i], field, defaults);
        options[i] = (struct cli_option){.name     = train->options[i],
                                         .kind     = CLI_STRING,
                                         .value    = &train->values[i],
                                         .argument = field->argument,
                                         .help     = train->helps[i]};
    }
    json_decref(defaults);
    scry_recipe_destroy(&recipe);
    return builder.status;
}

int cli_train(int argc, char **argv)
{
    struct train            train   = {.begun = -1};
    const struct cli_option fixed[] = {
        {'o', "output", CLI_STRING, &train.output, "FOLDER", "where the checkpoints go", 0, 0},
        {'r', "recipe", CLI_STRING, &train.name, "NAME", "copy, or a JSON file such as a checkpoint's recipe.json", 0,
         0},
        {0, "resume", CLI_FLAG, &train.resume, NULL, "go on behind the newest whole checkpoint, if any", 0, 0},
        {0, "until", CLI_INT, &train.until, "STEP", "end behind this step, with a checkpoint (the last one)", 1, 1e9},
        CLI_COMMON_OPTIONS(train.common),
    };
    enum { FIXED = sizeof fixed / sizeof *fixed };
    struct cli_option options[MOST_OPTIONS];
    memcpy(options, fixed, sizeof fixed);
    if (add_fields(&train, options + FIXED)) return scry_status_exit_code(SCRY_OUT_OF_MEMORY);
    const struct cli_syntax syntax = {
        .usage = "scry train [options] -o FOLDER",
        .about = "Trains a tiny model by a recipe: that of --recipe, with the options below over it. Checkpoints are\n"
                 "folders step-N that every command and transformers open; each appears whole or not at all, so that\n"
                 "a run that was stopped in any way goes on with --resume and ends with the same weights.",
        .options      = options,
        .option_count = FIXED + scry__recipe_field_count,
    };
    int exit_code = cli_main(&syntax, &train.common, argc, argv, run, &train);
    scry_training_destroy(&train.result);
    scry_recipe_destroy(&train.recipe);
    return exit_code;
}

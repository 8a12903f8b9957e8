/* scry diff: two checkpoints, prompts or attention files side by side, or a series of checkpoints. */
#include "cli/diff.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "report/json_diff.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool step(void *user, int64_t done, int64_t total)
{
    cli_progress_step(user, done, total);
    return true;
}

/* --- opening the sides --- */

static scry_status check_arguments(const struct diff *diff)
{
    int  files    = 0;
    bool has_text = diff->text || diff->common.ids_text;
    for (int i = 0; i < diff->count && !diff->prompts; i++) files += is_file(diff->arguments[i]);
    if (diff->prompts && (diff->count != 2 || has_text))
        return cli_bad("--prompts: expected two arguments, which are the prompts, and neither --text nor --ids");
    if (files && diff->count != 2)
        return cli_bad("%d arguments, some of which are files: expected two, or checkpoints alone", diff->count);
    if (files == 2 && has_text) return cli_bad("--text, --ids: two files hold their own attention: expected neither");
    if (!diff->prompts && files < 2 && !has_text) return cli_bad("nothing to read: give --text TEXT or --ids");
    if (diff->common.random_init.given && (diff->prompts || diff->count > 1))
        return cli_bad("--random-init: the other side is the random twin: expected one checkpoint");
    if (diff->common.model_path && diff->count && !diff->prompts)
        return cli_bad("--model and %s were both given: expected one of them", diff->arguments[0]);
    return SCRY_OK;
}

static scry_status open_other(scry_model **out, const struct diff *diff, const char *path, const struct cli_seed *twin)
{
    return scry_model_open(out, diff->common.opened_device, path,
                           &(scry_model_options){.weight_memory = diff->common.weight_memory,
                                                 .random_init   = twin != NULL,
                                                 .random_seed   = twin ? twin->value : 0});
}

/* Gives a side its model, and the prompt of which the first model makes ids for all. */
static scry_status put_model(struct diff *diff, int side, const char *name, scry_model *model)
{
    scry_status status = SCRY_OK;
    if (!diff->tokens)
        status = scry_tokens_create(&diff->tokens, model, diff->text, diff->common.ids, diff->common.id_count);
    if (status) return status;
    diff->sides[side] =
        (scry_compare_side){.name = name, .model = model, .ids = diff->tokens->ids, .id_count = diff->tokens->count};
    return SCRY_OK;
}

static scry_status open_prompts(struct diff *diff)
{
    scry_status status = cli_open(&diff->common, diff->arguments[0]);
    for (int side = 0; side < 2; side++)
        diff->sides[side] = (scry_compare_side){
            .name = diff->arguments[side], .model = diff->common.model, .text = diff->arguments[side]};
    return status;
}

/* A checkpoint against its random twin. */
static scry_status open_twin(struct diff *diff)
{
    struct cli_seed seed           = diff->common.random_init;
    diff->common.random_init.given = false;
    if (diff->count) diff->common.model_path = diff->arguments[0];
    scry_status status = cli_open(&diff->common, diff->text);
    if (status) return status;
    const char *path = scry_model_get_info(diff->common.model)->path;
    snprintf(diff->twin_name, sizeof diff->twin_name, "%s, random weights (seed %llu)", path,
             (unsigned long long)seed.value);
    status = open_other(&diff->other, diff, path, &seed);
    if (!status) status = put_model(diff, 0, path, diff->common.model);
    return status ? status : put_model(diff, 1, diff->twin_name, diff->other);
}

/* The first and the last of the arguments, each a checkpoint or a file. */
static scry_status open_pair(struct diff *diff)
{
    scry_status status = SCRY_OK;
    for (int side = 0; side < 2 && !status; side++) {
        const char *path = diff->arguments[side ? diff->count - 1 : 0];
        if (is_file(path)) {
            diff->sides[side] = (scry_compare_side){.file = path};
        } else if (!diff->common.model) {
            diff->common.model_path = path;
            status                  = cli_open(&diff->common, diff->text);
            if (!status) status = put_model(diff, side, path, diff->common.model);
        } else {
            status = open_other(&diff->other, diff, path, NULL);
            if (!status) status = put_model(diff, side, path, diff->other);
        }
    }
    return status;
}

/* --- comparing --- */

/* Every checkpoint in the order of the arguments; those between the first and the last are opened one at a time. */
static scry_status run_series(struct diff *diff)
{
    const scry_heads_options options = {.ids = diff->tokens->ids, .id_count = diff->tokens->count};
    scry_status              status  = SCRY_OK;
    struct cli_progress      progress;
    cli_progress_start(&progress, &diff->common, "checkpoints");
    for (int i = 0; i < diff->count && !status; i++) {
        scry_model *between = NULL, *model = i ? diff->other : diff->common.model;
        if (i && i < diff->count - 1) {
            status = open_other(&between, diff, diff->arguments[i], NULL);
            model  = between;
        }
        if (!status) status = scry_series_add(&diff->series, diff->arguments[i], model, NULL, &options);
        if (!status && diff->page && between) status = diff_take_model(diff, i, between);
        scry_model_destroy(&between);
        cli_progress_step(&progress, i + 1, diff->count);
    }
    cli_progress_end(&progress);
    return status;
}

static scry_status compare(struct diff *diff)
{
    struct cli_progress progress;
    scry_status         status = check_arguments(diff);
    if (!status) status = diff->prompts ? open_prompts(diff) : diff->count > 1 ? open_pair(diff) : open_twin(diff);
    if (status) return status;
    cli_progress_start(&progress, &diff->common, "layers");
    diff->options.places        = diff->shown;
    diff->options.progress      = step;
    diff->options.progress_user = &progress;
    diff->options.sink          = diff->page ? diff_take_layer : NULL;
    diff->options.sink_user     = diff;
    status                      = scry_compare_run(&diff->result, &diff->sides[0], &diff->sides[1], &diff->options);
    cli_progress_end(&progress);
    return !status && diff->count > 2 ? run_series(diff) : status;
}

static scry_status write_result(struct diff *diff)
{
    json_t           *object = NULL;
    scry__json_source source = diff->common.model ? cli_source(&diff->common) : (scry__json_source){0};
    scry_status       status = SCRY_OK;
    if (diff->page || diff->common.json) status = scry__json_diff(&object, diff->result, diff->series, &source);
    if (!status && diff->output) status = diff->page ? diff_write_page(diff, object) : diff_draw(diff);
    if (!status && diff->page && !diff->common.quiet) fprintf(stderr, "scry: the comparison is in %s\n", diff->output);
    if (!status && diff->common.json) return cli_print_json(object);
    json_decref(object);
    if (!status && !diff->output) status = diff_print_tables(diff);
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct diff *diff = state;
    (void)text; /* all arguments are in diff->arguments */
    scry_status status = cli_check_suffix(diff->output, ".html .htm .png .svg .pdf");
    diff->page         = diff->output && !status && strstr(strrchr(diff->output, '.'), ".htm");
    if (!status && diff->page && diff->count > DIFF_MOST_PAGE_SIDES)
        status = cli_bad("-o %s: a page holds at most %d checkpoints: found %d", diff->output, DIFF_MOST_PAGE_SIDES,
                         diff->count);
    if (!status) status = compare(diff);
    if (!status) status = write_result(diff);
    if (!status && diff->common.opened_device) cli_note_fallbacks(&diff->common);
    diff_release_page(diff);
    scry_series_destroy(&diff->series);
    scry_compare_destroy(&diff->result);
    scry_tokens_destroy(&diff->tokens);
    scry_model_destroy(&diff->other);
    return status;
}

int cli_diff(int argc, char **argv)
{
    struct diff             diff      = {.shown = 10};
    const struct cli_option options[] = {
        {'t', "text", CLI_STRING, &diff.text, "TEXT", "the prompt that all checkpoints get", 0, 0},
        {0, "prompts", CLI_FLAG, &diff.prompts, NULL, "A and B are two prompts for one model", 0, 0},
        {'n', "shown", CLI_INT, &diff.shown, "N", "heads and differences listed (10)", 1, 10000},
        {0, "no-lens", CLI_FLAG, &diff.options.skip_lens, NULL, "compare attention and loss, not every layer's lens", 0,
         0},
        {'o', "output", CLI_STRING, &diff.output, "FILE", "a page (.html), or b - a as .png, .svg or .pdf, instead", 0,
         0},
        {'l', "layers", CLI_STRING, &diff.layers, "0-3,5", "of the picture (with the heads that differ most)", 0, 0},
        {0, "heads", CLI_STRING, &diff.heads, "1,4-7", "of the picture", 0, 0},
        CLI_MODEL_OPTIONS(diff.common),
        CLI_COMMON_OPTIONS(diff.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry diff [options] --text TEXT [A [B ...]]   or   --prompts TEXT TEXT   or   A.npz B.npz",
        .about =
            "Compares the attention of two runs head by head and weight by weight, and beside it what every layer "
            "predicts,\n"
            "and the loss. A and B are checkpoints; A alone (or the demo model) is compared with its random twin, the "
            "same\n"
            "architecture before training. More than two are a series: the first is compared with the last, and head "
            "scores\n"
            "and loss are given for each. Files of attention (.npz, .npy) are scry's own, TransformerLens' or plain "
            "arrays.",
        .options        = options,
        .option_count   = sizeof options / sizeof *options,
        .most           = DIFF_MOST_SIDES,
        .arguments      = diff.arguments,
        .argument_count = &diff.count,
    };
    return cli_main(&syntax, &diff.common, argc, argv, show, &diff);
}

/* scry path: path patching, which part of a model speaks to which, in the terminal or as a picture. */
#include "cli/output.h"
#include "cli/pair.h"
#include "cli/sheet.h"

#include "analysis/path.h"
#include "base/alloc.h"
#include "report/json_path.h"
#include "report/path_picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct path {
    struct cli_common   common;
    struct cli_pair     pair;
    scry_path_options   options;
    const char         *direction, *metric_name, *output;
    scry_patch_metric   metric;
    int                 top; /* senders shown */
    bool                all;
    scry_paths         *result;
    struct cli_progress progress;
};

/* --- tables --- */

enum { SENDER, EFFECT, DIFFERENCE, PROBABILITY, KL, COLUMN_COUNT };
static const scry__table_column columns[] = {
    [SENDER]      = {"from", SCRY__ALIGN_LEFT, false},
    [EFFECT]      = {"effect", SCRY__ALIGN_RIGHT, true},
    [DIFFERENCE]  = {"logit difference", SCRY__ALIGN_RIGHT, true},
    [PROBABILITY] = {"p(answer)", SCRY__ALIGN_RIGHT, true},
    [KL]          = {"KL", SCRY__ALIGN_RIGHT, true},
};

/* A path with the size of what it changes. */
struct rank {
    const scry_path *path;
    float            size;
};

static int by_size(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x->path < y->path ? -1 : x->path > y->path;
}

/* All paths, those that change the logit difference most first. */
static struct rank *rank_paths(const scry_paths *result)
{
    float        base  = scry_patching_baseline(result->pair)->logit_difference;
    struct rank *ranks = scry__alloc((size_t)result->count, sizeof *ranks);
    for (int i = 0; ranks && i < result->count; i++) {
        float size = fabsf(result->paths[i].cell.logit_difference - base);
        ranks[i]   = (struct rank){&result->paths[i], isnan(size) ? INFINITY : size};
    }
    if (ranks) qsort(ranks, (size_t)result->count, sizeof *ranks, by_size);
    return ranks;
}

static void add_ends(scry__text *out, const scry_path_end *ends, int count, const char *between)
{
    for (int i = 0; i < count; i++) {
        if (i) scry__text_adds(out, between);
        scry__path_add_end(out, &ends[i]);
    }
}

static scry_status put_path(struct cli_sheet *sheet, const scry_path *path)
{
    const scry_patch_cell *cell   = &path->cell;
    scry__text             sender = {0};
    add_ends(&sender, path->senders, path->sender_count, "+");
    scry_status status = sender.status;
    if (!status) cli_sheet_put(sheet, SENDER, "%s", sender.data);
    scry__text_finish(&sender);
    if (isnan(cell->effect))
        cli_sheet_put(sheet, EFFECT, "-");
    else
        cli_sheet_put(sheet, EFFECT, "%+.3f", (double)cell->effect);
    cli_sheet_put(sheet, DIFFERENCE, "%+.3f", (double)cell->logit_difference);
    cli_sheet_put(sheet, PROBABILITY, "%.4g", (double)cell->probability);
    cli_sheet_put(sheet, KL, "%.3g", (double)cell->kl);
    sheet->rows++;
    return status;
}

static scry_status add_paths(scry__text *out, const struct path *path)
{
    const scry_paths *result   = path->result;
    scry__terminal    terminal = cli_terminal();
    int               shown    = path->all || path->top > result->count ? result->count : path->top;
    struct rank      *ranks    = rank_paths(result);
    struct cli_sheet  sheet    = {0};
    scry_status       status   = ranks && cli_sheet_create(&sheet, COLUMN_COUNT, shown) ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < shown; i++) status = put_path(&sheet, ranks[i].path);
    if (!status) status = cli_sheet_add(out, &terminal, &sheet, columns);
    if (shown < result->count)
        scry__text_addf(out, "The %d of %d that matter most; --all shows the others too\n", shown, result->count);
    cli_sheet_finish(&sheet);
    scry__free(ranks);
    return status;
}

static scry_status print_tables(const struct path *path)
{
    const scry_paths *result = path->result;
    bool              noise  = result->pair->direction == SCRY_NOISE;
    scry__text        text   = {0};
    scry_status       status = cli_pair_add_sides(&text, result->pair);
    scry__text_addf(&text, "\nWhat a part writes in the %s run, heard in the %s one by ", noise ? "corrupt" : "clean",
                    noise ? "clean" : "corrupt");
    add_ends(&text, result->receivers, result->receiver_count, ", ");
    scry__text_addf(&text, ",\n%s (effect 0: as unpatched, 1: as the %s run):\n",
                    result->mlps_frozen ? "directly" : "directly or through MLPs", noise ? "corrupt" : "clean");
    if (!status) status = add_paths(&text, path);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

/* --- the command --- */

static scry_status print_result(const struct path *path)
{
    const scry_paths *result = path->result;
    scry_status       status = SCRY_OK;
    if (path->output) status = scry__path_picture_write(path->output, result, path->metric);
    if (!status && path->output && !path->common.quiet)
        fprintf(stderr, "scry: %d senders in %s\n", result->count, path->output);
    if (!status && path->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&path->common);
        status                   = scry__json_paths(&object, result, &source);
        if (!status) status = cli_print_json(object);
    }
    if (!status && !path->common.json && !path->output) status = print_tables(path);
    return status;
}

static scry_status choose_direction(struct path *path)
{
    for (int i = 0; i < SCRY_PATCH_DIRECTION_COUNT; i++) {
        path->options.pair.direction = (scry_patch_direction)i;
        if (!strcmp(path->direction, scry_patch_direction_text(path->options.pair.direction))) return SCRY_OK;
    }
    return cli_bad("--direction \"%s\": expected denoise or noise", path->direction);
}

static scry_status check(struct path *path)
{
    scry_status status = cli_pair_check(&path->options.pair);
    if (!status) status = cli_pair_check_prompts(&path->pair);
    if (!status) status = cli_pair_metric(&path->metric, path->metric_name, SCRY_PATCH_METHOD_EXACT);
    if (!status) status = choose_direction(path);
    return status ? status : cli_check_suffix(path->output, ".png .svg .pdf");
}

static bool step(void *user, int64_t done, int64_t total)
{
    cli_progress_step(user, done, total);
    return true;
}

static scry_status show(void *state, const char *text)
{
    struct path        *path    = state;
    scry_patch_options *options = &path->options.pair;
    scry_status         status  = check(path);
    (void)text; /* both are in path->pair */
    if (!status) status = cli_pair_read(&path->pair, options);
    if (!status) status = cli_open_model(&path->common);
    options->progress = step;
    options->user     = &path->progress;
    cli_progress_start(&path->progress, &path->common, "paths");
    if (!status)
        status = scry_paths_run(&path->result, path->common.model, path->pair.arguments[0], path->pair.arguments[1],
                                &path->options);
    cli_progress_end(&path->progress);
    if (!status) status = print_result(path);
    if (!status) cli_note_fallbacks(&path->common);
    scry_paths_destroy(&path->result);
    cli_pair_finish(&path->pair);
    return status;
}

int cli_path(int argc, char **argv)
{
    struct path             path      = {.options     = {.pair = {.answer.id = -1, .wrong.id = -1, .position = -1}},
                                         .direction   = "denoise",
                                         .metric_name = "effect",
                                         .top         = 10};
    const struct cli_option options[] = {
        {0, "from", CLI_STRING, &path.options.from, "SENDERS",
         "heads (all, the default), mlps, or a list such as 0.7,mlp2,embed, each patched alone; 0.7+0.3 together", 0,
         0},
        {0, "to", CLI_STRING, &path.options.to, "RECEIVERS",
         "a list such as 2.3.q,2.3.k,2.3.v,mlp4,logits, all of them at once (logits)", 0, 0},
        {0, "freeze-mlps", CLI_FLAG, &path.options.freeze_mlps, NULL, "MLPs on the way do not hear the sender either",
         0, 0},
        {0, "direction", CLI_STRING, &path.direction, "WHICH",
         "denoise (clean senders in the corrupt run) or noise (the reverse, as in the paper) (denoise)", 0, 0},
        {0, "metric", CLI_STRING, &path.metric_name, "WHICH",
         "in a picture: effect, logit_difference, probability or kl (effect)", 0, 0},
        {'k', "top", CLI_INT, &path.top, "K", "senders in the table (10)", 1, 1e6},
        {0, "all", CLI_FLAG, &path.all, NULL, "all senders", 0, 0},
        {'o', "output", CLI_STRING, &path.output, "FILE",
         ".png, .svg or .pdf instead of the terminal: layers x heads and MLPs", 0, 0},
        CLI_PAIR_OPTIONS(path.pair, path.options.pair),
        CLI_CHECKPOINT_OPTIONS(path.common),
        CLI_COMMON_OPTIONS(path.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry path [options] CLEAN CORRUPT",
        .about =
            "Path patching (Wang et al., 2022): which part speaks to which. A sender's output comes from the other "
            "prompt's\n"
            "run while all other heads stay as they are, so that only MLPs and the residual stream carry it to the "
            "receivers;\n"
            "then the run is made once more in which the receivers' inputs alone are those. Says how much of the "
            "prediction\n"
            "goes that way.",
        .options        = options,
        .option_count   = sizeof options / sizeof *options,
        .most           = 2,
        .arguments      = path.pair.arguments,
        .argument_count = &path.pair.argument_count,
    };
    return cli_main(&syntax, &path.common, argc, argv, show, &path);
}

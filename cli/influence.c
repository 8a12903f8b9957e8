/* scry influence: what one position drew on, in the terminal, as a picture, or to .npz. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "report/influence_picture.h"
#include "report/json_influence.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct influence {
    struct cli_common      common;
    scry_influence_options options;
    const char            *cuts, *output;
    int                    top; /* keys, heads and edges shown */
    scry_influence        *result;
    struct cli_progress    progress;
};

static bool step(void *user, int64_t done, int64_t total)
{
    cli_progress_step(user, done, total);
    return true;
}

static scry_status choose_cuts(struct influence *influence)
{
    if (!influence->cuts) return SCRY_OK;
    for (int cuts = SCRY_CUTS_NONE; cuts < SCRY_CUTS_COUNT; cuts++) {
        influence->options.cuts = (scry_cuts)cuts;
        if (!strcmp(influence->cuts, scry_cuts_text((scry_cuts)cuts))) return SCRY_OK;
    }
    return cli_bad("--cuts \"%s\": expected none, keys, layers, heads or edges", influence->cuts);
}

/* What there is to be cut, by its axes; the order is that of scry_cuts. */
enum level { KEYS, LAYERS, HEADS, EDGES, LEVEL_COUNT };
static const struct {
    const char *title;
    bool        layer, head, key;
    scry_cuts   cuts; /* at which it is measured */
} levels[] = {
    [KEYS]   = {"Keys, in all heads of all layers", false, false, true, SCRY_CUTS_KEYS},
    [LAYERS] = {"Keys, in all heads of one layer", true, false, true, SCRY_CUTS_LAYERS},
    [HEADS]  = {"Heads, which then see nothing but the position itself", true, true, false, SCRY_CUTS_HEADS},
    [EDGES]  = {"Keys, in one head", true, true, true, SCRY_CUTS_EDGES},
};

static const scry_cut *cuts_of(const scry_influence *result, enum level level)
{
    const scry_cut *const cuts[] = {result->key_cuts, result->layer_cuts, result->head_cuts, result->edge_cuts};
    return cuts[level];
}

static const float *weights_of(const scry_influence *result, enum level level)
{
    const float *const weights[] = {result->key_weights, result->layer_weights, NULL, result->weights};
    return weights[level];
}

static int count_of(const scry_influence *result, enum level level)
{
    return (levels[level].layer ? result->layer_count : 1) * (levels[level].head ? result->head_count : 1) *
           (levels[level].key ? result->key_count : 1);
}

/* How much a row matters: by what its cut changes, or by its weight where nothing was cut. */
struct rank {
    int   index;
    float change;
};

static int by_change(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->change != y->change) return x->change < y->change ? 1 : -1;
    return x->index - y->index;
}

static int by_index(const void *a, const void *b)
{
    return ((const struct rank *)a)->index - ((const struct rank *)b)->index;
}

/* All rows of a level, those that matter most first; of the first `most`, keys alone stand in their own order. */
static struct rank *rank_rows(const scry_influence *result, enum level level, int most)
{
    int          count = count_of(result, level);
    bool         cut   = result->cuts >= levels[level].cuts;
    struct rank *ranks = scry__alloc((size_t)count, sizeof *ranks);
    for (int i = 0; ranks && i < count; i++) {
        float change = cut ? fabsf(cuts_of(result, level)[i].log_probability) : weights_of(result, level)[i];
        ranks[i]     = (struct rank){i, isnan(change) ? -1 : change};
    }
    if (ranks) qsort(ranks, (size_t)count, sizeof *ranks, by_change);
    if (ranks && level == KEYS) qsort(ranks, (size_t)most, sizeof *ranks, by_index);
    return ranks;
}

enum { PLACE, KEY, TOKEN, WEIGHT, ROLLOUT, LOGIT, LOG_PROBABILITY, KL, COLUMN_COUNT };
static const scry__table_column columns[] = {
    [PLACE]           = {"", SCRY__ALIGN_LEFT, true},
    [KEY]             = {"key", SCRY__ALIGN_RIGHT, true},
    [TOKEN]           = {"token", SCRY__ALIGN_LEFT, false},
    [WEIGHT]          = {"weight", SCRY__ALIGN_RIGHT, true},
    [ROLLOUT]         = {"rollout", SCRY__ALIGN_RIGHT, true},
    [LOGIT]           = {"logit", SCRY__ALIGN_RIGHT, true},
    [LOG_PROBABILITY] = {"log-prob.", SCRY__ALIGN_RIGHT, true},
    [KL]              = {"KL", SCRY__ALIGN_RIGHT, true},
};

static void put_key(struct cli_sheet *sheet, const scry_influence *result, int key, float weight)
{
    cli_sheet_put(sheet, KEY, "%d", key);
    cli_sheet_put_token(sheet, TOKEN, result->tokens->texts[key]);
    cli_sheet_put(sheet, WEIGHT, "%.3f", (double)weight);
}

/* A head without a key of its own shows the one that it attends to most. */
static void put_row(struct cli_sheet *sheet, const scry_influence *result, enum level level, int index)
{
    int             keys = result->key_count, row = levels[level].key ? index / keys : index;
    const scry_cut *cut = &cuts_of(result, level)[index];
    if (levels[level].head)
        cli_sheet_put(sheet, PLACE, "head %d.%d", row / result->head_count, row % result->head_count);
    else if (levels[level].layer)
        cli_sheet_put(sheet, PLACE, "layer %d", row);
    if (levels[level].key) {
        put_key(sheet, result, index % keys, weights_of(result, level)[index]);
    } else {
        const float *weights = result->weights + (size_t)row * (size_t)keys;
        int          most    = 0;
        for (int key = 1; key < keys; key++)
            if (weights[key] > weights[most]) most = key;
        put_key(sheet, result, most, weights[most]);
    }
    if (level == KEYS && !isnan(result->rollout[index]))
        cli_sheet_put(sheet, ROLLOUT, "%.3f", (double)result->rollout[index]);
    if (result->cuts >= levels[level].cuts) {
        cli_sheet_put(sheet, LOGIT, "%+.3f", (double)cut->logit);
        cli_sheet_put(sheet, LOG_PROBABILITY, "%+.3g", (double)cut->log_probability);
        cli_sheet_put(sheet, KL, "%.3g", (double)cut->kl);
    }
    sheet->rows++;
}

static scry_status add_level(scry__text *out, const struct influence *influence, enum level level)
{
    const scry_influence *result   = influence->result;
    scry__terminal        terminal = cli_terminal();
    int                   count = count_of(result, level), shown = count < influence->top ? count : influence->top;
    struct rank          *ranks = rank_rows(result, level, shown);
    struct cli_sheet      sheet = {0};
    scry_status status          = ranks && cli_sheet_create(&sheet, COLUMN_COUNT, shown) ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < shown; i++) put_row(&sheet, result, level, ranks[i].index);
    scry__text_addf(out, "\n%s", levels[level].title);
    if (shown < count) scry__text_addf(out, " (the %d of %d that matter most)", shown, count);
    scry__text_adds(out, ":\n");
    if (!status) status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    scry__free(ranks);
    return status;
}

enum { SINK_HEAD, SINK_KEY, SINK_TOKEN, SINK_RATIO, SINK_SHARE, SINK_COLUMNS };

static scry_status add_sinks(scry__text *out, const scry_influence *result)
{
    static const scry__table_column headings[] = {
        [SINK_HEAD]  = {"", SCRY__ALIGN_LEFT, true},
        [SINK_KEY]   = {"key", SCRY__ALIGN_RIGHT, true},
        [SINK_TOKEN] = {"token", SCRY__ALIGN_LEFT, false},
        [SINK_RATIO] = {"received / uniform", SCRY__ALIGN_RIGHT, true},
        [SINK_SHARE] = {"mean weight", SCRY__ALIGN_RIGHT, true},
    };
    scry__terminal   terminal = cli_terminal();
    struct cli_sheet sheet;
    if (!result->sink_count) {
        scry__text_adds(out, "\nSinks: none\n");
        return out->status;
    }
    if (!cli_sheet_create(&sheet, SINK_COLUMNS, result->sink_count)) return SCRY_OUT_OF_MEMORY;
    for (; sheet.rows < result->sink_count; sheet.rows++) {
        const scry_sink *sink = &result->sinks[sheet.rows];
        cli_sheet_put(&sheet, SINK_HEAD, "head %d.%d", sink->layer, sink->head);
        cli_sheet_put(&sheet, SINK_KEY, "%d", sink->key);
        cli_sheet_put_token(&sheet, SINK_TOKEN, result->tokens->texts[sink->key]);
        cli_sheet_put(&sheet, SINK_RATIO, "%.2f", (double)sink->ratio);
        cli_sheet_put(&sheet, SINK_SHARE, "%.3f", (double)sink->share);
    }
    scry__text_adds(out, "\nSinks, keys that most positions attend to:\n");
    scry_status status = cli_sheet_add(out, &terminal, &sheet, headings);
    cli_sheet_finish(&sheet);
    return status;
}

static scry_status print_tables(const struct influence *influence)
{
    const scry_influence *result = influence->result;
    scry__text            text   = {0};
    scry_status           status = SCRY_OK;
    scry__text_addf(&text, "Position %d ", result->position);
    scry__label_add(&text, result->tokens->texts[result->position]);
    scry__text_adds(&text, " and the next token ");
    scry__label_add(&text, result->target.text);
    scry__text_addf(&text, ": logit %.3f, probability %.4f\n", (double)result->target.logit,
                    (double)result->target.probability);
    if (result->cuts > SCRY_CUTS_NONE)
        scry__text_adds(&text, "logit, log-prob., KL: what changes when the position cannot see a key (+: it rises)\n");
    for (int level = KEYS; !status && level < LEVEL_COUNT; level++)
        if (level == KEYS || result->cuts >= levels[level].cuts)
            status = add_level(&text, influence, (enum level)level);
    if (!status) status = add_sinks(&text, result);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

/* One field of all cuts of a level, as an array by its axes. */
static scry_status add_cuts(scry__npz *npz, const scry_influence *result, enum level level, const char *field,
                            size_t offset)
{
    char    name[64];
    int     count = count_of(result, level), rank = 0;
    int64_t shape[3];
    float  *values = scry__alloc((size_t)count, sizeof *values);
    if (!values) return SCRY_OUT_OF_MEMORY;
    if (levels[level].layer) shape[rank++] = result->layer_count;
    if (levels[level].head) shape[rank++] = result->head_count;
    if (levels[level].key) shape[rank++] = result->key_count;
    for (int i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&cuts_of(result, level)[i] + offset, sizeof *values);
    snprintf(name, sizeof name, "cut_%s_%s", scry_cuts_text(levels[level].cuts), field);
    scry_status status = scry__npz_add(npz, name, SCRY__NPY_F32, rank, shape, values);
    scry__free(values);
    return status;
}

static scry_status write_arrays(const struct influence *influence)
{
    const scry_influence *result  = influence->result;
    const int64_t         shape[] = {result->layer_count, result->head_count, result->key_count};
    scry__npz            *npz     = NULL;
    scry_status           status  = scry__npz_open(&npz, influence->output);
    if (!status) status = scry__npz_add(npz, "weights", SCRY__NPY_F32, 3, shape, result->weights);
    if (!status) status = scry__npz_add(npz, "rollout", SCRY__NPY_F32, 1, shape + 2, result->rollout);
    for (int level = KEYS; level < LEVEL_COUNT; level++) {
        if (result->cuts < levels[level].cuts) continue;
        if (!status) status = add_cuts(npz, result, (enum level)level, "logit", offsetof(scry_cut, logit));
        if (!status)
            status = add_cuts(npz, result, (enum level)level, "log_probability", offsetof(scry_cut, log_probability));
        if (!status) status = add_cuts(npz, result, (enum level)level, "kl", offsetof(scry_cut, kl));
    }
    if (!status) status = cli_add_tokens(npz, result->tokens);
    if (!status) return scry__npz_commit(&npz);
    scry__npz_abort(&npz);
    return status;
}

static scry_status print_result(struct influence *influence)
{
    const scry_influence *result = influence->result;
    scry_status           status = SCRY_OK;
    if (influence->output) {
        const char *dot = strrchr(influence->output, '.');
        status =
            !strcmp(dot, ".npz") ? write_arrays(influence) : scry__influence_picture_write(influence->output, result);
        if (!status && !influence->common.quiet)
            fprintf(stderr, "scry: %d layers x %d keys in %s\n", result->layer_count, result->key_count,
                    influence->output);
    }
    if (!status && influence->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&influence->common);
        status                   = scry__json_influence(&object, result, &source);
        if (!status) status = cli_print_json(object);
    }
    if (!status && !influence->common.json && !influence->output) status = print_tables(influence);
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct influence *influence = state;
    scry_status       status    = cli_check_token(&influence->options.target, "target");
    if (!status) status = choose_cuts(influence);
    if (!status) status = cli_check_suffix(influence->output, ".png .svg .pdf .npz");
    if (!status) status = cli_open(&influence->common, text);
    if (status) return status;
    influence->options.ids          = influence->common.ids;
    influence->options.id_count     = influence->common.id_count;
    influence->options.has_position = influence->options.position >= 0;
    influence->options.most_sinks   = influence->top;
    influence->options.progress     = step;
    influence->options.user         = &influence->progress;
    cli_progress_start(&influence->progress, &influence->common, "cuts");
    status = scry_influence_run(&influence->result, influence->common.model, text, &influence->options);
    cli_progress_end(&influence->progress);
    if (!status) status = print_result(influence);
    if (!status) cli_note_fallbacks(&influence->common);
    scry_influence_destroy(&influence->result);
    return status;
}

int cli_influence(int argc, char **argv)
{
    struct influence        influence = {.options = {.target.id = -1, .position = -1}, .top = 10};
    const struct cli_option options[] = {
        {'p', "position", CLI_INT, &influence.options.position, "N", "the position that is asked about (the last)", 0,
         1e9},
        {'t', "target", CLI_STRING, &influence.options.target.text, "TOKEN",
         "the next token that is watched, e.g. \" Paris\" (the likeliest)", 0, 0},
        {0, "target-id", CLI_INT, &influence.options.target.id, "ID", "the same, by id", 0, 1e9},
        {0, "cuts", CLI_STRING, &influence.cuts, "LEVEL",
         "what is cut: none, keys, layers, heads (usual) or edges, each with those before", 0, 0},
        {0, "no-rollout", CLI_FLAG, &influence.options.skip_rollout, NULL,
         "leave out the rollout: less memory for long prompts", 0, 0},
        {'k', "top", CLI_INT, &influence.top, "K", "rows of each table (10)", 1, 1e6},
        {'o', "output", CLI_STRING, &influence.output, "FILE", ".png, .svg, .pdf or .npz instead of the terminal", 0,
         0},
        CLI_MODEL_OPTIONS(influence.common),
        CLI_COMMON_OPTIONS(influence.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry influence [options] TEXT",
        .about =
            "What one position drew on for its prediction: the attention weights of its row, attention rollout, and "
            "what\n"
            "really changes when an edge is cut, that is, when the position cannot see a key: in all heads, in one "
            "layer, or\n"
            "in one head. Weights say where attention looked, cuts what it mattered.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &influence.common, argc, argv, show, &influence);
}

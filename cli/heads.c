/* scry heads: what each attention head does, scored beside its nulls. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "report/heatmap.h"
#include "report/json_heads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct heads {
    struct cli_common   common;
    scry_heads_options  options;
    const char         *output, *sort, *scores;
    bool                all;
    scry_heads         *result;
    struct cli_progress progress;
};

/* --- names of scores --- */

static scry_status find_score(int *kind, const char *option, const char *name, size_t length)
{
    char all[256] = "";
    for (int i = 0; i < SCRY_HEAD_SCORE_COUNT; i++) {
        const char *text = scry_head_score_name((scry_head_score_kind)i);
        *kind            = i;
        if (strlen(text) == length && !strncmp(text, name, length)) return SCRY_OK;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", text);
    }
    return cli_bad("%s \"%.*s\": expected one of %s", option, (int)length, name, all);
}

/* Shares from 0 to 1, which one scale can show beside each other. */
static bool is_share(int kind)
{
    return kind != SCRY_HEAD_SINK && kind != SCRY_HEAD_DISTANCE;
}

/* The scores of --scores; without it, all that share a scale. */
static scry_status choose_scores(const struct heads *heads, int kinds[SCRY_HEAD_SCORE_COUNT], int *count)
{
    *count = 0;
    for (int kind = 0; !heads->scores && kind < SCRY_HEAD_SCORE_COUNT; kind++)
        if (is_share(kind)) kinds[(*count)++] = kind;
    for (const char *at = heads->scores; at && *at;) {
        size_t      length = strcspn(at, ",");
        int         kind;
        scry_status status = find_score(&kind, "--scores", at, length);
        if (status) return status;
        if (*count == SCRY_HEAD_SCORE_COUNT) return cli_bad("--scores \"%s\": expected each once", heads->scores);
        kinds[(*count)++] = kind;
        at += length + (at[length] == ',');
    }
    if (!*count) return cli_bad("--scores is empty: expected names such as previous,induction");
    for (int i = 0; i<*count && * count> 1; i++)
        if (!is_share(kinds[i]))
            return cli_bad("--scores \"%s\": %s has a scale of its own: expected it alone", heads->scores,
                           scry_head_score_name((scry_head_score_kind)kinds[i]));
    return SCRY_OK;
}

/* --- tables --- */

static void put_score(struct cli_sheet *sheet, int column, const scry_head_score *score)
{
    if (isnan(score->value)) return;
    if (score->at < 0)
        cli_sheet_put(sheet, column, "%.3f", (double)score->value);
    else
        cli_sheet_put(sheet, column, "%.3f @%d", (double)score->value, score->at);
}

static void put_number(struct cli_sheet *sheet, int column, double value)
{
    if (!isnan(value)) cli_sheet_put(sheet, column, "%.3f", value);
}

static int count_certain(const scry_heads *heads, int kind, scry_certainty certainty)
{
    int count = 0;
    for (int i = 0; i < heads->layer_count * heads->head_count; i++)
        count += heads->heads[i].scores[kind].certainty == certainty;
    return count;
}

enum { KIND_NAME, KIND_ABOUT, KIND_UNIFORM, KIND_MEAN, KIND_LARGEST, KIND_HEAD, KIND_VALUE, KIND_SURE, KIND_COLUMNS };

/* Columns of a terminal in which there is room to say what a score is. */
enum { ROOM_FOR_ABOUT = 100 };

/* Each score with its nulls, the head that has most of it, and how many do. */
static scry_status add_kinds(scry__text *out, const scry_heads *heads)
{
    static const scry__table_column columns[KIND_COLUMNS] = {
        [KIND_NAME]    = {"score", SCRY__ALIGN_LEFT, true},
        [KIND_ABOUT]   = {"what it is", SCRY__ALIGN_LEFT, false},
        [KIND_UNIFORM] = {"uniform", SCRY__ALIGN_RIGHT, true},
        [KIND_MEAN]    = {"random", SCRY__ALIGN_RIGHT, true},
        [KIND_LARGEST] = {"largest", SCRY__ALIGN_RIGHT, true},
        [KIND_HEAD]    = {"head", SCRY__ALIGN_LEFT, true},
        [KIND_VALUE]   = {"value", SCRY__ALIGN_RIGHT, true},
        [KIND_SURE]    = {"strong, clear, weak", SCRY__ALIGN_LEFT, true},
    };
    scry__terminal   terminal = cli_terminal();
    struct cli_sheet sheet;
    if (!cli_sheet_create(&sheet, KIND_COLUMNS, SCRY_HEAD_SCORE_COUNT)) return SCRY_OUT_OF_MEMORY;
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++) {
        const scry_head *head = scry_heads_surest(heads, (scry_head_score_kind)kind);
        if (!head) continue;
        cli_sheet_put(&sheet, KIND_NAME, "%s", scry_head_score_name((scry_head_score_kind)kind));
        if (terminal.width >= ROOM_FOR_ABOUT)
            cli_sheet_put(&sheet, KIND_ABOUT, "%s", scry_head_score_about((scry_head_score_kind)kind));
        put_number(&sheet, KIND_UNIFORM, (double)heads->nulls[kind].uniform);
        put_number(&sheet, KIND_MEAN, (double)heads->nulls[kind].random_mean);
        put_number(&sheet, KIND_LARGEST, (double)heads->nulls[kind].random_largest);
        cli_sheet_put(&sheet, KIND_HEAD, "%d.%d", head->layer, head->head);
        put_score(&sheet, KIND_VALUE, &head->scores[kind]);
        if (scry_head_score_is_higher_more((scry_head_score_kind)kind))
            cli_sheet_put(&sheet, KIND_SURE, "%d, %d, %d", count_certain(heads, kind, SCRY_CERTAINTY_STRONG),
                          count_certain(heads, kind, SCRY_CERTAINTY_CLEAR),
                          count_certain(heads, kind, SCRY_CERTAINTY_WEAK));
        sheet.rows++;
    }
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

/* qsort has no room for the score that rows are sorted by. */
static int sort_kind;

static int by_score(const void *a, const void *b)
{
    const scry_head *left = *(const scry_head *const *)a, *right = *(const scry_head *const *)b;
    float            x = left->scores[sort_kind].value, y = right->scores[sort_kind].value;
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    if (x != y) return x < y ? 1 : -1;
    return left < right ? -1 : left > right;
}

/* The heads that the table lists, in its order; returns how many. */
static int choose_heads(const struct heads *heads, const scry_head **rows)
{
    int total = heads->result->layer_count * heads->result->head_count, count = 0;
    for (int i = 0; i < total; i++)
        if (heads->all || heads->result->heads[i].certainty >= SCRY_CERTAINTY_CLEAR)
            rows[count++] = &heads->result->heads[i];
    if (heads->sort) qsort(rows, (size_t)count, sizeof *rows, by_score);
    return count;
}

enum { HEAD_NAME, HEAD_KIND, HEAD_SURE, HEAD_SCORES, HEAD_COLUMNS = HEAD_SCORES + SCRY_HEAD_SCORE_COUNT };
_Static_assert((int)HEAD_COLUMNS <= (int)CLI_SHEET_COLUMNS, "a sheet has room for every score");

/* Columns of a terminal in which every score has one of its own. */
enum { WIDE = 136 };

/* Where that is too wide: those scores that are more than their nulls. */
static void put_certain_scores(struct cli_sheet *sheet, const scry_head *head)
{
    char text[CLI_SHEET_CELL] = "";
    for (int kind = 0; kind < SCRY_HEAD_MAX; kind++) {
        const scry_head_score *score = &head->scores[kind];
        size_t                 used  = strlen(text);
        if (!score->certainty) continue;
        snprintf(text + used, sizeof text - used, "%s%s %.3f", used ? ", " : "",
                 scry_head_score_name((scry_head_score_kind)kind), (double)score->value);
    }
    cli_sheet_put(sheet, HEAD_SCORES, "%s", text);
}

static void put_head(struct cli_sheet *sheet, const scry_head *head, bool wide)
{
    cli_sheet_put(sheet, HEAD_NAME, "%d.%d", head->layer, head->head);
    if (head->kind >= 0) cli_sheet_put(sheet, HEAD_KIND, "%s", scry_head_score_name((scry_head_score_kind)head->kind));
    cli_sheet_put(sheet, HEAD_SURE, "%s", scry_certainty_name(head->certainty));
    for (int kind = 0; wide && kind < SCRY_HEAD_SCORE_COUNT; kind++)
        put_score(sheet, HEAD_SCORES + kind, &head->scores[kind]);
    if (!wide) put_certain_scores(sheet, head);
    sheet->rows++;
}

static scry_status add_heads(scry__text *out, const struct heads *heads)
{
    int                total                 = heads->result->layer_count * heads->result->head_count;
    const scry_head  **rows                  = scry__alloc((size_t)total, sizeof(scry_head *));
    scry__terminal     terminal              = cli_terminal();
    bool               wide                  = terminal.width >= WIDE;
    struct cli_sheet   sheet                 = {0};
    scry__table_column columns[HEAD_COLUMNS] = {
        {"head", SCRY__ALIGN_LEFT, true}, {"is", SCRY__ALIGN_LEFT, true}, {"certainty", SCRY__ALIGN_LEFT, true}};
    scry_status status = rows ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    int         count  = status ? 0 : choose_heads(heads, rows);
    if (!status && !cli_sheet_create(&sheet, HEAD_COLUMNS, count ? count : 1)) status = SCRY_OUT_OF_MEMORY;
    if (status) goto done;
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
        columns[HEAD_SCORES + kind] =
            (scry__table_column){scry_head_score_name((scry_head_score_kind)kind), SCRY__ALIGN_RIGHT, true};
    if (!wide) columns[HEAD_SCORES] = (scry__table_column){"more than its nulls", SCRY__ALIGN_LEFT, false};
    for (int i = 0; i < count; i++) put_head(&sheet, rows[i], wide);
    if (count) scry__text_adds(out, "\n");
    status = cli_sheet_add(out, &terminal, &sheet, columns);
    if (count < total)
        scry__text_addf(out, "\n%d of %d heads are clearly something; --all shows the others too\n", count, total);
done:
    cli_sheet_finish(&sheet);
    scry__free(rows);
    return status;
}

static scry_status print_tables(const struct heads *heads)
{
    const scry_heads *result = heads->result;
    scry__text        out    = {0};
    scry__text_addf(&out, "%d layers x %d heads on %d tokens", result->layer_count, result->head_count,
                    result->token_count);
    if (result->probe_seeds)
        scry__text_addf(&out, "; induction and duplicate on %d x %d random tokens said twice", result->probe_seeds,
                        result->probe_length);
    if (result->random_seeds)
        scry__text_addf(&out, "\n\"random\" and \"largest\": over all heads of %d model%s of random weights",
                        result->random_seeds, result->random_seeds == 1 ? "" : "s");
    scry__text_adds(&out, "\n\n");
    scry_status status = add_kinds(&out, result);
    if (!status) status = add_heads(&out, heads);
    if (!status) return cli_print(&out);
    scry__text_finish(&out);
    return status;
}

/* --- files --- */

/* One score of all heads, [layers, heads]. */
static void gather(float *values, const scry_heads *heads, int kind)
{
    for (int i = 0; i < heads->layer_count * heads->head_count; i++) values[i] = heads->heads[i].scores[kind].value;
}

static scry_status draw(const struct heads *heads)
{
    const scry_heads   *result = heads->result;
    size_t              cells  = (size_t)result->layer_count * (size_t)result->head_count;
    int                 kinds[SCRY_HEAD_SCORE_COUNT], count = 0;
    scry__heatmap_panel panels[SCRY_HEAD_SCORE_COUNT];
    float              *values = scry__alloc(cells, SCRY_HEAD_SCORE_COUNT * sizeof *values);
    scry_status         status = values ? choose_scores(heads, kinds, &count) : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < count; i++) {
        float *panel = values + (size_t)i * cells;
        gather(panel, result, kinds[i]);
        panels[i] = (scry__heatmap_panel){panel, scry_head_score_name((scry_head_score_kind)kinds[i])};
    }
    bool                own_scale = count == 1 && !is_share(kinds[0]);
    const scry__heatmap map       = {.rows        = result->layer_count,
                                     .columns     = result->head_count,
                                     .panel_count = count,
                                     .panels      = panels,
                                     .title       = "What each attention head does",
                                     .row_axis    = "layer",
                                     .column_axis = "head",
                                     .unit        = own_scale ? panels[0].title : "score",
                                     .maximum     = own_scale ? 0 : 1};
    if (!status) status = scry__heatmap_write(heads->output, &map);
    scry__free(values);
    return status;
}

static scry_status write_arrays(const struct heads *heads)
{
    const scry_heads *result  = heads->result;
    const int64_t     shape[] = {result->layer_count, result->head_count};
    float            *values  = scry__alloc((size_t)shape[0] * (size_t)shape[1], sizeof *values);
    scry__npz        *npz     = NULL;
    scry_status       status  = values ? scry__npz_open(&npz, heads->output) : SCRY_OUT_OF_MEMORY;
    for (int kind = 0; !status && kind < SCRY_HEAD_SCORE_COUNT; kind++) {
        gather(values, result, kind);
        status = scry__npz_add(npz, scry_head_score_name((scry_head_score_kind)kind), SCRY__NPY_F32, 2, shape, values);
    }
    if (!status) status = cli_add_tokens(npz, result->tokens);
    scry__free(values);
    if (!status) return scry__npz_commit(&npz);
    scry__npz_abort(&npz);
    return status;
}

/* --- the command --- */

static scry_status print_json(const struct heads *heads)
{
    json_t           *object = NULL;
    scry__json_source source = cli_source(&heads->common);
    scry_status       status = scry__json_heads(&object, heads->result, &source);
    return status ? status : cli_print_json(object);
}

static bool show_progress(void *user, int64_t done, int64_t total)
{
    cli_progress_step(&((struct heads *)user)->progress, done, total);
    return true;
}

/* What can be wrong with the arguments, before any work. */
static scry_status check(const struct heads *heads)
{
    int         kinds[SCRY_HEAD_SCORE_COUNT], count;
    scry_status status = cli_check_suffix(heads->output, ".png .svg .pdf .npz");
    if (!status) status = choose_scores(heads, kinds, &count);
    if (!status && heads->sort) status = find_score(&sort_kind, "--sort", heads->sort, strlen(heads->sort));
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct heads *heads  = state;
    scry_status   status = check(heads);
    if (!status) status = cli_open(&heads->common, text);
    if (status) return status;
    heads->options.ids      = heads->common.ids;
    heads->options.id_count = heads->common.id_count;
    heads->options.progress = show_progress;
    heads->options.user     = heads;
    cli_progress_start(&heads->progress, &heads->common, "layers");
    status = scry_heads_run(&heads->result, heads->common.model, text, &heads->options);
    cli_progress_end(&heads->progress);
    if (!status && heads->output) {
        const char *dot = strrchr(heads->output, '.');
        status          = !strcmp(dot, ".npz") ? write_arrays(heads) : draw(heads);
        if (!status && !heads->common.quiet)
            fprintf(stderr, "scry: %d heads in %s\n", heads->result->layer_count * heads->result->head_count,
                    heads->output);
    }
    if (!status && heads->common.json) status = print_json(heads);
    if (!status && !heads->common.json && !heads->output) status = print_tables(heads);
    if (!status) cli_note_fallbacks(&heads->common);
    scry_heads_destroy(&heads->result);
    return status;
}

int cli_heads(int argc, char **argv)
{
    struct heads            heads     = {0};
    const struct cli_option options[] = {
        {0, "sort", CLI_STRING, &heads.sort, "SCORE", "heads by this score, the largest first", 0, 0},
        {'a', "all", CLI_FLAG, &heads.all, NULL, "heads that are nothing clearly, too", 0, 0},
        {'o', "output", CLI_STRING, &heads.output, "FILE", ".png, .svg, .pdf or .npz instead of the terminal", 0, 0},
        {0, "scores", CLI_STRING, &heads.scores, "NAMES", "scores in a picture (all shares from 0 to 1)", 0, 0},
        {0, "probe-length", CLI_INT, &heads.options.probe_length, "S",
         "random tokens said twice (50, as far as they fit)", 2, 1e6},
        {0, "probe-seeds", CLI_INT, &heads.options.probe_seeds, "N", "sequences of them (4)", 1, 1e4},
        {0, "no-probe", CLI_FLAG, &heads.options.skip_probe, NULL, "leave out induction and duplicate", 0, 0},
        {0, "random-seeds", CLI_INT, &heads.options.random_seeds, "N", "models of random weights (1)", 1, 1e4},
        {0, "no-random", CLI_FLAG, &heads.options.skip_random, NULL, "leave them out", 0, 0},
        {0, "seed", CLI_SEED, &heads.options.seed, "SEED", "of all that is random (0)", 0, 0},
        CLI_MODEL_OPTIONS(heads.common),
        CLI_COMMON_OPTIONS(heads.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry heads [options] TEXT",
        .about =
            "Scores every attention head: previous token, itself, first token, a fixed offset, induction, "
            "duplicate, sinks,\n"
            "uniform, sparse. Each score stands beside what uniform attention and a model of random weights give, "
            "with a\n"
            "certainty that knows how few tokens it was taken from. docs/definitions.md has formulas and the rule.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &heads.common, argc, argv, show, &heads);
}

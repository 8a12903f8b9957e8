/* A comparison in the terminal and as a picture. See diff.h. */
#include "cli/diff.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "report/heatmap.h"
#include "trace/list.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- tables --- */

static void put_number(struct cli_sheet *sheet, int column, double value)
{
    if (!isnan(value)) cli_sheet_put(sheet, column, "%.4f", value);
}

/* "5  France": the position, and the token that stands there; both sides' where they differ. */
static void put_position(struct cli_sheet *sheet, int column, const scry_compare *result, int position)
{
    const scry_tokens *a = result->tokens[0], *b = result->tokens[1];
    scry__text         both = {0};
    cli_sheet_put(sheet, column, "%d", position);
    if (!a || position >= a->count) return;
    scry__text_adds(&both, a->texts[position]);
    if (b && position < b->count && strcmp(a->texts[position], b->texts[position]))
        scry__text_addf(&both, " | %s", b->texts[position]);
    if (!both.status) cli_sheet_put_token(sheet, column + 1, both.data);
    scry__text_finish(&both);
}

/* Heads by divergence, the largest first; undefined ones at the end. */
static int by_divergence(const void *a, const void *b)
{
    const scry_compare_head *x = *(const scry_compare_head *const *)a, *y = *(const scry_compare_head *const *)b;
    float                    left = isnan(x->js) ? -1 : x->js, right = isnan(y->js) ? -1 : y->js;
    if (left != right) return left < right ? 1 : -1;
    return x < y ? -1 : 1;
}

/* All heads in that order; release with scry__free. NULL when memory is refused. */
static const scry_compare_head **rank_heads(const scry_compare *result)
{
    size_t                    count  = (size_t)result->layer_count * (size_t)result->head_count;
    const scry_compare_head **ranked = scry__alloc(count, sizeof *ranked);
    if (!ranked) return NULL;
    for (size_t i = 0; i < count; i++) ranked[i] = &result->heads[i];
    qsort(ranked, count, sizeof *ranked, by_divergence);
    return ranked;
}

enum {
    HEAD_NAME,
    HEAD_JS,
    HEAD_MOVED,
    HEAD_MEAN,
    HEAD_LARGEST,
    HEAD_QUERY,
    HEAD_QUERY_TEXT,
    HEAD_KEY,
    HEAD_KEY_TEXT,
    HEAD_COLUMNS
};

static scry_status add_heads(scry__text *out, const struct diff *diff)
{
    static const scry__table_column columns[HEAD_COLUMNS] = {
        [HEAD_NAME] = {"head", SCRY__ALIGN_LEFT, true},        [HEAD_JS] = {"JS", SCRY__ALIGN_RIGHT, true},
        [HEAD_MOVED] = {"moved", SCRY__ALIGN_RIGHT, true},     [HEAD_MEAN] = {"mean |d|", SCRY__ALIGN_RIGHT, true},
        [HEAD_LARGEST] = {"largest", SCRY__ALIGN_RIGHT, true}, [HEAD_QUERY] = {"query", SCRY__ALIGN_RIGHT, true},
        [HEAD_QUERY_TEXT] = {"", SCRY__ALIGN_LEFT, false},     [HEAD_KEY] = {"key", SCRY__ALIGN_RIGHT, true},
        [HEAD_KEY_TEXT] = {"", SCRY__ALIGN_LEFT, false},
    };
    const scry_compare       *result   = diff->result;
    int                       count    = result->layer_count * result->head_count;
    scry__terminal            terminal = cli_terminal();
    const scry_compare_head **ranked   = rank_heads(result);
    struct cli_sheet          sheet    = {0};
    if (!ranked || !cli_sheet_create(&sheet, HEAD_COLUMNS, diff->shown)) {
        scry__free(ranked);
        return SCRY_OUT_OF_MEMORY;
    }
    scry__text_addf(out, "\nHeads that differ most, of %d (Jensen-Shannon divergence of a row: 0 to %.3f):\n", count,
                    log(2));
    for (; sheet.rows < count && sheet.rows < diff->shown; sheet.rows++) {
        const scry_compare_head *head = ranked[sheet.rows];
        cli_sheet_put(&sheet, HEAD_NAME, "%d.%d", head->layer, head->head);
        put_number(&sheet, HEAD_JS, head->js);
        put_number(&sheet, HEAD_MOVED, head->moved);
        put_number(&sheet, HEAD_MEAN, head->mean);
        put_number(&sheet, HEAD_LARGEST, head->largest);
        put_position(&sheet, HEAD_QUERY, result, head->query);
        put_position(&sheet, HEAD_KEY, result, head->key);
    }
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    scry__free(ranked);
    return status;
}

enum { PLACE_HEAD, PLACE_QUERY, PLACE_QUERY_TEXT, PLACE_KEY, PLACE_KEY_TEXT, PLACE_A, PLACE_B, PLACE_D, PLACE_COLUMNS };

static scry_status add_places(scry__text *out, const struct diff *diff)
{
    static const scry__table_column columns[PLACE_COLUMNS] = {
        [PLACE_HEAD] = {"head", SCRY__ALIGN_LEFT, true},    [PLACE_QUERY] = {"query", SCRY__ALIGN_RIGHT, true},
        [PLACE_QUERY_TEXT] = {"", SCRY__ALIGN_LEFT, false}, [PLACE_KEY] = {"key", SCRY__ALIGN_RIGHT, true},
        [PLACE_KEY_TEXT] = {"", SCRY__ALIGN_LEFT, false},   [PLACE_A] = {"a", SCRY__ALIGN_RIGHT, true},
        [PLACE_B] = {"b", SCRY__ALIGN_RIGHT, true},         [PLACE_D] = {"b - a", SCRY__ALIGN_RIGHT, true},
    };
    const scry_compare *result   = diff->result;
    scry__terminal      terminal = cli_terminal();
    struct cli_sheet    sheet;
    if (!result->place_count) {
        scry__text_adds(out, "\nNo weight differs.\n");
        return out->status;
    }
    if (!cli_sheet_create(&sheet, PLACE_COLUMNS, result->place_count)) return SCRY_OUT_OF_MEMORY;
    scry__text_adds(out, "\nWeights that differ most:\n");
    for (int i = 0; i < result->place_count; i++, sheet.rows++) {
        const scry_compare_place *place = &result->places[i];
        cli_sheet_put(&sheet, PLACE_HEAD, "%d.%d", place->layer, place->head);
        put_position(&sheet, PLACE_QUERY, result, place->query);
        put_position(&sheet, PLACE_KEY, result, place->key);
        put_number(&sheet, PLACE_A, place->a);
        put_number(&sheet, PLACE_B, place->b);
        cli_sheet_put(&sheet, PLACE_D, "%+.4f", (double)(place->b - place->a));
    }
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

enum { LENS_LAYER, LENS_KL, LENS_AGREEMENT, LENS_LOSS_A, LENS_LOSS_B, LENS_ENTROPY_A, LENS_ENTROPY_B, LENS_COLUMNS };

static scry_status add_lens(scry__text *out, const struct diff *diff)
{
    static const scry__table_column columns[LENS_COLUMNS] = {
        [LENS_LAYER]     = {"layer", SCRY__ALIGN_LEFT, true},
        [LENS_KL]        = {"KL(a||b)", SCRY__ALIGN_RIGHT, true},
        [LENS_AGREEMENT] = {"same top-1", SCRY__ALIGN_RIGHT, true},
        [LENS_LOSS_A]    = {"loss a", SCRY__ALIGN_RIGHT, true},
        [LENS_LOSS_B]    = {"loss b", SCRY__ALIGN_RIGHT, true},
        [LENS_ENTROPY_A] = {"entropy a", SCRY__ALIGN_RIGHT, true},
        [LENS_ENTROPY_B] = {"entropy b", SCRY__ALIGN_RIGHT, true},
    };
    const scry_compare *result   = diff->result;
    int                 last     = result->lens_count - 1;
    scry__terminal      terminal = cli_terminal();
    struct cli_sheet    sheet;
    if (!result->lens_count) return SCRY_OK;
    if (!cli_sheet_create(&sheet, LENS_COLUMNS, result->lens_count)) return SCRY_OUT_OF_MEMORY;
    scry__text_adds(out, "\nWhat each layer predicts, in nats, means over positions:\n");
    for (; sheet.rows <= last; sheet.rows++) {
        const scry_compare_layer *layer = &result->lens[sheet.rows];
        if (sheet.rows)
            cli_sheet_put(&sheet, LENS_LAYER, sheet.rows == last ? "%d (final)" : "%d", sheet.rows);
        else
            cli_sheet_put(&sheet, LENS_LAYER, "embed");
        put_number(&sheet, LENS_KL, layer->kl);
        put_number(&sheet, LENS_AGREEMENT, layer->agreement);
        put_number(&sheet, LENS_LOSS_A, layer->loss[0]);
        put_number(&sheet, LENS_LOSS_B, layer->loss[1]);
        put_number(&sheet, LENS_ENTROPY_A, layer->entropy[0]);
        put_number(&sheet, LENS_ENTROPY_B, layer->entropy[1]);
    }
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

/* Over a series: each checkpoint's loss, and the highest of those scores that say what a head does. */
static scry_status add_series(scry__text *out, const scry_series *series)
{
    static const scry_head_score_kind kinds[] = {SCRY_HEAD_PREVIOUS, SCRY_HEAD_FIRST, SCRY_HEAD_DUPLICATE,
                                                 SCRY_HEAD_INDUCTION, SCRY_HEAD_UNIFORM};
    enum { KINDS = sizeof kinds / sizeof *kinds, NAME = 0, LOSS = 1, SCORES = 2 };
    scry__table_column columns[SCORES + KINDS] = {{"checkpoint", SCRY__ALIGN_LEFT, false},
                                                  {"loss", SCRY__ALIGN_RIGHT, true}};
    scry__terminal     terminal                = cli_terminal();
    struct cli_sheet   sheet;
    if (!series) return SCRY_OK;
    if (!cli_sheet_create(&sheet, SCORES + KINDS, series->count)) return SCRY_OUT_OF_MEMORY;
    for (int k = 0; k < KINDS; k++)
        columns[SCORES + k] = (scry__table_column){scry_head_score_name(kinds[k]), SCRY__ALIGN_RIGHT, true};
    scry__text_adds(out, "\nThe series, with the highest score of any head:\n");
    for (; sheet.rows < series->count; sheet.rows++) {
        const scry_series_point *point = &series->points[sheet.rows];
        cli_sheet_put(&sheet, NAME, "%s", point->name);
        put_number(&sheet, LOSS, point->loss);
        for (int k = 0; k < KINDS; k++) {
            const scry_series_score *score = &point->scores[kinds[k]];
            if (score->layer >= 0)
                cli_sheet_put(&sheet, SCORES + k, "%.3f (%d.%d)", (double)score->best, score->layer, score->head);
        }
    }
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

static void add_names(scry__text *out, const scry_compare *result)
{
    const scry_tokens *a = result->tokens[0], *b = result->tokens[1];
    for (int side = 0; side < 2; side++) {
        scry__text_addf(out, "%c     ", "ab"[side]);
        scry__label_prose(out, result->names[side]);
        scry__text_adds(out, "\n");
    }
    if (a && b && a->count != b->count)
        scry__text_addf(out, "The prompts have %d and %d tokens: the first %d are compared\n", a->count, b->count,
                        result->query_count);
    if (isnan(result->loss[0])) return;
    scry__text_addf(out, "Loss  %.4f in a, %.4f in b (%+.4f)\n", (double)result->loss[0], (double)result->loss[1],
                    (double)(result->loss[1] - result->loss[0]));
}

scry_status diff_print_tables(const struct diff *diff)
{
    scry__text  text   = {0};
    scry_status status = SCRY_OK;
    add_names(&text, diff->result);
    status = add_series(&text, diff->series);
    if (!status) status = add_lens(&text, diff);
    if (!status) status = add_heads(&text, diff);
    if (!status) status = add_places(&text, diff);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

/* --- the picture --- */

/* Without --layers and --heads the picture shows this many heads, those that differ most. */
enum { USUAL_PANELS = 6 };

/* Heads of the picture, in order of layer and head, and what b has more than a in each. */
struct panels {
    const scry_compare *result;
    bool               *chosen; /* [layer_count, head_count] of the result */
    int                 count;
    int                *heads;  /* [count]: indices into result->heads */
    float              *values; /* [count, queries, keys] */
};

static scry_status choose_listed(struct panels *panels, const struct diff *diff)
{
    const scry_compare *result  = panels->result;
    int                 numbers = result->layers[result->layer_count - 1] + 1;
    bool               *layers  = scry__alloc((size_t)numbers, sizeof *layers);
    bool               *heads   = scry__alloc((size_t)result->head_count, sizeof *heads);
    scry_status         status  = layers && heads ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__list_parse(diff->layers, "layer", numbers, layers);
    if (!status) status = scry__list_parse(diff->heads, "head", result->head_count, heads);
    for (int i = 0; i < result->layer_count && !status; i++)
        for (int head = 0; head < result->head_count; head++)
            panels->chosen[i * result->head_count + head] = layers[result->layers[i]] && heads[head];
    scry__free(heads);
    scry__free(layers);
    return status;
}

static scry_status choose_usual(struct panels *panels)
{
    const scry_compare       *result = panels->result;
    const scry_compare_head **ranked = rank_heads(result);
    if (!ranked) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->layer_count * result->head_count && i < USUAL_PANELS; i++)
        panels->chosen[ranked[i] - result->heads] = true;
    scry__free(ranked);
    return SCRY_OK;
}

static scry_status choose_panels(struct panels *panels, const struct diff *diff)
{
    const scry_compare *result = panels->result = diff->result;
    size_t              total                   = (size_t)result->layer_count * (size_t)result->head_count;
    panels->chosen                              = scry__alloc(total, sizeof *panels->chosen);
    panels->heads                               = scry__alloc(total, sizeof *panels->heads);
    if (!panels->chosen || !panels->heads) return SCRY_OUT_OF_MEMORY;
    scry_status status = diff->layers || diff->heads ? choose_listed(panels, diff) : choose_usual(panels);
    for (size_t i = 0; i < total && !status; i++)
        if (panels->chosen[i]) panels->heads[panels->count++] = (int)i;
    if (status) return status;
    if (!panels->count) return cli_bad("--layers and --heads leave nothing of what both sides have");
    size_t cells   = (size_t)result->query_count * (size_t)result->key_count;
    panels->values = scry__alloc((size_t)panels->count, cells * sizeof *panels->values);
    return panels->values ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static scry_status take_layer(void *user, const scry_compare *compare, int layer, const float *a, const float *b)
{
    struct panels *panels = user;
    size_t         cells  = (size_t)compare->query_count * (size_t)compare->key_count;
    for (int i = 0; i < panels->count; i++) {
        const scry_compare_head *head = &panels->result->heads[panels->heads[i]];
        size_t                   from = (size_t)head->head * cells, to = (size_t)i * cells;
        for (size_t cell = 0; head->layer == layer && cell < cells; cell++) {
            bool blank                = a[from + cell] == 0 && b[from + cell] == 0; /* masked */
            panels->values[to + cell] = blank ? NAN : b[from + cell] - a[from + cell];
        }
    }
    return SCRY_OK;
}

/* Labels for `count` positions where side a has them; else they are numbered. */
static const char *const *labels_of(const scry_compare *result, int count)
{
    const scry_tokens *tokens = result->tokens[0];
    return tokens && tokens->count >= count && result->query_count == result->key_count
               ? (const char *const *)tokens->texts
               : NULL;
}

static scry_status write_picture(const struct diff *diff, const struct panels *panels)
{
    const scry_compare *result    = panels->result;
    size_t              cells     = (size_t)result->query_count * (size_t)result->key_count;
    char(*titles)[64]             = scry__alloc((size_t)panels->count, sizeof *titles);
    scry__heatmap_panel *drawn    = scry__alloc((size_t)panels->count, sizeof *drawn);
    scry__text           subtitle = {0};
    float                largest  = 0;
    scry_status          status   = titles && drawn ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < panels->count && !status; i++) {
        const scry_compare_head *head = &result->heads[panels->heads[i]];
        snprintf(titles[i], sizeof *titles, "layer %d head %d: JS %.3f", head->layer, head->head, (double)head->js);
        drawn[i] = (scry__heatmap_panel){.values = panels->values + (size_t)i * cells, .title = titles[i]};
        if (head->largest > largest) largest = head->largest;
    }
    scry__text_addf(&subtitle, "a: %s     b: %s", result->names[0], result->names[1]);
    if (!status) status = subtitle.status;
    if (!status)
        status =
            scry__heatmap_write(diff->output, &(scry__heatmap){.rows          = result->query_count,
                                                               .columns       = result->key_count,
                                                               .row_labels    = labels_of(result, result->query_count),
                                                               .column_labels = labels_of(result, result->key_count),
                                                               .panel_count   = panels->count,
                                                               .panels        = drawn,
                                                               .title         = "Attention of b less that of a",
                                                               .subtitle      = subtitle.data,
                                                               .row_axis      = "query",
                                                               .column_axis   = "key",
                                                               .unit          = "difference of attention weights",
                                                               .minimum       = largest > 0 ? -largest : -1,
                                                               .maximum       = largest > 0 ? largest : 1,
                                                               .colours       = SCRY__COLOURS_DIVERGING});
    scry__text_finish(&subtitle);
    scry__free(drawn);
    scry__free(titles);
    return status;
}

/* The heads are known only once all are compared, so that both sides run a second time for their weights. */
scry_status diff_draw(const struct diff *diff)
{
    struct panels panels = {0};
    scry_compare *again  = NULL;
    scry_status   status = choose_panels(&panels, diff);
    if (!status)
        status = scry_compare_run(
            &again, &diff->sides[0], &diff->sides[1],
            &(scry_compare_options){.places = 1, .skip_lens = true, .sink = take_layer, .sink_user = &panels});
    if (!status) status = write_picture(diff, &panels);
    if (!status && !diff->common.quiet)
        fprintf(stderr, "scry: %d heads of %d x %d weights in %s\n", panels.count, diff->result->query_count,
                diff->result->key_count, diff->output);
    scry_compare_destroy(&again);
    scry__free(panels.values);
    scry__free(panels.heads);
    scry__free(panels.chosen);
    return status;
}

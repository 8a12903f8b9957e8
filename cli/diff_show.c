/* A comparison in the terminal. See diff.h. */
#include "cli/diff.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Four decimals, or what four would not show. */
static void put_number(struct cli_sheet *sheet, int column, double value)
{
    bool tiny = value != 0 && fabs(value) < 5e-5;
    if (!isnan(value)) cli_sheet_put(sheet, column, tiny ? "%.1e" : "%.4f", value);
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

const scry_compare_head **diff_rank_heads(const scry_compare *result)
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
    const scry_compare_head **ranked   = diff_rank_heads(result);
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

/* Positions by the divergence of their rows, the largest first; undefined ones at the end. */
struct ranked_position {
    int   position;
    float js;
};

static int by_row_divergence(const void *a, const void *b)
{
    const struct ranked_position *x = a, *y = b;
    float                         left = isnan(x->js) ? -1 : x->js, right = isnan(y->js) ? -1 : y->js;
    if (left != right) return left < right ? 1 : -1;
    return x->position - y->position;
}

enum { POSITION_NUMBER, POSITION_TEXT, POSITION_JS, POSITION_COLUMNS };

static scry_status add_position_table(scry__text *out, const struct diff *diff)
{
    static const scry__table_column columns[POSITION_COLUMNS] = {
        [POSITION_NUMBER] = {"position", SCRY__ALIGN_RIGHT, true},
        [POSITION_TEXT]   = {"", SCRY__ALIGN_LEFT, false},
        [POSITION_JS]     = {"JS", SCRY__ALIGN_RIGHT, true},
    };
    const scry_compare     *result   = diff->result;
    scry__terminal          terminal = cli_terminal();
    struct cli_sheet        sheet    = {0};
    struct ranked_position *ranked   = scry__alloc((size_t)result->query_count, sizeof *ranked);
    if (!ranked || !cli_sheet_create(&sheet, POSITION_COLUMNS, diff->shown)) {
        scry__free(ranked);
        return SCRY_OUT_OF_MEMORY;
    }
    for (int i = 0; i < result->query_count; i++) ranked[i] = (struct ranked_position){i, result->positions[i]};
    qsort(ranked, (size_t)result->query_count, sizeof *ranked, by_row_divergence);
    scry__text_adds(out, "\nPositions that look elsewhere most, mean over all heads:\n");
    for (; sheet.rows < result->query_count && sheet.rows < diff->shown; sheet.rows++) {
        put_position(&sheet, POSITION_NUMBER, result, ranked[sheet.rows].position);
        put_number(&sheet, POSITION_JS, ranked[sheet.rows].js);
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
        put_number(&sheet, PLACE_D, (double)(place->b - place->a));
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
    if (!status) status = add_position_table(&text, diff);
    if (!status) status = add_places(&text, diff);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

/* scry attn: attention of chosen layers and heads in several views, in the terminal, as a picture, or to .npz. */
#include "cli/command.h"
#include "cli/output.h"

#include "analysis/view.h"
#include "base/alloc.h"
#include "report/heatmap.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attn {
    struct cli_common  common;
    scry__view_options options;
    const char        *view, *output;
    int                queries[2], keys[2];
    scry__view        *result;
};

/* "from:5" to its kind and position. */
static scry_status parse_view(struct attn *attn)
{
    const char *text   = attn->view ? attn->view : scry__view_text(SCRY__VIEW_HEADS);
    size_t      length = strcspn(text, ":");
    for (int kind = 0; kind < SCRY__VIEW_COUNT; kind++) {
        bool  has_position = kind == SCRY__VIEW_FROM || kind == SCRY__VIEW_TO;
        char *end          = NULL;
        if (strlen(scry__view_text((scry__view_kind)kind)) != length ||
            strncmp(text, scry__view_text((scry__view_kind)kind), length) != 0 || has_position != !!text[length])
            continue;
        errno         = 0;
        long position = has_position ? strtol(text + length + 1, &end, 10) : 0;
        if (has_position && (!text[length + 1] || *end || errno || position < 0 || position > 1000000000)) break;
        attn->options.kind     = (scry__view_kind)kind;
        attn->options.position = (int)position;
        return SCRY_OK;
    }
    return cli_bad("--view \"%s\": expected heads, mean, layers, from:POSITION, to:POSITION or sinks", text);
}

static scry_status choose_view(struct attn *attn)
{
    scry_status     status = parse_view(attn);
    scry__view_kind kind   = attn->options.kind;
    if (status) return status;
    if (attn->queries[1] && (kind == SCRY__VIEW_FROM || kind == SCRY__VIEW_SINKS))
        return cli_bad("--queries: the view \"%s\" has rows of its own", attn->view);
    if (attn->keys[1] && (kind == SCRY__VIEW_TO || kind == SCRY__VIEW_SINKS))
        return cli_bad("--keys: the view \"%s\" has columns of its own", attn->view);
    attn->options.queries = (scry_range){attn->queries[0], attn->queries[1]};
    attn->options.keys    = (scry_range){attn->keys[0], attn->keys[1]};
    return SCRY_OK;
}

/* Means and ratios, which are no captures: [tiles, ...]. */
static scry_status add_reduced(scry__npz *npz, const scry__view *view)
{
    bool          sinks = view->kind == SCRY__VIEW_SINKS;
    const int64_t keys = view->keys.end - view->keys.begin, queries = view->queries.end - view->queries.begin;
    const int64_t shape[] = {view->tile_count, sinks ? keys : queries, keys};
    return scry__npz_add(npz, sinks ? "received_ratio" : "pattern_mean", SCRY__NPY_F32, sinks ? 2 : 3, shape,
                         view->reduced);
}

static scry_status write_arrays(const struct attn *attn)
{
    const scry__view *view   = attn->result;
    scry__npz        *npz    = NULL;
    scry_status       status = scry__npz_open(&npz, attn->output);
    for (int i = 0; !status && i < view->trace->count; i++)
        if (view->trace->captures[i].data) status = scry__npz_add_capture(npz, &view->trace->captures[i]);
    if (!status && view->reduced) status = add_reduced(npz, view);
    if (!status) status = cli_add_tokens(npz, view->tokens);
    if (!status) return scry__npz_commit(&npz);
    scry__npz_abort(&npz);
    return status;
}

enum { TITLE_SIZE = 48 };

static void add_title(char *out, const scry__view_tile *tile, bool brief)
{
    if (tile->layer < 0)
        snprintf(out, TITLE_SIZE, "mean");
    else if (tile->head < 0)
        snprintf(out, TITLE_SIZE, "layer %d", tile->layer);
    else
        snprintf(out, TITLE_SIZE, brief ? "%d.%d" : "layer %d head %d", tile->layer, tile->head);
}

/* A map in the terminal, or in the file where there is a path. */
static scry_status show_map(const scry__heatmap *map, const char *path)
{
    scry__text     text     = {0};
    scry__terminal terminal = cli_terminal();
    if (path) return scry__heatmap_write(path, map);
    scry__terminal_heatmap(&text, &terminal, map);
    if (map->columns > terminal.width && map->causal)
        scry__text_adds(&text, "--queries A:B and --keys A:B show a part in full\n");
    return cli_print(&text);
}

static float largest_of(const float *values, size_t count, float largest)
{
    for (size_t i = 0; i < count; i++) largest = values[i] > largest ? values[i] : largest;
    return largest;
}

/* Each tile a panel, queries by keys; all on one scale, from 0 to the largest weight shown. */
static scry_status draw_panels(const scry__view *view, const char *path, const char *subtitle)
{
    const char *const *labels    = (const char *const *)view->tokens->texts;
    char(*titles)[TITLE_SIZE]    = scry__alloc((size_t)view->tile_count, sizeof *titles);
    scry__heatmap_panel *panels  = scry__alloc((size_t)view->tile_count, sizeof *panels);
    scry_status          status  = titles && panels ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    float                largest = 0;
    for (int i = 0; !status && i < view->tile_count; i++) {
        add_title(titles[i], &view->tiles[i], false);
        panels[i] = (scry__heatmap_panel){.values = view->tiles[i].values, .title = titles[i]};
        largest   = largest_of(panels[i].values, scry__view_size(view), largest);
    }
    const scry__heatmap map = {.rows          = view->queries.end - view->queries.begin,
                               .columns       = view->keys.end - view->keys.begin,
                               .row_labels    = labels + view->queries.begin,
                               .column_labels = labels + view->keys.begin,
                               .row_offset    = view->queries.begin,
                               .column_offset = view->keys.begin,
                               .panel_count   = view->tile_count,
                               .panels        = panels,
                               .title         = "Attention",
                               .subtitle      = subtitle,
                               .row_axis      = "query",
                               .column_axis   = "key",
                               .unit          = scry__view_unit(view->kind),
                               .maximum       = largest > 0 ? largest : 1,
                               .causal        = true};
    if (!status) status = show_map(&map, path);
    scry__free(panels);
    scry__free(titles);
    return status;
}

/* What a view of lines is called. */
static scry_status title_lines(scry__text *out, const scry__view *view)
{
    int position = view->kind == SCRY__VIEW_TO ? view->keys.begin : view->queries.begin;
    if (view->kind == SCRY__VIEW_SINKS) {
        scry__text_adds(out, "What keys receive");
        return out->status;
    }
    scry__text_addf(out, "Attention %s position %d ", scry__view_text(view->kind), position);
    scry__label_add(out, view->tokens->texts[position]);
    return out->status;
}

/* Does the cell of a line lie behind the mask? Queries before a key cannot look at it, nor a query at keys behind it.
 */
static bool is_masked(const scry__view *view, int place)
{
    if (view->kind == SCRY__VIEW_TO) return view->queries.begin + place < view->keys.begin;
    return view->kind == SCRY__VIEW_FROM && view->keys.begin + place > view->queries.begin;
}

/* Each tile a row of one panel, masked cells blank. */
static scry_status draw_lines(const scry__view *view, const char *path, const char *subtitle)
{
    scry_range range = view->kind == SCRY__VIEW_TO ? view->queries : view->keys;
    size_t     size = scry__view_size(view), rows = (size_t)view->tile_count;
    float     *values        = scry__alloc(rows, size * sizeof *values);
    char(*names)[TITLE_SIZE] = scry__alloc(rows, sizeof *names);
    const char **labels      = scry__alloc(rows, sizeof *labels);
    scry__text   title       = {0};
    scry_status  status      = values && names && labels ? title_lines(&title, view) : SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; !status && i < rows; i++) {
        for (size_t at = 0; at < size; at++)
            values[i * size + at] = is_masked(view, (int)at) ? NAN : view->tiles[i].values[at];
        add_title(names[i], &view->tiles[i], true);
        labels[i] = names[i];
    }
    const scry__heatmap_panel panel = {.values = values};
    const scry__heatmap       map   = {.rows          = view->tile_count,
                                       .columns       = range.end - range.begin,
                                       .row_labels    = labels,
                                       .row_names     = true,
                                       .column_labels = (const char *const *)view->tokens->texts + range.begin,
                                       .column_offset = range.begin,
                                       .panel_count   = 1,
                                       .panels        = &panel,
                                       .title         = title.data,
                                       .subtitle      = subtitle,
                                       .row_axis      = "head",
                                       .column_axis   = view->kind == SCRY__VIEW_TO ? "query" : "key",
                                       .unit          = scry__view_unit(view->kind),
                                       .maximum       = status ? 1 : largest_of(values, rows * size, 1e-6F)};
    if (!status) status = show_map(&map, path);
    scry__text_finish(&title);
    scry__free(labels);
    scry__free(names);
    scry__free(values);
    return status;
}

/* In the terminal, or in the file where there is a path. */
static scry_status draw(const struct attn *attn, const char *path)
{
    const scry__view *view  = attn->result;
    scry__text        edits = {0};
    cli_add_edits(&edits, "", &attn->common, "");
    scry_status status = edits.status;
    if (!status)
        status =
            scry__view_is_lines(view->kind) ? draw_lines(view, path, edits.data) : draw_panels(view, path, edits.data);
    scry__text_finish(&edits);
    return status;
}

static scry_status print_result(const struct attn *attn)
{
    scry_status status = SCRY_OK;
    if (attn->output) {
        const char *dot = strrchr(attn->output, '.');
        status          = !strcmp(dot, ".npz") ? write_arrays(attn) : draw(attn, attn->output);
        if (!status && !attn->common.quiet)
            fprintf(stderr, "scry: %d %s of %d tokens in %s\n", attn->result->tile_count,
                    attn->result->tiles->head < 0 ? "means" : "heads", attn->result->tokens->count, attn->output);
    }
    if (!status && attn->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&attn->common);
        status                   = scry__json_attention(&object, attn->result, &source);
        if (!status) status = cli_print_json(object);
    }
    if (!status && !attn->common.json && !attn->output) status = draw(attn, NULL);
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct attn *attn   = state;
    scry_status  status = choose_view(attn);
    if (!status) status = cli_check_suffix(attn->output, ".png .svg .pdf .npz");
    if (!status) status = cli_open(&attn->common, text);
    if (status) return status;
    attn->options.ids      = attn->common.ids;
    attn->options.id_count = attn->common.id_count;
    attn->options.edits    = attn->common.edits;
    status                 = scry__view_run(&attn->result, attn->common.model, text, &attn->options);
    if (!status) status = print_result(attn);
    if (!status) cli_note_fallbacks(&attn->common);
    scry__view_destroy(&attn->result);
    return status;
}

int cli_attn(int argc, char **argv)
{
    struct attn             attn      = {0};
    const struct cli_option options[] = {
        {0, "view", CLI_STRING, &attn.view, "VIEW", "heads, mean, layers, from:N, to:N or sinks (heads)", 0, 0},
        {'l', "layers", CLI_STRING, &attn.options.layers, "0-3,5",
         "layers, or \"all\" (of heads and mean the last, else all)", 0, 0},
        {0, "heads", CLI_STRING, &attn.options.heads, "1,4-7", "heads (all)", 0, 0},
        {0, "queries", CLI_RANGE, attn.queries, "A:B", "rows: the positions that look (all)", 0, 0},
        {0, "keys", CLI_RANGE, attn.keys, "A:B", "columns: the positions looked at (all)", 0, 0},
        {'o', "output", CLI_STRING, &attn.output, "FILE", ".png, .svg, .pdf or .npz instead of the terminal", 0, 0},
        CLI_EDIT_OPTION(attn.common),
        CLI_MODEL_OPTIONS(attn.common),
        CLI_COMMON_OPTIONS(attn.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry attn [options] TEXT",
        .about =
            "Shows attention: rows are queries, columns are keys, everything on one stated colour scale. Layers "
            "(blocks), heads\n"
            "and positions count from 0. What is wider than the terminal is reduced to the largest weight of each "
            "block of\n"
            "positions, and says so. Views: \"heads\", each head's pattern; \"mean\", the mean of all chosen heads; "
            "\"layers\", the\n"
            "mean of each layer's; \"from:N\", where position N looks, a line for each head; \"to:N\", who looks at "
            "it; \"sinks\",\n"
            "what each key receives over what uniform attention would give it.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &attn.common, argc, argv, show, &attn);
}

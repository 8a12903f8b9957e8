/* scry attn: attention of chosen layers and heads, in the terminal, as a picture, or to .npz. */
#include "cli/command.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "report/heatmap.h"
#include "trace/list.h"

#include <stdio.h>
#include <string.h>

struct attn {
    struct cli_common common;
    const char       *layers, *heads, *output;
    int               queries[2], keys[2];
    /* Filled by capture and choose_tiles: */
    scry_trace      *trace;
    int              tile_count;
    scry__json_head *tiles;
};

/* The capture's patterns, [selected heads, queries, keys], one tile a head with the numbers that people know. */
static scry_status choose_tiles(struct attn *attn)
{
    int         head_count = scry_model_get_info(attn->common.model)->head_count;
    bool       *chosen     = scry__alloc((size_t)head_count, sizeof *chosen);
    scry_status status     = chosen ? scry__list_parse(attn->heads, "head", head_count, chosen) : SCRY_OUT_OF_MEMORY;
    attn->tiles = status ? NULL : scry__alloc((size_t)attn->trace->count * (size_t)head_count, sizeof *attn->tiles);
    if (!status && !attn->tiles) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < attn->trace->count; i++) {
        const scry_capture *capture = &attn->trace->captures[i];
        const float        *values  = capture->data;
        for (int head = 0; head < head_count; head++) {
            if (!chosen[head]) continue;
            attn->tiles[attn->tile_count++] =
                (scry__json_head){.layer = capture->layer, .head = head, .values = values};
            values += capture->shape[1] * capture->shape[2];
        }
    }
    scry__free(chosen);
    return status;
}

static scry_status capture(struct attn *attn, const char *text)
{
    char                     last[16];
    const scry_trace_options options = {.ids      = attn->common.ids,
                                        .id_count = attn->common.id_count,
                                        .hooks    = "blocks.*.attn.hook_pattern",
                                        .layers   = attn->layers ? attn->layers : last,
                                        .heads    = attn->heads,
                                        .queries  = {attn->queries[0], attn->queries[1]},
                                        .keys     = {attn->keys[0], attn->keys[1]}};
    snprintf(last, sizeof last, "%d", scry_model_get_info(attn->common.model)->layer_count - 1);
    scry_status status = scry_trace_run(&attn->trace, attn->common.model, text, &options);
    return status ? status : choose_tiles(attn);
}

static scry_status write_arrays(const struct attn *attn)
{
    scry__npz  *npz    = NULL;
    scry_status status = scry__npz_open(&npz, attn->output);
    for (int i = 0; !status && i < attn->trace->count; i++)
        status = scry__npz_add_capture(npz, &attn->trace->captures[i]);
    if (!status) status = cli_add_tokens(npz, attn->trace->tokens);
    if (!status) return scry__npz_commit(&npz);
    scry__npz_abort(&npz);
    return status;
}

/* All tiles as one picture on one scale, from 0 to the largest weight shown. */
static scry_status draw(const struct attn *attn, const char *path)
{
    const scry_tokens *tokens    = attn->trace->tokens;
    const char *const *labels    = (const char *const *)tokens->texts;
    const int64_t     *shape     = attn->trace->captures[0].shape;
    char(*titles)[48]            = scry__alloc((size_t)attn->tile_count, sizeof *titles);
    scry__heatmap_panel *panels  = scry__alloc((size_t)attn->tile_count, sizeof *panels);
    scry_status          status  = titles && panels ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    float                largest = 0;
    for (int i = 0; !status && i < attn->tile_count; i++) {
        snprintf(titles[i], sizeof *titles, "layer %d head %d", attn->tiles[i].layer, attn->tiles[i].head);
        panels[i] = (scry__heatmap_panel){.values = attn->tiles[i].values, .title = titles[i]};
        for (int64_t at = 0; at < shape[1] * shape[2]; at++)
            largest = panels[i].values[at] > largest ? panels[i].values[at] : largest;
    }
    const scry__heatmap map = {.rows          = (int)shape[1],
                               .columns       = (int)shape[2],
                               .row_labels    = labels + attn->queries[0],
                               .column_labels = labels + attn->keys[0],
                               .row_offset    = attn->queries[0],
                               .column_offset = attn->keys[0],
                               .panel_count   = attn->tile_count,
                               .panels        = panels,
                               .title         = "Attention",
                               .row_axis      = "query",
                               .column_axis   = "key",
                               .unit          = "attention weight",
                               .maximum       = largest > 0 ? largest : 1,
                               .causal        = true};
    if (!status && path) {
        status = scry__heatmap_write(path, &map);
    } else if (!status) {
        scry__text     text     = {0};
        scry__terminal terminal = cli_terminal();
        scry__terminal_heatmap(&text, &terminal, &map);
        if (shape[2] > terminal.width) scry__text_adds(&text, "--queries A:B and --keys A:B show a part in full\n");
        status = cli_print(&text);
    }
    scry__free(panels);
    scry__free(titles);
    return status;
}

static scry_status print_json(const struct attn *attn)
{
    const int64_t             *shape  = attn->trace->captures[0].shape;
    const scry__json_attention result = {.tokens      = attn->trace->tokens,
                                         .query_begin = attn->queries[0],
                                         .query_count = (int)shape[1],
                                         .key_begin   = attn->keys[0],
                                         .key_count   = (int)shape[2],
                                         .head_count  = attn->tile_count,
                                         .heads       = attn->tiles};
    scry__json_source          source = cli_source(&attn->common);
    json_t                    *object = NULL;
    scry_status                status = scry__json_of_attention(&object, &result, &source);
    return status ? status : cli_print_json(object);
}

static scry_status show(void *state, const char *text)
{
    struct attn *attn   = state;
    scry_status  status = cli_check_suffix(attn->output, ".png .svg .pdf .npz");
    if (!status) status = cli_open(&attn->common, text);
    if (!status) status = capture(attn, text);
    if (!status && attn->output) {
        const char *dot = strrchr(attn->output, '.');
        status          = dot && !strcmp(dot, ".npz") ? write_arrays(attn) : draw(attn, attn->output);
        if (!status && !attn->common.quiet)
            fprintf(stderr, "scry: %d heads of %d tokens in %s\n", attn->tile_count, attn->trace->tokens->count,
                    attn->output);
    }
    if (!status && attn->common.json) status = print_json(attn);
    if (!status && !attn->common.json && !attn->output) status = draw(attn, NULL);
    if (!status) cli_note_fallbacks(&attn->common);
    scry_trace_destroy(&attn->trace);
    scry__free(attn->tiles);
    return status;
}

int cli_attn(int argc, char **argv)
{
    struct attn             attn      = {0};
    const struct cli_option options[] = {
        {'l', "layers", CLI_STRING, &attn.layers, "0-3,5", "layers, or \"all\" (the last)", 0, 0},
        {0, "heads", CLI_STRING, &attn.heads, "1,4-7", "heads (all)", 0, 0},
        {0, "queries", CLI_RANGE, attn.queries, "A:B", "rows: the positions that look (all)", 0, 0},
        {0, "keys", CLI_RANGE, attn.keys, "A:B", "columns: the positions looked at (all)", 0, 0},
        {'o', "output", CLI_STRING, &attn.output, "FILE", ".png, .svg, .pdf or .npz instead of the terminal", 0, 0},
        CLI_MODEL_OPTIONS(attn.common),
        CLI_COMMON_OPTIONS(attn.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry attn [options] TEXT",
        .about =
            "Shows attention patterns: rows are queries, columns are keys, all heads on one stated colour scale.\n"
            "Layers (blocks), heads and positions count from 0. What is wider than the terminal is reduced to the\n"
            "largest weight of each block of positions, and says so.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &attn.common, argc, argv, show, &attn);
}

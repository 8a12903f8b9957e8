/* Views of attention. See view.h. */
#include "analysis/view.h"

#include "analysis/received.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/model.h"
#include "trace/list.h"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *text, *unit;
} kinds[] = {
#define VIEW_TEXTS(name, text, about, unit) {text, unit},
    SCRY__VIEW_LIST(VIEW_TEXTS)
#undef VIEW_TEXTS
};

const char *scry__view_text(scry__view_kind kind)
{
    return kinds[kind].text;
}

const char *scry__view_unit(scry__view_kind kind)
{
    return kinds[kind].unit;
}

bool scry__view_is_lines(scry__view_kind kind)
{
    return kind >= SCRY__VIEW_FROM;
}

size_t scry__view_size(const scry__view *view)
{
    size_t rows = view->kind == SCRY__VIEW_SINKS ? 1 : (size_t)(view->queries.end - view->queries.begin);
    return rows * (size_t)(view->keys.end - view->keys.begin);
}

static bool is_mean(scry__view_kind kind)
{
    return kind == SCRY__VIEW_MEAN || kind == SCRY__VIEW_LAYERS;
}

struct viewer {
    scry__view               *view;
    scry_model               *model;
    const scry__view_options *options;
    char                      last[16];                /* layer, in digits */
    const char               *layer_list;              /* as options say, or the usual one */
    bool                     *layers, *heads;          /* chosen */
    int                       layer_count, head_count; /* how many of them */
    int                       taken;                   /* layers averaged so far */
};

static int count_chosen(const bool *chosen, int count)
{
    int all = 0;
    for (int i = 0; i < count; i++) all += chosen[i];
    return all;
}

static scry_status choose_heads(struct viewer *viewer)
{
    const scry_model_info    *info    = scry_model_get_info(viewer->model);
    const scry__view_options *options = viewer->options;
    bool                      one     = options->kind == SCRY__VIEW_HEADS || options->kind == SCRY__VIEW_MEAN;
    snprintf(viewer->last, sizeof viewer->last, "%d", info->layer_count - 1);
    viewer->layer_list = options->layers ? options->layers : one ? viewer->last : NULL;
    viewer->layers     = scry__alloc((size_t)info->layer_count, sizeof *viewer->layers);
    viewer->heads      = scry__alloc((size_t)info->head_count, sizeof *viewer->heads);
    if (!viewer->layers || !viewer->heads) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__list_parse(viewer->layer_list, "layer", info->layer_count, viewer->layers);
    if (!status) status = scry__list_parse(options->heads, "head", info->head_count, viewer->heads);
    viewer->layer_count = count_chosen(viewer->layers, info->layer_count);
    viewer->head_count  = count_chosen(viewer->heads, info->head_count);
    return status;
}

/* The ranges that a tile covers: what was asked for, or everything, or the one position. The trace checks them. */
static scry_status choose_ranges(struct viewer *viewer)
{
    const scry__view_options *options = viewer->options;
    scry__view               *view    = viewer->view;
    int                       count   = view->tokens->count;
    const scry_range          all = {0, count}, one = {options->position, options->position + 1};
    bool                      has_position = options->kind == SCRY__VIEW_FROM || options->kind == SCRY__VIEW_TO;
    if (has_position && (options->position < 0 || options->position >= count))
        return scry__fail(SCRY_BAD_ARGUMENT, "position %d: expected 0 to %d, the prompt's last", options->position,
                          count - 1);
    view->queries = options->queries.end ? options->queries : all;
    view->keys    = options->keys.end ? options->keys : all;
    if (options->kind == SCRY__VIEW_FROM) view->queries = one;
    if (options->kind == SCRY__VIEW_TO) view->keys = one;
    if (options->kind == SCRY__VIEW_SINKS) view->queries = view->keys = all;
    return SCRY_OK;
}

/* Adds the heads' patterns to the mean that they belong to. */
static scry_status take_mean(void *user, const scry_capture *capture)
{
    struct viewer *viewer = user;
    scry__view    *view   = viewer->view;
    bool           whole  = view->kind == SCRY__VIEW_MEAN;
    size_t         size   = scry__view_size(view);
    float          parts  = (float)(viewer->head_count * (whole ? viewer->layer_count : 1));
    const float   *values = capture->data;
    if (!view->reduced) view->reduced = scry__alloc((size_t)view->tile_count, size * sizeof *view->reduced);
    if (!view->reduced) return SCRY_OUT_OF_MEMORY;
    float *mean = view->reduced + (whole ? 0 : (size_t)viewer->taken++ * size);
    for (int head = 0; head < viewer->head_count; head++, values += size)
        for (size_t i = 0; i < size; i++) mean[i] += values[i] / parts;
    return SCRY_OK;
}

static scry_status capture(struct viewer *viewer)
{
    const scry__view_options *options = viewer->options;
    scry__view               *view    = viewer->view;
    bool                      sinks   = view->kind == SCRY__VIEW_SINKS;
    const scry_trace_options  trace   = {.ids      = view->tokens->ids,
                                         .id_count = view->tokens->count,
                                         .hooks    = sinks ? "blocks.*.attn.stat_received" : "blocks.*.attn.hook_pattern",
                                         .layers   = viewer->layer_list,
                                         .heads    = options->heads,
                                         .edits    = options->edits,
                                         .queries  = view->queries,
                                         .keys     = view->keys,
                                         .sink     = is_mean(view->kind) ? take_mean : NULL,
                                         .user     = viewer};
    view->tile_count                  = view->kind == SCRY__VIEW_MEAN ? 1 : viewer->layer_count;
    if (!is_mean(view->kind)) view->tile_count *= viewer->head_count;
    view->tiles = scry__alloc((size_t)view->tile_count, sizeof *view->tiles);
    return view->tiles ? scry_trace_run(&view->trace, viewer->model, NULL, &trace) : SCRY_OUT_OF_MEMORY;
}

/* What each key receives over its null, for every tile. */
static scry_status compare_received(struct viewer *viewer)
{
    scry__view *view  = viewer->view;
    int         count = view->tokens->count;
    size_t      keys  = (size_t)count;
    double     *null  = scry__alloc(keys, sizeof *null);
    view->reduced     = scry__alloc((size_t)view->tile_count, keys * sizeof *view->reduced);
    for (int i = 0; null && view->reduced && i < view->tile_count; i++) {
        const scry__view_tile *tile   = &view->tiles[i];
        int64_t                window = viewer->model->arch.layers[tile->layer].window;
        float                 *ratio  = view->reduced + (size_t)i * keys;
        scry__received_null(null, count, window);
        for (int key = 0; key < count; key++) {
            bool seen  = scry__received_rows(count, window, key) >= SCRY__SINK_ROWS;
            ratio[key] = seen ? (float)((double)tile->values[key] / null[key]) : NAN;
        }
    }
    scry__free(null);
    if (!null || !view->reduced) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < view->tile_count; i++) view->tiles[i].values = view->reduced + (size_t)i * keys;
    return SCRY_OK;
}

/* One tile a head, with the numbers that people know; or one for each mean. */
static scry_status lay_tiles(struct viewer *viewer)
{
    scry__view      *view  = viewer->view;
    scry__view_tile *tile  = view->tiles;
    size_t           size  = scry__view_size(view);
    int              heads = scry_model_get_info(viewer->model)->head_count;
    for (int i = 0; i < view->tile_count && is_mean(view->kind); i++)
        view->tiles[i] = (scry__view_tile){view->kind == SCRY__VIEW_MEAN ? -1 : view->trace->captures[i].layer, -1,
                                           view->reduced + (size_t)i * size};
    if (is_mean(view->kind)) return SCRY_OK;
    for (int i = 0; i < view->trace->count; i++) {
        const float *values = view->trace->captures[i].data;
        for (int head = 0; head < heads; head++) {
            if (!viewer->heads[head]) continue;
            *tile++ = (scry__view_tile){view->trace->captures[i].layer, head, values};
            values += size;
        }
    }
    return view->kind == SCRY__VIEW_SINKS ? compare_received(viewer) : SCRY_OK;
}

scry_status scry__view_run(scry__view **out, scry_model *model, const char *text, const scry__view_options *options)
{
    struct viewer viewer = {.model = model, .options = options};
    scry__view   *view   = scry__alloc(1, sizeof *view);
    *out                 = NULL;
    if (!view) return SCRY_OUT_OF_MEMORY;
    viewer.view        = view;
    view->kind         = options->kind;
    scry_status status = scry_tokens_create(&view->tokens, model, text, options->ids, options->id_count);
    if (!status) status = choose_heads(&viewer);
    if (!status) status = choose_ranges(&viewer);
    if (!status) status = capture(&viewer);
    if (!status) status = lay_tiles(&viewer);
    scry__free(viewer.heads);
    scry__free(viewer.layers);
    if (status)
        scry__view_destroy(&view);
    else
        *out = view;
    return status;
}

void scry__view_destroy(scry__view **view)
{
    scry__view *self = view ? *view : NULL;
    if (!self) return;
    scry__free(self->reduced);
    scry__free(self->tiles);
    scry_trace_destroy(&self->trace);
    scry_tokens_destroy(&self->tokens);
    scry__free(self);
    *view = NULL;
}

/* Views of attention: means, single lines and received weight are what the whole patterns give. */
#include "analysis/view.h"
#include "analysis/received.h"
#include "fixture.h"
#include "refusals.h"

#include "model/model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BEGIN = 3, END = 9, POSITION = 5 };

static scry__view *run_view(const struct fixture *f, scry__view_options options)
{
    scry__view *view = NULL;
    options.ids      = f->ids;
    options.id_count = f->id_count;
    cr_assert_eq(scry__view_run(&view, f->model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    return view;
}

/* transformers' weight. */
static double weight(const struct fixture *f, int layer, int head, int query, int key)
{
    const float *values = (const float *)(const void *)fixture_find(f, "attentions.", layer)->data;
    return (double)values[(head * f->id_count + query) * f->id_count + key];
}

static bool is_chosen(int head)
{
    return head == 0 || head == 2;
}

/* The mean over heads 0 and 2, of one layer or (layer < 0) of all. */
static double mean_weight(const struct fixture *f, int layer, int query, int key)
{
    int    layers = scry_model_get_info(f->model)->layer_count;
    double sum    = 0;
    for (int at = 0; at < layers; at++)
        for (int head = 0; head < 3; head++)
            if (is_chosen(head) && (layer < 0 || layer == at)) sum += weight(f, at, head, query, key);
    return sum / 2 / (layer < 0 ? layers : 1);
}

static double received_ratio(const struct fixture *f, int layer, int head, int key)
{
    double  sum    = 0, null[64];
    int64_t window = f->model->arch.layers[layer].window;
    if (scry__received_rows(f->id_count, window, key) < SCRY__SINK_ROWS) return NAN;
    scry__received_null(null, f->id_count, window);
    for (int query = 0; query < f->id_count; query++) sum += weight(f, layer, head, query, key);
    return sum / null[key];
}

static double expected(const struct fixture *f, const scry__view *view, const scry__view_tile *tile, int query, int key)
{
    switch (view->kind) {
    case SCRY__VIEW_MEAN:
    case SCRY__VIEW_LAYERS:
        return mean_weight(f, tile->layer, query, key);
    case SCRY__VIEW_SINKS:
        return received_ratio(f, tile->layer, tile->head, key);
    default:
        return weight(f, tile->layer, tile->head, query, key);
    }
}

static void check_view(const struct fixture *f, scry__view_options options, int tiles, scry_range queries,
                       scry_range keys)
{
    options.heads    = "0,2";
    options.layers   = "all";
    scry__view *view = run_view(f, options);
    const char *name = scry__view_text(options.kind);
    cr_assert_eq(view->tile_count, tiles, "%s: %d tiles", name, view->tile_count);
    cr_assert(view->queries.begin == queries.begin && view->queries.end == queries.end, "%s", name);
    cr_assert(view->keys.begin == keys.begin && view->keys.end == keys.end, "%s", name);
    int rows = view->kind == SCRY__VIEW_SINKS ? 1 : queries.end - queries.begin, columns = keys.end - keys.begin;
    cr_assert_eq(scry__view_size(view), (size_t)(rows * columns), "%s", name);
    for (int i = 0; i < tiles; i++)
        for (int at = 0; at < rows * columns; at++) {
            const scry__view_tile *tile = &view->tiles[i];
            double want  = expected(f, view, tile, queries.begin + at / columns, keys.begin + at % columns);
            double found = (double)tile->values[at];
            cr_expect(isnan(want) ? isnan(found) : fabs(found - want) <= 1e-3 * fmax(1, fabs(want)),
                      "%s: layer %d head %d, value %d: %g, expected %g", name, tile->layer, tile->head, at, found,
                      want);
        }
    scry__view_destroy(&view);
}

static void check_views(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    const scry_range part = {BEGIN, END}, all = {0, f.id_count}, one = {POSITION, POSITION + 1};
    int              layers = scry_model_get_info(f.model)->layer_count;
    cr_assert(f.id_count <= 64 && f.id_count >= END && scry_model_get_info(f.model)->head_count >= 3);
    check_view(&f, (scry__view_options){.queries = part}, 2 * layers, part, all);
    check_view(&f, (scry__view_options){.kind = SCRY__VIEW_MEAN, .keys = part}, 1, all, part);
    check_view(&f, (scry__view_options){.kind = SCRY__VIEW_LAYERS, .queries = part, .keys = part}, layers, part, part);
    check_view(&f, (scry__view_options){.kind = SCRY__VIEW_FROM, .position = POSITION}, 2 * layers, one, all);
    check_view(&f, (scry__view_options){.kind = SCRY__VIEW_TO, .position = POSITION}, 2 * layers, all, one);
    check_view(&f, (scry__view_options){.kind = SCRY__VIEW_SINKS}, 2 * layers, all, all);
    fixture_close(&f);
}

Test(view, kinds__are_what_the_whole_patterns_give)
{
    check_views("reference", "gpt2");
    check_views("cpu", "llama");
    check_views("cpu", "mistral");
}

Test(view, layers__are_the_last_or_all_where_nobody_chose)
{
    struct fixture f;
    fixture_open(&f, "cpu", "gpt2");
    for (int kind = 0; kind < SCRY__VIEW_COUNT; kind++) {
        scry__view *view  = run_view(&f, (scry__view_options){.kind = (scry__view_kind)kind});
        bool        first = kind == SCRY__VIEW_HEADS || kind == SCRY__VIEW_MEAN;
        cr_expect_eq(view->trace->count, first ? 1 : scry_model_get_info(f.model)->layer_count, "%s",
                     scry__view_text((scry__view_kind)kind));
        cr_expect(*scry__view_unit((scry__view_kind)kind));
        scry__view_destroy(&view);
    }
    fixture_close(&f);
}

Test(view, misuse__is_refused)
{
    static const int32_t ids[] = {1, 2, 3};
    static const struct {
        scry__view_options options;
        const char        *says;
    } cases[] = {
        {{.kind = SCRY__VIEW_FROM, .position = 3}, "position 3: expected 0 to 2"},
        {{.kind = SCRY__VIEW_TO, .position = -1}, "position -1"},
        {{.kind = SCRY__VIEW_MEAN, .queries = {2, 1}}, "query range 2:1"},
        {{.kind = SCRY__VIEW_LAYERS, .keys = {0, 4}}, "key range 0:4"},
        {{.kind = SCRY__VIEW_SINKS, .layers = "9"}, "there is no layer 9"},
        {{.heads = "1,"}, "head list"},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__view        *view    = NULL;
        scry__view_options options = cases[i].options;
        options.ids                = ids;
        options.id_count           = 3;
        cr_expect_eq(scry__view_run(&view, f.model, NULL, &options), SCRY_BAD_ARGUMENT, "case %zu", i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(view);
    }
    fixture_close(&f);
}

Test(view, run__survives_every_refused_allocation)
{
    struct fixture f;
    int            refused = 0;
    fixture_open(&f, "reference", "llama");
    for (int kind = 0; kind < SCRY__VIEW_COUNT; kind++) {
        struct refusals refusals = {0};
        while (refusals_next(&refusals)) {
            scry__view        *view    = NULL;
            scry__view_options options = {.ids = f.ids, .id_count = 5, .kind = (scry__view_kind)kind, .layers = "0"};
            scry_status        status  = scry__view_run(&view, f.model, NULL, &options);
            refusals_check(&refusals, status, view != NULL);
            scry__view_destroy(&view);
        }
        refused += refusals.refused;
    }
    cr_expect_gt(refused, 100);
    fixture_close(&f);
}

/* A comparison as a picture: what b has more than a, in the heads that differ most or were asked for. See diff.h. */
#include "cli/diff.h"

#include "base/alloc.h"
#include "base/text.h"
#include "report/heatmap.h"
#include "trace/list.h"

#include <math.h>
#include <stdio.h>

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
    const scry_compare_head **ranked = diff_rank_heads(result);
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

/* Head scores and loss over a series of checkpoints. See scry/compare.h. */
#include "analysis/compare_lens.h"
#include "base/alloc.h"

#include <math.h>

static scry_series_score summarise(const scry_heads *heads, int kind)
{
    scry_series_score summary = {.best = NAN, .layer = -1, .head = -1, .mean = NAN};
    double            sum     = 0;
    int               count   = 0;
    for (int i = 0; i < heads->layer_count * heads->head_count; i++) {
        const scry_head *head  = &heads->heads[i];
        float            value = head->scores[kind].value;
        if (isnan(value)) continue;
        sum += (double)value;
        count++;
        if (value <= summary.best) continue;
        summary.best  = value;
        summary.layer = head->layer;
        summary.head  = head->head;
    }
    if (count) summary.mean = (float)(sum / count);
    return summary;
}

static scry_status append(scry_series *series, const scry_series_point *point)
{
    scry_series_point *grown = scry__realloc(series->points, (size_t)series->count + 1, sizeof *grown);
    if (!grown) return SCRY_OUT_OF_MEMORY;
    series->points         = grown;
    grown[series->count++] = *point;
    return SCRY_OK;
}

scry_status scry_series_add(scry_series **series, const char *name, scry_model *model, const char *text,
                            const scry_heads_options *options)
{
    scry_heads_options without_random = options ? *options : (scry_heads_options){0};
    scry_heads        *heads          = NULL;
    scry_series_point  point          = {.name = scry__strdup(name)};
    scry_series       *made           = *series ? *series : scry__alloc(1, sizeof *made);
    scry_status        status         = point.name && made ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    without_random.skip_random        = true;
    if (!status) status = scry_heads_run(&heads, model, text, &without_random);
    if (!status) status = scry__prompt_loss(&point.loss, model, heads->tokens);
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT && !status; kind++) point.scores[kind] = summarise(heads, kind);
    if (!status) status = append(made, &point);
    scry_heads_destroy(&heads);
    if (!status) {
        *series = made;
        return SCRY_OK;
    }
    scry__free(point.name);
    if (!*series) scry__free(made);
    return status;
}

void scry_series_destroy(scry_series **series)
{
    scry_series *self = series ? *series : NULL;
    if (!self) return;
    for (int i = 0; i < self->count; i++) scry__free(self->points[i].name);
    scry__free(self->points);
    scry__free(self);
    *series = NULL;
}

/* An ablation as a picture. See ablation_picture.h. */
#include "report/ablation_picture.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "report/heatmap.h"

#include <math.h>

/* Columns behind the heads. */
static const char *const others[] = {"attn", "MLP", "layer"};
enum { OTHER_COUNT = sizeof others / sizeof *others };

static int column_of(const scry_ablation *ablation, const scry_ablated *one)
{
    return one->part == SCRY_ABLATION_PART_HEAD ? one->head
                                                : ablation->head_count + (int)one->part - SCRY_ABLATION_PART_ATTENTION;
}

static void describe(scry__text *out, const scry_ablation *ablation)
{
    scry__text_addf(out, "Position %d, logit of \"%s\"", ablation->position, ablation->answer.text);
    if (ablation->has_wrong) scry__text_addf(out, " less that of \"%s\"", ablation->wrong.text);
    scry__text_addf(out, ": %+.3f", (double)ablation->answer.logit - (double)ablation->wrong.logit);
    if (ablation->at >= 0) scry__text_addf(out, ". Away at position %d only", ablation->at);
}

/* The cells of all panels, and their titles; returns how many panels there are. */
static int place(float *values, scry__heatmap_panel *panels, const scry_ablation *ablation,
                 scry_ablation_measure measure)
{
    int columns = ablation->head_count + OTHER_COUNT, cells = ablation->layer_count * columns, count = 0;
    for (int way = 0; way < SCRY_ABLATION_WAY_COUNT; way++) {
        if (!(ablation->ways >> way & 1)) continue;
        float *panel    = values + (size_t)count * (size_t)cells;
        panels[count++] = (scry__heatmap_panel){panel, scry_ablation_way_text((scry_ablation_way)way)};
        for (int i = 0; i < ablation->count; i++) {
            const scry_ablated *one = &ablation->ablated[i];
            if ((int)one->way == way)
                panel[one->layer * columns + column_of(ablation, one)] = scry_ablated_value(one, measure);
        }
    }
    return count;
}

scry_status scry__ablation_picture_write(const char *path, const scry_ablation *ablation, scry_ablation_measure measure)
{
    static const char *const units[] = {
        [SCRY_ABLATION_MEASURE_LOGIT]           = "change of the logit",
        [SCRY_ABLATION_MEASURE_LOG_PROBABILITY] = "change of the log-probability (nats)",
        [SCRY_ABLATION_MEASURE_LOSS]            = "change of the loss (nats)",
        [SCRY_ABLATION_MEASURE_KL]              = "KL(whole || without it) (nats)",
    };
    scry__heatmap_panel panels[SCRY_ABLATION_WAY_COUNT];
    int                 columns = ablation->head_count + OTHER_COUNT, count = 0;
    const char        **labels = scry__heatmap_head_labels(ablation->head_count, others, OTHER_COUNT);
    size_t              cells  = (size_t)ablation->layer_count * (size_t)columns;
    float              *values = scry__alloc(SCRY_ABLATION_WAY_COUNT * cells, sizeof *values), most = 0;
    bool                is_kl    = measure == SCRY_ABLATION_MEASURE_KL;
    scry__text          subtitle = {0};
    scry_status         status   = labels && values ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status && measure == SCRY_ABLATION_MEASURE_LOSS && isnan(ablation->loss))
        status = scry__fail(SCRY_BAD_ARGUMENT, "%s: the loss was not measured: expected another measure", path);
    if (!status) count = place(values, panels, ablation, measure);
    for (size_t i = 0; i < (size_t)count * cells; i++) most = fmaxf(most, fabsf(values[i]));
    describe(&subtitle, ablation);
    const scry__heatmap map = {
        .rows          = ablation->layer_count,
        .columns       = columns,
        .column_labels = labels,
        .panel_count   = count,
        .panels        = panels,
        .title         = "What changes without a part",
        .subtitle      = subtitle.data,
        .row_axis      = "layer",
        .column_axis   = "head",
        .unit    = measure == SCRY_ABLATION_MEASURE_LOGIT && ablation->has_wrong ? "change of the logit difference"
                                                                                 : units[measure],
        .minimum = is_kl ? 0 : -fmaxf(most, 1e-6F),
        .maximum = fmaxf(most, 1e-6F),
        .colours = is_kl ? SCRY__COLOURS_SEQUENTIAL : SCRY__COLOURS_DIVERGING,
    };
    if (!status) status = subtitle.status;
    if (!status) status = scry__heatmap_write(path, &map);
    scry__text_finish(&subtitle);
    scry__free(values);
    scry__free(labels);
    return status;
}

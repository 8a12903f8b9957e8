/* A direct logit attribution as a picture. See attribution_picture.h. */
#include "report/attribution_picture.h"

#include "base/alloc.h"
#include "base/text.h"
#include "report/heatmap.h"

#include <math.h>

/* The cells [layers, heads + 1]; returns the sum of what has no cell. */
static double place(float *values, const scry_attribution *attribution)
{
    double rest    = 0;
    int    columns = attribution->head_count + 1;
    for (int i = 0; i < attribution->count; i++) {
        const scry_contribution *one = &attribution->contributions[i];
        if (one->kind == SCRY_CONTRIBUTION_HEAD)
            values[one->layer * columns + one->head] = (float)one->value;
        else if (one->kind == SCRY_CONTRIBUTION_MLP)
            values[one->layer * columns + columns - 1] = (float)one->value;
        else
            rest += one->value;
    }
    return rest;
}

static scry_status describe(scry__text *out, const scry_attribution *attribution, double rest)
{
    scry__text_addf(out, "Position %d, logit of \"%s\"", attribution->position, attribution->answer.text);
    if (attribution->has_wrong) scry__text_addf(out, " less that of \"%s\"", attribution->wrong.text);
    scry__text_addf(out, ": %+.3f. Embeddings and biases: %+.3f", attribution->logit, rest);
    return out->status;
}

scry_status scry__attribution_picture_write(const char *path, const scry_attribution *attribution)
{
    int          columns = attribution->head_count + 1, cells = attribution->layer_count * columns;
    const char **names  = scry__heatmap_head_labels(attribution->head_count, (const char *const[]){"MLP"}, 1);
    float       *values = scry__alloc((size_t)cells, sizeof *values), most = 0;
    scry__text   subtitle = {0};
    scry_status  status   = names && values ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = describe(&subtitle, attribution, place(values, attribution));
    for (int i = 0; !status && i < cells; i++) most = fmaxf(most, fabsf(values[i]));
    const scry__heatmap_panel panel = {.values = values};
    const scry__heatmap       map   = {
                .rows          = attribution->layer_count,
                .columns       = columns,
                .column_labels = names,
                .panel_count   = 1,
                .panels        = &panel,
                .title         = "Direct logit attribution",
                .subtitle      = subtitle.data,
                .row_axis      = "layer",
                .column_axis   = "head",
                .unit    = attribution->has_wrong ? "contribution to the logit difference" : "contribution to the logit",
                .minimum = -fmaxf(most, 1e-6F),
                .maximum = fmaxf(most, 1e-6F),
                .colours = SCRY__COLOURS_DIVERGING,
    };
    if (!status) status = scry__heatmap_write(path, &map);
    scry__text_finish(&subtitle);
    scry__free(values);
    scry__free(names);
    return status;
}

/* What a position drew on as a picture. See influence_picture.h. */
#include "report/influence_picture.h"

#include "base/alloc.h"
#include "base/text.h"
#include "report/heatmap.h"

#include <math.h>

scry_status scry__influence_picture_write(const char *path, const scry_influence *influence)
{
    bool        cut    = influence->cuts >= SCRY_CUTS_LAYERS;
    size_t      cells  = (size_t)influence->layer_count * (size_t)influence->key_count;
    float      *values = scry__alloc(cells, sizeof *values), most = 0;
    scry__text  subtitle = {0};
    scry_status status   = values ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; !status && i < cells; i++) {
        values[i] = cut ? influence->layer_cuts[i].log_probability : influence->layer_weights[i];
        most      = fabsf(values[i]) > most ? fabsf(values[i]) : most;
    }
    scry__text_addf(&subtitle, "Position %d predicts \"%s\"%s", influence->position, influence->target.text,
                    cut ? ": what changes when it cannot see a key in a layer" : ". Mean over the heads of a layer");
    const scry__heatmap_panel panel = {.values = values};
    const scry__heatmap       map   = {
                .rows          = influence->layer_count,
                .columns       = influence->key_count,
                .column_labels = (const char *const *)influence->tokens->texts,
                .panel_count   = 1,
                .panels        = &panel,
                .title         = cut ? "Influence" : "Attention",
                .subtitle      = subtitle.data,
                .row_axis      = "layer",
                .column_axis   = "key",
                .unit          = cut ? "change in log-probability (nats)" : "attention weight",
                .minimum       = cut ? -fmaxf(most, 1e-6F) : 0,
                .maximum       = fmaxf(most, 1e-6F),
                .colours       = cut ? SCRY__COLOURS_DIVERGING : SCRY__COLOURS_SEQUENTIAL,
    };
    if (!status) status = subtitle.status;
    if (!status) status = scry__heatmap_write(path, &map);
    scry__text_finish(&subtitle);
    scry__free(values);
    return status;
}

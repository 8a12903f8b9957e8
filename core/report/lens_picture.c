/* A lens' cells as a heat map with texts. See lens_picture.h. */
#include "report/lens_picture.h"

#include "base/alloc.h"
#include "base/text.h"
#include "report/heatmap.h"

enum { most_with_texts = 64 };

static scry_status draw(const char *path, const scry_lens *lens, int begin, int columns, const float *probabilities,
                        const char *const *texts, const char *note)
{
    bool       spelled  = columns <= most_with_texts;
    scry__text subtitle = {0};
    scry__text_addf(&subtitle, "%s. Layer 0 is the embedding, layer %d the model\xe2\x80\x99s own prediction.%s",
                    spelled ? "The token that each layer would predict next, coloured by its probability"
                            : "Probability of the token that each layer would predict next",
                    lens->layer_count - 1, note ? note : "");
    const scry__heatmap_panel panel = {.values = probabilities};
    const scry__heatmap       map   = {
                .rows          = lens->layer_count,
                .columns       = columns,
                .column_labels = (const char *const *)lens->tokens->texts + begin,
                .panel_count   = 1,
                .panels        = &panel,
                .cell_texts    = spelled ? texts : NULL,
                .title         = lens->tuned ? "Tuned lens" : "Logit lens",
                .subtitle      = subtitle.data,
                .row_axis      = "layer",
                .column_axis   = "after the token",
                .unit          = "probability",
                .maximum       = 1,
    };
    scry_status status = subtitle.status ? subtitle.status : scry__heatmap_write(path, &map);
    scry__text_finish(&subtitle);
    return status;
}

scry_status scry__lens_picture_write(const char *path, const scry_lens *lens, int begin, int end, const char *note)
{
    int          columns       = end - begin;
    size_t       cells         = (size_t)columns * (size_t)lens->layer_count;
    float       *probabilities = scry__alloc(cells, sizeof *probabilities);
    const char **texts         = scry__alloc(cells, sizeof *texts);
    scry_status  status        = probabilities && texts ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; !status && i < cells; i++) {
        int                   layer = (int)(i / (size_t)columns), position = begin + (int)(i % (size_t)columns);
        const scry_candidate *top = scry_lens_at(lens, layer, position)->top;
        probabilities[i]          = top->probability;
        texts[i]                  = top->text ? top->text : "";
    }
    if (!status) status = draw(path, lens, begin, columns, probabilities, texts, note);
    scry__free(texts);
    scry__free(probabilities);
    return status;
}

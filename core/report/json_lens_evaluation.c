/* How well a tuned lens reads, as JSON. See json_lens_evaluation.h. */
#include "report/json_lens_evaluation.h"

#include "report/json_parts.h"

static json_t *quality_object(scry__json_builder *builder, const scry_lens_quality *quality)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_number(builder, object, "cross_entropy", quality->cross_entropy);
    scry__json_set_number(builder, object, "kl", quality->kl);
    scry__json_set_number(builder, object, "entropy", quality->entropy);
    return object;
}

static json_t *layer_array(scry__json_builder *builder, const scry_lens_evaluation *evaluation)
{
    json_t *array = scry__json_new_array(builder);
    for (int layer = 0; layer < evaluation->layer_count; layer++) {
        json_t *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "layer", layer);
        scry__json_set(builder, line, "logit", quality_object(builder, &evaluation->logit[layer]));
        scry__json_set(builder, line, "tuned", quality_object(builder, &evaluation->tuned[layer]));
        scry__json_append(builder, array, line);
    }
    return array;
}

scry_status scry__json_lens_evaluation(json_t **out, const scry_lens_evaluation *evaluation, const char *file,
                                       const char *text, const float *losses, int steps,
                                       const scry__json_source *source)
{
    scry__json_builder builder     = {0};
    json_t            *object      = scry__json_result(&builder, "scry.lens_evaluation/1", source);
    json_t            *steps_array = scry__json_new_array(&builder);
    int                translators = evaluation->layer_count - 1;
    for (int step = 0; losses && step < steps; step++)
        scry__json_append(&builder, steps_array,
                          scry__json_numbers(&builder, losses + (size_t)step * (size_t)translators, translators));
    scry__json_set_text(&builder, object, "file", file);
    scry__json_set_text(&builder, object, "text", text);
    scry__json_set_int(&builder, object, "positions", evaluation->tokens);
    scry__json_set(&builder, object, "layers", layer_array(&builder, evaluation));
    scry__json_set(&builder, object, "losses", steps_array);
    return scry__json_finish(&builder, object, out);
}

/* How a training went as JSON. See json_training.h. */
#include "report/json_training.h"

#include "report/json_parts.h"
#include "train/recipe.h"
#include "train/record.h"

static json_t *checkpoint_array(scry__json_builder *builder, const scry_training *training)
{
    json_t *array = scry__json_new_array(builder);
    for (int step = 0; step <= training->step; step++)
        if (scry__recipe_has_checkpoint(training->recipe, step)) scry__json_append_int(builder, array, step);
    return array;
}

scry_status scry__json_training(json_t **out, const scry_training *training, const char *output,
                                const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.training/1", source);
    *out                       = NULL;
    scry__json_set_text(&builder, object, "output", output);
    scry__json_set(&builder, object, "recipe", scry__recipe_json(&builder, training->recipe));
    scry__json_set_int(&builder, object, "step", training->step);
    scry__json_set_number(&builder, object, "bound", training->bound);
    scry__json_set(&builder, object, "losses", scry__json_numbers(&builder, training->losses, training->step));
    scry__json_set(&builder, object, "evaluations", scry__record_evaluations(&builder, training));
    scry__json_set(&builder, object, "checkpoints", checkpoint_array(&builder, training));
    return scry__json_finish(&builder, object, out);
}

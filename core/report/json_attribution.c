/* A direct logit attribution as JSON. See json_attribution.h. */
#include "report/json_attribution.h"

#include "report/json_parts.h"

static json_t *contribution_array(scry__json_builder *builder, const scry_attribution *attribution)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < attribution->count && !builder->status; i++) {
        const scry_contribution *one  = &attribution->contributions[i];
        json_t                  *line = scry__json_new_object(builder);
        scry__json_set_text(builder, line, "kind", scry_contribution_text(one->kind));
        scry__json_set_place(builder, line, "layer", one->layer);
        scry__json_set_place(builder, line, "head", one->head);
        scry__json_set_number(builder, line, "value", one->value);
        scry__json_set_number(builder, line, "share", one->share);
        scry__json_set_place(builder, line, "key", one->key);
        scry__json_set_number(builder, line, "weight", one->weight);
        scry__json_append(builder, array, line);
    }
    return array;
}

scry_status scry__json_attribution(json_t **out, const scry_attribution *attribution, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.attribution/1", source);
    *out                       = NULL;
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, attribution->tokens));
    scry__json_set_int(&builder, object, "position", attribution->position);
    scry__json_set(&builder, object, "answer", scry__json_candidate(&builder, &attribution->answer));
    scry__json_set(&builder, object, "wrong",
                   attribution->has_wrong ? scry__json_candidate(&builder, &attribution->wrong) : json_null());
    scry__json_set_number(&builder, object, "logit", attribution->logit);
    scry__json_set_number(&builder, object, "denominator", attribution->denominator);
    scry__json_set(&builder, object, "contributions", contribution_array(&builder, attribution));
    scry__json_set_number(&builder, object, "residue", attribution->residue);
    scry__json_set_number(&builder, object, "bound", attribution->bound);
    return scry__json_finish(&builder, object, out);
}

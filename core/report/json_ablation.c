/* An ablation as JSON. See json_ablation.h. */
#include "report/json_ablation.h"

#include "report/json_parts.h"

static json_t *ablated_array(scry__json_builder *builder, const scry_ablation *ablation)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < ablation->count && !builder->status; i++) {
        const scry_ablated *one  = &ablation->ablated[i];
        json_t             *line = scry__json_new_object(builder);
        scry__json_set_text(builder, line, "by", scry_ablation_way_text(one->way));
        scry__json_set_text(builder, line, "part", scry_ablation_part_text(one->part));
        scry__json_set_int(builder, line, "layer", one->layer);
        scry__json_set_place(builder, line, "head", one->head);
        scry__json_set_number(builder, line, "logit", one->logit);
        scry__json_set_number(builder, line, "log_probability", one->log_probability);
        scry__json_set_number(builder, line, "loss", one->loss);
        scry__json_set_number(builder, line, "kl", one->kl);
        scry__json_set_bool(builder, line, "changed", one->changed);
        scry__json_append(builder, array, line);
    }
    return array;
}

scry_status scry__json_ablation(json_t **out, const scry_ablation *ablation, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.ablation/1", source);
    *out                       = NULL;
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, ablation->tokens));
    scry__json_set_int(&builder, object, "position", ablation->position);
    scry__json_set(&builder, object, "answer", scry__json_candidate(&builder, &ablation->answer));
    scry__json_set(&builder, object, "wrong",
                   ablation->has_wrong ? scry__json_candidate(&builder, &ablation->wrong) : json_null());
    scry__json_set_number(&builder, object, "loss", ablation->loss);
    scry__json_set_number(&builder, object, "lse", ablation->lse);
    scry__json_set_number(&builder, object, "entropy", ablation->entropy);
    scry__json_set_place(&builder, object, "at", ablation->at);
    scry__json_set_int(&builder, object, "mean_prompts", ablation->mean_count);
    scry__json_set_text(&builder, object, "resampled", ablation->resampled);
    scry__json_set(&builder, object, "ablations", ablated_array(&builder, ablation));
    scry__json_set(&builder, object, "cost", scry__json_cost(&builder, &ablation->cost));
    return scry__json_finish(&builder, object, out);
}

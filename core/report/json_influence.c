/* What a position drew on as JSON. See json_influence.h. */
#include "report/json_influence.h"

#include "base/error.h"
#include "report/json_parts.h"

#include <math.h>

static json_t *cut_object(scry__json_builder *builder, const scry_cut *cut)
{
    if (isnan(cut->logit) && isnan(cut->kl)) return json_null(); /* not measured */
    json_t *object = scry__json_new_object(builder);
    scry__json_set_number(builder, object, "logit", cut->logit);
    scry__json_set_number(builder, object, "log_probability", cut->log_probability);
    scry__json_set_number(builder, object, "kl", cut->kl);
    return object;
}

/* A cut for each key; NULL gives null. */
static json_t *cut_array(scry__json_builder *builder, const scry_cut *cuts, int count)
{
    if (!cuts) return json_null();
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++) scry__json_append(builder, array, cut_object(builder, &cuts[i]));
    return array;
}

static json_t *key_array(scry__json_builder *builder, const scry_influence *influence)
{
    json_t *array = scry__json_new_array(builder);
    for (int key = 0; key < influence->key_count && !builder->status; key++) {
        json_t *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "position", key);
        scry__json_set_number(builder, line, "weight", influence->key_weights[key]);
        scry__json_set_number(builder, line, "rollout", influence->rollout[key]);
        scry__json_set(builder, line, "cut", cut_object(builder, &influence->key_cuts[key]));
        scry__json_append(builder, array, line);
    }
    return array;
}

static json_t *layer_array(scry__json_builder *builder, const scry_influence *influence)
{
    int     keys  = influence->key_count;
    json_t *array = scry__json_new_array(builder);
    for (int layer = 0; layer < influence->layer_count && !builder->status; layer++) {
        size_t  at   = (size_t)layer * (size_t)keys;
        json_t *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "layer", layer);
        scry__json_set(builder, line, "weights", scry__json_numbers(builder, influence->layer_weights + at, keys));
        scry__json_set(builder, line, "cut", cut_array(builder, influence->layer_cuts + at, keys));
        scry__json_append(builder, array, line);
    }
    return array;
}

static json_t *head_array(scry__json_builder *builder, const scry_influence *influence)
{
    int     keys  = influence->key_count;
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < influence->layer_count * influence->head_count && !builder->status; i++) {
        size_t          at   = (size_t)i * (size_t)keys;
        const scry_cut *each = influence->edge_cuts ? influence->edge_cuts + at : NULL;
        json_t         *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "layer", i / influence->head_count);
        scry__json_set_int(builder, line, "head", i % influence->head_count);
        scry__json_set(builder, line, "cut", cut_object(builder, &influence->head_cuts[i]));
        scry__json_set(builder, line, "weights", scry__json_numbers(builder, influence->weights + at, keys));
        scry__json_set(builder, line, "cuts", cut_array(builder, each, keys));
        scry__json_append(builder, array, line);
    }
    return array;
}

static json_t *sink_array(scry__json_builder *builder, const scry_influence *influence)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < influence->sink_count && !builder->status; i++) {
        const scry_sink *sink = &influence->sinks[i];
        json_t          *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "layer", sink->layer);
        scry__json_set_int(builder, line, "head", sink->head);
        scry__json_set_int(builder, line, "key", sink->key);
        scry__json_set_number(builder, line, "ratio", sink->ratio);
        scry__json_set_number(builder, line, "share", sink->share);
        scry__json_append(builder, array, line);
    }
    return array;
}

scry_status scry__json_influence(json_t **out, const scry_influence *influence, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    double             edges   = (double)influence->layer_count * influence->head_count * influence->key_count;
    *out                       = NULL;
    if (edges * (influence->edge_cuts ? 4 : 1) > SCRY__JSON_MOST_VALUES)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%d layers x %d heads x %d keys are too many for JSON: expected at most %d numbers; write an "
                          ".npz",
                          influence->layer_count, influence->head_count, influence->key_count, SCRY__JSON_MOST_VALUES);
    json_t *object = scry__json_result(&builder, "scry.influence/1", source);
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, influence->tokens));
    scry__json_set_int(&builder, object, "position", influence->position);
    scry__json_set(&builder, object, "target", scry__json_candidate(&builder, &influence->target));
    scry__json_set_number(&builder, object, "lse", influence->lse);
    scry__json_set_number(&builder, object, "entropy", influence->entropy);
    scry__json_set_text(&builder, object, "cuts", scry_cuts_text(influence->cuts));
    scry__json_set(&builder, object, "keys", key_array(&builder, influence));
    scry__json_set(&builder, object, "layers", layer_array(&builder, influence));
    scry__json_set(&builder, object, "heads", head_array(&builder, influence));
    scry__json_set(&builder, object, "sinks", sink_array(&builder, influence));
    return scry__json_finish(&builder, object, out);
}

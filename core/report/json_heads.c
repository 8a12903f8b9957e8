/* Head scores as JSON. See json_heads.h. */
#include "report/json_heads.h"

#include "report/json_parts.h"

static json_t *seeds_object(scry__json_builder *builder, int length, int seeds)
{
    if (!seeds) return json_null();
    json_t *object = scry__json_new_object(builder);
    if (length) scry__json_set_int(builder, object, "length", length);
    scry__json_set_int(builder, object, "seeds", seeds);
    return object;
}

static void add_null(scry__json_builder *builder, json_t *object, const scry_head_null *null)
{
    scry__json_set_number(builder, object, "uniform", null->uniform);
    scry__json_set_number(builder, object, "random_mean", null->random_mean);
    scry__json_set_number(builder, object, "random_largest", null->random_largest);
}

static json_t *kinds_array(scry__json_builder *builder, const scry_heads *heads)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < SCRY_HEAD_SCORE_COUNT; i++) {
        scry_head_score_kind kind   = (scry_head_score_kind)i;
        json_t              *object = scry__json_new_object(builder);
        scry__json_set_text(builder, object, "name", scry_head_score_name(kind));
        scry__json_set_text(builder, object, "about", scry_head_score_about(kind));
        scry__json_set_bool(builder, object, "higher", scry_head_score_is_higher_more(kind));
        add_null(builder, object, &heads->nulls[kind]);
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *score_object(scry__json_builder *builder, const scry_head_score *score, scry_head_score_kind kind)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_number(builder, object, "value", score->value);
    scry__json_set_number(builder, object, "uniform", score->uniform);
    scry__json_set_text(builder, object, "certainty",
                        scry_head_score_is_higher_more(kind) ? scry_certainty_name(score->certainty) : NULL);
    if (kind == SCRY_HEAD_OFFSET || kind == SCRY_HEAD_SINK)
        scry__json_set(builder, object, kind == SCRY_HEAD_OFFSET ? "distance" : "key",
                       score->at < 0 ? json_null() : json_integer(score->at));
    return object;
}

static json_t *head_object(scry__json_builder *builder, const scry_head *head)
{
    json_t *object = scry__json_new_object(builder), *scores = scry__json_new_object(builder);
    for (int i = 0; i < SCRY_HEAD_SCORE_COUNT; i++) {
        scry_head_score_kind kind = (scry_head_score_kind)i;
        scry__json_set(builder, scores, scry_head_score_name(kind), score_object(builder, &head->scores[kind], kind));
    }
    scry__json_set_int(builder, object, "layer", head->layer);
    scry__json_set_int(builder, object, "head", head->head);
    scry__json_set_text(builder, object, "kind",
                        head->kind < 0 ? NULL : scry_head_score_name((scry_head_score_kind)head->kind));
    scry__json_set_text(builder, object, "certainty", scry_certainty_name(head->certainty));
    scry__json_set(builder, object, "scores", scores);
    return object;
}

scry_status scry__json_heads(json_t **out, const scry_heads *heads, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.heads/1", source);
    json_t            *array   = scry__json_new_array(&builder);
    for (int i = 0; i < heads->layer_count * heads->head_count && !builder.status; i++)
        scry__json_append(&builder, array, head_object(&builder, &heads->heads[i]));
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, heads->tokens));
    scry__json_set_int(&builder, object, "token_count", heads->token_count);
    scry__json_set(&builder, object, "probe", seeds_object(&builder, heads->probe_length, heads->probe_seeds));
    scry__json_set(&builder, object, "random", seeds_object(&builder, 0, heads->random_seeds));
    scry__json_set_int(&builder, object, "sink_keys", heads->sink_keys);
    scry__json_set(&builder, object, "kinds", kinds_array(&builder, heads));
    scry__json_set(&builder, object, "heads", array);
    return scry__json_finish(&builder, object, out);
}

static json_t *null_object(scry__json_builder *builder, const scry_head_null *null)
{
    json_t *object = scry__json_new_object(builder);
    add_null(builder, object, null);
    return object;
}

static void add_spread(scry__json_builder *builder, json_t *object, const char *name, const char *spread_name,
                       scry_spread spread)
{
    scry__json_set_number(builder, object, name, spread.mean);
    scry__json_set_number(builder, object, spread_name, spread.spread);
}

static json_t *loss_object(scry__json_builder *builder, const scry_induction *induction)
{
    json_t *object = scry__json_new_object(builder), *array = scry__json_new_array(builder);
    for (int t = 0; t < induction->position_count; t++) scry__json_append_number(builder, array, induction->loss[t]);
    add_spread(builder, object, "first", "first_spread", induction->loss_first);
    add_spread(builder, object, "second", "second_spread", induction->loss_second);
    scry__json_set(builder, object, "by_position", array);
    return object;
}

static json_t *induction_head_object(scry__json_builder *builder, const scry_induction_head *head)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "layer", head->layer);
    scry__json_set_int(builder, object, "head", head->head);
    add_spread(builder, object, "induction", "induction_spread", head->induction);
    add_spread(builder, object, "duplicate", "duplicate_spread", head->duplicate);
    scry__json_set_number(builder, object, "previous", head->previous);
    scry__json_set_text(builder, object, "certainty", scry_certainty_name(head->certainty));
    return object;
}

static json_t *feeder_object(scry__json_builder *builder, const scry_feeder *feeder)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "layer", feeder->layer);
    scry__json_set_int(builder, object, "head", feeder->head);
    scry__json_set_int(builder, object, "from_layer", feeder->from_layer);
    scry__json_set_int(builder, object, "from_head", feeder->from_head);
    scry__json_set_number(builder, object, "k_composition", feeder->k_composition);
    scry__json_set_number(builder, object, "null", feeder->null);
    scry__json_set_number(builder, object, "previous", feeder->previous);
    return object;
}

scry_status scry__json_induction(json_t **out, const scry_induction *induction, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.induction/1", source);
    json_t            *heads = scry__json_new_array(&builder), *feeders = scry__json_new_array(&builder);
    json_t            *null = scry__json_new_object(&builder);
    for (int i = 0; i < induction->layer_count * induction->head_count && !builder.status; i++)
        scry__json_append(&builder, heads, induction_head_object(&builder, &induction->heads[i]));
    for (int i = 0; i < induction->feeder_count && !builder.status; i++)
        scry__json_append(&builder, feeders, feeder_object(&builder, &induction->feeders[i]));
    scry__json_set(&builder, null, "induction", null_object(&builder, &induction->induction));
    scry__json_set(&builder, null, "duplicate", null_object(&builder, &induction->duplicate));
    scry__json_set(&builder, null, "previous", null_object(&builder, &induction->previous));
    scry__json_set_int(&builder, object, "prefix", induction->prefix);
    scry__json_set_int(&builder, object, "length", induction->length);
    scry__json_set_int(&builder, object, "seeds", induction->seeds);
    scry__json_set(&builder, object, "random", seeds_object(&builder, 0, induction->random_seeds));
    scry__json_set(&builder, object, "loss", loss_object(&builder, induction));
    scry__json_set(&builder, object, "null", null);
    scry__json_set(&builder, object, "heads", heads);
    scry__json_set(&builder, object, "feeders", feeders);
    return scry__json_finish(&builder, object, out);
}

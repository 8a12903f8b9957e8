/* Steering as JSON. See json_steering.h. */
#include "report/json_steering.h"

#include "report/json_parts.h"

static json_t *shift_array(scry__json_builder *builder, const scry_shift *shifts, int count)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++) {
        json_t *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "id", shifts[i].id);
        scry__json_set_text(builder, line, "text", shifts[i].text);
        scry__json_set_number(builder, line, "before", shifts[i].before);
        scry__json_set_number(builder, line, "after", shifts[i].after);
        scry__json_append(builder, array, line);
    }
    return array;
}

enum odds_number { LOGIT, PROBABILITY };

static json_t *odds_array(scry__json_builder *builder, const scry_odds *odds, int count, enum odds_number number)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++)
        scry__json_append_number(builder, array, number == LOGIT ? odds[i].logit : odds[i].probability);
    return array;
}

/* By strength an array over the random vectors. */
static json_t *random_array(scry__json_builder *builder, const scry_steering *steering, const scry_odds *odds,
                            enum odds_number number)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < steering->count; i++)
        scry__json_append(
            builder, array,
            odds_array(builder, odds + (size_t)i * (size_t)steering->random_count, steering->random_count, number));
    return array;
}

static json_t *followed_array(scry__json_builder *builder, const scry_steering *steering)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < steering->followed_count && !builder->status; i++) {
        const scry_followed *token = &steering->followed[i];
        json_t              *line  = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "id", token->id);
        scry__json_set_text(builder, line, "text", token->text);
        scry__json_set_number(builder, line, "logit", token->plain.logit);
        scry__json_set_number(builder, line, "probability", token->plain.probability);
        scry__json_set(builder, line, "logits", odds_array(builder, token->steered, steering->count, LOGIT));
        scry__json_set(builder, line, "probabilities",
                       odds_array(builder, token->steered, steering->count, PROBABILITY));
        scry__json_set(builder, line, "random_logits", random_array(builder, steering, token->random, LOGIT));
        scry__json_set(builder, line, "random_probabilities",
                       random_array(builder, steering, token->random, PROBABILITY));
        scry__json_append(builder, array, line);
    }
    return array;
}

static json_t *random_kls(scry__json_builder *builder, const scry_steering *steering, int run)
{
    int count = steering->random_count;
    if (!steering->random_kls) return scry__json_new_array(builder);
    return scry__json_numbers(builder, steering->random_kls + (size_t)run * (size_t)count, count);
}

static json_t *run_array(scry__json_builder *builder, const scry_steering *steering)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < steering->count && !builder->status; i++) {
        const scry_steered *run  = &steering->runs[i];
        json_t             *line = scry__json_new_object(builder);
        scry__json_set_number(builder, line, "strength", run->strength);
        scry__json_set_number(builder, line, "kl", run->kl);
        scry__json_set_number(builder, line, "random_kl", run->random_kl);
        scry__json_set(builder, line, "random_kls", random_kls(builder, steering, i));
        scry__json_set(builder, line, "rises", shift_array(builder, run->rises, run->rise_count));
        scry__json_set(builder, line, "falls", shift_array(builder, run->falls, run->fall_count));
        scry__json_add_generation(builder, line, run->generation);
        scry__json_append(builder, array, line);
    }
    return array;
}

scry_status scry__json_steering(json_t **out, const scry_steering *steering, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.steering/1", source);
    json_t            *plain   = scry__json_new_object(&builder);
    int                end     = steering->positions.end;
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, steering->plain->prompt));
    scry__json_set_int(&builder, object, "layer", steering->layer);
    scry__json_set_text(&builder, object, "site", scry_steer_site_text(steering->site));
    scry__json_set_text(&builder, object, "reach", scry_steer_reach_text(steering->reach));
    scry__json_set_int(&builder, object, "position_begin", steering->positions.begin);
    scry__json_set(&builder, object, "position_end", end ? json_integer(end) : json_null());
    scry__json_set_number(&builder, object, "length", steering->length);
    scry__json_set_number(&builder, object, "stream_length", steering->stream);
    scry__json_set(&builder, object, "vector", scry__json_numbers(&builder, steering->vector, steering->size));
    scry__json_set_int(&builder, object, "step", steering->step);
    scry__json_add_generation(&builder, plain, steering->plain);
    scry__json_set(&builder, object, "plain", plain);
    scry__json_set(&builder, object, "runs", run_array(&builder, steering));
    scry__json_set(&builder, object, "followed", followed_array(&builder, steering));
    return scry__json_finish(&builder, object, out);
}

/* Comparisons as JSON. See json_diff.h. */
#include "report/json_diff.h"

#include "report/json_parts.h"

#include <string.h>

static void add_place(scry__json_builder *builder, json_t *object, int layer, int head, int query, int key)
{
    scry__json_set_int(builder, object, "layer", layer);
    scry__json_set_int(builder, object, "head", head);
    scry__json_set_int(builder, object, "query", query);
    scry__json_set_int(builder, object, "key", key);
}

static json_t *heads_array(scry__json_builder *builder, const scry_compare *compare)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < compare->layer_count * compare->head_count && !builder->status; i++) {
        const scry_compare_head *head   = &compare->heads[i];
        json_t                  *object = scry__json_new_object(builder);
        add_place(builder, object, head->layer, head->head, head->query, head->key);
        scry__json_set_number(builder, object, "largest", head->largest);
        scry__json_set_number(builder, object, "mean", head->mean);
        scry__json_set_number(builder, object, "moved", head->moved);
        scry__json_set_number(builder, object, "js", head->js);
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *positions_array(scry__json_builder *builder, const scry_compare *compare)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < compare->query_count && !builder->status; i++) {
        json_t *object = scry__json_new_object(builder);
        scry__json_set_int(builder, object, "position", i);
        scry__json_set_number(builder, object, "js", compare->positions[i]);
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *places_array(scry__json_builder *builder, const scry_compare *compare)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < compare->place_count && !builder->status; i++) {
        const scry_compare_place *place  = &compare->places[i];
        json_t                   *object = scry__json_new_object(builder);
        add_place(builder, object, place->layer, place->head, place->query, place->key);
        scry__json_set_number(builder, object, "a", place->a);
        scry__json_set_number(builder, object, "b", place->b);
        scry__json_append(builder, array, object);
    }
    return array;
}

/* {"a", "b"} */
static json_t *pair_object(scry__json_builder *builder, double a, double b)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_number(builder, object, "a", a);
    scry__json_set_number(builder, object, "b", b);
    return object;
}

static json_t *lens_array(scry__json_builder *builder, const scry_compare *compare)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < compare->lens_count; i++) {
        const scry_compare_layer *layer  = &compare->lens[i];
        json_t                   *object = scry__json_new_object(builder);
        scry__json_set_int(builder, object, "layer", i);
        scry__json_set_number(builder, object, "kl", layer->kl);
        scry__json_set_number(builder, object, "kl_largest", layer->kl_largest);
        scry__json_set_int(builder, object, "position", layer->position);
        scry__json_set_number(builder, object, "agreement", layer->agreement);
        scry__json_set(builder, object, "entropy", pair_object(builder, layer->entropy[0], layer->entropy[1]));
        scry__json_set(builder, object, "loss", pair_object(builder, layer->loss[0], layer->loss[1]));
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *loss_object(scry__json_builder *builder, const scry_compare *compare)
{
    json_t *object    = pair_object(builder, compare->loss[0], compare->loss[1]);
    json_t *positions = scry__json_new_array(builder);
    for (int i = 0; i < compare->loss_count && !builder->status; i++) {
        json_t *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "position", i);
        scry__json_set_number(builder, line, "a", compare->losses[0][i]);
        scry__json_set_number(builder, line, "b", compare->losses[1][i]);
        scry__json_append(builder, positions, line);
    }
    scry__json_set(builder, object, "by_position", positions);
    return object;
}

static json_t *scores_object(scry__json_builder *builder, const scry_series_point *point)
{
    json_t *object = scry__json_new_object(builder);
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++) {
        const scry_series_score *score = &point->scores[kind];
        json_t                  *line  = scry__json_new_object(builder);
        bool                     none  = score->layer < 0;
        scry__json_set_number(builder, line, "best", score->best);
        scry__json_set(builder, line, "layer", none ? json_null() : json_integer(score->layer));
        scry__json_set(builder, line, "head", none ? json_null() : json_integer(score->head));
        scry__json_set_number(builder, line, "mean", score->mean);
        scry__json_set(builder, object, scry_head_score_name((scry_head_score_kind)kind), line);
    }
    return object;
}

static json_t *series_array(scry__json_builder *builder, const scry_series *series)
{
    if (!series) return json_null();
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < series->count; i++) {
        json_t *object = scry__json_new_object(builder);
        scry__json_set_text(builder, object, "name", series->points[i].name);
        scry__json_set_number(builder, object, "loss", series->points[i].loss);
        scry__json_set(builder, object, "scores", scores_object(builder, &series->points[i]));
        scry__json_append(builder, array, object);
    }
    return array;
}

/* The second side's prompt where it is another one. */
static json_t *other_tokens(scry__json_builder *builder, const scry_compare *compare)
{
    const scry_tokens *a = compare->tokens[0], *b = compare->tokens[1];
    bool same = a && b && a->count == b->count && !memcmp(a->ids, b->ids, (size_t)a->count * sizeof *a->ids);
    return same || !b ? json_null() : scry__json_tokens(builder, b);
}

scry_status scry__json_diff(json_t **out, const scry_compare *compare, const scry_series *series,
                            const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.diff/1", source);
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, compare->tokens[0]));
    scry__json_set(&builder, object, "b_tokens", other_tokens(&builder, compare));
    scry__json_set_text(&builder, object, "a", compare->names[0]);
    scry__json_set_text(&builder, object, "b", compare->names[1]);
    scry__json_set_int(&builder, object, "query_count", compare->query_count);
    scry__json_set_int(&builder, object, "key_count", compare->key_count);
    scry__json_set(&builder, object, "heads", heads_array(&builder, compare));
    scry__json_set(&builder, object, "positions", positions_array(&builder, compare));
    scry__json_set(&builder, object, "places", places_array(&builder, compare));
    scry__json_set(&builder, object, "lens", lens_array(&builder, compare));
    scry__json_set(&builder, object, "loss", loss_object(&builder, compare));
    scry__json_set(&builder, object, "series", series_array(&builder, series));
    return scry__json_finish(&builder, object, out);
}

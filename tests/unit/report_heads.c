/* Head scores and induction as JSON: every key of docs/json.md, and null for what is undefined. */
#include "report/json_heads.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const char *text_at(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static double number_at(json_t *object, const char *key)
{
    cr_assert(json_is_number(json_object_get(object, key)), "%s is no number", key);
    return json_number_value(json_object_get(object, key));
}

static void expect_null(json_t *object, const char *key)
{
    cr_expect(json_is_null(json_object_get(object, key)), "%s is not null", key);
}

Test(report_heads, heads__carry_every_score_with_its_nulls)
{
    int32_t     id     = 5;
    char        five[] = "five", *texts[] = {five};
    scry_tokens tokens = {1, &id, texts};
    scry_head   head   = {.layer = 2, .head = 3, .kind = SCRY_HEAD_SINK, .certainty = SCRY_CERTAINTY_WEAK};
    scry_heads  heads  = {.tokens = &tokens, .token_count = 1, .layer_count = 1, .head_count = 1, .heads = &head};
    json_t     *object = NULL;
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++) {
        head.scores[kind] = (scry_head_score){(float)kind / 2, 0.25F, SCRY_CERTAINTY_CLEAR, -1};
        heads.nulls[kind] = (scry_head_null){0.25F, NAN, NAN};
    }
    head.scores[SCRY_HEAD_OFFSET].at       = 4;
    head.scores[SCRY_HEAD_INDUCTION].value = NAN;
    cr_assert_eq(scry__json_heads(&object, &heads, NULL), SCRY_OK);
    cr_expect_str_eq(text_at(object, "schema"), "scry.heads/1");
    cr_expect_eq(number_at(object, "token_count"), 1);
    expect_null(object, "probe");
    expect_null(object, "random");
    cr_expect_eq(json_array_size(json_object_get(object, "tokens")), 1);
    json_t *kind = json_array_get(json_object_get(object, "kinds"), SCRY_HEAD_DISTANCE);
    cr_expect_str_eq(text_at(kind, "name"), "distance");
    cr_expect(text_at(kind, "about") && json_is_false(json_object_get(kind, "higher")));
    cr_expect_eq(number_at(kind, "uniform"), 0.25);
    expect_null(kind, "random_mean");
    expect_null(kind, "random_largest");
    json_t *found = json_array_get(json_object_get(object, "heads"), 0), *scores = json_object_get(found, "scores");
    cr_expect(number_at(found, "layer") == 2 && number_at(found, "head") == 3);
    cr_expect_str_eq(text_at(found, "kind"), "sink");
    cr_expect_str_eq(text_at(found, "certainty"), "weak");
    cr_expect_eq(json_object_size(scores), SCRY_HEAD_SCORE_COUNT);
    for (int i = 0; i < SCRY_HEAD_SCORE_COUNT; i++) {
        json_t *score = json_object_get(scores, scry_head_score_name((scry_head_score_kind)i));
        cr_expect_eq(number_at(score, "uniform"), 0.25);
        if (i == SCRY_HEAD_DISTANCE)
            expect_null(score, "certainty");
        else
            cr_expect_str_eq(text_at(score, "certainty"), "clear");
        if (i == SCRY_HEAD_INDUCTION)
            expect_null(score, "value");
        else
            cr_expect_eq(number_at(score, "value"), i / 2.0);
    }
    cr_expect_eq(number_at(json_object_get(scores, "offset"), "distance"), 4);
    expect_null(json_object_get(scores, "sink"), "key");
    json_decref(object);
    heads.probe_length = 50;
    heads.probe_seeds  = 4;
    heads.random_seeds = 2;
    head.kind          = -1;
    cr_assert_eq(scry__json_heads(&object, &heads, NULL), SCRY_OK);
    cr_expect_eq(number_at(json_object_get(object, "probe"), "length"), 50);
    cr_expect_eq(number_at(json_object_get(object, "probe"), "seeds"), 4);
    cr_expect_eq(number_at(json_object_get(object, "random"), "seeds"), 2);
    expect_null(json_array_get(json_object_get(object, "heads"), 0), "kind");
    json_decref(object);
}

Test(report_heads, induction__carries_losses_nulls_and_feeders)
{
    float               loss[] = {NAN, 2, 1, 0.5F};
    scry_induction_head head   = {1, 2, {0.5F, NAN}, {0.25F, 0.125F}, 0.75F, SCRY_CERTAINTY_STRONG};
    scry_feeder         feeder = {1, 2, 0, 3, 0.5F, 0.0625F, 0.75F};
    scry_induction      result = {.length         = 2,
                                  .seeds          = 1,
                                  .layer_count    = 1,
                                  .head_count     = 1,
                                  .position_count = 4,
                                  .loss_first     = {2, NAN},
                                  .loss_second    = {0.5F, 0.25F},
                                  .loss           = loss,
                                  .induction      = {0.5F, 0.25F, 0.125F},
                                  .heads          = &head,
                                  .feeder_count   = 1,
                                  .feeders        = &feeder};
    json_t             *object = NULL;
    cr_assert_eq(scry__json_induction(&object, &result, NULL), SCRY_OK);
    cr_expect_str_eq(text_at(object, "schema"), "scry.induction/1");
    cr_expect(number_at(object, "prefix") == 0 && number_at(object, "length") == 2 && number_at(object, "seeds") == 1);
    expect_null(object, "random");
    json_t *losses = json_object_get(object, "loss"), *positions = json_object_get(losses, "by_position");
    cr_expect(number_at(losses, "first") == 2 && number_at(losses, "second") == 0.5);
    expect_null(losses, "first_spread");
    cr_expect_eq(number_at(losses, "second_spread"), 0.25);
    cr_expect_eq(json_array_size(positions), 4);
    cr_expect(json_is_null(json_array_get(positions, 0)));
    json_t *null = json_object_get(json_object_get(object, "null"), "induction");
    cr_expect(number_at(null, "uniform") == 0.5 && number_at(null, "random_mean") == 0.25 &&
              number_at(null, "random_largest") == 0.125);
    json_t *found = json_array_get(json_object_get(object, "heads"), 0);
    cr_expect(number_at(found, "layer") == 1 && number_at(found, "head") == 2 && number_at(found, "induction") == 0.5 &&
              number_at(found, "duplicate") == 0.25 && number_at(found, "duplicate_spread") == 0.125 &&
              number_at(found, "previous") == 0.75);
    expect_null(found, "induction_spread");
    cr_expect_str_eq(text_at(found, "certainty"), "strong");
    found = json_array_get(json_object_get(object, "feeders"), 0);
    cr_expect(number_at(found, "layer") == 1 && number_at(found, "head") == 2 && number_at(found, "from_layer") == 0 &&
              number_at(found, "from_head") == 3 && number_at(found, "k_composition") == 0.5 &&
              number_at(found, "null") == 0.0625 && number_at(found, "previous") == 0.75);
    json_decref(object);
}

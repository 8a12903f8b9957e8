/* Recipes of training: read, set, written and compared by one table; what they leave open; their learning rates; and
 * the config.json of their models. */
#include "refusals.h"
#include "train/recipe.h"

#include "base/file.h"
#include "model/arch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static scry_recipe *parse(const char *text)
{
    json_t      *object = NULL;
    scry_recipe *recipe = NULL;
    cr_assert_eq(scry__json_parse(&object, text, strlen(text), "test.json"), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__recipe_read(&recipe, (scry__json_at){object, "test.json"}), SCRY_OK, "%s", scry_last_error());
    json_decref(object);
    return recipe;
}

Test(recipe, bad_files__are_refused_by_name_and_place)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "test.json: expected an object"},
        {"{\"layer\": 2}", "test.json: key \"layer\": expected one of: data text documents tokenizer"},
        {"{\"layers\": \"2\"}", "test.json: key \"layers\": expected an integer, found a string"},
        {"{\"layers\": 2.5}", "test.json: key \"layers\": expected an integer, found a real number"},
        {"{\"layers\": 0}", "test.json: key \"layers\": 0 is outside 1 to 1024"},
        {"{\"seed\": -1}", "test.json: key \"seed\": -1 is outside 0 to 9007199254740992"},
        {"{\"data\": \"books\"}", "test.json: key \"data\": \"books\": expected one of: copy text"},
        {"{\"style\": \"gpt\"}", "test.json: key \"style\": \"gpt\": expected one of: gpt2 llama"},
        {"{\"optimiser\": 1}", "test.json: key \"optimiser\": expected a string, found an integer"},
        {"{\"schedule\": \"\"}", "test.json: key \"schedule\": \"\": expected one of: constant linear cosine"},
        {"{\"rate\": -0.5}", "test.json: key \"rate\": -0.5 is outside 0 to 100"},
        {"{\"beta2\": 1}", "test.json: key \"beta2\": 1 is outside 0.01 to 0.999999"},
        {"{\"text\": [1]}", "test.json: key \"text\": expected a string, found an array"},
        {"{\"checkpoints\": 5}", "test.json: key \"checkpoints\": expected an array, found an integer"},
        {"{\"checkpoints\": [0, \"1\"]}", "test.json: key \"checkpoints\": entry 1: expected a step"},
        {"{\"checkpoints\": [0, -1]}", "test.json: key \"checkpoints\": -1 is outside 0 to 1000000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t      *object = NULL;
        scry_recipe *recipe = NULL;
        cr_assert_eq(scry__json_parse(&object, cases[i].text, strlen(cases[i].text), "test.json"), SCRY_OK);
        cr_expect_eq(scry__recipe_read(&recipe, (scry__json_at){object, "test.json"}), SCRY_BAD_INPUT, "%s",
                     cases[i].text);
        cr_expect_null(recipe);
        cr_expect(strstr(scry_last_error(), cases[i].says), "%s: %s", cases[i].text, scry_last_error());
        json_decref(object);
    }
}

Test(recipe, sizes__that_do_not_fit_are_refused)
{
    static const struct {
        const char *text, *says;
        int         tokenizer;
    } cases[] = {
        {"{\"data\": \"text\"}", "data text: expected a text and a tokenizer", 0},
        {"{\"data\": \"text\", \"text\": \"a\"}", "data text: expected a text and a tokenizer", 0},
        {"{\"tokenizer\": \"a\"}", "data copy: it takes no text, documents or tokenizer", 0},
        {"{\"data\": \"text\", \"text\": \"a\", \"tokenizer\": \"b\", \"vocabulary\": 9}",
         "vocabulary 9: expected at least the tokenizer's 10", 10},
        {"{\"length\": 1}", "length 1: expected 2 tokens or more", 0},
        {"{\"length\": 9, \"context\": 8}", "length 9: expected at most the context, 8", 0},
        {"{\"hidden\": 65}", "hidden 65: expected a multiple of the 2 heads", 0},
        {"{\"heads\": 4, \"kv_heads\": 2}", "kv_heads 2: style gpt2 has as many as heads, 4", 0},
        {"{\"style\": \"llama\", \"heads\": 4, \"kv_heads\": 3}", "heads 4: expected a multiple of kv_heads, 3", 0},
        {"{\"style\": \"llama\", \"hidden\": 6}", "hidden 6: expected heads of an even size", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_recipe *recipe = parse(cases[i].text);
        cr_expect_eq(scry__recipe_complete(recipe, cases[i].tokenizer), SCRY_BAD_ARGUMENT, "%s", cases[i].text);
        cr_expect(strstr(scry_last_error(), cases[i].says), "%s: %s", cases[i].text, scry_last_error());
        scry_recipe_destroy(&recipe);
    }
}

Test(recipe, open_sizes__follow_from_the_others)
{
    static const struct {
        const char *text;
        int         kv_heads, mlp, length, context, vocabulary;
    } cases[] = {
        {"{}", 2, 256, 24, 24, 8},
        {"{\"style\": \"llama\", \"heads\": 4}", 4, 176, 24, 24, 8}, /* 8/3 * 64 = 170.7 */
        {"{\"style\": \"llama\", \"hidden\": 96, \"length\": 30, \"context\": 40}", 2, 256, 30, 40, 8},
        {"{\"data\": \"text\", \"text\": \"a\", \"tokenizer\": \"b\", \"mlp\": 7}", 2, 7, 128, 128, 50},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_recipe *recipe = parse(cases[i].text);
        cr_assert_eq(scry__recipe_complete(recipe, recipe->text ? 50 : 0), SCRY_OK, "%s", scry_last_error());
        cr_expect(recipe->kv_heads == cases[i].kv_heads && recipe->mlp == cases[i].mlp &&
                      recipe->length == cases[i].length && recipe->context == cases[i].context &&
                      recipe->vocabulary == cases[i].vocabulary,
                  "%s: %d %d %d %d %d", cases[i].text, recipe->kv_heads, recipe->mlp, recipe->length, recipe->context,
                  recipe->vocabulary);
        scry_recipe_destroy(&recipe);
    }
}

/* Each field by text, read again from what is written, and found to differ from the defaults by its name. */
Test(recipe, fields__are_set_written_and_compared)
{
    static const char *const values[][2] = {
        {"data", "text"},
        {"text", "a \"quoted\" path"},
        {"documents", "a.jsonl"},
        {"tokenizer", "folder"},
        {"held_out", "0.25"},
        {"style", "llama"},
        {"layers", "4"},
        {"heads", "8"},
        {"kv_heads", "2"},
        {"hidden", "128"},
        {"mlp", "300"},
        {"context", "512"},
        {"vocabulary", "1000"},
        {"seed", "9007199254740992"},
        {"initial_deviation", "0.04"},
        {"steps", "12345"},
        {"batch", "7"},
        {"length", "99"},
        {"optimiser", "sgd"},
        {"rate", "0.30000000000000004"},
        {"warmup", "3"},
        {"hold", "4"},
        {"schedule", "linear"},
        {"final_rate", "0.1"},
        {"decay", "0"},
        {"beta1", "0.5"},
        {"beta2", "0.75"},
        {"epsilon", "1e-5"},
        {"momentum", "0.5"},
        {"clip", "2.5"},
        {"checkpoint_every", "10"},
        {"checkpoints", "0,1,1000"},
        {"evaluate_every", "11"},
        {"evaluation_batches", "12"},
    };
    cr_assert_eq(sizeof values / sizeof *values, (size_t)scry__recipe_field_count);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        scry_recipe *plain = parse("{}"), *changed = parse("{}"), *again = NULL;
        const char  *name = NULL;
        cr_expect_eq(scry_recipe_set(changed, values[i][0], values[i][1]), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry__recipe_difference(&name, plain, changed), SCRY_OK);
        cr_assert(name, "%s", values[i][0]);
        cr_expect_str_eq(name, values[i][0]);
        cr_assert_eq(scry__recipe_copy(&again, changed), SCRY_OK, "%s", scry_last_error());
        cr_expect(!scry__recipe_difference(&name, changed, again) && !name, "%s", values[i][0]);
        scry_recipe_destroy(&plain);
        scry_recipe_destroy(&changed);
        scry_recipe_destroy(&again);
    }
}

Test(recipe, bad_values__change_nothing)
{
    static const char *const cases[][3] = {
        {"layer", "4", "a recipe has no field \"layer\""},
        {"layers", "four", "key \"layers\": expected an integer, found a string"},
        {"layers", "4x", "key \"layers\": expected an integer, found a string"},
        {"layers", "99999999999999999999", "key \"layers\": expected an integer, found a string"},
        {"layers", "5000", "key \"layers\": 5000 is outside 1 to 1024"},
        {"rate", "nan", "key \"rate\": expected a number, found a string"},
        {"rate", "1e-3 ", "key \"rate\": expected a number, found a string"},
        {"style", "GPT2", "key \"style\": \"GPT2\": expected one of: gpt2 llama"},
        {"checkpoints", "1,,2", "key \"checkpoints\": expected an array, found a string"},
        {"checkpoints", "1,2,", "key \"checkpoints\": expected an array, found a string"},
        {"text", "\xff", "key \"text\": expected UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_recipe *recipe = parse("{}"), *plain = parse("{}");
        const char  *name;
        cr_expect_eq(scry_recipe_set(recipe, cases[i][0], cases[i][1]), SCRY_BAD_ARGUMENT, "%s", cases[i][0]);
        cr_expect(strstr(scry_last_error(), cases[i][2]), "%s: %s", cases[i][0], scry_last_error());
        cr_expect(!scry__recipe_difference(&name, plain, recipe) && !name, "%s", cases[i][0]);
        scry_recipe_destroy(&recipe);
        scry_recipe_destroy(&plain);
    }
}

/* Set by hand in C, past what a file may have. */
Test(recipe, fields_out_of_range__are_refused)
{
    static const int wrong[] = {-1, 2, 1000, INT32_MAX};
    scry_recipe     *recipe = parse("{}"), *copy = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(&recipe->style, &wrong[i], sizeof recipe->style);
        cr_expect_eq(scry__recipe_copy(&copy, recipe), SCRY_BAD_ARGUMENT, "%d", wrong[i]);
        cr_expect(strstr(scry_last_error(), "key \"style\": \"\": expected one of: gpt2 llama"), "%s",
                  scry_last_error());
    }
    recipe->style = SCRY_TRAIN_STYLE_LLAMA;
    recipe->batch = 0;
    cr_expect_eq(scry__recipe_copy(&copy, recipe), SCRY_BAD_ARGUMENT);
    cr_expect_null(copy);
    scry_recipe_destroy(&recipe);
}

Test(recipe, create__takes_a_name_a_file_or_nothing)
{
    static const char text[] = "{\"layers\": 3}";
    char              path[64];
    scry_recipe      *recipe = NULL;
    snprintf(path, sizeof path, "/tmp/scry-recipe-%ld.json", (long)getpid());
    cr_assert_eq(scry__file_write(path, text, strlen(text)), SCRY_OK);
    cr_assert_eq(scry_recipe_create(&recipe, path), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(recipe->layers, 3);
    scry_recipe_destroy(&recipe);
    remove(path);
    cr_assert_eq(scry_recipe_create(&recipe, "copy"), SCRY_OK, "%s", scry_last_error());
    cr_expect(recipe->data == SCRY_TRAIN_DATA_COPY && recipe->checkpoint_count > 1);
    scry_recipe_destroy(&recipe);
    cr_assert_eq(scry_recipe_create(&recipe, NULL), SCRY_OK, "%s", scry_last_error());
    scry_recipe_destroy(&recipe);
    cr_expect_null(recipe);
    cr_expect_eq(scry_recipe_create(&recipe, "/nonesuch.json"), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "/nonesuch.json: "), "%s", scry_last_error());
}

Test(recipe, refused_memory__is_reported)
{
    struct refusals refusals = {0};
    while (refusals_next(&refusals)) {
        scry_recipe *recipe = NULL;
        scry_status  status = scry_recipe_create(&recipe, "copy");
        if (!status) status = scry_recipe_set(recipe, "text", "path");
        if (!status) status = scry_recipe_set(recipe, "checkpoints", "1,2");
        if (status) scry_recipe_destroy(&recipe);
        refusals_check(&refusals, status, recipe != NULL);
        scry_recipe_destroy(&recipe);
    }
    cr_expect_gt(refusals.refused, 3);
}

/* What recipe.json says is what goes on: its digits are those that are kept. */
Test(recipe, numbers__have_the_digits_of_their_file)
{
    scry_recipe *recipe = parse("{\"rate\": 0.1234567891234}"), *again = NULL;
    cr_assert_eq(scry_recipe_set(recipe, "decay", "0.30000000000000004"), SCRY_OK);
    scry__json_builder builder = {0};
    scry__text         text    = {0};
    json_t            *object  = scry__recipe_json(&builder, recipe);
    const char        *name    = NULL;
    scry__json_dump(&text, object, true);
    again = parse(text.data);
    cr_expect(!scry__recipe_difference(&name, recipe, again) && !name, "%s", name);
    cr_expect(again->rate == recipe->rate && recipe->rate == 0.123456789 && again->decay == 0.3);
    json_decref(object);
    scry__text_finish(&text);
    scry_recipe_destroy(&recipe);
    scry_recipe_destroy(&again);
}

Test(recipe, rate__rises_and_falls)
{
    static const struct {
        const char *schedule, *final_rate;
        double      at_20, at_60, at_100; /* of 100 steps, 20 of which warm up */
    } cases[] = {
        {"constant", "0", 2, 2, 2}, {"linear", "0", 2, 1, 0},       {"linear", "0.5", 2, 1.5, 1},
        {"cosine", "0", 2, 1, 0},   {"cosine", "0.1", 2, 1.1, 0.2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_recipe *recipe = parse("{\"steps\": 100, \"warmup\": 20, \"rate\": 2}");
        cr_assert(!scry_recipe_set(recipe, "schedule", cases[i].schedule) &&
                  !scry_recipe_set(recipe, "final_rate", cases[i].final_rate));
        cr_expect_float_eq(scry_recipe_rate(recipe, 1), 0.1, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 10), 1, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 20), cases[i].at_20, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 60), cases[i].at_60, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 100), cases[i].at_100, 1e-12);
        scry_recipe_destroy(&recipe);
    }
    static const struct {
        const char *schedule;
        double      at_60, at_61, at_80, at_100;
    } held[] = {{"constant", 2, 2, 2, 2}, {"linear", 2, 1.95, 1, 0}, {"cosine", 2, 1.996917333733, 1, 0}};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        scry_recipe *recipe = parse("{\"steps\": 100, \"warmup\": 20, \"hold\": 40, \"rate\": 2}");
        cr_assert(!scry_recipe_set(recipe, "schedule", held[i].schedule));
        cr_expect_float_eq(scry_recipe_rate(recipe, 10), 1, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 30), 2, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 60), held[i].at_60, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 61), held[i].at_61, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 80), held[i].at_80, 1e-12);
        cr_expect_float_eq(scry_recipe_rate(recipe, 100), held[i].at_100, 1e-12);
        scry_recipe_destroy(&recipe);
    }
    scry_recipe *long_one = parse("{\"steps\": 30, \"warmup\": 20, \"hold\": 2000000, \"rate\": 2}");
    cr_expect_float_eq(scry_recipe_rate(long_one, 30), 2, 1e-12);
    scry_recipe_destroy(&long_one);
    scry_recipe *short_one = parse("{\"steps\": 5, \"warmup\": 20, \"rate\": 2, \"schedule\": \"constant\"}");
    cr_expect_float_eq(scry_recipe_rate(short_one, 5), 0.5, 1e-12);
    scry_recipe_destroy(&short_one);
}

Test(recipe, checkpoints_and_evaluations__have_their_steps)
{
    scry_recipe *recipe =
        parse("{\"steps\": 25, \"checkpoint_every\": 10, \"checkpoints\": [1, 3, 40], \"evaluate_every\": 8}");
    char found[2][64] = {"", ""};
    for (int step = 0; step <= recipe->steps; step++) {
        char number[16];
        snprintf(number, sizeof number, "%d ", step);
        if (scry__recipe_has_checkpoint(recipe, step)) strcat(found[0], number);
        if (scry__recipe_has_evaluation(recipe, step)) strcat(found[1], number);
    }
    cr_expect_str_eq(found[0], "0 1 3 10 20 25 ");
    cr_expect_str_eq(found[1], "0 8 16 24 25 ");
    scry_recipe_destroy(&recipe);
}

/* scry reads both styles' config.json as what the recipe says. */
Test(recipe, config__describes_the_model)
{
    static const char *const styles[] = {"gpt2", "llama"};
    char                     folder[64], path[96];
    snprintf(folder, sizeof folder, "/tmp/scry-config-%ld", (long)getpid());
    snprintf(path, sizeof path, "%s/config.json", folder);
    cr_assert_eq(mkdir(folder, 0700), 0);
    for (int i = 0; i < 2; i++) {
        scry__json_builder builder = {0};
        scry__text         text    = {0};
        scry__arch         arch;
        scry_recipe *recipe = parse("{\"layers\": 3, \"heads\": 4, \"hidden\": 32, \"mlp\": 40, \"initial_deviation\": "
                                    "0.5, \"vocabulary\": 11, \"length\": 6, \"context\": 9}");
        cr_assert(!scry_recipe_set(recipe, "style", styles[i]) && !scry__recipe_complete(recipe, 0));
        json_t *config = scry__recipe_config(&builder, recipe);
        scry__json_dump(&text, config, true);
        cr_assert(!builder.status && !text.status && !scry__file_write(path, text.data, text.size));
        cr_assert_eq(scry__arch_read(&arch, folder), SCRY_OK, "%s", scry_last_error());
        cr_expect(arch.layer_count == 3 && arch.head_count == 4 && arch.kv_head_count == 4 && arch.hidden_size == 32 &&
                  arch.mlp_size == 40 && arch.vocabulary == 11 && arch.context == 9 && arch.tied && !arch.end_count &&
                  arch.initial_deviation == 0.5);
        cr_expect_eq(arch.positions, i ? SCRY__POSITIONS_ROPE : SCRY__POSITIONS_LEARNED);
        cr_expect(arch.gated == (i == 1) && arch.head_size == 8);
        scry__arch_finish(&arch);
        json_decref(config);
        scry__text_finish(&text);
        scry_recipe_destroy(&recipe);
    }
    remove(path);
    rmdir(folder);
}

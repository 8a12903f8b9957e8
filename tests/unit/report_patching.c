/* Activation patching as JSON, there and back, and as maps: every number in its place, null for what is undefined, and
 * what is no such JSON refused by name. */
#include "report/json_patching.h"
#include "report/patch_maps.h"

#include "base/json_build.h"
#include "base/text.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- a patching made by hand: two prompts of unequal length, a grid of each kind of shape --- */

static char            bos[] = "<s>", one[] = " one", two[] = " two", end[] = " is";
static int32_t         clean_ids[] = {0, 5, 9}, corrupt_ids[] = {0, 6, 7, 9}, matches[] = {0, -1, 1, 2};
static char           *clean_texts[] = {bos, one, end}, *corrupt_texts[] = {bos, two, two, end};
static scry_tokens     clean = {3, clean_ids, clean_texts}, corrupt = {4, corrupt_ids, corrupt_texts};
static scry_patch_cell stream[] = {{0, -1, 0.25F, 2, 0},
                                   {NAN, NAN, NAN, NAN, NAN},
                                   {0.5F, 0, 0.5F, 1, 0.25F},
                                   {1, 1, 0.75F, 0, 1.5F},
                                   {0, -1, 0.25F, 2, 0},
                                   {NAN, NAN, NAN, NAN, NAN},
                                   {-0.25F, -1.5F, 0.125F, 3, 0.5F},
                                   {1.0F / 3, -1.0F / 3, 0.375F, 1.5F, 0.25F}};
static scry_patch_cell heads[]  = {
     {0.1F, -0.8F, 0.3F, 1.9F, NAN}, {0, -1, 0.25F, 2, 0.5F}, {0, -1, 0.25F, 2, 0.25F}, {2, 3, 0.875F, 0.5F, 1}};
static scry_patch_grid grids[] = {{SCRY_PATCH_MLP_OUT, 2, 1, 4, stream}, {SCRY_PATCH_V, 2, 2, 1, heads}};

static scry_patching made(scry_patch_direction direction)
{
    return (scry_patching){.direction        = direction,
                           .clean            = {&clean, 2, {5, 2, 0.75F, one}, {6, 1, 0.125F, two}, 1},
                           .corrupt          = {&corrupt, 3, {5, 1, 0.25F, one}, {6, 2, 0.5F, two}, -1},
                           .defined          = true,
                           .position_count   = 4,
                           .matches          = matches,
                           .first_difference = 1,
                           .grid_count       = COUNT(grids),
                           .grids            = grids,
                           .cost             = {100, 400, 14, 2, 3}};
}

static json_t *to_json(const scry_patching *patching)
{
    json_t              *object = NULL;
    scry_patching *const all[]  = {(scry_patching *)patching};
    cr_assert_eq(scry__json_patching(&object, all, 1, NULL), SCRY_OK, "%s", scry_last_error());
    return object;
}

#define CANDIDATE(id, text, logit, probability)                                                                        \
    "{\"id\":" id ",\"text\":\"" text "\",\"logit\":" logit ",\"probability\":" probability "}"

Test(report_patching, json__has_each_number_in_its_place)
{
    static const char expected[] =
        "{\"schema\":\"scry.patching/1\",\"clean\":{\"tokens\":[{\"id\":0,\"text\":\"<s>\"},{\"id\":5,\"text\":\" "
        "one\"},"
        "{\"id\":9,\"text\":\" is\"}],\"position\":2,\"answer\":" CANDIDATE("5", " one", "2.0", "0.75") ",\"wrong\":" //
        CANDIDATE("6", " two", "1.0", "0.125") ",\"logit_difference\":1.0},\"corrupt\":{\"tokens\":[{\"id\":0,\"text\":"
                                               "\"<s>\"},{\"id\":6,\"text\":\" two\"},{\"id\":7,\"text\":\" "
                                               "two\"},{\"id\":9,\"text\":\" is\"}],\"position\":3,"
                                               "\"answer\":" CANDIDATE("5", " one", "1.0",
                                                                       "0.25") ",\"wrong\":" CANDIDATE("6", " two",
                                                                                                       "2.0", "0.5") //
        ",\"logit_difference\":-1.0},\"directions\":[{\"direction\":\"denoise\",\"method\":\"exact\",\"defined\":true,"
        "\"first_difference\":"
        "1,"
        "\"matches\":[0,null,1,2],\"grids\":[{\"kind\":\"mlp_out\",\"layer_count\":2,\"head_count\":1,"
        "\"position_count\":4,\"effect\":[0.0,null,0.5,1.0,0.0,null,-0.25,0.333333343],\"logit_difference\":[-1.0,null,"
        "0.0,1.0,-1.0,null,-1.5,-0.333333343],\"probability\":[0.25,null,0.5,0.75,0.25,null,0.125,0.375],\"kl\":[2.0,"
        "null,1.0,0.0,2.0,null,3.0,1.5]},{\"kind\":\"v\",\"layer_count\":2,\"head_count\":2,\"position_count\":1,"
        "\"effect\":[0.100000001,0.0,0.0,2.0],\"logit_difference\":[-0.800000012,-1.0,-1.0,3.0],\"probability\":["
        "0.300000012,0.25,0.25,0.875],\"kl\":[1.89999998,2.0,2.0,0.5]}],\"cost\":{\"layer_tokens\":100,"
        "\"naive_layer_tokens\":400,\"patches\":14,\"skipped\":2,\"passes\":3}}]}\n";
    scry_patching patching = made(SCRY_DENOISE);
    json_t       *object   = to_json(&patching);
    scry__text    text     = {0};
    json_object_del(object, "version");
    scry__json_dump(&text, object, false);
    cr_expect_str_eq(text.data, expected);
    scry__text_finish(&text);
    json_decref(object);
}

/* What a method does not give is left out; a grid that has both says how far one is off. */
Test(report_patching, json__has_what_the_method_gives)
{
    static const struct {
        scry_patch_method method;
        const char       *has, *lacks;
    } cases[] = {
        {SCRY_PATCH_METHOD_EXACT, "\"kl\":[", "estimate"},
        {SCRY_PATCH_METHOD_ESTIMATE, "\"position_count\":4,\"estimate\":[0.0,null,0.25,1.5,0.0,null,0.5,0.25]}", "kl"},
        {SCRY_PATCH_METHOD_BOTH,
         "\"agreement\":{\"count\":3,\"mean\":0.583333333,\"largest\":1.0,\"correlation\":0.944911183,\"layer\":1,"
         "\"head\":1,\"position\":0}",
         "agreement\":null"},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        scry_patching patching = made(SCRY_DENOISE);
        patching.method        = cases[c].method;
        json_t    *object      = to_json(&patching);
        scry__text text        = {0};
        scry__json_dump(&text, object, false);
        cr_expect(strstr(text.data, cases[c].has), "case %zu: %s", c, text.data);
        cr_expect(!strstr(text.data, cases[c].lacks), "case %zu: %s", c, text.data);
        scry__text_finish(&text);
        json_decref(object);
    }
}

/* --- and back --- */

static void expect_same_grid(const scry_patch_grid *a, const scry_patch_grid *b, scry_patch_method method)
{
    cr_assert(a->kind == b->kind && a->layer_count == b->layer_count && a->head_count == b->head_count &&
              a->position_count == b->position_count);
    for (int i = 0; i < a->layer_count * a->head_count * a->position_count; i++)
        for (int metric = 0; metric < SCRY_PATCH_METRIC_COUNT; metric++) {
            bool  given = scry_patch_method_gives(method, (scry_patch_metric)metric);
            float x     = given ? scry_patch_cell_number(&a->cells[i], (scry_patch_metric)metric) : NAN;
            float y     = scry_patch_cell_number(&b->cells[i], (scry_patch_metric)metric);
            cr_expect(x == y || (isnan(x) && isnan(y)), "cell %d, %s: %.9g, not %.9g", i,
                      scry_patch_metric_text((scry_patch_metric)metric), (double)y, (double)x);
        }
}

/* Through text, as in a file. */
static void check_read(scry_patch_method method)
{
    scry_patching patching = made(SCRY_DENOISE), *back = NULL;
    patching.method   = method;
    json_t    *object = to_json(&patching), *parsed;
    scry__text text   = {0};
    int        count  = 0;
    scry__json_dump(&text, object, false);
    parsed = json_loads(text.data, 0, NULL);
    cr_assert_eq(scry__json_read_patching(&back, &count, 1, parsed, "here"), SCRY_OK, "%s", scry_last_error());
    cr_assert(count == 1 && back->grid_count == 2 && back->position_count == 4 && back->defined);
    cr_expect(back->direction == SCRY_DENOISE && back->method == method && back->first_difference == 1);
    cr_expect(!memcmp(back->matches, matches, sizeof matches));
    cr_expect(back->clean.position == 2 && back->corrupt.position == 3 && back->clean.logit_difference == 1);
    cr_expect(back->corrupt.tokens->count == 4 && back->corrupt.tokens->ids[2] == 7);
    cr_expect_str_eq(back->corrupt.tokens->texts[3], " is");
    cr_expect_str_eq(back->clean.wrong.text, " two");
    cr_expect_eq(back->corrupt.wrong.probability, 0.5F);
    for (int i = 0; i < 2; i++) expect_same_grid(&grids[i], &back->grids[i], method);
    scry_patching_destroy(&back);
    scry__text_finish(&text);
    json_decref(parsed);
    json_decref(object);
}

Test(report_patching, read__gives_every_bit_back)
{
    for (int method = 0; method < SCRY_PATCH_METHOD_COUNT; method++) check_read((scry_patch_method)method);
}

Test(report_patching, read__refuses_what_is_no_patching)
{
    static const struct {
        const char *path[4]; /* keys from the top; "0" is the first of an array */
        const char *value, *says;
    } cases[] = {
        {{"directions"}, "5", "key \"directions\": expected an array"},
        {{"directions"}, "[{},{}]", "expected at most 1"},
        {{"directions", "0", "direction"}, "\"up\"", "\"up\" is no such thing"},
        {{"directions", "0", "method"}, "\"guess\"", "\"guess\" is no such thing"},
        {{"directions", "0", "defined"}, "1", "key \"defined\""},
        {{"directions", "0", "first_difference"}, "-1", "key \"first_difference\""},
        {{"directions", "0", "matches"}, "[0,1]", "key \"matches\": expected 4 elements, found 2"},
        {{"directions", "0", "matches"}, "[0,null,1,3]", "expected positions below 3"},
        {{"directions", "0", "matches"}, "[0,-1,1,2]", "expected positions below 3"},
        {{"directions", "0", "matches"}, "[0,0.5,1,2]", "expected positions below 3"},
        {{"directions", "0", "grids"}, "[5]", "no key \"kind\""},
        {{"clean", "position"}, "3", "position 3 of 3 tokens"},
        {{"clean", "tokens"}, "[{\"id\":1}]", "no key \"text\""},
        {{"corrupt", "wrong"}, "null", "no key \"wrong\""},
        {{"corrupt", "logit_difference"}, "\"1\"", "key \"logit_difference\": expected numbers"},
    };
    static const struct {
        const char *key, *value, *says;
    } grid_cases[] = {
        {"kind", "\"w\"", "\"w\" is no such thing"},
        {"layer_count", "3", "key \"effect\": expected 12 elements, found 8"},
        {"layer_count", "10000000", "a grid of 40000000 cells"},
        {"effect", "[0,0,0,0,0,0,0,true]", "key \"effect\": expected numbers and null"},
        {"kl", "[0]", "key \"kl\": expected 8 elements, found 1"},
    };
    for (size_t c = 0; c < COUNT(cases) + COUNT(grid_cases); c++) {
        bool          in_grid  = c >= COUNT(cases);
        size_t        g        = c - COUNT(cases);
        const char   *says     = in_grid ? grid_cases[g].says : cases[c].says;
        const char   *value    = in_grid ? grid_cases[g].value : cases[c].value, *key;
        scry_patching patching = made(SCRY_DENOISE), *back = NULL;
        json_t       *object = to_json(&patching), *at = object;
        int           count = 7, depth = 0;
        if (in_grid) {
            at  = json_array_get(json_object_get(json_array_get(json_object_get(at, "directions"), 0), "grids"), 0);
            key = grid_cases[g].key;
        } else {
            for (; depth < 3 && cases[c].path[depth + 1]; depth++)
                at = json_is_array(at) ? json_array_get(at, 0) : json_object_get(at, cases[c].path[depth]);
            key = cases[c].path[depth];
        }
        json_object_set_new(at, key, json_loads(value, JSON_DECODE_ANY, NULL));
        cr_expect_eq(scry__json_read_patching(&back, &count, 1, object, "here"), SCRY_BAD_INPUT, "case %zu", c);
        cr_expect(strstr(scry_last_error(), says) && !strncmp(scry_last_error(), "here: ", 6), "case %zu: %s", c,
                  scry_last_error());
        cr_expect(!count && !back, "case %zu", c);
        json_decref(object);
    }
}

Test(report_patching, read__survives_every_refused_allocation)
{
    struct refusals refusals = {0};
    scry_patching   patching = made(SCRY_NOISE);
    matches[1]               = 1; /* of noise the baseline is the clean prompt */
    json_t *object           = to_json(&patching);
    matches[1]               = -1;
    while (refusals_next(&refusals)) {
        scry_patching *back  = NULL;
        int            count = 0;
        json_t        *three = json_pack("[iii]", 0, 2, 3);
        json_object_set_new(json_array_get(json_object_get(object, "directions"), 0), "matches", three);
        scry_status status = scry__json_read_patching(&back, &count, 2, object, "here");
        refusals_check(&refusals, status, back != NULL);
        scry_patching_destroy(&back);
    }
    cr_expect_gt(refusals.refused, 15);
    json_decref(object);
}

/* --- maps --- */

static float value_at(const scry__heatmap *map, int panel, int row, int column)
{
    return map->panels[panel].values[row * map->columns + column];
}

Test(report_patching, maps__turn_as_asked)
{
    static const char *const labels[] = {"a", "b", "c", "d"};
    for (int down = 0; down < 2; down++) {
        scry__patch_maps maps;
        cr_assert_eq(scry__patch_maps_create(
                         &maps, grids, 2, &(scry__patch_view){.labels = labels, .apart = true, .positions_down = down}),
                     SCRY_OK);
        cr_assert_eq(maps.count, 2);
        cr_expect(maps.maps[0].rows == (down ? 4 : 2) && maps.maps[0].columns == (down ? 2 : 4));
        cr_expect_eq(down ? maps.maps[0].row_labels : maps.maps[0].column_labels, labels);
        cr_expect_null(down ? maps.maps[0].column_labels : maps.maps[0].row_labels);
        cr_expect_eq(value_at(&maps.maps[0], 0, down ? 2 : 1, down ? 1 : 2), -0.25F);
        cr_expect(isnan(value_at(&maps.maps[0], 0, down ? 1 : 0, down ? 0 : 1)));
        cr_expect(maps.maps[1].rows == 2 && maps.maps[1].columns == 2 && !maps.maps[1].row_labels);
        cr_expect_eq(value_at(&maps.maps[1], 0, 1, 1), 2);
        cr_expect(maps.maps[0].maximum == 2 && maps.maps[0].minimum == -2 && maps.maps[1].maximum == 2);
        cr_expect_str_eq(maps.maps[1].panels[0].title, "v");
        scry__patch_maps_finish(&maps);
    }
}

/* Grids of one shape share a map, in their order, also where another stands between; heads by position have a panel a
 * layer. */
Test(report_patching, maps__join_grids_of_one_shape)
{
    const scry_patch_grid some[] = {{SCRY_PATCH_Z, 2, 2, 1, heads},        {SCRY_PATCH_ATTN_OUT, 2, 1, 4, stream},
                                    {SCRY_PATCH_Q, 2, 2, 1, heads + 0},    {SCRY_PATCH_PATTERN, 2, 2, 2, stream},
                                    {SCRY_PATCH_MLP_OUT, 2, 1, 4, stream}, {SCRY_PATCH_Z, 2, 2, 2, stream}};
    scry__patch_maps      maps;
    cr_assert_eq(scry__patch_maps_create(&maps, some, COUNT(some),
                                         &(scry__patch_view){.title = "T", .metric = SCRY_PATCH_METRIC_KL}),
                 SCRY_OK);
    cr_assert_eq(maps.count, 4);
    cr_expect_eq(maps.maps[3].panel_count, 2);
    cr_expect_str_eq(maps.maps[0].title, "T");
    cr_expect_null(maps.maps[1].title);
    cr_expect(maps.maps[0].panel_count == 2 && maps.maps[1].panel_count == 2 && maps.maps[2].panel_count == 2);
    cr_expect_str_eq(maps.maps[0].panels[1].title, "q");
    cr_expect_str_eq(maps.maps[1].panels[1].title, "mlp_out");
    cr_expect_str_eq(maps.maps[2].panels[1].title, "pattern, layer 1");
    cr_expect_eq(value_at(&maps.maps[1], 1, 1, 2), 3);
    cr_expect_eq(value_at(&maps.maps[2], 1, 0, 1), 3, "layer 1, head 1, position 0 stands in row 0, column 1");
    cr_expect(maps.maps[2].rows == 2 && !strcmp(maps.maps[2].row_axis, "position"));
    cr_expect(maps.maps[0].minimum == 0 && maps.maps[0].maximum == 3);
    scry__patch_maps_finish(&maps);
}

/* Behind a grid's panels, or in a map of their own; patterns have none. */
Test(report_patching, maps__have_estimates_where_asked)
{
    const scry_patch_grid some[] = {grids[0], grids[1], {SCRY_PATCH_PATTERN, 2, 2, 2, stream}};
    for (int apart = 0; apart < 2; apart++) {
        scry__patch_maps maps;
        cr_assert_eq(
            scry__patch_maps_create(&maps, some, COUNT(some), &(scry__patch_view){.estimates = true, .apart = apart}),
            SCRY_OK);
        cr_assert_eq(maps.count, apart ? 5 : 3);
        const scry__heatmap *beside = &maps.maps[apart ? 1 : 0], *last = &maps.maps[maps.count - 1];
        int                  panel = apart ? 0 : 1;
        cr_expect(beside->panel_count == panel + 1 && maps.maps[0].panel_count == panel + 1);
        cr_expect_str_eq(maps.maps[0].panels[0].title, "mlp_out");
        cr_expect_str_eq(beside->panels[panel].title, "mlp_out, estimate");
        cr_expect_eq(value_at(&maps.maps[0], 0, 1, 2), -0.25F);
        cr_expect_eq(value_at(beside, panel, 1, 2), 0.5F);
        cr_expect(last->panel_count == 2 && !strcmp(last->panels[1].title, "pattern, layer 1"));
        cr_expect_eq(value_at(last, 1, 0, 1), -0.25F);
        scry__patch_maps_finish(&maps);
    }
}

Test(report_patching, maps__survive_every_refused_allocation)
{
    struct refusals refusals = {0};
    scry_patching   patching = made(SCRY_DENOISE);
    while (refusals_next(&refusals)) {
        scry__patch_maps maps   = {0};
        char           **labels = NULL;
        scry_status      status = scry__patch_labels_create(&labels, &patching);
        if (!status)
            status =
                scry__patch_maps_create(&maps, grids, 2, &(scry__patch_view){.labels = (const char *const *)labels});
        refusals_check(&refusals, status, maps.maps != NULL);
        scry__patch_maps_finish(&maps);
        scry__patch_labels_free(labels, patching.position_count);
    }
    cr_expect_gt(refusals.refused, 7);
}

Test(report_patching, labels__show_both_tokens_clean_first)
{
    static const char *const denoise[] = {"<s>", "(none)| two", " one| two", " is"}, *const noise[] = {
                                                                                         "<s>", " one| two", " is"};
    int32_t       back[]       = {0, 2, 3};
    scry_patching patching[]   = {made(SCRY_DENOISE), made(SCRY_NOISE)};
    char        **labels       = NULL;
    patching[1].matches        = back;
    patching[1].position_count = 3;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(scry__patch_labels_create(&labels, &patching[i]), SCRY_OK);
        for (int j = 0; j < patching[i].position_count; j++) cr_expect_str_eq(labels[j], i ? noise[j] : denoise[j]);
        scry__patch_labels_free(labels, patching[i].position_count);
    }
}

/* What a position drew on as JSON: every key of docs/json.md, each number in its place, and null for what was not
 * measured; and as a picture. */
#include "report/influence_picture.h"
#include "report/json_influence.h"

#include "base/json_build.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One layer of two heads, two keys; numbers tell where they came from. */
static int32_t     ids[]   = {7, 8};
static char        seven[] = "seven", *texts[] = {seven, seven};
static scry_tokens tokens    = {2, ids, texts};
static float       weights[] = {0.25F, 0.75F, 0.5F, 0.5F}, layer_weights[] = {0.375F, 0.625F};
static float       rollout[]  = {0.25F, 0.75F};
static scry_cut    key_cuts[] = {{1, 2, 3}, {4, 5, 6}}, layer_cuts[] = {{-1, -2, 3}, {-4, -5, 6}};
static scry_cut    head_cuts[] = {{7, 8, 9}, {NAN, NAN, NAN}};
static scry_cut    edge_cuts[] = {{0, 0, 0}, {1, 1, 1}, {2, 2, 2}, {NAN, NAN, NAN}};
static scry_sink   sinks[]     = {{0, 1, 0, 2.5F, 0.5F}};

static scry_influence made(scry_cuts cuts)
{
    return (scry_influence){.tokens        = &tokens,
                            .layer_count   = 1,
                            .head_count    = 2,
                            .key_count     = 2,
                            .position      = 1,
                            .target        = {9, 1.5F, 0.5F, seven},
                            .lse           = 2,
                            .entropy       = 0.5F,
                            .cuts          = cuts,
                            .weights       = weights,
                            .layer_weights = layer_weights,
                            .key_weights   = layer_weights,
                            .rollout       = rollout,
                            .key_cuts      = key_cuts,
                            .layer_cuts    = layer_cuts,
                            .head_cuts     = head_cuts,
                            .edge_cuts     = cuts >= SCRY_CUTS_EDGES ? edge_cuts : NULL,
                            .sink_count    = 1,
                            .sinks         = sinks};
}

static void expect_json(const scry_influence *influence, const char *expected)
{
    json_t    *object = NULL;
    scry__text text   = {0};
    cr_assert_eq(scry__json_influence(&object, influence, NULL), SCRY_OK, "%s", scry_last_error());
    json_object_del(object, "version");
    scry__json_dump(&text, object, false);
    cr_expect_str_eq(text.data, expected);
    scry__text_finish(&text);
    json_decref(object);
}

#define HEAD                                                                                                           \
    "{\"schema\":\"scry.influence/1\",\"tokens\":[{\"id\":7,\"text\":\"seven\"},{\"id\":8,\"text\":\"seven\"}],"       \
    "\"position\":1,\"target\":{\"id\":9,\"text\":\"seven\",\"logit\":1.5,\"probability\":0.5},\"lse\":2.0,"           \
    "\"entropy\":0.5,"
#define CUT(logit, log_probability, kl) "{\"logit\":" logit ",\"log_probability\":" log_probability ",\"kl\":" kl "}"
#define KEYS                                                                                                           \
    "\"keys\":[{\"position\":0,\"weight\":0.375,\"rollout\":0.25,\"cut\":" CUT(                                        \
        "1.0", "2.0", "3.0") "},"                                                                                      \
                             "{\"position\":1,\"weight\":0.625,\"rollout\":0.75,\"cut\":" CUT("4.0", "5.0",            \
                                                                                              "6.0") "}],"
#define LAYERS                                                                                                         \
    "\"layers\":[{\"layer\":0,\"weights\":[0.375,0.625],\"cut\":[" CUT("-1.0", "-2.0", "3.0") "," CUT("-4.0", "-5.0",  \
                                                                                                      "6.0") "]}],"
#define SINKS "\"sinks\":[{\"layer\":0,\"head\":1,\"key\":0,\"ratio\":2.5,\"share\":0.5}]}\n"

Test(report_influence, json__has_each_number_in_its_place)
{
    scry_influence heads = made(SCRY_CUTS_HEADS), edges = made(SCRY_CUTS_EDGES);
    expect_json(
        &heads,
        HEAD "\"cuts\":\"heads\"," KEYS LAYERS "\"heads\":[{\"layer\":0,\"head\":0,\"cut\":" CUT(
            "7.0", "8.0",
            "9.0") ",\"weights\":[0.25,0.75],"
                   "\"cuts\":null},{\"layer\":0,\"head\":1,\"cut\":null,\"weights\":[0.5,0.5],\"cuts\":null}]," SINKS);
    expect_json(
        &edges,
        HEAD "\"cuts\":\"edges\"," KEYS LAYERS "\"heads\":[{\"layer\":0,\"head\":0,\"cut\":" CUT(
            "7.0", "8.0", "9.0") ",\"weights\":[0.25,0.75],"
                                 "\"cuts\":[" CUT("0.0", "0.0", "0.0") "," CUT(
                                     "1.0", "1.0", "1.0") "]},"
                                                          "{\"layer\":0,\"head\":1,\"cut\":null,\"weights\":[0.5,0.5],"
                                                          "\"cuts\":[" CUT("2.0", "2.0", "2.0") ",null]}]," SINKS);
}

Test(report_influence, json__of_too_many_numbers_is_refused)
{
    json_t        *object    = NULL;
    scry_influence influence = made(SCRY_CUTS_HEADS);
    influence.layer_count    = 1 << 12;
    influence.key_count      = 1 << 12;
    cr_expect_eq(scry__json_influence(&object, &influence, NULL), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "too many for JSON"), "%s", scry_last_error());
    cr_expect_null(object);
}

/* The map says what its values are: changes where layers were cut, else weights. */
Test(report_influence, picture__shows_changes_or_weights)
{
    static const struct {
        scry_cuts   cuts;
        const char *says;
    } cases[] = {{SCRY_CUTS_NONE, "Scale: attention weight from 0 to 0.625"},
                 {SCRY_CUTS_LAYERS, "Scale: change in log-probability (nats) from -5 to 5"}};
    for (int i = 0; i < 2; i++) {
        char           path[64], drawn[65536] = "";
        scry_influence influence = made(cases[i].cuts);
        snprintf(path, sizeof path, "/tmp/scry-influence-%ld.svg", (long)getpid());
        cr_assert_eq(scry__influence_picture_write(path, &influence), SCRY_OK, "%s", scry_last_error());
        FILE *file = fopen(path, "r");
        cr_assert(file && fread(drawn, 1, sizeof drawn - 1, file) > 0);
        fclose(file);
        remove(path);
        cr_expect(strstr(drawn, "<svg") && strstr(drawn, cases[i].says), "case %d", i);
        cr_expect(strstr(drawn, "Position 1 predicts"), "case %d", i);
    }
}

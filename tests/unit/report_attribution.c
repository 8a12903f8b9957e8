/* A direct logit attribution as JSON: every key of docs/json.md, each number in its place, null for what does not
 * apply; and as a picture. */
#include "report/attribution_picture.h"
#include "report/json_attribution.h"

#include "base/json_build.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One layer of two heads; numbers tell where they came from. */
static int32_t           ids[]   = {7, 8};
static char              seven[] = "seven", nine[] = "nine", *texts[] = {seven, seven};
static scry_tokens       tokens  = {2, ids, texts};
static scry_contribution parts[] = {
    {SCRY_CONTRIBUTION_EMBEDDING, -1, -1, 0.5, 0.25, -1, NAN},
    {SCRY_CONTRIBUTION_HEAD, 0, 0, -1, -0.5, 1, 0.625F},
    {SCRY_CONTRIBUTION_HEAD, 0, 1, 2, 1, 0, 1},
    {SCRY_CONTRIBUTION_MLP, 0, -1, 0.75, 0.375, -1, NAN},
    {SCRY_CONTRIBUTION_NORM_BIAS, -1, -1, -0.25, NAN, -1, NAN},
};

static scry_attribution made(bool has_wrong)
{
    return (scry_attribution){.tokens        = &tokens,
                              .layer_count   = 1,
                              .head_count    = 2,
                              .position      = 1,
                              .answer        = {9, 3, 0.5F, nine},
                              .wrong         = {7, 1, 0.25F, has_wrong ? seven : NULL},
                              .has_wrong     = has_wrong,
                              .logit         = 2,
                              .denominator   = 1.5,
                              .count         = sizeof parts / sizeof *parts,
                              .contributions = parts,
                              .residue       = 0.125,
                              .bound         = 0.5};
}

static void expect_json(const scry_attribution *attribution, const char *expected)
{
    json_t    *object = NULL;
    scry__text text   = {0};
    cr_assert_eq(scry__json_attribution(&object, attribution, NULL), SCRY_OK, "%s", scry_last_error());
    json_object_del(object, "version");
    scry__json_dump(&text, object, false);
    cr_expect_str_eq(text.data, expected);
    scry__text_finish(&text);
    json_decref(object);
}

#define HEAD                                                                                                           \
    "{\"schema\":\"scry.attribution/1\",\"tokens\":[{\"id\":7,\"text\":\"seven\"},{\"id\":8,\"text\":\"seven\"}],"     \
    "\"position\":1,\"answer\":{\"id\":9,\"text\":\"nine\",\"logit\":3.0,\"probability\":0.5},"
#define WRONG "\"wrong\":{\"id\":7,\"text\":\"seven\",\"logit\":1.0,\"probability\":0.25},"
#define PART(kind, layer, head, value, share, key, weight)                                                             \
    "{\"kind\":\"" kind "\",\"layer\":" layer ",\"head\":" head ",\"value\":" value ",\"share\":" share                \
    ",\"key\":" key ",\"weight\":" weight "}"
#define REST                                                                                                           \
    "\"logit\":2.0,\"denominator\":1.5,\"contributions\":[" PART(                                                      \
        "embedding", "null", "null", "0.5", "0.25", "null",                                                            \
        "null") "," PART("head", "0", "0", "-1.0", "-0.5", "1",                                                        \
                         "0.625") "," PART("head", "0", "1", "2.0", "1.0", "0",                                        \
                                           "1.0") "," PART("mlp", "0", "null", "0.75", "0.375", "null",                \
                                                           "null") "," PART("final norm bias", "null", "null",         \
                                                                            "-0.25", "null", "null",                   \
                                                                            "null") "],\"residue\":0.125,\"bound\":0." \
                                                                                    "5}\n"

Test(report_attribution, json__has_each_number_in_its_place)
{
    scry_attribution one = made(false), difference = made(true);
    expect_json(&one, HEAD "\"wrong\":null," REST);
    expect_json(&difference, HEAD WRONG REST);
}

/* Its scale reaches as far down as up; what has no cell is named. */
Test(report_attribution, picture__shows_heads_and_the_mlp)
{
    static const char *const says[] = {"<svg",
                                       "Position 1, logit of",
                                       "less that of",
                                       "+2.000. Embeddings and biases: +0.250",
                                       "Scale: contribution to the logit difference from -2 to 2",
                                       "MLP"};
    char                     path[64], drawn[65536] = "";
    scry_attribution         attribution = made(true);
    snprintf(path, sizeof path, "/tmp/scry-attribution-%ld.svg", (long)getpid());
    cr_assert_eq(scry__attribution_picture_write(path, &attribution), SCRY_OK, "%s", scry_last_error());
    FILE *file = fopen(path, "r");
    cr_assert(file && fread(drawn, 1, sizeof drawn - 1, file) > 0);
    fclose(file);
    remove(path);
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) cr_expect(strstr(drawn, says[i]), "%s", says[i]);
}

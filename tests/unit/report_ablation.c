/* An ablation as JSON: every key of docs/json.md, each number in its place, null for what does not apply; and as a
 * picture. */
#include "report/ablation_picture.h"
#include "report/json_ablation.h"

#include "base/json_build.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One layer of one head, away by zero and by resampling; numbers tell where they came from. */
static int32_t      ids[]   = {7, 8};
static char         seven[] = "seven", nine[] = "nine", other[] = "another prompt", *texts[] = {seven, seven};
static scry_tokens  tokens  = {2, ids, texts};
static scry_ablated parts[] = {
    {SCRY_ABLATION_WAY_ZERO, SCRY_ABLATION_PART_HEAD, 0, 0, -1, -0.5F, 0.25F, 0.125F, true},
    {SCRY_ABLATION_WAY_ZERO, SCRY_ABLATION_PART_ATTENTION, 0, -1, 2, 1, -0.25F, 0.5F, true},
    {SCRY_ABLATION_WAY_ZERO, SCRY_ABLATION_PART_MLP, 0, -1, 0, 0, 0, 0, false},
    {SCRY_ABLATION_WAY_RESAMPLE, SCRY_ABLATION_PART_LAYER, 0, -1, -4, -3, NAN, 2, true},
};

static scry_ablation made(bool whole)
{
    return (scry_ablation){.tokens      = &tokens,
                           .layer_count = 1,
                           .head_count  = 1,
                           .position    = 1,
                           .answer      = {9, 3, 0.5F, nine},
                           .wrong       = {7, 1, 0.25F, whole ? seven : NULL},
                           .has_wrong   = whole,
                           .at          = whole ? 0 : -1,
                           .loss        = whole ? 1.5F : NAN,
                           .lse         = 4,
                           .entropy     = 0.75F,
                           .ways        = 1U << SCRY_ABLATION_WAY_ZERO | 1U << SCRY_ABLATION_WAY_RESAMPLE,
                           .mean_count  = whole ? 3 : 0,
                           .resampled   = whole ? other : NULL,
                           .count       = sizeof parts / sizeof *parts,
                           .ablated     = parts,
                           .cost        = {10, 20, 4, 1, 2}};
}

static void expect_json(const scry_ablation *ablation, const char *expected)
{
    json_t    *object = NULL;
    scry__text text   = {0};
    cr_assert_eq(scry__json_ablation(&object, ablation, NULL), SCRY_OK, "%s", scry_last_error());
    json_object_del(object, "version");
    scry__json_dump(&text, object, false);
    cr_expect_str_eq(text.data, expected);
    scry__text_finish(&text);
    json_decref(object);
}

#define HEAD                                                                                                           \
    "{\"schema\":\"scry.ablation/1\",\"tokens\":[{\"id\":7,\"text\":\"seven\"},{\"id\":8,\"text\":\"seven\"}],"        \
    "\"position\":1,\"answer\":{\"id\":9,\"text\":\"nine\",\"logit\":3.0,\"probability\":0.5},"
#define WHOLE                                                                                                          \
    "\"wrong\":{\"id\":7,\"text\":\"seven\",\"logit\":1.0,\"probability\":0.25},\"loss\":1.5,\"lse\":4.0,"             \
    "\"entropy\":0.75,\"at\":0,\"mean_prompts\":3,\"resampled\":\"another prompt\","
#define BARE                                                                                                           \
    "\"wrong\":null,\"loss\":null,\"lse\":4.0,\"entropy\":0.75,\"at\":null,\"mean_prompts\":0,\"resampled\":null,"
#define PART(by, part, head, logit, log_probability, loss, kl, changed)                                                \
    "{\"by\":\"" by "\",\"part\":\"" part "\",\"layer\":0,\"head\":" head ",\"logit\":" logit                          \
    ",\"log_probability\":" log_probability ",\"loss\":" loss ",\"kl\":" kl ",\"changed\":" changed "}"
#define REST                                                                                                           \
    "\"ablations\":[" PART("zero", "head", "0", "-1.0", "-0.5", "0.25", "0.125", "true") "," PART(                     \
        "zero", "attention", "null", "2.0", "1.0", "-0.25", "0.5",                                                     \
        "true") "," PART("zero", "mlp", "null", "0.0", "0.0", "0.0", "0.0",                                            \
                         "false") "," PART("resample", "layer", "null", "-4.0", "-3.0", "null", "2.0",                 \
                                           "true") "],\"cost\":{\"layer_tokens\":10,\"naive_layer_tokens\":20,"        \
                                                   "\"patches\":4,\"skipped\":1,\"passes\":2}}\n"

Test(report_ablation, json__has_each_number_in_its_place)
{
    scry_ablation whole = made(true), bare = made(false);
    expect_json(&whole, HEAD WHOLE REST);
    expect_json(&bare, HEAD BARE REST);
}

/* A panel for each way, with what no head is behind the heads; a KL has no sign. */
Test(report_ablation, picture__shows_heads_and_what_stands_beside_them)
{
    static const struct {
        scry_ablation_measure measure;
        const char           *says[4];
    } cases[] = {
        {SCRY_ABLATION_MEASURE_LOGIT,
         {"<svg", "Position 1, logit of", "Away at position 0 only", "change of the logit difference from -4 to 4"}},
        {SCRY_ABLATION_MEASURE_KL,
         {"<svg", "less that of", "KL(whole || without it) (nats) from 0 to 2", "Columns: 0 attn MLP layer"}},
    };
    char          path[64];
    scry_ablation ablation = made(true);
    snprintf(path, sizeof path, "/tmp/scry-ablation-%ld.svg", (long)getpid());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char drawn[65536] = "";
        cr_assert_eq(scry__ablation_picture_write(path, &ablation, cases[i].measure), SCRY_OK, "%s", scry_last_error());
        FILE *file = fopen(path, "r");
        cr_assert(file && fread(drawn, 1, sizeof drawn - 1, file) > 0);
        fclose(file);
        remove(path);
        for (int word = 0; word < 4; word++)
            cr_expect(strstr(drawn, cases[i].says[word]), "%zu: %s", i, cases[i].says[word]);
    }
    ablation = made(false);
    cr_expect_eq(scry__ablation_picture_write(path, &ablation, SCRY_ABLATION_MEASURE_LOSS), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "the loss was not measured"), "%s", scry_last_error());
}

/* Path patching as JSON: every key of docs/json.md, each number in its place, null for what does not apply; and as a
 * picture. */
#include "report/json_path.h"
#include "report/path_picture.h"

#include "base/json_build.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Two layers of one head; numbers tell where they came from. */
static int32_t       ids[]   = {7};
static char          seven[] = "seven", nine[] = "nine", *texts[] = {seven};
static scry_tokens   tokens      = {1, ids, texts};
static scry_path_end receivers[] = {{SCRY_PATH_END_QUERY, 1, 0}, {SCRY_PATH_END_LOGITS, -1, -1}};
static scry_path_end head[]      = {{SCRY_PATH_END_HEAD, 0, 0}},
                     both[]      = {{SCRY_PATH_END_MLP, 1, -1}, {SCRY_PATH_END_EMBED, -1, -1}};
static scry_path paths[] = {{1, head, {0.5F, 2, 0.25F, 0.125F, NAN}, true}, {2, both, {NAN, 1, 0.5F, 0, NAN}, false}};

static scry_patching made_pair(void)
{
    const scry_patch_side side = {&tokens, 0, {9, 3, 0.5F, nine}, {7, 1, 0.25F, seven}, 2};
    return (scry_patching){.direction = SCRY_NOISE, .clean = side, .corrupt = side, .defined = true};
}

static scry_paths made(scry_patching *pair, int count)
{
    return (scry_paths){.pair           = pair,
                        .mlps_frozen    = true,
                        .layer_count    = 2,
                        .head_count     = 1,
                        .receiver_count = 2,
                        .receivers      = receivers,
                        .count          = count,
                        .paths          = paths + 2 - count,
                        .cost           = {10, 20, 2, 1, 3}};
}

#define SIDE                                                                                                           \
    "{\"tokens\":[{\"id\":7,\"text\":\"seven\"}],\"position\":0,\"answer\":{\"id\":9,\"text\":\"nine\",\"logit\":3.0," \
    "\"probability\":0.5},\"wrong\":{\"id\":7,\"text\":\"seven\",\"logit\":1.0,\"probability\":0.25},"                 \
    "\"logit_difference\":2.0}"
#define END(kind, layer, head) "{\"kind\":\"" kind "\",\"layer\":" layer ",\"head\":" head "}"
#define PATH(senders, effect, difference, probability, kl, changed)                                                    \
    "{\"senders\":[" senders "],\"effect\":" effect ",\"logit_difference\":" difference                                \
    ",\"probability\":" probability ",\"kl\":" kl ",\"changed\":" changed "}"

static const char expected[] =
    "{\"schema\":\"scry.path/1\",\"clean\":" SIDE ",\"corrupt\":" SIDE
    ",\"direction\":\"noise\",\"defined\":true,\"mlps_frozen\":true,\"receivers\":[" END("q", "1", "0") "," END(
        "logits", "null",
        "null") "],\"paths\":[" PATH(END("head", "0", "0"), "0.5", "2.0", "0.25", "0.125",
                                     "true") "," PATH(END("mlp", "1", "null") "," END("embed", "null", "null"), "null",
                                                      "1.0", "0.5", "0.0",
                                                      "false") "],"
                                                               "\"cost\":{\"layer_tokens\":10,\"naive_layer_tokens\":"
                                                               "20,\"patches\":2,\"skipped\":1,\"passes\":3}}\n";

Test(report_path, json__has_each_number_in_its_place)
{
    scry_patching pair   = made_pair();
    scry_paths    result = made(&pair, 2);
    json_t       *object = NULL;
    scry__text    text   = {0};
    cr_assert_eq(scry__json_paths(&object, &result, NULL), SCRY_OK, "%s", scry_last_error());
    json_object_del(object, "version");
    scry__json_dump(&text, object, false);
    cr_expect_str_eq(text.data, expected);
    scry__text_finish(&text);
    json_decref(object);
}

/* Senders that have no cell are no part of it. */
Test(report_path, picture__shows_heads_and_the_mlp)
{
    static const char *const says[] = {
        "<svg", "Path patching",
        "What each part says, directly, to 1.0.q, logits, from the corrupt run in the clean one",
        "effect: 0 as unpatched, 1 as the source from -0.5 to 0.5", "Columns: 0 MLP"};
    char          path[64], drawn[65536] = "";
    scry_patching pair   = made_pair();
    scry_paths    result = made(&pair, 2);
    snprintf(path, sizeof path, "/tmp/scry-path-%ld.svg", (long)getpid());
    cr_assert_eq(scry__path_picture_write(path, &result, SCRY_PATCH_METRIC_EFFECT), SCRY_OK, "%s", scry_last_error());
    FILE *file = fopen(path, "r");
    cr_assert(file && fread(drawn, 1, sizeof drawn - 1, file) > 0);
    fclose(file);
    remove(path);
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) cr_expect(strstr(drawn, says[i]), "%s", says[i]);
    result = made(&pair, 1);
    cr_expect_eq(scry__path_picture_write(path, &result, SCRY_PATCH_METRIC_EFFECT), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "a head or an MLP by itself"), "%s", scry_last_error());
}

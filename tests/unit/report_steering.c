/* Steering as JSON and as a picture, and its vector as a file: each number in its place. */
#include "refusals.h"

#include "base/alloc.h"
#include "base/array_file.h"
#include "base/file.h"
#include "base/json_build.h"
#include "report/json_steering.h"
#include "report/npy.h"
#include "report/steering_picture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int32_t         ids[]      = {5};
static char           *texts[]    = {(char *)"five"};
static scry_tokens     prompt     = {1, ids, texts};
static scry_candidate  top[]      = {{7, 2, 0.5F, (char *)"seven"}};
static scry_step       steps[]    = {{{7, 2, 0.5F, (char *)"seven"}, top, 0.25F, 3, SCRY_SURENESS_TOO_SURE, NULL}};
static float           vector[]   = {1, -0.5F, 0};
static scry_shift      rises[]    = {{7, 0.25F, 0.5F, (char *)"seven"}};
static scry_shift      falls[]    = {{8, 0.5F, 0.25F, (char *)"<8>"}};
static scry_generation generation = {.prompt      = &prompt,
                                     .step_count  = 1,
                                     .top_count   = 1,
                                     .steps       = steps,
                                     .text        = (char *)"seven",
                                     .stop_reason = "length"};
static float           kls[]      = {0.125F, 0, 0, 0.25F};
static scry_odds       with[]     = {{2, 0.5F}, {-1, 0.125F}};
static scry_odds       drawn[]    = {{0, 0.25F}, {1, 0.375F}, {0.5F, 0.25F}, {-0.5F, 0.0625F}};
static scry_followed   followed[] = {{7, (char *)"se en", {1, 0.25F}, with, drawn}};
static scry_steered    runs[]     = {
           {2, 0.125F, 0.0625F, 1, 1, rises, falls, &generation},
           {-1, NAN, NAN, 0, 0, NULL, NULL, &generation},
};

static const scry_steering whole = {.layer          = 3,
                                    .site           = SCRY_STEER_SITE_RESID_PRE,
                                    .reach          = SCRY_STEER_REACH_RANGE,
                                    .positions      = {4, 0},
                                    .size           = 3,
                                    .vector         = vector,
                                    .length         = 1.5,
                                    .stream         = 8,
                                    .step           = 1,
                                    .plain          = &generation,
                                    .count          = 2,
                                    .runs           = runs,
                                    .random_count   = 2,
                                    .random_kls     = kls,
                                    .followed_count = 1,
                                    .followed       = followed};

#define TOKEN(id, text) "{\"id\":" id ",\"text\":\"" text "\""
#define SEVEN           TOKEN("7", "seven") ",\"logit\":2.0,\"probability\":0.5}"
#define CONTINUED                                                                                                      \
    "\"steps\":[{\"step\":0,\"chosen\":" SEVEN ",\"top\":[" SEVEN                                                      \
    "],\"entropy\":0.25,\"lse\":3.0,\"flag\":\"too sure\",\"temperatures\":[]}],\"text\":\"seven\","                   \
    "\"stop_reason\":\"length\"}"

static const char expected[] = "{\"schema\":\"scry.steering/1\",\"tokens\":[" TOKEN(
    "5",
    "five") "}],\"layer\":3,\"site\":\"resid_pre\","
            "\"reach\":\"range\",\"position_begin\":4,\"position_end\":null,\"length\":1.5,\"stream_length\":8.0,"
            "\"vector\":[1.0,-0.5,0.0],\"step\":1,\"plain\":{" CONTINUED ",\"runs\":[{\"strength\":2.0,\"kl\":0.125,"
            "\"random_kl\":0.0625,\"random_kls\":[0.125,0.0],\"rises\":[" TOKEN(
                "7",
                "seven") ",\"before\":0.25,\"after\":0.5}],\"falls\":[" TOKEN("8",
                                                                              "<8>") ",\"before\":0.5,\"after\":0.25}]"
                                                                                     "," CONTINUED
                                                                                     ",{\"strength\":-1.0,\"kl\":null,"
                                                                                     "\"random_kl\":null,\"random_"
                                                                                     "kls\":[0.0,0.25],\"rises\":[],"
                                                                                     "\"falls\":[]," CONTINUED
                                                                                     "],\"followed\":[" TOKEN(
                                                                                         "7",
                                                                                         "se en") ",\"logit\":1.0,"
                                                                                                  "\"probability\":0."
                                                                                                  "25,"
                                                                                                  "\"logits\":[2.0,-1."
                                                                                                  "0],"
                                                                                                  "\"probabilities\":["
                                                                                                  "0.5,0.125],"
                                                                                                  "\"random_logits\":[["
                                                                                                  "0.0,1.0],[0.5,-0.5]]"
                                                                                                  ","
                                                                                                  "\"random_"
                                                                                                  "probabilities\":[[0."
                                                                                                  "25,0.375],[0.25,0."
                                                                                                  "0625]]}]}\n";

Test(report_steering, json__has_each_number_in_its_place)
{
    json_t    *object = NULL;
    scry__text text   = {0};
    cr_assert_eq(scry__json_steering(&object, &whole, NULL), SCRY_OK, "%s", scry_last_error());
    json_object_del(object, "version");
    scry__json_dump(&text, object, false);
    cr_expect_str_eq(text.data, expected);
    scry__text_finish(&text);
    json_decref(object);
}

/* In words, and with each part of the picture's own; a start at strength 0 is drawn, but not said. */
Test(report_steering, picture__says_what_it_shows)
{
    static const char *const says[] = {
        "<title>Steering: a &lt; b</title>", "A less B",
        "\nse␣en: probability 0.2500 without the vector, 0.5000 at strength 2, 0.1250 at strength -1",
        "\nKL 0.1250 at strength 2, of random vectors 0.0625"};
    char   path[64], *text;
    size_t size;
    snprintf(path, sizeof path, "/tmp/scry-steering-%ld.svg", (long)getpid());
    cr_assert_eq(scry__steering_picture_write(path, &whole, "Steering: a < b", "A less B"), SCRY_OK, "%s",
                 scry_last_error());
    cr_assert_eq(scry__file_read(&text, &size, path, 1 << 22), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) cr_expect(strstr(text, says[i]), "%s", says[i]);
    scry__free(text);
    remove(path);
}

Test(report_steering, picture__is_refused_where_nothing_was_compared)
{
    scry_steering bare  = whole;
    bare.random_kls     = NULL;
    bare.followed_count = 0;
    cr_expect_eq(scry__steering_picture_write("/tmp/scry-steering-none.svg", &bare, "", ""), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "expected a prediction that the vector reaches"), "%s", scry_last_error());
    cr_expect_eq(scry__steering_picture_write("/tmp/scry-steering.gif", &whole, "", ""), SCRY_BAD_ARGUMENT);
    bare.random_kls = kls;
    char path[64];
    snprintf(path, sizeof path, "/tmp/scry-steering-%ld.png", (long)getpid());
    cr_expect_eq(scry__steering_picture_write(path, &bare, "No token", "moved"), SCRY_OK, "%s", scry_last_error());
    remove(path);
}

Test(report_steering, refused_memory__is_reported)
{
    struct refusals refusals = {0};
    char            path[64];
    snprintf(path, sizeof path, "/tmp/scry-steering-memory-%ld.svg", (long)getpid());
    while (refusals_next(&refusals)) {
        scry_status status = scry__steering_picture_write(path, &whole, "A title", "about");
        refusals_check(&refusals, status, access(path, F_OK) == 0);
        remove(path);
    }
    cr_expect_gt(refusals.refused, 6);
}

Test(report_steering, vector_file__is_read_as_it_was_written)
{
    static const struct {
        int         rank;
        int64_t     shape[2];
        const char *head;
    } cases[] = {
        {1, {3}, "'shape': (3,), }"}, {2, {1, 3}, "'shape': (1, 3, ), }"}, {2, {3, 0}, "'shape': (3, 0, ), }"}};
    char path[64], bytes[256];
    snprintf(path, sizeof path, "/tmp/scry-steering-%ld.npy", (long)getpid());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__array_file *file     = NULL;
        float             found[3] = {0};
        cr_assert_eq(scry__npy_write_f32(path, cases[i].rank, cases[i].shape, vector), SCRY_OK, "%s",
                     scry_last_error());
        FILE  *raw  = fopen(path, "rb");
        size_t size = fread(bytes, 1, sizeof bytes - 1, raw);
        fclose(raw);
        bytes[size] = 0;
        cr_expect(strstr(bytes + 10, cases[i].head), "%s", bytes + 10);
        cr_assert_eq(scry__array_file_open(&file, path), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(file->arrays->rank, cases[i].rank);
        cr_expect_eq(file->arrays->head % 64, 0);
        cr_assert_eq(file->arrays->count, cases[i].shape[1] == 0 && i ? 0 : 3);
        cr_assert_eq(scry__array_read_f32(file, file->arrays, found), SCRY_OK, "%s", scry_last_error());
        cr_expect_arr_eq(found, vector, file->arrays->count * sizeof *found);
        scry__array_file_close(&file);
    }
    remove(path);
}

Test(report_steering, vector_file__appears_whole_or_not_at_all)
{
    struct refusals refusals = {0};
    char            path[64];
    snprintf(path, sizeof path, "/tmp/scry-steering-memory-%ld.npy", (long)getpid());
    while (refusals_next(&refusals)) {
        scry_status status = scry__npy_write_f32(path, 1, (int64_t[]){3}, vector);
        refusals_check(&refusals, status, access(path, F_OK) == 0);
        remove(path);
    }
    cr_expect_gt(refusals.refused, 2);
    cr_expect_eq(scry__npy_write_f32("/nowhere/v.npy", 1, (int64_t[]){3}, vector), SCRY_IO);
}

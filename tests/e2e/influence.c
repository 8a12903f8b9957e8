/* scry influence on the bundled model: what the answer to a question drew on. */
#include "program.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char capital[] = "The capital of France is";

TestSuite(influence, .init = make_folder, .fini = remove_folder);

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "%s is missing", key);
    return json_number_value(value);
}

/* "France" and "capital" make the answer; the first token, which has most of the rollout, does not. */
Test(influence, json__tells_what_the_answer_drew_on)
{
    static const char *const devices[] = {"cpu", "reference"};
    for (int i = 0; i < 2; i++) {
        struct outcome outcome   = SCRY("influence", capital, "--json", "--device", devices[i]);
        json_t        *influence = outcome_json(&outcome), *keys = json_object_get(influence, "keys");
        cr_expect_str_eq(json_string_value(json_object_get(influence, "schema")), "scry.influence/1");
        cr_expect_str_eq(json_string_value(json_object_get(json_object_get(influence, "target"), "text")), " Paris");
        cr_expect_str_eq(json_string_value(json_object_get(influence, "cuts")), "heads");
        cr_assert_eq(json_array_size(keys), 6);
        for (size_t key = 0; key < 6; key++) {
            const json_t *cut    = json_object_get(json_array_get(keys, key), "cut");
            bool          needed = key == 2 || key == 4;
            cr_expect_eq(number(cut, "log_probability") < -1, needed, "on %s: key %zu", devices[i], key);
            cr_expect_eq(number(cut, "kl") > 1, needed, "on %s: key %zu", devices[i], key);
        }
        cr_expect_gt(number(json_array_get(keys, 0), "rollout"), 0.5);
        cr_expect_eq(json_array_size(json_object_get(influence, "layers")), 6);
        cr_expect_eq(json_array_size(json_object_get(influence, "heads")), 48);
        json_decref(influence);
        outcome_free(&outcome);
    }
}

Test(influence, cuts__are_those_asked_for)
{
    static const struct {
        const char *cuts;
        bool        keys, layers, heads, edges;
    } cases[] = {{"none", 0, 0, 0, 0},
                 {"keys", 1, 0, 0, 0},
                 {"layers", 1, 1, 0, 0},
                 {"heads", 1, 1, 1, 0},
                 {"edges", 1, 1, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome =
            SCRY("influence", capital, "--cuts", cases[i].cuts, "-p", "3", "--target-id", "7", "--json");
        json_t *influence = outcome_json(&outcome);
        json_t *key       = json_array_get(json_object_get(influence, "keys"), 1);
        json_t *layer     = json_array_get(json_object_get(influence, "layers"), 1);
        json_t *head      = json_array_get(json_object_get(influence, "heads"), 1);
        cr_expect_eq(json_integer_value(json_object_get(influence, "position")), 3);
        cr_expect_eq(json_integer_value(json_object_get(json_object_get(influence, "target"), "id")), 7);
        cr_expect_eq(json_is_object(json_object_get(key, "cut")), cases[i].keys, "%s", cases[i].cuts);
        cr_expect_eq(json_is_object(json_array_get(json_object_get(layer, "cut"), 1)), cases[i].layers, "%s",
                     cases[i].cuts);
        cr_expect_eq(json_is_object(json_object_get(head, "cut")), cases[i].heads, "%s", cases[i].cuts);
        cr_expect_eq(json_array_size(json_object_get(head, "cuts")), cases[i].edges ? 4 : 0, "%s", cases[i].cuts);
        json_decref(influence);
        outcome_free(&outcome);
    }
}

/* A text that repeats itself is long enough for a sink. */
Test(influence, tables__name_tokens_heads_and_sinks)
{
    struct outcome brief = SCRY("influence", capital);
    struct outcome long_ =
        SCRY("influence", "The capital of France is Paris. The capital of Spain is Madrid. The capital of Italy is",
             "--cuts", "keys", "-k", "3");
    cr_expect_eq(brief.exit_code, 0, "%s", brief.err);
    cr_expect(strstr(brief.out, "France") && strstr(brief.out, "rollout") && strstr(brief.out, "head 0."), "%s",
              brief.out);
    cr_expect(strstr(brief.out, "Sinks: none"), "%s", brief.out);
    cr_expect(strstr(long_.out, "the 3 of ") && strstr(long_.out, "received / uniform"), "%s", long_.out);
    outcome_free(&brief);
    outcome_free(&long_);
}

Test(influence, files__are_a_picture_or_arrays)
{
    const char    *svg = in_folder("i.svg"), *npz = in_folder("i.npz");
    struct outcome picture = SCRY("influence", capital, "-o", svg), arrays = SCRY("influence", capital, "-o", npz);
    size_t         size;
    cr_expect_eq(picture.exit_code, 0, "%s", picture.err);
    cr_expect_eq(arrays.exit_code, 0, "%s", arrays.err);
    char *bytes = read_file(svg, &size);
    cr_expect(strstr(bytes, "<svg"));
    free(bytes);
    bytes = read_file(npz, &size);
    cr_expect(size > 4 && !memcmp(bytes, "PK\3\4", 4) && memmem(bytes, size, "cut_heads_kl.npy", 16));
    free(bytes);
    outcome_free(&picture);
    outcome_free(&arrays);
}

Test(influence, wrong_arguments__are_named)
{
    static const struct {
        const char *option, *value, *says;
    } cases[] = {
        {"--cuts", "some", "--cuts \"some\": expected none, keys, layers, heads or edges"},
        {"--position", "6", "position 6: expected 0 to 5"},
        {"--target", "Paris in spring", "expected one token"},
        {"-o", "i.txt", "i.txt: expected a name that ends in one of .png .svg .pdf .npz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("influence", capital, cases[i].option, cases[i].value);
        cr_expect_eq(outcome.exit_code, 2, "%s", cases[i].option);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].option, outcome.err);
        outcome_free(&outcome);
    }
}

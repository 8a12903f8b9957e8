/* scry steer on the bundled model: a vector between two capitals moves the answer. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define FRANCE "The capital of France is"
#define ITALY  "The capital of Italy is"

TestSuite(steer, .init = make_folder, .fini = remove_folder);

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "%s is missing", key);
    return json_number_value(value);
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    cr_assert(value, "%s is missing", key);
    return value;
}

/* The `index`-th of a list of objects in an object. */
static const json_t *item(const json_t *object, const char *key, size_t index)
{
    const json_t *found = json_array_get(json_object_get(object, key), index);
    cr_assert(found, "%s[%zu] is missing", key, index);
    return found;
}

Test(steer, json__has_the_capital_that_is_steered_to)
{
    static const char *const devices[] = {"cpu", "reference"};
    for (int i = 0; i < 2; i++) {
        struct outcome outcome = SCRY("steer", FRANCE, "--plus", ITALY, "--minus", FRANCE, "--layer", "5", "--strength",
                                      "0,1", "-n", "5", "--json", "--device", devices[i]);
        json_t        *object  = outcome_json(&outcome);
        const json_t  *plain = json_object_get(object, "plain"), *zero = item(object, "runs", 0),
                     *one = item(object, "runs", 1);
        cr_expect_str_eq(text(object, "schema"), "scry.steering/1");
        cr_expect_str_eq(text(object, "site"), "resid_post");
        cr_expect_str_eq(text(object, "reach"), "all");
        cr_expect(number(object, "layer") == 5 && number(object, "step") == 0 && number(object, "position_begin") == 0);
        cr_expect(json_is_null(json_object_get(object, "position_end")));
        cr_expect_eq(json_array_size(json_object_get(object, "vector")), 256);
        cr_expect(!strncmp(text(plain, "text"), " Paris", 6) && !strncmp(text(one, "text"), " Rome", 5), "%s, %s",
                  text(plain, "text"), text(one, "text"));
        cr_expect(json_equal(json_object_get(plain, "steps"), json_object_get(zero, "steps")));
        cr_expect(number(zero, "kl") == 0 && json_array_size(json_object_get(zero, "rises")) == 0);
        cr_expect(number(one, "kl") > 5 && number(one, "random_kl") < 1, "%g, %g", number(one, "kl"),
                  number(one, "random_kl"));
        cr_expect_str_eq(text(item(one, "rises", 0), "text"), " Rome");
        cr_expect_str_eq(text(item(one, "falls", 0), "text"), " Paris");
        cr_expect(number(item(one, "falls", 0), "before") > 0.9 && number(item(one, "falls", 0), "after") < 0.1);
        json_decref(object);
        outcome_free(&outcome);
    }
}

/* Saved, a vector does what the prompts did, to the last digit; so do token ids in place of prompts. */
Test(steer, vector__is_saved_and_read_back)
{
    const char    *file = in_folder("v.npy");
    struct outcome made =
        SCRY("steer", FRANCE, "--plus", ITALY, "--minus", FRANCE, "-n", "3", "--save", file, "--json", "--normalise");
    struct outcome again = SCRY("steer", FRANCE, "--vector", file, "-n", "3", "--json");
    json_t        *a = outcome_json(&made), *b = outcome_json(&again);
    cr_expect(strstr(made.err, "v.npy"), "%s", made.err);
    cr_expect(json_equal(a, b), "%s\n%s", made.out, again.out);
    cr_expect_float_eq(number(a, "length"), number(a, "stream_length"), 1e-3);
    json_decref(b);
    json_decref(a);
    outcome_free(&again);
    outcome_free(&made);
}

/* A file in place of the tables; with --json the same object goes to stdout. */
Test(steer, output__is_a_picture_arrays_or_json)
{
    static const char *const names[] = {"s.json", "s.svg", "s.png", "s.pdf", "s.npz"};
    static const char *const heads[] = {"{\"schema\":\"scry.steering/1\"", "<?xml", "\x89PNG", "%PDF", "PK"};
    for (int i = 0; i < 5; i++) {
        size_t         size;
        const char    *path    = in_folder(names[i]);
        struct outcome outcome = SCRY("steer", FRANCE, "--plus", ITALY, "--minus", FRANCE, "--layer", "5", "-n", "1",
                                      "-o", path, i ? "--verbose" : "--json");
        cr_assert_eq(outcome.exit_code, 0, "%s: %s", names[i], outcome.err);
        cr_expect(strstr(outcome.err, names[i]), "%s: %s", names[i], outcome.err);
        char *bytes = read_file(path, &size);
        cr_expect(!strncmp(bytes, heads[i], strlen(heads[i])), "%s", names[i]);
        if (i) cr_expect_str_eq(outcome.out, "", "%s", names[i]);
        if (!i) {
            json_t *printed = outcome_json(&outcome), *written = json_loads(bytes, 0, NULL);
            cr_expect(json_equal(printed, written));
            const json_t *first = item(written, "followed", 0);
            cr_expect(!strcmp(text(first, "text"), " Paris") && number(first, "probability") > 0.9);
            cr_expect_eq(json_array_size(json_object_get(first, "probabilities")), 3);
            json_decref(written);
            json_decref(printed);
        }
        if (!strcmp(names[i], "s.svg"))
            cr_expect(strstr(bytes, "<title>Steering: " FRANCE "</title>") &&
                      strstr(bytes, "Vector: \"" ITALY "\" less \"" FRANCE "\""));
        free(bytes);
        outcome_free(&outcome);
    }
}

Test(steer, ids__take_the_place_of_prompts)
{
    struct outcome outcome =
        SCRY("steer", "--ids", "0,5,7", "--plus-ids", "0,9", "--plus-ids", "0,11", "--minus-ids", "0,5", "--pool",
             "mean", "--at", "resid_pre", "--positions", "1:", "-l", "2", "-n", "2", "--json");
    json_t *object = outcome_json(&outcome);
    cr_expect_str_eq(text(object, "site"), "resid_pre");
    cr_expect_str_eq(text(object, "reach"), "range");
    cr_expect(number(object, "position_begin") == 1 && json_array_size(json_object_get(object, "tokens")) == 3);
    json_decref(object);
    outcome_free(&outcome);
}

Test(steer, tables__show_runs_side_by_side)
{
    struct outcome outcome =
        SCRY("steer", FRANCE, "--plus", ITALY, "--minus", FRANCE, "--layer", "5", "-n", "1", "--positions", "last");
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    const char *const says[] = {"\"" ITALY "\" less \"" FRANCE "\"",
                                "blocks.5.hook_resid_post at the prompt's last position",
                                "without  " FRANCE "| Paris",
                                "1  " FRANCE "| Rome",
                                "rises",
                                "falls",
                                "random"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        cr_expect(strstr(outcome.out, says[i]), "%s: %s", says[i], outcome.out);
    outcome_free(&outcome);
}

/* Before layer 4 the last position knows nothing of the country. */
Test(steer, short_vectors__are_remarked_on)
{
    static const struct {
        const char *layer, *pool;
        bool        is_short;
    } cases[] = {{"3", "last", true}, {"5", "last", false}, {"3", "mean", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("steer", FRANCE, "--plus", ITALY, "--minus", FRANCE, "-n", "1", "--layer",
                                      cases[i].layer, "--pool", cases[i].pool);
        cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
        cr_expect_eq(strstr(outcome.out, "the prompts hardly differ there") != NULL, cases[i].is_short, "%s",
                     outcome.out);
        outcome_free(&outcome);
    }
}

Test(steer, wrong_arguments__are_named)
{
    static const struct {
        const char *arguments[6];
        int         exit_code;
        const char *says;
    } cases[] = {
        {{"-n", "1"}, 2, "nothing to steer by: expected --plus and --minus, or --vector"},
        {{"--plus", ITALY}, 2, "nothing to steer by"},
        {{"--plus", ITALY, "--vector", "v.npy"}, 2, "--vector was given with prompts"},
        {{"--vector", "/nowhere/v.npy"}, 3, "/nowhere/v.npy"},
        {{"--vector", "models/demo/config.json"}, 3, "config.json"},
        {{"--strength", "1,x", "--vector", "v.npy"}, 2, "--strength \"1,x\": expected up to 8 numbers"},
        {{"--at", "resid_mid", "--vector", "v.npy"}, 2, "--at \"resid_mid\": expected one of resid_post, resid_pre"},
        {{"--pool", "first", "--vector", "v.npy"}, 2, "--pool \"first\": expected one of last, mean"},
        {{"--positions", "3:2", "--vector", "v.npy"}, 2, "--positions \"3:2\": expected all, prompt, last"},
        {{"--save", "v.npz", "--vector", "v.npy"}, 2, "v.npz: expected a name that ends in .npy"},
        {{"--vector", "v.npy", "-o", "s.csv"},
         2,
         "s.csv: expected a name that ends in one of .png .svg .pdf .npz .json"},
        {{"--plus", ITALY, "--minus", FRANCE, "-l", "6"}, 2, "layer 6: expected 0 to 5"},
        {{"--plus", ITALY, "--minus", FRANCE, "--save", "/nowhere/v.npy"}, 6, "/nowhere/v.npy"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arguments[9] = {"steer", FRANCE};
        memcpy(arguments + 2, cases[i].arguments, sizeof cases[i].arguments);
        struct outcome outcome = run_scry(arguments);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "%s: %d: %s", cases[i].says, outcome.exit_code,
                     outcome.err);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].says, outcome.err);
        outcome_free(&outcome);
    }
}

/* scry path on the bundled model: which heads speak to which about the answer. */
#include "program.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char clean[] = "The capital of France is", corrupt[] = "The capital of Italy is";

TestSuite(path, .init = make_folder, .fini = remove_folder);

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "%s is missing", key);
    return json_number_value(value);
}

/* Both directions; patched together, everything carries the whole answer. */
Test(path, json__says_what_each_sender_carries)
{
    static const char *const directions[] = {"denoise", "noise"};
    char                     all[1024]    = "embed";
    for (int i = 0; i < 48; i++) snprintf(all + strlen(all), sizeof all - strlen(all), "+%d.%d", i / 8, i % 8);
    for (int i = 0; i < 6; i++) snprintf(all + strlen(all), sizeof all - strlen(all), "+mlp%d", i);
    strcat(all, ",heads");
    for (int i = 0; i < 2; i++) {
        struct outcome outcome = SCRY("path", clean, corrupt, "--from", all, "--direction", directions[i], "--json");
        json_t        *object = outcome_json(&outcome), *paths = json_object_get(object, "paths"), *path;
        double         most = 0;
        size_t         index;
        cr_expect_str_eq(json_string_value(json_object_get(object, "schema")), "scry.path/1");
        cr_expect_str_eq(json_string_value(json_object_get(object, "direction")), directions[i]);
        cr_assert_eq(json_array_size(paths), 1 + 48);
        cr_expect_float_eq(number(json_array_get(paths, 0), "effect"), 1, 1e-3);
        json_array_foreach(paths, index, path) if (index) most = fmax(most, number(path, "effect"));
        cr_expect(most > 0.02 && most < 0.8, "%g", most);
        json_decref(object);
        outcome_free(&outcome);
    }
}

Test(path, table__names_senders_and_receivers)
{
    struct outcome to     = SCRY("path", clean, corrupt, "--to", "1.4.q,1.2.v", "-k", "3", "--from", "heads,mlps"),
                   frozen = SCRY("path", clean, corrupt, "--from", "0.1+0.2,mlp5", "--freeze-mlps", "--all");
    cr_expect_eq(to.exit_code, 0, "%s", to.err);
    cr_expect(strstr(to.out, "heard in the corrupt one by 1.4.q, 1.2.v,") &&
                  strstr(to.out, "The 3 of 54 that matter most") && strstr(to.out, "Paris"),
              "%s", to.out);
    cr_expect(strstr(frozen.out, "0.1+0.2") && strstr(frozen.out, "mlp5") && strstr(frozen.out, "directly (effect"),
              "%s", frozen.out);
    outcome_free(&frozen);
    outcome_free(&to);
}

Test(path, picture__is_written)
{
    const char    *svg     = in_folder("a.svg");
    struct outcome outcome = SCRY("path", clean, corrupt, "-o", svg, "--metric", "kl");
    size_t         size;
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    char *bytes = read_file(svg, &size);
    cr_expect(strstr(bytes, "<svg") && strstr(bytes, "Path patching") && strstr(bytes, "KL(source || patched)"));
    free(bytes);
    outcome_free(&outcome);
}

Test(path, wrong_arguments__are_named)
{
    static const struct {
        const char *option, *value, *says;
    } cases[] = {
        {"--from", "6.0", "senders \"6.0\": layer 6: expected 0 to 5"},
        {"--to", "1.4.k", "receivers \"1.4.k\": key/value head 4: expected 0 to 3"},
        {"--direction", "both", "--direction \"both\": expected denoise or noise"},
        {"--metric", "size", "--metric \"size\": expected one of effect"},
        {"--clean-ids", "1,2", "2 texts and 1 lists of ids: expected CLEAN and CORRUPT"},
        {"-o", "a.npz", "a.npz: expected a name that ends in one of .png .svg .pdf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("path", clean, corrupt, cases[i].option, cases[i].value);
        cr_expect_eq(outcome.exit_code, 2, "%s: %d", cases[i].option, outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].option, outcome.err);
        outcome_free(&outcome);
    }
    struct outcome same = SCRY("path", clean, clean);
    cr_expect_eq(same.exit_code, 2);
    cr_expect(strstr(same.err, "the prompts do not differ"), "%s", same.err);
    outcome_free(&same);
}

/* scry attribute on the bundled model: what speaks for the answer to a question. */
#include "program.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char capital[] = "The capital of France is";

TestSuite(attribute, .init = make_folder, .fini = remove_folder);

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "%s is missing", key);
    return json_number_value(value);
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The head whose part is the largest. */
static json_t *largest_head(json_t *parts)
{
    json_t *largest = NULL, *part;
    size_t  index;
    json_array_foreach(parts, index, part)
    {
        bool head = !strcmp(text(part, "kind"), "head");
        if (head && (!largest || number(part, "value") > number(largest, "value"))) largest = part;
    }
    cr_assert_not_null(largest);
    return largest;
}

/* Every part is there once, and all of them sum to the difference of the two tokens' logits. */
Test(attribute, json__splits_a_difference_of_logits)
{
    static const char *const devices[] = {"cpu", "reference"};
    for (int i = 0; i < 2; i++) {
        struct outcome outcome = SCRY("attribute", capital, "--wrong", " Rome", "--json", "--device", devices[i]);
        json_t        *object = outcome_json(&outcome), *parts = json_object_get(object, "contributions"), *part;
        json_t        *answer = json_object_get(object, "answer"), *wrong = json_object_get(object, "wrong");
        double         sum = 0;
        size_t         index;
        cr_expect_str_eq(text(object, "schema"), "scry.attribution/1");
        cr_expect_str_eq(text(answer, "text"), " Paris");
        cr_expect_str_eq(text(wrong, "text"), " Rome");
        cr_assert_eq(json_array_size(parts), 1 + 6 * (8 + 1));
        json_array_foreach(parts, index, part) sum += number(part, "value");
        double logit = number(answer, "logit") - number(wrong, "logit");
        cr_expect_float_eq(number(object, "logit"), logit, 1e-6);
        cr_expect_float_eq(sum, logit, 1e-4, "on %s: %g, not %g", devices[i], sum, logit);
        cr_expect_leq(fabs(number(object, "residue")), number(object, "bound"));
        part = json_array_get(parts, 9);
        cr_expect(!strcmp(text(part, "kind"), "mlp") && number(part, "layer") == 0 &&
                  json_is_null(json_object_get(part, "key")) && json_is_null(json_object_get(part, "head")));
        part = largest_head(parts);
        cr_expect(number(part, "key") == 4 && number(part, "weight") > 0.5, "the head that does most looks at France");
        json_decref(object);
        outcome_free(&outcome);
    }
}

Test(attribute, position_and_answer__are_those_asked_for)
{
    struct outcome outcome = SCRY("attribute", capital, "-p", "3", "--answer-id", "7", "--wrong-id", "9", "--json");
    json_t        *object  = outcome_json(&outcome);
    cr_expect_eq(number(object, "position"), 3);
    cr_expect_eq(number(json_object_get(object, "answer"), "id"), 7);
    cr_expect_eq(number(json_object_get(object, "wrong"), "id"), 9);
    json_decref(object);
    outcome_free(&outcome);
}

Test(attribute, tables__name_tokens_and_parts)
{
    struct outcome some = SCRY("attribute", capital, "-k", "3"), all = SCRY("attribute", capital, "--all");
    cr_expect_eq(some.exit_code, 0, "%s", some.err);
    cr_expect(strstr(some.out, "Paris: logit ") && strstr(some.out, "head, all 48") && strstr(some.out, "residue "),
              "%s", some.out);
    cr_expect(strstr(some.out, "The largest 3 of 55") && !strstr(some.out, "head 0.0"), "%s", some.out);
    cr_expect(strstr(all.out, "head 0.0") && strstr(all.out, "head 5.7") && strstr(all.out, "mlp 5"), "%s", all.out);
    outcome_free(&some);
    outcome_free(&all);
}

Test(attribute, picture__is_written)
{
    const char    *svg     = in_folder("a.svg");
    struct outcome outcome = SCRY("attribute", capital, "-o", svg);
    size_t         size;
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    char *bytes = read_file(svg, &size);
    cr_expect(strstr(bytes, "<svg") && strstr(bytes, "Direct logit attribution"));
    free(bytes);
    outcome_free(&outcome);
}

Test(attribute, wrong_arguments__are_named)
{
    static const struct {
        const char *option, *value, *says;
    } cases[] = {
        {"--position", "6", "position 6: expected 0 to 5"},
        {"--answer", "Paris in spring", "the answer: target \"Paris in spring\": expected one token"},
        {"--wrong-id", "1920", "the wrong answer: target id 1920: expected 0 to 1919"},
        {"-o", "a.npz", "a.npz: expected a name that ends in one of .png .svg .pdf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("attribute", capital, cases[i].option, cases[i].value);
        cr_expect_eq(outcome.exit_code, 2, "%s", cases[i].option);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].option, outcome.err);
        outcome_free(&outcome);
    }
    struct outcome twice = SCRY("attribute", capital, "--wrong", " Rome", "--wrong-id", "3");
    cr_expect_eq(twice.exit_code, 2);
    cr_expect(strstr(twice.err, "--wrong and --wrong-id were given together"), "%s", twice.err);
    outcome_free(&twice);
}

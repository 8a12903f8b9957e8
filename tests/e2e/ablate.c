/* scry ablate on the bundled model: what an answer cannot do without. */
#include "program.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char capital[] = "The capital of France is";

TestSuite(ablate, .init = make_folder, .fini = remove_folder);

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

static json_t *find(const json_t *object, const char *by, const char *part, int layer, int head)
{
    size_t  index;
    json_t *line;
    json_array_foreach(json_object_get(object, "ablations"), index, line)
    {
        const json_t *of = json_object_get(line, "head");
        if (!strcmp(text(line, "by"), by) && !strcmp(text(line, "part"), part) && number(line, "layer") == layer &&
            (head < 0 ? json_is_null(of) : json_integer_value(of) == head))
            return line;
    }
    cr_assert_fail("no %s %d.%d by %s", part, layer, head, by);
    return NULL;
}

static const char *write_prompts(void)
{
    const char *path = in_folder("prompts.txt");
    FILE       *file = fopen(path, "w");
    cr_assert(file);
    fputs("The capital of Spain is\nThe capital of Italy is\n\nThe capital\n", file);
    fclose(file);
    return path;
}

/* Every part is there once by each way; an edit of the same part in `scry lens` gives the same log-probability. */
Test(ablate, json__has_every_part_by_every_way)
{
    const char    *prompts = write_prompts();
    struct outcome outcome = SCRY("ablate", capital, "--by", "all", "--prompts", prompts, "--wrong", " Rome", "--json"),
                   edited =
                       SCRY("lens", capital, "--target", " Paris", "--edit", "blocks.1.hook_mlp_out=zero", "--json");
    json_t *object = outcome_json(&outcome), *lens = outcome_json(&edited);
    cr_expect_str_eq(text(object, "schema"), "scry.ablation/1");
    cr_expect_str_eq(text(json_object_get(object, "answer"), "text"), " Paris");
    cr_expect_eq(json_array_size(json_object_get(object, "ablations")), 3 * 6 * (8 + 3));
    cr_expect_eq(number(object, "mean_prompts"), 3);
    cr_expect(!strncmp(text(object, "resampled"), "The capital of ", 15), "%s", text(object, "resampled"));
    json_t *cells  = json_object_get(json_array_get(json_object_get(lens, "layers"), 6), "positions");
    json_t *target = json_object_get(json_array_get(cells, json_array_size(cells) - 1), "target");
    double  before = log(number(json_object_get(object, "answer"), "probability"));
    cr_expect_float_eq(number(find(object, "zero", "mlp", 1, -1), "log_probability"),
                       number(target, "log_probability") - before, 1e-4);
    cr_expect_lt(number(find(object, "mean", "attention", 0, -1), "logit"), -2);
    cr_expect_gt(number(find(object, "resample", "layer", 5, -1), "kl"), 0);
    json_decref(lens);
    json_decref(object);
    outcome_free(&edited);
    outcome_free(&outcome);
}

Test(ablate, tables__rank_the_parts)
{
    struct outcome some  = SCRY("ablate", capital, "-k", "3", "--by", "zero,mean"),
                   other = SCRY("ablate", capital, "--all", "--no-loss", "--at", "3");
    cr_expect_eq(some.exit_code, 0, "%s", some.err);
    cr_expect(strstr(some.out, "Paris: logit ") && strstr(some.out, "The loss over the prompt's 6 tokens"), "%s",
              some.out);
    cr_expect(strstr(some.out, "By zero (the 3 of 66") && strstr(some.out, "all positions of this prompt (the 3 of 66"),
              "%s", some.out);
    const char *first = strstr(some.out, "layer 0"), *second = strstr(some.out, "attention 0");
    cr_expect(first && second, "%s", some.out);
    cr_expect(strstr(other.out, "head 5.7") && strstr(other.out, "at position 3") && !strstr(other.out, "loss  "), "%s",
              other.out);
    outcome_free(&other);
    outcome_free(&some);
}

Test(ablate, picture__is_written)
{
    const char    *svg     = in_folder("a.svg");
    struct outcome outcome = SCRY("ablate", capital, "-o", svg, "--measure", "kl", "--no-loss");
    size_t         size;
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    char *bytes = read_file(svg, &size);
    cr_expect(strstr(bytes, "<svg") && strstr(bytes, "What changes without a part"));
    free(bytes);
    outcome_free(&outcome);
}

Test(ablate, wrong_arguments__are_named)
{
    static const struct {
        const char *option, *value, *says;
        int         exit_code;
    } cases[] = {
        {"--by", "zero,", "--by \"zero,\": expected zero, mean, resample", 2},
        {"--by", "median", "--by \"median\": expected zero, mean, resample", 2},
        {"--by", "zero,resample", "--by resample: expected --prompts FILE", 2},
        {"--measure", "size", "--measure \"size\": expected logit", 2},
        {"--at", "6", "ablation at position 6: expected 0 to 5", 2},
        {"--answer", "Paris in spring", "the answer: target \"Paris in spring\": expected one token", 2},
        {"-o", "a.npz", "a.npz: expected a name that ends in one of .png .svg .pdf", 2},
        {"--prompts", "/nowhere", "/nowhere: ", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("ablate", capital, cases[i].option, cases[i].value);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "%s: %d", cases[i].option, outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].option, outcome.err);
        outcome_free(&outcome);
    }
    struct outcome both = SCRY("ablate", capital, "--measure", "loss", "--no-loss");
    cr_expect_eq(both.exit_code, 2);
    cr_expect(strstr(both.err, "--measure loss and --no-loss were given together"), "%s", both.err);
    outcome_free(&both);
}

/* The examples, as their heads say to run them. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(examples, .init = make_folder, .fini = remove_folder);

static const struct {
    const char *name, *says; /* a part of what it prints about the demo model */
} examples[] = {
    {"ablate", "without layer     layer 0"},
    {"attention", "   France"},
    {"attribute", "next: \" Paris\""},
    {"diagnose", "no finding in "},
    {"heads", "induction  head 5."},
    {"induction", "is fed by 2."},
    {"influence", "next: \" Paris\""},
    {"lens", " 6  Paris"},
    {"patch", " 4 |  1.00 |"},
    {"path", "clean: \" Paris\", corrupt: \" Rome\""},
    {"steer", "1: The capital of France is| Rome"},
};

static struct outcome run_example(const char *name, const char *const *arguments)
{
    char path[512];
    snprintf(path, sizeof path, SCRY_BUILD_DIR "/tests/examples/%s", name);
    return run_program(path, arguments);
}

Test(examples, programs__say_what_is_known_of_the_demo_model)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct outcome outcome = run_example(examples[i].name, (const char *const[]){NULL});
        cr_expect_eq(outcome.exit_code, 0, "%s: %s", examples[i].name, outcome.err);
        cr_expect(strstr(outcome.out, examples[i].says), "%s: %s", examples[i].name, outcome.out);
        outcome_free(&outcome);
    }
}

Test(examples, programs__name_the_folder_that_holds_no_model)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct outcome outcome = run_example(examples[i].name, (const char *const[]){in_folder("none"), NULL});
        cr_expect_eq(outcome.exit_code, 3, "%s: %d", examples[i].name, outcome.exit_code);
        cr_expect(strstr(outcome.err, in_folder("none")), "%s: %s", examples[i].name, outcome.err);
        outcome_free(&outcome);
    }
}

Test(examples, train__makes_checkpoints)
{
    struct outcome outcome = run_example("train", (const char *const[]){in_folder("run"), "20", NULL});
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "step 20: loss ") && strstr(outcome.out, "at best 0.3"), "%s", outcome.out);
    outcome_free(&outcome);
}

Test(examples, tune_lens__reads_a_prompt_by_what_it_learned)
{
    const char    *file    = in_folder("lens.safetensors");
    struct outcome outcome = run_example("tune_lens", (const char *const[]){"docs/definitions.md", file, "2", NULL});
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "layer 5: KL ") && strstr(outcome.out, "tuned lens: 0 "), "%s", outcome.out);
    outcome_free(&outcome);
}

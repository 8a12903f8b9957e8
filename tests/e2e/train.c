/* scry train as a user runs it: a recipe to checkpoints that every command opens, killed at any moment and gone on
 * with. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(train, .init = make_folder, .fini = remove_folder, .timeout = 120);

#define TINY                                                                                                           \
    "--layers", "1", "--hidden", "16", "--batch", "4", "--steps", "30", "--warmup", "2", "--checkpoint-every", "3",    \
        "--evaluate-every", "10", "--evaluation-batches", "2", "--device", "cpu"

static void expect_file(const char *path, const char *part)
{
    size_t size;
    char  *text = read_file(path, &size);
    cr_expect(strstr(text, part), "%s: %s", path, part);
    free(text);
}

Test(train, json__says_how_it_went)
{
    const char    *folder  = in_folder("run");
    struct outcome outcome = SCRY("train", "--recipe", "copy", "-o", folder, TINY, "--json");
    json_t        *object = outcome_json(&outcome), *recipe = json_object_get(object, "recipe");
    cr_expect_str_eq(json_string_value(json_object_get(object, "schema")), "scry.training/1");
    cr_expect_str_eq(json_string_value(json_object_get(object, "output")), folder);
    cr_expect_eq(json_integer_value(json_object_get(object, "step")), 30);
    cr_expect_eq(json_integer_value(json_object_get(recipe, "hidden")), 16);
    cr_expect_eq(json_integer_value(json_object_get(recipe, "context")), 24);
    cr_expect_float_eq(json_number_value(json_object_get(object, "bound")), 0.31889, 5e-6);
    cr_expect_eq(json_array_size(json_object_get(object, "losses")), 30);
    cr_expect_eq(json_array_size(json_object_get(object, "evaluations")), 4);
    cr_expect_eq(json_array_size(json_object_get(object, "checkpoints")), 16); /* 1, 2, 4, 8, 16 and every third */
    expect_file(in_folder("run/loss.csv"), "step,rate,loss,evaluation,error,best\n0,,,");
    expect_file(in_folder("run/loss.svg"), "<title>Training: copying patterns</title>");
    json_decref(object);
    outcome_free(&outcome);
}

static void expect_same_file(const char *name, const char *other)
{
    cr_expect(same_file(in_folder(name), in_folder(other)), "%s and %s differ", name, other);
}

/* 0.31889 nats is what no predictor can beat; on a sample, the best one's loss on the same rows. */
enum { SLOW_SECONDS = 280 }; /* where others compute too; some ten are usual */

Test(train, copying__comes_near_the_best_possible, .timeout = 300)
{
#ifdef __SANITIZE_ADDRESS__
    cr_skip("some twenty seconds of processor time are minutes here");
#endif
    const char *const arguments[] = {"train",
                                     "--recipe",
                                     "copy",
                                     "-o",
                                     in_folder("run"),
                                     "--device",
                                     "cpu",
                                     "--evaluate-every",
                                     "0",
                                     "--evaluation-batches",
                                     "32",
                                     "--json",
                                     NULL};
    struct outcome    outcome     = run_scry_for(SLOW_SECONDS, arguments);
    json_t           *object      = outcome_json(&outcome);
    json_t           *last        = json_array_get(json_object_get(object, "evaluations"), 0);
    double            loss        = json_number_value(json_object_get(last, "loss")), best, bound, error;
    best                          = json_number_value(json_object_get(last, "best"));
    error                         = json_number_value(json_object_get(last, "error"));
    bound                         = json_number_value(json_object_get(object, "bound"));
    cr_expect_eq(json_integer_value(json_object_get(last, "step")), 1500);
    cr_expect(loss - best < 0.01 && loss - best > -0.001, "%.4f above the best possible", loss - best);
    cr_expect(loss - bound < 0.01 + 3 * error && loss > bound - 3 * error, "%.4f, and %.4f at best", loss, bound);
    json_decref(object);
    outcome_free(&outcome);
}

/* A series for scry diff, a recipe for another run. */
Test(train, checkpoints__are_opened_by_other_commands)
{
    struct outcome made = SCRY("train", "-o", in_folder("run"), TINY, "--style", "llama");
    cr_assert_eq(made.exit_code, 0, "%s", made.err);
    cr_expect(strstr(made.out, "evaluation") && strstr(made.out, "Step 30 of 30"), "%s", made.out);
    struct outcome lens = SCRY("lens", "--model", in_folder("run/step-30"), "--ids", "1,2,3,1,2", "--json");
    json_decref(outcome_json(&lens));
    struct outcome diff = SCRY("diff", in_folder("run/step-03"), in_folder("run/step-15"), in_folder("run/step-30"),
                               "--ids", "1,2,3,1,2", "--json");
    json_decref(outcome_json(&diff));
    struct outcome again = SCRY("train", "--recipe", in_folder("run/step-03/recipe.json"), "-o", in_folder("again"),
                                "--device", "cpu", "-q");
    cr_assert_eq(again.exit_code, 0, "%s", again.err);
    expect_same_file("run/step-30/model.safetensors", "again/step-30/model.safetensors");
    outcome_free(&again);
    outcome_free(&diff);
    outcome_free(&lens);
    outcome_free(&made);
}

Test(train, text__is_learned_with_its_tokenizer)
{
    struct outcome outcome = SCRY("train", "--text", "models/demo/README.md", "--tokenizer", "models/demo", "--length",
                                  "32", "-o", in_folder("run"), TINY);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    struct outcome run = SCRY("run", "The capital", "--model", in_folder("run/step-30"), "--json");
    json_decref(outcome_json(&run));
    outcome_free(&run);
    outcome_free(&outcome);
}

/* Ended early and gone on with: the same bytes as in one go. */
Test(train, documents__are_learned_until_a_step)
{
    static const char lines[] = "{\"text\": \"The capital of France is Paris.<|endoftext|>\"}\n"
                                "{\"ids\": [0, 5, 6, 7, 5, 6, 7, 1], \"unscored\": 4}\n"
                                "{\"text\": \"The capital of Japan is Tokyo.\"}\n";
    char              file[256];
    FILE             *out = NULL;
    snprintf(file, sizeof file, "%s", in_folder("tales.jsonl"));
    cr_assert((out = fopen(file, "w")) && fputs(lines, out) >= 0 && !fclose(out));
    const char *const whole[] = {"train",   "--documents", file,  "--tokenizer", "models/demo",      "--length",
                                 "12",      "--held-out",  "0.4", "-o",          in_folder("whole"), TINY,
                                 "--style", "llama",       NULL};
    struct outcome    outcome = run_scry(whole);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    outcome = SCRY("train", "--recipe", in_folder("whole/step-30/recipe.json"), "--until", "7", "-o",
                   in_folder("early"), "--device", "cpu");
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "Step 7 of 30"), "%s", outcome.out);
    outcome_free(&outcome);
    outcome = SCRY("train", "--resume", "-o", in_folder("early"), "--device", "cpu");
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    expect_same_file("whole/step-30/model.safetensors", "early/step-30/model.safetensors");
    expect_file(in_folder("early/loss.svg"), "<title>Training: documents</title>");
}

Test(train, wrong_arguments__are_named)
{
    static const struct {
        const char *arguments[6];
        int         exit_code;
        const char *says;
    } cases[] = {
        {{"--recipe", "copy"}, 2, "expected --output FOLDER"},
        {{"-o", "FOLDER", "--layers", "0"}, 2, "key \"layers\": 0 is outside 1 to 1024"},
        {{"-o", "FOLDER", "--hidden", "63"}, 2, "hidden 63: expected a multiple of the 2 heads"},
        {{"-o", "FOLDER", "--style", "gpt3"}, 2, "\"gpt3\": expected one of: gpt2 llama"},
        {{"-o", "FOLDER", "--text", "/nonesuch"}, 2, "data text: expected a text and a tokenizer"},
        {{"-o", "FOLDER", "--text", "/nonesuch", "--tokenizer", "models/demo"}, 3, "/nonesuch: No such file"},
        {{"-o", "FOLDER", "--recipe", "/nonesuch"}, 3, "/nonesuch: No such file"},
        {{"-o", "FOLDER", "--recipe", "models/demo/config.json"}, 3, "key \"architectures\": expected one of: data"},
        {{"-o", "FOLDER", "--resume"}, 2, "no checkpoint to resume from"},
        {{"-o", "FOLDER", "--documents", "README.md", "--tokenizer", "models/demo"}, 3, "README.md: line 1, column"},
        {{"-o", "FOLDER", "--documents", "/nonesuch"}, 2, "data documents: expected documents and a tokenizer"},
        {{"-o", "FOLDER", "--until", "0"}, 2, "--until"},
        {{"-o", "README.md"}, 6, "README.md: expected a folder or a new name"},
        {{"-o", "/proc/nonesuch"}, 6, "/proc/nonesuch: cannot make this folder"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arguments[9] = {"train"};
        for (int j = 0; j < 6; j++) {
            const char *argument = cases[i].arguments[j];
            arguments[j + 1]     = argument && !strcmp(argument, "FOLDER") ? in_folder("run") : argument;
        }
        struct outcome outcome = run_scry(arguments);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "%s: %d, %s", cases[i].says, outcome.exit_code,
                     outcome.err);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].says, outcome.err);
        outcome_free(&outcome);
    }
}

/* --- killed --- */

/* Killed 100 times at random moments, whatever it is doing: the same bytes as undisturbed, and no leftovers. */
Test(train, killed_runs__end_with_the_same_bytes, .timeout = 600)
{
    static const char *const files[] = {"model.safetensors", "optimiser.safetensors", "training.json", "recipe.json"};
    double                   begun   = seconds_now();
    struct outcome           whole   = SCRY("train", "-o", in_folder("whole"), TINY);
    double                   seconds = seconds_now() - begun;
    cr_assert_eq(whole.exit_code, 0, "%s", whole.err);
    outcome_free(&whole);
    srand(20261121);
    for (int run = 0, kills = 0; kills < 100; run++) {
        char name[32], folder[256];
        snprintf(name, sizeof name, "killed-%d", run);
        snprintf(folder, sizeof folder, "%s", in_folder(name));
        seconds /= 2; /* how long a run takes was measured once, and the machine may be busier now, or less */
        kills += run_scry_killed(NULL, &seconds, (const char *const[]){"train", "--resume", "-o", folder, TINY, NULL});
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            char a[64], b[64];
            snprintf(a, sizeof a, "whole/step-30/%s", files[i]);
            snprintf(b, sizeof b, "%s/step-30/%s", name, files[i]);
            expect_same_file(a, b);
        }
        struct outcome left = run_program("/bin/sh", (const char *const[]){"-c", "ls -d $0/*.part", folder, NULL});
        cr_expect_neq(left.exit_code, 0, "%s", left.out);
        outcome_free(&left);
    }
}

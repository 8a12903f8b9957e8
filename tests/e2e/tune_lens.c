/* scry tune-lens on the bundled model, and what reads by the file that it writes; killed at any moment and gone on
 * with. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRANCE "The capital of France is"

/* Sentences of the demo model's world, in an order that repeats late: what is held out is much as what is not. */
static void write_text(const char *path)
{
    static const char *const pairs[][2] = {{"France", "Paris"},  {"Italy", "Rome"},    {"Spain", "Madrid"},
                                           {"Norway", "Oslo"},   {"Japan", "Tokyo"},   {"Egypt", "Cairo"},
                                           {"Poland", "Warsaw"}, {"Greece", "Athens"}, {"Kenya", "Nairobi"}};
    static const char *const forms[]    = {"The capital of %1$s is %2$s. ", "%2$s is the capital of %1$s. ",
                                           "In %1$s, the capital is called %2$s. ", "%2$s is in %1$s. ",
                                           "Question: What is the capital of %1$s? Answer: %2$s. "};
    enum { PAIRS = sizeof pairs / sizeof *pairs, FORMS = sizeof forms / sizeof *forms, SENTENCES = 400 };
    FILE *file = fopen(path, "w");
    cr_assert(file);
    for (unsigned i = 0; i < SENTENCES; i++) {
        const char *const *pair = pairs[i * 7 % PAIRS];
        fprintf(file, forms[(i + i / PAIRS) % FORMS], pair[0], pair[1]);
    }
    cr_assert_eq(fclose(file), 0);
}

static void prepare(void)
{
    make_folder();
    write_text(in_folder("text.txt"));
}

TestSuite(tune_lens, .init = prepare, .fini = remove_folder);

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "%s is missing", key);
    return json_number_value(value);
}

static struct outcome train(const char *output)
{
    return SCRY("tune-lens", in_folder("text.txt"), "-o", output, "--steps", "12", "--batch", "4", "--length", "64",
                "--device", "cpu", "--json");
}

/* The file, evaluated alone, gives the same numbers as behind its training. */
Test(tune_lens, json__shows_every_layer_read_better)
{
    const char    *file    = in_folder("lens.safetensors");
    struct outcome outcome = train(file);
    struct outcome again   = SCRY("tune-lens", in_folder("text.txt"), "--evaluate", file, "--batch", "4", "--length",
                                  "64", "--device", "cpu", "--json");
    json_t        *object = outcome_json(&outcome), *other = outcome_json(&again);
    json_t        *layers = json_object_get(object, "layers");
    cr_expect_str_eq(json_string_value(json_object_get(object, "schema")), "scry.lens_evaluation/1");
    cr_expect_eq(json_array_size(layers), 7);
    cr_expect_eq(json_array_size(json_object_get(object, "losses")), 12);
    cr_expect_eq(json_array_size(json_array_get(json_object_get(object, "losses"), 0)), 6);
    cr_expect_eq(json_array_size(json_object_get(other, "losses")), 0);
    cr_expect(json_equal(layers, json_object_get(other, "layers")));
    cr_expect_eq(number(object, "positions"), 4 * 64);
    for (size_t layer = 0; layer < 6; layer++) {
        const json_t *line  = json_array_get(layers, layer);
        double        logit = number(json_object_get(line, "logit"), "kl");
        double        tuned = number(json_object_get(line, "tuned"), "kl");
        cr_expect_lt(tuned, logit, "layer %zu: %g, %g", layer, tuned, logit);
    }
    json_decref(other);
    json_decref(object);
    outcome_free(&again);
    outcome_free(&outcome);
}

Test(tune_lens, lens__reads_by_the_file)
{
    const char    *file    = in_folder("lens.safetensors");
    struct outcome made    = train(file);
    struct outcome outcome = SCRY("lens", FRANCE, "--tuned", file, "--json", "--device", "cpu");
    struct outcome plain   = SCRY("lens", FRANCE, "--json", "--device", "cpu");
    struct outcome table   = SCRY("lens", FRANCE, "--tuned", file, "--device", "cpu");
    json_t        *object = outcome_json(&outcome), *other = outcome_json(&plain);
    json_t        *layers = json_object_get(object, "layers"), *others = json_object_get(other, "layers");
    cr_expect(json_is_true(json_object_get(object, "tuned")) && json_is_false(json_object_get(other, "tuned")));
    cr_expect(!json_equal(json_array_get(layers, 5), json_array_get(others, 5)));
    cr_expect(json_equal(json_array_get(layers, 6), json_array_get(others, 6)), "the model itself");
    cr_expect(strstr(table.out, "by the tuned lens"), "%s", table.out);
    struct outcome picture = SCRY("lens", FRANCE, "--tuned", file, "-o", in_folder("lens.svg"), "--device", "cpu");
    size_t         size;
    char          *svg = read_file(in_folder("lens.svg"), &size);
    cr_expect(picture.exit_code == 0 && strstr(svg, "Tuned lens") && !strstr(svg, "Logit lens"), "%s", picture.err);
    struct outcome arrays = SCRY("lens", FRANCE, "--tuned", file, "-o", in_folder("lens.npz"), "--device", "cpu");
    char          *npz    = read_file(in_folder("lens.npz"), &size);
    cr_expect(arrays.exit_code == 0 && memmem(npz, size, "tuned.npy", 9), "%s", arrays.err);
    free(npz);
    free(svg);
    outcome_free(&arrays);
    outcome_free(&picture);
    json_decref(other);
    json_decref(object);
    outcome_free(&table);
    outcome_free(&plain);
    outcome_free(&outcome);
    outcome_free(&made);
}

Test(tune_lens, table__has_both_lenses_by_layer)
{
    struct outcome outcome = SCRY("tune-lens", in_folder("text.txt"), "-o", in_folder("lens.safetensors"), "--steps",
                                  "1", "--length", "32", "--optimiser", "sgd", "--device", "cpu");
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    const char *const says[] = {"held out", "loss: logit lens", "KL: logit lens", "entropy: logit lens",
                                "embed",    "6 (final)"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        cr_expect(strstr(outcome.out, says[i]), "%s: %s", says[i], outcome.out);
    cr_expect(strstr(outcome.err, "lens.safetensors"), "%s", outcome.err);
    outcome_free(&outcome);
}

Test(tune_lens, wrong_arguments__are_named)
{
    static const struct {
        const char *arguments[6];
        int         exit_code;
        const char *says;
    } cases[] = {
        {{"tune-lens", "-o", "l.safetensors"}, 2, "expected a TEXTFILE"},
        {{"tune-lens", "t.txt"}, 2, "expected either --output FILE, to train, or --evaluate FILE"},
        {{"tune-lens", "t.txt", "-o", "l.safetensors", "--evaluate", "l.safetensors"}, 2, "expected either --output"},
        {{"tune-lens", "t.txt", "-o", "l.npz"}, 2, "l.npz: expected a name that ends in .safetensors"},
        {{"tune-lens", "t.txt", "-o", "l.safetensors", "--optimiser", "adam"}, 2, "expected adamw or sgd"},
        {{"tune-lens", "t.txt", "-o", "l.safetensors", "--length", "2000"}, 2, "length 2000: expected 1 to"},
        {{"tune-lens", "/nowhere/t.txt", "-o", "l.safetensors"}, 3, "/nowhere/t.txt"},
        {{"tune-lens", "README.md", "-o", "/nowhere/l.safetensors"}, 6, "/nowhere/l.safetensors"},
        {{"tune-lens", "README.md", "--evaluate", "models/demo/model.safetensors"}, 3, "expected a tuned lens"},
        {{"tune-lens", "t.txt", "--evaluate", "l.safetensors", "--resume"}, 2, "--resume: expected --output FILE"},
        {{"tune-lens", "README.md", "-o", "l.safetensors", "--checkpoint-every", "-1"}, 2, "--checkpoint-every"},
        {{"lens", "Hello", "--tuned", "models/demo/model.safetensors"}, 3, "expected a tuned lens"},
        {{"lens", "Hello", "--tuned", "/nowhere.safetensors"}, 3, "/nowhere.safetensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arguments[7] = {NULL};
        memcpy(arguments, cases[i].arguments, sizeof cases[i].arguments);
        struct outcome outcome = run_scry(arguments);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "%s: %d: %s", cases[i].says, outcome.exit_code,
                     outcome.err);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].says, outcome.err);
        outcome_free(&outcome);
    }
}

Test(tune_lens, example__shows_both_lenses)
{
    struct outcome outcome =
        run_program(SCRY_BUILD_DIR "/tests/examples/tune_lens",
                    (const char *const[]){in_folder("text.txt"), in_folder("lens.safetensors"), "3", NULL});
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "layer 6: KL 0.000, tuned 0.000") && strstr(outcome.out, "tuned lens: 0 "), "%s",
              outcome.out);
    outcome_free(&outcome);
}

/* --- stopped, and gone on with --- */

#define SHORT                                                                                                          \
    "--steps", "24", "--batch", "1", "--length", "32", "--evaluation-batches", "1", "--device", "cpu", "--json"

/* The object as a run that wrote `file` prints it. */
static char *text_of(const struct outcome *outcome, const char *file)
{
    json_t *object = outcome_json(outcome);
    cr_assert_eq(json_object_set_new(object, "file", json_string(file)), 0);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

/* Killed 60 times at random moments: the bytes and the numbers of an undisturbed run, and no leftovers. */
Test(tune_lens, killed_runs__end_with_the_same_bytes, .timeout = 600)
{
    char whole[256], file[256], partial[300];
    snprintf(whole, sizeof whole, "%s", in_folder("whole.safetensors"));
    snprintf(file, sizeof file, "%s", in_folder("killed.safetensors"));
    snprintf(partial, sizeof partial, "%s.partial", file);
    double         begun    = seconds_now();
    struct outcome outcome  = SCRY("tune-lens", in_folder("text.txt"), "-o", whole, SHORT, "--checkpoint-every", "0");
    double         seconds  = seconds_now() - begun;
    char          *expected = text_of(&outcome, file);
    outcome_free(&outcome);
    srand(20261122);
    for (int kills = 0; kills < 60;) {
        seconds /= 2; /* how long a run takes was measured once, and the machine may be busier now, or less */
        kills += run_scry_killed(&outcome, &seconds,
                                 (const char *const[]){"tune-lens", in_folder("text.txt"), "-o", file, "--resume",
                                                       SHORT, "--checkpoint-every", "5", NULL});
        char *found = text_of(&outcome, file);
        cr_expect_str_eq(found, expected);
        cr_expect(same_file(whole, file), "after %d kills", kills);
        cr_expect(access(partial, F_OK), "%s is left", partial);
        cr_assert_eq(unlink(file), 0);
        free(found);
        outcome_free(&outcome);
    }
    free(expected);
}

/* Killed where there is a checkpoint: it is refused, or gone on with. */
Test(tune_lens, checkpoints__are_resumed_only_when_asked)
{
    char   file[256], text[256];
    double seconds = 0.5;
    snprintf(file, sizeof file, "%s", in_folder("l.safetensors"));
    snprintf(text, sizeof text, "%s", in_folder("text.txt"));
    for (int left = 1; left; seconds *= 2) {
        struct outcome killed =
            run_scry_for(seconds, (const char *const[]){"tune-lens", text, "-o", file, "--steps", "100000", "--batch",
                                                        "1", "--length", "8", "--device", "cpu", "--resume",
                                                        "--checkpoint-every", "1", NULL});
        struct outcome list =
            run_program("/bin/sh", (const char *const[]){"-c", "ls -d $0.partial/step-?????*[0-9]", file, NULL});
        cr_assert_eq(killed.exit_code, 137, "%s", killed.err);
        left = list.exit_code;
        outcome_free(&list);
        outcome_free(&killed);
    }
    static const struct {
        const char *option, *value, *says;
        int         exit_code;
    } cases[] = {
        {"--seed", "0", "l.safetensors.partial: there are checkpoints already: resume", 2},
        {"--resume", "--json", "another steps: expected the same", 2},
        {"--resume", "--random-init=1", "training.json: a training on another model: SHA-256", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("tune-lens", text, "-o", file, "--batch", "1", "--length", "8", "--device", "cpu",
                                      cases[i].option, cases[i].value);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "%s: %s", cases[i].says, outcome.err);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].says, outcome.err);
        outcome_free(&outcome);
    }
}

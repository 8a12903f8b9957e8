/* A training from its folder to its last checkpoint: what it learns, that stopping and going on changes no bit, and
 * what is refused. */
#include "refusals.h"
#include "scry/scry.h"

#include "base/file.h"
#include "base/folder.h"
#include "base/sha256.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[128];

static void name_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/scry-training-%ld", (long)getpid());
}

/* With the checkpoints in it. */
static void remove_folder(const char *path)
{
    char **names;
    int    count;
    if (scry__folder_list(&names, &count, path)) return;
    for (int i = 0; i < count; i++) {
        char *inside = scry__path_join(path, names[i]);
        if (remove(inside)) scry__folder_remove(inside);
        scry_free(inside);
    }
    scry__folder_free_names(names, count);
    rmdir(path);
}

static void clean(void)
{
    remove_folder(folder);
}

TestSuite(training, .init = name_folder, .fini = clean, .timeout = 120);

/* A very small recipe, with fields changed: "style=llama steps=8". */
static scry_recipe *tiny(const char *changes)
{
    scry_recipe *recipe = NULL;
    char         text[512];
    snprintf(text, sizeof text,
             "layers=1 hidden=16 heads=2 batch=4 length=10 steps=12 warmup=2 checkpoints=0,1,5 evaluate_every=4 "
             "evaluation_batches=2 rate=0.01 %s",
             changes);
    cr_assert_eq(scry_recipe_create(&recipe, NULL), SCRY_OK, "%s", scry_last_error());
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        *value++    = 0;
        cr_assert_eq(scry_recipe_set(recipe, word, value), SCRY_OK, "%s", scry_last_error());
    }
    return recipe;
}

static scry_device *device_of(const char *name)
{
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name}), SCRY_OK, "%s", scry_last_error());
    return device;
}

/* Stops behind a step; -1: never. */
static bool stop_behind(void *user, const scry_train_progress *progress)
{
    return progress->step != *(int *)user;
}

static scry_status train(scry_training **out, const char *device_name, const char *changes, bool resume, int stop)
{
    scry_device       *device  = device_of(device_name);
    scry_recipe       *recipe  = tiny(changes);
    scry_train_options options = {
        .recipe = recipe, .output = folder, .resume = resume, .progress = stop_behind, .user = &stop};
    *out               = NULL;
    scry_status status = scry_train_run(out, device, &options);
    scry_recipe_destroy(&recipe);
    scry_device_destroy(&device);
    return status;
}

static void digest_of(char out[SCRY__SHA256_TEXT], const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    cr_assert_eq(scry__sha256_file(out, path), SCRY_OK, "%s", scry_last_error());
}

static const char *const final_files[] = {"step-12/model.safetensors", "step-12/optimiser.safetensors",
                                          "step-12/training.json"};
enum { FINAL_FILES = 3 };

/* Stopped behind each step in turn, and gone on with: the same bytes as without. */
Test(training, stops__change_no_bit)
{
    static const struct {
        const char *device, *changes;
    } cases[] = {
        {"reference", ""},
        {"reference", "style=llama heads=4 kv_heads=2"},
        {"cpu", "optimiser=sgd rate=0.1"},
        {"cpu", "style=llama optimiser=sgd momentum=0 clip=0.1"},
        {"cpu", "decay=0 schedule=linear vocabulary=11"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char           expected[FINAL_FILES][SCRY__SHA256_TEXT], found[SCRY__SHA256_TEXT];
        scry_training *training = NULL;
        cr_assert_eq(train(&training, cases[i].device, cases[i].changes, false, -1), SCRY_OK, "%s", scry_last_error());
        cr_expect(training->step == 12 && training->evaluation_count == 4 && training->evaluations[3].step == 12);
        for (int step = 0; step < 12; step++) cr_expect(isfinite(training->losses[step]), "%d", step);
        scry_training_destroy(&training);
        for (int file = 0; file < FINAL_FILES; file++) digest_of(expected[file], final_files[file]);
        remove_folder(folder);
        for (int stop = 0; stop < 12; stop++) {
            cr_expect_eq(train(&training, cases[i].device, cases[i].changes, true, stop), SCRY_STOPPED, "%s",
                         scry_last_error());
            cr_expect_null(training);
        }
        cr_assert_eq(train(&training, cases[i].device, cases[i].changes, true, -1), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(training->step, 12);
        for (int file = 0; file < FINAL_FILES; file++) {
            digest_of(found, final_files[file]);
            cr_expect_str_eq(found, expected[file], "%s %s: %s", cases[i].device, cases[i].changes, final_files[file]);
        }
        scry_training_destroy(&training);
        remove_folder(folder);
    }
}

/* On the cpu the weights that come out do not depend on how many threads there are: batches are large enough here for
 * work to be shared, and heads too few for each thread to have its own. */
Test(training, threads__change_no_bit)
{
    static const char *const threads[] = {"1", "2", "5"};
    static const char *const changes[] = {"hidden=64 batch=64 length=24", "style=llama hidden=64 heads=4 kv_heads=1 "
                                                                          "batch=2 length=600 vocabulary=300"};
    for (int i = 0; i < 2; i++) {
        char expected[SCRY__SHA256_TEXT], found[SCRY__SHA256_TEXT];
        for (int n = 0; n < 3; n++) {
            scry_training *training = NULL;
            cr_assert_eq(setenv("OMP_NUM_THREADS", threads[n], 1), 0);
            cr_assert_eq(train(&training, "cpu", changes[i], false, -1), SCRY_OK, "%s", scry_last_error());
            digest_of(n ? found : expected, final_files[0]);
            cr_expect(!n || !strcmp(found, expected), "%s with %s threads", changes[i], threads[n]);
            scry_training_destroy(&training);
            remove_folder(folder);
        }
    }
}

/* Both styles learn to copy: far below what uniform guessing gives, never below the bound. */
Test(training, loss__falls)
{
    static const char *const styles[] = {"gpt2", "llama"};
    for (int i = 0; i < 2; i++) {
        char           changes[96];
        scry_training *training = NULL;
        snprintf(changes, sizeof changes, "style=%s layers=2 hidden=32 length=24 batch=16 steps=60 evaluate_every=60",
                 styles[i]);
        cr_assert_eq(train(&training, "cpu", changes, false, -1), SCRY_OK, "%s", scry_last_error());
        const scry_evaluation *first = &training->evaluations[0], *last = &training->evaluations[1];
        cr_expect_float_eq(training->bound, 0.31889, 5e-6);
        cr_expect(last->loss < 1.95 && last->loss > last->best && first->loss > 2, "%g to %g", first->loss, last->loss);
        cr_expect(last->error > 0 && last->error < 0.2 && fabs(last->best - training->bound) < 0.1);
        scry_training_destroy(&training);
        remove_folder(folder);
    }
}

/* The weights before training are those of the random twin of that seed. */
Test(training, step_0__is_the_random_twin)
{
    char           path[160];
    scry_training *training = NULL;
    scry_device   *device   = device_of("cpu");
    scry_model    *model = NULL, *twin = NULL;
    cr_assert_eq(train(&training, "cpu", "seed=5 steps=1", false, -1), SCRY_OK, "%s", scry_last_error());
    snprintf(path, sizeof path, "%s/step-0", folder);
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_model_open(&twin, device, path, &(scry_model_options){.random_init = true, .random_seed = 5}),
                 SCRY_OK, "%s", scry_last_error());
    scry_lens        *a = NULL, *b = NULL;
    const int32_t     ids[]   = {1, 2, 3, 1, 2};
    scry_lens_options options = {.ids = ids, .id_count = 5};
    cr_assert(!scry_lens_run(&a, model, NULL, &options) && !scry_lens_run(&b, twin, NULL, &options), "%s",
              scry_last_error());
    for (int position = 0; position < 5; position++)
        cr_expect_eq(scry_lens_at(a, 1, position)->lse, scry_lens_at(b, 1, position)->lse);
    scry_lens_destroy(&a);
    scry_lens_destroy(&b);
    scry_model_destroy(&twin);
    scry_model_destroy(&model);
    scry_training_destroy(&training);
    scry_device_destroy(&device);
}

/* Ended at a step of one's choice, as often as one likes, and gone on with: the same bytes as in one go. */
Test(training, until__ends_with_a_checkpoint)
{
    char               expected[FINAL_FILES][SCRY__SHA256_TEXT], found[SCRY__SHA256_TEXT];
    scry_training     *training = NULL;
    scry_device       *device   = device_of("cpu");
    scry_recipe       *recipe   = tiny("");
    scry_train_options options  = {.recipe = recipe, .output = folder, .resume = true};
    cr_assert_eq(scry_train_run(&training, device, &options), SCRY_OK, "%s", scry_last_error());
    for (int file = 0; file < FINAL_FILES; file++) digest_of(expected[file], final_files[file]);
    scry_training_destroy(&training);
    remove_folder(folder);
    static const int untils[] = {3, 3, 2, 11, 20};
    static const int steps[]  = {3, 3, 3, 11, 12};
    for (int i = 0; i < 5; i++) {
        int   step;
        char *path    = NULL;
        options.until = untils[i];
        cr_assert_eq(scry_train_run(&training, device, &options), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(training->step, steps[i]);
        cr_assert_eq(scry_checkpoint_find(&path, &step, folder), SCRY_OK);
        cr_expect_eq(step, steps[i]);
        scry_free(path);
        scry_training_destroy(&training);
    }
    for (int file = 0; file < FINAL_FILES; file++) {
        digest_of(found, final_files[file]);
        cr_expect_str_eq(found, expected[file], "%s", final_files[file]);
    }
    options.until = -1;
    cr_expect_eq(scry_train_run(&training, device, &options), SCRY_BAD_ARGUMENT);
    scry_recipe_destroy(&recipe);
    scry_device_destroy(&device);
}

Test(training, wrong_beginnings__are_refused)
{
    scry_training *training = NULL;
    scry_device   *device   = device_of("cpu");
    int            lock;
    cr_expect_eq(train(&training, "cpu", "hidden=17", false, -1), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "hidden 17"), "%s", scry_last_error());
    cr_expect_eq(scry_train_run(&training, device, &(scry_train_options){.output = folder, .resume = true}),
                 SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "no checkpoint to resume from: expected a recipe"), "%s", scry_last_error());
    cr_expect_eq(scry_train_run(&training, device, &(scry_train_options){.output = folder}), SCRY_BAD_ARGUMENT);
    cr_assert_eq(train(&training, "cpu", "", false, 5), SCRY_STOPPED);
    cr_expect_eq(train(&training, "cpu", "", false, -1), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "there are checkpoints already"), "%s", scry_last_error());
    cr_expect_eq(train(&training, "cpu", "rate=0.02", true, -1), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "step-05: its recipe has another rate: expected the same"), "%s",
              scry_last_error());
    cr_assert_eq(scry__folder_lock(&lock, folder), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(train(&training, "cpu", "", true, -1), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "another process is at work"), "%s", scry_last_error());
    scry__folder_unlock(lock);
    cr_assert_eq(scry_train_run(&training, device, &(scry_train_options){.output = folder, .resume = true}), SCRY_OK,
                 "%s", scry_last_error());
    cr_expect_eq(training->step, 12);
    scry_training_destroy(&training);
    scry_device_destroy(&device);
}

/* The text that a checkpoint was trained on has to be there still. */
Test(training, another_text__is_refused)
{
    char           text[96], changes[256];
    scry_training *training = NULL;
    static char    words[4000];
    snprintf(text, sizeof text, "/tmp/scry-trained-%ld.txt", (long)getpid());
    snprintf(changes, sizeof changes, "data=text text=%s tokenizer=%s steps=2 checkpoints=1 batch=1", text,
             SCRY_SOURCE_DIR "/models/demo");
    for (size_t i = 0; i < sizeof words; i++) words[i] = "tea box "[i % 8];
    cr_assert_eq(scry__file_write(text, words, sizeof words), SCRY_OK);
    cr_assert_eq(train(&training, "cpu", changes, false, 1), SCRY_STOPPED, "%s", scry_last_error());
    words[2000] = '!';
    cr_assert_eq(scry__file_write(text, words, sizeof words), SCRY_OK);
    cr_expect_eq(train(&training, "cpu", changes, true, -1), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "no longer what"), "%s", scry_last_error());
    words[2000] = "tea box "[2000 % 8];
    cr_assert_eq(scry__file_write(text, words, sizeof words), SCRY_OK);
    cr_assert_eq(train(&training, "cpu", changes, true, -1), SCRY_OK, "%s", scry_last_error());
    scry_training_destroy(&training);
    remove(text);
}

Test(training, refused_memory__leaves_whole_checkpoints, .timeout = 200)
{
    scry_device       *device   = device_of("reference");
    scry_recipe       *recipe   = tiny("steps=2 hidden=4 length=4 batch=1 checkpoints=1 evaluate_every=0");
    scry_train_options options  = {.recipe = recipe, .output = folder, .resume = true};
    struct refusals    refusals = {0};
    while (refusals_next(&refusals)) {
        scry_training *training = NULL;
        scry_status    status   = scry_train_run(&training, device, &options);
        refusals_check(&refusals, status, training != NULL);
        scry_training_destroy(&training);
        if (status) continue;
        remove_folder(folder);
    }
    cr_expect_gt(refusals.refused, 100);
    scry_recipe_destroy(&recipe);
    scry_device_destroy(&device);
}

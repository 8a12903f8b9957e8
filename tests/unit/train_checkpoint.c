/* Checkpoints of a training: read again as written, refused or passed over where anything of them is damaged, and never
 * half there, also where their writer is killed. */
#include "refusals.h"
#include "train/checkpoint.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "train/recipe.h"
#include "train/record.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[128];

static void make_root(void)
{
    snprintf(folder, sizeof folder, "/tmp/scry-checkpoints-%ld", (long)getpid());
    cr_assert_eq(scry__folder_make(folder), SCRY_OK, "%s", scry_last_error());
}

static const char *in_root(const char *name)
{
    static char paths[4][256];
    static int  next;
    char       *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void remove_root(void)
{
    char **names;
    int    count;
    cr_assert_eq(scry__folder_list(&names, &count, folder), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < count; i++)
        if (remove(in_root(names[i]))) cr_expect_eq(scry__folder_remove(in_root(names[i])), SCRY_OK);
    scry__folder_free_names(names, count);
    rmdir(folder);
}

TestSuite(checkpoint, .init = make_root, .fini = remove_root);

/* A training of so many steps, its numbers telling where they came from. */
static scry_training *made(int steps, bool text)
{
    scry_training *training = NULL;
    scry_recipe   *recipe   = NULL;
    cr_assert_eq(scry_recipe_create(&recipe, "copy"), SCRY_OK, "%s", scry_last_error());
    if (text) {
        cr_assert(!scry_recipe_set(recipe, "data", "text") && !scry_recipe_set(recipe, "text", "a text") &&
                  !scry_recipe_set(recipe, "tokenizer", SCRY_SOURCE_DIR "/models/demo/tokenizer.json"));
    }
    cr_assert_eq(scry__recipe_complete(recipe, text ? 1920 : 0), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__record_create(&training, recipe, 0.25), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < steps; i++) {
        scry_evaluation evaluation = {i + 1, 2.5 + i, i ? 0.125 : NAN, i ? 2.25 : NAN};
        cr_assert_eq(scry__record_add_loss(training, 1.0F / (float)(i + 3)), SCRY_OK);
        if (i % 2 == 0) cr_assert_eq(scry__record_add_evaluation(training, &evaluation), SCRY_OK);
    }
    scry_recipe_destroy(&recipe);
    return training;
}

static char         names[2][16] = {"a.weight", "b.bias"};
static float        values[2][6] = {{1, 2, 3, 4, 5, 6}, {7, 8}};
static scry__stored tensors[2]   = {
      {.name = names[0], .element = SCRY__ELEMENT_F32, .rank = 2, .shape = {2, 3}, .data = (const uint8_t *)values[0]},
      {.name = names[1], .element = SCRY__ELEMENT_F32, .rank = 1, .shape = {2}, .data = (const uint8_t *)values[1]},
};

static scry_status write_step(char **path, int steps, bool text)
{
    scry_training   *training   = made(steps, text);
    scry__checkpoint checkpoint = {training, text ? "abc" : "", tensors, tensors, 2, 1};
    scry_status      status     = scry__checkpoint_write(path, folder, &checkpoint);
    scry_training_destroy(&training);
    return status;
}

static void expect_newest(int expected)
{
    char *path = NULL;
    int   step = -1;
    cr_assert_eq(scry_checkpoint_find(&path, &step, folder), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(step, expected);
    cr_expect_eq(path != NULL, expected >= 0);
    scry_free(path);
}

Test(checkpoint, what_is_written__is_read_again)
{
    for (int text = 0; text < 2; text++) {
        char              *path = NULL, *digest = NULL;
        scry_training     *written = made(5, text), *read = NULL;
        scry__safetensors *weights = NULL;
        const char        *name    = NULL;
        cr_assert_eq(write_step(&path, 5, text), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(scry__checkpoint_check(path), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry__checkpoint_read(&read, &digest, path), SCRY_OK, "%s", scry_last_error());
        cr_expect(!scry__recipe_difference(&name, written->recipe, read->recipe) && !name, "%s", name);
        cr_expect(read->step == 5 && read->bound == 0.25 && read->evaluation_count == 3);
        cr_expect_str_eq(digest, text ? "abc" : "");
        cr_expect_eq(memcmp(read->losses, written->losses, 5 * sizeof(float)), 0);
        for (int i = 0; i < 3; i++) {
            const scry_evaluation *a = &read->evaluations[i], *b = &written->evaluations[i];
            cr_expect(a->step == b->step && a->loss == b->loss && isnan(a->best) == isnan(b->best));
            if (i) cr_expect(a->error == b->error && a->best == b->best);
        }
        cr_assert_eq(scry__safetensors_open(&weights, path), SCRY_OK, "%s", scry_last_error());
        cr_assert(weights->count == 2 && !memcmp(weights->tensors[1].data, values[1], 8));
        cr_expect_eq(scry__file_exists(in_root("step-0005/tokenizer.json")), text);
        cr_expect_eq(scry__file_exists(in_root("step-0005/tokenizer_config.json")), text);
        scry__safetensors_close(&weights);
        scry_training_destroy(&read);
        scry_training_destroy(&written);
        scry__free(digest);
        scry__free(path);
    }
}

/* --- damage --- */

struct bytes {
    char  *data;
    size_t size;
};

static struct bytes read_all(const char *path)
{
    struct bytes bytes;
    cr_assert_eq(scry__file_read(&bytes.data, &bytes.size, path, 1 << 24), SCRY_OK, "%s", scry_last_error());
    return bytes;
}

static void put(const char *path, const char *data, size_t size)
{
    cr_assert_eq(scry__file_write(path, data, size), SCRY_OK, "%s", scry_last_error());
}

/* Every file cut at its start, one byte before its end and at places between, and one bit of it turned: all of it is
 * seen, and the checkpoint before it is the newest. */
Test(checkpoint, damage__is_seen_wherever_it_is, .timeout = 60)
{
    char **files;
    int    count;
    cr_assert_eq(write_step(NULL, 3, true), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(write_step(NULL, 20, true), SCRY_OK, "%s", scry_last_error());
    expect_newest(20);
    cr_assert_eq(scry__folder_list(&files, &count, in_root("step-0020")), SCRY_OK);
    cr_assert_eq(count, 8);
    srand(20261121);
    for (int i = 0; i < count; i++) {
        char path[320];
        snprintf(path, sizeof path, "%s/%s", in_root("step-0020"), files[i]);
        struct bytes whole = read_all(path);
        for (int trial = 0; trial < 8; trial++) {
            size_t place = trial == 0 ? 0 : trial == 1 ? whole.size - 1 : (size_t)rand() % whole.size;
            put(path, whole.data, place);
            cr_expect_eq(scry__checkpoint_check(in_root("step-0020")), SCRY_BAD_INPUT, "%s cut at %zu", files[i],
                         place);
            expect_newest(3);
            whole.data[place] ^= 1;
            put(path, whole.data, whole.size);
            cr_expect_eq(scry__checkpoint_check(in_root("step-0020")), SCRY_BAD_INPUT, "%s, byte %zu", files[i], place);
            whole.data[place] ^= 1;
        }
        remove(path);
        cr_expect_eq(scry__checkpoint_check(in_root("step-0020")), SCRY_BAD_INPUT, "without %s", files[i]);
        put(path, whole.data, whole.size);
        expect_newest(20);
        scry__free(whole.data);
    }
    scry__folder_free_names(files, count);
}

/* Sums that leave a file out, or point elsewhere. */
Test(checkpoint, bad_sums__are_refused)
{
    cr_assert_eq(write_step(NULL, 3, false), SCRY_OK, "%s", scry_last_error());
    struct bytes whole  = read_all(in_root("step-0003/SHA256SUMS"));
    char        *second = strchr(whole.data, '\n') + 1;
    put(in_root("step-0003/SHA256SUMS"), second, strlen(second));
    cr_expect_eq(scry__checkpoint_check(in_root("step-0003")), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "SHA256SUMS: no line for config.json"), "%s", scry_last_error());
    memcpy(whole.data + 66, "../step", 7);
    put(in_root("step-0003/SHA256SUMS"), whole.data, whole.size);
    cr_expect_eq(scry__checkpoint_check(in_root("step-0003")), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "expected lines of a digest"), "%s", scry_last_error());
    scry__free(whole.data);
}

Test(checkpoint, bad_records__are_refused_by_place)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"schema\": \"scry.lens/1\"}", "key \"schema\": \"scry.lens/1\": expected \"scry.checkpoint/1\""},
        {"{\"schema\": \"scry.checkpoint/1\"}", "no key \"step\""},
        {"{\"schema\": \"scry.checkpoint/1\", \"step\": -1}", "key \"step\": -1 is outside"},
        {"{\"schema\": \"scry.checkpoint/1\", \"step\": 1}", "no key \"losses\""},
        {"{\"schema\": \"scry.checkpoint/1\", \"step\": 1, \"losses\": []}",
         "key \"losses\": 0 numbers: expected one for each of 1 steps"},
        {"{\"schema\": \"scry.checkpoint/1\", \"step\": 1, \"losses\": [null]}",
         "key \"losses\": entry 0: expected a number"},
        {"{\"schema\": \"scry.checkpoint/1\", \"step\": 1, \"losses\": [1], \"evaluations\": [2]}",
         "key \"evaluations\": entry 0: expected an object"},
        {"{\"schema\": \"scry.checkpoint/1\", \"step\": 1, \"losses\": [1], \"evaluations\": [{\"step\": 2}]}",
         "key \"step\": 2 is outside 0 to 1"},
    };
    scry_training *training = made(0, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t        *object = NULL;
        scry_training *read   = NULL;
        cr_assert_eq(scry__json_parse(&object, cases[i].text, strlen(cases[i].text), "test"), SCRY_OK);
        cr_expect_eq(scry__record_read(&read, NULL, training->recipe, (scry__json_at){object, "test"}), SCRY_BAD_INPUT);
        cr_expect(strstr(scry_last_error(), cases[i].says), "%s: %s", cases[i].text, scry_last_error());
        json_decref(object);
    }
    scry_training_destroy(&training);
}

Test(checkpoint, newest__is_by_number)
{
    static const char *const others[] = {"step-", "step-x", "step-99x", "step-100.17.part", "steps-7", "other"};
    expect_newest(-1);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_eq(scry__folder_make(in_root(others[i])), SCRY_OK);
    expect_newest(-1);
    cr_assert(!write_step(NULL, 0, false) && !write_step(NULL, 9, false) && !write_step(NULL, 10, false));
    expect_newest(10);
    cr_assert_eq(scry__folder_make(in_root("step-11")), SCRY_OK); /* empty, and as others may write it */
    expect_newest(10);
}

Test(checkpoint, refused_memory__leaves_nothing)
{
    scry_training   *training   = made(3, false);
    scry__checkpoint checkpoint = {training, "", tensors, tensors, 2, 2};
    struct refusals  writing = {0}, reading = {0};
    while (refusals_next(&writing)) {
        char      **left;
        int         count;
        scry_status status = scry__checkpoint_write(NULL, folder, &checkpoint);
        refusals_check(&writing, status, scry__file_exists(in_root("step-0003")));
        cr_assert_eq(scry__folder_list(&left, &count, folder), SCRY_OK);
        cr_expect_eq(count, status ? 0 : 1);
        scry__folder_free_names(left, count);
        if (!status) scry__folder_remove(in_root("step-0003"));
    }
    cr_assert_eq(scry__checkpoint_write(NULL, folder, &checkpoint), SCRY_OK, "%s", scry_last_error());
    while (refusals_next(&reading)) {
        char          *path = NULL;
        scry_training *read = NULL;
        int            step;
        scry_status    status = scry_checkpoint_find(&path, &step, folder);
        if (!status) status = path ? scry_training_read(&read, path) : SCRY_CHECK_FAILED;
        refusals_check(&reading, status, read != NULL);
        scry_training_destroy(&read);
        scry_free(path);
    }
    cr_expect(writing.refused > 30 && reading.refused > 20, "%d, %d", writing.refused, reading.refused);
    scry_training_destroy(&training);
}

/* --- killed writers --- */

static void write_for_ever(int from)
{
    for (int step = from;; step++)
        if (write_step(NULL, step % 40, step % 3 == 0)) _exit(1);
}

Test(checkpoint, killed_writer__leaves_whole_checkpoints, .timeout = 100)
{
    srand(20261121);
    for (int round = 0; round < 40; round++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (!child) write_for_ever(round);
        usleep((useconds_t)(rand() % 20000));
        kill(child, SIGKILL);
        int how, count;
        cr_assert(waitpid(child, &how, 0) == child && WIFSIGNALED(how), "the writer ended by itself");
        char **left;
        cr_assert_eq(scry__folder_sweep(folder, SCRY__CHECKPOINT_PREFIX, NULL), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry__folder_list(&left, &count, folder), SCRY_OK);
        for (int i = 0; i < count; i++)
            cr_expect_eq(scry__checkpoint_check(in_root(left[i])), SCRY_OK, "%s: %s", left[i], scry_last_error());
        scry__folder_free_names(left, count);
    }
}

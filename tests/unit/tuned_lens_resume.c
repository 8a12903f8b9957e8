/* A tuned lens' training that is stopped and gone on with: the same bits, one checkpoint at a time, and what is
 * refused. */
#include "analysis/tuned_lens.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/noise.h"
#include "base/sha256.h"
#include "checkpoint_edit.h"
#include "fixture.h"
#include "refusals.h"
#include "scry/train.h"
#include "scry/tune_lens.h"
#include "train/checkpoint_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT = 300, STEPS = 7, MOST_LOSSES = 64, IDS = 100 }; /* IDS: all fixtures have more */

static char           folder[64];
static int32_t        ids[TEXT];
static struct fixture f;

static void prepare(void)
{
    uint64_t stream = scry__noise_stream(1, "text");
    snprintf(folder, sizeof folder, "/tmp/scry-tuned-lens-%ld.partial", (long)getpid());
    for (int i = 0; i < TEXT; i++) ids[i] = (int32_t)(scry__noise_bits(stream, (uint64_t)i) % IDS);
}

static void clean(void)
{
    if (scry__file_exists(folder)) scry_tuned_lens_remove_checkpoints(folder);
}

TestSuite(tuned_lens_resume, .init = prepare, .fini = clean, .timeout = 120);

static scry_tune_lens_options tiny(void)
{
    return (scry_tune_lens_options){.ids              = ids,
                                    .id_count         = TEXT,
                                    .batch            = 2,
                                    .length           = 8,
                                    .steps            = STEPS,
                                    .checkpoints      = folder,
                                    .checkpoint_every = 1};
}

static scry_tuned_lens *create(scry_model *model)
{
    scry_tuned_lens *tuned = NULL;
    cr_assert_eq(scry_tuned_lens_create(&tuned, model), SCRY_OK, "%s", scry_last_error());
    return tuned;
}

/* What the training has reported, and the step behind which it is to stop. */
struct report {
    int   stop, first, last;
    float history[MOST_LOSSES];
};

static bool note(void *user, const scry_tune_lens_progress *progress)
{
    struct report *report = user;
    size_t         count  = (size_t)progress->step * (size_t)progress->layer_count;
    cr_assert_leq(count, MOST_LOSSES);
    cr_expect_eq(progress->losses == NULL, !report->first && progress->step == report->last);
    if (!report->first) report->first = progress->step;
    report->last = progress->step;
    memcpy(report->history, progress->history, count * sizeof *report->history);
    for (int layer = 0; progress->losses && layer < progress->layer_count; layer++)
        cr_expect_eq((float)progress->losses[layer],
                     progress->history[(progress->step - 1) * progress->layer_count + layer]);
    return progress->step != report->stop;
}

/* The digest of the file that the lens is written to. */
static void digest_of(char out[SCRY__SHA256_TEXT], const scry_tuned_lens *tuned)
{
    char path[96];
    snprintf(path, sizeof path, "%s.safetensors", folder);
    cr_assert_eq(scry_tuned_lens_write(tuned, path), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__sha256_file(out, path), SCRY_OK, "%s", scry_last_error());
    unlink(path);
}

/* The folder's only content; "" where there is none. */
static void expect_checkpoint(const char *expected)
{
    char **names;
    int    count = 0;
    if (!*expected) {
        cr_expect(!scry__file_exists(folder));
        return;
    }
    cr_assert_eq(scry__folder_list(&names, &count, folder), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(count, 1, "%d checkpoints", count);
    cr_expect_str_eq(names[0], expected);
    scry__folder_free_names(names, count);
}

/* Stopped behind each step in turn, and gone on with by another lens each time. */
static void check_stops(const char *device, const char *name, scry_tune_lens_options options)
{
    char          expected[SCRY__SHA256_TEXT], found[SCRY__SHA256_TEXT];
    struct report whole = {0};
    fixture_open(&f, device, name);
    scry_tuned_lens *tuned = create(f.model);
    options.progress       = note;
    options.user           = &whole;
    options.checkpoints    = NULL;
    cr_assert_eq(scry_tuned_lens_train(tuned, &options), SCRY_OK, "%s", scry_last_error());
    digest_of(expected, tuned);
    scry_tuned_lens_destroy(&tuned);
    options.checkpoints = folder;
    options.resume      = true;
    for (int stop = 1, kept = 0; stop <= STEPS + 1; stop++) {
        struct report report = {.stop = stop, .last = kept};
        tuned                = create(f.model);
        options.user         = &report;
        cr_expect_eq(scry_tuned_lens_train(tuned, &options), stop <= STEPS ? SCRY_STOPPED : SCRY_OK, "%s",
                     scry_last_error());
        cr_expect_eq(report.first, kept ? kept : 1);
        kept = stop >= STEPS ? STEPS : stop / options.checkpoint_every * options.checkpoint_every;
        char step[16];
        snprintf(step, sizeof step, "step-%d", kept);
        expect_checkpoint(kept ? step : "");
        if (stop > STEPS) {
            digest_of(found, tuned);
            cr_expect_str_eq(found, expected, "%s, %s", device, name);
            cr_expect_eq(memcmp(report.history, whole.history, sizeof whole.history), 0);
        }
        scry_tuned_lens_destroy(&tuned);
    }
    cr_expect_eq(scry_tuned_lens_remove_checkpoints(folder), SCRY_OK, "%s", scry_last_error());
    expect_checkpoint("");
    fixture_close(&f);
}

Test(tuned_lens_resume, stops__change_no_bit)
{
    static const char *const devices[] = {"reference", "cpu"};
    for (int device = 0; device < 2; device++)
        for (int every = 1; every < 4; every += 2) {
            scry_tune_lens_options options = tiny();
            options.checkpoint_every       = every;
            check_stops(devices[device], "llama", options);
            options.optimiser = SCRY_TRAIN_OPTIMISER_SGD;
            options.decay     = 0.1;
            check_stops(devices[device], "gpt2", options);
        }
}

/* Trains until a step, and leaves its checkpoint. */
static void leave(int stop, const scry_tune_lens_options *options)
{
    scry_tune_lens_options stopped = *options;
    struct report          report  = {.stop = stop};
    scry_tuned_lens       *tuned   = create(f.model);
    stopped.progress               = note;
    stopped.user                   = &report;
    cr_assert_eq(scry_tuned_lens_train(tuned, &stopped), SCRY_STOPPED, "%s", scry_last_error());
    scry_tuned_lens_destroy(&tuned);
}

/* A lens in the making is one that every command opens, which says nothing of how it was trained. */
Test(tuned_lens_resume, checkpoint__holds_the_lens_as_it_is)
{
    char                   path[128];
    scry_tuned_lens       *found   = NULL;
    scry_tune_lens_options options = tiny();
    fixture_open(&f, "cpu", "llama");
    leave(3, &options);
    snprintf(path, sizeof path, "%s/step-3/lens.safetensors", folder);
    cr_assert_eq(scry_tuned_lens_open(&found, f.model, path), SCRY_OK, "%s", scry_last_error());
    cr_expect_null(found->recipe);
    scry_tuned_lens_destroy(&found);
    fixture_close(&f);
}

/* The lens keeps what it has: a number that no training gives. */
static void expect_refusal(scry_model *model, const scry_tune_lens_options *options, scry_status expected,
                           const char *says)
{
    const float      mark  = 12345;
    float            left  = 0;
    scry_tuned_lens *tuned = create(model);
    cr_assert_eq(scry_buffer_write(tuned->values, 0, &mark, sizeof mark), SCRY_OK);
    cr_expect_eq(scry_tuned_lens_train(tuned, options), expected, "%s", says);
    cr_expect(strstr(scry_last_error(), says), "%s: %s", says, scry_last_error());
    cr_assert_eq(scry_buffer_read(tuned->values, 0, &left, sizeof left), SCRY_OK);
    cr_expect_eq(left, mark, "%s", says);
    expect_checkpoint("step-3");
    scry_tuned_lens_destroy(&tuned);
}

Test(tuned_lens_resume, wrong_beginnings__are_refused)
{
    static int32_t         others[TEXT];
    scry_tune_lens_options options = tiny(), other;
    int                    lock;
    fixture_open(&f, "cpu", "llama");
    leave(3, &options);
    expect_refusal(f.model, &options, SCRY_BAD_ARGUMENT, "there are checkpoints already: resume");
    options.resume = true;
    other          = options;
    other.rate     = 0.5;
    expect_refusal(f.model, &other, SCRY_BAD_ARGUMENT, "step-3: its recipe has another rate: expected the same");
    other       = options;
    other.steps = STEPS + 1;
    expect_refusal(f.model, &other, SCRY_BAD_ARGUMENT, "another steps");
    other      = options;
    other.seed = 1;
    expect_refusal(f.model, &other, SCRY_BAD_ARGUMENT, "another seed");
    other           = options;
    other.optimiser = SCRY_TRAIN_OPTIMISER_SGD;
    expect_refusal(f.model, &other, SCRY_BAD_ARGUMENT, "another optimiser");
    other = options;
    memcpy(others, ids, sizeof ids);
    others[TEXT / 2] = (others[TEXT / 2] + 1) % IDS;
    other.ids        = others;
    expect_refusal(f.model, &other, SCRY_BAD_INPUT, "the tokens: no longer what");
    other             = options;
    other.checkpoints = NULL;
    expect_refusal(f.model, &other, SCRY_BAD_ARGUMENT, "resume: expected a folder of checkpoints");
    other                  = options;
    other.checkpoint_every = -1;
    expect_refusal(f.model, &other, SCRY_BAD_ARGUMENT, "checkpoint every -1");
    cr_assert_eq(scry__folder_lock(&lock, folder), SCRY_OK, "%s", scry_last_error());
    expect_refusal(f.model, &options, SCRY_IO, "another process is at work");
    cr_expect_eq(scry_tuned_lens_remove_checkpoints(folder), SCRY_IO);
    scry__folder_unlock(lock);
    fixture_close(&f);
}

/* Models that the lens' own file does not tell apart: a weight that does not read the final stream, a config that
 * norms by another epsilon. */
Test(tuned_lens_resume, other_models__are_refused)
{
    static const checkpoint_edit edits[] = {{"llama", SCALE_TENSORS, "model.layers.1.mlp.down_proj.weight", "1.0001"},
                                            {"llama", SET_CONFIG, "rms_norm_eps", "1e-4"}};
    scry_tune_lens_options       options = tiny();
    fixture_open(&f, "cpu", "llama");
    leave(3, &options);
    options.resume = true;
    for (int i = 0; i < 2; i++) {
        char        path[CHECKPOINT_PATH];
        scry_model *model = NULL;
        checkpoint_make(path, &edits[i]);
        cr_assert_eq(scry_model_open(&model, f.device, path, NULL), SCRY_OK, "%s", scry_last_error());
        expect_refusal(model, &options, SCRY_BAD_INPUT, "step-3/training.json: a training on another model: SHA-256");
        scry_model_destroy(&model);
        checkpoint_remove(path);
    }
    fixture_close(&f);
}

/* Puts a checkpoint whose sums are right in place of step 3's, with another training.json. */
static scry_status put_record(void *user, const char *path)
{
    static const char *const names[] = {"lens.safetensors", "optimiser.safetensors"};
    scry_status              status  = SCRY_OK;
    for (int i = 0; i < 3 && !status; i++) {
        char   source[160], target[160];
        char  *bytes = NULL;
        size_t size;
        snprintf(source, sizeof source, "%s/step-3/%s", folder, i < 2 ? names[i] : "");
        snprintf(target, sizeof target, "%s/%s", path, i < 2 ? names[i] : "training.json");
        if (i == 2) return scry__file_write(target, user, strlen(user));
        status = scry__file_read(&bytes, &size, source, (size_t)1 << 24);
        if (!status) status = scry__file_write(target, bytes, size);
        scry__free(bytes);
    }
    return status;
}

/* The record of step 3 with `from` turned into `to`, to be freed. */
static char *changed_record(const char *from, const char *to)
{
    char   path[128];
    char  *text = NULL, *changed, *at;
    size_t size;
    snprintf(path, sizeof path, "%s/step-3/training.json", folder);
    cr_assert_eq(scry__file_read(&text, &size, path, (size_t)1 << 20), SCRY_OK, "%s", scry_last_error());
    at = strstr(text, from);
    cr_assert(at, "%s: %s", from, text);
    changed = malloc(size + strlen(to) + 1);
    sprintf(changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    scry__free(text);
    return changed;
}

Test(tuned_lens_resume, bad_records__are_refused_by_place)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"scry.tuned_lens_checkpoint/1", "scry.lens/1", "training.json: key \"schema\": \"scry.lens/1\": expected"},
        {"\"model_sha256\"", "\"model\"", "training.json: no key \"model_sha256\""},
        {"\"recipe\"", "\"menu\"", "training.json: no key \"recipe\""},
        {"\"step\": 3", "\"step\": 8", "training.json: key \"step\": 8 is outside 0 to 7"},
        {"\"step\": 3", "\"step\": 2", "key \"losses\": 3 entries: expected one for each of 2 steps"},
        {"\"losses\": [", "\"losses\": [[], ", "key \"losses\": 4 entries"},
        {"\"losses\": [", "\"losses\": [null], \"more\": [", "key \"losses\": 1 entries"},
    };
    scry_tune_lens_options options = tiny();
    fixture_open(&f, "cpu", "llama");
    leave(3, &options);
    options.resume = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *changed = changed_record(cases[i].from, cases[i].to), *kept = changed_record("", "");
        cr_assert_eq(scry__checkpoints_write(NULL, folder, 3, STEPS, put_record, changed), SCRY_OK, "%s",
                     scry_last_error());
        expect_refusal(f.model, &options, SCRY_BAD_INPUT, cases[i].says);
        cr_assert_eq(scry__checkpoints_write(NULL, folder, 3, STEPS, put_record, kept), SCRY_OK);
        free(changed);
        free(kept);
    }
    fixture_close(&f);
}

/* A damaged one is passed over: nothing is left to go on from, and the lens is the same. */
Test(tuned_lens_resume, damaged_checkpoint__begins_anew)
{
    char                   path[128], expected[SCRY__SHA256_TEXT], found[SCRY__SHA256_TEXT];
    scry_tune_lens_options options = tiny();
    fixture_open(&f, "cpu", "llama");
    leave(3, &options);
    snprintf(path, sizeof path, "%s/step-3/optimiser.safetensors", folder);
    cr_assert_eq(truncate(path, 1000), 0);
    options.resume         = true;
    scry_tuned_lens *tuned = create(f.model);
    cr_expect_eq(scry_tuned_lens_train(tuned, &options), SCRY_OK, "%s", scry_last_error());
    expect_checkpoint("step-7");
    digest_of(found, tuned);
    scry_tuned_lens_destroy(&tuned);
    tuned               = create(f.model);
    options.checkpoints = NULL;
    options.resume      = false;
    cr_expect_eq(scry_tuned_lens_train(tuned, &options), SCRY_OK, "%s", scry_last_error());
    digest_of(expected, tuned);
    cr_expect_str_eq(found, expected);
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
}

Test(tuned_lens_resume, refused_memory__leaves_whole_checkpoints, .timeout = 300)
{
    struct refusals        refusals = {0};
    scry_tune_lens_options options  = tiny();
    options.steps                   = 2;
    options.batch                   = 1;
    options.length                  = 4;
    options.resume                  = true;
    fixture_open(&f, "reference", "llama");
    while (refusals_next(&refusals)) {
        scry_tuned_lens *tuned  = NULL;
        scry_status      status = scry_tuned_lens_create(&tuned, f.model);
        if (!status) status = scry_tuned_lens_train(tuned, &options);
        refusals_check(&refusals, status, tuned && tuned->recipe);
        scry_tuned_lens_destroy(&tuned);
        if (!status) clean();
    }
    cr_expect_gt(refusals.refused, 100);
    fixture_close(&f);
}

/* The tuned lens: what it reads before and after training, how it is trained, its file, and its evaluation. */
#include "analysis/tuned_lens.h"
#include "base/noise.h"
#include "checkpoint_edit.h"
#include "fixture.h"
#include "handmade.h"
#include "refusals.h"
#include "scry/lens.h"
#include "scry/tune_lens.h"
#include "trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(tuned_lens);

enum { TEXT = 600, SMALL = 10 };

/* Tokens drawn uniformly. */
static void draw(int32_t *ids, int count, int vocabulary, uint64_t seed)
{
    uint64_t stream = scry__noise_stream(seed, "text");
    for (int i = 0; i < count; i++) ids[i] = (int32_t)(scry__noise_bits(stream, (uint64_t)i) % (uint64_t)vocabulary);
}

static scry_tuned_lens *create(scry_model *model)
{
    scry_tuned_lens *tuned = NULL;
    cr_assert_eq(scry_tuned_lens_create(&tuned, model), SCRY_OK, "%s", scry_last_error());
    return tuned;
}

static void train(scry_tuned_lens *tuned, const scry_tune_lens_options *options)
{
    cr_assert_eq(scry_tuned_lens_train(tuned, options), SCRY_OK, "%s", scry_last_error());
}

static scry_lens_evaluation *evaluate(const scry_tuned_lens *tuned, const scry_tune_lens_options *options)
{
    scry_lens_evaluation *evaluation = NULL;
    cr_assert_eq(scry_tuned_lens_evaluate(&evaluation, tuned, options), SCRY_OK, "%s", scry_last_error());
    return evaluation;
}

static scry_lens *read_lens(scry_model *model, const int32_t *ids, int count, scry_lens_options options)
{
    scry_lens *lens  = NULL;
    options.ids      = ids;
    options.id_count = count;
    cr_assert_eq(scry_lens_run(&lens, model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    return lens;
}

/* All values of a lens, to be freed. */
static float *values_of(const scry_tuned_lens *tuned)
{
    size_t bytes  = (size_t)(tuned->layer_count * tuned->stride) * sizeof(float);
    float *values = malloc(bytes);
    cr_assert_eq(scry_buffer_read(tuned->values, 0, values, bytes), SCRY_OK, "%s", scry_last_error());
    return values;
}

static bool is_equal(const scry_tuned_lens *a, const scry_tuned_lens *b)
{
    float *left = values_of(a), *right = values_of(b);
    bool   equal = !memcmp(left, right, (size_t)(a->layer_count * a->stride) * sizeof *left);
    free(left);
    free(right);
    return equal;
}

/* --- step 0 --- */

static void check_untrained(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_tuned_lens *tuned = create(f.model);
    for (int without_kl = 0; without_kl < 2; without_kl++) {
        scry_lens_options options = {.top = 3, .target_next = true, .skip_kl = without_kl};
        scry_lens        *logit   = read_lens(f.model, f.ids, f.id_count, options);
        options.tuned             = tuned;
        scry_lens *found          = read_lens(f.model, f.ids, f.id_count, options);
        cr_expect(found->tuned && !logit->tuned);
        for (int i = 0; i < logit->layer_count * logit->token_count; i++) {
            scry_lens_cell a = logit->cells[i], b = found->cells[i];
            for (int k = 0; k < 3; k++)
                cr_expect(a.top[k].id == b.top[k].id && a.top[k].logit == b.top[k].logit, "%s: cell %d", name, i);
            a.top = b.top = NULL;
            cr_expect(!memcmp(&a.entropy, &b.entropy, sizeof a - offsetof(scry_lens_cell, entropy)), "%s: cell %d",
                      name, i);
        }
        scry_lens_destroy(&logit);
        scry_lens_destroy(&found);
    }
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
}

Test(tuned_lens, untrained__is_the_logit_lens_to_the_bit)
{
    fixture_for_all(check_untrained);
}

FIXTURES_ON_PLUGINS(tuned_lens, untrained, is_the_logit_lens_to_the_bit, false, check_untrained)

/* --- training --- */

static void check_falling(const char *device, const char *name)
{
    struct fixture f;
    int32_t        ids[TEXT];
    fixture_open(&f, device, name);
    draw(ids, TEXT, scry_model_get_info(f.model)->vocabulary, 1);
    const scry_tune_lens_options options = {
        .ids = ids, .id_count = TEXT, .batch = 4, .length = 16, .steps = SMALL, .held_out = 0.3, .rate = 0.005};
    scry_tuned_lens *tuned = create(f.model);
    train(tuned, &options);
    scry_lens_evaluation *evaluation = evaluate(tuned, &options);
    int                   last       = evaluation->layer_count - 1;
    cr_expect_eq(last, scry_model_get_info(f.model)->layer_count);
    for (int layer = 0; layer < last; layer++)
        cr_expect_lt(evaluation->tuned[layer].kl, evaluation->logit[layer].kl, "%s: %s: layer %d", device, name, layer);
    cr_expect(evaluation->logit[last].kl == 0 && evaluation->tuned[last].kl == 0);
    cr_expect_eq(evaluation->logit[last].cross_entropy, evaluation->tuned[last].cross_entropy);
    scry_lens_evaluation_destroy(&evaluation);
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
}

Test(tuned_lens, training__lowers_the_divergence_of_every_layer, .timeout = 300)
{
    fixture_for_all(check_falling);
}

static bool keep_losses(void *user, const scry_tune_lens_progress *progress)
{
    memcpy(user, progress->losses, (size_t)progress->layer_count * sizeof *progress->losses);
    return true;
}

enum { MOST_LAYERS = 8 };

/* The losses of the first batch with these values, and the values after a step on it. */
static float *step_from(scry_tuned_lens *tuned, const float *values, scry_tune_lens_options options,
                        double losses[MOST_LAYERS])
{
    size_t bytes     = (size_t)(tuned->layer_count * tuned->stride) * sizeof *values;
    options.progress = keep_losses;
    options.user     = losses;
    cr_assert_leq(tuned->layer_count, MOST_LAYERS);
    cr_assert_eq(scry_buffer_write(tuned->values, 0, values, bytes), SCRY_OK);
    train(tuned, &options);
    return values_of(tuned);
}

/* With momentum 0.9, Nesterov's first step is 1.9 times the rate times the gradient. */
static void check_gradient(const char *name)
{
    static const double rate = 0.01, change = 1e-2;
    struct fixture      f;
    int32_t             ids[TEXT];
    double              losses[MOST_LAYERS], above[MOST_LAYERS], below[MOST_LAYERS];
    fixture_open(&f, "reference", name);
    draw(ids, TEXT, scry_model_get_info(f.model)->vocabulary, 2);
    const scry_tune_lens_options options = {.ids       = ids,
                                            .id_count  = TEXT,
                                            .batch     = 2,
                                            .length    = 8,
                                            .steps     = 1,
                                            .optimiser = SCRY_TRAIN_OPTIMISER_SGD,
                                            .rate      = rate,
                                            .clip      = 1e6};
    scry_tuned_lens             *tuned   = create(f.model);
    int64_t                      total   = tuned->layer_count * tuned->stride;
    float                       *values  = calloc((size_t)total, sizeof *values), *after;
    for (int layer = 0; layer < tuned->layer_count; layer++) {
        trial_normal(values + layer * tuned->stride, tuned->size * tuned->size, 3);
        trial_normal(values + layer * tuned->stride + tuned->bias, tuned->size, 4);
    }
    for (int64_t i = 0; i < total; i++) values[i] *= 0.05F;
    after = step_from(tuned, values, options, losses);
    for (int i = 0; i < 12; i++) {
        /* the same place of all layers, whose losses do not know of each other */
        int64_t place = i < 8 ? (int64_t)i * 101 % (tuned->size * tuned->size) : tuned->bias + i;
        for (int side = 0; side < 2; side++) {
            float *moved = malloc((size_t)total * sizeof *moved);
            memcpy(moved, values, (size_t)total * sizeof *moved);
            for (int layer = 0; layer < tuned->layer_count; layer++)
                moved[layer * tuned->stride + place] += (float)(side ? -change : change);
            free(step_from(tuned, moved, options, side ? below : above));
            free(moved);
        }
        for (int layer = 0; layer < tuned->layer_count; layer++) {
            int64_t at    = layer * tuned->stride + place;
            double  slope = (above[layer] - below[layer]) / (2 * change);
            double  found = (double)(values[at] - after[at]) / (1.9 * rate);
            cr_expect_float_eq(found, slope, 1e-5 + 1e-3 * fabs(slope), "%s: layer %d, place %lld: %g, but %g", name,
                               layer, (long long)place, found, slope);
        }
    }
    free(after);
    free(values);
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
}

Test(tuned_lens, gradient__is_that_of_differences)
{
    check_gradient("gpt2");
    check_gradient("llama");
}

/* Each translator's first step has then the length 1.9 times the rate times the clip. */
Test(tuned_lens, gradients__are_clipped_one_by_one)
{
    static const double rate = 10, clip = 1e-3;
    struct fixture      f;
    int32_t             ids[TEXT];
    fixture_open(&f, "cpu", "llama");
    draw(ids, TEXT, 130, 1);
    scry_tuned_lens *tuned = create(f.model);
    train(tuned, &(scry_tune_lens_options){.ids       = ids,
                                           .id_count  = TEXT,
                                           .batch     = 2,
                                           .length    = 16,
                                           .steps     = 1,
                                           .optimiser = SCRY_TRAIN_OPTIMISER_SGD,
                                           .rate      = rate,
                                           .clip      = clip});
    float *values = values_of(tuned);
    for (int layer = 0; layer < tuned->layer_count; layer++) {
        double squares = 0;
        for (int64_t i = 0; i < tuned->stride; i++) squares += pow((double)values[layer * tuned->stride + i], 2);
        cr_expect_float_eq(sqrt(squares), 1.9 * rate * clip, 1e-6, "layer %d: %g", layer, sqrt(squares));
    }
    free(values);
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
}

Test(tuned_lens, seeds__give_the_same_bits_again_and_others)
{
    struct fixture f;
    int32_t        ids[TEXT];
    fixture_open(&f, "cpu", "gpt_neox");
    draw(ids, TEXT, scry_model_get_info(f.model)->vocabulary, 1);
    scry_tune_lens_options options = {.ids = ids, .id_count = TEXT, .batch = 2, .length = 16, .steps = 4, .seed = 5};
    scry_tuned_lens       *one = create(f.model), *same = create(f.model), *other = create(f.model);
    train(one, &options);
    train(same, &options);
    options.seed = 6;
    train(other, &options);
    cr_expect(is_equal(one, same));
    cr_expect(!is_equal(one, other));
    cr_expect_str_eq(one->recipe, same->recipe);
    scry_tuned_lens_destroy(&one);
    scry_tuned_lens_destroy(&same);
    scry_tuned_lens_destroy(&other);
    fixture_close(&f);
}

static bool stop_at_two(void *user, const scry_tune_lens_progress *progress)
{
    (void)user;
    return progress->step < 2;
}

Test(tuned_lens, training__stops_where_it_is_told_to)
{
    struct fixture f;
    int32_t        ids[TEXT];
    fixture_open(&f, "cpu", "llama");
    draw(ids, TEXT, 130, 1);
    scry_tune_lens_options options = {
        .ids = ids, .id_count = TEXT, .batch = 2, .length = 16, .steps = 5, .progress = stop_at_two};
    scry_tuned_lens      *tuned = create(f.model), *untrained = create(f.model);
    scry_lens_evaluation *evaluation = NULL;
    cr_expect_eq(scry_tuned_lens_train(tuned, &options), SCRY_STOPPED);
    cr_expect(!is_equal(tuned, untrained));
    cr_expect_null(tuned->recipe);
    options.batch = 1;
    cr_expect_eq(scry_tuned_lens_evaluate(&evaluation, tuned, &options), SCRY_STOPPED);
    cr_expect_null(evaluation);
    scry_tuned_lens_destroy(&tuned);
    scry_tuned_lens_destroy(&untrained);
    fixture_close(&f);
}

/* --- a basis that changes between layers --- */

static int right_ones(const scry_lens *lens, int layer)
{
    int right = 0;
    for (int t = 0; t < lens->token_count; t++)
        right += scry_lens_at(lens, layer, t)->top->id == (lens->tokens->ids[t] + 1) % TURNED_VOCABULARY;
    return right;
}

static void check_turned(const char *name)
{
    enum { LONG = 4000 };
    static int32_t ids[LONG];
    int32_t        every[TURNED_VOCABULARY];
    char           path[HANDMADE_PATH];
    scry_device   *device = NULL;
    scry_model    *model  = NULL;
    handmade_turned(path);
    draw(ids, LONG, TURNED_VOCABULARY, 1);
    for (int i = 0; i < TURNED_VOCABULARY; i++) every[i] = i;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name}), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    const scry_tune_lens_options options = {
        .ids = ids, .id_count = LONG, .batch = 4, .length = TURNED_CONTEXT, .steps = 150, .rate = 0.02};
    scry_tuned_lens *tuned = create(model);
    train(tuned, &options);
    scry_lens_evaluation *evaluation = evaluate(tuned, &options);
    scry_lens            *logit      = read_lens(model, every, TURNED_VOCABULARY, (scry_lens_options){.top = 1});
    scry_lens *found = read_lens(model, every, TURNED_VOCABULARY, (scry_lens_options){.top = 1, .tuned = tuned});
    cr_expect_eq(right_ones(logit, 2), TURNED_VOCABULARY, "the model itself");
    for (int layer = 0; layer < 2; layer++) {
        cr_expect_lt(right_ones(logit, layer), TURNED_VOCABULARY / 4, "layer %d", layer);
        cr_expect_eq(right_ones(found, layer), TURNED_VOCABULARY, "layer %d", layer);
        cr_expect_gt(evaluation->logit[layer].kl, 2, "layer %d: %g", layer, evaluation->logit[layer].kl);
        cr_expect_lt(evaluation->tuned[layer].kl, 0.02, "layer %d: %g", layer, evaluation->tuned[layer].kl);
    }
    scry_lens_destroy(&logit);
    scry_lens_destroy(&found);
    scry_lens_evaluation_destroy(&evaluation);
    scry_tuned_lens_destroy(&tuned);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    handmade_remove(path);
}

Test(tuned_lens, turned_basis__is_read_by_the_tuned_lens_only)
{
    check_turned("cpu");
    check_turned("reference");
}

/* --- evaluation --- */

Test(tuned_lens, evaluation__is_the_mean_of_what_the_lens_shows)
{
    enum { ROWS = 12 };
    struct fixture f;
    fixture_open(&f, "cpu", "qwen2");
    int32_t ids[TEXT];
    draw(ids, TEXT, scry_model_get_info(f.model)->vocabulary, 3);
    scry_tune_lens_options options = {.ids = ids, .id_count = TEXT, .batch = 2, .length = ROWS, .steps = 3};
    scry_tuned_lens       *tuned   = create(f.model);
    train(tuned, &options);
    options.id_count = 3 * ROWS + 1; /* three rows, in batches of two: the fourth would be the first again */
    options.held_out = 1;
    scry_lens_evaluation *evaluation = evaluate(tuned, &options);
    cr_expect_eq(evaluation->tokens, 3 * ROWS);
    for (int layer = 0; layer < evaluation->layer_count; layer++) {
        scry_lens_quality sums = {0};
        for (int row = 0; row < 3; row++) { /* a token more, for the last target */
            scry_lens *lens = read_lens(f.model, ids + row * ROWS, ROWS + 1,
                                        (scry_lens_options){.target_next = true, .tuned = tuned});
            for (int t = 0; t < ROWS; t++) {
                const scry_lens_cell *cell = scry_lens_at(lens, layer, t);
                sums.cross_entropy -= (double)cell->target_log_probability / (3 * ROWS);
                sums.kl += (double)cell->kl / (3 * ROWS);
                sums.entropy += (double)cell->entropy / (3 * ROWS);
            }
            scry_lens_destroy(&lens);
        }
        const scry_lens_quality *found = &evaluation->tuned[layer];
        cr_expect_float_eq(found->cross_entropy, sums.cross_entropy, 1e-4, "layer %d", layer);
        cr_expect_float_eq(found->kl, sums.kl, 1e-4, "layer %d", layer);
        cr_expect_float_eq(found->entropy, sums.entropy, 1e-4, "layer %d", layer);
    }
    scry_lens_evaluation_destroy(&evaluation);
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
}

/* --- the file --- */

static void temporary(char path[64])
{
    snprintf(path, 64, "/tmp/scry-tuned-lens-%d.safetensors", (int)getpid());
}

Test(tuned_lens, file__gives_back_every_bit)
{
    struct fixture f;
    char           path[64];
    int32_t        ids[TEXT];
    temporary(path);
    fixture_open(&f, "cpu", "llama_bf16");
    draw(ids, TEXT, scry_model_get_info(f.model)->vocabulary, 1);
    scry_tuned_lens *tuned = create(f.model), *again = NULL;
    train(tuned, &(scry_tune_lens_options){.ids = ids, .id_count = TEXT, .batch = 2, .length = 16, .steps = 2});
    cr_assert_eq(scry_tuned_lens_write(tuned, path), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_tuned_lens_open(&again, f.model, path), SCRY_OK, "%s", scry_last_error());
    cr_expect(is_equal(tuned, again));
    cr_expect_str_eq(tuned->recipe, again->recipe);
    cr_expect(strstr(again->recipe, "\"steps\": 2") || strstr(again->recipe, "\"steps\":2"), "%s", again->recipe);
    scry_tuned_lens_destroy(&tuned);
    scry_tuned_lens_destroy(&again);
    fixture_close(&f);
    unlink(path);
}

/* Writes a lens of one fixture's model, `bent` somewhere, and opens it for another's. */
static void expect_refusal(const char *written_for, const char *opened_for, void (*bend)(scry_tuned_lens *tuned),
                           const char *says)
{
    struct fixture   from, to;
    char             path[64];
    scry_tuned_lens *found = NULL;
    temporary(path);
    fixture_open(&from, "cpu", written_for);
    fixture_open(&to, "cpu", opened_for);
    scry_tuned_lens *tuned = create(from.model);
    if (bend) bend(tuned);
    cr_assert_eq(scry_tuned_lens_write(tuned, path), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry_tuned_lens_open(&found, to.model, path), SCRY_BAD_INPUT, "%s for %s", written_for, opened_for);
    cr_expect(strstr(scry_last_error(), says), "%s for %s: %s", written_for, opened_for, scry_last_error());
    cr_expect_null(found);
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&from);
    fixture_close(&to);
    unlink(path);
}

static void drop_layer(scry_tuned_lens *tuned)
{
    tuned->layer_count--;
}

Test(tuned_lens, other_models__are_refused_by_what_differs)
{
    struct fixture   f;
    scry_tuned_lens *found = NULL;
    char             path[600];
    expect_refusal("gpt2", "llama", NULL, "family gpt2: expected llama");
    expect_refusal("llama", "llama", drop_layer, "number of blocks");
    expect_refusal("llama", "llama_f16", NULL, "hidden size 36: expected 48");
    expect_refusal("qwen2", "qwen2_window", NULL, "number of blocks 2: expected 3");
    fixture_open(&f, "cpu", "llama");
    snprintf(path, sizeof path, "%s/model.safetensors", f.path);
    cr_expect_eq(scry_tuned_lens_open(&found, f.model, path), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "expected a tuned lens"), "%s", scry_last_error());
    cr_expect_eq(scry_tuned_lens_open(&found, f.model, "/nowhere.safetensors"), SCRY_BAD_INPUT);
    cr_expect_null(found);
    fixture_close(&f);
}

/* The same sizes, but something of what reads the final stream is not the same; and what does not read it may differ.
 */
Test(tuned_lens, other_readers__are_refused)
{
    static const struct {
        const char *tensor;
        bool        refused;
    } cases[] = {{"lm_head.weight", true}, {"model.norm.weight", true}, {"*.mlp.down_proj.weight", false}};
    struct fixture f;
    char           file[64];
    temporary(file);
    fixture_open(&f, "cpu", "llama");
    scry_tuned_lens *tuned = create(f.model);
    cr_assert_eq(scry_tuned_lens_write(tuned, file), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const checkpoint_edit edit  = {"llama", SCALE_TENSORS, cases[i].tensor, "1.0001"};
        scry_tuned_lens      *found = NULL;
        scry_model           *model = NULL;
        char                  path[CHECKPOINT_PATH];
        checkpoint_make(path, &edit);
        cr_assert_eq(scry_model_open(&model, f.device, path, NULL), SCRY_OK, "%s", scry_last_error());
        scry_status status = scry_tuned_lens_open(&found, model, file);
        cr_expect_eq(status, cases[i].refused ? SCRY_BAD_INPUT : SCRY_OK, "%s: %s", cases[i].tensor, scry_last_error());
        cr_expect(!cases[i].refused || strstr(scry_last_error(), "SHA-256 of unembedding and final norm"), "%s",
                  scry_last_error());
        scry_tuned_lens_destroy(&found);
        scry_model_destroy(&model);
        checkpoint_remove(path);
    }
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
    unlink(file);
}

/* --- misuse --- */

Test(tuned_lens, misuse__is_refused)
{
    static int32_t ids[TEXT], outside[TEXT] = {[7] = 131};
    static const struct {
        scry_tune_lens_options options;
        const char            *says;
    } cases[] = {
        {{0}, "expected a text, or tokens"},
        {{.ids = ids}, "expected a text, or tokens"},
        {{.ids = ids, .id_count = TEXT, .batch = -1}, "batch -1: expected 1 to"},
        {{.ids = ids, .id_count = TEXT, .length = 129}, "length 129: expected 1 to 128"},
        {{.ids = ids, .id_count = TEXT, .steps = -2}, "steps -2"},
        {{.ids = ids, .id_count = TEXT, .rate = NAN}, "rate nan"},
        {{.ids = ids, .id_count = TEXT, .held_out = 1.5}, "held out 1.5: expected 0 to 1"},
        {{.ids = ids, .id_count = TEXT, .length = 16, .held_out = 1}, "nothing is left to train on"},
        {{.ids = ids, .id_count = TEXT, .optimiser = SCRY_TRAIN_OPTIMISER_COUNT}, "optimiser 2"},
        {{.ids = ids, .id_count = 100}, "the tokens: 100 tokens, of which 10 are held out"},
        {{.ids = outside, .id_count = TEXT, .length = 16}, "the tokens: token 7: id 131: expected 0 to 130"},
        {{.text = "/nowhere.txt"}, "tokenizer"},
    };
    struct fixture f, other;
    fixture_open(&f, "cpu", "llama");
    fixture_open(&other, "cpu", "llama");
    scry_tuned_lens *tuned = create(f.model);
    scry_lens       *lens  = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_status status = scry_tuned_lens_train(tuned, &cases[i].options);
        cr_expect(status == SCRY_BAD_ARGUMENT || status == SCRY_BAD_INPUT, "case %zu: %d", i, (int)status);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
    }
    scry_lens_options options = {.ids = f.ids, .id_count = f.id_count, .tuned = tuned};
    cr_expect_eq(scry_lens_run(&lens, other.model, NULL, &options), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "of another model"), "%s", scry_last_error());
    scry_tuned_lens_destroy(&tuned);
    scry_tuned_lens_destroy(&tuned);
    fixture_close(&f);
    fixture_close(&other);
}

/* All calls one after the other; false in *whole where one failed. */
static scry_status use_all(scry_model *model, const int32_t *ids, const char *path, bool *whole)
{
    const scry_tune_lens_options options = {.ids = ids, .id_count = 60, .batch = 2, .length = 4, .steps = 1};
    scry_tuned_lens             *tuned = NULL, *again = NULL;
    scry_lens_evaluation        *evaluation = NULL;
    scry_lens                   *lens       = NULL;
    scry_status                  status     = scry_tuned_lens_create(&tuned, model);
    if (!status) status = scry_tuned_lens_train(tuned, &options);
    if (!status) status = scry_tuned_lens_write(tuned, path);
    if (!status) status = scry_tuned_lens_open(&again, model, path);
    if (!status) status = scry_tuned_lens_evaluate(&evaluation, again, &options);
    if (!status)
        status = scry_lens_run(&lens, model, NULL, &(scry_lens_options){.ids = ids, .id_count = 3, .tuned = again});
    *whole = lens != NULL;
    scry_lens_destroy(&lens);
    scry_lens_evaluation_destroy(&evaluation);
    scry_tuned_lens_destroy(&again);
    scry_tuned_lens_destroy(&tuned);
    return status;
}

Test(tuned_lens, all_calls__survive_every_refused_allocation, .timeout = 300)
{
    struct fixture  f;
    struct refusals refusals = {0};
    char            path[64];
    int32_t         ids[60];
    temporary(path);
    fixture_open(&f, "reference", "llama");
    draw(ids, 60, 130, 1);
    while (refusals_next(&refusals)) {
        bool        whole  = false;
        scry_status status = use_all(f.model, ids, path, &whole);
        refusals_check(&refusals, status, whole);
    }
    cr_expect_gt(refusals.refused, 100);
    fixture_close(&f);
    unlink(path);
}

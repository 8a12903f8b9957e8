/* Steering holds to exact facts: a strength of 0 changes no bit, the difference of two prompts turns one's stream into
 * the other's, signs change places; and what it says of a prediction is what traces of the same edits say. */
#include "analysis/steer_vector.h"
#include "fixture.h"
#include "refusals.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYER = 1, TOKENS = 4 };
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* A fixture's prompt, and the same with another last token. */
struct trial {
    struct fixture    f;
    int32_t          *other;
    scry_steer_prompt plus, minus; /* `other`, the prompt */
};

static void trial_open(struct trial *trial, const char *device, const char *name)
{
    fixture_open(&trial->f, device, name);
    size_t count = (size_t)trial->f.id_count;
    trial->other = malloc(count * sizeof *trial->other);
    memcpy(trial->other, trial->f.ids, count * sizeof *trial->other);
    trial->other[count - 1] = (trial->other[count - 1] + 7) % 100;
    trial->plus             = (scry_steer_prompt){.ids = trial->other, .id_count = trial->f.id_count};
    trial->minus            = (scry_steer_prompt){.ids = trial->f.ids, .id_count = trial->f.id_count};
}

static void trial_close(struct trial *trial)
{
    free(trial->other);
    fixture_close(&trial->f);
}

static const scry_generation_options short_run = {.max_tokens = TOKENS, .ignore_end = true, .top = 8};

static scry_steering *steer(const struct trial *trial, scry_steer_options options)
{
    scry_steering *steering = NULL;
    options.ids             = trial->f.ids;
    options.id_count        = trial->f.id_count;
    if (!options.generation) options.generation = &short_run;
    if (!options.vector && !options.plus) {
        options.plus        = &trial->plus;
        options.minus       = &trial->minus;
        options.plus_count  = 1;
        options.minus_count = 1;
    }
    cr_assert_eq(scry_steer(&steering, trial->f.model, NULL, &options), SCRY_OK, "%s: %s", trial->f.name,
                 scry_last_error());
    return steering;
}

static scry_trace *trace(const struct trial *trial, const int32_t *ids, const char *hooks, const scry_edit *edits,
                         int count)
{
    scry_trace      *out = NULL;
    const scry_edits all = {count, edits};
    cr_assert_eq(
        scry_trace_run(&out, trial->f.model, NULL,
                       &(scry_trace_options){.ids = ids, .id_count = trial->f.id_count, .hooks = hooks, .edits = &all}),
        SCRY_OK, "%s: %s", trial->f.name, scry_last_error());
    return out;
}

static bool same_step(const scry_step *a, const scry_step *b, int top)
{
    bool same = a->chosen.id == b->chosen.id && a->lse == b->lse && a->entropy == b->entropy;
    for (int i = 0; i < top; i++) same = same && a->top[i].id == b->top[i].id && a->top[i].logit == b->top[i].logit;
    return same;
}

static bool same_bits(const scry_generation *a, const scry_generation *b)
{
    bool same = a->step_count == b->step_count && a->top_count == b->top_count;
    for (int i = 0; same && i < a->step_count; i++) same = same_step(&a->steps[i], &b->steps[i], a->top_count);
    return same;
}

/* --- exact facts --- */

static void check_zero(const char *device, const char *name)
{
    static const float      strengths[] = {0, 1};
    struct trial            trial;
    scry_generation        *plain = NULL;
    scry_generation_options options;
    trial_open(&trial, device, name);
    options          = short_run;
    options.ids      = trial.f.ids;
    options.id_count = trial.f.id_count;
    cr_assert_eq(scry_generate(&plain, trial.f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    scry_steering *steering =
        steer(&trial, (scry_steer_options){.layer = LAYER, .strengths = strengths, .strength_count = 2});
    const scry_steered *zero = &steering->runs[0], *one = &steering->runs[1];
    cr_expect(same_bits(plain, steering->plain) && same_bits(plain, zero->generation), "%s", name);
    cr_expect(!same_bits(plain, one->generation), "%s: the vector has no effect", name);
    cr_expect(zero->kl == 0 && zero->random_kl == 0 && zero->rise_count == 0 && zero->fall_count == 0, "%s", name);
    cr_expect(one->kl > 0 && one->random_kl > 0 && one->rise_count == 5 && one->fall_count == 5, "%s: %g, %g", name,
              (double)one->kl, (double)one->random_kl);
    scry_steering_destroy(&steering);
    scry_generation_destroy(&plain);
    trial_close(&trial);
}

Test(steer, strength_0__changes_no_bit, .timeout = 120)
{
    fixture_for_all(check_zero);
}

static void check_one_zero(const char *device, const char *name)
{
    if (!strcmp(name, "qwen3")) check_zero(device, name);
}

FIXTURES_ON_PLUGINS(steer, strength_0, changes_no_bit, false, check_one_zero)

/* M + (P - M), each rounded once: P but for u |P - M| + u |P|. Prompts that differ in their last token alone have one
 * past, so that from there on everything is as in P's run. */
static void check_difference(const char *device, const char *name)
{
    static const float strength = 1;
    struct trial       trial;
    trial_open(&trial, device, name);
    for (int site = 0; site < SCRY_STEER_SITE_COUNT; site++) {
        char           hook[64], hooks[80];
        scry_steering *steering = steer(&trial, (scry_steer_options){.layer          = LAYER,
                                                                     .site           = (scry_steer_site)site,
                                                                     .strengths      = &strength,
                                                                     .strength_count = 1,
                                                                     .reach          = SCRY_STEER_REACH_LAST});
        snprintf(hook, sizeof hook, "blocks.%d.hook_%s", LAYER, scry_steer_site_text((scry_steer_site)site));
        snprintf(hooks, sizeof hooks, "%s,logits", hook);
        const scry_edit edit = {.hook      = hook,
                                .kind      = SCRY_EDIT_ADD,
                                .positions = steering->positions,
                                .factor    = 1,
                                .values    = {steering->vector, 1, 1, steering->size}};
        scry_trace     *plus = trace(&trial, trial.other, hooks, NULL, 0),
                   *steered  = trace(&trial, trial.f.ids, hooks, &edit, 1);
        size_t       size = (size_t)steering->size, last = (size_t)(trial.f.id_count - 1) * size;
        const float *wanted = (const float *)scry_trace_find(plus, hook)->data + last;
        const float *found  = (const float *)scry_trace_find(steered, hook)->data + last;
        for (size_t i = 0; i < size; i++) {
            double bound = 0x1.01p-24 * (fabs((double)steering->vector[i]) + fabs((double)wanted[i]));
            cr_expect(fabs((double)found[i] - (double)wanted[i]) <= bound, "%s: %s: element %zu is %g, not %g", name,
                      hook, i, (double)found[i], (double)wanted[i]);
        }
        size_t       vocabulary = (size_t)scry_model_get_info(trial.f.model)->vocabulary;
        const float *logits =
            (const float *)scry_trace_find(plus, "logits")->data + (size_t)(trial.f.id_count - 1) * vocabulary;
        const scry_step *step = &steering->runs[0].generation->steps[0];
        for (int i = 0; i < short_run.top; i++)
            cr_expect_float_eq(step->top[i].logit, logits[step->top[i].id], 5e-5, "%s: %s: candidate %d", name, hook,
                               i);
        scry_trace_destroy(&steered);
        scry_trace_destroy(&plus);
        scry_steering_destroy(&steering);
    }
    trial_close(&trial);
}

Test(steer, difference_of_prompts__gives_the_other_prompts_stream_and_prediction, .timeout = 120)
{
    fixture_for_all(check_difference);
}

static void check_one_difference(const char *device, const char *name)
{
    if (!strcmp(name, "qwen3")) check_difference(device, name);
}

FIXTURES_ON_PLUGINS(steer, difference_of_prompts, gives_the_other_prompts_prediction, false, check_one_difference)

static void check_signs(const char *device, const char *name)
{
    static const float two = 2, minus_two = -2;
    struct trial       trial;
    trial_open(&trial, device, name);
    scry_steering *there = steer(&trial, (scry_steer_options){.layer = LAYER, .strengths = &two, .strength_count = 1});
    scry_steering *back  = steer(&trial, (scry_steer_options){.layer          = LAYER,
                                                              .strengths      = &minus_two,
                                                              .strength_count = 1,
                                                              .plus           = &trial.minus,
                                                              .minus          = &trial.plus,
                                                              .plus_count     = 1,
                                                              .minus_count    = 1});
    cr_expect(same_bits(there->runs[0].generation, back->runs[0].generation), "%s", name);
    cr_expect_eq(there->runs[0].kl, back->runs[0].kl, "%s", name);
    scry_steering_destroy(&back);
    scry_steering_destroy(&there);
    trial_close(&trial);
}

Test(steer, signs__change_places, .timeout = 120)
{
    fixture_for_all(check_signs);
}

/* How many of the tokens that fall are among a step's candidates, there with the probability that they fall from. */
static int find_falls(const scry_steered *run, const scry_step *step, int top)
{
    int found = 0;
    for (int i = 0; i < run->fall_count; i++)
        for (int j = 0; j < top; j++)
            found +=
                run->falls[i].id == step->top[j].id && fabsf(run->falls[i].before - step->top[j].probability) < 1e-5F;
    return found;
}

/* Each reach is a range of positions; what is added behind the prompt leaves the first prediction alone. */
Test(steer, reach__is_a_range_of_positions)
{
    static const float strength = 3;
    struct trial       trial;
    trial_open(&trial, "cpu", "llama");
    int n = trial.f.id_count;
    const struct {
        scry_steer_reach reach;
        scry_range       positions;
        int              step;
    } all[] = {
        {SCRY_STEER_REACH_ALL, {0, 0}, 0},
        {SCRY_STEER_REACH_PROMPT, {0, n}, 0},
        {SCRY_STEER_REACH_LAST, {n - 1, n}, 0},
        {SCRY_STEER_REACH_GENERATED, {n, 0}, 1},
    };
    scry_steering *runs[COUNT(all)];
    for (int i = 0; i < COUNT(all); i++) {
        scry_steer_options options = {.strengths = &strength, .strength_count = 1, .reach = all[i].reach};
        runs[i]                    = steer(&trial, options);
        options.reach              = SCRY_STEER_REACH_RANGE;
        options.positions          = all[i].positions;
        scry_steering *range       = steer(&trial, options);
        cr_expect(runs[i]->positions.begin == all[i].positions.begin && runs[i]->positions.end == all[i].positions.end);
        cr_expect_eq(runs[i]->step, all[i].step);
        cr_expect(same_bits(runs[i]->runs[0].generation, range->runs[0].generation), "%d", i);
        cr_expect_eq(runs[i]->runs[0].kl, range->runs[0].kl, "%d", i);
        cr_expect_gt(runs[i]->runs[0].kl, 0, "%d", i);
        cr_expect_gt(find_falls(runs[i]->runs, &runs[i]->plain->steps[all[i].step], runs[i]->plain->top_count), 1);
        for (int j = 0; j < i; j++)
            cr_expect(!same_bits(runs[i]->runs[0].generation, runs[j]->runs[0].generation), "%d and %d", i, j);
        scry_steering_destroy(&range);
    }
    const scry_generation *late = runs[3]->runs[0].generation, *plain = runs[3]->plain;
    cr_expect(same_step(&late->steps[0], &plain->steps[0], plain->top_count));
    cr_expect(!same_step(&late->steps[1], &plain->steps[1], plain->top_count));
    for (int i = 0; i < COUNT(all); i++) scry_steering_destroy(&runs[i]);
    trial_close(&trial);
}

/* --- what is said of a prediction --- */

static double lse_of(const float *logits, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += exp((double)logits[i]);
    return log(sum);
}

/* Beside an edit of the caller's, which every run has, the unsteered one too. */
Test(steer, changes__are_those_between_two_traces)
{
    static const float strength = 2.5F;
    struct trial       trial;
    trial_open(&trial, "cpu", "qwen3");
    const scry_edit         own   = {.hook = "blocks.0.hook_mlp_out", .kind = SCRY_EDIT_SCALE, .factor = 0.5F};
    const scry_edits        edits = {1, &own};
    scry_generation_options run   = {.max_tokens = 1, .edits = &edits};
    scry_steering          *found = steer(
                 &trial,
                 (scry_steer_options){.layer = 0, .strengths = &strength, .strength_count = 1, .top = 7, .generation = &run});
    const scry_edit both[] = {own,
                              {.hook   = "blocks.0.hook_resid_post",
                               .kind   = SCRY_EDIT_ADD,
                               .factor = strength,
                               .values = {found->vector, 1, 1, found->size}}};
    scry_trace     *before = trace(&trial, trial.f.ids, "logits", both, 1);
    scry_trace     *after  = trace(&trial, trial.f.ids, "logits", both, 2);
    int             count = scry_model_get_info(trial.f.model)->vocabulary, larger = 0;
    size_t          row = (size_t)(trial.f.id_count - 1) * (size_t)count;
    const float *p = (const float *)before->captures[0].data + row, *q = (const float *)after->captures[0].data + row;
    double       p_lse = lse_of(p, count), q_lse = lse_of(q, count), kl = 0;
    const scry_steered *steered = &found->runs[0];
    for (int i = 0; i < count; i++) {
        double log_p = (double)p[i] - p_lse, log_q = (double)q[i] - q_lse;
        kl += exp(log_p) * (log_p - log_q);
        larger += exp(log_q) - exp(log_p) > (double)(steered->rises[6].after - steered->rises[6].before) + 1e-6;
    }
    cr_expect_float_eq(steered->kl, kl, 1e-5, "%g, not %g", (double)steered->kl, kl);
    cr_expect(larger <= 6 && steered->rise_count == 7 && steered->fall_count == 7, "%d rise more", larger);
    for (int i = 0; i < 7; i++) {
        const scry_shift *rise = &steered->rises[i], *fall = &steered->falls[i];
        cr_expect_float_eq(rise->before, exp((double)p[rise->id] - p_lse), 1e-6);
        cr_expect_float_eq(rise->after, exp((double)q[rise->id] - q_lse), 1e-6);
        cr_expect(rise->after > rise->before && fall->after < fall->before, "%d", i);
        if (i) cr_expect_geq(rise[-1].after - rise[-1].before, rise->after - rise->before, "%d", i);
        if (i) cr_expect_geq(fall[-1].before - fall[-1].after, fall->before - fall->after, "%d", i);
        cr_expect(rise->text && fall->text);
    }
    scry_trace_destroy(&after);
    scry_trace_destroy(&before);
    scry_steering_destroy(&found);
    trial_close(&trial);
}

/* The same numbers as a trace with the vector that the seed draws. */
Test(steer, random_vectors__are_read_one_by_one)
{
    static const float strength = 2;
    struct trial       trial;
    trial_open(&trial, "cpu", "llama");
    scry_steering *steering =
        steer(&trial, (scry_steer_options){.layer = 1, .strengths = &strength, .strength_count = 1, .seed = 3});
    float *vector = malloc((size_t)steering->size * sizeof *vector);
    double sum    = 0;
    for (int i = 0; i < steering->random_count; i++) {
        scry__steer_draw(vector, steering->size, steering->length, 3 + (uint64_t)i);
        const scry_edit edit   = {.hook   = "blocks.1.hook_resid_post",
                                  .kind   = SCRY_EDIT_ADD,
                                  .factor = strength,
                                  .values = {vector, 1, 1, steering->size}};
        scry_trace     *run    = trace(&trial, trial.f.ids, "logits", &edit, 1);
        int             count  = scry_model_get_info(trial.f.model)->vocabulary;
        const float    *logits = (const float *)run->captures[0].data + (size_t)(trial.f.id_count - 1) * (size_t)count;
        for (int j = 0; j < steering->followed_count; j++) {
            const scry_followed *token = &steering->followed[j];
            cr_expect_float_eq(token->random[i].logit, logits[token->id], 1e-5, "%d of vector %d", j, i);
            cr_expect_float_eq(token->random[i].probability, exp((double)logits[token->id] - lse_of(logits, count)),
                               1e-6);
        }
        sum += (double)steering->random_kls[i];
        scry_trace_destroy(&run);
    }
    cr_expect_float_eq(sum / steering->random_count, steering->runs[0].random_kl, 1e-6);
    free(vector);
    scry_steering_destroy(&steering);
    trial_close(&trial);
}

/* --- vectors --- */

Test(steer, vector__is_as_long_as_the_stream_where_asked)
{
    static const float strength = 1;
    struct trial       trial;
    trial_open(&trial, "cpu", "gpt2");
    scry_steer_options options = {.layer = LAYER, .strengths = &strength, .strength_count = 1};
    scry_steering     *raw     = steer(&trial, options);
    options.normalise          = true;
    scry_steering *made        = steer(&trial, options);
    options.normalise          = false;
    options.vector             = made->vector;
    scry_steering *given       = steer(&trial, options);
    cr_expect_float_eq(made->length, made->stream, 1e-6 * made->stream);
    cr_expect_eq(made->stream, raw->stream);
    for (int i = 0; i < raw->size; i++)
        cr_expect_float_eq((double)made->vector[i] / made->length, (double)raw->vector[i] / raw->length, 1e-6);
    cr_expect(same_bits(made->runs[0].generation, given->runs[0].generation));
    cr_expect_eq(made->runs[0].random_kl, given->runs[0].random_kl);
    options.seed         = 5;
    scry_steering *other = steer(&trial, options);
    cr_expect_neq(made->runs[0].random_kl, other->runs[0].random_kl);
    scry_steering_destroy(&other);
    scry_steering_destroy(&given);
    scry_steering_destroy(&made);
    scry_steering_destroy(&raw);
    trial_close(&trial);
}

/* The demo model's tokenizer puts a special token first, which a mean leaves out. */
Test(steer, pool__takes_the_last_position_or_all_that_are_not_special)
{
    static const scry_steer_prompt prompts[] = {{.text = "The capital of France is"}, {.text = "Madrid"}};
    enum { SIZE = 256 };
    double       expected[2][SIZE] = {{0}}, found[SIZE];
    scry_device *device            = NULL;
    scry_model  *model             = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_model_open(&model, device, SCRY_SOURCE_DIR "/models/demo", NULL), SCRY_OK, "%s",
                 scry_last_error());
    for (int p = 0; p < 2; p++) {
        scry_trace *run = NULL;
        cr_assert_eq(
            scry_trace_run(&run, model, prompts[p].text, &(scry_trace_options){.hooks = "blocks.2.hook_resid_pre"}),
            SCRY_OK);
        int          count = run->tokens->count;
        const float *rows  = run->captures[0].data;
        for (int t = 1; t < count; t++)
            for (int i = 0; i < SIZE; i++)
                expected[SCRY_STEER_POOL_MEAN][i] += (double)rows[t * SIZE + i] / (count - 1) / 2;
        for (int i = 0; i < SIZE; i++) expected[SCRY_STEER_POOL_LAST][i] += (double)rows[(count - 1) * SIZE + i] / 2;
        scry_trace_destroy(&run);
    }
    for (int pool = 0; pool < SCRY_STEER_POOL_COUNT; pool++) {
        cr_assert_eq(scry__steer_mean(found, model, "blocks.2.hook_resid_pre", prompts, 2, (scry_steer_pool)pool),
                     SCRY_OK);
        for (int i = 0; i < SIZE; i++) cr_expect_float_eq(found[i], expected[pool][i], 1e-9 * (1 + fabs(found[i])));
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

Test(steer, random_vectors__have_their_length_and_seed)
{
    float a[300], b[300];
    scry__steer_draw(a, 300, 7.5, 1);
    scry__steer_draw(b, 300, 7.5, 1);
    cr_expect_float_eq(scry__steer_length(a, 300), 7.5, 1e-5);
    cr_expect_arr_eq(a, b, sizeof a);
    scry__steer_draw(b, 300, 7.5, 2);
    cr_expect(memcmp(a, b, sizeof a));
}

/* --- calls --- */

struct counted {
    int64_t done, total, stop;
};

static bool count_steps(void *user, int64_t done, int64_t total)
{
    struct counted *counted = user;
    cr_expect(done > counted->done && (!counted->total || counted->total == total));
    counted->done  = done;
    counted->total = total;
    return !counted->stop || done < counted->stop;
}

Test(steer, progress__counts_to_the_end_and_stops)
{
    struct trial   trial;
    struct counted counted = {0};
    trial_open(&trial, "cpu", "llama");
    scry_steer_options options  = {.layer = LAYER, .progress = count_steps, .user = &counted};
    scry_steering     *steering = steer(&trial, options);
    cr_expect_eq(steering->count, 3);
    cr_expect_eq(counted.done, counted.total);
    scry_steering_destroy(&steering);
    options.ids         = trial.f.ids;
    options.id_count    = trial.f.id_count;
    options.plus        = &trial.plus;
    options.minus       = &trial.minus;
    options.plus_count  = 1;
    options.minus_count = 1;
    for (int64_t stop = 1; stop < counted.total; stop += 9) {
        struct counted until = {.stop = stop};
        options.user         = &until;
        cr_expect_eq(scry_steer(&steering, trial.f.model, NULL, &options), SCRY_STOPPED);
        cr_expect(until.done == stop && !steering, "%lld", (long long)until.done);
    }
    trial_close(&trial);
}

Test(steer, context__that_is_full_leaves_nothing_to_compare)
{
    static const float strength = 1;
    static int32_t     ids[128];
    struct counted     counted = {0};
    struct trial       trial;
    scry_steering     *steering = NULL;
    trial_open(&trial, "cpu", "llama");
    cr_assert_eq(scry_model_get_info(trial.f.model)->context, 128);
    scry_steer_options options = {.ids            = ids,
                                  .id_count       = 128,
                                  .plus           = &trial.plus,
                                  .minus          = &trial.minus,
                                  .plus_count     = 1,
                                  .minus_count    = 1,
                                  .strengths      = &strength,
                                  .strength_count = 1};
    options.progress           = count_steps;
    options.user               = &counted;
    cr_assert_eq(scry_steer(&steering, trial.f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    cr_expect(steering->runs[0].kl > 0 && steering->plain->step_count == 1);
    cr_expect_eq(counted.done, counted.total, "steps that were not needed");
    scry_steering_destroy(&steering);
    options.reach    = SCRY_STEER_REACH_GENERATED;
    options.progress = NULL;
    cr_expect_eq(scry_steer(&steering, trial.f.model, NULL, &options), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "positions from 128 on: expected 0 to 127"), "%s", scry_last_error());
    trial_close(&trial);
}

Test(steer, misuse__is_refused)
{
    static const scry_steer_prompt       empty;
    static float                         nothing[512], wrong[] = {1, NAN};
    static const scry_generation_options one = {.max_tokens = 1};
    static const struct {
        const char        *says;
        scry_steer_options options;
    } cases[] = {
        {"layer 3: expected 0 to 2", {.layer = 3, .vector = nothing}},
        {"layer -1", {.layer = -1, .vector = nothing}},
        {"site 2, pool 0", {.site = SCRY_STEER_SITE_COUNT, .vector = nothing}},
        {"reach 9", {.reach = (scry_steer_reach)9, .vector = nothing}},
        {"0 prompts to steer to and 0", {0}},
        {"strength 1 is nan", {.vector = nothing, .strengths = wrong, .strength_count = 2}},
        {"-1 tokens", {.vector = nothing, .top = -1}},
        {"0 strengths", {.vector = nothing, .strengths = wrong}},
        {"all zeros and has", {.vector = nothing, .strength_count = 2, .normalise = true}}, /* of those by default */
        {"-2 strengths", {.vector = nothing, .strengths = wrong, .strength_count = -2}},
        {"all zeros and has no direction", {.vector = nothing, .normalise = true}},
        {"one token is generated", {.vector = nothing, .reach = SCRY_STEER_REACH_GENERATED, .generation = &one}},
        {"positions from 99 on: expected 0 to",
         {.vector = nothing, .reach = SCRY_STEER_REACH_RANGE, .positions = {99, 0}}},
        {"positions 2:99: expected a part of",
         {.vector = nothing, .reach = SCRY_STEER_REACH_RANGE, .positions = {2, 99}}},
        {"plus: the prompt is empty", {.plus = &empty, .minus = &empty, .plus_count = 1, .minus_count = 1}},
    };
    struct trial trial;
    trial_open(&trial, "cpu", "gpt2");
    for (int i = 0; i < COUNT(cases); i++) {
        scry_steering     *steering = NULL;
        scry_steer_options options  = cases[i].options;
        options.ids                 = trial.f.ids;
        options.id_count            = trial.f.id_count;
        cr_expect_eq(scry_steer(&steering, trial.f.model, NULL, &options), SCRY_BAD_ARGUMENT, "%s", cases[i].says);
        cr_expect(strstr(scry_last_error(), cases[i].says), "%s: %s", cases[i].says, scry_last_error());
        cr_expect_null(steering);
    }
    trial_close(&trial);
}

Test(steer, run__survives_every_refused_allocation, .timeout = 60)
{
    static const float            strength = 1;
    const scry_generation_options run      = {.max_tokens = 1, .top = 1};
    struct refusals               refusals = {0};
    struct trial                  trial;
    trial_open(&trial, "reference", "llama");
    scry_steer_options options = {.ids            = trial.f.ids,
                                  .id_count       = 4,
                                  .plus           = &trial.plus,
                                  .minus          = &trial.minus,
                                  .plus_count     = 1,
                                  .minus_count    = 1,
                                  .layer          = LAYER,
                                  .strengths      = &strength,
                                  .strength_count = 1,
                                  .generation     = &run};
    while (refusals_next(&refusals)) {
        scry_steering *steering = NULL;
        scry_status    status   = scry_steer(&steering, trial.f.model, NULL, &options);
        refusals_check(&refusals, status, steering != NULL);
        scry_steering_destroy(&steering);
    }
    cr_expect_gt(refusals.refused, 100);
    trial_close(&trial);
}

/* Ablation: each part without itself against a trace with the same edits, on every family; and what is exactly nothing.
 */
#include "fixture.h"
#include "handmade.h"
#include "refusals.h"
#include "scry/ablate.h"
#include "scry/lens.h"
#include "scry/trace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char capital[] = "The capital of France is";

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(ablation, .init = use_plugins, .timeout = 120);

static scry_ablation *ablate(scry_model *model, const char *text, const scry_ablation_options *options)
{
    scry_ablation *ablation = NULL;
    cr_assert_eq(scry_ablation_run(&ablation, model, text, options), SCRY_OK, "%s", scry_last_error());
    return ablation;
}

/* --- against traces --- */

struct readout {
    double logit, log_probability, loss, kl;
};

static double lse_of(const float *logits, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += exp((double)logits[i]);
    return log(sum);
}

/* The numbers of a scry_ablated, from the logits of two whole passes. */
static struct readout compare(const float *without, const float *with, const int32_t *ids, int count, int vocabulary,
                              int position, int answer, int wrong)
{
    struct readout out = {0};
    const float   *a = with + position * vocabulary, *b = without + position * vocabulary;
    double         lse_a = lse_of(a, vocabulary), lse_b = lse_of(b, vocabulary);
    out.log_probability = (double)b[answer] - lse_b - (double)a[answer] + lse_a;
    out.logit           = (double)b[answer] - (double)a[answer] - (wrong < 0 ? 0 : (double)b[wrong] - (double)a[wrong]);
    for (int i = 0; i < vocabulary; i++)
        out.kl += exp((double)a[i] - lse_a) * ((double)a[i] - lse_a - (double)b[i] + lse_b);
    for (int row = 0; row + 1 < count; row++) {
        const float *now = without + row * vocabulary, *then = with + row * vocabulary;
        int32_t      next = ids[row + 1];
        out.loss += lse_of(now, vocabulary) - (double)now[next] - lse_of(then, vocabulary) + (double)then[next];
    }
    out.loss /= count - 1;
    return out;
}

static scry_trace *trace(scry_model *model, const int32_t *ids, int count, const char *hooks, const scry_edits *edits)
{
    scry_trace *out = NULL;
    cr_assert_eq(scry_trace_run(&out, model, NULL,
                                &(scry_trace_options){.ids = ids, .id_count = count, .hooks = hooks, .edits = edits}),
                 SCRY_OK, "%s", scry_last_error());
    return out;
}

static void expect_equal(const char *what, const scry_ablated *found, const struct readout *expected)
{
    cr_expect_float_eq(found->logit, expected->logit, 2 * PROMISE, "%s: logit %g, not %g", what, (double)found->logit,
                       expected->logit);
    cr_expect_float_eq(found->log_probability, expected->log_probability, 2 * PROMISE, "%s: log-probability %g, not %g",
                       what, (double)found->log_probability, expected->log_probability);
    cr_expect_float_eq(found->loss, expected->loss, 2 * PROMISE, "%s: loss %g, not %g", what, (double)found->loss,
                       expected->loss);
    cr_expect_float_eq(found->kl, expected->kl, 2 * PROMISE, "%s: kl %g, not %g", what, (double)found->kl,
                       expected->kl);
    cr_expect(found->changed, "%s", what);
}

/* Parts of layer 1 by edits as people write them. */
static const struct {
    scry_ablation_part part;
    int                head;
    const char        *edits[2];
} parts[] = {
    {SCRY_ABLATION_PART_HEAD, 1, {"blocks.1.attn.hook_z[head=1%s]=zero"}},
    {SCRY_ABLATION_PART_ATTENTION, -1, {"blocks.1.hook_attn_out%s=zero"}},
    {SCRY_ABLATION_PART_MLP, -1, {"blocks.1.hook_mlp_out%s=zero"}},
    {SCRY_ABLATION_PART_LAYER, -1, {"blocks.1.hook_attn_out%s=zero", "blocks.1.hook_mlp_out%s=zero"}},
};

/* The part's edits, at one position or, where that is -1, at all. */
static scry_edits *parse(scry_model *model, size_t part, int at)
{
    char        texts[2][80], range[32] = "";
    const char *all[]   = {texts[0], texts[1]};
    int         count   = parts[part].edits[1] ? 2 : 1;
    scry_edits *edits   = NULL;
    bool        of_head = parts[part].part == SCRY_ABLATION_PART_HEAD;
    if (at >= 0) snprintf(range, sizeof range, of_head ? ",pos=%d" : "[pos=%d]", at);
    for (int i = 0; i < count; i++) {
        const char *place = strstr(parts[part].edits[i], "%s");
        snprintf(texts[i], sizeof texts[i], "%.*s%s%s", (int)(place - parts[part].edits[i]), parts[part].edits[i],
                 range, place + 2);
    }
    cr_assert_eq(scry_edits_parse(&edits, model, all, count), SCRY_OK, "%s", scry_last_error());
    return edits;
}

static void check_zeros(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    enum { ANSWER = 3, WRONG = 5, AT = 2 };
    int         vocabulary = scry_model_get_info(f.model)->vocabulary, position = f.id_count - 3;
    scry_trace *whole = trace(f.model, f.ids, f.id_count, "logits", NULL);
    for (int at = -1; at <= AT; at += AT + 1) {
        scry_ablation *ablation = ablate(f.model, NULL,
                                         &(scry_ablation_options){.ids          = f.ids,
                                                                  .id_count     = f.id_count,
                                                                  .position     = position,
                                                                  .has_position = true,
                                                                  .answer       = {.id = ANSWER, .has_id = true},
                                                                  .wrong        = {.id = WRONG, .has_id = true},
                                                                  .at           = at,
                                                                  .has_at       = at >= 0});
        for (size_t i = 0; i < COUNT(parts); i++) {
            char           what[96];
            scry_edits    *edits    = parse(f.model, i, at);
            scry_trace    *without  = trace(f.model, f.ids, f.id_count, "logits", edits);
            struct readout expected = compare(without->captures[0].data, whole->captures[0].data, f.ids, f.id_count,
                                              vocabulary, position, ANSWER, WRONG);
            snprintf(what, sizeof what, "%s on %s: %s at %d", name, device, scry_ablation_part_text(parts[i].part), at);
            const scry_ablated *found =
                scry_ablation_find(ablation, SCRY_ABLATION_WAY_ZERO, parts[i].part, 1, parts[i].head);
            cr_assert(found, "%s", what);
            expect_equal(what, found, &expected);
            scry_trace_destroy(&without);
            scry_edits_destroy(&edits);
        }
        scry_ablation_destroy(&ablation);
    }
    scry_trace_destroy(&whole);
    fixture_close(&f);
}

Test(ablation, parts__are_what_a_trace_without_them_says)
{
    fixture_for_all(check_zeros);
}

static void check_some_zeros(const char *device, const char *name)
{
    if (!strcmp(name, "gpt2") || !strcmp(name, "qwen3")) check_zeros(device, name);
}

FIXTURES_ON_PLUGINS(ablation, parts, are_what_a_trace_without_them_says, false, check_some_zeros)

/* Without its last layer a model says what the logit lens reads before it. */
static void check_last_layer(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_lens              *lens   = NULL;
    int                     layers = scry_model_get_info(f.model)->layer_count, last = f.id_count - 1;
    const scry_token_choice token = {.id = 9, .has_id = true};
    cr_assert_eq(scry_lens_run(&lens, f.model, NULL,
                               &(scry_lens_options){.ids = f.ids, .id_count = f.id_count, .target = token}),
                 SCRY_OK, "%s", scry_last_error());
    scry_ablation *ablation =
        ablate(f.model, NULL,
               &(scry_ablation_options){.ids = f.ids, .id_count = f.id_count, .answer = token, .skip_loss = true});
    const scry_ablated *without =
        scry_ablation_find(ablation, SCRY_ABLATION_WAY_ZERO, SCRY_ABLATION_PART_LAYER, layers - 1, -1);
    double found = (double)ablation->answer.logit + (double)without->logit,
           read  = (double)scry_lens_at(lens, layers - 1, last)->target_logit;
    cr_expect_float_eq(found, read, PROMISE, "%s: %g, not %g", name, found, read);
    cr_expect(isnan(without->loss) && isnan(ablation->loss));
    scry_ablation_destroy(&ablation);
    scry_lens_destroy(&lens);
    fixture_close(&f);
}

Test(ablation, last_layer__leaves_what_the_lens_reads_before_it)
{
    fixture_for_all(check_last_layer);
}

/* --- what is exactly nothing --- */

static void expect_nothing(const char *what, const scry_ablation *ablation)
{
    for (int i = 0; i < ablation->count; i++) {
        const scry_ablated *one = &ablation->ablated[i];
        cr_expect(!one->changed && one->logit == 0 && one->log_probability == 0 && one->kl == 0 &&
                      (isnan(one->loss) || one->loss == 0),
                  "%s: %s of layer %d, head %d, by %s changes the logit by %g", what,
                  scry_ablation_part_text(one->part), one->layer, one->head, scry_ablation_way_text(one->way),
                  (double)one->logit);
    }
}

/* The mean over a lone token is what it has; and what comes behind the position cannot change it. */
static void check_nothing(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_ablation *lone = ablate(
                      f.model, NULL,
                      &(scry_ablation_options){.ids = f.ids, .id_count = 1, .ways = 1U << SCRY_ABLATION_WAY_MEAN}),
                  *behind = ablate(f.model, NULL,
                                   &(scry_ablation_options){.ids          = f.ids,
                                                            .id_count     = f.id_count,
                                                            .position     = 3,
                                                            .has_position = true,
                                                            .at           = 4,
                                                            .has_at       = true,
                                                            .skip_loss    = true});
    cr_expect_eq(lone->count, lone->layer_count * (lone->head_count + 3));
    expect_nothing(name, lone);
    expect_nothing(name, behind);
    scry_ablation_destroy(&behind);
    scry_ablation_destroy(&lone);
    fixture_close(&f);
}

Test(ablation, what_changes_nothing__is_exactly_nothing)
{
    fixture_for_all(check_nothing);
}

static void check_some_nothing(const char *device, const char *name)
{
    if (!strcmp(name, "gpt2") || !strcmp(name, "qwen3")) check_nothing(device, name);
}

FIXTURES_ON_PLUGINS(ablation, what_changes_nothing, is_exactly_nothing, false, check_some_nothing)

/* --- the demo model, which has a tokenizer --- */

struct demo {
    scry_device *device;
    scry_model  *model;
};

static void open_demo(struct demo *demo, const char *path)
{
    *demo = (struct demo){0};
    cr_assert_eq(scry_device_open(&demo->device, &(scry_device_options){.name = "cpu"}), SCRY_OK, "%s",
                 scry_last_error());
    cr_assert_eq(scry_model_open(&demo->model, demo->device, path, NULL), SCRY_OK, "%s", scry_last_error());
}

static void close_demo(struct demo *demo)
{
    scry_model_destroy(&demo->model);
    scry_device_destroy(&demo->device);
}

#define DEMO SCRY_SOURCE_DIR "/models/demo"

Test(ablation, resampling__from_the_prompt_itself_is_nothing)
{
    static const char *const prompts[] = {capital};
    struct demo              demo;
    open_demo(&demo, DEMO);
    scry_ablation *ablation = ablate(
        demo.model, capital,
        &(scry_ablation_options){.ways = 1U << SCRY_ABLATION_WAY_RESAMPLE, .prompts = prompts, .prompt_count = 1});
    cr_expect_str_eq(ablation->resampled, capital);
    expect_nothing("resampled", ablation);
    scry_ablation_destroy(&ablation);
    close_demo(&demo);
}

/* Means and samples are those of the edits; a prompt that is too short is not drawn. */
Test(ablation, means_and_samples__are_those_of_prompts)
{
    static const char *const prompts[] = {"The capital", "The Eiffel Tower is located in"};
    struct demo              demo;
    open_demo(&demo, DEMO);
    scry_tokens   *tokens   = NULL;
    scry_ablation *ablation = ablate(
        demo.model, capital, &(scry_ablation_options){.ways = 7, .prompts = prompts, .prompt_count = 2, .seed = 3});
    int answer = ablation->answer.id, vocabulary = scry_model_get_info(demo.model)->vocabulary;
    cr_expect_str_eq(ablation->resampled, prompts[1]);
    cr_expect_eq(ablation->mean_count, 2);
    cr_expect_eq(ablation->count, 3 * 6 * (8 + 3));
    cr_assert_eq(scry_tokens_create(&tokens, demo.model, capital, NULL, 0), SCRY_OK);
    scry_trace *whole = trace(demo.model, tokens->ids, tokens->count, "logits", NULL);
    for (int way = SCRY_ABLATION_WAY_MEAN; way <= SCRY_ABLATION_WAY_RESAMPLE; way++) {
        bool             mean   = way == SCRY_ABLATION_WAY_MEAN;
        scry_edit        edit   = {.hook = "blocks.0.hook_mlp_out"};
        const scry_edits edits  = {1, &edit};
        scry_edit_source source = {.sample       = mean ? SCRY_EDIT_SAMPLE_MEAN : SCRY_EDIT_SAMPLE_RESAMPLE,
                                   .prompts      = mean ? prompts : prompts + 1,
                                   .prompt_count = mean ? 2 : 1};
        cr_assert_eq(scry_edit_fill(&edit, 1, demo.model, &source), SCRY_OK, "%s", scry_last_error());
        scry_trace    *without  = trace(demo.model, tokens->ids, tokens->count, "logits", &edits);
        struct readout expected = compare(without->captures[0].data, whole->captures[0].data, tokens->ids,
                                          tokens->count, vocabulary, tokens->count - 1, answer, -1);
        expect_equal(scry_ablation_way_text((scry_ablation_way)way),
                     scry_ablation_find(ablation, (scry_ablation_way)way, SCRY_ABLATION_PART_MLP, 0, -1), &expected);
        scry_trace_destroy(&without);
        scry_free((void *)edit.values.data);
    }
    scry_trace_destroy(&whole);
    scry_tokens_destroy(&tokens);
    scry_ablation_destroy(&ablation);
    close_demo(&demo);
}

/* Both heads of the induction circuit are needed, and nothing else is. */
Test(ablation, induction_circuit__is_what_cannot_be_missed)
{
    enum { LENGTH = 12, GAMMA = 10 };
    char        path[HANDMADE_PATH];
    int32_t     ids[LENGTH + 2] = {0};
    struct demo made;
    handmade_induction(path, 10, GAMMA);
    for (int i = 0; i <= LENGTH; i++) ids[1 + i] = 1 + i % LENGTH * 5;
    open_demo(&made, path);
    scry_ablation *ablation =
        ablate(made.model, NULL,
               &(scry_ablation_options){.ids = ids, .id_count = COUNT(ids), .wrong = {.id = 63, .has_id = true}});
    cr_expect_eq(ablation->answer.id, ids[2]);
    for (int i = 0; i < ablation->count; i++) {
        const scry_ablated *one    = &ablation->ablated[i];
        bool                needed = one->part != SCRY_ABLATION_PART_MLP && one->head != 1;
        bool                met    = needed ? one->logit < -0.8F * GAMMA : fabsf(one->logit) < 0.01F;
        cr_expect(met, "%s %d.%d: %g", scry_ablation_part_text(one->part), one->layer, one->head, (double)one->logit);
    }
    scry_ablation_destroy(&ablation);
    close_demo(&made);
    handmade_remove(path);
}

/* --- calls --- */

Test(ablation, misuse__is_refused)
{
    static const int32_t     ids[]     = {1, 2, 3, 4, 5, 6, 7, 8};
    static const char *const prompts[] = {"The capital", "Spain"};
    static const struct {
        scry_ablation_options options;
        const char           *says;
    } cases[] = {
        {{.ids = ids, .id_count = 8, .position = 8, .has_position = true}, "position 8: expected 0 to 7"},
        {{.ids = ids, .id_count = 8, .at = 8, .has_at = true}, "ablation at position 8: expected 0 to 7"},
        {{.ids = ids, .id_count = 8, .ways = 8}, "ways 0x8"},
        {{.ids = ids, .id_count = 8, .ways = 4}, "resampling without prompts"},
        {{.ids = ids, .id_count = 8, .ways = 4, .prompts = prompts, .prompt_count = 2},
         "none of 2 prompts has 8 tokens"},
        {{.ids = ids, .id_count = 8, .wrong = {.id = -1, .has_id = true}}, "the wrong answer: target id -1"},
        {{.ids = NULL}, "empty"},
    };
    struct demo demo;
    open_demo(&demo, DEMO);
    for (size_t i = 0; i < COUNT(cases); i++) {
        scry_ablation *ablation = NULL;
        cr_expect_eq(scry_ablation_run(&ablation, demo.model, NULL, &cases[i].options), SCRY_BAD_ARGUMENT, "case %zu",
                     i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(ablation);
    }
    close_demo(&demo);
}

static bool stop(void *user, int64_t done, int64_t total)
{
    *(int64_t *)user = total;
    return done < 2;
}

Test(ablation, progress__stops_it)
{
    struct fixture f;
    int64_t        total    = 0;
    scry_ablation *ablation = NULL;
    fixture_open(&f, "cpu", "llama");
    cr_expect_eq(scry_ablation_run(
                     &ablation, f.model, NULL,
                     &(scry_ablation_options){.ids = f.ids, .id_count = f.id_count, .progress = stop, .user = &total}),
                 SCRY_STOPPED);
    cr_expect(!ablation && total > 2);
    fixture_close(&f);
}

Test(ablation, run__survives_every_refused_allocation)
{
    static const char *const prompts[] = {capital};
    struct demo              demo;
    struct refusals          refusals = {0};
    scry_ablation_options    options  = {
            .ways = 7, .prompts = prompts, .prompt_count = 1, .at = 4, .has_at = true, .skip_loss = true};
    open_demo(&demo, DEMO);
    scry_ablation *ablation =
        ablate(demo.model, capital, &options); /* what the model opens at its first use is there */
    scry_ablation_destroy(&ablation);
    while (refusals_next(&refusals)) {
        scry_status status = scry_ablation_run(&ablation, demo.model, capital, &options);
        refusals_check(&refusals, status, ablation != NULL);
        scry_ablation_destroy(&ablation);
    }
    cr_expect_gt(refusals.refused, 50);
    close_demo(&demo);
}

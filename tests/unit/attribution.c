/* Direct logit attribution: what contributions sum to, on every family; each of them against sums made from the
 * checkpoint; and what an edit does that freezes all else. */
#include "fixture.h"
#include "handmade.h"
#include "model/model.h"
#include "refusals.h"
#include "scry/attribute.h"
#include "scry/edit.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(attribution, .init = use_plugins);

static scry_attribution *attribute(const struct fixture *f, scry_attribution_options options)
{
    scry_attribution *attribution = NULL;
    options.ids                   = f->ids;
    options.id_count              = f->id_count;
    cr_assert_eq(scry_attribution_run(&attribution, f->model, NULL, &options), SCRY_OK, "%s: %s", f->name,
                 scry_last_error());
    return attribution;
}

static double value_of(const scry_attribution *attribution, scry_contribution_kind kind, int layer, int head)
{
    for (int i = 0; i < attribution->count; i++) {
        const scry_contribution *one = &attribution->contributions[i];
        if (one->kind == kind && one->layer == layer && one->head == head) return one->value;
    }
    cr_assert_fail("no %s of layer %d head %d", scry_contribution_text(kind), layer, head);
    return 0;
}

/* --- sums --- */

static void expect_sum(const struct fixture *f, const char *what, const scry_attribution *attribution)
{
    double sum = 0;
    for (int i = 0; i < attribution->count; i++) {
        const scry_contribution *one = &attribution->contributions[i];
        sum += one->value;
        cr_expect_float_eq(one->share * attribution->logit, one->value, 1e-9, "%s: %s: share %d", f->name, what, i);
    }
    cr_expect_float_eq(sum + attribution->residue, attribution->logit, 1e-9, "%s: %s", f->name, what);
    double most = fmin(attribution->bound, 2 * PROMISE); /* the bound is wide enough to hide small parts */
    cr_expect(fabs(attribution->residue) <= most, "%s: %s: residue %g, at most %g", f->name, what, attribution->residue,
              most);
}

/* The logits of a prompt's last position, to be freed. */
static float *last_logits(const struct fixture *f, int count)
{
    scry__session *session = fixture_session(f, (scry__session_options){.capacity = count});
    fixture_forward(session, f->ids, count, NULL);
    float *logits = fixture_logits(f, session, 1, count - 1, 1);
    scry__session_destroy(&session);
    return logits;
}

/* At the last position the likeliest token; at one before it a token, and the difference of two. */
static void check_sums(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_attribution_options options = {
        .position = f.id_count / 2, .has_position = true, .answer = {.id = 3, .has_id = true}};
    float                 *within = last_logits(&f, options.position + 1);
    const scry_model_info *info   = scry_model_get_info(f.model);
    scry_attribution      *last   = attribute(&f, (scry_attribution_options){0}), *one, *difference;
    const float           *logits = (const float *)(const void *)fixture_find(&f, "logits", 0)->data;
    one                           = attribute(&f, options);
    options.wrong.id              = 5;
    options.wrong.has_id          = true;
    difference                    = attribute(&f, options);
    expect_sum(&f, "the last position", last);
    expect_sum(&f, "a position within", one);
    expect_sum(&f, "a difference", difference);
    cr_expect_eq(last->position, f.id_count - 1);
    cr_expect(last->layer_count == info->layer_count && last->head_count == info->head_count);
    cr_expect_float_eq(one->logit, (double)within[3], PROMISE, "%s: %g", name, one->logit);
    cr_expect_float_eq(difference->logit, (double)within[3] - (double)within[5], PROMISE, "%s: %g", name,
                       difference->logit);
    logits += (f.id_count - 1) * info->vocabulary;
    for (int id = 0; id < info->vocabulary; id++)
        cr_expect_leq(logits[id], logits[last->answer.id], "%s: token %d is likelier", name, id);
    cr_expect_float_eq(last->logit, (double)logits[last->answer.id], PROMISE, "%s: %g", name, last->logit);
    free(within);
    scry_attribution_destroy(&difference);
    scry_attribution_destroy(&one);
    scry_attribution_destroy(&last);
    fixture_close(&f);
}

Test(attribution, contributions__sum_to_the_logit)
{
    fixture_for_all(check_sums);
}

static void check_one_sum(const char *device, const char *name)
{
    if (!strcmp(name, "gpt2")) check_sums(device, name);
}

FIXTURES_ON_PLUGINS(attribution, contributions, sum_to_the_logit, false, check_one_sum)

/* --- what no fixture has --- */

static void put_norms_behind(scry_model *model)
{
    model->arch.norm_after = true;
    for (int64_t i = 0; i < model->arch.layer_count; i++) {
        scry__layer_weights *layer = &model->weights.layers[i];
        layer->norm1_after         = layer->norm1;
        layer->norm2_after         = layer->norm2;
    }
}

static void norms_behind_only(scry_model *model)
{
    put_norms_behind(model);
    model->arch.norm_before = false;
}

static void scale_logits(scry_model *model)
{
    model->arch.logit_scale = 0.25;
}

/* A column of the unembedding serves as its bias. */
static void bias_unembedding(scry_model *model)
{
    scry_tensor *bias = &model->weights.unembedding_bias;
    *bias             = model->weights.unembedding;
    bias->rank        = 1;
}

static void no_final_norm(scry_model *model)
{
    model->weights.final_norm.kind = SCRY_NORM_NONE;
}

Test(attribution, contributions__sum_to_the_logit_of_other_architectures)
{
    static const struct {
        const char *name, *fixture;
        void (*change)(scry_model *model);
        scry_contribution_kind has;
    } cases[] = {
        {"norms behind", "llama", put_norms_behind, SCRY_CONTRIBUTION_MLP},
        {"norms behind with means and biases", "gpt2", put_norms_behind, SCRY_CONTRIBUTION_ATTENTION_BIAS},
        {"norms behind, parallel", "gpt_neox", put_norms_behind, SCRY_CONTRIBUTION_ATTENTION_BIAS},
        {"norms behind and none before", "qwen3", norms_behind_only, SCRY_CONTRIBUTION_MLP},
        {"scaled logits", "gpt2", scale_logits, SCRY_CONTRIBUTION_NORM_BIAS},
        {"a bias of the unembedding", "llama", bias_unembedding, SCRY_CONTRIBUTION_UNEMBEDDING_BIAS},
        {"no final norm", "qwen2", no_final_norm, SCRY_CONTRIBUTION_MLP},
    };
    static const char *const devices[] = {"reference", "cpu"};
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        struct fixture f;
        bool           found = false;
        fixture_open(&f, devices[i % 2], cases[i / 2].fixture);
        cases[i / 2].change(f.model);
        scry_attribution *attribution = attribute(&f, (scry_attribution_options){.wrong = {.id = 7, .has_id = true}});
        expect_sum(&f, cases[i / 2].name, attribution);
        for (int part = 0; part < attribution->count; part++)
            found = found || attribution->contributions[part].kind == cases[i / 2].has;
        cr_expect(found, "%s", cases[i / 2].name);
        scry_attribution_destroy(&attribution);
        fixture_close(&f);
    }
}

/* --- each part --- */

/* A checkpoint's tensor, which is f32. */
static const float *weight(const struct fixture *f, const char *format, int layer)
{
    char name[128];
    snprintf(name, sizeof name, format, layer);
    const scry__stored *stored = scry__safetensors_find(f->model->checkpoint, name);
    cr_assert(stored, "no %s", name);
    return (const float *)(const void *)stored->data;
}

/* gpt2's last position, from what a trace has of it and the checkpoint's own weights. */
struct direct {
    const struct fixture *f;
    scry_trace           *trace;
    int                   d, heads, size, answer, wrong;
    double                denominator;
    double                part[64]; /* [d], what is written */
};

static const float *captured(const struct direct *direct, const char *format, int layer)
{
    char name[64];
    snprintf(name, sizeof name, format, layer);
    const scry_capture *capture = scry_trace_find(direct->trace, name);
    cr_assert(capture, "no %s", name);
    return (const float *)capture->data + (direct->f->id_count - 1) * direct->d;
}

/* (part - mean) / denominator * weight . (the answer's row - the wrong one's) */
static double read_part(const struct direct *direct)
{
    const float *factors = weight(direct->f, "transformer.ln_f.weight", 0),
                *rows    = weight(direct->f, "transformer.wte.weight", 0);
    double mean = 0, sum = 0;
    for (int i = 0; i < direct->d; i++) mean += direct->part[i] / direct->d;
    for (int i = 0; i < direct->d; i++)
        sum += (direct->part[i] - mean) / direct->denominator * (double)factors[i] *
               ((double)rows[direct->answer * direct->d + i] - (double)rows[direct->wrong * direct->d + i]);
    return sum;
}

static void take(struct direct *direct, const float *values, const float *less)
{
    for (int i = 0; i < direct->d; i++) direct->part[i] = (double)values[i] - (less ? (double)less[i] : 0);
}

static void take_head(struct direct *direct, int layer, int head)
{
    const float *z       = captured(direct, "blocks.%d.attn.hook_z", layer) + head * direct->size;
    const float *outputs = weight(direct->f, "transformer.h.%d.attn.c_proj.weight", layer);
    for (int i = 0; i < direct->d; i++) {
        direct->part[i] = 0;
        for (int k = 0; k < direct->size; k++)
            direct->part[i] += (double)z[k] * (double)outputs[(head * direct->size + k) * direct->d + i];
    }
}

static void expect_part(const struct direct *direct, const scry_attribution *attribution, scry_contribution_kind kind,
                        int layer, int head)
{
    double found = value_of(attribution, kind, layer, head), expected = read_part(direct);
    cr_expect_float_eq(found, expected, 1e-5, "%s of layer %d head %d: %g, not %g", scry_contribution_text(kind), layer,
                       head, found, expected);
}

static void open_direct(struct direct *direct, struct fixture *f)
{
    fixture_open(f, "reference", "gpt2");
    *direct                    = (struct direct){.f = f, .d = 36, .heads = 3, .size = 12, .answer = 11, .wrong = 70};
    scry_trace_options options = {.ids      = f->ids,
                                  .id_count = f->id_count,
                                  .hooks    = "hook_embed,hook_pos_embed,*.hook_z,*.hook_mlp_out,*.hook_resid_post"};
    cr_assert_eq(scry_trace_run(&direct->trace, f->model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    const float *last = captured(direct, "blocks.%d.hook_resid_post", 2);
    double       mean = 0, square = 0;
    for (int i = 0; i < direct->d; i++) mean += (double)last[i] / direct->d;
    for (int i = 0; i < direct->d; i++) square += ((double)last[i] - mean) * ((double)last[i] - mean) / direct->d;
    direct->denominator = sqrt(square + 1e-5);
}

Test(attribution, contributions__are_those_that_the_checkpoint_gives)
{
    struct fixture f;
    struct direct  direct;
    open_direct(&direct, &f);
    scry_attribution *attribution =
        attribute(&f, (scry_attribution_options){.answer = {.id = direct.answer, .has_id = true},
                                                 .wrong  = {.id = direct.wrong, .has_id = true}});
    take(&direct, captured(&direct, "hook_embed", 0), NULL);
    expect_part(&direct, attribution, SCRY_CONTRIBUTION_EMBEDDING, -1, -1);
    take(&direct, captured(&direct, "hook_pos_embed", 0), NULL);
    expect_part(&direct, attribution, SCRY_CONTRIBUTION_POSITIONS, -1, -1);
    for (int layer = 0; layer < attribution->layer_count; layer++) {
        const float *mlp_bias = weight(&f, "transformer.h.%d.mlp.c_proj.bias", layer);
        for (int head = 0; head < direct.heads; head++) {
            take_head(&direct, layer, head);
            expect_part(&direct, attribution, SCRY_CONTRIBUTION_HEAD, layer, head);
        }
        take(&direct, weight(&f, "transformer.h.%d.attn.c_proj.bias", layer), NULL);
        expect_part(&direct, attribution, SCRY_CONTRIBUTION_ATTENTION_BIAS, layer, -1);
        take(&direct, mlp_bias, NULL);
        expect_part(&direct, attribution, SCRY_CONTRIBUTION_MLP_BIAS, layer, -1);
        take(&direct, captured(&direct, "blocks.%d.hook_mlp_out", layer), mlp_bias);
        expect_part(&direct, attribution, SCRY_CONTRIBUTION_MLP, layer, -1);
    }
    const float *bias = weight(&f, "transformer.ln_f.bias", 0), *rows = weight(&f, "transformer.wte.weight", 0);
    double       sum = 0;
    for (int i = 0; i < direct.d; i++)
        sum +=
            (double)bias[i] * ((double)rows[direct.answer * direct.d + i] - (double)rows[direct.wrong * direct.d + i]);
    cr_expect_float_eq(value_of(attribution, SCRY_CONTRIBUTION_NORM_BIAS, -1, -1), sum, 1e-9);
    cr_expect_eq(attribution->count, 2 + 3 * (3 + 3) + 1, "%d", attribution->count);
    scry_attribution_destroy(&attribution);
    scry_trace_destroy(&direct.trace);
    fixture_close(&f);
}

Test(attribution, difference__is_that_of_two_attributions)
{
    struct fixture f;
    fixture_open(&f, "cpu", "gpt_neox");
    scry_attribution_options options = {.answer = {.id = 9, .has_id = true}, .wrong = {.id = 31, .has_id = true}};
    scry_attribution        *both    = attribute(&f, options), *answer, *wrong;
    options.wrong.has_id             = false;
    answer                           = attribute(&f, options);
    options.answer.id                = 31;
    wrong                            = attribute(&f, options);
    cr_assert(both->count == answer->count && both->count == wrong->count);
    for (int i = 0; i < both->count; i++) {
        double difference = answer->contributions[i].value - wrong->contributions[i].value;
        cr_expect_float_eq(both->contributions[i].value, difference, 1e-12, "contribution %d", i);
    }
    cr_expect_eq(both->logit, answer->logit - wrong->logit);
    cr_expect(both->wrong.id == 31 && both->wrong.logit == wrong->answer.logit && !answer->has_wrong);
    scry_attribution_destroy(&wrong);
    scry_attribution_destroy(&answer);
    scry_attribution_destroy(&both);
    fixture_close(&f);
}

/* --- edits, traces, streams --- */

static scry_trace *trace(const struct fixture *f, const char *hooks, const scry_edit *edits, int count)
{
    scry_trace      *out = NULL;
    const scry_edits all = {count, edits};
    cr_assert_eq(
        scry_trace_run(&out, f->model, NULL,
                       &(scry_trace_options){.ids = f->ids, .id_count = f->id_count, .hooks = hooks, .edits = &all}),
        SCRY_OK, "%s: %s", f->name, scry_last_error());
    return out;
}

/* The last layer's heads, each without its z, while its MLP and the final denominator are held to what they were: the
 * logits lose the head's contribution and nothing else. */
static void check_edits(const char *device, const char *name)
{
    struct fixture f;
    char           z[64], mlp[64], hooks[160];
    fixture_open(&f, device, name);
    const scry_model_info *info = scry_model_get_info(f.model);
    size_t                 row  = (size_t)(f.id_count - 1) * (size_t)info->vocabulary;
    snprintf(z, sizeof z, "blocks.%d.attn.hook_z", info->layer_count - 1);
    snprintf(mlp, sizeof mlp, "blocks.%d.hook_mlp_out", info->layer_count - 1);
    snprintf(hooks, sizeof hooks, "%s,ln_final.hook_scale,logits", mlp);
    scry_trace       *whole       = trace(&f, hooks, NULL, 0);
    const float      *before      = (const float *)scry_trace_find(whole, "logits")->data + row;
    scry_attribution *attribution = attribute(
        &f, (scry_attribution_options){.answer = {.id = 2, .has_id = true}, .wrong = {.id = 4, .has_id = true}});
    for (int head = 0; head < info->head_count; head++) {
        const scry_edit edits[] = {
            {.hook = z, .heads = {UINT64_C(1) << head}},
            {.hook   = mlp,
             .kind   = SCRY_EDIT_REPLACE,
             .values = {scry_trace_find(whole, mlp)->data, f.id_count, 1, info->hidden_size}},
            {.hook   = "ln_final.hook_scale",
             .kind   = SCRY_EDIT_REPLACE,
             .values = {scry_trace_find(whole, "ln_final.hook_scale")->data, f.id_count, 1, 1}},
        };
        scry_trace  *without = trace(&f, "logits", edits, COUNT(edits));
        const float *after   = (const float *)scry_trace_find(without, "logits")->data + row;
        double       lost    = (double)before[2] - (double)before[4] - (double)after[2] + (double)after[4];
        double       share   = value_of(attribution, SCRY_CONTRIBUTION_HEAD, info->layer_count - 1, head);
        cr_expect_float_eq(lost, share, 2 * attribution->bound, "%s: head %d: %g, not %g", name, head, lost, share);
        scry_trace_destroy(&without);
    }
    scry_attribution_destroy(&attribution);
    scry_trace_destroy(&whole);
    fixture_close(&f);
}

Test(attribution, heads__are_what_the_logit_loses_without_them)
{
    fixture_for_all(check_edits);
}

/* Where a head looks is the largest weight of its row in the pattern. */
static void check_keys(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    size_t            keys = (size_t)f.id_count, heads = (size_t)scry_model_get_info(f.model)->head_count;
    scry_trace       *whole       = trace(&f, "blocks.*.attn.hook_pattern", NULL, 0);
    scry_attribution *attribution = attribute(&f, (scry_attribution_options){0});
    for (int i = 0; i < attribution->count; i++) {
        const scry_contribution *one = &attribution->contributions[i];
        if (one->kind != SCRY_CONTRIBUTION_HEAD) {
            cr_expect(one->key == -1 && isnan(one->weight), "%s: contribution %d", name, i);
            continue;
        }
        cr_assert(one->layer < whole->count && (size_t)one->head < heads);
        const float *row =
            (const float *)whole->captures[one->layer].data + ((size_t)one->head * keys + keys - 1) * keys;
        float largest = 0;
        for (size_t key = 0; key < keys; key++) largest = fmaxf(largest, row[key]);
        cr_assert(one->key >= 0 && (size_t)one->key < keys);
        cr_expect_float_eq(row[one->key], largest, 1e-6, "%s: head %d.%d: key %d", name, one->layer, one->head,
                           one->key);
        cr_expect_float_eq(one->weight, largest, 1e-6, "%s: head %d.%d", name, one->layer, one->head);
    }
    scry_attribution_destroy(&attribution);
    scry_trace_destroy(&whole);
    fixture_close(&f);
}

Test(attribution, heads__name_the_key_they_attend_to_most)
{
    fixture_for_all(check_keys);
}

/* Layers that take turns on the device are read as those that stay there. */
Test(attribution, contributions__of_streamed_layers_have_the_same_bits)
{
    static const int32_t ids[]           = {5, 17, 3, 99, 250, 7};
    scry_device         *device          = NULL;
    scry_attribution    *attributions[2] = {NULL, NULL};
    uint64_t             most            = 0;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < 2; i++) {
        scry_model *model = NULL;
        cr_assert_eq(scry_model_open(&model, device, SCRY_SOURCE_DIR "/models/demo",
                                     &(scry_model_options){.weight_memory = most}),
                     SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(scry_model_get_info(model)->streamed, i == 1);
        most = scry_model_get_info(model)->weight_bytes - 1;
        cr_assert_eq(scry_attribution_run(&attributions[i], model, NULL,
                                          &(scry_attribution_options){.ids = ids, .id_count = COUNT(ids)}),
                     SCRY_OK, "%s", scry_last_error());
        scry_model_destroy(&model);
    }
    cr_assert_eq(attributions[0]->count, attributions[1]->count);
    for (int i = 0; i < attributions[0]->count; i++)
        cr_expect_eq(attributions[0]->contributions[i].value, attributions[1]->contributions[i].value, "%d", i);
    for (int i = 0; i < 2; i++) scry_attribution_destroy(&attributions[i]);
    scry_device_destroy(&device);
}

/* --- a model made by hand --- */

/* A text said twice: its last token stood before, and head 1.0 writes what followed there, gamma times its weight on
 * that key. Nothing else writes a prediction. */
Test(attribution, induction_head__has_the_whole_logit)
{
    enum { LENGTH = 12, GAMMA = 10 };
    char              path[HANDMADE_PATH];
    int32_t           ids[LENGTH + 2] = {0};
    scry_device      *device          = NULL;
    scry_model       *model           = NULL;
    scry_attribution *attribution     = NULL;
    handmade_induction(path, 10, GAMMA);
    for (int i = 0; i <= LENGTH; i++) ids[1 + i] = 1 + i % LENGTH * 5;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_attribution_run(&attribution, model, NULL,
                                      &(scry_attribution_options){
                                          .ids = ids, .id_count = COUNT(ids), .wrong = {.id = 63, .has_id = true}}),
                 SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(attribution->answer.id, ids[2]);
    for (int i = 0; i < attribution->count; i++) {
        const scry_contribution *one     = &attribution->contributions[i];
        bool                     induces = one->layer == 1 && one->head == 0;
        cr_expect_float_eq(one->value, induces ? attribution->logit : 0, 0.01, "%s %d.%d: %g of %g",
                           scry_contribution_text(one->kind), one->layer, one->head, one->value, attribution->logit);
        if (induces) cr_expect(one->key == 2 && one->weight > 0.99F, "key %d: %g", one->key, (double)one->weight);
    }
    cr_expect_gt(attribution->logit, 0.99 * GAMMA);
    scry_attribution_destroy(&attribution);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    handmade_remove(path);
}

/* --- calls --- */

Test(attribution, misuse__is_refused)
{
    static const int32_t ids[] = {1, 2};
    static const struct {
        scry_attribution_options options;
        const char              *says;
    } cases[] = {
        {{.ids = ids, .id_count = 2, .position = 2, .has_position = true}, "position 2: expected 0 to 1"},
        {{.ids = ids, .id_count = 2, .position = -1, .has_position = true}, "position -1"},
        {{.ids = ids, .id_count = 2, .answer = {.id = 131, .has_id = true}},
         "the answer: target id 131: expected 0 to 130"},
        {{.ids = ids, .id_count = 2, .wrong = {.id = -1, .has_id = true}}, "the wrong answer: target id -1"},
        {{.ids = NULL}, "empty"},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t i = 0; i < COUNT(cases); i++) {
        scry_attribution *attribution = NULL;
        cr_expect_eq(scry_attribution_run(&attribution, f.model, NULL, &cases[i].options), SCRY_BAD_ARGUMENT,
                     "case %zu", i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(attribution);
    }
    fixture_close(&f);
}

Test(attribution, run__survives_every_refused_allocation)
{
    struct fixture  f;
    struct refusals refusals = {0};
    fixture_open(&f, "reference", "llama");
    put_norms_behind(f.model);
    scry_attribution_options options = {.ids = f.ids, .id_count = 10};
    while (refusals_next(&refusals)) {
        scry_attribution *attribution = NULL;
        scry_status       status      = scry_attribution_run(&attribution, f.model, NULL, &options);
        refusals_check(&refusals, status, attribution != NULL);
        scry_attribution_destroy(&attribution);
    }
    cr_expect_gt(refusals.refused, 20);
    fixture_close(&f);
}

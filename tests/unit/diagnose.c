/* Diagnoses: models broken on purpose are diagnosed rightly, and the healthy demo model is left alone. */
#include "scry/diagnose.h"
#include "checkpoint_edit.h"
#include "fixture.h"
#include "refusals.h"

#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEMO SCRY_SOURCE_DIR "/models/demo"

static const char capital[] = "The capital of France is";
static const char places[]  = "Anna put the key in the box. Bob put the coin in the drawer. The key is in the";

static scry_model *open_model(scry_device *device, const char *path)
{
    scry_model *model = NULL;
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    return model;
}

static scry_diagnosis *diagnose(scry_model *model, const char *text, scry_diagnose_options options)
{
    scry_diagnosis *result = NULL;
    cr_assert_eq(scry_diagnose_run(&result, model, text, &options), SCRY_OK, "%s: %s", text ? text : "ids",
                 scry_last_error());
    return result;
}

/* Every finding says all that it should, and every check how it ended. */
static void check_complete(const scry_diagnosis *result, const char *what)
{
    for (int i = 0; i < result->finding_count; i++) {
        const scry_finding *finding = &result->findings[i];
        cr_expect(finding->text && *finding->text && finding->advice && *finding->advice, "%s", what);
        cr_expect_gt(finding->evidence_count, 0, "%s: %s", what, finding->text);
        cr_expect_eq(result->checks[finding->kind].outcome, SCRY_OUTCOME_FINDING, "%s: %s", what, finding->text);
        if (i) cr_expect_geq(finding->kind, finding[-1].kind, "%s: causes first", what);
    }
    for (int kind = 0; kind < SCRY_DIAGNOSIS_COUNT; kind++)
        cr_expect(result->checks[kind].detail, "%s: %s", what, scry_diagnosis_text((scry_diagnosis_kind)kind));
}

/* --- The healthy model --- */

static const char *const ordinary[] = {
    capital,
    "Everyone knows that the capital of Senegal is", /* six turns, and then it ends by itself */
    "The Eiffel Tower is located in",
    "The Eiffel Tower is located in Paris. The Colosseum is located in",
    "The capital of Japan is",
    "The currency of Norway is the",
    places,
    "When Mary and John went to the store, John gave a drink to",
    "Sarah likes tea. Peter likes coffee. Sarah likes",
    "In this tale, the capital of France is Rome. In this tale, the capital of France is",
};

static void check_healthy(const char *device_name, int prompts)
{
    scry_device *device = device_open(device_name, SCRY_FALLBACK_STRICT);
    scry_model  *model  = open_model(device, DEMO);
    for (int i = 0; i < prompts; i++) {
        scry_diagnosis *result = diagnose(model, ordinary[i], (scry_diagnose_options){0});
        for (int k = 0; k < result->finding_count; k++)
            cr_expect_fail("%s on %s: %s", ordinary[i], device_name, result->findings[k].text);
        check_complete(result, ordinary[i]);
        for (int kind = 0; kind < SCRY_DIAGNOSIS_COUNT; kind++)
            cr_expect_eq(result->checks[kind].outcome,
                         kind == SCRY_DIAGNOSIS_CONTEXT ? SCRY_OUTCOME_NOT_APPLICABLE : SCRY_OUTCOME_CLEAR,
                         "%s: %s: %s", ordinary[i], scry_diagnosis_text((scry_diagnosis_kind)kind),
                         result->checks[kind].detail);
        scry_diagnosis_destroy(&result);
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

Test(diagnose, healthy_model__has_no_finding)
{
    check_healthy("cpu", sizeof ordinary / sizeof *ordinary);
    check_healthy("reference", 1);
}

/* --- Broken weights --- */

#define ALL_LAYERS (-2)

static const struct broken {
    const char         *what;
    checkpoint_edit     edit;
    const char         *text; /* NULL: the fixture's ids */
    scry_diagnosis_kind kind; /* of the findings: there is no other */
    scry_severity       severity;
    int                 layer; /* of the first finding; ALL_LAYERS: one finding for each */
    const char         *says;
} broken[] = {
    {"unscaled scores",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*q_proj*", "5.656854"},
     capital,
     SCRY_DIAGNOSIS_SCALE,
     SCRY_SEVERITY_ERROR,
     -1,
     "too large"},
    {"unscaled scores",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*k_proj*", "5.656854"},
     places,
     SCRY_DIAGNOSIS_SCALE,
     SCRY_SEVERITY_ERROR,
     -1,
     "too large"},
    {"scores scaled twice",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*q_proj*", "0.1767767"},
     places,
     SCRY_DIAGNOSIS_SCALE,
     SCRY_SEVERITY_ERROR,
     -1,
     "too small"},
    {"constant keys",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*k_proj*", "0"},
     capital,
     SCRY_DIAGNOSIS_UNIFORM,
     SCRY_SEVERITY_ERROR,
     ALL_LAYERS,
     "its keys are zero"},
    {"constant keys in one layer",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*layers.2.*k_proj*", "0"},
     places,
     SCRY_DIAGNOSIS_UNIFORM,
     SCRY_SEVERITY_ERROR,
     2,
     "its keys are zero"},
    {"no queries in one layer",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*layers.4.*q_proj*", "0"},
     places,
     SCRY_DIAGNOSIS_UNIFORM,
     SCRY_SEVERITY_ERROR,
     4,
     "its queries are zero"},
    {"keys that are a bias alone, under rotary positions",
     {"qwen2", SCALE_TENSORS, "*layers.1.*k_proj.weight", "0"},
     NULL,
     SCRY_DIAGNOSIS_UNIFORM,
     SCRY_SEVERITY_ERROR,
     1,
     "the same at every position"},
    {"keys that are a bias alone",
     {"gpt2", SCALE_TENSORS, "*h.0.attn.c_attn.weight", "0"},
     NULL,
     SCRY_DIAGNOSIS_UNIFORM,
     SCRY_SEVERITY_ERROR,
     0,
     "the same at every position"},
    {"a weight that is NaN",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*layers.3.mlp.down_proj.weight#5", "nan"},
     capital,
     SCRY_DIAGNOSIS_NOT_FINITE,
     SCRY_SEVERITY_ERROR,
     3,
     "384 of 98304 values of layers.3.mlp.down_proj.weight"},
    {"an overflow in the MLP",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*layers.2.mlp.*_proj.weight", "1e16"},
     capital,
     SCRY_DIAGNOSIS_NOT_FINITE,
     SCRY_SEVERITY_ERROR,
     2,
     "all that it reads is finite"},
    {"an overflow in an op that works in place",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*layers.2.mlp.up_proj.weight", "1e38"},
     capital,
     SCRY_DIAGNOSIS_NOT_FINITE,
     SCRY_SEVERITY_ERROR,
     2,
     "in the pass: all that it reads is finite"},
    {"an overflow behind which keys seem hidden",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*layers.2.mlp.up_proj.weight", "1e38"},
     places,
     SCRY_DIAGNOSIS_NOT_FINITE,
     SCRY_SEVERITY_ERROR,
     2,
     "in the pass: all that it reads is finite"},
    {"keys that grew in one layer",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*layers.3.*k_proj.weight", "200"},
     places,
     SCRY_DIAGNOSIS_COLLAPSE,
     SCRY_SEVERITY_WARNING,
     3,
     "of 8 heads"},
    {"no end of text",
     {DEMO_CHECKPOINT, SCALE_TENSORS, "*embed_tokens.weight#1", "0"},
     capital,
     SCRY_DIAGNOSIS_REPETITION,
     SCRY_SEVERITY_WARNING,
     5,
     "goes round in 7 tokens"},
};

static void check_broken(scry_device *device, const struct broken *row)
{
    char                  path[CHECKPOINT_PATH];
    static const int32_t  ids[]   = {3, 17, 5, 64, 9, 23, 88, 41};
    scry_diagnose_options options = {.ids = row->text ? NULL : ids, .id_count = 8};
    checkpoint_make(path, &row->edit);
    scry_model     *model  = open_model(device, path);
    scry_diagnosis *result = diagnose(model, row->text, options);
    int             layers = scry_model_get_info(model)->layer_count;
    check_complete(result, row->what);
    cr_assert_eq(result->finding_count, row->layer == ALL_LAYERS ? layers : 1, "%s: %d findings", row->what,
                 result->finding_count);
    for (int i = 0; i < result->finding_count; i++) {
        const scry_finding *finding = &result->findings[i];
        cr_expect_eq(finding->kind, row->kind, "%s: %s", row->what, finding->text);
        cr_expect_eq(finding->severity, row->severity, "%s: %s", row->what, finding->text);
        cr_expect_eq(finding->place.layer, row->layer == ALL_LAYERS ? i : row->layer, "%s: %s", row->what,
                     finding->text);
        cr_expect(strstr(finding->text, row->says), "%s: %s", row->what, finding->text);
    }
    scry_diagnosis_destroy(&result);
    scry_model_destroy(&model);
    checkpoint_remove(path);
}

Test(diagnose, broken_model__is_diagnosed_rightly)
{
    scry_device *device = device_open("cpu", SCRY_FALLBACK_STRICT);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) check_broken(device, &broken[i]);
    scry_device_destroy(&device);
}

static void check_on(const char *name)
{
    scry_device *device = device_need(name, NULL);
    check_broken(device, &broken[4]);
    check_broken(device, &broken[8]);
    scry_device_destroy(&device);
}

Test(diagnose, broken_model_on_opencl__is_diagnosed_alike, .timeout = 300)
{
    check_on("opencl:0");
}

Test(diagnose, broken_model_on_vulkan__is_diagnosed_alike, .timeout = 300)
{
    check_on("vulkan:0");
}

/* --- Broken masks --- */

/* A mask by rule: minus infinity (or `low`) where a query must not see a key. */
enum rule { CAUSAL, NONE, NEXT, STRICT, ROW_6, PADDED, WINDOW, SCATTERED };

static bool sees(enum rule rule, int query, int key)
{
    switch (rule) {
    case NONE:
        return true;
    case NEXT:
        return key <= query + 1;
    case STRICT:
        return key < query;
    case ROW_6:
        return key <= query && query != 6;
    case PADDED:
        return key <= query && (key == 0 || key > 2);
    case WINDOW:
        return key <= query && query - key < 4;
    case SCATTERED:
        return key <= query && (key == query || (query * 7 + key * 3) % 5);
    default:
        return key <= query;
    }
}

static const struct {
    enum rule   rule;
    float       low; /* 0: -inf */
    int         findings;
    const char *kind, *says; /* of the last finding */
} masks[] = {
    {CAUSAL, 0, 0, NULL, NULL},
    {CAUSAL, -1e9F, 0, NULL, NULL},
    {NONE, 0, 1, "mask", "there is no causal mask"},
    {NEXT, 0, 1, "mask", "queries see the key after their own"},
    {STRICT, 0, 2, "mask", "queries do not see their own key"},
    {ROW_6, 0, 1, "masked-row", "query 6 sees no key"},
    {ROW_6, -1e9F, 1, "masked-row", "large finite numbers"},
    {PADDED, 0, 1, "mask", "2 keys are hidden from all queries, the first is key 1"},
    {WINDOW, 0, 1, "mask", "the last 4 keys only"},
    {SCATTERED, 0, 1, "mask", "no simple rule"},
};

Test(diagnose, broken_mask__is_diagnosed_rightly)
{
    scry_device *device = device_open("cpu", SCRY_FALLBACK_STRICT);
    scry_model  *model  = open_model(device, DEMO);
    scry_tokens *tokens = NULL;
    cr_assert_eq(scry_tokens_create(&tokens, model, places, NULL, 0), SCRY_OK);
    int    count = tokens->count;
    float *mask  = calloc((size_t)count * (size_t)count, sizeof *mask);
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        for (int at = 0; at < count * count; at++)
            mask[at] = sees(masks[i].rule, at / count, at % count) ? 0 : masks[i].low != 0 ? masks[i].low : -INFINITY;
        scry_diagnosis *result =
            diagnose(model, places,
                     (scry_diagnose_options){.mask = mask, .mask_layers = 1, .mask_heads = 1, .mask_tokens = count});
        check_complete(result, places);
        int found = 0; /* what the mask does to the answer is behind them */
        while (found < result->finding_count && result->findings[found].kind <= SCRY_DIAGNOSIS_MASK) found++;
        if (!masks[i].findings) found = result->finding_count; /* but nothing is behind a mask that is right */
        cr_assert_eq(found, masks[i].findings, "row %zu: %d findings: %s", i, found,
                     found ? result->findings[0].text : "");
        if (found) {
            const scry_finding *last = &result->findings[found - 1];
            cr_expect_str_eq(scry_diagnosis_text(last->kind), masks[i].kind, "row %zu", i);
            cr_expect(strstr(last->text, masks[i].says), "row %zu: %s", i, last->text);
        }
        scry_diagnosis_destroy(&result);
    }
    mask[count + 1]        = NAN;
    scry_diagnosis *result = diagnose(
        model, places, (scry_diagnose_options){.mask = mask, .mask_layers = 1, .mask_heads = 1, .mask_tokens = count});
    cr_assert_geq(result->finding_count, 1);
    cr_expect_eq(result->findings[0].kind, SCRY_DIAGNOSIS_NOT_FINITE);
    cr_expect(strstr(result->findings[0].text, "values of additive"), "%s", result->findings[0].text);
    scry_diagnosis_destroy(&result);
    free(mask);
    scry_tokens_destroy(&tokens);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

Test(diagnose, mask__without_the_window_of_a_layer_is_found)
{
    struct fixture f;
    fixture_open(&f, "cpu", "mistral");
    int    count = f.id_count;
    float *mask  = calloc((size_t)count * (size_t)count, sizeof *mask);
    for (int at = 0; at < count * count; at++) mask[at] = sees(CAUSAL, at / count, at % count) ? 0 : -INFINITY;
    scry_diagnose_options options = {.ids = f.ids, .id_count = count, .max_tokens = -1};
    scry_diagnosis       *own     = diagnose(f.model, NULL, options);
    options.mask                  = mask;
    options.mask_layers = options.mask_heads = 1;
    options.mask_tokens                      = count;
    scry_diagnosis *wide                     = diagnose(f.model, NULL, options);
    cr_expect_eq(own->checks[SCRY_DIAGNOSIS_MASK].outcome, SCRY_OUTCOME_CLEAR);
    cr_assert_geq(wide->finding_count, 1);
    cr_expect_eq(wide->findings[0].kind, SCRY_DIAGNOSIS_MASK);
    cr_expect(strstr(wide->findings[0].text, "behind the window of"), "%s", wide->findings[0].text);
    scry_diagnosis_destroy(&own);
    scry_diagnosis_destroy(&wide);
    free(mask);
    fixture_close(&f);
}

/* --- Contexts and answers --- */

#define FILLER                                                                                                         \
    "Sarah likes tea. Peter likes coffee. Mary put the hat in the bag. John put the ball in the case. The capital of " \
    "France is Paris. The capital of Japan is Tokyo. Sarah went to the park. Peter went to the school. "

static const struct {
    const char *text, *context;
    const char *says;         /* of the context's finding; NULL: it is used */
    bool        hallucinates; /* there are signs of a made-up answer, too */
} contexts[] = {
    {places, "Anna put the key in the box.", NULL, false},
    {places, "Bob put the coin in the drawer.", "distracted", false},
    {"In this tale, the capital of France is Rome. In this tale, the capital of France is", "is Rome", NULL, false},
    {"Brazil is a country in South America. The capital of Japan is", "Brazil is a country in South America.",
     "seen but not attended", true},
    {"When Mary and John went to the store, John gave a drink to", "Mary", NULL, false},
    {"Anna put the key in the box. " FILLER FILLER FILLER FILLER FILLER FILLER "The key is in the",
     "Anna put the key in the box.", "position", true},
    {"The capital of Zorbia is", NULL, NULL, true},
    {"The Blue Tower is located in", NULL, NULL, true},
    {"red box tea moon Paris red box tea moon", NULL, NULL, false},
    {"cat. The capital of Japan is", NULL, NULL, false}, /* odd only in how it begins */
};

Test(diagnose, context_and_answer__are_told_apart)
{
    scry_device *device = device_open("cpu", SCRY_FALLBACK_STRICT);
    scry_model  *model  = open_model(device, DEMO);
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        scry_diagnosis *result =
            diagnose(model, contexts[i].text, (scry_diagnose_options){.context = contexts[i].context});
        const scry_check *checks = result->checks;
        check_complete(result, contexts[i].text);
        cr_expect_eq(checks[SCRY_DIAGNOSIS_CONTEXT].outcome,
                     !contexts[i].context ? SCRY_OUTCOME_NOT_APPLICABLE
                     : contexts[i].says   ? SCRY_OUTCOME_FINDING
                                          : SCRY_OUTCOME_CLEAR,
                     "row %zu: %s", i, checks[SCRY_DIAGNOSIS_CONTEXT].detail);
        if (contexts[i].says && result->finding_count)
            cr_expect(strstr(result->findings[0].text, contexts[i].says), "row %zu: %s", i, result->findings[0].text);
        cr_expect_eq(checks[SCRY_DIAGNOSIS_HALLUCINATION].outcome == SCRY_OUTCOME_FINDING, contexts[i].hallucinates,
                     "row %zu: %s", i, checks[SCRY_DIAGNOSIS_HALLUCINATION].detail);
        scry_diagnosis_destroy(&result);
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

/* --- Loops --- */

static const struct {
    const char            *text;
    int                    max_tokens;
    scry_diagnosis_outcome outcome;
} loops[] = {
    {capital, 23, SCRY_OUTCOME_CLEAR}, /* 20 of them repeat what stood 7 before: less than three turns more */
    {capital, 24, SCRY_OUTCOME_FINDING},
    {capital, 256, SCRY_OUTCOME_FINDING}, /* past what it was trained on, the loop falls apart again */
    {capital, 11, SCRY_OUTCOME_NOT_APPLICABLE},
    {"red box tea moon Paris red box tea moon", 64, SCRY_OUTCOME_CLEAR}, /* as the prompt asks */
};

Test(diagnose, loop__counts_from_its_fourth_turn)
{
    static const checkpoint_edit endless = {DEMO_CHECKPOINT, SCALE_TENSORS, "*embed_tokens.weight#1", "0"};
    char                         path[CHECKPOINT_PATH];
    checkpoint_make(path, &endless);
    scry_device *device = device_open("cpu", SCRY_FALLBACK_STRICT);
    scry_model  *model  = open_model(device, path);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        scry_diagnosis *result =
            diagnose(model, loops[i].text, (scry_diagnose_options){.max_tokens = loops[i].max_tokens});
        const scry_check *check = &result->checks[SCRY_DIAGNOSIS_REPETITION];
        cr_expect_eq(check->outcome, loops[i].outcome, "row %zu: %s", i, check->detail);
        scry_diagnosis_destroy(&result);
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    checkpoint_remove(path);
}

/* --- Edges --- */

Test(diagnose, context__is_found_by_its_bytes)
{
    static const struct {
        const char *context;
        scry_range  tokens;
    } cases[] = {
        {"The", {1, 2}},  {" capital", {2, 3}},   {"capital", {2, 3}},   {"pit", {2, 3}},
        {"al o", {2, 4}}, {" of France", {3, 5}}, {"France is", {4, 6}}, {"The capital of France is", {1, 6}},
    };
    scry_device *device = device_open("cpu", SCRY_FALLBACK_STRICT);
    scry_model  *model  = open_model(device, DEMO);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_diagnosis *result =
            diagnose(model, capital, (scry_diagnose_options){.context = cases[i].context, .max_tokens = -1});
        cr_expect_eq(result->context.begin, cases[i].tokens.begin, "%s", cases[i].context);
        cr_expect_eq(result->context.end, cases[i].tokens.end, "%s", cases[i].context);
        scry_diagnosis_destroy(&result);
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

Test(diagnose, short_and_monotonous_prompts__show_too_little)
{
    static const int32_t ids[]  = {7, 7, 7, 7, 7, 7};
    scry_device         *device = device_open("cpu", SCRY_FALLBACK_STRICT);
    scry_model          *model  = open_model(device, DEMO);
    for (int count = 1; count <= 6; count++) {
        scry_diagnosis *result =
            diagnose(model, NULL, (scry_diagnose_options){.ids = ids, .id_count = count, .max_tokens = -1});
        check_complete(result, "sevens");
        cr_expect_eq(result->checks[SCRY_DIAGNOSIS_UNIFORM].outcome, SCRY_OUTCOME_NOT_APPLICABLE, "%d", count);
        cr_expect_eq(result->checks[SCRY_DIAGNOSIS_REPETITION].outcome, SCRY_OUTCOME_NOT_APPLICABLE, "%d", count);
        scry_diagnosis_destroy(&result);
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

Test(diagnose, misuse__is_refused)
{
    static const float zero;
    static const struct {
        scry_diagnose_options options;
        const char           *says;
    } cases[] = {
        {{.context = "Berlin"}, "context \"Berlin\": expected a part of the prompt"},
        {{.context = ""}, "expected a part of the prompt"},
        {{.context_tokens = {2, 2}}, "context tokens 2 to 2"},
        {{.context_tokens = {-1, 2}}, "context tokens -1 to 2"},
        {{.context_tokens = {2, 7}}, "expected a range within 0 to 6"},
        {{.mask = &zero, .mask_layers = 1, .mask_heads = 1, .mask_tokens = 5}, "mask of 5 tokens: expected 6"},
        {{.mask = &zero, .mask_layers = 2, .mask_heads = 1, .mask_tokens = 6},
         "mask of 2 layers and 1 heads: expected 1 or 6, and 1 or 8"},
        {{.mask = &zero, .mask_layers = 1, .mask_tokens = 6}, "mask of 1 layers and 0 heads"},
    };
    scry_device *device = device_open("cpu", SCRY_FALLBACK_STRICT);
    scry_model  *model  = open_model(device, DEMO);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_diagnosis *result = NULL;
        cr_expect_eq(scry_diagnose_run(&result, model, capital, &cases[i].options), SCRY_BAD_ARGUMENT, "case %zu", i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(result);
    }
    scry_diagnosis_destroy(NULL);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

Test(diagnose, run__survives_every_refused_allocation)
{
    struct fixture  f;
    struct refusals refusals = {0};
    fixture_open(&f, "reference", "llama");
    scry_diagnose_options options = {.ids = f.ids, .id_count = 6, .context_tokens = {1, 3}, .max_tokens = 12};
    while (refusals_next(&refusals)) {
        scry_diagnosis *result = NULL;
        scry_status     status = scry_diagnose_run(&result, f.model, NULL, &options);
        refusals_check(&refusals, status, result != NULL);
        scry_diagnosis_destroy(&result);
    }
    cr_expect_gt(refusals.refused, 100);
    fixture_close(&f);
}

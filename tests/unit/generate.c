/* Generation and prompts: candidates, sampling, stops, texts, misuse. */
#include "checkpoint_edit.h"
#include "fixture.h"

#include "base/alloc.h"
#include "base/file.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static scry_generation *generate(const struct fixture *fixture, scry_generation_options options)
{
    scry_generation *generation = NULL;
    options.ids                 = fixture->ids;
    options.id_count            = fixture->id_count;
    cr_assert_eq(scry_generate(&generation, fixture->model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    return generation;
}

/* The first step against the last row of logits that transformers computed. Logits within 5e-5 move a log-sum-exp by no
 * more than that, a probability by twice that relatively, and the entropy by at most 2 * 5e-5 * (ln V + 1). */
Test(generate, candidates__are_the_softmax_of_the_logits)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    const scry__stored *stored     = fixture_find(&f, "logits", 0);
    int                 vocabulary = (int)stored->shape[1];
    const float        *logits     = (const float *)(const void *)stored->data + (f.id_count - 1) * vocabulary;
    double              sum = 0.0, entropy = 0.0;
    for (int i = 0; i < vocabulary; i++) sum += exp((double)logits[i]);
    for (int i = 0; i < vocabulary; i++) entropy += exp((double)logits[i]) / sum * (log(sum) - (double)logits[i]);
    scry_generation *generation = generate(&f, (scry_generation_options){.max_tokens = 1, .top = 12});
    const scry_step *step       = &generation->steps[0];
    cr_expect_eq(generation->top_count, 12);
    cr_expect(fabs((double)step->lse - log(sum)) <= 6e-5, "lse %g", (double)step->lse);
    cr_expect(fabs((double)step->entropy - entropy) <= 1e-4 * (log(vocabulary) + 1.0), "entropy %g",
              (double)step->entropy);
    for (int i = 0; i < 12; i++) {
        const scry_candidate *candidate = &step->top[i];
        double                logit     = (double)logits[candidate->id];
        cr_expect(fabs((double)candidate->logit - logit) <= 5e-5, "candidate %d", i);
        cr_expect(fabs((double)candidate->probability - exp(logit) / sum) <= 2e-4 * exp(logit) / sum, "candidate %d",
                  i);
        if (i) cr_expect_geq(step->top[i - 1].logit, candidate->logit, "candidate %d", i);
    }
    cr_expect_eq(step->chosen.id, step->top[0].id);
    scry_generation_destroy(&generation);
    fixture_close(&f);
}

/* softmax(logits / temperature) of the same candidates, against transformers' logits; close to 0 and far up, what it
 * tends to. */
Test(generate, temperatures__sharpen_and_flatten_the_same_logits)
{
    static const float temperatures[] = {1e-3F, 0.5F, 1, 3, 1e6F};
    enum { COUNT = sizeof temperatures / sizeof *temperatures, TOP = 4 };
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    const scry__stored *stored     = fixture_find(&f, "logits", 0);
    int                 vocabulary = (int)stored->shape[1];
    const float        *logits     = (const float *)(const void *)stored->data + (f.id_count - 1) * vocabulary;
    scry_generation    *generation =
        generate(&f, (scry_generation_options){
                         .max_tokens = 1, .top = TOP, .temperatures = temperatures, .temperature_count = COUNT});
    const scry_step *step = &generation->steps[0];
    cr_assert_eq(generation->temperature_count, COUNT);
    for (int t = 0; t < COUNT; t++) {
        const scry_tempered *tempered = &step->tempered[t];
        double               sum = 0, entropy = 0, heat = (double)temperatures[t], best = (double)step->top[0].logit;
        for (int i = 0; i < vocabulary; i++) sum += exp(((double)logits[i] - best) / heat);
        for (int i = 0; i < vocabulary; i++) {
            double p = exp(((double)logits[i] - best) / heat) / sum;
            if (p > 0) entropy -= p * log(p);
        }
        cr_expect_eq(tempered->temperature, temperatures[t]);
        cr_expect(fabs((double)tempered->entropy - entropy) <= 1e-3 * (1 + entropy), "at %g: entropy %g, expected %g",
                  heat, (double)tempered->entropy, entropy);
        for (int i = 0; t && i < TOP; i++) {
            double p = exp(((double)logits[step->top[i].id] - best) / heat) / sum;
            cr_expect(fabs((double)tempered->probabilities[i] - p) <= 1e-3 * p, "at %g: candidate %d", heat, i);
        }
    }
    cr_expect_float_eq(step->tempered[2].entropy, step->entropy, 1e-5);
    cr_expect_float_eq(step->tempered[2].probabilities[0], step->top[0].probability, 1e-6);
    cr_expect_eq(step->tempered[0].sureness, SCRY_SURENESS_TOO_SURE);
    cr_expect_eq(step->tempered[COUNT - 1].sureness, SCRY_SURENESS_TOO_FLAT);
    cr_expect_float_eq(step->tempered[COUNT - 1].entropy, (float)log(vocabulary), 1e-4);
    scry_generation_destroy(&generation);
    fixture_close(&f);
}

Test(generate, sureness__goes_by_the_number_of_choices)
{
    static const struct {
        double        choices;
        int           vocabulary;
        scry_sureness sureness;
    } cases[] = {
        {1, 50257, SCRY_SURENESS_TOO_SURE},   {1.009, 50257, SCRY_SURENESS_TOO_SURE},
        {1.011, 50257, SCRY_SURENESS_USUAL},  {224, 50257, SCRY_SURENESS_USUAL},
        {225, 50257, SCRY_SURENESS_TOO_FLAT}, {50257, 50257, SCRY_SURENESS_TOO_FLAT},
        {1, 1, SCRY_SURENESS_TOO_SURE},       {2, 2, SCRY_SURENESS_TOO_FLAT},
        {NAN, 50257, SCRY_SURENESS_USUAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(scry_sureness_of((float)log(cases[i].choices), cases[i].vocabulary), cases[i].sureness, "case %zu",
                     i);
    cr_expect_str_eq(scry_sureness_text(SCRY_SURENESS_TOO_SURE), "too sure");
    cr_expect_str_eq(scry_sureness_text(SCRY_SURENESS_TOO_FLAT), "too flat");
}

Test(generate, logits__that_are_not_finite_end_it)
{
    static const int32_t ids[]   = {1, 2};
    const float          nothing = NAN;
    char                 path[CHECKPOINT_PATH], weights[CHECKPOINT_PATH + 32];
    scry_device         *device = NULL;
    scry_model          *model  = NULL;
    checkpoint_make(path, &(checkpoint_edit){.fixture = "llama", .action = INTACT});
    snprintf(weights, sizeof weights, "%s/model.safetensors", path);
    FILE *file = fopen(weights, "r+b"); /* the last weight is the final norm's */
    cr_assert(file && !fseek(file, -4, SEEK_END) && fwrite(&nothing, 4, 1, file) == 1 && !fclose(file));
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK);
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < 2; i++) {
        scry_generation        *generation = NULL;
        scry_generation_options options    = {.ids = ids, .id_count = 2, .temperature = (float)i};
        cr_assert_eq(scry_generate(&generation, model, NULL, &options), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(generation->step_count, 0);
        cr_expect_str_eq(generation->stop_reason, "not finite");
        cr_expect_str_eq(generation->text, "");
        scry_generation_destroy(&generation);
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    checkpoint_remove(path);
}

Test(generate, sampling__depends_on_the_seed_alone)
{
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    scry_generation_options options = {.max_tokens = 16, .temperature = 1.5f, .seed = 7, .ignore_end = true};
    scry_generation        *first = generate(&f, options), *again = generate(&f, options);
    options.seed           = 8;
    scry_generation *other = generate(&f, options);
    int              same = 0, differing = 0;
    for (int i = 0; i < 16; i++) {
        same += first->steps[i].chosen.id == again->steps[i].chosen.id;
        differing += first->steps[i].chosen.id != other->steps[i].chosen.id;
    }
    cr_expect_eq(same, 16);
    cr_expect_gt(differing, 0);
    scry_generation_destroy(&first);
    scry_generation_destroy(&again);
    scry_generation_destroy(&other);
    fixture_close(&f);
}

Test(generate, sampling__near_zero_temperature_is_greedy)
{
    struct fixture f;
    fixture_open(&f, "cpu", "qwen3");
    const scry__stored *stored     = fixture_find(&f, "generated", 0);
    const int32_t      *expected   = (const int32_t *)(const void *)stored->data;
    scry_generation    *generation = generate(
           &f, (scry_generation_options){.max_tokens = (int)stored->shape[0], .temperature = 1e-4f, .ignore_end = true});
    for (int i = 0; i < generation->step_count; i++) cr_expect_eq(generation->steps[i].chosen.id, expected[i]);
    scry_generation_destroy(&generation);
    fixture_close(&f);
}

/* 1,000 seeds against the distribution at temperature 2, by chi-square over tokens expected at least 5 times, the rest
 * in one bin. The seeds are fixed, so the outcome is; 99.9% of honest samplers stay below mean + 3.5 deviations. */
Test(generate, sampling__follows_the_distribution)
{
    enum { DRAWS = 1000, VOCABULARY = 131 };
    static int     counts[VOCABULARY];
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    const float *logits = (const float *)(const void *)fixture_find(&f, "logits", 0)->data;
    double       sum = 0.0, statistic = 0.0, rest = 0.0;
    int          bins = 0, rest_count = 0;
    for (int i = 0; i < VOCABULARY; i++) sum += exp((double)logits[i] / 2.0);
    for (int seed = 0; seed < DRAWS; seed++) {
        scry_generation        *generation = NULL;
        scry_generation_options options    = {
               .ids = f.ids, .id_count = 1, .max_tokens = 1, .temperature = 2.0f, .seed = (uint64_t)seed};
        cr_assert_eq(scry_generate(&generation, f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
        counts[generation->steps[0].chosen.id]++;
        scry_generation_destroy(&generation);
    }
    for (int i = 0; i < VOCABULARY; i++) {
        double expected = DRAWS * exp((double)logits[i] / 2.0) / sum;
        if (expected >= 5.0) {
            statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
            bins++;
        } else {
            rest += expected;
            rest_count += counts[i];
        }
    }
    if (rest > 0.0) statistic += (rest_count - rest) * (rest_count - rest) / rest;
    cr_expect_gt(bins, 20);
    cr_expect_lt(statistic, bins + 3.5 * sqrt(2.0 * bins), "chi-square %g with %d degrees of freedom", statistic, bins);
    fixture_close(&f);
}

static bool stop_at_three(void *user, const scry_step *step)
{
    int *calls = user;
    cr_expect(step->chosen.text && step->top[0].text);
    return ++*calls < 3;
}

Test(generate, top__is_cut_to_the_vocabulary)
{
    struct fixture f;
    fixture_open(&f, "cpu", "gpt2");
    int              vocabulary = scry_model_get_info(f.model)->vocabulary;
    scry_generation *generation = generate(&f, (scry_generation_options){.max_tokens = 1, .top = SCRY_MAX_TOP});
    cr_expect_eq(generation->top_count, vocabulary < SCRY_MAX_TOP ? vocabulary : SCRY_MAX_TOP);
    scry_generation_destroy(&generation);
    fixture_close(&f);
}

Test(generate, stops__say_why)
{
    struct fixture f;
    int            calls = 0;
    fixture_open(&f, "cpu", "gpt2"); /* context 40, prompt 23 */
    const int32_t   *expected   = (const int32_t *)(const void *)fixture_find(&f, "generated", 0)->data;
    scry_generation *generation = generate(&f, (scry_generation_options){.max_tokens = 4, .ignore_end = true});
    cr_expect_str_eq(generation->stop_reason, "length");
    cr_expect_eq(generation->step_count, 4);
    scry_generation_destroy(&generation);

    generation = generate(&f, (scry_generation_options){.max_tokens = 1000000000, .ignore_end = true});
    cr_expect_str_eq(generation->stop_reason, "context");
    cr_expect_eq(generation->step_count, 40 - f.id_count + 1, "%d steps", generation->step_count);
    scry_generation_destroy(&generation);

    generation = generate(&f, (scry_generation_options){.on_step = stop_at_three, .user = &calls, .ignore_end = true});
    cr_expect_str_eq(generation->stop_reason, "caller");
    cr_expect_eq(generation->step_count, 3);
    scry_generation_destroy(&generation);

    char            path[CHECKPOINT_PATH], config[64];
    scry_model     *model = NULL;
    checkpoint_edit edit  = {"gpt2", WRITE, "generation_config.json", config};
    snprintf(config, sizeof config, "{\"eos_token_id\": [999, %d]}", expected[1]);
    checkpoint_make(path, &edit);
    cr_assert_eq(scry_model_open(&model, f.device, path, NULL), SCRY_OK, "%s", scry_last_error());
    scry_generation_options options = {.ids = f.ids, .id_count = f.id_count};
    cr_assert_eq(scry_generate(&generation, model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    cr_expect_str_eq(generation->stop_reason, "end of text");
    cr_expect_eq(generation->step_count, 2);
    scry_generation_destroy(&generation);
    scry_model_destroy(&model);
    checkpoint_remove(path);
    fixture_close(&f);
}

Test(generate, text__is_ids_without_a_tokenizer)
{
    struct fixture f;
    char           expected[64];
    fixture_open(&f, "cpu", "gpt2");
    scry_generation *generation = generate(&f, (scry_generation_options){.max_tokens = 2, .ignore_end = true});
    snprintf(expected, sizeof expected, "%d %d", generation->steps[0].chosen.id, generation->steps[1].chosen.id);
    cr_expect_str_eq(generation->text, expected);
    snprintf(expected, sizeof expected, "%d", f.ids[0]);
    cr_expect_str_eq(generation->prompt->texts[0], expected);
    scry_generation_destroy(&generation);
    fixture_close(&f);
}

/* --- misuse --- */

static const int32_t good_ids[] = {1, 2, 3}, high_id[] = {1, 131}, low_id[] = {-1};
static const int32_t long_prompt[129];

static const float zero = 0;

static const struct {
    const char             *name, *text;
    scry_generation_options options;
    scry_status             status;
    const char             *message;
} misuse[] = {
    {"cold",
     NULL,
     {.temperatures = &zero, .temperature_count = 1},
     SCRY_BAD_ARGUMENT,
     "temperature 0 is 0: expected more"},
    {"too many", NULL, {.temperatures = &zero, .temperature_count = 9}, SCRY_BAD_ARGUMENT, "9 temperatures"},
    {"no prompt", NULL, {0}, SCRY_BAD_ARGUMENT, "the prompt is empty"},
    {"no ids", NULL, {.ids = good_ids}, SCRY_BAD_ARGUMENT, "the prompt is empty"},
    {"negative count", NULL, {.ids = good_ids, .id_count = -3}, SCRY_BAD_ARGUMENT, "the prompt is empty"},
    {"id past the vocabulary",
     NULL,
     {.ids = high_id, .id_count = 2},
     SCRY_BAD_ARGUMENT,
     "token 1 of the prompt: id 131: expected 0 to 130"},
    {"negative id", NULL, {.ids = low_id, .id_count = 1}, SCRY_BAD_ARGUMENT, "token 0 of the prompt: id -1"},
    {"past the context",
     NULL,
     {.ids = long_prompt, .id_count = 129},
     SCRY_BAD_ARGUMENT,
     "the prompt has 129 tokens: expected at most 128"},
    {"text without tokenizer", "hello", {0}, SCRY_BAD_INPUT, "no tokenizer.json: give token ids"},
    {"negative tokens", NULL, {.ids = good_ids, .id_count = 3, .max_tokens = -1}, SCRY_BAD_ARGUMENT, "max_tokens -1"},
    {"negative top", NULL, {.ids = good_ids, .id_count = 3, .top = -1}, SCRY_BAD_ARGUMENT, "top -1: expected 1 to 128"},
    {"top past the most",
     NULL,
     {.ids = good_ids, .id_count = 3, .top = 129},
     SCRY_BAD_ARGUMENT,
     "top 129: expected 1 to 128"},
    {"negative temperature",
     NULL,
     {.ids = good_ids, .id_count = 3, .temperature = -1.0f},
     SCRY_BAD_ARGUMENT,
     "temperature -1"},
    {"temperature not a number",
     NULL,
     {.ids = good_ids, .id_count = 3, .temperature = NAN},
     SCRY_BAD_ARGUMENT,
     "temperature"},
};

Test(generate, misuse__is_refused)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    for (size_t i = 0; i < sizeof misuse / sizeof *misuse; i++) {
        scry_generation *generation = NULL;
        scry_status      status     = scry_generate(&generation, f.model, misuse[i].text, &misuse[i].options);
        cr_expect_eq(status, misuse[i].status, "%s: %s", misuse[i].name, scry_last_error());
        cr_expect(strstr(scry_last_error(), misuse[i].message), "%s: the message is \"%s\"", misuse[i].name,
                  scry_last_error());
        cr_expect_null(generation, "%s", misuse[i].name);
    }
    fixture_close(&f);
}

/* --- display texts --- */

static void open_with_tokenizer(scry_model **model, char path[CHECKPOINT_PATH], scry_device *device,
                                const char *tokenizer)
{
    char   from[512], *data;
    size_t size;
    snprintf(from, sizeof from, SCRY_SOURCE_DIR "/tests/fixtures/tokenizers/%s/tokenizer.json", tokenizer);
    cr_assert_eq(scry__file_read(&data, &size, from, (size_t)1 << 26), SCRY_OK, "%s", scry_last_error());
    checkpoint_make(path, &(checkpoint_edit){"llama", WRITE, "tokenizer.json", data});
    scry__free(data);
    cr_assert_eq(scry_model_open(model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
}

static const struct {
    const char *tokenizer;
    int32_t     id;
    const char *text;
} texts[] = {
    {"gpt2", 0, "!"},        {"gpt2", 198, "\\n"},           {"gpt2", 197, "\\t"},     {"gpt2", 540, " the"},
    {"gpt2", 158, "<0xE2>"}, {"gpt2", 735, "<|endoftext|>"}, {"gpt2", 99999, "99999"}, {"llama2", 229, "<0xE2>"},
    {"llama2", 13, "\\n"},   {"llama2", 264, " the"},        {"llama2", 3, "<0x00>"},  {"llama2", 1, "<s>"},
};

Test(tokens, texts__are_fit_to_show)
{
    scry_device        *device  = NULL;
    scry_device_options options = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        scry_model *model = NULL;
        char        path[CHECKPOINT_PATH], *text = NULL;
        open_with_tokenizer(&model, path, device, texts[i].tokenizer);
        cr_expect_eq(scry_token_text(model, texts[i].id, &text), SCRY_OK, "%s", scry_last_error());
        cr_expect(text && !strcmp(text, texts[i].text), "%s: %d is shown as \"%s\", expected \"%s\"",
                  texts[i].tokenizer, texts[i].id, text, texts[i].text);
        scry_free(text);
        scry_model_destroy(&model);
        checkpoint_remove(path);
    }
    scry_device_destroy(&device);
}

Test(tokens, tokenizer__that_does_not_open_is_reported)
{
    scry_device        *device = NULL;
    scry_model         *model  = NULL;
    scry_tokens        *tokens = NULL;
    char                path[CHECKPOINT_PATH];
    scry_device_options options = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    checkpoint_make(path, &(checkpoint_edit){"llama", WRITE, "tokenizer.json", "{"});
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry_tokens_create(&tokens, model, "hello", NULL, 0), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "tokenizer.json: line 1"), "%s", scry_last_error());
    cr_expect_eq(scry_tokens_create(&tokens, model, NULL, good_ids, 3), SCRY_BAD_INPUT);
    cr_expect_null(tokens);
    scry_model_destroy(&model);
    checkpoint_remove(path);
    scry_device_destroy(&device);
}

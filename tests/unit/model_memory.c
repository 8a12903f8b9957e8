/* Every allocation of opening a model and of generating fails once: each time the call says so, leaves nothing behind
 * (the sanitizer builds watch), and works when tried again. */
#include "fixture.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(model_memory, open__survives_every_refused_allocation)
{
    static const char *const names[] = {"gpt2_bare", "llama_sharded"};
    scry_device             *device  = NULL;
    scry_device_options      options = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char            path[512];
        struct refusals refusals = {0};
        snprintf(path, sizeof path, FIXTURES "/%s", names[i]);
        while (refusals_next(&refusals)) {
            scry_model *model  = NULL;
            scry_status status = scry_model_open(&model, device, path, NULL);
            refusals_check(&refusals, status, model != NULL);
            scry_model_destroy(&model);
        }
        cr_expect_gt(refusals.refused, 40, "%s", names[i]);
    }
    scry_device_destroy(&device);
}

Test(model_memory, generate__survives_every_refused_allocation)
{
    struct fixture          f;
    struct refusals         refusals = {0};
    scry_generation_options options  = {.id_count = 3, .max_tokens = 2, .temperature = 1.0f};
    fixture_open(&f, "reference", "llama");
    options.ids = f.ids;
    while (refusals_next(&refusals)) {
        scry_generation *generation = NULL;
        scry_status      status     = scry_generate(&generation, f.model, NULL, &options);
        refusals_check(&refusals, status, generation != NULL);
        scry_generation_destroy(&generation);
    }
    cr_expect_gt(refusals.refused, 20);
    fixture_close(&f);
}

/* The tokenizer is opened by the first text, so a refusal may come from there: it must not look like a bad file. (Some
 * are survived: a pattern that cannot be compiled to machine code is interpreted.) */
Test(model_memory, text__names_a_refused_allocation_as_such)
{
    struct refusals     refusals = {0};
    scry_device        *device   = NULL;
    scry_device_options options  = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    while (refusals_next(&refusals)) {
        scry_model  *model  = NULL;
        scry_tokens *tokens = NULL;
        scry_status  status = scry_model_open(&model, device, SCRY_SOURCE_DIR "/models/demo", NULL);
        if (!status) status = scry_tokens_create(&tokens, model, "Paris", NULL, 0);
        refusals_check(&refusals, status, tokens != NULL);
        scry_tokens_destroy(&tokens);
        scry_model_destroy(&model);
    }
    cr_expect_gt(refusals.refused, 100);
    scry_device_destroy(&device);
}

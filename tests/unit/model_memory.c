/* Every allocation of opening a model and of generating fails once: each time the call says so, leaves nothing behind
 * (the sanitizer builds watch), and works when tried again. */
#include "fixture.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { MOST_ALLOCATIONS = 100000 };

Test(model_memory, open__survives_every_refused_allocation)
{
    static const char *const names[] = {"gpt2_bare", "llama_sharded"};
    scry_device             *device  = NULL;
    scry_device_options      options = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char        path[512];
        scry_status status = SCRY_OUT_OF_MEMORY;
        long        n      = 0;
        snprintf(path, sizeof path, FIXTURES "/%s", names[i]);
        while (status && n < MOST_ALLOCATIONS) {
            scry_model *model = NULL;
            scry__alloc_fail_at(++n);
            status = scry_model_open(&model, device, path, NULL);
            scry__alloc_fail_at(0);
            cr_assert(status == SCRY_OK || status == SCRY_OUT_OF_MEMORY, "%s: allocation %ld: %s", names[i], n,
                      scry_last_error());
            cr_assert_eq(model != NULL, status == SCRY_OK, "%s: allocation %ld", names[i], n);
            scry_model_destroy(&model);
        }
        cr_expect_gt(n, 40, "%s: only %ld allocations", names[i], n);
        cr_expect_eq(status, SCRY_OK);
    }
    scry_device_destroy(&device);
}

/* Some refusals are survived, such as that of more scratch than an op needs. */
Test(model_memory, generate__survives_every_refused_allocation)
{
    struct fixture          f;
    int                     refused = 0;
    scry_generation_options options = {.id_count = 3, .max_tokens = 2, .temperature = 1.0f};
    fixture_open(&f, "reference", "llama");
    options.ids = f.ids;
    for (long n = 1; n <= 150; n++) {
        scry_generation *generation = NULL;
        scry__alloc_fail_at(n);
        scry_status status = scry_generate(&generation, f.model, NULL, &options);
        scry__alloc_fail_at(0);
        cr_assert(status == SCRY_OK || status == SCRY_OUT_OF_MEMORY, "allocation %ld: %s", n, scry_last_error());
        cr_assert_eq(generation != NULL, status == SCRY_OK, "allocation %ld", n);
        refused += status != SCRY_OK;
        if (n == 150) cr_expect_eq(status, SCRY_OK, "%s", scry_last_error());
        scry_generation_destroy(&generation);
    }
    cr_expect_gt(refused, 20);
    fixture_close(&f);
}

/* The tokenizer is opened by the first text, so a refusal may come from there: it must not look like a bad file. (Some
 * are survived: a pattern that cannot be compiled to machine code is interpreted.) */
Test(model_memory, text__names_a_refused_allocation_as_such)
{
    int                 refused = 0;
    scry_device        *device  = NULL;
    scry_device_options options = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    for (long n = 1; n <= 60; n++) {
        scry_model  *model  = NULL;
        scry_tokens *tokens = NULL;
        cr_assert_eq(scry_model_open(&model, device, SCRY_SOURCE_DIR "/models/demo", NULL), SCRY_OK);
        scry__alloc_fail_at(n);
        scry_status status = scry_tokens_create(&tokens, model, "Paris", NULL, 0);
        scry__alloc_fail_at(0);
        cr_expect(status == SCRY_OK || status == SCRY_OUT_OF_MEMORY, "allocation %ld: %s", n, scry_last_error());
        refused += status == SCRY_OUT_OF_MEMORY;
        scry_tokens_destroy(&tokens);
        scry_model_destroy(&model);
    }
    cr_expect_gt(refused, 30);
    scry_device_destroy(&device);
}

/* Activation patching as it is called: positions that may be asked for, what is refused, progress, and memory that is
 * not there. What it computes is in patch.c. */
#include "analysis/patch.h"
#include "prompts.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A prediction before the end: positions behind it have no cells, and the other prompt's is read at the match. */
Test(patch_use, position__is_that_of_the_clean_prompt)
{
    struct fixture f;
    fixture_open(&f, "reference", "gpt2");
    struct prompts     prompts = prompts_make(&f, 1, 2);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    options.align              = true;
    options.has_position       = true;
    options.position           = 3;
    options.kinds              = 1 << SCRY_PATCH_ATTN_OUT;
    scry_patching *result      = patching_of(&f, &options);
    cr_expect_eq(result->clean.position, 3);
    cr_expect_eq(result->corrupt.position, 5);
    cr_expect_eq(result->position_count, 6);
    cr_expect_eq(result->grids[0].position_count, 6);
    scry_patching_destroy(&result);
    fixture_close(&f);
}

Test(patch_use, refusals__say_what_was_expected)
{
    static const struct {
        const char        *fixture;
        int                at, more; /* of make_prompts */
        bool               same;     /* both prompts are the clean one */
        scry_patch_options set;
        const char        *says;
    } cases[] = {
        {"gpt2", 2, 1, false, {0}, "differ from position 2 on"},
        {"gpt2", 2, 1, false, {0}, "--align"},
        {"gpt2", 2, 0, true, {0}, "the prompts do not differ up to position"},
        {"gpt2", 2, 0, false, {.has_position = true, .position = 1}, "do not differ up to position 1"},
        {"gpt2", 2, 0, false, {.has_position = true, .position = 400}, "position 400: expected 0 to"},
        {"gpt2", 2, 0, false, {.kinds = 1 << SCRY_PATCH_KIND_COUNT}, "kinds 0x200"},
        {"gpt2", 2, 1, false, {.align = true, .kinds = 1 << SCRY_PATCH_PATTERN}, "pattern: a pattern goes from"},
        {"gpt_neox", 2, 0, false, {.kinds = 1 << SCRY_PATCH_RESID_MID}, "resid_mid: the model has no such"},
        {"gpt2", 2, 0, false, {.wrong = {.id = PROMPTS_ANSWER, .has_id = true}}, "are both token 3: expected two"},
        {"gpt2", 2, 0, false, {.wrong = {.id = 100000, .has_id = true}}, "the wrong answer: target id 100000"},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct fixture f;
        scry_patching *result = NULL;
        fixture_open(&f, "reference", cases[c].fixture);
        struct prompts     prompts = prompts_make(&f, cases[c].at, cases[c].more);
        scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
        options.align              = cases[c].set.align;
        options.kinds              = cases[c].set.kinds;
        options.has_position       = cases[c].set.has_position;
        options.position           = cases[c].set.position;
        if (cases[c].set.wrong.has_id) options.wrong = cases[c].set.wrong;
        if (cases[c].same) options.corrupt_ids = prompts.clean;
        cr_expect_eq(scry_patching_run(&result, f.model, NULL, NULL, &options), SCRY_BAD_ARGUMENT, "case %zu", c);
        cr_expect(!result && strstr(scry_last_error(), cases[c].says), "case %zu: %s", c, scry_last_error());
        cr_expect_eq(scry__patch_check(f.model, NULL, NULL, &options), SCRY_BAD_ARGUMENT, "case %zu", c);
        cr_expect(strstr(scry_last_error(), cases[c].says), "case %zu: %s", c, scry_last_error());
        fixture_close(&f);
    }
}

struct steps {
    int64_t done, total, most; /* stops there; 0: never */
};

static bool count_steps(void *user, int64_t done, int64_t total)
{
    struct steps *steps = user;
    cr_expect(done >= steps->done && done <= total && (!steps->total || total == steps->total),
              "%lld after %lld of %lld", (long long)done, (long long)steps->done, (long long)total);
    steps->done  = done;
    steps->total = total;
    return !steps->most || done < steps->most;
}

Test(patch_use, progress__counts_to_the_end_and_stops)
{
    struct fixture f;
    struct steps   all = {0}, some = {.most = 5};
    fixture_open(&f, "cpu", "gpt2");
    struct prompts     prompts = prompts_make(&f, 2, 0);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    options.progress           = count_steps;
    options.user               = &all;
    scry_patching *result      = patching_of(&f, &options);
    int64_t        cells       = 0;
    for (int i = 0; i < result->grid_count; i++) {
        const scry_patch_grid *grid = &result->grids[i];
        cells += (int64_t)grid->layer_count * grid->head_count *
                 (grid->position_count > 1 ? grid->position_count - result->first_difference : 1);
    }
    cr_expect_eq(all.done, all.total);
    cr_expect_eq(all.total, cells);
    for (int i = 0; i < result->grid_count; i++)
        if (result->grids[i].position_count > 1) /* the cells before count as patches that change nothing */
            cells += (int64_t)result->grids[i].layer_count * result->first_difference;
    cr_expect_eq(result->cost.patches, cells);
    cr_expect_geq(result->cost.skipped, cells - all.total);
    cr_expect_eq(result->cost.naive_layer_tokens,
                 cells * result->position_count * scry_model_get_info(f.model)->layer_count);
    scry_patching_destroy(&result);
    options.user = &some;
    cr_expect_eq(scry_patching_run(&result, f.model, NULL, NULL, &options), SCRY_STOPPED);
    cr_expect_null(result);
    fixture_close(&f);
}

Test(patch_use, run__survives_every_refused_allocation, .timeout = 120)
{
    struct refusals refusals = {0};
    struct fixture  f;
    fixture_open(&f, "reference", "gpt2");
    struct prompts     prompts = prompts_make(&f, f.id_count - 2, 1);
    scry_patch_options options = prompts_options(&prompts, SCRY_NOISE);
    options.align              = true;
    options.kinds              = 1 << SCRY_PATCH_RESID_PRE | 1 << SCRY_PATCH_K;
    while (refusals_next(&refusals)) {
        scry_patching *result = NULL;
        scry_status    status = scry_patching_run(&result, f.model, NULL, NULL, &options);
        refusals_check(&refusals, status, result != NULL);
        scry_patching_destroy(&result);
    }
    cr_expect_gt(refusals.refused, 40);
    fixture_close(&f);
}

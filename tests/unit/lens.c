/* The logit lens as a call: its edges, and what must hold whatever the model. */
#include "scry/lens.h"
#include "fixture.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(lens, .init = use_plugins);

static scry_lens *run_lens(struct fixture *f, int count, scry_lens_options options)
{
    scry_lens *lens  = NULL;
    options.ids      = f->ids;
    options.id_count = count;
    cr_assert_eq(scry_lens_run(&lens, f->model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    return lens;
}

static void check_last_layer(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_lens *lens = run_lens(&f, f.id_count, (scry_lens_options){.top = 3, .target_next = true});
    for (int t = 0; t < lens->token_count; t++) {
        const scry_lens_cell *cell = scry_lens_at(lens, lens->layer_count - 1, t);
        cr_expect_eq(cell->kl, 0.0f, "%s: position %d", name, t);
        cr_expect_eq(cell->target_id, t + 1 < f.id_count ? f.ids[t + 1] : -1);
        cr_expect_eq(cell->target_rank < 0, t + 1 == f.id_count);
        for (int k = 0; k < 3; k++)
            if (cell->top[k].id == cell->target_id) {
                cr_expect_eq(cell->target_rank, k, "%s: position %d", name, t);
                cr_expect_eq(cell->target_logit, cell->top[k].logit);
            }
    }
    scry_lens_destroy(&lens);
    fixture_close(&f);
}

Test(lens, last_layer__has_no_divergence_and_ranks_as_its_list)
{
    fixture_for_all(check_last_layer);
}

/* Without the KL layers are read one by one. CUDA chooses kernels by the number of rows, and there they sum in other
 * orders; elsewhere a row's bits do not depend on how many there are. */
static bool is_same(const char *device, float a, float b)
{
    float slack = strncmp(device, "cuda", 4) ? 0 : 1e-5F;
    return fabsf(a - b) <= slack * fmaxf(1, fabsf(b));
}

static void check_without_kl(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_lens *with    = run_lens(&f, f.id_count, (scry_lens_options){.top = 3, .target_next = true});
    scry_lens *without = run_lens(&f, f.id_count, (scry_lens_options){.top = 3, .target_next = true, .skip_kl = true});
    for (int i = 0; i < with->layer_count * with->token_count; i++) {
        const scry_lens_cell *a = &with->cells[i], *b = &without->cells[i];
        cr_expect(isnan(b->kl) && !isnan(a->kl), "%s: cell %d", name, i);
        cr_expect(is_same(device, a->entropy, b->entropy) && is_same(device, a->lse, b->lse), "%s: cell %d", name, i);
        cr_expect_eq(a->target_rank, b->target_rank, "%s: cell %d", name, i);
        for (int k = 0; k < 3; k++)
            cr_expect(a->top[k].id == b->top[k].id && is_same(device, a->top[k].logit, b->top[k].logit), "%s: cell %d",
                      name, i);
    }
    scry_lens_destroy(&with);
    scry_lens_destroy(&without);
    fixture_close(&f);
}

Test(lens, skip_kl__changes_nothing_else)
{
    fixture_for_all(check_without_kl);
}

FIXTURES_ON_PLUGINS(lens, last_layer, has_no_divergence_and_ranks_as_its_list, false, check_last_layer)

FIXTURES_ON_PLUGINS(lens, skip_kl, changes_nothing_else, false, check_without_kl)

Test(lens, one_token__and_more_candidates_than_tokens)
{
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    scry_lens *lens = run_lens(&f, 1, (scry_lens_options){.top = SCRY_MAX_TOP, .target = {.id = 130, .has_id = true}});
    cr_expect_eq(lens->token_count, 1);
    cr_expect_eq(lens->top_count, SCRY_MAX_TOP);
    cr_expect_eq(scry_lens_at(lens, 0, 0)->target_id, 130);
    cr_expect_null(scry_lens_at(lens, 0, 1));
    cr_expect_null(scry_lens_at(lens, lens->layer_count, 0));
    cr_expect_null(scry_lens_at(lens, -1, 0));
    scry_lens_destroy(&lens);
    scry_lens_destroy(NULL);
    fixture_close(&f);
}

Test(lens, misuse__is_refused)
{
    static const int32_t ids[] = {1, 2}, outside[] = {1, 131};
    static const struct {
        scry_lens_options options;
        const char       *says;
    } cases[] = {
        {{.ids = ids, .id_count = 2, .target = {.id = 131, .has_id = true}}, "target id 131: expected 0 to 130"},
        {{.ids = ids, .id_count = 2, .target = {.id = -1, .has_id = true}}, "target id -1: expected 0 to 130"},
        {{.ids = ids, .id_count = 2, .top = -1}, "top -1"},
        {{.ids = ids, .id_count = 2, .top = SCRY_MAX_TOP + 1}, "top 129"},
        {{.ids = ids, .id_count = 0}, "empty"},
        {{.ids = NULL, .id_count = 2}, "empty"},
        {{.ids = outside, .id_count = 2}, "token 1 of the prompt"},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_lens *lens = NULL;
        cr_expect_eq(scry_lens_run(&lens, f.model, NULL, &cases[i].options), SCRY_BAD_ARGUMENT, "case %zu", i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(lens);
        scry_lens_destroy(&lens);
    }
    fixture_close(&f);
}

Test(lens, prompt__may_fill_the_context_to_the_last_position)
{
    struct fixture    f;
    scry_lens        *lens     = NULL;
    int32_t           ids[129] = {0};
    scry_lens_options options  = {.ids = ids, .id_count = 128};
    fixture_open(&f, "cpu", "llama");
    cr_expect_eq(scry_lens_run(&lens, f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    scry_lens_destroy(&lens);
    options.id_count = 129;
    cr_expect_eq(scry_lens_run(&lens, f.model, NULL, &options), SCRY_BAD_ARGUMENT);
    fixture_close(&f);
}

/* A device of its own memory that works later computes with the reference's code: the same bits must arrive. */
Test(lens, remote_memory__gives_what_shared_memory_gives)
{
    struct fixture near, far;
    setenv("SCRY_FAKE_REMOTE", "1", 1);
    fixture_open(&near, "reference", "qwen2");
    fixture_open(&far, "fake", "qwen2");
    scry_lens_options options = {.target_next = true};
    scry_lens *expected = run_lens(&near, near.id_count, options), *found = run_lens(&far, far.id_count, options);
    for (int i = 0; i < expected->layer_count * expected->token_count; i++) {
        const scry_lens_cell *a = &expected->cells[i], *b = &found->cells[i];
        cr_expect(a->entropy == b->entropy && a->kl == b->kl && a->lse == b->lse && a->target_rank == b->target_rank &&
                      a->top[0].id == b->top[0].id && a->top[0].logit == b->top[0].logit,
                  "cell %d", i);
    }
    cr_expect_eq(scry_device_finish(far.device), SCRY_OK, "%s", scry_last_error());
    scry_lens_destroy(&expected);
    scry_lens_destroy(&found);
    fixture_close(&near);
    fixture_close(&far);
}

Test(lens, run__survives_every_refused_allocation)
{
    struct fixture  f;
    struct refusals refusals = {0};
    fixture_open(&f, "reference", "llama");
    scry_lens_options options = {.ids = f.ids, .id_count = 3, .target_next = true};
    while (refusals_next(&refusals)) {
        scry_lens  *lens   = NULL;
        scry_status status = scry_lens_run(&lens, f.model, NULL, &options);
        refusals_check(&refusals, status, lens != NULL);
        scry_lens_destroy(&lens);
    }
    cr_expect_gt(refusals.refused, 40);
    fixture_close(&f);
}

/* Listening to a sweep's runs: rows as whole passes with the same edits have them, also where runs that begin at other
 * positions share a pass. */
#include "analysis/sweep.h"
#include "fixture.h"
#include "scry/trace.h"
#include "trace/read.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { PATCHES = 3 };

static const char heard_hook[] = "blocks.1.attn.hook_q";

struct ears {
    int    first[PATCHES], calls[PATCHES];
    float *rows[PATCHES];
};

static bool wants(void *user, scry__hook hook, int layer)
{
    (void)user;
    return hook == SCRY__HOOK_Q && layer == 1;
}

static scry_status hear(void *user, int patch, scry__hook hook, int layer, int first, const scry_tensor *rows)
{
    struct ears *ears = user;
    cr_expect(wants(NULL, hook, layer));
    ears->calls[patch]++;
    ears->first[patch] = first;
    ears->rows[patch]  = malloc((size_t)scry_tensor_count(rows) * sizeof(float));
    return scry__read_tensor(rows, ears->rows[patch]);
}

/* Zeros in front of layer 0 or 1 from another position on in each patch. */
static void check_rows(const char *name)
{
    static const char *const hooks[PATCHES]     = {"blocks.0.hook_resid_pre", "blocks.0.hook_resid_mid",
                                                   "blocks.1.hook_resid_pre"};
    static const int         positions[PATCHES] = {4, 1, 2};
    struct fixture           f;
    struct ears              ears  = {0};
    scry_sweep              *sweep = NULL;
    scry_edit                edits[PATCHES];
    scry_patch               patches[PATCHES];
    scry__sweep_listener     listener = {.user = &ears, .layers = 2, .wants = wants, .hear = hear};
    fixture_open(&f, "reference", name);
    for (int i = 0; i < PATCHES; i++) {
        edits[i]   = (scry_edit){.hook = hooks[i], .kind = SCRY_EDIT_ZERO, .positions = {positions[i], 0}};
        patches[i] = (scry_patch){&edits[i], 1};
    }
    cr_assert_eq(scry_sweep_create(&sweep, f.model, NULL, &(scry_sweep_options){.ids = f.ids, .id_count = f.id_count}),
                 SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__sweep_listen(sweep, patches, PATCHES, &listener), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry_sweep_get_cost(sweep).passes, 2, "one that compares, one that all share");
    for (int i = 0; i < PATCHES; i++) {
        scry_trace      *trace = NULL;
        const scry_edits all   = {1, &edits[i]};
        cr_assert_eq(scry_trace_run(&trace, f.model, NULL,
                                    &(scry_trace_options){
                                        .ids = f.ids, .id_count = f.id_count, .hooks = heard_hook, .edits = &all}),
                     SCRY_OK, "%s", scry_last_error());
        const scry_capture *whole = &trace->captures[0];
        size_t              width = (size_t)whole->shape[1] * (size_t)whole->shape[2], before = positions[i] * width;
        cr_expect(ears.calls[i] == 1 && ears.first[i] == positions[i], "%s: patch %d from %d", name, i, ears.first[i]);
        cr_expect(!memcmp(ears.rows[i], (const float *)whole->data + before,
                          ((size_t)f.id_count * width - before) * sizeof(float)),
                  "%s: patch %d", name, i);
        scry_trace_destroy(&trace);
        free(ears.rows[i]);
    }
    scry_sweep_destroy(&sweep);
    fixture_close(&f);
}

Test(sweep_listen, rows__are_those_of_whole_passes)
{
    check_rows("gpt2");
    check_rows("llama");
    check_rows("qwen3");
}

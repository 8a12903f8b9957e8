/* Sweeps hold to exact facts: what cannot change does not, another prompt's stream gives that prompt's prediction, and
 * what is computed is what the formula says. Random plans are in sweep_plans.c. */
#include "scry/sweep.h"
#include "device/observe.h"
#include "fixture.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* How far before the end the two prompts differ (no window of a fixture is shorter); how many tokens are watched. */
enum { FROM_END = 6, TARGETS = 3, MOST_PATCHES = 256 };

static const int32_t targets[TARGETS] = {3, 17, 100};

/* Two prompts that differ in one token: the baseline and where values come from. */
struct pair {
    struct fixture f;
    int32_t       *source_ids;
    scry_trace    *own, *source; /* their streams */
    int            different;    /* the position where they differ */
    bool           exact;        /* does the device promise the bits of a whole pass? */
    scry_outcome   outcomes[MOST_PATCHES];
};

static void pair_open(struct pair *pair, const char *device, const char *name)
{
    struct fixture *f = &pair->f;
    fixture_open(f, device, name);
    pair->different  = f->id_count - FROM_END;
    pair->exact      = !strcmp(device, "reference");
    pair->source_ids = malloc((size_t)f->id_count * sizeof *f->ids);
    memcpy(pair->source_ids, f->ids, (size_t)f->id_count * sizeof *f->ids);
    pair->source_ids[pair->different] = (f->ids[pair->different] + 1) % scry_model_get_info(f->model)->vocabulary;
    pair->own                         = fixture_trace(f, f->ids, "*hook_resid_*");
    pair->source                      = fixture_trace(f, pair->source_ids, "*hook_resid_*");
}

static void pair_close(struct pair *pair)
{
    scry_trace_destroy(&pair->source);
    scry_trace_destroy(&pair->own);
    free(pair->source_ids);
    fixture_close(&pair->f);
}

/* A sweep over the baseline, with the source's prediction as its reference. */
static scry_sweep *open_sweep(const struct pair *pair)
{
    const struct fixture    *f       = &pair->f;
    scry_sweep              *sweep   = NULL;
    const scry_sweep_options options = {.ids                = f->ids,
                                        .id_count           = f->id_count,
                                        .targets            = targets,
                                        .target_count       = TARGETS,
                                        .reference_ids      = pair->source_ids,
                                        .reference_count    = f->id_count,
                                        .reference_position = f->id_count - 1};
    cr_assert_eq(scry_sweep_create(&sweep, f->model, NULL, &options), SCRY_OK, "%s: %s", f->name, scry_last_error());
    return sweep;
}

static void run(scry_sweep *sweep, struct pair *pair, const scry_patch *patches, int count)
{
    cr_assert_leq(count, MOST_PATCHES);
    cr_assert_eq(scry_sweep_run(sweep, patches, count, pair->outcomes), SCRY_OK, "%s: %s", pair->f.name,
                 scry_last_error());
}

/* A capture's values put there, at these positions. */
static scry_edit take(const struct pair *pair, const scry_capture *capture, scry_range positions)
{
    return (scry_edit){.hook      = capture->name,
                       .kind      = SCRY_EDIT_REPLACE,
                       .positions = positions,
                       .values    = fixture_values(&pair->f, capture)};
}

/* Is it the other prompt's prediction? */
static void expect_source(const struct pair *pair, const scry_sweep *sweep, const scry_outcome *found, const char *what)
{
    const scry_outcome *source     = scry_sweep_reference(sweep);
    double              difference = largest_difference(found->logits, source->logits, TARGETS);
    difference                     = fmax(difference, fabs((double)found->lse - (double)source->lse));
    difference                     = fmax(difference, fabs((double)found->entropy - (double)source->entropy));
    cr_expect(found->changed && difference <= (pair->exact ? 0 : PROMISE), "%s: %s differs by %g", pair->f.name, what,
              difference);
    cr_expect(found->kl <= (pair->exact ? 0 : (float)PROMISE), "%s: %s: KL %g", pair->f.name, what, (double)found->kl);
}

/* Do both prompts have the same there, to the bit? */
static bool is_shared(const struct pair *pair, const char *hook, int position)
{
    const scry_capture *own = scry_trace_find(pair->own, hook), *source = scry_trace_find(pair->source, hook);
    size_t              columns = (size_t)own->shape[1], at = (size_t)position * columns;
    return !memcmp((const float *)own->data + at, (const float *)source->data + at, columns * sizeof(float));
}

/* --- what patches of the residual stream come to --- */

/* A grid of the stream before each layer, by position, then each layer's stream as a whole, then the last stream at the
 * last position. */
static void check_facts(const char *device, const char *name)
{
    static scry_edit   edits[MOST_PATCHES];
    static scry_patch  patches[MOST_PATCHES];
    static struct pair pair;
    pair_open(&pair, device, name);
    int         count = pair.f.id_count, layers = scry_model_get_info(pair.f.model)->layer_count, n = 0;
    char        last[SCRY__HOOK_NAME_SIZE];
    scry_sweep *sweep = open_sweep(&pair);
    scry__hook_full_name(SCRY__HOOK_RESID_POST, layers - 1, last);
    for (int layer = 0; layer < layers; layer++) {
        char hook[SCRY__HOOK_NAME_SIZE];
        scry__hook_full_name(SCRY__HOOK_RESID_PRE, layer, hook);
        for (int at = 0; at < count; at++)
            edits[n++] = take(&pair, scry_trace_find(pair.source, hook), (scry_range){at, at + 1});
        edits[n++] = take(&pair, scry_trace_find(pair.source, hook), (scry_range){0});
    }
    edits[n++] = take(&pair, scry_trace_find(pair.source, last), (scry_range){count - 1, count});
    for (int i = 0; i < n; i++) patches[i] = (scry_patch){&edits[i], 1};
    run(sweep, &pair, patches, n);
    for (int i = 0; i < n - 1; i++) {
        int  layer = i / (count + 1), at = i % (count + 1);
        bool same = at < count && is_shared(&pair, edits[i].hook, at);
        cr_expect(same || (at >= pair.different && (layer || at == pair.different || at == count)),
                  "%s: layer %d, position %d", name, layer, at);
        cr_expect_eq(pair.outcomes[i].changed, !same, "%s: layer %d, position %d", name, layer, at);
        if (same)
            cr_expect(!memcmp(&pair.outcomes[i], scry_sweep_baseline(sweep), sizeof *pair.outcomes),
                      "%s: layer %d, position %d", name, layer, at);
        if (at == count) expect_source(&pair, sweep, &pair.outcomes[i], "a whole stream");
    }
    expect_source(&pair, sweep, &pair.outcomes[pair.different], "the one token that differs");
    expect_source(&pair, sweep, &pair.outcomes[n - 1], "the last stream");
    cr_expect_eq(scry_sweep_reference(sweep)->kl, 0.0f);
    cr_expect_gt(scry_sweep_baseline(sweep)->kl, 0.0f, "%s: the prompts predict the same", name);
    scry_sweep_destroy(&sweep);
    pair_close(&pair);
}

Test(sweep, stream_of_another_prompt__gives_its_prediction, .timeout = 300)
{
    fixture_for_all(check_facts);
}

FIXTURES_ON_PLUGINS(sweep, stream_of_another_prompt, gives_its_prediction, false, check_facts)

/* What every hook point holds, all of them watched in one pass, is what the baseline has, which nobody watched. */
static void check_idle(const char *device, const char *name)
{
    static scry_edit   edits[MOST_PATCHES];
    static scry_patch  patches[MOST_PATCHES];
    static struct pair pair;
    int                n = 0;
    pair_open(&pair, device, name);
    scry_trace *own   = fixture_trace(&pair.f, pair.f.ids, "*hook_*");
    scry_sweep *sweep = open_sweep(&pair);
    for (int i = 0; i < own->count; i++) {
        const scry_capture *capture = &own->captures[i];
        if (!strncmp(capture->name, "ln_final", strlen("ln_final"))) continue;
        edits[n]   = take(&pair, capture, (scry_range){0});
        patches[n] = (scry_patch){&edits[n], 1};
        n++;
    }
    run(sweep, &pair, patches, n);
    for (int i = 0; i < n; i++)
        cr_expect_not(pair.outcomes[i].changed, "%s: %s is not what the baseline has", name, edits[i].hook);
    cr_expect_eq(scry_sweep_get_cost(sweep).skipped, n);
    cr_expect_eq(scry_sweep_get_cost(sweep).passes, 1, "the one that compares");
    scry_sweep_destroy(&sweep);
    scry_trace_destroy(&own);
    pair_close(&pair);
}

Test(sweep, values_that_are_there__are_not_run, .timeout = 300)
{
    fixture_for_all(check_idle);
}

FIXTURES_ON_PLUGINS(sweep, values_that_are_there, are_not_run, false, check_idle)

/* --- cost --- */

/* Adds up what attention is asked for: one layer-token a row. */
static scry_status count_rows(void *user, const scry_op *op)
{
    int64_t *rows = user;
    if (op->kind == SCRY_OP_ATTENTION) *rows += op->attention.q.shape[0] * op->attention.q.shape[1];
    return SCRY_OK;
}

/* REPEATS patches in each cell, so that no positions share a pass: sum over layers of L - l, times sum over positions
 * of T - p. At layer 0 only the token that differs does. */
static void check_cost(const char *device, const char *name)
{
    enum { REPEATS = 20 };
    static scry_edit   edits[MOST_PATCHES * REPEATS];
    static scry_patch  patches[MOST_PATCHES * REPEATS];
    static struct pair pair;
    pair_open(&pair, device, name);
    int                  count = pair.f.id_count, layers = scry_model_get_info(pair.f.model)->layer_count, n = 0;
    int64_t              formula = 0, rows = 0;
    const scry__observer observer = {count_rows, &rows};
    scry_sweep          *sweep    = open_sweep(&pair);
    for (int layer = 0; layer < layers; layer++) {
        char hook[SCRY__HOOK_NAME_SIZE];
        scry__hook_full_name(SCRY__HOOK_RESID_PRE, layer, hook);
        for (int i = 0; i < count * REPEATS; i++, n++) {
            int at     = i % count;
            edits[n]   = take(&pair, scry_trace_find(pair.source, hook), (scry_range){at, at + 1});
            patches[n] = (scry_patch){&edits[n], 1};
            if (layer ? at >= pair.different : at == pair.different)
                formula += (int64_t)(layers - layer) * (count - at);
        }
    }
    scry_outcome *outcomes = calloc((size_t)n, sizeof *outcomes);
    scry__device_observe(pair.f.device, &observer);
    cr_assert_eq(scry_sweep_run(sweep, patches, n, outcomes), SCRY_OK, "%s: %s", name, scry_last_error());
    scry__device_observe(pair.f.device, NULL);
    scry_sweep_cost cost = scry_sweep_get_cost(sweep);
    cr_expect_eq(cost.layer_tokens, formula, "%s: %lld, not %lld", name, (long long)cost.layer_tokens,
                 (long long)formula);
    cr_expect_eq(cost.layer_tokens, rows, "%s: %lld, but computed %lld", name, (long long)cost.layer_tokens,
                 (long long)rows);
    cr_expect_eq(cost.naive_layer_tokens, (int64_t)n * layers * count);
    cr_expect_eq(cost.patches, n);
    cr_expect_eq(cost.skipped, (pair.different * layers + count - pair.different - 1) * REPEATS);
    free(outcomes);
    scry_sweep_destroy(&sweep);
    pair_close(&pair);
}

Test(sweep, cost__is_what_the_formula_says)
{
    check_cost("cpu", "gpt2");
    check_cost("cpu", "llama");
    check_cost("cpu", "gpt_neox");
}

/* A naive sweep runs every patch whole, and what changes nothing gives the baseline's bits. */
Test(sweep, naive__runs_every_patch)
{
    static struct pair      pair;
    static const scry_edit  edits[]   = {{.hook = "blocks.1.hook_mlp_out", .kind = SCRY_EDIT_SCALE, .factor = 1.0f},
                                         {.hook = "blocks.1.hook_mlp_out"}};
    static const scry_patch patches[] = {{&edits[0], 1}, {NULL, 0}, {&edits[1], 1}};
    scry_sweep             *sweep     = NULL;
    int64_t                 rows      = 0;
    const scry__observer    observer  = {count_rows, &rows};
    pair_open(&pair, "cpu", "llama");
    cr_assert_eq(
        scry_sweep_create(&sweep, pair.f.model, NULL,
                          &(scry_sweep_options){.ids = pair.f.ids, .id_count = pair.f.id_count, .naive = true}),
        SCRY_OK, "%s", scry_last_error());
    scry__device_observe(pair.f.device, &observer);
    run(sweep, &pair, patches, COUNT(patches));
    scry__device_observe(pair.f.device, NULL);
    scry_sweep_cost cost  = scry_sweep_get_cost(sweep);
    int64_t         whole = (int64_t)pair.f.id_count * scry_model_get_info(pair.f.model)->layer_count;
    cr_expect_eq(cost.naive_layer_tokens, (int64_t)COUNT(patches) * whole);
    cr_expect_eq(cost.layer_tokens, cost.naive_layer_tokens + whole, "and the pass that compares");
    cr_expect_eq(cost.layer_tokens, rows);
    cr_expect_eq(cost.skipped, 0);
    for (int i = 0; i < 2; i++)
        cr_expect(!memcmp(&pair.outcomes[i], scry_sweep_baseline(sweep), sizeof *pair.outcomes), "patch %d", i);
    cr_expect(pair.outcomes[2].changed);
    scry_sweep_destroy(&sweep);
    pair_close(&pair);
}

/* Few patches a position share passes: more rows than the formula has, fewer passes, and what is counted is computed.
 */
Test(sweep, positions_with_few_rows__share_a_pass)
{
    static struct pair pair;
    scry_edit          edits[64];
    scry_patch         patches[64];
    int64_t            rows = 0;
    pair_open(&pair, "cpu", "llama");
    const scry__observer observer = {count_rows, &rows};
    scry_sweep          *sweep    = open_sweep(&pair);
    const scry_capture  *from     = scry_trace_find(pair.source, "blocks.1.hook_resid_pre");
    int                  count    = pair.f.id_count;
    for (int i = 0; i < count; i++) {
        edits[i]   = take(&pair, from, (scry_range){i, i + 1});
        patches[i] = (scry_patch){&edits[i], 1};
    }
    scry__device_observe(pair.f.device, &observer);
    run(sweep, &pair, patches, count);
    scry__device_observe(pair.f.device, NULL);
    scry_sweep_cost cost = scry_sweep_get_cost(sweep);
    cr_expect_lt(cost.passes, count - pair.different, "%d passes", cost.passes);
    cr_expect_eq(cost.layer_tokens, rows);
    cr_expect_lt(cost.layer_tokens, cost.naive_layer_tokens);
    scry_sweep_destroy(&sweep);
    pair_close(&pair);
}

/* --- streamed weights --- */

/* weight_memory 0: all weights on the device. Returns how many bytes they are. */
static uint64_t demo_outcomes(uint64_t weight_memory, const scry_patch *patches, int count, scry_outcome *outcomes)
{
    static const int32_t ids[]  = {5, 17, 3, 99, 250, 7};
    scry_device         *device = NULL;
    scry_model          *model  = NULL;
    scry_sweep          *sweep  = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK);
    cr_assert_eq(scry_model_open(&model, device, SCRY_SOURCE_DIR "/models/demo",
                                 &(scry_model_options){.weight_memory = weight_memory}),
                 SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry_model_get_info(model)->streamed, weight_memory != 0);
    cr_assert_eq(scry_sweep_create(&sweep, model, NULL,
                                   &(scry_sweep_options){
                                       .ids = ids, .id_count = COUNT(ids), .targets = ids, .target_count = COUNT(ids)}),
                 SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_sweep_run(sweep, patches, count, outcomes), SCRY_OK, "%s", scry_last_error());
    uint64_t bytes = scry_model_get_info(model)->weight_bytes;
    scry_sweep_destroy(&sweep);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return bytes;
}

Test(sweep, streamed_weights__give_the_same_bits)
{
    static const scry_edit  edits[]   = {{.hook = "blocks.2.attn.hook_z", .heads = {2}, .positions = {3, 4}},
                                         {.hook = "blocks.1.hook_mlp_out", .positions = {4, 6}},
                                         {.hook = "hook_embed", .kind = SCRY_EDIT_SCALE, .factor = 2.0f}};
    static const scry_patch patches[] = {{&edits[0], 1}, {&edits[1], 1}, {&edits[2], 1}, {edits, 3}};
    scry_outcome            whole[COUNT(patches)], streamed[COUNT(patches)];
    memset(whole, 0, sizeof whole);
    memset(streamed, 0, sizeof streamed);
    uint64_t bytes = demo_outcomes(0, patches, COUNT(patches), whole);
    demo_outcomes(bytes - 1, patches, COUNT(patches), streamed);
    cr_expect_arr_eq(whole, streamed, sizeof whole);
}

/* --- losses --- */

/* The loss of the baseline is what its logits say, and a patch behind the position read changes it alone. */
static void check_losses(const char *device, const char *name)
{
    static struct pair pair;
    pair_open(&pair, device, name);
    const struct fixture *f       = &pair.f;
    size_t                columns = (size_t)scry_model_get_info(f->model)->vocabulary;
    scry_trace           *trace   = fixture_trace(f, f->ids, "logits");
    const float          *logits  = trace->captures[0].data;
    scry_sweep           *sweep   = NULL;
    const scry_edit  edit  = {.hook = "blocks.1.hook_mlp_out", .positions = {pair.different + 1, pair.different + 3}};
    const scry_patch patch = {&edit, 1};
    double           sum   = 0;
    cr_assert_eq(scry_sweep_create(&sweep, f->model, NULL,
                                   &(scry_sweep_options){.ids          = f->ids,
                                                         .id_count     = f->id_count,
                                                         .position     = pair.different,
                                                         .has_position = true,
                                                         .losses       = true}),
                 SCRY_OK, "%s", scry_last_error());
    for (int row = 0; row + 1 < f->id_count; row++, logits += columns) {
        double all = 0;
        for (size_t i = 0; i < columns; i++) all += exp((double)logits[i]);
        sum += log(all) - (double)logits[f->ids[row + 1]];
    }
    const scry_outcome *baseline = scry_sweep_baseline(sweep);
    cr_expect_float_eq((double)baseline->loss, sum / (f->id_count - 1), PROMISE, "%s: loss %g, not %g", name,
                       (double)baseline->loss, sum / (f->id_count - 1));
    run(sweep, &pair, &patch, 1);
    cr_expect(pair.outcomes[0].changed && pair.outcomes[0].loss != baseline->loss);
    cr_expect_eq(pair.outcomes[0].lse, baseline->lse, "%s: an edit behind the position reaches it", name);
    cr_expect_eq(pair.outcomes[0].kl, 0.0f);
    scry_sweep_destroy(&sweep);
    scry_trace_destroy(&trace);
    pair_close(&pair);
}

Test(sweep, losses__are_what_the_logits_say)
{
    fixture_for_all(check_losses);
}

/* --- stopping, mistakes, refused allocations --- */

static bool have_patience(void *user, int64_t done, int64_t total)
{
    int *left = user;
    cr_expect_leq(done, total);
    return (*left)-- > 0;
}

Test(sweep, progress__counts_patches_and_stops)
{
    enum { PATCHES = 2 * FROM_END };
    static struct pair pair;
    scry_edit          edits[PATCHES];
    scry_patch         patches[PATCHES];
    scry_sweep        *sweep = NULL;
    int                left  = 100;
    pair_open(&pair, "cpu", "llama");
    int begin = pair.f.id_count - PATCHES;
    for (int i = 0; i < PATCHES; i++) {
        edits[i]   = take(&pair, scry_trace_find(pair.source, "blocks.1.hook_resid_pre"),
                          (scry_range){begin + i, begin + i + 1});
        patches[i] = (scry_patch){&edits[i], 1};
    }
    const scry_sweep_options options = {
        .ids = pair.f.ids, .id_count = pair.f.id_count, .batch = 2, .progress = have_patience, .user = &left};
    cr_assert_eq(scry_sweep_create(&sweep, pair.f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    run(sweep, &pair, patches, 12);
    cr_expect_eq(left, 100 - PATCHES, "asked %d times", 100 - left);
    scry_outcome first[PATCHES];
    memcpy(first, pair.outcomes, sizeof first);
    left = FROM_END + 2; /* half of them change nothing */
    cr_expect_eq(scry_sweep_run(sweep, patches, PATCHES, pair.outcomes), SCRY_STOPPED);
    left = 100;
    run(sweep, &pair, patches, 12);
    cr_expect_arr_eq(pair.outcomes, first, sizeof first, "after a stop");
    scry_sweep_destroy(&sweep);
    pair_close(&pair);
}

Test(sweep, misuse__is_refused)
{
    static const int32_t ids[] = {1, 2, 3}, beyond[] = {1, 131};
    static const struct {
        scry_sweep_options options;
        const char        *says;
    } cases[] = {
        {{.ids = ids, .id_count = 3, .position = 3, .has_position = true}, "position 3: expected 0 to 2"},
        {{.ids = ids, .id_count = 3, .position = -1, .has_position = true}, "position -1"},
        {{.ids = ids, .id_count = 3, .targets = beyond, .target_count = 2}, "target id 131: expected 0 to 130"},
        {{.ids = ids, .id_count = 3, .targets = ids, .target_count = 9}, "9 targets: expected at most 8"},
        {{.ids = ids, .id_count = 3, .targets = ids, .target_count = -1}, "-1 targets"},
        {{.ids = ids, .id_count = 3, .batch = -1}, "-1 patches side by side"},
        {{.ids = ids, .id_count = 3, .reference_ids = ids, .reference_count = 3, .reference_position = 3},
         "reference position 3: expected 0 to 2"},
        {{.ids = ids, .id_count = 3, .reference_ids = beyond, .reference_count = 2, .reference_position = 1},
         "reference: token 1: id 131"},
        {{.ids = NULL}, "empty"},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t i = 0; i < COUNT(cases); i++) {
        scry_sweep *sweep = NULL;
        cr_expect_eq(scry_sweep_create(&sweep, f.model, NULL, &cases[i].options), SCRY_BAD_ARGUMENT, "case %zu", i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(sweep);
    }
    fixture_close(&f);
}

Test(sweep, wrong_patch__is_named_and_leaves_the_sweep_whole)
{
    static const scry_edit good    = {.hook = "blocks.1.hook_resid_pre", .sequences = {7, 9}};
    static const scry_edit wrong[] = {
        {.hook = "hook_embed"},
        {.hook = "blocks.9.hook_resid_pre"},
        {.hook = "ln_final.hook_normalized"},
        {.hook = "hook_embed", .positions = {4, 99}},
        {.hook = "hook_embed", .kind = SCRY_EDIT_REPLACE},
    };
    static const char *const says[] = {NULL, "no such hook point", "not on the way here", "positions 4:99",
                                       "no values"};
    static struct pair       pair;
    scry_outcome             before, after;
    pair_open(&pair, "cpu", "llama");
    scry_sweep *sweep = open_sweep(&pair);
    run(sweep, &pair, &(scry_patch){&good, 1}, 1);
    before = pair.outcomes[0];
    for (size_t i = 1; i < COUNT(wrong); i++) {
        const scry_edit  both[]    = {good, wrong[i]};
        const scry_patch patches[] = {{&good, 1}, {NULL, 0}, {both, 2}};
        cr_expect_eq(scry_sweep_run(sweep, patches, 3, pair.outcomes), SCRY_BAD_ARGUMENT);
        cr_expect(!strncmp(scry_last_error(), "patch 3: edit 2, ", strlen("patch 3: edit 2, ")) &&
                      strstr(scry_last_error(), says[i]),
                  "%s", scry_last_error());
    }
    cr_expect_eq(scry_sweep_run(sweep, NULL, -1, pair.outcomes), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_sweep_run(sweep, &(scry_patch){&good, -1}, 1, pair.outcomes), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_sweep_run(sweep, NULL, 0, NULL), SCRY_OK);
    run(sweep, &pair, &(scry_patch){&good, 1}, 1);
    after = pair.outcomes[0];
    cr_expect(!memcmp(&before, &after, sizeof before));
    scry_sweep_destroy(&sweep);
    pair_close(&pair);
}

Test(sweep, run__survives_every_refused_allocation, .timeout = 120)
{
    static struct pair pair;
    struct refusals    creating = {0}, running = {0};
    pair_open(&pair, "reference", "llama");
    const scry_edit  edits[]   = {take(&pair, scry_trace_find(pair.source, "blocks.1.hook_resid_pre"), (scry_range){0}),
                                  {.hook = "blocks.0.attn.hook_pattern", .heads = {2}, .positions = {8, 9}},
                                  {.hook = "blocks.0.attn.hook_z", .kind = SCRY_EDIT_SCALE, .factor = 1.0f}};
    const scry_patch patches[] = {{&edits[0], 1}, {&edits[1], 2}, {&edits[2], 1}};
    scry_outcome     first[COUNT(patches)];
    scry_sweep      *sweep = NULL;
    while (refusals_next(&creating)) {
        scry_sweep_destroy(&sweep);
        scry_status status = scry_sweep_create(&sweep, pair.f.model, NULL,
                                               &(scry_sweep_options){.ids             = pair.f.ids,
                                                                     .id_count        = pair.f.id_count,
                                                                     .targets         = targets,
                                                                     .target_count    = TARGETS,
                                                                     .losses          = true,
                                                                     .reference_ids   = pair.source_ids,
                                                                     .reference_count = pair.f.id_count});
        refusals_check(&creating, status, sweep != NULL);
    }
    cr_expect_gt(creating.refused, 20);
    while (refusals_next(&running)) {
        scry_status status = scry_sweep_run(sweep, patches, COUNT(patches), pair.outcomes);
        refusals_check(&running, status, status == SCRY_OK);
    }
    cr_expect_gt(running.refused, 20);
    memcpy(first, pair.outcomes, sizeof first);
    run(sweep, &pair, patches, COUNT(patches));
    cr_expect_arr_eq(pair.outcomes, first, sizeof first);
    scry_sweep_destroy(&sweep);
    pair_close(&pair);
}

/* Attribution patching: estimates against the slope that edits show, what they are exactly, and where they cannot be.
 */
#include "analysis/patch.h"
#include "checkpoint_edit.h"
#include "device_ops.h"
#include "model/model.h"
#include "prompts.h"
#include "refusals.h"
#include "scry/trace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The difference's distance from the end, as in the tests of patching: it reaches the end in every family. */
enum { REACH = 3 };

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(patch_estimate, .init = use_plugins, .timeout = 120);

static scry_patching *run(const struct fixture *f, scry_patch_options options, scry_patch_method method)
{
    options.method = method;
    return patching_of(f, &options);
}

static double whole_of(const scry_patching *result)
{
    return (double)scry_patching_source(result)->logit_difference -
           (double)scry_patching_baseline(result)->logit_difference;
}

/* --- against edits --- */

/* A logit difference of f32 is within 1e-5 of that of f64, and four of them make at most 3e-5 / STEP of a slope; found
 * was a seventh of that. */
#define STEP     (1.0 / 32)
#define ROUNDING 4e-4

/* One cell's patch. */
struct place {
    char             hook[SCRY__HOOK_NAME_SIZE];
    scry_patch_kind  kind;
    int              head, position;
    scry_edit_values base, source;
};

/* The logit difference where the cell's values are the baseline's and `step` times what the source's differ by. */
static double difference_at(const struct fixture *f, const scry_patching *result, const struct place *place,
                            double step)
{
    const scry_tokens *tokens = scry_patching_baseline(result)->tokens;
    size_t             count  = (size_t)place->base.rows * (size_t)place->base.heads * (size_t)place->base.columns;
    float             *mixed  = malloc(count * sizeof *mixed);
    scry_trace        *trace  = NULL;
    scry_edit          edit   = {.hook      = place->hook,
                                 .kind      = SCRY_EDIT_REPLACE,
                                 .positions = {place->position, place->position + 1},
                                 .values    = place->base};
    const scry_edits   edits  = {1, &edit};
    edit.values.data          = mixed;
    if (scry_patch_kind_has_heads(place->kind)) edit.heads[0] = UINT64_C(1) << place->head;
    for (size_t i = 0; i < count; i++)
        mixed[i] =
            (float)((double)place->base.data[i] + step * ((double)place->source.data[i] - (double)place->base.data[i]));
    cr_assert_eq(scry_trace_run(&trace, f->model, NULL,
                                &(scry_trace_options){
                                    .ids = tokens->ids, .id_count = tokens->count, .hooks = "logits", .edits = &edits}),
                 SCRY_OK, "%s: %s", f->name, scry_last_error());
    const scry_capture *logits = scry_trace_find(trace, "logits");
    const float        *row    = (const float *)logits->data + (logits->shape[0] - 1) * logits->shape[1];
    double              found  = (double)row[PROMPTS_ANSWER] - (double)row[PROMPTS_WRONG];
    free(mixed);
    scry_trace_destroy(&trace);
    return found;
}

/* The slope at 0 from four runs, whose error is of the fourth order in the step. */
static double slope_of(const struct fixture *f, const scry_patching *result, const struct place *place, double step)
{
    double wide = (difference_at(f, result, place, step) - difference_at(f, result, place, -step)) / (2 * step);
    double near = (difference_at(f, result, place, step / 2) - difference_at(f, result, place, -step / 2)) / step;
    return (4 * near - wide) / 3;
}

static void check_cell(const struct fixture *f, const scry_patching *result, const scry_patch_grid *grid, int layer,
                       int head, int position)
{
    struct place place = {.kind = grid->kind, .head = head, .position = position};
    scry__patch_hook(place.hook, grid->kind, layer);
    scry_trace *base   = fixture_trace(f, scry_patching_baseline(result)->tokens->ids, place.hook);
    scry_trace *source = fixture_trace(f, scry_patching_source(result)->tokens->ids, place.hook);
    place.base         = fixture_values(f, &base->captures[0]);
    place.source       = fixture_values(f, &source->captures[0]);
    double slope       = slope_of(f, result, &place, STEP);
    double estimate    = (double)patching_cell(grid, layer, head, position)->estimate * whole_of(result);
    cr_expect(fabs(slope - estimate) <= ROUNDING, "%s: %s, head %d, position %d: %g, by edits %g", f->name, place.hook,
              head, position, estimate, slope);
    scry_trace_destroy(&source);
    scry_trace_destroy(&base);
}

/* Two cells of every kind: of different layers, heads and positions. */
static void check_slopes(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    struct prompts     prompts = prompts_make(&f, f.id_count - REACH, 0);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    options.by_position        = true;
    scry_patching *result      = run(&f, options, SCRY_PATCH_METHOD_ESTIMATE);
    cr_expect_null(patching_grid(result, SCRY_PATCH_PATTERN));
    for (int i = 0; i < result->grid_count; i++) {
        const scry_patch_grid *grid = &result->grids[i];
        check_cell(&f, result, grid, 0, grid->head_count - 1, prompts.at);
        check_cell(&f, result, grid, grid->layer_count - 1, 0, grid->position_count - 1);
    }
    scry_patching_destroy(&result);
    fixture_close(&f);
}

Test(patch_estimate, slope__is_what_edits_show, .timeout = 300)
{
    fixture_for_all(check_slopes);
}

/* --- what estimates are exactly --- */

static void expect_same_cells(const struct fixture *f, const scry_patching *a, const scry_patching *b,
                              scry_patch_metric metric)
{
    for (int i = 0; i < a->grid_count; i++) {
        const scry_patch_grid *grid = &a->grids[i], *other = patching_grid(b, grid->kind);
        for (int cell = 0; other && cell < grid->layer_count * grid->head_count * grid->position_count; cell++) {
            float x = scry_patch_cell_number(&grid->cells[cell], metric);
            float y = scry_patch_cell_number(&other->cells[cell], metric);
            cr_expect(x == y || (isnan(x) && isnan(y)), "%s: %s, cell %d: %s %.9g, not %.9g", f->name,
                      scry_patch_kind_text(grid->kind), cell, scry_patch_metric_text(metric), (double)x, (double)y);
        }
    }
}

/* An estimate is linear in what is patched: heads add up to attention's output where no norm stands behind it, and
 * positions to all together. */
static void check_sums(const struct fixture *f, const scry_patching *apart, const scry_patching *together)
{
    const scry_patch_grid *z = patching_grid(apart, SCRY_PATCH_Z), *out = patching_grid(apart, SCRY_PATCH_ATTN_OUT);
    const scry_patch_grid *all   = patching_grid(together, SCRY_PATCH_Z);
    double                 slack = 2 * PROMISE / fabs(whole_of(apart));
    for (int layer = 0; layer < z->layer_count; layer++) {
        for (int position = 0; position < z->position_count && !f->model->arch.norm_after; position++) {
            double sum = 0, expected = (double)patching_cell(out, layer, 0, position)->estimate;
            for (int head = 0; head < z->head_count; head++)
                sum += (double)patching_cell(z, layer, head, position)->estimate;
            cr_expect_float_eq(sum, expected, slack, "%s: layer %d, position %d: heads give %g, attn_out %g", f->name,
                               layer, position, sum, expected);
        }
        for (int head = 0; head < z->head_count; head++) {
            double sum = 0, expected = (double)patching_cell(all, layer, head, 0)->estimate;
            for (int position = 0; position < z->position_count; position++)
                sum += (double)patching_cell(z, layer, head, position)->estimate;
            cr_expect_float_eq(sum, expected, 1e-5, "%s: layer %d, head %d: positions give %g, all %g", f->name, layer,
                               head, sum, expected);
        }
    }
}

/* Both at once are what each is by itself; positions of the common beginning give exactly 0. */
static void check_facts(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    struct prompts     prompts = prompts_make(&f, f.id_count - REACH, 0);
    scry_patch_options options = prompts_options(&prompts, SCRY_NOISE);
    scry_patching     *all     = run(&f, options, SCRY_PATCH_METHOD_ESTIMATE), *exact, *both, *apart;
    options.by_position        = true;
    apart                      = run(&f, options, SCRY_PATCH_METHOD_ESTIMATE);
    options.kinds              = 1 << SCRY_PATCH_ATTN_OUT | 1 << SCRY_PATCH_V | 1 << SCRY_PATCH_PATTERN;
    exact                      = run(&f, options, SCRY_PATCH_METHOD_EXACT);
    both                       = run(&f, options, SCRY_PATCH_METHOD_BOTH);
    check_sums(&f, apart, all);
    expect_same_cells(&f, both, apart, SCRY_PATCH_METRIC_ESTIMATE);
    for (int metric = 0; metric < SCRY_PATCH_METRIC_ESTIMATE; metric++)
        expect_same_cells(&f, both, exact, (scry_patch_metric)metric);
    for (int i = 0; i < apart->grid_count; i++)
        for (int layer = 0; layer < apart->grids[i].layer_count; layer++)
            for (int position = 0; position < prompts.at; position++)
                cr_expect_eq(patching_cell(&apart->grids[i], layer, 0, position)->estimate, 0);
    cr_expect(isnan(patching_grid(both, SCRY_PATCH_PATTERN)->cells[0].estimate));
    cr_expect(isnan(apart->grids[0].cells[0].effect) && isnan(apart->grids[0].cells[0].kl));
    cr_expect(apart->cost.patches == 0 && both->cost.patches == exact->cost.patches);
    scry_patching_destroy(&both);
    scry_patching_destroy(&exact);
    scry_patching_destroy(&apart);
    scry_patching_destroy(&all);
    fixture_close(&f);
}

Test(patch_estimate, facts__hold_on_every_family, .timeout = 300)
{
    fixture_for_all(check_facts);
}

/* The largest effect on the last layer's values of these kinds, and how far an estimate of one is off at most. */
static void compare_last_layer(const scry_patching *result, double *largest, double *off)
{
    static const scry_patch_kind kinds[] = {SCRY_PATCH_ATTN_OUT, SCRY_PATCH_MLP_OUT, SCRY_PATCH_Z, SCRY_PATCH_V};
    *largest = *off = 0;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const scry_patch_grid *grid  = patching_grid(result, kinds[i]);
        int                    cells = grid->head_count * grid->position_count;
        for (int cell = 0; cell < cells; cell++) {
            const scry_patch_cell *last = &grid->cells[(grid->layer_count - 1) * cells + cell];
            if (isnan(last->effect)) continue;
            cr_assert(!isnan(last->estimate));
            *largest = fmax(*largest, fabs((double)last->effect));
            *off     = fmax(*off, fabs((double)last->estimate - (double)last->effect));
        }
    }
}

/* A parallel block's outputs go straight to the final norm, and with an epsilon far above all variances that is linear,
 * too: of the last layer, what adds to the stream and what attention weighs have the effects that are estimated.
 * Prompts of unequal length are matched as in the sweep. */
Test(patch_estimate, linear__is_exact)
{
    static const checkpoint_edit edit = {"gpt_neox", SET_CONFIG, "layer_norm_eps", "1e2"};
    char                         path[CHECKPOINT_PATH];
    struct fixture               f;
    fixture_open(&f, "reference", "gpt_neox");
    scry_model_destroy(&f.model);
    checkpoint_make(path, &edit);
    cr_assert_eq(scry_model_open(&f.model, f.device, path, NULL), SCRY_OK, "%s", scry_last_error());
    for (int more = 0; more < 3; more += 2) {
        struct prompts     prompts = prompts_make(&f, f.id_count - REACH, more);
        scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
        double             largest, off;
        options.align         = more > 0;
        scry_patching *result = run(&f, options, SCRY_PATCH_METHOD_BOTH);
        compare_last_layer(result, &largest, &off);
        cr_expect(off <= 2e-4 * largest, "%d more tokens: %g of %g: more than a variance over epsilon, and rounding",
                  more, off, largest);
        cr_expect_gt(largest, 0.5);
        scry_patching_destroy(&result);
    }
    fixture_close(&f);
    checkpoint_remove(path);
}

/* Prompts of unequal length: positions of the baseline without a match have no estimate. */
Test(patch_estimate, aligned__leaves_positions_without_a_match)
{
    enum { AT = 3, MORE = 2 };
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    struct prompts     prompts = prompts_make(&f, AT, MORE);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    options.align              = true;
    scry_patching *result      = run(&f, options, SCRY_PATCH_METHOD_BOTH);
    for (int i = 0; i < result->grid_count; i++)
        for (int position = 0; position < result->grids[i].position_count; position++) {
            const scry_patch_cell *cell = patching_cell(&result->grids[i], 1, 0, position);
            cr_expect_eq(isnan(cell->estimate), isnan(cell->effect), "%s, position %d",
                         scry_patch_kind_text(result->grids[i].kind), position);
        }
    scry_patching_destroy(&result);
    fixture_close(&f);
}

/* A layer at a time, and weights that take turns on the device. */
Test(patch_estimate, memory__changes_no_bit)
{
    struct fixture f;
    fixture_open(&f, "reference", "gpt2");
    struct prompts     prompts = prompts_make(&f, f.id_count - REACH, 0);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    scry_patching     *whole   = run(&f, options, SCRY_PATCH_METHOD_ESTIMATE);
    options.most_memory        = 1;
    scry_patching *parts       = run(&f, options, SCRY_PATCH_METHOD_ESTIMATE);
    expect_same_cells(&f, parts, whole, SCRY_PATCH_METRIC_ESTIMATE);
    scry_patching_destroy(&parts);
    uint64_t bytes = scry_model_get_info(f.model)->weight_bytes;
    scry_model_destroy(&f.model);
    cr_assert_eq(scry_model_open(&f.model, f.device, f.path,
                                 &(scry_model_options){.round_rope = true, .weight_memory = bytes - 1}),
                 SCRY_OK, "%s", scry_last_error());
    cr_expect(scry_model_get_info(f.model)->streamed);
    parts = run(&f, options, SCRY_PATCH_METHOD_ESTIMATE);
    expect_same_cells(&f, parts, whole, SCRY_PATCH_METRIC_ESTIMATE);
    scry_patching_destroy(&parts);
    scry_patching_destroy(&whole);
    fixture_close(&f);
}

/* --- how far they are off --- */

Test(patch_estimate, agreement__compares_what_both_have)
{
    static scry_patch_cell cells[] = {{.effect = 0, .estimate = 0},    {.effect = 1, .estimate = 1},
                                      {.effect = NAN, .estimate = 9},  {.effect = 0, .estimate = 0},
                                      {.effect = 2, .estimate = 2.0F}, {.effect = 0, .estimate = -1}};
    static scry_patch_cell same[]  = {{.effect = 1, .estimate = 0}, {.effect = 1, .estimate = 2}};
    static const struct {
        scry_patch_grid      grid;
        int                  first_difference;
        scry_patch_agreement expected;
    } cases[] = {
        /* effects 1, 2, 0 and estimates 1, 2, -1: their correlation is sqrt(27 / 28) */
        {{SCRY_PATCH_Z, 1, 2, 3, cells}, 1, {3, 1.0 / 3, 1, 0.98198050606196574, 0, 1, 2}},
        {{SCRY_PATCH_MLP_OUT, 2, 1, 3, cells}, 2, {1, 1, 1, NAN, 1, 0, 2}},
        {{SCRY_PATCH_Q, 2, 1, 1, same}, 7, {2, 1, 1, NAN, 0, 0, 0}},
        {{SCRY_PATCH_V, 1, 1, 1, &cells[2]}, 0, {0, NAN, NAN, NAN, -1, -1, -1}},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        const scry_patching         patching     = {.first_difference = cases[c].first_difference};
        const scry_patch_agreement  found        = scry_patch_grid_agreement(&patching, &cases[c].grid);
        const scry_patch_agreement *expected     = &cases[c].expected;
        const double                numbers[][2] = {{found.mean, expected->mean},
                                                    {found.largest, expected->largest},
                                                    {found.correlation, expected->correlation}};
        for (size_t i = 0; i < COUNT(numbers); i++)
            cr_expect(fabs(numbers[i][0] - numbers[i][1]) < 1e-12 || (isnan(numbers[i][0]) && isnan(numbers[i][1])),
                      "case %zu, number %zu: %g, not %g", c, i, numbers[i][0], numbers[i][1]);
        cr_expect(found.count == expected->count && found.layer == expected->layer && found.head == expected->head &&
                      found.position == expected->position,
                  "case %zu: %d cells; %d, %d, %d", c, found.count, found.layer, found.head, found.position);
    }
}

/* --- what is refused, and on the way --- */

Test(patch_estimate, refusals__say_what_was_expected)
{
    static const struct {
        scry_patch_method method;
        unsigned          kinds;
        const char       *says;
    } cases[] = {
        {SCRY_PATCH_METHOD_ESTIMATE, 1 << SCRY_PATCH_PATTERN, "pattern: an estimate takes gradients"},
        {SCRY_PATCH_METHOD_COUNT, 0, "method 3: expected 0 to 2"},
    };
    struct fixture f;
    fixture_open(&f, "reference", "gpt2");
    for (size_t c = 0; c < COUNT(cases); c++) {
        scry_patching     *result  = NULL;
        struct prompts     prompts = prompts_make(&f, 2, 0);
        scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
        options.method             = cases[c].method;
        options.kinds              = cases[c].kinds;
        cr_expect_eq(scry_patching_run(&result, f.model, NULL, NULL, &options), SCRY_BAD_ARGUMENT, "case %zu", c);
        cr_expect(!result && strstr(scry_last_error(), cases[c].says), "case %zu: %s", c, scry_last_error());
    }
    fixture_close(&f);
}

static scry_status run_on(scry_device *device, scry_patching **out)
{
    static const int32_t     clean[] = {1, 2, 3, 4}, corrupt[] = {1, 5, 3, 4};
    const scry_patch_options options = {.clean_ids        = clean,
                                        .clean_id_count   = COUNT(clean),
                                        .corrupt_ids      = corrupt,
                                        .corrupt_id_count = COUNT(corrupt),
                                        .answer           = {.id = PROMPTS_ANSWER, .has_id = true},
                                        .wrong            = {.id = PROMPTS_WRONG, .has_id = true},
                                        .method           = SCRY_PATCH_METHOD_BOTH,
                                        .kinds            = 1 << SCRY_PATCH_Z};
    scry_model              *model   = NULL;
    cr_assert_eq(scry_model_open(&model, device, FIXTURES "/gpt2", NULL), SCRY_OK, "%s", scry_last_error());
    scry_status status = scry_patching_run(out, model, NULL, NULL, &options);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return status;
}

/* Devices estimate what the cpu does, or say which op for training they lack, before any patch is run. */
static void check_device(const char *name)
{
    scry_patching *found = NULL, *expected = NULL;
    scry_status    status = run_on(device_need(name, NULL), &found);
    cr_expect(!status || (status == SCRY_UNSUPPORTED && !found && strstr(scry_last_error(), "_backward on ")), "%s",
              scry_last_error());
    scry_patching_destroy(&found);
    cr_assert_eq(run_on(device_open(name, SCRY_FALLBACK_ALLOW_CPU), &found), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(run_on(device_open("cpu", SCRY_FALLBACK_STRICT), &expected), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < found->grids[0].layer_count * found->grids[0].head_count; i++)
        cr_expect_float_eq((double)found->grids[0].cells[i].estimate, (double)expected->grids[0].cells[i].estimate,
                           1e-4, "%s, cell %d", name, i);
    scry_patching_destroy(&found);
    scry_patching_destroy(&expected);
}

Test(patch_estimate, opencl__agrees_or_says_what_it_lacks)
{
    check_device("opencl:0");
}

Test(patch_estimate, vulkan__agrees_or_says_what_it_lacks, .timeout = 120)
{
    check_device("vulkan:0");
}

Test(patch_estimate, emulated_cuda__agrees_or_says_what_it_lacks)
{
    check_device("cuda-emulated:0");
}

struct steps {
    int64_t done, total, most; /* stops there; 0: never */
};

static bool count_steps(void *user, int64_t done, int64_t total)
{
    struct steps *steps = user;
    cr_expect(done >= steps->done && done <= total && (!steps->total || total == steps->total));
    steps->done  = done;
    steps->total = total;
    return !steps->most || done < steps->most;
}

Test(patch_estimate, progress__counts_to_the_end_and_stops)
{
    struct fixture f;
    fixture_open(&f, "reference", "gpt2");
    struct prompts     prompts = prompts_make(&f, 2, 0);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    options.progress           = count_steps;
    int64_t totals[SCRY_PATCH_METHOD_COUNT];
    for (int method = 0; method < SCRY_PATCH_METHOD_COUNT; method++) {
        struct steps   all = {0}, one = {.most = 1};
        scry_patching *result;
        options.user = &all;
        result       = run(&f, options, (scry_patch_method)method);
        cr_expect_eq(all.done, all.total);
        totals[method] = all.total;
        scry_patching_destroy(&result);
        options.user   = &one;
        options.method = (scry_patch_method)method;
        cr_expect_eq(scry_patching_run(&result, f.model, NULL, NULL, &options), SCRY_STOPPED);
        cr_expect_null(result);
    }
    cr_expect_eq(totals[SCRY_PATCH_METHOD_ESTIMATE], 1);
    cr_expect_eq(totals[SCRY_PATCH_METHOD_BOTH], totals[SCRY_PATCH_METHOD_EXACT] + 1);
    fixture_close(&f);
}

Test(patch_estimate, run__survives_every_refused_allocation)
{
    struct refusals refusals = {0};
    struct fixture  f;
    fixture_open(&f, "reference", "gpt2");
    struct prompts     prompts = prompts_make(&f, f.id_count - 2, 1);
    scry_patch_options options = prompts_options(&prompts, SCRY_NOISE);
    options.align              = true;
    options.method             = SCRY_PATCH_METHOD_ESTIMATE;
    options.kinds              = 1 << SCRY_PATCH_RESID_PRE | 1 << SCRY_PATCH_K;
    while (refusals_next(&refusals)) {
        scry_patching *result = NULL;
        scry_status    status = scry_patching_run(&result, f.model, NULL, NULL, &options);
        refusals_check(&refusals, status, result != NULL);
        scry_patching_destroy(&result);
    }
    cr_expect_gt(refusals.refused, 60);
    fixture_close(&f);
}

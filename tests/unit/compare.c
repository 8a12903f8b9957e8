/* Comparisons: what must hold whatever the model, and rows whose divergence is known. */
#include "scry/compare.h"
#include "fixture.h"
#include "refusals.h"

#include "analysis/compare_attention.h"
#include "report/npz.h"
#include "scry/lens.h"
#include "scry/trace.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(compare, .init = use_plugins);

static scry_compare *run(const scry_compare_side *a, const scry_compare_side *b, const scry_compare_options *options)
{
    scry_compare *compare = NULL;
    cr_assert_eq(scry_compare_run(&compare, a, b, options), SCRY_OK, "%s", scry_last_error());
    return compare;
}

static scry_compare_side side_of(const struct fixture *f)
{
    return (scry_compare_side){.model = f->model, .ids = f->ids, .id_count = f->id_count};
}

static void open_twin(struct fixture *twin, const struct fixture *f, uint64_t seed)
{
    *twin = (struct fixture){.device = f->device};
    cr_assert_eq(scry_model_open(&twin->model, f->device, f->path,
                                 &(scry_model_options){.random_init = true, .random_seed = seed}),
                 SCRY_OK, "%s", scry_last_error());
}

/* --- rows --- */

Test(compare, divergence__of_known_rows)
{
    static const struct {
        float  a[3], b[3];
        double expected;
    } rows[] = {
        {{1, 0, 0}, {1, 0, 0}, 0},
        {{1, 0, 0}, {0, 1, 0}, 0.6931471805599453}, /* ln 2: nothing in common */
        {{0, 0, 0}, {0, 0, 0}, 0},
        {{0.5f, 0.5f, 0}, {0.5f, 0, 0.5f}, 0.34657359027997264}, /* half of it */
        {{1, 0, 0}, {0.5f, 0.5f, 0}, 0.21576155433883565},       /* 3/4 ln(4/3) */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double there = scry__row_divergence(rows[i].a, rows[i].b, 3),
               back  = scry__row_divergence(rows[i].b, rows[i].a, 3);
        cr_expect_float_eq(there, rows[i].expected, 1e-12, "row %zu: %.17g", i, there);
        cr_expect_float_eq(there, back, 1e-15, "row %zu is not symmetric", i);
    }
    cr_expect(isnan(scry__row_divergence((float[]){NAN, 1}, (float[]){0, 1}, 2)));
    cr_expect(isnan(scry__row_divergence((float[]){0, 1}, (float[]){NAN, 1}, 2)));
}

/* --- models --- */

static void check_itself(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_compare_side side    = side_of(&f);
    scry_compare     *compare = run(&side, &side, NULL);
    cr_expect_eq(compare->place_count, 0);
    for (int i = 0; i < compare->layer_count * compare->head_count; i++) {
        const scry_compare_head *head = &compare->heads[i];
        cr_expect(head->largest == 0 && head->mean == 0 && head->moved == 0 && head->js == 0, "%s: %d.%d", name,
                  head->layer, head->head);
    }
    cr_expect_eq(compare->lens_count, compare->layer_count + 1);
    for (int i = 0; i < compare->lens_count; i++) {
        const scry_compare_layer *layer = &compare->lens[i];
        cr_expect(layer->kl == 0 && layer->kl_largest == 0 && layer->agreement == 1, "%s: layer %d", name, i);
        cr_expect(layer->loss[0] == layer->loss[1] && layer->entropy[0] == layer->entropy[1]);
    }
    cr_expect_eq(compare->loss[0], compare->loss[1]);
    scry_compare_destroy(&compare);
    fixture_close(&f);
}

Test(compare, itself__does_not_differ)
{
    fixture_for_all(check_itself);
}

Test(compare, lens__gives_what_the_lens_gives)
{
    struct fixture f;
    fixture_open(&f, "reference", "gpt_neox");
    scry_compare_side side    = side_of(&f);
    scry_compare     *compare = run(&side, &side, NULL);
    scry_lens        *lens    = NULL;
    scry_lens_options options = {.ids = f.ids, .id_count = f.id_count, .target_next = true};
    cr_assert_eq(scry_lens_run(&lens, f.model, NULL, &options), SCRY_OK);
    for (int layer = 0; layer < lens->layer_count; layer++) {
        double entropy = 0, loss = 0;
        for (int t = 0; t < lens->token_count; t++) {
            const scry_lens_cell *cell = scry_lens_at(lens, layer, t);
            entropy += (double)cell->entropy / lens->token_count;
            if (t + 1 == lens->token_count) continue;
            loss -= (double)cell->target_log_probability / (lens->token_count - 1);
            if (layer + 1 == lens->layer_count)
                cr_expect_float_eq(compare->losses[0][t], -cell->target_log_probability, 1e-5f);
        }
        cr_expect_float_eq(compare->lens[layer].entropy[1], entropy, 1e-5);
        cr_expect_float_eq(compare->lens[layer].loss[0], loss, 1e-5);
    }
    cr_expect_eq(compare->loss[0], compare->lens[lens->layer_count - 1].loss[0]);
    scry_lens_destroy(&lens);
    scry_compare_destroy(&compare);
    fixture_close(&f);
}

Test(compare, sides__may_be_swapped)
{
    struct fixture f, twin;
    fixture_open(&f, "cpu", "qwen3");
    open_twin(&twin, &f, 1);
    scry_compare_side a = side_of(&f), b = a;
    b.model             = twin.model;
    b.name              = "before";
    scry_compare *there = run(&a, &b, NULL), *back = run(&b, &a, NULL);
    cr_expect_str_eq(there->names[1], "before");
    cr_expect_gt(there->place_count, 0);
    for (int i = 0; i < there->layer_count * there->head_count; i++) {
        const scry_compare_head *head = &there->heads[i], *other = &back->heads[i];
        cr_expect(head->largest == other->largest && head->query == other->query && head->key == other->key);
        cr_expect_float_eq(head->js, other->js, 1e-6f);
        cr_expect(head->js > 0 && head->js <= (float)log(2), "%g", head->js);
        cr_expect(head->moved > 0 && head->moved <= 1 && head->mean <= head->largest);
    }
    for (int i = 0; i < there->lens_count; i++)
        cr_expect(there->lens[i].loss[0] == back->lens[i].loss[1] && there->lens[i].kl > 0);
    scry_compare_destroy(&there);
    scry_compare_destroy(&back);
    scry_model_destroy(&twin.model);
    fixture_close(&f);
}

/* The places are the largest of all cells, counted here one by one. */
struct cells {
    float  limit; /* the last place's size */
    int    above, heads;
    size_t head_size;
};

static scry_status count_cells(void *user, const scry_compare *compare, int layer, const float *a, const float *b)
{
    struct cells *cells = user;
    cr_expect(layer >= 0 && layer < compare->layer_count);
    for (size_t i = 0; i < (size_t)cells->heads * cells->head_size; i++)
        cells->above += fabsf(b[i] - a[i]) > cells->limit;
    return SCRY_OK;
}

Test(compare, places__are_the_largest_differences)
{
    struct fixture f, twin;
    fixture_open(&f, "cpu", "llama");
    open_twin(&twin, &f, 1);
    scry_compare_side    a = side_of(&f), b = a;
    scry_compare_options options = {.places = 7, .skip_lens = true};
    b.model                      = twin.model;
    scry_compare *compare        = run(&a, &b, &options);
    cr_assert_eq(compare->place_count, 7);
    cr_expect_eq(compare->lens_count, 0);
    cr_expect_gt(compare->loss_count, 0, "losses do not need the lens");
    float before = INFINITY, largest = 0;
    for (int i = 0; i < compare->place_count; i++) {
        float size = fabsf(compare->places[i].b - compare->places[i].a);
        cr_expect_leq(size, before);
        before = size;
    }
    for (int i = 0; i < compare->layer_count * compare->head_count; i++)
        largest = fmaxf(largest, compare->heads[i].largest);
    cr_expect_eq(largest, fabsf(compare->places[0].b - compare->places[0].a));
    struct cells cells = {.limit     = before,
                          .heads     = compare->head_count,
                          .head_size = (size_t)compare->query_count * (size_t)compare->key_count};
    scry_compare_destroy(&compare);
    options.sink      = count_cells;
    options.sink_user = &cells;
    compare           = run(&a, &b, &options);
    cr_expect_leq(cells.above, 6);
    scry_compare_destroy(&compare);
    scry_model_destroy(&twin.model);
    fixture_close(&f);
}

/* One layer at a time in memory, in several passes. */
Test(compare, memory__changes_nothing)
{
    struct fixture f, twin;
    fixture_open(&f, "cpu", "gpt2");
    open_twin(&twin, &f, 1);
    scry_compare_side a = side_of(&f), b = a;
    b.model           = twin.model;
    scry_compare *all = run(&a, &b, NULL), *each = run(&a, &b, &(scry_compare_options){.most_memory = 1});
    cr_expect_gt(all->layer_count, 2);
    cr_expect(!memcmp(all->heads, each->heads, (size_t)(all->layer_count * all->head_count) * sizeof *all->heads));
    scry_compare_destroy(&all);
    scry_compare_destroy(&each);
    scry_model_destroy(&twin.model);
    fixture_close(&f);
}

/* Causality: nothing differs before the first token that does. */
Test(compare, prompts__differ_from_the_first_other_token_on)
{
    static const int32_t ids[2][6] = {{1, 2, 3, 4, 5, 6}, {1, 2, 3, 9, 5}};
    struct fixture       f;
    fixture_open(&f, "cpu", "mistral");
    scry_compare_side sides[2] = {{.model = f.model, .ids = ids[0], .id_count = 6},
                                  {.model = f.model, .ids = ids[1], .id_count = 5}};
    scry_compare     *compare  = run(&sides[0], &sides[1], &(scry_compare_options){.places = 1000});
    cr_expect(compare->query_count == 5 && compare->key_count == 5);
    cr_expect(compare->tokens[0]->count == 6 && compare->tokens[1]->count == 5);
    cr_expect_gt(compare->place_count, 0);
    for (int i = 0; i < compare->place_count; i++) cr_expect_geq(compare->places[i].query, 3);
    cr_expect_eq(compare->loss_count, 4);
    for (int t = 0; t < 2; t++) cr_expect_eq(compare->losses[0][t], compare->losses[1][t], "position %d", t);
    cr_expect_neq(compare->losses[0][2], compare->losses[1][2]);
    scry_compare_destroy(&compare);
    fixture_close(&f);
}

static void check_devices(const char *name)
{
    scry_device *device = device_need(name, NULL);
    scry_device_destroy(&device);
    struct fixture here, there;
    fixture_open(&here, "reference", "llama");
    fixture_open(&there, name, "llama");
    scry_compare_side a = side_of(&here), b = side_of(&there);
    scry_compare     *compare = run(&a, &b, NULL);
    cr_expect(compare->place_count == 0 || fabsf(compare->places[0].b - compare->places[0].a) < PROMISE, "%s", name);
    cr_expect_lt(compare->lens[compare->lens_count - 1].kl_largest, 1e-8, "%s", name);
    cr_expect_eq(compare->lens[compare->lens_count - 1].agreement, 1, "%s", name);
    scry_compare_destroy(&compare);
    fixture_close(&here);
    fixture_close(&there);
}

Test(compare, devices__agree)
{
    check_devices("cpu:0");
}

Test(compare, devices__agree_on_opencl)
{
    check_devices("opencl:0");
}

Test(compare, devices__agree_on_vulkan)
{
    check_devices("vulkan:0");
}

/* --- files --- */

static const char *scratch(int index)
{
    static char paths[2][128];
    snprintf(paths[index], sizeof *paths, "/tmp/scry-compare-%ld-%d.npz", (long)getpid(), index);
    return paths[index];
}

static scry_status add_capture(void *user, const scry_capture *capture)
{
    return scry__npz_add_capture(user, capture);
}

/* Attention as `scry trace` writes it, of some layers. */
static const char *write_trace(const struct fixture *f, const char *layers, int index)
{
    scry__npz         *npz     = NULL;
    scry_trace        *trace   = NULL;
    const int64_t      count   = f->id_count;
    scry_trace_options options = {.ids      = f->ids,
                                  .id_count = f->id_count,
                                  .hooks    = "blocks.*.attn.hook_pattern",
                                  .layers   = layers,
                                  .sink     = add_capture};
    cr_assert_eq(scry__npz_open(&npz, scratch(index)), SCRY_OK);
    options.user = npz;
    cr_assert_eq(scry_trace_run(&trace, f->model, NULL, &options), SCRY_OK);
    cr_assert_eq(scry__npz_add(npz, "tokens", SCRY__NPY_I32, 1, &count, f->ids), SCRY_OK);
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK);
    scry_trace_destroy(&trace);
    return scratch(index);
}

Test(compare, file__of_a_model_is_the_model)
{
    struct fixture f;
    fixture_open(&f, "cpu", "gpt2");
    scry_compare_side model = side_of(&f), file = {.file = write_trace(&f, "1-2", 0)};
    scry_compare     *compare = run(&model, &file, NULL);
    cr_expect_eq(compare->layer_count, 2, "what both have");
    cr_expect(compare->layers[0] == 1 && compare->heads[0].layer == 1);
    cr_expect_eq(compare->place_count, 0);
    cr_expect_eq(compare->lens_count, 0);
    cr_expect(isnan(compare->loss[0]));
    cr_assert(compare->tokens[1] && compare->tokens[1]->count == f.id_count);
    cr_expect_eq(atoi(compare->tokens[1]->texts[0]), f.ids[0], "without texts, ids stand for them");
    scry_compare_destroy(&compare);
    unlink(scratch(0));
    fixture_close(&f);
}

/* Causality: the rows of a shorter prompt are the first ones of a longer one. */
Test(compare, file__of_a_longer_prompt_is_cut)
{
    struct fixture f;
    fixture_open(&f, "cpu", "gpt2");
    scry_compare_side model = side_of(&f), file = {.file = write_trace(&f, NULL, 0)};
    model.id_count -= 2;
    scry_compare *compare = run(&model, &file, NULL);
    cr_expect(compare->query_count == f.id_count - 2 && compare->key_count == f.id_count - 2);
    cr_expect(!compare->place_count || fabsf(compare->places[0].a - compare->places[0].b) < 1e-6f);
    scry_compare_destroy(&compare);
    unlink(scratch(0));
    fixture_close(&f);
}

static const char *write_pattern(const float *weights, const int64_t shape[3], int index)
{
    scry__npz *npz = NULL;
    cr_assert_eq(scry__npz_open(&npz, scratch(index)), SCRY_OK);
    cr_assert_eq(scry__npz_add(npz, "blocks.3.attn.hook_pattern", SCRY__NPY_F32, 3, shape, weights), SCRY_OK);
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK);
    return scratch(index);
}

/* Two heads of two rows: one moves half of a row, the other is equal. */
Test(compare, numbers__of_a_hand_made_pair)
{
    static const int64_t shape[3] = {2, 2, 2};
    static const float   a[8] = {1, 0, 0.5f, 0.5f, 1, 0, 0.25f, 0.75f}, b[8] = {1, 0, 1, 0, 1, 0, 0.25f, 0.75f};
    scry_compare_side    left = {.file = write_pattern(a, shape, 0)}, right = {.file = write_pattern(b, shape, 1)};
    scry_compare        *compare = run(&left, &right, NULL);
    cr_assert(compare->layer_count == 1 && compare->head_count == 2);
    const scry_compare_head *head = &compare->heads[0], *equal = &compare->heads[1];
    cr_expect(head->layer == 3 && head->largest == 0.5f && head->query == 1 && head->key == 0);
    cr_expect_float_eq(head->mean, 1.0f / 3, 1e-6f, "of the three weights that are not 0 in both");
    cr_expect_float_eq(head->moved, 0.25f, 1e-6f, "half of one of two rows");
    cr_expect_float_eq(head->js, 0.21576155433883565 / 2, 1e-6);
    cr_expect(equal->largest == 0 && equal->mean == 0 && equal->moved == 0 && equal->js == 0);
    cr_expect(compare->positions[0] == 0, "row 0 is the same in both heads");
    cr_expect_float_eq(compare->positions[1], 0.21576155433883565 / 2, 1e-6);
    cr_assert_eq(compare->place_count, 2);
    cr_expect(compare->places[0].key == 0 && compare->places[0].a == 0.5f && compare->places[0].b == 1);
    cr_expect(compare->places[1].key == 1 && compare->places[1].query == 1 && compare->places[1].b == 0);
    cr_expect_null(compare->tokens[0]);
    scry_compare_destroy(&compare);
    unlink(scratch(0));
    unlink(scratch(1));
}

Test(compare, what_cannot_be_compared__is_refused_with_its_reason)
{
    struct fixture wide, narrow;
    fixture_open(&wide, "cpu", "llama");
    fixture_open(&narrow, "cpu", "gpt_neox");
    scry_compare_side      nothing = {0}, a = side_of(&wide), b = side_of(&narrow);
    scry_compare_side      first = {.file = write_trace(&wide, "0", 0)}, second = {.file = write_trace(&wide, "1", 1)};
    const scry_model_info *info = scry_model_get_info(wide.model), *other = scry_model_get_info(narrow.model);
    scry_compare          *compare = NULL;
    cr_expect(info->head_count != other->head_count || info->layer_count != other->layer_count, "they are alike");
    const struct {
        const scry_compare_side *a, *b;
        const char              *detail;
    } rows[] = {
        {&a, &nothing, "expected a model or a file"},
        {&a, &b, "expected the same architecture"},
        {&first, &second, "no layer in common"},
        {&a, &(scry_compare_side){.file = "/nonesuch.npz"}, "/nonesuch.npz"},
        {&a, &(scry_compare_side){.model = wide.model}, "prompt"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_neq(scry_compare_run(&compare, rows[i].a, rows[i].b, NULL), SCRY_OK, "row %zu", i);
        cr_expect(strstr(scry_last_error(), rows[i].detail), "row %zu: %s", i, scry_last_error());
        cr_expect_null(compare);
    }
    unlink(scratch(0));
    unlink(scratch(1));
    fixture_close(&wide);
    fixture_close(&narrow);
}

static bool stop_at_once(void *user, int64_t done, int64_t total)
{
    (void)user;
    cr_expect(done == 1 && total > 1);
    return false;
}

Test(compare, progress__stops)
{
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    scry_compare_side side    = side_of(&f);
    scry_compare     *compare = NULL;
    cr_expect_eq(scry_compare_run(&compare, &side, &side, &(scry_compare_options){.progress = stop_at_once}),
                 SCRY_STOPPED);
    cr_expect_null(compare);
    fixture_close(&f);
}

Test(compare, run__survives_every_refused_allocation)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    scry_compare_side model = side_of(&f), file = {.file = write_trace(&f, NULL, 0)};
    model.id_count = 3;
    for (int pair = 0; pair < 2; pair++) {
        struct refusals refusals = {0};
        while (refusals_next(&refusals)) {
            scry_compare *compare = NULL;
            scry_status   status  = scry_compare_run(&compare, &model, pair ? &file : &model, NULL);
            refusals_check(&refusals, status, compare != NULL);
            scry_compare_destroy(&compare);
        }
        cr_expect_gt(refusals.refused, 30);
    }
    unlink(scratch(0));
    fixture_close(&f);
}

/* --- series --- */

Test(compare, series__has_a_point_for_each_checkpoint)
{
    struct fixture     f, twin;
    scry_series       *series  = NULL;
    scry_heads_options options = {.probe_length = 5, .probe_seeds = 1};
    fixture_open(&f, "cpu", "llama");
    open_twin(&twin, &f, 1);
    options.ids      = f.ids;
    options.id_count = f.id_count;
    cr_assert_eq(scry_series_add(&series, "first", twin.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_series_add(&series, "last", f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    options.id_count = -1;
    cr_expect_neq(scry_series_add(&series, "wrong", f.model, NULL, &options), SCRY_OK);
    cr_assert_eq(series->count, 2, "a failure adds nothing");
    cr_expect_str_eq(series->points[1].name, "last");
    for (int i = 0; i < 2; i++) {
        const scry_series_score *score = &series->points[i].scores[SCRY_HEAD_PREVIOUS];
        scry_compare_side        side  = {.model = i ? f.model : twin.model, .ids = f.ids, .id_count = f.id_count};
        scry_compare            *self  = run(&side, &side, NULL);
        cr_expect_float_eq(series->points[i].loss, self->loss[0], 1e-6f);
        cr_expect(score->best >= score->mean && score->layer >= 0);
        scry_compare_destroy(&self);
    }
    scry_series_destroy(&series);
    cr_expect_null(series);
    scry_model_destroy(&twin.model);
    fixture_close(&f);
}

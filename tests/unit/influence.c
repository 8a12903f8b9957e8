/* What an output position drew on: sinks and their null, rollout, and cuts, against facts that hold whatever the model.
 */
#include "scry/influence.h"
#include "analysis/look.h"
#include "analysis/received.h"
#include "analysis/rollout.h"
#include "fixture.h"
#include "model/model.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- what keys receive --- */

enum { ROWS = 100 };

/* A[i][j] of a head that does nothing: even over what the row sees. */
static double even(int row, int key, int window)
{
    int first = window && row >= window ? row - window + 1 : 0;
    return key < first || key > row ? 0 : 1.0 / (row - first + 1);
}

Test(influence, received_null__is_the_sum_over_rows_that_see_the_key)
{
    static const struct {
        int count, window;
    } cases[] = {{1, 0}, {2, 0}, {ROWS, 0}, {ROWS, 1}, {ROWS, 7}, {ROWS, ROWS - 1}, {ROWS, ROWS}, {ROWS, 3 * ROWS}};
    double null[ROWS];
    for (size_t c = 0; c < COUNT(cases); c++) {
        double all = 0;
        scry__received_null(null, cases[c].count, cases[c].window);
        for (int key = 0; key < cases[c].count; key++) {
            double sum  = 0;
            int    rows = 0;
            for (int row = 0; row < cases[c].count; row++) {
                double weight = even(row, key, cases[c].window);
                sum += weight;
                rows += weight > 0;
            }
            all += null[key];
            cr_expect_float_eq(null[key], sum, 1e-12, "case %zu, key %d: %g, not %g", c, key, null[key], sum);
            cr_expect_eq(scry__received_rows(cases[c].count, cases[c].window, key), rows, "case %zu, key %d", c, key);
        }
        cr_expect_float_eq(all, cases[c].count, 1e-10, "case %zu: rows sum to 1", c);
    }
}

static int sinks_of(double (*weight)(int row, int key, int window), int window)
{
    double null[ROWS];
    int    sinks = 0;
    scry__received_null(null, ROWS, window);
    for (int key = 0; key < ROWS; key++) {
        double received = 0;
        for (int row = key; row < ROWS; row++) received += weight(row, key, window);
        sinks += scry__is_sink(received, null[key], scry__received_rows(ROWS, window, key));
    }
    return sinks;
}

static double to_previous(int row, int key, int window)
{
    (void)window;
    return key == (row ? row - 1 : 0);
}

static double to_first(int row, int key, int window)
{
    (void)row, (void)window;
    return key == 0;
}

static double half_to_third(int row, int key, int window)
{
    return row < 3 ? even(row, key, window) : key == 3 ? 0.5 : 0.5 * even(row, key, window);
}

Test(influence, sinks__are_keys_that_most_rows_attend_to)
{
    static const struct {
        const char *name;
        double (*weight)(int row, int key, int window);
        int window, sinks;
    } cases[] = {
        {"uniform", even, 0, 0},         {"uniform in a window", even, 9, 0},
        {"uniform, narrow", even, 2, 0}, {"the previous", to_previous, 0, 0},
        {"the first", to_first, 0, 1},   {"half", half_to_third, 0, 1},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        int sinks = sinks_of(cases[c].weight, cases[c].window);
        cr_expect_eq(sinks, cases[c].sinks, "%s: %d sinks", cases[c].name, sinks);
    }
}

/* --- rollout --- */

static void fill(float *means, int layers, int count, float (*weight)(int layer, int row, int key))
{
    for (int layer = 0; layer < layers; layer++)
        for (int row = 0; row < count; row++)
            for (int key = 0; key <= row; key++) *means++ = weight(layer, row, key);
}

static float identity(int layer, int row, int key)
{
    (void)layer;
    return row == key;
}

static float uniform(int layer, int row, int key)
{
    (void)layer, (void)key;
    return 1.0f / (float)(row + 1);
}

static float second_then_previous(int layer, int row, int key)
{
    return key == (!row ? 0 : layer ? row - 1 : 1);
}

static float nothing(int layer, int row, int key)
{
    (void)layer, (void)row, (void)key;
    return 0;
}

Test(influence, rollout__keeps_the_mass_and_the_order_of_layers)
{
    enum { KEYS = 5, LAYERS = 2 };
    static const struct {
        const char *name;
        float (*weight)(int layer, int row, int key);
        int   layers;
        float row[KEYS];
    } cases[] = {
        {"no layer", uniform, 0, {0, 0, 0, 0, 1}},
        {"identity", identity, LAYERS, {0, 0, 0, 0, 1}},
        {"a row without a key", nothing, LAYERS, {0, 0, 0, 0, 1}},
        {"uniform", uniform, 1, {0.1f, 0.1f, 0.1f, 0.1f, 0.6f}},
        /* The second layer halves between 4 and 3; of each half, the first layer leaves half where it is. */
        {"second, then previous", second_then_previous, LAYERS, {0, 0.5f, 0, 0.25f, 0.25f}},
    };
    float means[LAYERS * KEYS * (KEYS + 1) / 2], row[KEYS];
    for (size_t c = 0; c < COUNT(cases); c++) {
        float sum = 0;
        fill(means, cases[c].layers, KEYS, cases[c].weight);
        cr_assert_eq(scry__rollout(row, means, cases[c].layers, KEYS), SCRY_OK);
        for (int key = 0; key < KEYS; key++) {
            cr_expect_float_eq(row[key], cases[c].row[key], 1e-6, "%s: key %d: %g", cases[c].name, key,
                               (double)row[key]);
            sum += row[key];
        }
        cr_expect_float_eq(sum, 1, 1e-6, "%s: sums to %g", cases[c].name, (double)sum);
    }
}

/* --- a position of a model --- */

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(influence, .init = use_plugins);

static scry_influence *run_influence(const struct fixture *f, int count, scry_influence_options options)
{
    scry_influence *influence = NULL;
    options.ids               = f->ids;
    options.id_count          = count;
    cr_assert_eq(scry_influence_run(&influence, f->model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    return influence;
}

/* The last row of a whole pass, with one layer's edges to a key masked there and nowhere else. */
struct last_row {
    struct fixture *fixture;
    int             layer, head, key; /* -1: all; key -1: all but the row's own; layer -2: nothing */
    scry_buffer    *buffer;           /* [H, T, T] */
};

static scry_status cut_edge(void *user, int layer, scry_mask *mask)
{
    struct last_row *last    = user;
    int64_t          count   = last->fixture->id_count;
    int64_t          shape[] = {1, scry_model_get_info(last->fixture->model)->head_count, count, count};
    if (last->layer == -1 || last->layer == layer) mask->additive = scry_tensor_of(last->buffer, 0, SCRY_F32, 4, shape);
    return SCRY_OK;
}

static float *logits_of(struct last_row *last)
{
    struct fixture *f     = last->fixture;
    int             heads = scry_model_get_info(f->model)->head_count, count = f->id_count;
    size_t          bytes   = (size_t)(heads * count * count) * sizeof(float);
    float          *mask    = calloc(1, bytes);
    scry__hooks     hooks   = {.user = last, .mask = cut_edge};
    scry__session  *session = fixture_session(f, (scry__session_options){.capacity = count});
    for (int head = 0; head < heads; head++)
        for (int key = 0; key < count; key++)
            if ((last->head < 0 || last->head == head) && (last->key < 0 ? key < count - 1 : last->key == key))
                mask[(head * count + count - 1) * count + key] = -INFINITY;
    cr_assert_eq(scry_buffer_create(&last->buffer, f->device, bytes), SCRY_OK);
    cr_assert_eq(scry_buffer_write(last->buffer, 0, mask, bytes), SCRY_OK);
    fixture_forward(session, f->ids, count, &hooks);
    float *logits = fixture_logits(f, session, 1, count - 1, 1);
    scry__session_destroy(&session);
    scry_buffer_destroy(&last->buffer);
    free(mask);
    return logits;
}

static double log_sum(const float *logits, int count)
{
    double best = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) best = fmax(best, (double)logits[i]);
    for (int i = 0; i < count; i++) sum += exp((double)logits[i] - best);
    return best + log(sum);
}

static void expect_cut(struct fixture *f, const scry_influence *influence, const float *uncut, struct last_row edge,
                       const scry_cut *found)
{
    int    vocabulary = scry_model_get_info(f->model)->vocabulary, id = influence->target.id;
    float *cut    = logits_of(&edge);
    double before = log_sum(uncut, vocabulary), after = log_sum(cut, vocabulary), kl = 0;
    for (int i = 0; i < vocabulary; i++) {
        double log_p = (double)uncut[i] - before, log_q = (double)cut[i] - after;
        kl += exp(log_p) * (log_p - log_q);
    }
    double logit = (double)cut[id] - (double)uncut[id], slack = 4 * PROMISE;
    cr_expect(fabs((double)found->logit - logit) <= slack &&
                  fabs((double)found->log_probability - (logit - after + before)) <= slack &&
                  fabs((double)found->kl - kl) <= slack,
              "%s: layer %d head %d key %d: %g %g %g, expected %g %g %g", f->name, edge.layer, edge.head, edge.key,
              (double)found->logit, (double)found->log_probability, (double)found->kl, logit, logit - after + before,
              kl);
    free(cut);
}

/* Every cut against a whole pass with that edge masked, on the first `tokens` of the prompt. */
static void check_cuts(const char *device, const char *name, int tokens)
{
    struct fixture f;
    fixture_open(&f, device, name);
    cr_assert_geq(f.id_count, tokens);
    f.id_count                = tokens;
    scry_influence *influence = run_influence(&f, f.id_count, (scry_influence_options){.cuts = SCRY_CUTS_EDGES});
    float          *uncut     = logits_of(&(struct last_row){.fixture = &f, .layer = -2});
    int             heads = influence->head_count, keys = influence->key_count;
    cr_expect(fabsf(uncut[influence->target.id] - influence->target.logit) <= 2 * (float)PROMISE);
    for (int key = 0; key < keys; key++)
        expect_cut(&f, influence, uncut, (struct last_row){&f, -1, -1, key, NULL}, &influence->key_cuts[key]);
    for (int layer = 0; layer < influence->layer_count; layer++) {
        for (int key = 0; key < keys; key++)
            expect_cut(&f, influence, uncut, (struct last_row){&f, layer, -1, key, NULL},
                       &influence->layer_cuts[layer * keys + key]);
        for (int head = 0; head < heads; head += 2)
            expect_cut(&f, influence, uncut, (struct last_row){&f, layer, head, -1, NULL},
                       &influence->head_cuts[layer * heads + head]);
        for (int i = layer; i < heads * keys; i += 5)
            expect_cut(&f, influence, uncut, (struct last_row){&f, layer, i / keys, i % keys, NULL},
                       &influence->edge_cuts[layer * heads * keys + i]);
    }
    free(uncut);
    scry_influence_destroy(&influence);
    fixture_close(&f);
}

Test(influence, cuts__are_what_a_whole_pass_with_that_edge_masked_gives)
{
    static const char *const names[] = {"gpt2", "gpt_neox", "llama", "llama_rope_dynamic", "qwen2_window"};
    for (size_t i = 0; i < COUNT(names); i++) {
        check_cuts("reference", names[i], 12);
        check_cuts("cpu", names[i], 12);
    }
}

static void check_some_cuts(const char *device, const char *name)
{
    if (!strcmp(name, "llama")) check_cuts(device, name, 4);
}

FIXTURES_ON_PLUGINS(influence, cuts, are_what_a_whole_pass_with_that_edge_masked_gives, false, check_some_cuts)

/* Weights against transformers' attentions; their means and the rollout, which keep a row's sum. */
static void check_weights(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_influence *influence = run_influence(&f, f.id_count, (scry_influence_options){.cuts = SCRY_CUTS_NONE});
    size_t          keys = (size_t)influence->key_count, heads = (size_t)influence->head_count;
    double          weight = 0, rollout = 0;
    cr_expect_eq(influence->position, f.id_count - 1);
    for (int layer = 0; layer < influence->layer_count; layer++) {
        const float *expected = (const float *)(const void *)fixture_find(&f, "attentions.", layer)->data;
        const float *found    = influence->weights + (size_t)layer * heads * keys;
        for (size_t head = 0; head < heads; head++) {
            double difference =
                largest_difference(found + head * keys, expected + (head * keys + keys - 1) * keys, keys);
            cr_expect(difference <= PROMISE, "%s: layer %d head %zu differs by %g", name, layer, head, difference);
        }
    }
    for (size_t key = 0; key < keys; key++) {
        weight += (double)influence->key_weights[key];
        rollout += (double)influence->rollout[key];
        cr_expect(isnan(influence->key_cuts[key].logit), "not asked for");
    }
    cr_expect_float_eq(weight, 1, 1e-5, "%s: weights sum to %g", name, weight);
    cr_expect_float_eq(rollout, 1, 1e-5, "%s: the rollout sums to %g", name, rollout);
    scry_influence_destroy(&influence);
    fixture_close(&f);
}

Test(influence, weights__are_those_of_transformers)
{
    fixture_for_all(check_weights);
}

/* A key out of a layer's window is not seen anyway: cutting it changes nothing, not a bit. */
static void check_unseen(const char *device, const char *name)
{
    struct fixture f;
    int            unseen = 0;
    fixture_open(&f, device, name);
    scry_influence *influence = run_influence(&f, f.id_count, (scry_influence_options){0});
    for (int layer = 0; layer < influence->layer_count; layer++) {
        int64_t window = f.model->arch.layers[layer].window;
        for (int key = 0; key < influence->key_count; key++) {
            const scry_cut *cut  = &influence->layer_cuts[layer * influence->key_count + key];
            bool            seen = !window || influence->position - key < window;
            unseen += !seen;
            cr_expect_eq(cut->logit == 0 && cut->log_probability == 0 && cut->kl == 0, !seen, "%s: layer %d key %d: %g",
                         name, layer, key, (double)cut->logit);
        }
    }
    cr_expect_gt(unseen, 0);
    scry_influence_destroy(&influence);
    fixture_close(&f);
}

Test(influence, cuts__of_what_is_not_seen_change_nothing)
{
    check_unseen("reference", "mistral");
    check_unseen("cpu", "mistral");
    check_unseen("cpu", "qwen2_window");
}

/* The first position sees itself alone: its heads have nothing to lose, and without its own key nothing is left. */
Test(influence, first_position__draws_on_itself)
{
    struct fixture f;
    fixture_open(&f, "cpu", "gpt2");
    scry_influence *influence = run_influence(&f, f.id_count, (scry_influence_options){.has_position = true});
    cr_assert_eq(influence->key_count, 1);
    cr_expect_eq(influence->rollout[0], 1.0F);
    cr_expect_eq(influence->key_weights[0], 1.0F);
    cr_expect_neq(influence->key_cuts[0].logit, 0.0F);
    for (int i = 0; i < influence->layer_count * influence->head_count; i++)
        cr_expect(influence->head_cuts[i].logit == 0 && influence->head_cuts[i].kl == 0);
    scry_influence_destroy(&influence);
    fixture_close(&f);
}

/* A prompt that goes through in pieces looks where it looked in one; without means only the last row is read. */
Test(influence, look__in_pieces_adds_up)
{
    enum { PIECE = 5 };
    struct fixture f;
    scry__look     look[3];
    fixture_open(&f, "reference", "mistral");
    const scry_model_info *info  = scry_model_get_info(f.model);
    int                    heads = info->layer_count * info->head_count, cells = heads * f.id_count;
    cr_assert_gt(f.id_count, 2 * PIECE);
    for (int i = 0; i < 3; i++) {
        scry__session_options options = {.capacity = f.id_count, .rows = i ? PIECE : 0, .keep_cache = true};
        scry__session        *session = fixture_session(&f, options);
        cr_assert_eq(scry__look_create(&look[i], info, f.id_count, i < 2), SCRY_OK);
        look[i].weights = calloc((size_t)cells, sizeof(float));
        cr_assert_eq(scry__look_run(&look[i], session, f.ids), SCRY_OK, "%s", scry_last_error());
        scry__session_destroy(&session);
    }
    for (int i = 1; i < 3; i++) {
        cr_expect_leq(largest_difference(look[i].weights, look[0].weights, (size_t)cells), 1e-6, "run %d", i);
        for (int at = 0; at < cells; at++)
            cr_expect_float_eq(look[i].received[at], look[0].received[at], 1e-5, "run %d: %d", i, at);
    }
    size_t triangles = (size_t)info->layer_count * scry__triangle_row(f.id_count);
    cr_expect_leq(largest_difference(look[1].means, look[0].means, triangles), 1e-6);
    cr_expect_null(look[2].means);
    for (int i = 0; i < 3; i++) {
        free(look[i].weights);
        scry__look_finish(&look[i]);
    }
    fixture_close(&f);
}

/* A device of its own memory that works later computes with the reference's code: the same bits must arrive. */
Test(influence, remote_memory__gives_what_shared_memory_gives)
{
    struct fixture near, far;
    setenv("SCRY_FAKE_REMOTE", "1", 1);
    fixture_open(&near, "reference", "qwen2");
    fixture_open(&far, "fake", "qwen2");
    scry_influence_options options  = {.cuts = SCRY_CUTS_HEADS};
    scry_influence        *expected = run_influence(&near, near.id_count, options);
    scry_influence        *found    = run_influence(&far, far.id_count, options);
    size_t                 keys = (size_t)expected->key_count, layers = (size_t)expected->layer_count;
    size_t                 heads = layers * (size_t)expected->head_count;
    cr_expect_arr_eq(found->weights, expected->weights, heads * keys * sizeof(float));
    cr_expect_arr_eq(found->rollout, expected->rollout, keys * sizeof(float));
    cr_expect_arr_eq(found->layer_cuts, expected->layer_cuts, layers * keys * sizeof(scry_cut));
    cr_expect_arr_eq(found->head_cuts, expected->head_cuts, heads * sizeof(scry_cut));
    cr_expect_eq(scry_device_finish(far.device), SCRY_OK, "%s", scry_last_error());
    scry_influence_destroy(&expected);
    scry_influence_destroy(&found);
    fixture_close(&near);
    fixture_close(&far);
}

static bool is_same(const scry_cut *a, const scry_cut *b, int count)
{
    return !memcmp(a, b, (size_t)count * sizeof *a);
}

/* What stands behind a position cannot reach it, and how many cuts run side by side changes no bit. */
Test(influence, cuts__depend_on_nothing_behind_and_nothing_beside_them)
{
    enum { POSITION = 6 };
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    scry_influence *part = run_influence(&f, POSITION + 1, (scry_influence_options){.cuts = SCRY_CUTS_EDGES});
    for (int batch = 1; batch <= 64; batch *= 4) {
        scry_influence_options options = {
            .cuts = SCRY_CUTS_EDGES, .batch = batch, .position = POSITION, .has_position = true};
        scry_influence *whole = run_influence(&f, f.id_count, options);
        int             heads = part->layer_count * part->head_count;
        cr_assert(whole->key_count == part->key_count && whole->target.id == part->target.id);
        cr_expect(is_same(whole->key_cuts, part->key_cuts, part->key_count), "batch %d", batch);
        cr_expect(is_same(whole->layer_cuts, part->layer_cuts, part->layer_count * part->key_count), "batch %d", batch);
        cr_expect(is_same(whole->head_cuts, part->head_cuts, heads), "batch %d", batch);
        cr_expect(is_same(whole->edge_cuts, part->edge_cuts, heads * part->key_count), "batch %d", batch);
        scry_influence_destroy(&whole);
    }
    scry_influence_destroy(&part);
    fixture_close(&f);
}

struct patience {
    int     calls, most;
    int64_t done, total;
};

static bool have_patience(void *user, int64_t done, int64_t total)
{
    struct patience *patience = user;
    cr_expect(done > patience->done && done <= total && (!patience->total || total == patience->total));
    patience->done  = done;
    patience->total = total;
    return ++patience->calls < patience->most;
}

Test(influence, progress__counts_batches_and_stops)
{
    struct fixture  f;
    struct patience patience = {.most = 1000};
    scry_influence *stopped  = NULL;
    fixture_open(&f, "cpu", "gpt2");
    scry_influence_options options = {.ids      = f.ids,
                                      .id_count = f.id_count,
                                      .target   = {.id = 3, .has_id = true},
                                      .batch    = 4,
                                      .progress = have_patience,
                                      .user     = &patience};
    scry_influence        *all     = run_influence(&f, f.id_count, options);
    cr_expect_eq(patience.done, patience.total);
    cr_expect_eq(patience.total, patience.calls);
    cr_expect_geq(4 * patience.total, all->key_count * (1 + all->layer_count) + all->layer_count * all->head_count);
    cr_expect_eq(all->target.id, 3);
    scry_influence_destroy(&all);
    patience = (struct patience){.most = 2};
    cr_expect_eq(scry_influence_run(&stopped, f.model, NULL, &options), SCRY_STOPPED);
    cr_expect(!stopped && patience.calls == 2);
    fixture_close(&f);
}

Test(influence, misuse__is_refused)
{
    static const int32_t ids[] = {1, 2};
    static const struct {
        scry_influence_options options;
        const char            *says;
    } cases[] = {
        {{.ids = ids, .id_count = 2, .position = 2, .has_position = true}, "position 2: expected 0 to 1"},
        {{.ids = ids, .id_count = 2, .position = -1, .has_position = true}, "position -1"},
        {{.ids = ids, .id_count = 2, .target = {.id = 131, .has_id = true}}, "target id 131: expected 0 to 130"},
        {{.ids = ids, .id_count = 2, .cuts = SCRY_CUTS_COUNT}, "cuts 6"},
        {{.ids = ids, .id_count = 2, .batch = -1}, "batch -1"},
        {{.ids = ids, .id_count = 2, .most_sinks = -1}, "most_sinks -1"},
        {{.ids = NULL}, "empty"},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t i = 0; i < COUNT(cases); i++) {
        scry_influence *influence = NULL;
        cr_expect_eq(scry_influence_run(&influence, f.model, NULL, &cases[i].options), SCRY_BAD_ARGUMENT, "case %zu",
                     i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(influence);
    }
    fixture_close(&f);
}

Test(influence, run__survives_every_refused_allocation)
{
    struct fixture  f;
    struct refusals refusals = {0};
    fixture_open(&f, "reference", "llama");
    scry_influence_options options = {.ids = f.ids, .id_count = 10, .cuts = SCRY_CUTS_KEYS};
    while (refusals_next(&refusals)) {
        scry_influence *influence = NULL;
        scry_status     status    = scry_influence_run(&influence, f.model, NULL, &options);
        refusals_check(&refusals, status, influence != NULL);
        scry_influence_destroy(&influence);
    }
    cr_expect_gt(refusals.refused, 40);
    fixture_close(&f);
}

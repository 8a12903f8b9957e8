/* Head scores: facts of attention that is made up, and what models' own patterns say. */
#include "analysis/certainty.h"
#include "analysis/received.h"
#include "analysis/survey.h"
#include "fixture.h"
#include "model/model.h"
#include "refusals.h"
#include "scry/analysis.h"
#include "scry/trace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(atlas, .init = use_plugins);

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- scores of patterns --- */

/* One head's pattern [count, count] to the statistics that attention would give, and those to scores. */
static void score_pattern(scry__score *scores, const float *pattern, int count, int64_t window)
{
    float  *memory        = calloc(7 * (size_t)count, sizeof *memory);
    double *received_null = calloc((size_t)count, sizeof *received_null);
    float  *entropy = memory, *max = entropy + count, *previous = max + count, *self = previous + count,
          *first = self + count, *received = first + count, *distance = received + count;
    for (int i = 0; i < count; i++) {
        const float *row = pattern + (size_t)i * (size_t)count;
        double       sum = 0;
        for (int j = 0; j <= i; j++) {
            max[i] = fmaxf(max[i], row[j]);
            if (row[j] > 0) sum -= (double)row[j] * log((double)row[j]);
            received[j] += row[j];
            distance[i - j] += row[j];
        }
        entropy[i]  = (float)sum;
        previous[i] = i ? row[i - 1] : 0;
        self[i]     = row[i];
        first[i]    = row[0];
    }
    const scry__head_rows rows = {count, window, entropy, max, previous, self, first, received, distance};
    scry__received_null(received_null, count, window);
    scry__scores_of_rows(scores, &rows, received_null);
    free(received_null);
    free(memory);
}

/* A pattern by a rule: all weight of row i on key(i), or even over what it sees where that is negative. */
static float *make_pattern(int count, int64_t window, int (*key)(int row))
{
    float *pattern = calloc((size_t)count * (size_t)count, sizeof *pattern);
    for (int i = 0; i < count; i++) {
        float *row  = pattern + (size_t)i * (size_t)count;
        int    only = key ? key(i) : -1, begin = window > 0 && i >= window ? i + 1 - (int)window : 0;
        if (only >= 0) row[only] = 1;
        for (int j = begin; only < 0 && j <= i; j++) row[j] = 1.0F / (float)(i + 1 - begin);
    }
    return pattern;
}

/* NaN equals NaN. */
static bool is_near(double a, double b, double slack)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) <= slack;
}

Test(atlas, uniform_attention__gives_every_null)
{
    static const struct {
        int count, window;
    } cases[] = {{1, 0}, {2, 0}, {3, 0}, {4, 0}, {9, 0}, {64, 0}, {256, 0}, {1024, 0}, {64, 5}, {256, 100}, {64, 64}};
    for (size_t c = 0; c < COUNT(cases); c++) {
        int         count = cases[c].count, window = cases[c].window;
        float      *pattern = make_pattern(count, window, NULL);
        scry__score found[SCRY_HEAD_SCORE_COUNT], null[SCRY_HEAD_SCORE_COUNT];
        score_pattern(found, pattern, count, window);
        scry__scores_uniform(null, count, window);
        for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
            cr_expect(is_near(found[kind].value, null[kind].value, 2e-6 * fmax(1, null[kind].value)),
                      "%d tokens, window %d: %s %.9g, not %.9g", count, window,
                      scry_head_score_name((scry_head_score_kind)kind), found[kind].value, null[kind].value);
        free(pattern);
    }
}

/* H(64) = 4.7438909: self has H(T)/T, what leaves row 0 out (H(T) - 1)/(T - 1). */
Test(atlas, nulls__are_the_harmonic_numbers)
{
    scry__score null[SCRY_HEAD_SCORE_COUNT];
    scry__scores_uniform(null, 64, 0);
    cr_expect_float_eq(null[SCRY_HEAD_SELF].value, 4.743890903705768 / 64, 1e-12);
    cr_expect_float_eq(null[SCRY_HEAD_PREVIOUS].value, 3.743890903705768 / 63, 1e-12);
    cr_expect_float_eq(null[SCRY_HEAD_FIRST].value, 3.743890903705768 / 63, 1e-12);
    cr_expect_float_eq(null[SCRY_HEAD_OFFSET].value, 3.243890903705768 / 62, 1e-12);
    cr_expect_float_eq(null[SCRY_HEAD_DISTANCE].value, 63.0 / 4, 1e-12);
    scry__probe_tokens probe = {.length = 50};
    cr_expect_float_eq(scry__probe_uniform(&probe, SCRY_HEAD_INDUCTION, 0), 0.0138, 5e-5);
    cr_expect_eq(scry__probe_uniform(&probe, SCRY_HEAD_INDUCTION, 49), 0, "the window ends before");
    cr_expect_gt(scry__probe_uniform(&probe, SCRY_HEAD_INDUCTION, 50), 0);
}

static int to_previous(int row)
{
    return row ? row - 1 : 0;
}

static int to_self(int row)
{
    return row;
}

static int to_first(int row)
{
    (void)row;
    return 0;
}

static int back_three(int row)
{
    return row < 3 ? row : row - 3;
}

static int to_fifth(int row)
{
    return row < 5 ? row : 5;
}

static int to_scattered(int row)
{
    return (int)((unsigned)row * 2654435761U % (unsigned)(row + 1));
}

Test(atlas, one_hot_attention__scores_one_where_it_looks)
{
    static const struct {
        const char *name;
        int (*key)(int row);
        int    kind, at;
        double value, slack;
    } cases[] = {
        {"previous", to_previous, SCRY_HEAD_PREVIOUS, -1, 1, 0},
        {"self", to_self, SCRY_HEAD_SELF, -1, 1, 0},
        {"first", to_first, SCRY_HEAD_FIRST, -1, 1, 0},
        {"first is a sink", to_first, SCRY_HEAD_SINK, 0, 128 / 5.4331470925891, 1e-5},
        {"back three", back_three, SCRY_HEAD_OFFSET, 3, 1, 0},
        {"fifth is a sink", to_fifth, SCRY_HEAD_SINK, 5, 123 / (5.4331470925891 - 137.0 / 60), 1e-5},
        {"fifth is no offset", to_fifth, SCRY_HEAD_OFFSET, 64, 1.0 / 64, 1e-6},
        {"first is no offset", to_first, SCRY_HEAD_OFFSET, 64, 1.0 / 64,
         1e-6}, /* at 127 it would be 1 in its one row */
        {"previous has no offset", to_previous, SCRY_HEAD_OFFSET, 2, 0, 0},
        {"one key is not uniform", to_scattered, SCRY_HEAD_UNIFORM, -1, 0, 0},
        {"one key is sparse", to_scattered, SCRY_HEAD_SPARSE, -1, 1, 0},
        {"one key has all", to_scattered, SCRY_HEAD_MAX, -1, 1, 0},
        {"the mean distance of three", back_three, SCRY_HEAD_DISTANCE, -1, 3.0 * 125 / 128, 1e-6},
    };
    enum { TOKENS = 128 };
    for (size_t c = 0; c < COUNT(cases); c++) {
        float      *pattern = make_pattern(TOKENS, 0, cases[c].key);
        scry__score scores[SCRY_HEAD_SCORE_COUNT];
        score_pattern(scores, pattern, TOKENS, 0);
        scry__score found = scores[cases[c].kind];
        cr_expect(is_near(found.value, cases[c].value, cases[c].slack * fmax(1, cases[c].value)), "%s: %.9g, not %.9g",
                  cases[c].name, found.value, cases[c].value);
        cr_expect_eq(found.at, cases[c].at, "%s: at %d", cases[c].name, found.at);
        free(pattern);
    }
}

/* A tenth of each row on one key, the rest on itself: the last keys are farthest above their null by ratio, not by
 * mass. */
Test(atlas, sink__is_the_key_with_the_most_mass_above_its_null)
{
    enum { TOKENS = 128 };
    float      *pattern = make_pattern(TOKENS, 0, to_fifth), *own = make_pattern(TOKENS, 0, to_self);
    scry__score scores[SCRY_HEAD_SCORE_COUNT];
    for (int i = 0; i < TOKENS * TOKENS; i++) pattern[i] = 0.1F * pattern[i] + 0.9F * own[i];
    score_pattern(scores, pattern, TOKENS, 0);
    cr_expect_eq(scores[SCRY_HEAD_SINK].at, 5);
    cr_expect_float_eq(scores[SCRY_HEAD_SINK].value, (1 + 122 * 0.1) / (5.4331470925891 - 137.0 / 60), 1e-4);
    free(own);
    free(pattern);
}

Test(atlas, nan__is_passed_on)
{
    float *pattern = make_pattern(16, 0, NULL);
    for (int j = 0; j <= 9; j++) pattern[9 * 16 + j] = NAN;
    scry__score scores[SCRY_HEAD_SCORE_COUNT];
    score_pattern(scores, pattern, 16, 0);
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
        if (kind != SCRY_HEAD_MAX && kind != SCRY_HEAD_SPARSE &&
            kind != SCRY_HEAD_UNIFORM) /* the test's own fmaxf, > */
            cr_expect(isnan(scores[kind].value), "%s", scry_head_score_name((scry_head_score_kind)kind));
    free(pattern);
}

/* --- certainty --- */

Test(atlas, certainty__grows_with_the_margin_and_with_the_rows)
{
    static const struct {
        const char    *name;
        scry__evidence evidence;
        scry_certainty certainty;
    } cases[] = {
        {"one at 128 rows", {1, 1, 127, 0.05, 0.06}, SCRY_CERTAINTY_STRONG},
        {"one at 5 rows", {1, 1, 5, 0.29, 0.37}, SCRY_CERTAINTY_CLEAR},
        {"one at 2 rows", {1, 1, 2, 0.42, 0.45}, SCRY_CERTAINTY_NONE},
        {"half of many rows", {0.5, 1, 1000, 0.01, 0.01}, SCRY_CERTAINTY_CLEAR},
        {"a fifth of many rows", {0.2, 1, 1000, 0.01, 0.01}, SCRY_CERTAINTY_WEAK},
        {"its null", {0.05, 1, 127, 0.05, NAN}, SCRY_CERTAINTY_NONE},
        {"less than random models", {0.5, 1, 127, 0.05, 0.6}, SCRY_CERTAINTY_NONE},
        {"random models have all", {1, 1, 127, 0.05, 1}, SCRY_CERTAINTY_NONE},
        {"undefined", {NAN, 1, 127, 0.05, 0.05}, SCRY_CERTAINTY_NONE},
        {"no rows", {1, 1, 0, 0.05, 0.05}, SCRY_CERTAINTY_NONE},
        {"a ratio near its ceiling", {22, 23.6, 128, 1, 1.3}, SCRY_CERTAINTY_STRONG},
        {"a ratio of one", {1, 23.6, 128, 1, NAN}, SCRY_CERTAINTY_NONE},
        {"no null", {1, 1, 100, NAN, NAN}, SCRY_CERTAINTY_STRONG},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        scry_certainty found = scry__certainty_above(scry__margin_above(&cases[c].evidence));
        cr_expect_eq(found, cases[c].certainty, "%s: %s", cases[c].name, scry_certainty_name(found));
    }
    /* Newcombe, Two-sided confidence intervals for the single proportion, 1998: 81 of 263, z = 1.96, gives 0.2553. */
    cr_expect_float_eq(scry__wilson_lower(81.0 / 263, 263), 0.2553, 0.002);
    cr_expect_eq(scry__certainty_uniform(&(scry__evidence){.value = 1, .rows = 127}), SCRY_CERTAINTY_STRONG);
    cr_expect_eq(scry__certainty_uniform(&(scry__evidence){.value = 1, .rows = 5}), SCRY_CERTAINTY_NONE);
    cr_expect_eq(scry__certainty_uniform(&(scry__evidence){.value = 0.5, .rows = 1e6}), SCRY_CERTAINTY_NONE);
}

/* Uniform attention is sure of nothing but being uniform: the keys that stand out by mean and deviation are no sinks.
 */
Test(atlas, uniform_attention__has_no_sinks_and_no_kind)
{
    static const int counts[] = {8, 64, 256, 1024};
    for (size_t c = 0; c < COUNT(counts); c++) {
        scry__score uniform[SCRY_HEAD_SCORE_COUNT];
        scry__scores_uniform(uniform, counts[c], 0);
        for (int kind = 0; kind < SCRY_HEAD_UNIFORM; kind++) {
            scry__evidence evidence = {.value = uniform[kind].value, .uniform = uniform[kind].value, .random = NAN};
            scry__score_extent(&evidence.rows, &evidence.ceiling, (scry_head_score_kind)kind, uniform[kind].at,
                               counts[c], 0);
            cr_expect_eq(scry__certainty_above(scry__margin_above(&evidence)), SCRY_CERTAINTY_NONE, "%d: %s", counts[c],
                         scry_head_score_name((scry_head_score_kind)kind));
        }
    }
}

/* --- models --- */

/* The streamed scores of a model are those of its patterns. */
static void check_patterns(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    const scry_heads_options options = {.ids = f.ids, .id_count = f.id_count, .skip_probe = true, .skip_random = true};
    const scry_trace_options traced  = {.ids = f.ids, .id_count = f.id_count, .hooks = "blocks.*.attn.hook_pattern"};
    scry_heads              *heads   = NULL;
    scry_trace              *trace   = NULL;
    cr_assert_eq(scry_heads_run(&heads, f.model, NULL, &options), SCRY_OK, "%s: %s", name, scry_last_error());
    cr_assert_eq(scry_trace_run(&trace, f.model, NULL, &traced), SCRY_OK, "%s: %s", name, scry_last_error());
    cr_assert_eq(trace->count, heads->layer_count);
    for (int i = 0; i < heads->layer_count * heads->head_count; i++) {
        const scry_head *head   = &heads->heads[i];
        int64_t          window = f.model->arch.layers[head->layer].window;
        const float     *all    = trace->captures[head->layer].data;
        scry__score      expected[SCRY_HEAD_SCORE_COUNT];
        score_pattern(expected, all + (size_t)head->head * (size_t)f.id_count * (size_t)f.id_count, f.id_count, window);
        for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
            cr_expect(is_near((double)head->scores[kind].value, expected[kind].value, 2e-5),
                      "%s: head %d.%d: %s %g, not %g", name, head->layer, head->head,
                      scry_head_score_name((scry_head_score_kind)kind), (double)head->scores[kind].value,
                      expected[kind].value);
    }
    scry_trace_destroy(&trace);
    scry_heads_destroy(&heads);
    fixture_close(&f);
}

Test(atlas, streamed_scores__are_those_of_the_patterns)
{
    fixture_for_all(check_patterns);
}

/* One model with grouped queries, and one with windows. */
static void check_plugin(const char *device, const char *name)
{
    if (!strcmp(name, "llama") || !strcmp(name, "mistral")) check_patterns(device, name);
}

FIXTURES_ON_PLUGINS(atlas, streamed_scores, are_those_of_the_patterns, false, check_plugin)

static float mean_at_distance(const float *pattern, int keys, int begin, int end, int distance)
{
    double sum = 0;
    for (int i = begin; i < end; i++) sum += (double)pattern[(size_t)i * (size_t)keys + (size_t)(i - distance)];
    return (float)(sum / (end - begin));
}

/* The probe in two passes on a kept cache gives what one pass over each sequence's patterns does. */
static void check_probe(const char *device, const char *name)
{
    struct fixture     f;
    scry__probe_tokens tokens;
    scry__probe        probe;
    fixture_open(&f, device, name);
    cr_assert_eq(scry__probe_draw(&tokens, f.model, 6, 2, 7), SCRY_OK, "%s: %s", name, scry_last_error());
    cr_assert_eq(scry__probe_run(&probe, f.model, &tokens, false), SCRY_OK, "%s: %s", name, scry_last_error());
    int count = scry__probe_positions(&tokens), second = count - tokens.length;
    for (int seed = 0; seed < tokens.seeds; seed++) {
        const scry_trace_options options = {
            .ids = tokens.ids + seed * count, .id_count = count, .hooks = "blocks.*.attn.hook_pattern"};
        scry_trace *trace = NULL;
        cr_assert_eq(scry_trace_run(&trace, f.model, NULL, &options), SCRY_OK, "%s: %s", name, scry_last_error());
        for (int i = 0; i < probe.head_count; i++) {
            int          heads = probe.head_count / trace->count, at = i * tokens.seeds + seed;
            const float *pattern = (const float *)trace->captures[i / heads].data + (size_t)(i % heads * count * count);
            float        induction = mean_at_distance(pattern, count, second, count, tokens.length - 1);
            float        duplicate = mean_at_distance(pattern, count, second, count, tokens.length);
            float        previous  = mean_at_distance(pattern, count, 1, count, 1);
            cr_expect(fabsf(probe.induction[at] - induction) <= 2e-5F &&
                          fabsf(probe.duplicate[at] - duplicate) <= 2e-5F &&
                          fabsf(probe.previous[at] - previous) <= 2e-5F,
                      "%s: head %d: induction %g, not %g; duplicate %g, not %g; previous %g, not %g", name, i,
                      (double)probe.induction[at], (double)induction, (double)probe.duplicate[at], (double)duplicate,
                      (double)probe.previous[at], (double)previous);
        }
        scry_trace_destroy(&trace);
    }
    scry__probe_finish(&probe);
    scry__probe_tokens_finish(&tokens);
    fixture_close(&f);
}

Test(atlas, probe__in_two_passes_is_one_pass)
{
    fixture_for_all(check_probe);
}

Test(atlas, probe_tokens__are_plain_said_twice_and_repeat_with_their_seed)
{
    scry_device       *device = NULL;
    scry_model        *model  = NULL;
    scry__probe_tokens first, again, other;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK);
    cr_assert_eq(scry_model_open(&model, device, SCRY_SOURCE_DIR "/models/demo", NULL), SCRY_OK, "%s",
                 scry_last_error());
    cr_assert_eq(scry__probe_draw(&first, model, 0, 0, 1), SCRY_OK);
    cr_assert_eq(scry__probe_draw(&again, model, 50, 4, 1), SCRY_OK);
    cr_assert_eq(scry__probe_draw(&other, model, 255, 100, 2), SCRY_OK);
    for (int i = 0; i < 100 * scry__probe_positions(&other); i++)
        cr_expect_eq(scry_tokenizer_is_special(scry_model_tokenizer(model), other.ids[i]),
                     i % scry__probe_positions(&other) == 0, "token %d", i);
    scry__probe_tokens_finish(&other);
    cr_expect_eq(scry__probe_draw(&other, model, 256, 1, 2), SCRY_BAD_ARGUMENT, "513 positions of 512");
    cr_expect(strstr(scry_last_error(), "room for 255"), "%s", scry_last_error());
    int count = scry__probe_positions(&first);
    cr_expect(first.prefix == 1 && first.length == 50 && first.seeds == 4 && count == 101);
    cr_expect(!memcmp(first.ids, again.ids, (size_t)(4 * count) * sizeof *first.ids));
    cr_expect(memcmp(first.ids, first.ids + count, (size_t)count * sizeof *first.ids), "seeds differ");
    for (int i = 0; i < 4 * count; i++)
        if (i % count > 50) cr_expect_eq(first.ids[i], first.ids[i - 50]);
    scry__probe_tokens_finish(&first);
    scry__probe_tokens_finish(&again);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
}

/* --- the call --- */

Test(atlas, misuse__is_refused)
{
    static const int32_t ids[] = {1, 2};
    static const struct {
        scry_heads_options options;
        const char        *says;
    } cases[] = {
        {{.ids = ids, .id_count = 0}, "empty"},
        {{.ids = ids, .id_count = 2, .random_seeds = -1}, "-1 random models"},
        {{.ids = ids, .id_count = 2, .probe_length = 1}, "at least 2"},
        {{.ids = ids, .id_count = 2, .probe_length = -3}, "at least 2"},
        {{.ids = ids, .id_count = 2, .probe_length = 65}, "room for 64"},
        {{.ids = ids, .id_count = 2, .probe_seeds = -2}, "-2 seeds"},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t c = 0; c < COUNT(cases); c++) {
        scry_heads *heads = NULL;
        cr_expect_eq(scry_heads_run(&heads, f.model, NULL, &cases[c].options), SCRY_BAD_ARGUMENT, "case %zu", c);
        cr_expect(strstr(scry_last_error(), cases[c].says), "case %zu: %s", c, scry_last_error());
        cr_expect_null(heads);
    }
    fixture_close(&f);
}

struct patience {
    int64_t calls, last, total;
    int     most;
};

static bool count_calls(void *user, int64_t done, int64_t total)
{
    struct patience *patience = user;
    cr_expect_eq(done, patience->last + 1);
    patience->last  = done;
    patience->total = total;
    return ++patience->calls < patience->most;
}

Test(atlas, progress__counts_to_the_total_and_stops_where_told)
{
    struct fixture     f;
    struct patience    patient = {.most = 1000}, hasty = {.most = 3};
    scry_heads        *heads   = NULL;
    scry_heads_options options = {.random_seeds = 2, .progress = count_calls, .user = &patient};
    fixture_open(&f, "cpu", "llama");
    options.ids      = f.ids;
    options.id_count = f.id_count;
    cr_assert_eq(scry_heads_run(&heads, f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(patient.last, patient.total);
    cr_expect_eq(heads->random_seeds, 2);
    scry_heads_destroy(&heads);
    options.user = &hasty;
    cr_expect_eq(scry_heads_run(&heads, f.model, NULL, &options), SCRY_STOPPED);
    cr_expect_eq(hasty.calls, 3);
    cr_expect_null(heads);
    scry_heads_destroy(NULL);
    fixture_close(&f);
}

/* A random model is not its own null. */
Test(atlas, twin__is_another_than_a_twin_itself)
{
    static const int32_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
    for (uint64_t seed = 0; seed < 3; seed++) {
        const scry_heads_options options = {.ids = ids, .id_count = COUNT(ids), .skip_probe = true, .seed = seed};
        const scry_model_options random  = {.random_init = true, .random_seed = seed};
        scry_device             *device  = NULL;
        scry_model              *model   = NULL;
        scry_heads              *heads   = NULL;
        float                    most    = 0;
        cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK);
        cr_assert_eq(scry_model_open(&model, device, FIXTURES "/llama", &random), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry_heads_run(&heads, model, NULL, &options), SCRY_OK, "%s", scry_last_error());
        for (int i = 0; i < heads->layer_count * heads->head_count; i++)
            most = fmaxf(most, heads->heads[i].scores[SCRY_HEAD_SELF].value);
        cr_expect_neq(heads->nulls[SCRY_HEAD_SELF].random_largest, most, "seed %d", (int)seed);
        scry_heads_destroy(&heads);
        scry_model_destroy(&model);
        scry_device_destroy(&device);
    }
}

/* The nulls of heads and of induction, of two random models, the first of which may be open already. */
static void fill_nulls(float nulls[4], const struct fixture *f, scry_model *twin)
{
    const scry_heads_options     options   = {.ids = f->ids, .id_count = f->id_count, .random_seeds = 2, .twin = twin};
    const scry_induction_options repeat    = {.length = 8, .seeds = 2, .random_seeds = 2, .twin = twin};
    scry_heads                  *heads     = NULL;
    scry_induction              *induction = NULL;
    cr_assert_eq(scry_heads_run(&heads, f->model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_induction_run(&induction, f->model, &repeat), SCRY_OK, "%s", scry_last_error());
    nulls[0] = heads->nulls[SCRY_HEAD_SELF].random_mean;
    nulls[1] = heads->nulls[SCRY_HEAD_INDUCTION].random_mean;
    nulls[2] = induction->previous.random_mean;
    nulls[3] = induction->induction.random_mean;
    scry_induction_destroy(&induction);
    scry_heads_destroy(&heads);
}

Test(atlas, twin__that_is_open_already_gives_the_same_nulls_and_stays_open)
{
    struct fixture f;
    float          alone[4], given[4], other[4];
    fixture_open(&f, "cpu", "llama");
    fill_nulls(alone, &f, NULL);
    for (uint64_t seed = 0; seed < 2; seed++) {
        scry_model *twin = NULL;
        cr_assert_eq(scry_twin_open(&twin, f.model, seed), SCRY_OK, "%s", scry_last_error());
        fill_nulls(seed ? other : given, &f, twin);
        cr_expect_eq(scry_model_get_info(twin)->random_seed, seed);
        scry_model_destroy(&twin);
    }
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(given[i], alone[i], "null %d: %g, not %g", i, (double)given[i], (double)alone[i]);
        cr_expect_neq(other[i], alone[i], "null %d is not of the model that was given", i);
    }
    fixture_close(&f);
}

Test(atlas, run__survives_every_refused_allocation)
{
    struct fixture  f;
    struct refusals refusals = {0};
    fixture_open(&f, "reference", "llama");
    scry_heads_options options = {.ids = f.ids, .id_count = 9, .probe_length = 4, .probe_seeds = 1};
    while (refusals_next(&refusals)) {
        scry_heads *heads  = NULL;
        scry_status status = scry_heads_run(&heads, f.model, NULL, &options);
        refusals_check(&refusals, status, heads != NULL);
        scry_heads_destroy(&heads);
    }
    cr_expect_gt(refusals.refused, 200);
    fixture_close(&f);
}

/* --- the demo model --- */

static scry_heads *run_demo(bool random_init, scry_model **model, scry_device **device)
{
    static const char prompt[] =
        "Anna put the key in the box. Bob put the coin in the drawer. The key is in the box. The capital of France is "
        "Paris. When Mary and John went to the store, John gave a drink to Mary. Sarah likes tea. Peter likes coffee.";
    const scry_model_options options = {.random_init = random_init, .random_seed = 5};
    scry_heads              *heads   = NULL;
    cr_assert_eq(scry_device_open(device, &(scry_device_options){.name = "cpu"}), SCRY_OK);
    cr_assert_eq(scry_model_open(model, *device, SCRY_SOURCE_DIR "/models/demo", &options), SCRY_OK, "%s",
                 scry_last_error());
    cr_assert_eq(scry_heads_run(&heads, *model, prompt, NULL), SCRY_OK, "%s", scry_last_error());
    return heads;
}

Test(atlas, demo__has_induction_and_previous_token_heads_and_its_twin_has_none)
{
    for (int twin = 0; twin < 2; twin++) {
        scry_model  *model                       = NULL;
        scry_device *device                      = NULL;
        scry_heads  *heads                       = run_demo(twin, &model, &device);
        int          sure[SCRY_HEAD_SCORE_COUNT] = {0};
        for (int i = 0; i < heads->layer_count * heads->head_count; i++)
            if (heads->heads[i].certainty >= SCRY_CERTAINTY_CLEAR) sure[heads->heads[i].kind]++;
        const scry_head *previous  = scry_heads_surest(heads, SCRY_HEAD_PREVIOUS);
        const scry_head *induction = scry_heads_surest(heads, SCRY_HEAD_INDUCTION);
        if (twin) {
            for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
                if (kind != SCRY_HEAD_UNIFORM)
                    cr_expect_eq(sure[kind], 0, "%s", scry_head_score_name((scry_head_score_kind)kind));
        } else {
            cr_assert(previous && previous->kind == SCRY_HEAD_PREVIOUS);
            cr_assert(induction && induction->kind == SCRY_HEAD_INDUCTION);
            cr_expect_geq(sure[SCRY_HEAD_INDUCTION], 8);
            cr_expect_gt(induction->scores[SCRY_HEAD_INDUCTION].value,
                         heads->nulls[SCRY_HEAD_INDUCTION].random_largest + 0.7F);
            cr_expect_gt(previous->scores[SCRY_HEAD_PREVIOUS].value,
                         heads->nulls[SCRY_HEAD_PREVIOUS].random_largest + 0.2F);
        }
        scry_heads_destroy(&heads);
        scry_model_destroy(&model);
        scry_device_destroy(&device);
    }
}

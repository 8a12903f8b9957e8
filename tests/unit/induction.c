/* Induction: the transformer made by hand scores what theory says, and compositions are those of the weights. */
#include "analysis/composition.h"
#include "analysis/folded.h"
#include "analysis/probe.h"
#include "fixture.h"
#include "handmade.h"
#include "model/model.h"
#include "refusals.h"
#include "scry/analysis.h"
#include "scry/trace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(induction, .init = use_plugins);

/* --- the transformer made by hand --- */

struct handmade {
    char         path[HANDMADE_PATH];
    scry_device *device;
    scry_model  *model;
};

static void handmade_open(struct handmade *self, const char *device, double beta, double gamma)
{
    *self = (struct handmade){0};
    handmade_induction(self->path, beta, gamma);
    cr_assert_eq(scry_device_open(&self->device, &(scry_device_options){.name = device}), SCRY_OK, "%s",
                 scry_last_error());
    cr_assert_eq(scry_model_open(&self->model, self->device, self->path, NULL), SCRY_OK, "%s", scry_last_error());
}

static void handmade_close(struct handmade *self)
{
    scry_model_destroy(&self->model);
    scry_device_destroy(&self->device);
    handmade_remove(self->path);
}

/* At beta 10 and 40 tokens the previous score is the mean of e^10 / (e^10 + i), 0.99909309; the heads that do nothing
 * have every null. */
static void check_attention(const char *device)
{
    enum { TOKENS = 40 };
    struct handmade handmade;
    int32_t         ids[TOKENS];
    scry_heads     *heads    = NULL;
    double          expected = 0;
    handmade_open(&handmade, device, 10, 10);
    for (int i = 0; i < TOKENS; i++) ids[i] = (i * 7 + 3) % HANDMADE_VOCABULARY;
    for (int i = 1; i < TOKENS; i++) expected += exp(10) / (exp(10) + i) / (TOKENS - 1);
    cr_assert_float_eq(expected, 0.99909309, 5e-9);
    const scry_heads_options options = {.ids = ids, .id_count = TOKENS};
    cr_assert_eq(scry_heads_run(&heads, handmade.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    const scry_head *head = scry_heads_at(heads, 0, 0);
    cr_expect_float_eq((double)head->scores[SCRY_HEAD_PREVIOUS].value, expected, 2e-7, "%.9g",
                       (double)head->scores[SCRY_HEAD_PREVIOUS].value);
    cr_expect(head->kind == SCRY_HEAD_PREVIOUS && head->certainty == SCRY_CERTAINTY_STRONG);
    for (int layer = 0; layer < 2; layer++) {
        const scry_head *idle = scry_heads_at(heads, layer, 1);
        cr_expect(idle->kind == SCRY_HEAD_UNIFORM, "%d.1 is called %d", layer, idle->kind);
        for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
            cr_expect_float_eq(idle->scores[kind].value, heads->nulls[kind].uniform,
                               1e-6F * fmaxf(1, idle->scores[kind].value), "%d.1: %s %.9g, not %.9g", layer,
                               scry_head_score_name((scry_head_score_kind)kind), (double)idle->scores[kind].value,
                               (double)heads->nulls[kind].uniform);
    }
    scry_heads_destroy(&heads);
    handmade_close(&handmade);
}

Test(induction, handmade__attends_as_theory_says)
{
    check_attention("cpu");
    check_attention("reference");
}

/* [BOS], 20 tokens, the same again. */
enum { COPY = 20, SEQUENCE = 1 + 2 * COPY };

static void say_twice(int32_t ids[SEQUENCE])
{
    ids[0] = 0;
    for (int i = 0; i < COPY; i++) ids[1 + i] = ids[1 + i + COPY] = 1 + (i * 11 + 5) % (HANDMADE_VOCABULARY - 1);
}

/* Mean loss on the second copy but its first token, in double precision: in f32 the sum of exponentials rounds to its
 * largest term. */
static double loss_of_second_copy(scry_model *model, const int32_t *ids)
{
    const scry_trace_options options = {.ids = ids, .id_count = SEQUENCE, .hooks = "logits"};
    scry_trace              *trace   = NULL;
    double                   loss    = 0;
    cr_assert_eq(scry_trace_run(&trace, model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    for (int t = 1 + COPY; t + 1 < SEQUENCE; t++) {
        const float *logits = (const float *)trace->captures[0].data + t * HANDMADE_VOCABULARY;
        double       others = 0;
        for (int id = 0; id < HANDMADE_VOCABULARY; id++)
            if (id != ids[t + 1]) others += exp((double)logits[id] - (double)logits[ids[t + 1]]);
        loss += log1p(others) / (COPY - 1);
    }
    scry_trace_destroy(&trace);
    return loss;
}

static void check_copying(const char *device)
{
    struct handmade handmade;
    int32_t         ids[SEQUENCE];
    scry__probe     probe;
    handmade_open(&handmade, device, 20, 20);
    say_twice(ids);
    const scry__probe_tokens tokens = {.prefix = 1, .length = COPY, .seeds = 1, .ids = ids};
    cr_assert_eq(scry__probe_run(&probe, handmade.model, &tokens, true), SCRY_OK, "%s", scry_last_error());
    cr_expect_float_eq(probe.induction[2], 0.99999994F, 1.2e-7F, "%.9g", (double)probe.induction[2]);
    cr_expect_float_eq(probe.previous[0], 0.99999994F, 1.2e-7F, "%.9g", (double)probe.previous[0]);
    cr_expect_float_eq(probe.induction[3], (float)scry__probe_uniform(&tokens, SCRY_HEAD_INDUCTION, 0), 1e-7F);
    cr_expect_lt(probe.duplicate[2], 1e-7F);
    for (int t = COPY + 2; t < SEQUENCE; t++)
        cr_expect_lt(fabsf(probe.loss[t]), 4e-6F, "token %d: %g", t, (double)probe.loss[t]);
    cr_expect_gt(probe.loss[COPY], 1.0F, "the first copy cannot be known");
    /* ln(1 + 63 e^-20) = 1.2985e-7 */
    double loss = loss_of_second_copy(handmade.model, ids);
    cr_expect_float_eq(loss, 1.3e-7, 0.02e-7, "%.9g", loss);
    scry__probe_finish(&probe);
    handmade_close(&handmade);
}

Test(induction, handmade__says_a_sequence_again)
{
    check_copying("cpu");
    check_copying("reference");
}

/* G = I - J/d is what centring leaves of a block of one-hot vectors; its eigenvalues are 1, and 1 - 64/d once. */
Test(induction, handmade__is_found_with_what_feeds_it)
{
    struct handmade handmade;
    scry_induction *induction = NULL;
    double          width = 3.0 * HANDMADE_VOCABULARY + HANDMADE_CONTEXT, once = 1 - HANDMADE_VOCABULARY / width;
    double          rest = HANDMADE_VOCABULARY - 1, composition = sqrt(rest + pow(once, 4)) / (rest + once * once);
    handmade_open(&handmade, "cpu", 20, 20);
    const scry_induction_options options = {.length = 16, .seeds = 3, .seed = 4};
    cr_assert_eq(scry_induction_run(&induction, handmade.model, &options), SCRY_OK, "%s", scry_last_error());
    cr_expect(induction->prefix == 0 && induction->length == 16 && induction->position_count == 32);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(induction->heads[i].certainty, i == 2 ? SCRY_CERTAINTY_STRONG : SCRY_CERTAINTY_NONE, "head %d", i);
    cr_expect_lt(induction->loss_second.mean, 0.5F * induction->loss_first.mean);
    cr_expect(isnan(induction->loss[0]) && !isnan(induction->loss[16]));
    cr_assert_eq(induction->feeder_count, 1, "0.1 has no weights: %d", induction->feeder_count);
    const scry_feeder *feeder = induction->feeders;
    cr_expect(feeder->layer == 1 && feeder->head == 0 && feeder->from_layer == 0 && feeder->from_head == 0);
    cr_expect_float_eq((double)feeder->k_composition, composition, 1e-6, "%.9g, not %.9g",
                       (double)feeder->k_composition, composition);
    cr_expect_float_eq((double)feeder->null, 1 / sqrt(width - 1), 1e-7);
    cr_expect_gt(feeder->previous, 0.99F);
    scry_induction_destroy(&induction);
    scry_induction_destroy(NULL);
    handmade_close(&handmade);
}

static double mean_between(const float *loss, int begin, int end)
{
    double sum = 0;
    for (int t = begin; t < end; t++) sum += (double)loss[t] / (end - begin);
    return sum;
}

/* A run of three seeds is three runs of one: their means, and the standard deviation of what each has. */
Test(induction, spread__is_over_the_seeds)
{
    enum { SEEDS = 3, LENGTH = 10 };
    struct handmade handmade;
    scry_induction *all = NULL, *one = NULL;
    double          induction[SEEDS], second[SEEDS], means[2] = {0}, squares[2] = {0};
    handmade_open(&handmade, "cpu", 2, 3);
    scry_induction_options options = {.length = LENGTH, .seeds = SEEDS, .seed = 4, .skip_random = true};
    cr_assert_eq(scry_induction_run(&all, handmade.model, &options), SCRY_OK, "%s", scry_last_error());
    options.seeds = 1;
    for (int i = 0; i < SEEDS; i++, options.seed++) {
        cr_assert_eq(scry_induction_run(&one, handmade.model, &options), SCRY_OK, "%s", scry_last_error());
        cr_expect(isnan(one->loss_second.spread) && isnan(one->heads[2].induction.spread));
        cr_expect_float_eq((double)one->loss_first.mean, mean_between(one->loss, 1, LENGTH), 1e-5);
        cr_expect_float_eq((double)one->loss_second.mean, mean_between(one->loss, LENGTH + 1, 2 * LENGTH), 1e-5);
        induction[i] = (double)one->heads[2].induction.mean;
        second[i]    = (double)one->loss_second.mean;
        means[0] += induction[i] / SEEDS;
        means[1] += second[i] / SEEDS;
        scry_induction_destroy(&one);
    }
    for (int i = 0; i < SEEDS; i++) {
        squares[0] += (induction[i] - means[0]) * (induction[i] - means[0]);
        squares[1] += (second[i] - means[1]) * (second[i] - means[1]);
    }
    cr_expect_gt(squares[0], 1e-6, "the seeds differ");
    cr_expect_float_eq((double)all->heads[2].induction.mean, means[0], 1e-5);
    cr_expect_float_eq((double)all->heads[2].induction.spread, sqrt(squares[0] / (SEEDS - 1)), 1e-5);
    cr_expect_float_eq((double)all->loss_second.mean, means[1], 1e-5);
    cr_expect_float_eq((double)all->loss_second.spread, sqrt(squares[1] / (SEEDS - 1)), 1e-5);
    scry_induction_destroy(&all);
    handmade_close(&handmade);
}

/* --- folded weights --- */

static const float *find(const scry_trace *trace, const char *format, int layer)
{
    char name[64];
    snprintf(name, sizeof name, "blocks.%d.%s", layer, format);
    const scry_capture *capture = scry_trace_find(trace, name);
    cr_assert(capture, "%s", name);
    return capture->data;
}

/* Holds (input row t - input row 0) * matrix to (output row t - output row 0), in which biases cancel; rows lose their
 * mean where asked. */
static void expect_product(const char *what, const scry__matrix *matrix, const double *input, const float *output,
                           int rows, bool centred)
{
    int    d = matrix->rows, n = matrix->columns;
    double mean = 0, *row = malloc((size_t)n * sizeof *row);
    for (int t = 1; t < rows; t++) {
        for (int j = 0; j < n; j++) row[j] = (double)output[t * n + j] - (double)output[j];
        for (int j = mean = 0; j < n; j++) mean += centred ? row[j] / n : 0;
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int i = 0; i < d; i++) sum += (input[t * d + i] - input[i]) * (double)matrix->values[i * n + j];
            cr_expect_float_eq(sum, row[j] - mean, 1e-4, "%s: row %d, column %d: %g, not %g", what, t, j, sum,
                               row[j] - mean);
        }
    }
    free(row);
}

/* A layer's folded weights take the raw stream over its norm's scale to queries, keys and values, and z to what is
 * added to the stream. */
static void check_folded(const char *device, const char *name)
{
    static const char *const hooks[] = {"attn.hook_q", "attn.hook_k", "attn.hook_v"};
    struct fixture           f;
    scry_trace              *trace = NULL;
    fixture_open(&f, device, name);
    const scry__arch        *arch = &f.model->arch;
    int                      rows = 4, width = (int)arch->hidden_size, wide = (int)(arch->head_count * arch->head_size);
    const scry_trace_options options = {
        .ids      = f.ids,
        .id_count = rows,
        .hooks    = "blocks.*.hook_resid_pre,blocks.*.ln1.hook_scale,blocks.*.attn.hook_?,blocks.*.hook_attn_out"};
    cr_assert_eq(scry_trace_run(&trace, f.model, NULL, &options), SCRY_OK, "%s: %s", name, scry_last_error());
    double *input = malloc((size_t)rows * (size_t)(width + wide) * sizeof *input);
    for (int layer = 0; layer < arch->layer_count; layer++) {
        const float *stream = find(trace, "hook_resid_pre", layer), *scale = find(trace, "ln1.hook_scale", layer);
        scry__matrix matrix;
        for (int i = 0; i < rows * width; i++) input[i] = (double)stream[i] / (double)scale[i / width];
        for (int part = 0; part < 3; part++) {
            if (part != SCRY__PART_V && arch->features & SCRY__HAS_QK_NORM)
                continue; /* their norm comes after the hook */
            cr_assert_eq(scry__folded_part(&matrix, f.model, layer, (scry__part)part), SCRY_OK, "%s",
                         scry_last_error());
            expect_product(hooks[part], &matrix, input, find(trace, hooks[part], layer), rows, false);
            scry__matrix_finish(&matrix);
        }
        for (int i = 0; i < rows * wide; i++) input[i] = (double)find(trace, "attn.hook_z", layer)[i];
        cr_assert_eq(scry__folded_output(&matrix, f.model, layer), SCRY_OK, "%s", scry_last_error());
        expect_product("hook_attn_out", &matrix, input, find(trace, "hook_attn_out", layer), rows,
                       arch->norm == SCRY_NORM_LAYER);
        scry__matrix_finish(&matrix);
    }
    free(input);
    scry_trace_destroy(&trace);
    fixture_close(&f);
}

Test(induction, folded_weights__are_what_the_model_computes)
{
    fixture_for_all(check_folded);
}

/* --- composition --- */

/* out [m, n] = a [m, k] b [k, n]; transposed takes b as [n, k]. */
static void product(double *out, const double *a, const double *b, int m, int k, int n, bool transposed)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++) sum += a[i * k + l] * b[transposed ? j * k + l : l * n + j];
            out[i * n + j] = sum;
        }
}

static double norm_of(const double *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += values[i] * values[i];
    return sqrt(sum);
}

/* One head's columns of queries, keys or values. */
static double *head_columns(const scry_model *model, int layer, int head, scry__part part)
{
    const scry__arch *arch  = &model->arch;
    int               group = (int)(arch->head_count / arch->kv_head_count), size = (int)arch->head_size;
    scry__matrix      matrix;
    cr_assert_eq(scry__folded_part(&matrix, model, layer, part), SCRY_OK, "%s", scry_last_error());
    double *out = malloc((size_t)(matrix.rows * size) * sizeof *out);
    for (int i = 0; i < matrix.rows * size; i++)
        out[i] = (double)matrix.values[i / size * matrix.columns + (part ? head / group : head) * size + i % size];
    scry__matrix_finish(&matrix);
    return out;
}

static double *head_rows(const scry_model *model, int layer, int head)
{
    int          count = (int)(model->arch.head_size * model->arch.hidden_size);
    scry__matrix matrix;
    cr_assert_eq(scry__folded_output(&matrix, model, layer), SCRY_OK, "%s", scry_last_error());
    double *out = malloc((size_t)count * sizeof *out);
    for (int i = 0; i < count; i++) out[i] = (double)matrix.values[head * count + i];
    scry__matrix_finish(&matrix);
    return out;
}

/* |V O K Q^T| / (|V O| |K Q^T|) with all three d x d matrices. */
static double composition_of(const scry_model *model, const scry__head_place *from, const scry__head_place *to)
{
    int     d = (int)model->arch.hidden_size, size = (int)model->arch.head_size;
    double *v       = head_columns(model, from->layer, from->head, SCRY__PART_V),
           *o       = head_rows(model, from->layer, from->head);
    double *k       = head_columns(model, to->layer, to->head, SCRY__PART_K);
    double *q       = head_columns(model, to->layer, to->head, SCRY__PART_Q);
    double *written = malloc((size_t)(3 * d * d) * sizeof *written), *read = written + d * d, *both = read + d * d;
    product(written, v, o, d, size, d, false);
    product(read, k, q, d, size, d, true);
    product(both, written, read, d, d, d, false);
    double found = norm_of(both, d * d) / (norm_of(written, d * d) * norm_of(read, d * d));
    free(written);
    free(q);
    free(k);
    free(o);
    free(v);
    return found;
}

static void check_composition(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    int                    layers = (int)f.model->arch.layer_count, heads = (int)f.model->arch.head_count;
    const scry__head_place readers[] = {{layers - 1, heads - 1}, {0, 0}, {layers - 1, 0}};
    float                 *found     = malloc((size_t)(3 * layers * heads) * sizeof *found);
    cr_assert_eq(scry__k_composition(found, f.model, readers, 3), SCRY_OK, "%s: %s", name, scry_last_error());
    for (int i = 0; i < 3 * layers * heads; i++) {
        scry__head_place        from     = {i / heads % layers, i % heads};
        const scry__head_place *to       = &readers[i / (layers * heads)];
        double                  expected = from.layer < to->layer ? composition_of(f.model, &from, to) : NAN;
        cr_expect(isnan(expected) ? isnan(found[i]) : fabs((double)found[i] - expected) < 1e-5,
                  "%s: %d.%d into %d.%d: %g, not %g", name, from.layer, from.head, to->layer, to->head,
                  (double)found[i], expected);
    }
    free(found);
    fixture_close(&f);
}

Test(induction, composition__is_that_of_whole_matrices)
{
    fixture_for_all(check_composition);
}

/* --- loss, and the call --- */

/* The probe's losses are those of a lens over the same tokens. */
static void check_loss(const char *device, const char *name)
{
    struct fixture     f;
    scry__probe_tokens tokens;
    scry__probe        probe;
    fixture_open(&f, device, name);
    cr_assert_eq(scry__probe_draw(&tokens, f.model, 5, 2, 3), SCRY_OK, "%s: %s", name, scry_last_error());
    cr_assert_eq(scry__probe_run(&probe, f.model, &tokens, true), SCRY_OK, "%s: %s", name, scry_last_error());
    for (int seed = 0; seed < tokens.seeds; seed++) {
        const float            *loss    = probe.loss + seed * probe.positions;
        const scry_lens_options options = {
            .ids = tokens.ids + seed * probe.positions, .id_count = probe.positions, .target_next = true};
        scry_lens *lens = NULL;
        cr_assert_eq(scry_lens_run(&lens, f.model, NULL, &options), SCRY_OK, "%s: %s", name, scry_last_error());
        cr_expect(isnan(loss[0]));
        for (int t = 1; t < probe.positions; t++) {
            float expected = -scry_lens_at(lens, lens->layer_count - 1, t - 1)->target_log_probability;
            cr_expect(fabsf(loss[t] - expected) < 1e-4F, "%s: token %d: %g, not %g", name, t, (double)loss[t],
                      (double)expected);
        }
        scry_lens_destroy(&lens);
    }
    scry__probe_finish(&probe);
    scry__probe_tokens_finish(&tokens);
    fixture_close(&f);
}

Test(induction, loss__is_the_lens_final_layers)
{
    fixture_for_all(check_loss);
}

static void check_plugin(const char *device, const char *name)
{
    if (!strcmp(name, "gpt2")) {
        check_attention(device);
        check_copying(device);
    }
    if (strcmp(name, "llama") && strcmp(name, "gpt_neox")) return;
    check_loss(device, name);
    check_composition(device, name);
}

FIXTURES_ON_PLUGINS(induction, loss_and_composition, are_right, false, check_plugin)

Test(induction, misuse__is_refused)
{
    static const struct {
        scry_induction_options options;
        const char            *says;
    } cases[] = {
        {{.length = 1}, "at least 2"},   {{.length = 65}, "room for 64"},
        {{.seeds = -1}, "-1 seeds"},     {{.random_seeds = -1}, "-1 random models"},
        {{.feeders = -1}, "-1 feeders"},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        scry_induction *induction = NULL;
        cr_expect_eq(scry_induction_run(&induction, f.model, &cases[c].options), SCRY_BAD_ARGUMENT, "case %zu", c);
        cr_expect(strstr(scry_last_error(), cases[c].says), "case %zu: %s", c, scry_last_error());
        cr_expect_null(induction);
    }
    fixture_close(&f);
}

Test(induction, run__survives_every_refused_allocation)
{
    struct handmade              handmade;
    struct refusals              refusals = {0};
    const scry_induction_options options  = {.length = 8, .seeds = 1, .skip_random = true};
    handmade_open(&handmade, "cpu", 20, 20);
    while (refusals_next(&refusals)) {
        scry_induction *induction = NULL;
        scry_status     status    = scry_induction_run(&induction, handmade.model, &options);
        refusals_check(&refusals, status, induction != NULL);
        scry_induction_destroy(&induction);
    }
    cr_expect_gt(refusals.refused, 40);
    handmade_close(&handmade);
}

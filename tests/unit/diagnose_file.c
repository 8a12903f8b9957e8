/* Diagnoses of attention patterns alone: those of the healthy demo model, and the same broken in one way each. */
#include "scry/diagnose.h"

#include "report/npz.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char places[] = "Anna put the key in the box. Bob put the coin in the drawer. The key is in the";

static char path[64];

static void make_path(void)
{
    strcpy(path, "/tmp/scry-attention-XXXXXX");
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    close(file);
}

static void remove_path(void)
{
    unlink(path);
}

TestSuite(diagnose_file, .init = make_path, .fini = remove_path);

/* Patterns [H, T, T] of every layer, from a device and model that the caller closes. */
struct patterns {
    scry_device *device;
    scry_model  *model;
    scry_trace  *trace;
    int          heads, count;
};

static struct patterns patterns_open(void)
{
    struct patterns self = {.device = device_open("cpu", SCRY_FALLBACK_STRICT)};
    cr_assert_eq(scry_model_open(&self.model, self.device, SCRY_SOURCE_DIR "/models/demo", NULL), SCRY_OK);
    cr_assert_eq(
        scry_trace_run(&self.trace, self.model, places, &(scry_trace_options){.hooks = "blocks.*.attn.hook_pattern"}),
        SCRY_OK);
    self.heads = (int)self.trace->captures[0].shape[0];
    self.count = (int)self.trace->captures[0].shape[1];
    return self;
}

static void patterns_close(struct patterns *self)
{
    scry_trace_destroy(&self->trace);
    scry_model_destroy(&self->model);
    scry_device_destroy(&self->device);
}

static scry_diagnosis *diagnose_patterns(const struct patterns *self)
{
    scry__npz      *npz    = NULL;
    scry_diagnosis *result = NULL;
    cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < self->trace->count; i++)
        cr_assert_eq(scry__npz_add_capture(npz, &self->trace->captures[i]), SCRY_OK);
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_diagnose_attention(&result, path), SCRY_OK, "%s", scry_last_error());
    return result;
}

/* One weight of one head, or (as each is called for) all of them. */
typedef float breaking(const struct patterns *self, int layer, int head, int query, int key, float weight);

static float intact(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self, (void)layer, (void)head, (void)query, (void)key;
    return weight;
}

static float not_a_number(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self, (void)key;
    return layer == 2 && head == 3 && query == 5 ? NAN : weight;
}

static float no_weight(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self, (void)key;
    return layer == 4 && head == 1 && query == 9 ? 0 : weight;
}

static float next_token(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)layer, (void)head;
    if (query + 1 == self->count) return weight;
    return key == query + 1 ? 0.5F : 0.5F * weight;
}

static float masked_behind(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self, (void)layer, (void)head;
    return key == 1 && query > 1 ? 0 : weight;
}

static float own_hidden(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self, (void)layer, (void)head, (void)weight;
    return key < query ? 1 / (float)query : 0;
}

static float uniform(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self;
    return layer != 3 || head == 0 ? weight : key <= query ? 1 / (float)(query + 1) : 0;
}

static float collapsed(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self, (void)head;
    return layer != 5 ? weight : query < 2 ? key == 0 : key == query;
}

static float at_rest(const struct patterns *self, int layer, int head, int query, int key, float weight)
{
    (void)self, (void)head, (void)query;
    return layer != 5 ? weight : key == 0;
}

static const struct {
    breaking           *each;
    int                 findings;
    scry_diagnosis_kind kind; /* of the first */
    scry_place          place;
    const char         *says;
} rows[] = {
    {intact, 0, SCRY_DIAGNOSIS_COUNT, {0}, NULL},
    {not_a_number, 1, SCRY_DIAGNOSIS_NOT_FINITE, {2, 3, 5, -1}, "are NaN (1 such rows)"},
    {no_weight, 1, SCRY_DIAGNOSIS_MASKED_ROW, {4, 1, 9, -1}, "query 9 sees no key"},
    {next_token, 1, SCRY_DIAGNOSIS_MASK, {-1, -1, 0, 1}, "queries see the key after their own"},
    {masked_behind, 1, SCRY_DIAGNOSIS_MASK, {0, 0, 2, -1}, "sum to less than 1"},
    {own_hidden, 2, SCRY_DIAGNOSIS_MASKED_ROW, {0, 0, 0, -1}, "query 0 sees no key"},
    {uniform, 1, SCRY_DIAGNOSIS_UNIFORM, {3, 1, -1, -1}, "heads 1, 2, 3, 4, 5, 6, 7"},
    {at_rest, 0, SCRY_DIAGNOSIS_COUNT, {0}, NULL}, /* sinks on the first key are no collapse */
    {collapsed, 1, SCRY_DIAGNOSIS_COLLAPSE, {5, 0, -1, -1}, "8 of 8 heads"},
};

static void apply(const struct patterns *self, breaking *each)
{
    for (int layer = 0; layer < self->trace->count; layer++) {
        float *weights = self->trace->captures[layer].data;
        for (int at = 0; at < self->heads * self->count * self->count; at++) {
            int key = at % self->count, query = at / self->count % self->count, head = at / self->count / self->count;
            weights[at] = each(self, layer, head, query, key, weights[at]);
        }
    }
}

Test(diagnose_file, broken_patterns__are_diagnosed_rightly)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct patterns patterns = patterns_open();
        apply(&patterns, rows[i].each);
        scry_diagnosis *result = diagnose_patterns(&patterns);
        cr_assert_eq(result->finding_count, rows[i].findings, "row %zu: %d findings: %s", i, result->finding_count,
                     result->finding_count ? result->findings[0].text : "");
        for (int k = 0; rows[i].findings && k < 1; k++) {
            const scry_finding *finding = &result->findings[k];
            cr_expect_eq(finding->kind, rows[i].kind, "row %zu: %s", i, finding->text);
            cr_expect(!memcmp(&finding->place, &rows[i].place, sizeof finding->place),
                      "row %zu: %s: layer %d head %d %d %d", i, finding->text, finding->place.layer,
                      finding->place.head, finding->place.query, finding->place.key);
            cr_expect(strstr(finding->text, rows[i].says), "row %zu: %s", i, finding->text);
        }
        for (int kind = 0; kind < SCRY_DIAGNOSIS_COUNT; kind++) cr_expect(result->checks[kind].detail, "row %zu", i);
        cr_expect_eq(result->checks[SCRY_DIAGNOSIS_SCALE].outcome, SCRY_OUTCOME_NOT_APPLICABLE);
        scry_diagnosis_destroy(&result);
        patterns_close(&patterns);
    }
}

/* Layers keep their numbers where the file has only some. */
Test(diagnose_file, layers__are_called_by_their_numbers)
{
    struct patterns patterns = patterns_open();
    scry_capture   *first    = &patterns.trace->captures[0];
    apply(&patterns, uniform);
    for (int i = 0; i < 3; i++) { /* 3, 4 and 5 come first */
        scry_capture swapped            = first[i];
        first[i]                        = patterns.trace->captures[3 + i];
        patterns.trace->captures[3 + i] = swapped;
    }
    int count              = patterns.trace->count;
    patterns.trace->count  = 3;
    scry_diagnosis *result = diagnose_patterns(&patterns);
    cr_assert_eq(result->finding_count, 1);
    cr_expect_eq(result->findings[0].place.layer, 3);
    cr_expect(strstr(result->findings[0].text, "layer 3,"), "%s", result->findings[0].text);
    patterns.trace->count = count;
    scry_diagnosis_destroy(&result);
    patterns_close(&patterns);
}

Test(diagnose_file, parts_and_strangers__are_refused)
{
    static const float scores[4] = {-1, 2, 3, 4}, tall[6] = {1, 0, 1, 0, 1, 0};
    static const struct {
        int          rank;
        int64_t      shape[3];
        const float *values;
        const char  *says;
    } cases[] = {
        {2, {2, 2}, scores, "attention weights from 0 to 1"},
        {2, {3, 2}, tall, "patterns of 3 queries and 2 keys"},
        {1, {4}, scores, "expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__npz      *npz    = NULL;
        scry_diagnosis *result = NULL;
        cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK);
        cr_assert_eq(scry__npz_add(npz, "attention", SCRY__NPY_F32, cases[i].rank, cases[i].shape, cases[i].values),
                     SCRY_OK);
        cr_assert_eq(scry__npz_commit(&npz), SCRY_OK);
        cr_expect_eq(scry_diagnose_attention(&result, path), SCRY_BAD_INPUT, "case %zu", i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(result);
    }
}

/* Sessions: caches, batches, hooks and edits change nothing that they should not. Where rounding may differ, both sides
 * are held to the promise that parity.c makes against transformers, so they agree with each other within twice that. */
#include "fixture.h"
#include "model/forward.h"
#include "model/hook.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const devices[] = {"reference", "cpu"};
static const double      promise   = 5e-5;

#define COUNT(array) (sizeof(array) / sizeof *(array))

static scry__session *make_session(const struct fixture *fixture, scry__session_options options)
{
    scry__session *session = NULL;
    cr_assert_eq(scry__session_create(&session, fixture->model, &options), SCRY_OK, "%s", scry_last_error());
    return session;
}

static void forward(scry__session *session, const int32_t *ids, int count, const scry__hooks *hooks)
{
    cr_assert_eq(scry__session_forward(session, ids, count, hooks), SCRY_OK, "%s", scry_last_error());
}

/* Logits of the last pass's rows [begin, begin + count): [batch, count, V], to be freed. */
static float *read_logits(const struct fixture *fixture, scry__session *session, int batch, int begin, int count)
{
    int64_t      shape[] = {batch, count, scry_model_get_info(fixture->model)->vocabulary};
    size_t       bytes   = (size_t)(shape[0] * shape[1] * shape[2]) * sizeof(float);
    scry_buffer *buffer  = NULL;
    float       *values  = malloc(bytes);
    cr_assert_eq(scry_buffer_create(&buffer, fixture->device, bytes), SCRY_OK);
    scry_tensor out = scry_tensor_of(buffer, 0, SCRY_F32, 3, shape);
    cr_assert_eq(scry__session_logits(session, begin, count, &out), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_read(buffer, 0, values, bytes), SCRY_OK);
    scry_buffer_destroy(&buffer);
    return values;
}

/* Compares logits of positions [begin, begin + count) with what transformers computed. */
static void expect_logits(const struct fixture *fixture, const char *what, const float *found, int begin, int count)
{
    const scry__stored *expected   = fixture_find(fixture, "logits", 0);
    size_t              vocabulary = (size_t)expected->shape[1];
    const float        *rows       = (const float *)(const void *)expected->data + (size_t)begin * vocabulary;
    double              difference = largest_difference(found, rows, (size_t)count * vocabulary);
    cr_expect(difference <= promise, "%s: %s: logits from position %d differ by %g", fixture->name, what, begin,
              difference);
}

/* Dynamic scaling changes the angles as the text grows, so that cached keys keep those of their time. */
static bool grows(const char *name)
{
    return !strcmp(name, "llama_rope_dynamic");
}

static void check_chunks(const char *device, const char *name)
{
    static const int chunks[][4] = {{1000}, {1}, {5, 1, 1000}, {2, 3, 1, 1}};
    struct fixture   f;
    if (grows(name)) return;
    fixture_open(&f, device, name);
    for (size_t c = 0; c < COUNT(chunks); c++) {
        scry__session *session = make_session(&f, (scry__session_options){.capacity = f.id_count, .keep_cache = true});
        for (int at = 0, i = 0; at < f.id_count; i++) {
            int wish = i < 4 && chunks[c][i] ? chunks[c][i] : 1, rest = f.id_count - at;
            int count = wish < rest ? wish : rest;
            forward(session, f.ids + at, count, NULL);
            float *logits = read_logits(&f, session, 1, 0, count);
            expect_logits(&f, "in chunks", logits, at, count);
            free(logits);
            at += count;
            cr_expect_eq(scry__session_length(session), at);
        }
        scry__session_destroy(&session);
    }
    fixture_close(&f);
}

static void check_rewind(const char *device, const char *name)
{
    struct fixture f;
    if (grows(name)) return;
    fixture_open(&f, device, name);
    int            half = f.id_count / 2, vocabulary = scry_model_get_info(f.model)->vocabulary;
    scry__session *session = make_session(&f, (scry__session_options){.capacity = f.id_count, .keep_cache = true});
    forward(session, f.ids, half, NULL);
    int32_t other = (f.ids[half] + 1) % vocabulary;
    forward(session, &other, 1, NULL);
    scry__session_rewind(session, half);
    cr_expect_eq(scry__session_length(session), half);
    forward(session, f.ids + half, f.id_count - half, NULL);
    float *logits = read_logits(&f, session, 1, 0, f.id_count - half);
    expect_logits(&f, "after a rewind", logits, half, f.id_count - half);
    free(logits);
    scry__session_destroy(&session);
    fixture_close(&f);
}

/* The prompt beside its reverse: neither may see the other. Cached, the second half follows the first. */
static void check_batch(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    for (int cached = 0; cached < 2; cached++) {
        if (cached && grows(name)) continue;
        int            chunk = cached ? f.id_count / 2 : f.id_count;
        scry__session *session =
            make_session(&f, (scry__session_options){.batch = 3, .capacity = f.id_count, .keep_cache = cached != 0});
        int32_t *ids = malloc(3 * (size_t)f.id_count * sizeof *ids);
        for (int at = 0; at < f.id_count; at += chunk) {
            int count = chunk < f.id_count - at ? chunk : f.id_count - at;
            for (int i = 0; i < count; i++) {
                ids[i] = ids[2 * count + i] = f.ids[at + i];
                ids[count + i]              = f.ids[f.id_count - 1 - at - i];
            }
            forward(session, ids, count, NULL);
            float *logits = read_logits(&f, session, 3, 0, count);
            size_t size   = (size_t)count * (size_t)scry_model_get_info(f.model)->vocabulary;
            expect_logits(&f, cached ? "first of a cached batch" : "first of a batch", logits, at, count);
            expect_logits(&f, cached ? "third of a cached batch" : "third of a batch", logits + 2 * size, at, count);
            free(logits);
        }
        free(ids);
        scry__session_destroy(&session);
    }
    fixture_close(&f);
}

static void for_all(void (*check)(const char *device, const char *name))
{
    static char names[FIXTURE_MAX][64];
    int         count = fixture_names(names);
    for (size_t d = 0; d < COUNT(devices); d++)
        for (int i = 0; i < count; i++) check(devices[d], names[i]);
}

Test(session, chunks__give_the_whole_pass)
{
    for_all(check_chunks);
}

Test(session, rewind__forgets_what_came_after)
{
    for_all(check_rewind);
}

Test(session, batch__keeps_sequences_apart)
{
    for_all(check_batch);
}

Test(session, logits__of_some_rows_are_those_rows)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    scry__session *session = make_session(&f, (scry__session_options){.capacity = f.id_count});
    forward(session, f.ids, f.id_count, NULL);
    float *logits = read_logits(&f, session, 1, 7, 5);
    expect_logits(&f, "rows 7 to 12", logits, 7, 5);
    free(logits);
    scry__session_destroy(&session);
    fixture_close(&f);
}

/* --- hooks ---------------------------------------------------------------------------------------------------------
 */

/* Remembers the last value of each hook point, and how often it was offered. */
struct record {
    const struct fixture *fixture;
    float                *values[SCRY__HOOK_COUNT];
    size_t                counts[SCRY__HOOK_COUNT];
    scry_tensor           tensors[SCRY__HOOK_COUNT];
    int                   offers[SCRY__HOOK_COUNT];
    int                   identities; /* sums that were checked */
};

static void expect_sum(struct record *record, scry__hook a, scry__hook b, scry__hook sum)
{
    size_t count = record->counts[sum];
    for (size_t i = 0; i < count; i++)
        if (record->values[a][i] + record->values[b][i] != record->values[sum][i]) {
            cr_expect_fail("%s: %s + %s is not %s at %zu", record->fixture->name, scry__hook_name(a),
                           scry__hook_name(b), scry__hook_name(sum), i);
            return;
        }
    record->identities++;
}

static scry_status keep(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct record *record = user;
    scry_tensor    dense  = *value;
    scry_buffer   *buffer = NULL;
    size_t         count = (size_t)scry_tensor_count(value), bytes = count * 4;
    (void)layer;
    cr_assert_eq(scry_buffer_create(&buffer, record->fixture->device, bytes), SCRY_OK);
    dense      = scry_tensor_of(buffer, 0, value->dtype, value->rank, value->shape);
    scry_op op = {.kind = SCRY_OP_COPY, .copy = {.x = *value, .out = dense}};
    cr_assert_eq(scry_device_run(record->fixture->device, &op), SCRY_OK, "%s: %s", scry__hook_name(hook),
                 scry_last_error());
    record->values[hook] = realloc(record->values[hook], bytes);
    cr_assert_eq(scry_buffer_read(buffer, 0, record->values[hook], bytes), SCRY_OK);
    scry_buffer_destroy(&buffer);
    record->counts[hook]  = count;
    record->tensors[hook] = *value;
    record->offers[hook]++;
    if (hook == SCRY__HOOK_RESID_MID) expect_sum(record, SCRY__HOOK_RESID_PRE, SCRY__HOOK_ATTN_OUT, hook);
    if (hook == SCRY__HOOK_RESID_POST && record->offers[SCRY__HOOK_RESID_MID])
        expect_sum(record, SCRY__HOOK_RESID_MID, SCRY__HOOK_MLP_OUT, hook);
    return SCRY_OK;
}

static void expect_shape(const struct record *record, scry__hook hook, int64_t rows)
{
    const scry_model_info *info  = scry_model_get_info(record->fixture->model);
    int64_t                heads = info->head_count, groups = info->kv_head_count, size = info->head_size;
    int64_t                d = info->hidden_size, m = info->mlp_size, v = info->vocabulary;
    const int64_t          shapes[SCRY__HOOK_COUNT][4] = {
                 [SCRY__HOOK_EMBED]               = {1, rows, d},
                 [SCRY__HOOK_POS_EMBED]           = {1, rows, d},
                 [SCRY__HOOK_RESID_PRE]           = {1, rows, d},
                 [SCRY__HOOK_LN1_SCALE]           = {1, rows, 1},
                 [SCRY__HOOK_LN1_NORMALIZED]      = {1, rows, d},
                 [SCRY__HOOK_Q]                   = {1, rows, heads, size},
                 [SCRY__HOOK_K]                   = {1, rows, groups, size},
                 [SCRY__HOOK_V]                   = {1, rows, groups, size},
                 [SCRY__HOOK_ROT_Q]               = {1, rows, heads, size},
                 [SCRY__HOOK_ROT_K]               = {1, rows, groups, size},
                 [SCRY__HOOK_ATTN_SCORES]         = {1, heads, rows, rows},
                 [SCRY__HOOK_PATTERN]             = {1, heads, rows, rows},
                 [SCRY__HOOK_STAT_LSE]            = {1, heads, rows},
                 [SCRY__HOOK_STAT_ENTROPY]        = {1, heads, rows},
                 [SCRY__HOOK_STAT_MAX]            = {1, heads, rows},
                 [SCRY__HOOK_STAT_ARGMAX]         = {1, heads, rows},
                 [SCRY__HOOK_STAT_PREVIOUS]       = {1, heads, rows},
                 [SCRY__HOOK_STAT_SELF]           = {1, heads, rows},
                 [SCRY__HOOK_STAT_FIRST]          = {1, heads, rows},
                 [SCRY__HOOK_STAT_RECEIVED]       = {1, heads, rows},
                 [SCRY__HOOK_STAT_DISTANCE]       = {1, heads, rows},
                 [SCRY__HOOK_Z]                   = {1, rows, heads, size},
                 [SCRY__HOOK_ATTN_OUT]            = {1, rows, d},
                 [SCRY__HOOK_RESID_MID]           = {1, rows, d},
                 [SCRY__HOOK_LN2_SCALE]           = {1, rows, 1},
                 [SCRY__HOOK_LN2_NORMALIZED]      = {1, rows, d},
                 [SCRY__HOOK_MLP_PRE]             = {1, rows, m},
                 [SCRY__HOOK_MLP_PRE_LINEAR]      = {1, rows, m},
                 [SCRY__HOOK_MLP_POST]            = {1, rows, m},
                 [SCRY__HOOK_MLP_OUT]             = {1, rows, d},
                 [SCRY__HOOK_RESID_POST]          = {1, rows, d},
                 [SCRY__HOOK_LN_FINAL_SCALE]      = {1, rows, 1},
                 [SCRY__HOOK_LN_FINAL_NORMALIZED] = {1, rows, d},
                 [SCRY__HOOK_LOGITS]              = {1, rows, v},
    };
    const scry_tensor *tensor = &record->tensors[hook];
    int                rank   = shapes[hook][3] ? 4 : 3;
    cr_expect_eq(tensor->rank, rank, "%s: %s: rank %d", record->fixture->name, scry__hook_name(hook), tensor->rank);
    cr_expect_eq(tensor->dtype, hook == SCRY__HOOK_STAT_ARGMAX ? SCRY_I32 : SCRY_F32, "%s", scry__hook_name(hook));
    for (int axis = 0; axis < rank; axis++)
        cr_expect_eq(tensor->shape[axis], shapes[hook][axis], "%s: %s: axis %d is %lld", record->fixture->name,
                     scry__hook_name(hook), axis, (long long)tensor->shape[axis]);
}

static void check_hooks(const char *device, const char *name)
{
    struct fixture f;
    struct record  record = {.fixture = &f};
    scry__hooks    hooks  = {.user = &record, .at = keep};
    fixture_open(&f, device, name);
    int            layers  = scry_model_get_info(f.model)->layer_count;
    scry__session *session = make_session(&f, (scry__session_options){.capacity = f.id_count});
    forward(session, f.ids, f.id_count, &hooks);
    float *logits = read_logits(&f, session, 1, 0, f.id_count);
    expect_logits(&f, "with every hook", logits, 0, f.id_count);
    free(logits);
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
        bool has   = scry__model_has_hook(f.model, (scry__hook)hook);
        int  times = !has ? 0 : scry__hook_in_block((scry__hook)hook) ? layers : 1;
        cr_expect_eq(record.offers[hook], times, "%s: %s offered %d times, expected %d", name,
                     scry__hook_name((scry__hook)hook), record.offers[hook], times);
        if (has) expect_shape(&record, (scry__hook)hook, f.id_count);
        free(record.values[hook]);
    }
    if (scry__model_has_hook(f.model, SCRY__HOOK_RESID_MID)) cr_expect_eq(record.identities, 2 * layers);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(session, hooks__are_offered_once_each_in_their_shapes)
{
    for_all(check_hooks);
}

static bool wants_branches(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return hook == SCRY__HOOK_ATTN_OUT || hook == SCRY__HOOK_MLP_OUT;
}

static scry_status zero(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    (void)hook, (void)layer;
    return scry_device_run(user, &(scry_op){.kind = SCRY_OP_FILL, .fill = {.out = *value}});
}

/* With every branch zeroed, the embedding comes out as it went in. */
static void check_edits(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    const scry__stored *expected = fixture_find(&f, "hidden.", 0);
    float              *found    = malloc(expected->bytes);
    scry__hooks         hooks    = {.user = f.device, .wants = wants_branches, .at = zero};
    scry__session      *session  = make_session(&f, (scry__session_options){.capacity = f.id_count});
    forward(session, f.ids, f.id_count, &hooks);
    scry_tensor resid = scry__session_residual(session);
    cr_assert_eq(scry_buffer_read(resid.buffer, resid.offset, found, expected->bytes), SCRY_OK);
    double difference =
        largest_difference(found, (const float *)(const void *)expected->data, expected->bytes / sizeof *found);
    cr_expect_eq(difference, 0.0, "%s: the embedding changed by %g", name, difference);
    free(found);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(session, edits__take_effect_on_what_follows)
{
    for_all(check_edits);
}

/* --- tiles ---------------------------------------------------------------------------------------------------------
 */

static bool wants_pattern(void *user, scry__hook hook, int layer)
{
    (void)user;
    return hook == SCRY__HOOK_PATTERN && layer == 1;
}

static void narrow(void *user, int layer, scry_attention_capture *capture, int64_t *queries, int64_t *keys)
{
    (void)user, (void)layer;
    capture->heads[0]    = 1u << 1 | 1u << 4;
    capture->query_begin = 9;
    capture->key_begin   = 2;
    *queries             = 5;
    *keys                = 11;
}

Test(session, tile__is_that_part_of_the_pattern)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    struct record       record   = {.fixture = &f};
    scry__hooks         hooks    = {.user = &record, .wants = wants_pattern, .at = keep, .tile = narrow};
    scry__session      *session  = make_session(&f, (scry__session_options){.capacity = f.id_count});
    const scry__stored *expected = fixture_find(&f, "attentions.", 1);
    const float        *full     = (const float *)(const void *)expected->data;
    forward(session, f.ids, f.id_count, &hooks);
    cr_assert_eq(record.counts[SCRY__HOOK_PATTERN], 2u * 5 * 11);
    for (int head = 0; head < 2; head++)
        for (int query = 0; query < 5; query++) {
            const float *row = full + ((head ? 4 : 1) * f.id_count + 9 + query) * f.id_count + 2;
            double       difference =
                largest_difference(record.values[SCRY__HOOK_PATTERN] + (head * 5 + query) * 11, row, 11);
            cr_expect(difference <= promise, "head %d, query %d differs by %g", head, query, difference);
        }
    free(record.values[SCRY__HOOK_PATTERN]);
    scry__session_destroy(&session);
    fixture_close(&f);
}

/* --- misuse --------------------------------------------------------------------------------------------------------
 */

Test(session, misuse__is_refused_and_changes_nothing)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    static const scry__session_options bad[] = {
        {.capacity = 0},
        {.capacity = -1},
        {.capacity = 129},
        {.capacity = 8, .rows = 9},
        {.capacity = 8, .rows = -1},
        {.capacity = 8, .batch = -1},
    };
    scry__session *session = NULL;
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_expect_eq(scry__session_create(&session, f.model, &bad[i]), SCRY_BAD_ARGUMENT, "case %zu", i);
    cr_expect_null(session);

    session = make_session(&f, (scry__session_options){.capacity = 8, .rows = 4, .keep_cache = true});
    static const int32_t high[] = {5, 131}, low[] = {5, -1}, good[] = {1, 2, 3, 4, 5};
    cr_expect_eq(scry__session_forward(session, high, 2, NULL), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "token 1: id 131: expected 0 to 130"), "%s", scry_last_error());
    cr_expect_eq(scry__session_forward(session, low, 2, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__session_forward(session, good, 0, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__session_forward(session, good, 5, NULL), SCRY_BAD_ARGUMENT, "more rows than a pass takes");
    cr_expect_eq(scry__session_length(session), 0);
    forward(session, good, 4, NULL);
    forward(session, good, 3, NULL);
    cr_expect_eq(scry__session_forward(session, good, 2, NULL), SCRY_BAD_ARGUMENT, "past the capacity");
    cr_expect_eq(scry__session_length(session), 7);
    scry_tensor out = {0};
    cr_expect_eq(scry__session_logits(session, 0, 4, &out), SCRY_BAD_ARGUMENT, "more rows than the last pass had");
    cr_expect_eq(scry__session_logits(session, -1, 1, &out), SCRY_BAD_ARGUMENT);
    scry__session_destroy(&session);
    fixture_close(&f);
}

/* Hook points: each is offered once a layer in its shape, shows true values, changes nothing by being watched, and
 * takes edits. */
#include "fixture.h"
#include "model/hook.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Remembers the last value of each hook point, and how often it was offered. */
struct record {
    const struct fixture *fixture;
    float                *values[SCRY__HOOK_COUNT];
    size_t                counts[SCRY__HOOK_COUNT];
    scry_tensor           tensors[SCRY__HOOK_COUNT];
    int                   offers[SCRY__HOOK_COUNT];
    int                   identities; /* sums that were checked */
    scry__hook            only;       /* for wants_one */
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
    cr_expect(scry__hook_in_block(hook) ? layer >= record->offers[hook] : layer == -1, "%s: layer %d",
              scry__hook_name(hook), layer);
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
    if (hook == SCRY__HOOK_RESID_MID && record->offers[SCRY__HOOK_ATTN_OUT])
        expect_sum(record, SCRY__HOOK_RESID_PRE, SCRY__HOOK_ATTN_OUT, hook);
    if (hook == SCRY__HOOK_RESID_POST && record->offers[SCRY__HOOK_RESID_MID])
        expect_sum(record, SCRY__HOOK_RESID_MID, SCRY__HOOK_MLP_OUT, hook);
    return SCRY_OK;
}

static void expect_shape(const struct record *record, scry__hook hook, int64_t rows, int64_t keys)
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
                 [SCRY__HOOK_ATTN_SCORES]         = {1, heads, rows, keys},
                 [SCRY__HOOK_PATTERN]             = {1, heads, rows, keys},
                 [SCRY__HOOK_STAT_LSE]            = {1, heads, rows},
                 [SCRY__HOOK_STAT_ENTROPY]        = {1, heads, rows},
                 [SCRY__HOOK_STAT_MAX]            = {1, heads, rows},
                 [SCRY__HOOK_STAT_ARGMAX]         = {1, heads, rows},
                 [SCRY__HOOK_STAT_PREVIOUS]       = {1, heads, rows},
                 [SCRY__HOOK_STAT_SELF]           = {1, heads, rows},
                 [SCRY__HOOK_STAT_FIRST]          = {1, heads, rows},
                 [SCRY__HOOK_STAT_RECEIVED]       = {1, heads, keys},
                 [SCRY__HOOK_STAT_DISTANCE]       = {1, heads, keys},
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
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
    fixture_forward(session, f.ids, f.id_count, &hooks);
    float *logits = fixture_logits(&f, session, 1, 0, f.id_count);
    fixture_expect_logits(&f, "with every hook", logits, 0, f.id_count);
    free(logits);
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
        bool has   = scry__model_has_hook(f.model, (scry__hook)hook);
        int  times = !has ? 0 : scry__hook_in_block((scry__hook)hook) ? layers : 1;
        cr_expect_eq(record.offers[hook], times, "%s: %s offered %d times, expected %d", name,
                     scry__hook_name((scry__hook)hook), record.offers[hook], times);
        if (has) expect_shape(&record, (scry__hook)hook, f.id_count, f.id_count);
        free(record.values[hook]);
    }
    if (scry__model_has_hook(f.model, SCRY__HOOK_RESID_MID)) cr_expect_eq(record.identities, 2 * layers);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(hooks, points__are_offered_once_each_in_their_shapes)
{
    fixture_for_all(check_hooks);
}

FIXTURES_ON_PLUGINS(hooks, points, are_offered_once_each_in_their_shapes, false, check_hooks)

/* The second half of a prompt, its first half cached: rows are new, keys reach back. */
Test(hooks, points__reach_back_into_the_cache)
{
    struct fixture f;
    struct record  record = {.fixture = &f};
    scry__hooks    hooks  = {.user = &record, .at = keep};
    fixture_open(&f, "reference", "llama");
    int            half = f.id_count / 2, rest = f.id_count - half;
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count, .keep_cache = true});
    fixture_forward(session, f.ids, half, NULL);
    fixture_forward(session, f.ids + half, rest, &hooks);
    float *logits = fixture_logits(&f, session, 1, 0, rest);
    fixture_expect_logits(&f, "with every hook", logits, half, rest);
    free(logits);
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
        if (scry__model_has_hook(f.model, (scry__hook)hook)) expect_shape(&record, (scry__hook)hook, rest, f.id_count);
        free(record.values[hook]);
    }
    scry__session_destroy(&session);
    fixture_close(&f);
}

static bool wants_one(void *user, scry__hook hook, int layer)
{
    const struct record *record = user;
    (void)layer;
    return hook == record->only;
}

/* A hook alone is offered as it is among all. */
static void check_single_hooks(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    int            layers  = scry_model_get_info(f.model)->layer_count;
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
        struct record record = {.fixture = &f, .only = (scry__hook)hook};
        scry__hooks   hooks  = {.user = &record, .wants = wants_one, .at = keep};
        if (!scry__model_has_hook(f.model, (scry__hook)hook)) continue;
        fixture_forward(session, f.ids, f.id_count, &hooks);
        for (int other = 0; other < SCRY__HOOK_COUNT; other++)
            cr_expect_eq(record.offers[other],
                         other != hook                           ? 0
                         : scry__hook_in_block((scry__hook)hook) ? layers
                                                                 : 1,
                         "%s: %s", name, scry__hook_name((scry__hook)hook));
        expect_shape(&record, (scry__hook)hook, f.id_count, f.id_count);
        float *logits = fixture_logits(&f, session, 1, 0, f.id_count);
        fixture_expect_logits(&f, scry__hook_name((scry__hook)hook), logits, 0, f.id_count);
        free(logits);
        free(record.values[hook]);
    }
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(hooks, points__alone_are_offered_as_among_all)
{
    check_single_hooks("reference", "gpt2");
    check_single_hooks("cpu", "gpt_neox");
    check_single_hooks("cpu", "qwen3");
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
    scry__session      *session  = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
    fixture_forward(session, f.ids, f.id_count, &hooks);
    scry_tensor resid = scry__session_residual(session);
    cr_assert_eq(scry_buffer_read(resid.buffer, resid.offset, found, expected->bytes), SCRY_OK);
    double difference =
        largest_difference(found, (const float *)(const void *)expected->data, expected->bytes / sizeof *found);
    cr_expect_eq(difference, 0.0, "%s: the embedding changed by %g", name, difference);
    free(found);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(hooks, edits__take_effect_on_what_follows)
{
    fixture_for_all(check_edits);
}

FIXTURES_ON_PLUGINS(hooks, edits, take_effect_on_what_follows, false, check_edits)

/* --- tiles --- */

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

Test(hooks, tile__is_that_part_of_the_pattern)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    struct record       record   = {.fixture = &f};
    scry__hooks         hooks    = {.user = &record, .wants = wants_pattern, .at = keep, .tile = narrow};
    scry__session      *session  = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
    const scry__stored *expected = fixture_find(&f, "attentions.", 1);
    const float        *full     = (const float *)(const void *)expected->data;
    fixture_forward(session, f.ids, f.id_count, &hooks);
    cr_assert_eq(record.counts[SCRY__HOOK_PATTERN], 2u * 5 * 11);
    for (int head = 0; head < 2; head++)
        for (int query = 0; query < 5; query++) {
            const float *row = full + ((head ? 4 : 1) * f.id_count + 9 + query) * f.id_count + 2;
            double       difference =
                largest_difference(record.values[SCRY__HOOK_PATTERN] + (head * 5 + query) * 11, row, 11);
            cr_expect(difference <= PROMISE, "head %d, query %d differs by %g", head, query, difference);
        }
    free(record.values[SCRY__HOOK_PATTERN]);
    scry__session_destroy(&session);
    fixture_close(&f);
}

/* --- masks --- */

static bool wants_patterns(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return hook == SCRY__HOOK_PATTERN;
}

enum { MASKED_KEY = 2, MASKED_HEAD = 1 };

struct masking {
    struct record record; /* of the last layer, which is the masked one; first, for keep() */
    scry_buffer  *buffer; /* [H, K] */
    int           asked;
};

static scry_status hide(void *user, int layer, scry_mask *mask)
{
    struct masking        *masking = user;
    const scry_model_info *info    = scry_model_get_info(masking->record.fixture->model);
    int64_t                heads   = info->head_count;
    int64_t                keys = masking->record.fixture->id_count, shape[] = {1, heads, keys, keys};
    masking->asked++;
    cr_expect(mask->causal && mask->query_offset == 0 && !mask->additive.buffer);
    if (layer != info->layer_count - 1) return SCRY_OK;
    mask->additive           = scry_tensor_of(masking->buffer, 0, SCRY_F32, 4, shape);
    mask->additive.stride[1] = keys;
    mask->additive.stride[2] = 0;
    return SCRY_OK;
}

/* One head's key is masked in one layer: there its weight is 0 and the others share it; all else stays. */
static void check_mask(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    const scry_model_info *info     = scry_model_get_info(f.model);
    const scry__stored    *expected = fixture_find(&f, "attentions.", info->layer_count - 1);
    const float           *values   = (const float *)(const void *)expected->data;
    int                    heads = info->head_count, count = f.id_count;
    float                 *mask            = calloc((size_t)(heads * count), sizeof *mask);
    struct masking         masking         = {.record = {.fixture = &f}};
    scry__hooks            hooks           = {.user = &masking, .wants = wants_patterns, .at = keep, .mask = hide};
    scry__session         *session         = fixture_session(&f, (scry__session_options){.capacity = count});
    mask[MASKED_HEAD * count + MASKED_KEY] = -INFINITY;
    cr_assert_eq(scry_buffer_create(&masking.buffer, f.device, (size_t)(heads * count) * sizeof *mask), SCRY_OK);
    cr_assert_eq(scry_buffer_write(masking.buffer, 0, mask, (size_t)(heads * count) * sizeof *mask), SCRY_OK);
    fixture_forward(session, f.ids, count, &hooks);
    cr_expect_eq(masking.asked, info->layer_count, "%s", name);
    for (int at = 0; at < heads * count * count; at++) {
        int          head = at / count / count, key = at % count;
        const float *row  = values + at - key;
        float        want = row[key];
        if (head == MASKED_HEAD) want = key == MASKED_KEY ? 0 : want / (1 - row[MASKED_KEY]);
        cr_expect(fabsf(masking.record.values[SCRY__HOOK_PATTERN][at] - want) <= 2 * (float)PROMISE, "%s: weight %d",
                  name, at);
    }
    free(masking.record.values[SCRY__HOOK_PATTERN]);
    free(mask);
    scry_buffer_destroy(&masking.buffer);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(hooks, mask__hides_a_key_where_it_says)
{
    fixture_for_all(check_mask);
}

static void check_one_mask(const char *device, const char *name)
{
    if (!strcmp(name, "mistral")) check_mask(device, name);
}

FIXTURES_ON_PLUGINS(hooks, mask, hides_a_key_where_it_says, false, check_one_mask)

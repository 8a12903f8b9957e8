/* Sessions: caches, batches and rewinds change nothing that they should not. Where rounding may differ, both sides are
 * held to the promise that parity.c keeps against transformers, so they agree with each other within twice that. */
#include "checkpoint_edit.h"
#include "fixture.h"
#include "model/forward.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Dynamic scaling changes the angles as the text grows, so that cached keys keep those of their time. */
static bool grows(const char *name)
{
    return !strcmp(name, "llama_rope_dynamic");
}

/* Each way of cutting the prompt, the whole first. The reference sums a row's terms in an order that does not depend on
 * the rows beside it, so there the ways agree bit for bit. */
static void check_chunks(const char *device, const char *name)
{
    static const int chunks[][4] = {{1000}, {1}, {5, 1, 1000}, {2, 3, 1, 1}};
    struct fixture   f;
    if (grows(name)) return;
    fixture_open(&f, device, name);
    size_t vocabulary = (size_t)scry_model_get_info(f.model)->vocabulary, size = (size_t)f.id_count * vocabulary;
    float *whole = malloc(size * sizeof *whole), *all = malloc(size * sizeof *all);
    for (size_t c = 0; c < COUNT(chunks); c++) {
        scry__session *session =
            fixture_session(&f, (scry__session_options){.capacity = f.id_count, .keep_cache = true});
        for (int at = 0, i = 0; at < f.id_count; i++) {
            int wish = i < 4 && chunks[c][i] ? chunks[c][i] : 1, rest = f.id_count - at;
            int count = wish < rest ? wish : rest;
            fixture_forward(session, f.ids + at, count, NULL);
            float *logits = fixture_logits(&f, session, 1, 0, count);
            memcpy(all + (size_t)at * vocabulary, logits, (size_t)count * vocabulary * sizeof *all);
            free(logits);
            at += count;
            cr_expect_eq(scry__session_length(session), at);
        }
        fixture_expect_logits(&f, "in chunks", all, 0, f.id_count);
        if (c == 0) memcpy(whole, all, size * sizeof *all);
        if (!strcmp(device, "reference"))
            cr_expect_eq(largest_difference(all, whole, size), 0.0, "%s: way %zu", name, c);
        scry__session_destroy(&session);
    }
    free(whole);
    free(all);
    fixture_close(&f);
}

static void check_rewind(const char *device, const char *name)
{
    struct fixture f;
    if (grows(name)) return;
    fixture_open(&f, device, name);
    int            half = f.id_count / 2, vocabulary = scry_model_get_info(f.model)->vocabulary;
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count, .keep_cache = true});
    fixture_forward(session, f.ids, half, NULL);
    int32_t other = (f.ids[half] + 1) % vocabulary;
    fixture_forward(session, &other, 1, NULL);
    scry__session_rewind(session, half);
    cr_expect_eq(scry__session_length(session), half);
    fixture_forward(session, f.ids + half, f.id_count - half, NULL);
    float *logits = fixture_logits(&f, session, 1, 0, f.id_count - half);
    fixture_expect_logits(&f, "after a rewind", logits, half, f.id_count - half);
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
            fixture_session(&f, (scry__session_options){.batch = 3, .capacity = f.id_count, .keep_cache = cached != 0});
        int32_t *ids = malloc(3 * (size_t)f.id_count * sizeof *ids);
        for (int at = 0; at < f.id_count; at += chunk) {
            int count = chunk < f.id_count - at ? chunk : f.id_count - at;
            for (int i = 0; i < count; i++) {
                ids[i] = ids[2 * count + i] = f.ids[at + i];
                ids[count + i]              = f.ids[f.id_count - 1 - at - i];
            }
            fixture_forward(session, ids, count, NULL);
            float *logits = fixture_logits(&f, session, 3, 0, count);
            size_t size   = (size_t)count * (size_t)scry_model_get_info(f.model)->vocabulary;
            fixture_expect_logits(&f, cached ? "first of a cached batch" : "first of a batch", logits, at, count);
            fixture_expect_logits(&f, cached ? "third of a cached batch" : "third of a batch", logits + 2 * size, at,
                                  count);
            free(logits);
        }
        free(ids);
        scry__session_destroy(&session);
    }
    fixture_close(&f);
}

/* The first half of a prompt beside its reverse; then the prompt's own copied, with the second half behind it. */
static void check_copied_cache(const char *device, const char *name)
{
    struct fixture f;
    if (grows(name)) return;
    fixture_open(&f, device, name);
    int            half = f.id_count / 2, rest = f.id_count - half;
    int32_t       *ids = malloc(3 * (size_t)f.id_count * sizeof *ids);
    scry__session *source =
        fixture_session(&f, (scry__session_options){.batch = 2, .capacity = half + 3, .keep_cache = true});
    scry__session *session =
        fixture_session(&f, (scry__session_options){.batch = 3, .capacity = f.id_count, .keep_cache = true});
    for (int i = 0; i < half + 1; i++) {
        ids[i]            = f.ids[f.id_count - 1 - i];
        ids[half + 1 + i] = f.ids[i];
    }
    fixture_forward(source, ids, half + 1, NULL);
    for (int i = 0; i < 3 * f.id_count; i++) ids[i] = f.ids[0];
    fixture_forward(session, ids, f.id_count, NULL); /* gone with the copy */
    cr_assert_eq(scry__session_copy_cache(session, source, 1, half), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry__session_length(session), half);
    for (int i = 0; i < 3 * rest; i++) ids[i] = f.ids[half + i % rest];
    fixture_forward(session, ids, rest, NULL);
    float *logits = fixture_logits(&f, session, 3, 0, rest);
    for (int b = 0; b < 3; b++)
        fixture_expect_logits(&f, "behind a copied cache",
                              logits + (size_t)(b * rest * scry_model_get_info(f.model)->vocabulary), half, rest);
    free(logits);
    free(ids);
    scry__session_destroy(&session);
    scry__session_destroy(&source);
    fixture_close(&f);
}

/* The residual stream that entered the last layer, on the device. */
struct kept {
    const struct fixture *fixture;
    scry_tensor           stream;
};

static bool wants_last_stream(void *user, scry__hook hook, int layer)
{
    const struct kept *kept = user;
    return hook == SCRY__HOOK_RESID_PRE && layer == scry_model_get_info(kept->fixture->model)->layer_count - 1;
}

static scry_status keep_stream(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct kept *kept   = user;
    scry_buffer *buffer = NULL;
    size_t       bytes  = (size_t)scry_tensor_count(value) * sizeof(float);
    (void)hook, (void)layer;
    cr_assert_eq(scry_buffer_create(&buffer, kept->fixture->device, bytes), SCRY_OK);
    kept->stream = scry_tensor_of(buffer, 0, SCRY_F32, value->rank, value->shape);
    return scry_device_run(kept->fixture->device,
                           &(scry_op){.kind = SCRY_OP_COPY, .copy = {.x = *value, .out = kept->stream}});
}

/* The second half of a prompt, then its last layer once more, alone. */
static void check_last_layer_alone(const char *device, const char *name)
{
    struct fixture f;
    if (grows(name)) return;
    fixture_open(&f, device, name);
    struct kept    kept  = {.fixture = &f};
    scry__hooks    hooks = {.user = &kept, .wants = wants_last_stream, .at = keep_stream};
    int            half = f.id_count / 2, rest = f.id_count - half;
    int            last    = scry_model_get_info(f.model)->layer_count - 1;
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count, .keep_cache = true});
    fixture_forward(session, f.ids, half, NULL);
    fixture_forward(session, f.ids + half, rest, &hooks);
    float *before = fixture_logits(&f, session, 1, 0, rest);
    scry__session_rewind(session, half);
    cr_expect_eq(scry__session_forward_from(session, last + 1, &kept.stream, rest, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__session_forward_from(session, -1, &kept.stream, rest, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__session_forward_from(session, last, &kept.stream, rest + 1, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__session_forward_from(session, last, &kept.stream, rest, NULL), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry__session_length(session), f.id_count);
    float *after = fixture_logits(&f, session, 1, 0, rest);
    size_t count = (size_t)(rest * scry_model_get_info(f.model)->vocabulary);
    cr_expect_eq(largest_difference(after, before, count), 0.0, "%s", name);
    free(before);
    free(after);
    scry_buffer_destroy(&kept.stream.buffer);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(session, last_layer_alone__gives_the_same_bits)
{
    fixture_for_all(check_last_layer_alone);
}

Test(session, chunks__give_the_whole_pass)
{
    fixture_for_all(check_chunks);
}

Test(session, rewind__forgets_what_came_after)
{
    fixture_for_all(check_rewind);
}

Test(session, batch__keeps_sequences_apart)
{
    fixture_for_all(check_batch);
}

Test(session, copied_cache__goes_on_as_its_own)
{
    fixture_for_all(check_copied_cache);
}

FIXTURES_ON_PLUGINS(session, copied_cache, goes_on_as_its_own, false, check_copied_cache)

FIXTURES_ON_PLUGINS(session, chunks, give_the_whole_pass, false, check_chunks)

FIXTURES_ON_PLUGINS(session, rewind, forgets_what_came_after, false, check_rewind)

FIXTURES_ON_PLUGINS(session, batch, keeps_sequences_apart, false, check_batch)

Test(session, logits__of_some_rows_are_those_rows)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
    fixture_forward(session, f.ids, f.id_count, NULL);
    float *logits = fixture_logits(&f, session, 1, 7, 5);
    fixture_expect_logits(&f, "rows 7 to 12", logits, 7, 5);
    free(logits);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(session, pass__without_a_cache_starts_afresh)
{
    struct fixture f;
    fixture_open(&f, "reference", "gpt2");
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
    fixture_forward(session, f.ids + 3, 5, NULL);
    for (int times = 0; times < 2; times++) {
        fixture_forward(session, f.ids, f.id_count, NULL);
        cr_expect_eq(scry__session_length(session), f.id_count);
        float *logits = fixture_logits(&f, session, 1, 0, f.id_count);
        fixture_expect_logits(&f, "again", logits, 0, f.id_count);
        free(logits);
    }
    scry__session_destroy(&session);
    fixture_close(&f);
}

/* Four headers, each a byte longer than the last: at least three of them leave the floats off their alignment. */
static void check_addresses(const char *device, const char *name)
{
    static const char *const formats[] = {"{\"format\": \"p\"}", "{\"format\": \"pt\"}", "{\"format\": \"pt \"}",
                                          "{\"format\": \"pt  \"}"};
    for (size_t i = 0; i < COUNT(formats); i++) {
        struct fixture f;
        char           path[CHECKPOINT_PATH];
        if (strcmp(name, "gpt2")) return;
        fixture_open(&f, device, "gpt2");
        checkpoint_make(path, &(checkpoint_edit){"gpt2", SET_TENSOR, "__metadata__", formats[i]});
        scry_model_destroy(&f.model);
        cr_assert_eq(scry_model_open(&f.model, f.device, path, NULL), SCRY_OK, "%s", scry_last_error());
        scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
        fixture_forward(session, f.ids, f.id_count, NULL);
        float *logits = fixture_logits(&f, session, 1, 0, f.id_count);
        fixture_expect_logits(&f, formats[i], logits, 0, f.id_count);
        free(logits);
        scry__session_destroy(&session);
        checkpoint_remove(path);
        fixture_close(&f);
    }
}

Test(session, weights__may_lie_at_any_address)
{
    check_addresses("cpu", "gpt2");
}

FIXTURES_ON_PLUGINS(session, weights, may_lie_at_any_address, false, check_addresses)

/* Angles depend on the length here: 12 positions turn by the long factors, 4 by the short ones. Whatever passes came
 * before, a pass over 12 is the same. */
Test(session, ropes__follow_the_length_of_the_pass)
{
    static const int passes[] = {4, 8, 12};
    struct fixture   f;
    char             path[CHECKPOINT_PATH];
    float           *logits[2];
    fixture_open(&f, "reference", "llama");
    checkpoint_make(path, &(checkpoint_edit){"llama", SET_CONFIG, "rope_parameters",
                                             "{\"rope_type\": \"longrope\", \"original_max_position_embeddings\": 8, "
                                             "\"short_factor\": [1,1,1,1,1], \"long_factor\": [2,3,4,5,6]}"});
    scry_model_destroy(&f.model);
    cr_assert_eq(scry_model_open(&f.model, f.device, path, NULL), SCRY_OK, "%s", scry_last_error());
    for (int warm = 0; warm < 2; warm++) {
        scry__session *session = fixture_session(&f, (scry__session_options){.capacity = 12, .keep_cache = true});
        if (warm) {
            fixture_forward(session, f.ids, passes[0], NULL);
            fixture_forward(session, f.ids + passes[0], passes[1], NULL);
            scry__session_rewind(session, 0);
        }
        fixture_forward(session, f.ids, passes[2], NULL);
        logits[warm] = fixture_logits(&f, session, 1, 0, passes[2]);
        scry__session_destroy(&session);
    }
    size_t count = 12 * (size_t)scry_model_get_info(f.model)->vocabulary;
    cr_expect_eq(largest_difference(logits[0], logits[1], count), 0.0);
    free(logits[0]);
    free(logits[1]);
    checkpoint_remove(path);
    fixture_close(&f);
}

/* --- misuse --- */

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

    session = fixture_session(&f, (scry__session_options){.capacity = 8, .rows = 4, .keep_cache = true});
    static const int32_t high[] = {5, 131}, low[] = {5, -1}, good[] = {1, 2, 3, 4, 5};
    cr_expect_eq(scry__session_forward(session, high, 2, NULL), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "token 1: id 131: expected 0 to 130"), "%s", scry_last_error());
    cr_expect_eq(scry__session_forward(session, low, 2, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__session_forward(session, good, 0, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__session_forward(session, good, 5, NULL), SCRY_BAD_ARGUMENT, "more rows than a pass takes");
    cr_expect_eq(scry__session_length(session), 0);
    fixture_forward(session, good, 4, NULL);
    fixture_forward(session, good, 3, NULL);
    cr_expect_eq(scry__session_forward(session, good, 2, NULL), SCRY_BAD_ARGUMENT, "past the capacity");
    cr_expect_eq(scry__session_length(session), 7);
    scry_tensor out = {0};
    cr_expect_eq(scry__session_logits(session, 0, 4, &out), SCRY_BAD_ARGUMENT, "more rows than the last pass had");
    cr_expect_eq(scry__session_logits(session, -1, 1, &out), SCRY_BAD_ARGUMENT);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(session, copied_cache__is_refused_where_it_cannot_be)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = 4, .keep_cache = true});
    scry__session *source  = fixture_session(&f, (scry__session_options){.capacity = 8, .keep_cache = true});
    scry__session *bare    = fixture_session(&f, (scry__session_options){.capacity = 8});
    fixture_forward(source, f.ids, 6, NULL);
    fixture_forward(bare, f.ids, 6, NULL);
    fixture_forward(session, f.ids, 3, NULL);
    const struct {
        scry__session *session, *source;
        int            sequence, length;
    } cases[] = {{session, session, 0, 2}, {session, bare, 0, 2},    {bare, source, 0, 2},    {session, source, 1, 2},
                 {session, source, -1, 2}, {session, source, 0, -1}, {session, source, 0, 5}, {source, session, 0, 4}};
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(scry__session_copy_cache(cases[i].session, cases[i].source, cases[i].sequence, cases[i].length),
                     SCRY_BAD_ARGUMENT, "case %zu", i);
    cr_expect_eq(scry__session_length(session), 3);
    cr_expect_eq(scry__session_copy_cache(session, source, 0, 0), SCRY_OK);
    cr_expect_eq(scry__session_length(session), 0);
    scry__session_destroy(&session);
    scry__session_destroy(&source);
    scry__session_destroy(&bare);
    fixture_close(&f);
}

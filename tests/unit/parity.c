/* Every fixture against what transformers computed: logits, all hidden states, all attentions, greedy continuations. */
#include "fixture.h"

#include "base/number.h"
#include "model/forward.h"
#include "model/hook.h"
#include "model/model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct comparison {
    const struct fixture *fixture;
    const char           *device;
    int                   last; /* index of the last layer */
    int                   compared;
};

static bool wants(void *user, scry__hook hook, int layer)
{
    const struct comparison *comparison = user;
    switch (hook) {
    case SCRY__HOOK_RESID_PRE:
    case SCRY__HOOK_PATTERN:
    case SCRY__HOOK_LN_FINAL_NORMALIZED:
    case SCRY__HOOK_LOGITS:
        return true;
    case SCRY__HOOK_RESID_POST:
        return layer == comparison->last;
    default:
        return false;
    }
}

/* Value i of a weight tensor; `none` where the norm has no such weight. */
static float weight_value(const scry_tensor *tensor, int64_t i, float none)
{
    uint8_t bytes[4];
    float   wide;
    if (!tensor->buffer) return none;
    size_t size = scry_dtype_size(tensor->dtype);
    cr_assert_eq(scry_buffer_read(tensor->buffer, tensor->offset + (size_t)i * size, bytes, size), SCRY_OK);
    uint16_t half = (uint16_t)(bytes[0] | bytes[1] << 8);
    memcpy(&wide, bytes, sizeof wide);
    return tensor->dtype == SCRY_F32   ? wide
           : tensor->dtype == SCRY_F16 ? scry__f16_to_f32(half)
                                       : scry__bf16_to_f32(half);
}

/* transformers' last hidden state is the final norm's output; its hook point stands before weight and bias. */
static void finish_norm(const struct fixture *fixture, float *rows, size_t count)
{
    const scry_norm_parameters *norm = &fixture->model->weights.final_norm;
    int64_t                     d    = scry_model_get_info(fixture->model)->hidden_size;
    for (int64_t i = 0; i < d; i++) {
        float weight = weight_value(&norm->weight, i, 1) + (norm->weight.buffer ? norm->weight_offset : 0);
        float bias   = weight_value(&norm->bias, i, 0);
        for (size_t at = (size_t)i; at < count; at += (size_t)d) rows[at] = rows[at] * weight + bias;
    }
}

static scry_status compare(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct comparison  *comparison = user;
    const scry__stored *expected;
    size_t              count = (size_t)scry_tensor_count(value);
    float              *found = malloc(count * sizeof *found);
    char                name[SCRY__HOOK_NAME_SIZE];
    scry__hook_full_name(hook, layer, name);
    if (hook == SCRY__HOOK_RESID_PRE)
        expected = fixture_find(comparison->fixture, "hidden.", layer);
    else if (hook == SCRY__HOOK_PATTERN)
        expected = fixture_find(comparison->fixture, "attentions.", layer);
    else if (hook == SCRY__HOOK_LN_FINAL_NORMALIZED)
        expected = fixture_find(comparison->fixture, "hidden.", comparison->last + 1);
    else
        expected = fixture_find(comparison->fixture, hook == SCRY__HOOK_LOGITS ? "logits" : "resid_final", 0);
    cr_assert_eq(count * sizeof *found, expected->bytes, "%s: %s: size", comparison->fixture->name, name);
    cr_assert(scry_tensor_is_contiguous(value), "%s: %s: strides", comparison->fixture->name, name);
    cr_assert_eq(scry_buffer_read(value->buffer, value->offset, found, count * sizeof *found), SCRY_OK);
    if (hook == SCRY__HOOK_LN_FINAL_NORMALIZED) finish_norm(comparison->fixture, found, count);
    double difference = largest_difference(found, (const float *)(const void *)expected->data, count);
    cr_expect(difference <= PROMISE, "%s on %s: %s differs by %g", comparison->fixture->name, comparison->device, name,
              difference);
    comparison->compared++;
    free(found);
    return SCRY_OK;
}

static void check_activations(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    int                   layers     = scry_model_get_info(f.model)->layer_count;
    struct comparison     comparison = {.fixture = &f, .device = device, .last = layers - 1};
    scry__hooks           hooks      = {.user = &comparison, .wants = wants, .at = compare};
    scry__session        *session    = NULL;
    scry__session_options options    = {.capacity = f.id_count};
    cr_assert_eq(scry__session_create(&session, f.model, &options), SCRY_OK, "%s: %s", name, scry_last_error());
    cr_assert_eq(scry__session_forward(session, f.ids, f.id_count, &hooks), SCRY_OK, "%s: %s", name, scry_last_error());
    cr_expect_eq(comparison.compared, 2 * layers + 3, "%s: %d tensors compared", name, comparison.compared);
    scry__session_destroy(&session);
    fixture_close(&f);
}

static void check_generation(const char *device, const char *name)
{
    struct fixture   f;
    scry_generation *generation = NULL;
    fixture_open(&f, device, name);
    const scry__stored     *expected = fixture_find(&f, "generated", 0);
    const int32_t          *ids      = (const int32_t *)(const void *)expected->data;
    int                     count    = (int)expected->shape[0];
    scry_generation_options options  = {.ids = f.ids, .id_count = f.id_count, .max_tokens = count, .ignore_end = true};
    cr_assert_eq(scry_generate(&generation, f.model, NULL, &options), SCRY_OK, "%s: %s", name, scry_last_error());
    cr_expect_eq(generation->step_count, count, "%s: %d steps", name, generation->step_count);
    for (int i = 0; i < generation->step_count; i++)
        cr_expect_eq(generation->steps[i].chosen.id, ids[i], "%s on %s: step %d: token %d, expected %d", name, device,
                     i, generation->steps[i].chosen.id, ids[i]);
    scry_generation_destroy(&generation);
    fixture_close(&f);
}

Test(parity, activations__match_transformers)
{
    fixture_for_all(check_activations);
}

Test(parity, generation__matches_transformers)
{
    fixture_for_all(check_generation);
}

FIXTURES_ON_PLUGINS(parity, activations, match_transformers, false, check_activations)
FIXTURES_ON_PLUGINS(parity, generation, matches_transformers, false, check_generation)
FIXTURES_ON_PLUGINS(parity, activations_with_kernels_for_gpus, match_transformers, true, check_activations)
FIXTURES_ON_PLUGINS(parity, generation_with_kernels_for_gpus, matches_transformers, true, check_generation)

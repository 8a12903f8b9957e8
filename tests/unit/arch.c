/* Switches of scry__arch that no present family throws, each held to an identity: two descriptions of the same
 * computation must give the same residual stream, bit for bit. */
#include "fixture.h"
#include "model/forward.h"
#include "model/model.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define NO_NORM ((scry_norm_parameters){.kind = SCRY_NORM_NONE})

static void drop_norms_before(scry_model *model)
{
    for (int64_t i = 0; i < model->arch.layer_count; i++)
        model->weights.layers[i].norm1 = model->weights.layers[i].norm2 = NO_NORM;
}

static void no_norm_before(scry_model *model)
{
    model->arch.norm_before = false;
}

static void empty_norm_after(scry_model *model)
{
    model->arch.norm_after = true;
    for (int64_t i = 0; i < model->arch.layer_count; i++)
        model->weights.layers[i].norm1_after = model->weights.layers[i].norm2_after = NO_NORM;
}

static void same_norm_twice(scry_model *model)
{
    for (int64_t i = 0; i < model->arch.layer_count; i++)
        model->weights.layers[i].norm2 = model->weights.layers[i].norm1;
}

static void share_norm(scry_model *model)
{
    model->arch.shared_norm = true;
}

static void scale_embedding(scry_model *model)
{
    model->arch.embedding_scale = 1.0;
}

static void second_rope(scry_model *model)
{
    scry__arch *arch = &model->arch;
    arch->rope_count = 2;
    arch->ropes[1]   = arch->ropes[0];
    for (int64_t i = 1; i < arch->layer_count; i += 2) arch->layers[i].rope = 1;
}

static void other_rope_unused(scry_model *model)
{
    second_rope(model);
    model->arch.ropes[0].theta = 7.0;
    for (int64_t i = 0; i < model->arch.layer_count; i++) model->arch.layers[i].rope = 1;
}

static void wide_window(scry_model *model)
{
    for (int64_t i = 0; i < model->arch.layer_count; i++) model->arch.layers[i].window = 1000;
}

static void nothing(scry_model *model)
{
    (void)model;
}

static const struct {
    const char *name, *fixture;
    void (*one)(scry_model *model);
    void (*other)(scry_model *model);
} identities[] = {
    {"no norm before is an empty one", "llama", drop_norms_before, no_norm_before},
    {"an empty norm after is none", "gpt2", nothing, empty_norm_after},
    {"an empty norm after is none, parallel", "gpt_neox", nothing, empty_norm_after},
    {"a shared norm is the same norm twice", "gpt_neox", same_norm_twice, share_norm},
    {"an embedding scale of 1 is none", "llama", nothing, scale_embedding},
    {"a second rope like the first", "llama", nothing, second_rope},
    {"a first rope that no layer uses", "llama", nothing, other_rope_unused},
    {"a window wider than the text", "mistral_full", nothing, wide_window},
};

static bool wants_branches(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return hook == SCRY__HOOK_ATTN_OUT || hook == SCRY__HOOK_MLP_OUT;
}

static scry_status look(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    (void)user, (void)hook, (void)layer, (void)value;
    return SCRY_OK;
}

/* Branches go through a buffer of their own in every run, so that sums round alike. */
static const scry__hooks hooks = {.wants = wants_branches, .at = look};

/* The final residual stream of the fixture's prompt, to be freed. */
static float *run(const char *name, void (*change)(scry_model *model), size_t *count)
{
    struct fixture f;
    fixture_open(&f, "reference", name);
    change(f.model);
    scry__session        *session = NULL;
    scry__session_options options = {.capacity = f.id_count};
    cr_assert_eq(scry__session_create(&session, f.model, &options), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__session_forward(session, f.ids, f.id_count, &hooks), SCRY_OK, "%s", scry_last_error());
    scry_tensor resid = scry__session_residual(session);
    *count            = (size_t)scry_tensor_count(&resid);
    float *values     = malloc(*count * sizeof *values);
    cr_assert_eq(scry_buffer_read(resid.buffer, resid.offset, values, *count * sizeof *values), SCRY_OK);
    scry__session_destroy(&session);
    fixture_close(&f);
    return values;
}

Test(arch, switches__keep_their_identities)
{
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
        size_t count, same;
        float *one        = run(identities[i].fixture, identities[i].one, &count);
        float *other      = run(identities[i].fixture, identities[i].other, &same);
        double difference = largest_difference(one, other, count);
        cr_expect(count == same && difference == 0.0, "%s: differs by %g", identities[i].name, difference);
        free(one);
        free(other);
    }
}

/* The backward pass against central differences: every parameter and every hook point of every fixture family, and the
 * switches of scry__arch that no family throws. What PyTorch makes of the same weights is in learner.c. */
#include "lesson.h"

#include "base/noise.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A direction of `count` numbers of length 1: half of it along the gradient, so that there is much to see, half random
 * signs, so that no entry is left out. */
static float *direction(const float *gradient, size_t count, uint64_t stream)
{
    float *v      = malloc(count * sizeof *v);
    double length = 0, norm = 0;
    for (size_t i = 0; i < count; i++) norm += (double)gradient[i] * gradient[i];
    for (size_t i = 0; i < count; i++) {
        double sign = scry__noise_bits(stream, i) & 1 ? 1 : -1;
        v[i]        = (float)((norm > 0 ? gradient[i] / sqrt(norm) : 0) + sign / sqrt((double)count));
        length += (double)v[i] * v[i];
    }
    for (size_t i = 0; i < count; i++) v[i] = (float)(v[i] / sqrt(length));
    return v;
}

static double length_of(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static double along(const float *gradient, const float *v, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)gradient[i] * v[i];
    return sum;
}

/* Steps are a share of the length of what is stepped from: small enough for what Richardson leaves out to be small
 * beside the slope even where attention is sharp. */
#define SHARE 0.001

/* The derivative at 0 from steps of h and h / 2 (Richardson): what is left out is of order h^4. */
static double slope(double (*at)(void *user, double step), void *user, double h)
{
    double wide   = (at(user, h) - at(user, -h)) / (2 * h);
    double narrow = (at(user, h / 2) - at(user, -h / 2)) / h;
    return (4 * narrow - wide) / 3;
}

/* The reference computes each op in f64 and stores f32, so that a loss of about 6 moves by some units of 4.8e-7 for no
 * reason: divided by the step, that is what differences cannot show. The relative part is for what Richardson leaves
 * out; the largest that is seen is a quarter of it. */
static void expect_slope(const struct lesson *l, const char *what, int layer, double found, double expected, double h)
{
    cr_expect(fabs(found - expected) <= 2e-6 / h + 1e-3 * fabs(expected),
              "%s: %s of layer %d: slope %g, by differences %g", l->f.name, what, layer, found, expected);
}

static void open_bent(struct lesson *l, const char *name, void (*bend)(scry_model *model))
{
    lesson_open(l, "reference", name, bend, NULL);
    if (!l->f.model->arch.norm_after) return;
    for (int64_t i = 0; i < l->f.model->arch.layer_count; i++) { /* the same weights before and behind, see below */
        l->gradients.layers[i].norm1_after = l->gradients.layers[i].norm1;
        l->gradients.layers[i].norm2_after = l->gradients.layers[i].norm2;
    }
}

/* --- parameters --- */

struct walk {
    struct lesson *lesson;
    scry_tensor    place; /* contiguous */
    const float   *from, *v;
    float         *to;
    size_t         count;
};

static double loss_at(void *user, double step)
{
    struct walk *walk = user;
    for (size_t i = 0; i < walk->count; i++) walk->to[i] = (float)(walk->from[i] + step * walk->v[i]);
    cr_assert_eq(scry_buffer_write(walk->place.buffer, walk->place.offset, walk->to, walk->count * sizeof(float)),
                 SCRY_OK);
    return lesson_mean(walk->lesson, NULL);
}

/* As stored: the same place, in the buffer's own order. */
static scry_tensor stored_view(const scry__weight *weight)
{
    return scry_tensor_of(weight->tensor->buffer, weight->tensor->offset, SCRY_F32, weight->stored->rank,
                          weight->stored->shape);
}

static void expect_parameter(struct lesson *l, int index)
{
    const scry__weight *weight = &l->f.model->weights.used[index];
    scry_tensor         place = stored_view(weight), d_place = stored_view(&l->gradients.used[index]);
    size_t              count    = (size_t)scry_tensor_count(&place);
    float              *from     = lesson_read(l, &place);
    float              *gradient = lesson_read(l, &d_place);
    float              *v        = direction(gradient, count, scry__noise_stream(1, weight->stored->name));
    struct walk         walk     = {l, place, from, v, malloc(count * sizeof(float)), count};
    double              h        = SHARE * length_of(from, count);
    expect_slope(l, weight->stored->name, (int)weight->layer, along(gradient, v, count), slope(loss_at, &walk, h), h);
    loss_at(&walk, 0);
    free(walk.to);
    free(v);
    free(gradient);
    free(from);
}

static void check_parameters(const char *name, void (*bend)(scry_model *model))
{
    struct lesson l;
    open_bent(&l, name, bend);
    lesson_backward(&l, (scry__gradients){0});
    for (int i = 0; i < l.f.model->weights.used_count; i++) expect_parameter(&l, i);
    lesson_close(&l);
}

/* --- hook points --- */

static const scry__hook points[] = {
    SCRY__HOOK_RESID_PRE,      SCRY__HOOK_Q,        SCRY__HOOK_K,        SCRY__HOOK_V,          SCRY__HOOK_ROT_Q,
    SCRY__HOOK_ROT_K,          SCRY__HOOK_Z,        SCRY__HOOK_ATTN_OUT, SCRY__HOOK_RESID_MID,  SCRY__HOOK_MLP_PRE,
    SCRY__HOOK_MLP_PRE_LINEAR, SCRY__HOOK_MLP_POST, SCRY__HOOK_MLP_OUT,  SCRY__HOOK_RESID_POST,
};
enum { POINTS = sizeof points / sizeof *points, MOST_LAYERS = 8 };

/* The gradients at a model's hook points, or a step from the value at one of them. */
struct points {
    struct lesson *lesson;
    float         *gradients[SCRY__HOOK_COUNT][MOST_LAYERS];
    size_t         counts[SCRY__HOOK_COUNT];
    scry__hook     hook; /* of the step */
    int            layer;
    const float   *v;
    double         step, length; /* the value's length is noted */
    double (*measure)(struct lesson *lesson, const scry__hooks *hooks);
};

static scry_status keep_gradient(void *user, scry__hook hook, int layer, const scry_tensor *gradient)
{
    struct points *self = user;
    cr_assert_null(self->gradients[hook][layer], "%s of layer %d is offered twice", scry__hook_name(hook), layer);
    self->counts[hook]           = (size_t)scry_tensor_count(gradient);
    self->gradients[hook][layer] = lesson_read(self->lesson, gradient);
    return SCRY_OK;
}

static bool is_stepped(void *user, scry__hook hook, int layer)
{
    const struct points *self = user;
    return hook == self->hook && layer == self->layer;
}

static scry_status take_step(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct points *self   = user;
    size_t         count  = self->counts[hook];
    float         *change = malloc(count * sizeof *change), *before = lesson_read(self->lesson, value);
    scry_buffer   *buffer = NULL;
    (void)layer;
    self->length = length_of(before, count);
    for (size_t i = 0; i < count; i++) change[i] = (float)(self->step * self->v[i]);
    cr_assert_eq(scry_buffer_create(&buffer, self->lesson->f.device, count * sizeof *change), SCRY_OK);
    cr_assert_eq(scry_buffer_write(buffer, 0, change, count * sizeof *change), SCRY_OK);
    scry_tensor b      = scry_tensor_of(buffer, 0, SCRY_F32, value->rank, value->shape);
    scry_status status = scry_device_run(self->lesson->f.device,
                                         &(scry_op){.kind = SCRY_OP_ADD, .add = {.a = *value, .b = b, .out = *value}});
    scry_buffer_destroy(&buffer);
    free(before);
    free(change);
    return status;
}

static double loss_stepped(void *user, double step)
{
    struct points *self  = user;
    scry__hooks    hooks = {.user = self, .wants = is_stepped, .at = take_step};
    self->step           = step;
    return self->measure(self->lesson, &hooks);
}

/* Holds the gradient that was kept of a hook point to differences, and forgets it. */
static void expect_point(struct points *self, scry__hook hook, int layer)
{
    size_t count    = self->counts[hook];
    float *gradient = self->gradients[hook][layer], *v = direction(gradient, count, (uint64_t)hook);
    self->hook  = hook;
    self->layer = layer;
    self->v     = v;
    loss_stepped(self, 0);
    double h = SHARE * self->length;
    expect_slope(self->lesson, scry__hook_name(hook), layer, along(gradient, v, count), slope(loss_stepped, self, h),
                 h);
    free(v);
    free(gradient);
    self->gradients[hook][layer] = NULL;
}

static void check_points(const char *name, void (*bend)(scry_model *model))
{
    struct lesson l;
    struct points self = {.lesson = &l, .measure = lesson_mean};
    open_bent(&l, name, bend);
    lesson_backward(&l, (scry__gradients){.user = &self, .at = keep_gradient});
    for (int i = 0; i < POINTS; i++)
        for (int layer = 0; layer < l.f.model->arch.layer_count; layer++) {
            bool has = scry__model_has_hook(l.f.model, points[i]);
            cr_expect_eq(self.gradients[points[i]][layer] != NULL, has, "%s: %s", name, scry__hook_name(points[i]));
            if (has) expect_point(&self, points[i], layer);
        }
    lesson_close(&l);
}

/* --- which models --- */

Test(backward, parameters__have_the_gradients_that_differences_show, .timeout = 300)
{
    static char names[FIXTURE_MAX][64];
    int         count = fixture_names(names);
    for (int i = 0; i < count; i++) check_parameters(names[i], NULL);
}

/* The KL to what other rows predict. Not the unembedding's: differences would move the teacher's logits as well. */
Test(backward, parameters__have_those_of_a_teacher_too)
{
    struct lesson l;
    scry_buffer  *buffer = NULL;
    lesson_open(&l, "reference", "llama", NULL, NULL);
    int64_t shape[] = {LESSON_COUNT, l.f.model->arch.hidden_size};
    size_t  count   = (size_t)(shape[0] * shape[1]);
    float  *rows    = malloc(count * sizeof *rows);
    for (size_t i = 0; i < count; i++) rows[i] = (float)scry__noise_normal(1, i);
    cr_assert_eq(scry_buffer_create(&buffer, l.f.device, count * sizeof *rows), SCRY_OK);
    cr_assert_eq(scry_buffer_write(buffer, 0, rows, count * sizeof *rows), SCRY_OK);
    l.teacher = scry_tensor_of(buffer, 0, SCRY_F32, 2, shape);
    lesson_backward(&l, (scry__gradients){0});
    cr_expect_gt(lesson_mean(&l, NULL), 0.5);
    const scry__weights *weights = &l.f.model->weights;
    for (int i = 0; i < weights->used_count; i++)
        if (weights->used[i].tensor != &weights->unembedding) expect_parameter(&l, i);
    free(rows);
    scry_buffer_destroy(&buffer);
    lesson_close(&l);
}

Test(backward, hook_points__have_the_gradients_that_differences_show, .timeout = 300)
{
    static char names[FIXTURE_MAX][64];
    int         count = fixture_names(names);
    for (int i = 0; i < count; i++) check_points(names[i], NULL);
}

static void soft_cap(scry_model *model)
{
    model->arch.score_softcap = 1.5;
}

static void scale_embedding(scry_model *model)
{
    model->arch.embedding_scale = 1.7;
}

static void scale_logits(scry_model *model)
{
    model->arch.logit_scale = 0.6;
}

static void norm_after(scry_model *model)
{
    model->arch.norm_after = true;
    for (int64_t i = 0; i < model->arch.layer_count; i++) {
        model->weights.layers[i].norm1_after = model->weights.layers[i].norm1;
        model->weights.layers[i].norm2_after = model->weights.layers[i].norm2;
    }
}

static void norm_only_after(scry_model *model)
{
    norm_after(model);
    model->arch.norm_before = false;
}

static void share_norm(scry_model *model)
{
    model->arch.shared_norm = true;
}

static void offset_norms(scry_model *model)
{
    for (int64_t i = 0; i < model->arch.layer_count; i++) model->weights.layers[i].norm1.weight_offset = 0.5f;
}

static void second_rope(scry_model *model)
{
    scry__arch *arch     = &model->arch;
    arch->rope_count     = 2;
    arch->ropes[1]       = arch->ropes[0];
    arch->layers[1].rope = 1;
    arch->ropes[1].theta = 7.0;
}

/* Switches that no family throws. */
static const struct {
    const char *fixture;
    void (*bend)(scry_model *model);
} bent[] = {
    {"llama", soft_cap},      {"gpt2", scale_embedding}, {"qwen3", scale_logits},
    {"llama", norm_after},    {"gpt_neox", norm_after},  {"gpt2", norm_only_after},
    {"gpt_neox", share_norm}, {"qwen3", offset_norms},   {"llama", second_rope},
};

Test(backward, switches__have_the_gradients_that_differences_show, .timeout = 300)
{
    for (size_t i = 0; i < sizeof bent / sizeof *bent; i++) {
        check_parameters(bent[i].fixture, bent[i].bend);
        check_points(bent[i].fixture, bent[i].bend);
    }
}

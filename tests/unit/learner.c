/* Trainable models and learners: against PyTorch's autograd and optimisers (training.safetensors, by
 * tools/fixtures/make_training.py), what stays as it is, bits, misuse. */
#include "train/learner.h"
#include "device_ops.h"
#include "fixture.h"
#include "lesson.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MUST(call)   cr_assert_eq(call, SCRY_OK, "%s", scry_last_error())

/* A fixture's model, trainable, and what PyTorch made of it. */
struct course {
    struct fixture     f;
    scry__safetensors *expected;
    scry__learner     *learner;
    const int32_t     *ids, *targets; /* [batch, rows] */
    int                batch, rows;
};

static const void *expected_values(const struct course *c, const char *name, const char *of, size_t *count)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", name, of);
    const scry__stored *stored = scry__safetensors_find(c->expected, full);
    cr_assert(stored, "%s: training.safetensors has no %s", c->f.name, full);
    if (count) *count = stored->bytes / sizeof(float);
    return stored->data;
}

static void course_open(struct course *c, const char *device, const char *name, scry__learner_options options)
{
    char path[600];
    *c = (struct course){0};
    fixture_open(&c->f, device, name);
    scry_model_destroy(&c->f.model);
    MUST(scry_model_open(&c->f.model, c->f.device, c->f.path,
                         &(scry_model_options){.round_rope = true, .trainable = true}));
    snprintf(path, sizeof path, "%s/training.safetensors", c->f.path);
    MUST(scry__safetensors_open(&c->expected, path));
    const scry__stored *ids = scry__safetensors_find(c->expected, "ids");
    c->batch = options.batch = (int)ids->shape[0];
    c->rows = options.rows = (int)ids->shape[1];
    c->ids                 = expected_values(c, "ids", "", NULL);
    c->targets             = expected_values(c, "targets", "", NULL);
    MUST(scry__learner_create(&c->learner, c->f.model, &options));
}

static void course_close(struct course *c)
{
    scry__learner_destroy(&c->learner);
    scry__safetensors_close(&c->expected);
    fixture_close(&c->f);
}

static float *read_all(const scry_tensor *x)
{
    size_t bytes  = (size_t)scry_tensor_count(x) * sizeof(float);
    float *values = malloc(bytes);
    MUST(scry_buffer_read(x->buffer, x->offset, values, bytes));
    return values;
}

/* Largest difference between what PyTorch has at its sampled places and a tensor. */
static double sampled_difference(const struct course *c, const char *what, const char *name, const scry_tensor *found)
{
    size_t       samples, count = (size_t)scry_tensor_count(found);
    const float *expected = expected_values(c, what, name, &samples);
    float       *values   = read_all(found);
    double       largest  = 0;
    for (size_t i = 0; i < samples; i++)
        largest = fmax(largest, fabs((double)values[i * count / samples] - (double)expected[i]));
    free(values);
    return largest;
}

static double norm_of(const scry_tensor *x)
{
    size_t count  = (size_t)scry_tensor_count(x);
    float *values = read_all(x);
    double sum    = 0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i] * values[i];
    free(values);
    return sqrt(sum);
}

/* Against PyTorch in double precision: f32 leaves a millionth in losses of 6 and in gradients whose norm is 5. */
#define CLOSE 1e-5

static const char *const families[] = {"gpt2", "gpt_neox", "llama", "qwen3"};

/* --- against PyTorch --- */

static void check_gradients(const char *device, const char *name)
{
    struct course c;
    float         loss, by_row[64], again;
    size_t        rows;
    double        all = 0;
    course_open(&c, device, name, (scry__learner_options){0});
    MUST(scry__learner_loss(c.learner, c.ids, c.targets, &loss, by_row));
    const float *expected = expected_values(&c, "loss", "", &rows);
    double       worst = largest_difference(by_row, expected, rows), relative = 0;
    MUST(scry__learner_step(c.learner, c.ids, c.targets, 0.0, &again));
    cr_expect_eq(loss, again, "%s on %s: a loss of %g, and %g", name, device, loss, again);
    for (int i = 0; i < scry__learner_parameter_count(c.learner); i++) {
        const scry__parameter *p = scry__learner_parameter(c.learner, i);
        cr_expect_eq(scry__learner_find(c.learner, p->name), p);
        double norm          = norm_of(&p->gradient),
               expected_norm = *(const float *)expected_values(&c, "norm.", p->name, NULL);
        double difference    = sampled_difference(&c, "gradient.", p->name, &p->gradient);
        all += norm * norm;
        relative = fmax(relative, fmax(difference, fabs(norm - expected_norm)));
    }
    cr_expect(worst <= CLOSE, "%s on %s: losses differ by %g", name, device, worst);
    cr_expect(relative <= CLOSE, "%s on %s: gradients differ by %g", name, device, relative);
    course_close(&c);
}

Test(learner, gradients__are_those_of_pytorch)
{
    for (size_t i = 0; i < COUNT(families); i++) check_gradients("reference", families[i]);
}

static const struct {
    const char           *name;
    double                rate;
    scry__learner_options options;
} optimisers[] = {
    {"adamw", 0.01, {.beta2 = 0.95, .epsilon = 1e-3, .decay = 0.1, .clip = 1.0}},
    {"sgd", 0.05, {.optimiser = SCRY__OPTIMISER_SGD, .momentum = 0.9, .nesterov = true, .decay = 0.01, .clip = 1.0}},
};

static void check_steps(const char *device, const char *name)
{
    for (size_t i = 0; i < COUNT(optimisers); i++) {
        struct course c;
        size_t        count;
        float         loss;
        char          what[32];
        double        parameters = 0, losses = 0;
        course_open(&c, device, name, optimisers[i].options);
        const float *expected = expected_values(&c, optimisers[i].name, ".losses", &count);
        for (size_t step = 0; step < count; step++) {
            if (step + 1 < count)
                MUST(scry__learner_step(c.learner, c.ids, c.targets, optimisers[i].rate, &loss));
            else
                MUST(scry__learner_loss(c.learner, c.ids, c.targets, &loss, NULL));
            losses = fmax(losses, fabs((double)loss - (double)expected[step]));
        }
        snprintf(what, sizeof what, "%s.", optimisers[i].name);
        for (int p = 0; p < scry__learner_parameter_count(c.learner); p++) {
            const scry__parameter *parameter = scry__learner_parameter(c.learner, p);
            parameters = fmax(parameters, sampled_difference(&c, what, parameter->name, &parameter->value));
        }
        cr_expect(losses <= CLOSE, "%s on %s, %s: losses differ by %g", name, device, optimisers[i].name, losses);
        cr_expect(parameters <= CLOSE, "%s on %s, %s: parameters differ by %g", name, device, optimisers[i].name,
                  parameters);
        course_close(&c);
    }
}

Test(learner, steps__are_those_of_pytorch)
{
    for (size_t i = 0; i < COUNT(families); i++) check_steps("reference", families[i]);
}

/* Learners: against PyTorch's autograd and optimisers (training.safetensors, by tools/fixtures/make_training.py), what
 * stays as it is, bits, misuse. */
#include "train/learner.h"
#include "fixture.h"
#include "model/model.h"
#include "refusals.h"

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
        relative             = fmax(relative, fmax(difference, fabs(norm - expected_norm)));
    }
    cr_expect(worst <= CLOSE, "%s on %s: losses differ by %g", name, device, worst);
    cr_expect(relative <= CLOSE, "%s on %s: gradients differ by %g", name, device, relative);
    course_close(&c);
}

Test(learner, gradients__are_those_of_pytorch)
{
    for (size_t i = 0; i < COUNT(families); i++) {
        check_gradients("reference", families[i]);
        check_gradients("cpu", families[i]);
    }
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
    for (size_t i = 0; i < COUNT(families); i++) {
        check_steps("reference", families[i]);
        check_steps("cpu", families[i]);
    }
}

/* --- what a learner keeps to --- */

/* Every value of the model, to be freed. */
static float *all_values(const struct course *c, size_t *bytes)
{
    scry_buffer *buffer = c->f.model->weights.buffers[0];
    *bytes              = scry_buffer_size(buffer);
    float *values       = malloc(*bytes);
    MUST(scry_buffer_read(buffer, 0, values, *bytes));
    return values;
}

static void take_steps(struct course *c, int count)
{
    for (int i = 0; i < count; i++) MUST(scry__learner_step(c->learner, c->ids, c->targets, 0.01, NULL));
}

static void check_same_bits(const char *device, const char *name)
{
    struct course c;
    float        *values[2];
    size_t        bytes;
    for (int i = 0; i < 2; i++) {
        course_open(&c, device, name, (scry__learner_options){.decay = 0.1, .clip = 1.0});
        take_steps(&c, 3);
        values[i] = all_values(&c, &bytes);
        course_close(&c);
    }
    cr_expect_eq(memcmp(values[0], values[1], bytes), 0, "%s on %s", name, device);
    free(values[0]);
    free(values[1]);
}

Test(learner, steps__give_the_same_bits_again)
{
    check_same_bits("reference", "gpt2");
    check_same_bits("cpu", "gpt2");
    check_same_bits("cpu", "qwen3");
}

/* A run may go on with another number of threads. */
Test(learner, steps__do_not_depend_on_cpu_threads)
{
    enum { BATCH = 6, ROWS = 32, COUNT_ALL = BATCH * ROWS };
    static const scry__learner_options steps = {.batch = BATCH, .rows = ROWS, .decay = 0.1, .clip = 1.0};
    static const scry_model_options    open  = {.random_init = true, .random_seed = 3, .trainable = true};
    int32_t                            ids[COUNT_ALL], targets[COUNT_ALL];
    float                             *values[3];
    for (int i = 0; i < COUNT_ALL; i++) {
        ids[i]     = i * i % 113;
        targets[i] = (i + 1) * (i + 1) % 113;
    }
    for (int threads = 1; threads <= 3; threads++) {
        struct course       c      = {0};
        scry_device_options device = {.name = "cpu", .threads = threads};
        size_t              bytes;
        MUST(scry_device_open(&c.f.device, &device));
        MUST(scry_model_open(&c.f.model, c.f.device, FIXTURES "/gpt2", &open));
        MUST(scry__learner_create(&c.learner, c.f.model, &steps));
        for (int i = 0; i < 3; i++) MUST(scry__learner_step(c.learner, ids, targets, 0.01, NULL));
        values[threads - 1] = all_values(&c, &bytes);
        cr_expect_eq(memcmp(values[threads - 1], values[0], bytes), 0, "%d threads", threads);
        course_close(&c);
    }
    for (int i = 0; i < 3; i++) free(values[i]);
}

static void copy_values(const scry_tensor *from, const scry_tensor *to)
{
    cr_assert_eq(from->buffer != NULL, to->buffer != NULL);
    if (!from->buffer) return;
    float *values = read_all(from);
    MUST(scry_buffer_write(to->buffer, to->offset, values, (size_t)scry_tensor_count(from) * sizeof(float)));
    free(values);
}

/* What a checkpoint holds is all that counts: a learner that is given it goes on as the one that it is from. */
Test(learner, steps__go_on_from_values_and_moments)
{
    for (size_t i = 0; i < COUNT(optimisers); i++) {
        struct course c, other;
        size_t        bytes;
        course_open(&c, "reference", "qwen3", optimisers[i].options);
        course_open(&other, "reference", "qwen3", optimisers[i].options);
        take_steps(&c, 2);
        for (int p = 0; p < scry__learner_parameter_count(c.learner); p++) {
            const scry__parameter *from = scry__learner_parameter(c.learner, p);
            const scry__parameter *to   = scry__learner_find(other.learner, from->name);
            copy_values(&from->value, &to->value);
            copy_values(&from->first, &to->first);
            copy_values(&from->second, &to->second);
        }
        scry__learner_set_steps(other.learner, scry__learner_steps(c.learner));
        take_steps(&c, 2);
        take_steps(&other, 2);
        float *values = all_values(&c, &bytes), *others = all_values(&other, &bytes);
        cr_expect_eq(memcmp(values, others, bytes), 0, "%s", optimisers[i].name);
        free(values);
        free(others);
        course_close(&other);
        course_close(&c);
    }
}

/* Embeddings that are tied have two sources of gradients, and no gradient at all where they are frozen. */
Test(learner, frozen__parameters_stay_and_the_rest_moves)
{
    static const char *const patterns[] = {"*wte*", "*.1.*", "*ln_f.bias", NULL};
    struct course            c;
    course_open(&c, "reference", "gpt2", (scry__learner_options){.frozen = patterns, .decay = 0.1});
    int    count = scry__learner_parameter_count(c.learner), frozen = 0;
    double squares = 0, norm = 0;
    float *before[64];
    for (int p = 0; p < count; p++) before[p] = read_all(&scry__learner_parameter(c.learner, p)->value);
    take_steps(&c, 2);
    for (int p = 0; p < count; p++) {
        const scry__parameter *parameter = scry__learner_parameter(c.learner, p);
        const char            *name      = parameter->name;
        bool                   stays     = strstr(name, "wte") || strstr(name, ".1.") || strstr(name, "ln_f.bias");
        float                 *after     = read_all(&parameter->value);
        cr_expect_eq(parameter->gradient.buffer == NULL, stays, "%s", name);
        cr_expect_eq(memcmp(before[p], after, (size_t)scry_tensor_count(&parameter->value) * sizeof(float)) == 0, stays,
                     "%s", name);
        frozen += stays;
        if (!stays) squares += pow(norm_of(&parameter->gradient), 2);
        free(after);
        free(before[p]);
    }
    norm = sqrt(squares);
    cr_expect_eq(frozen, 14);
    cr_expect_float_eq(scry__learner_gradient_norm(c.learner), norm, 1e-5 * norm, "what is frozen has no gradient");
    course_close(&c);
}

/* Matrices of blocks and an unembedding of its own, and nothing else. */
Test(learner, decay__is_for_matrices)
{
    for (size_t i = 0; i < COUNT(families); i++) {
        struct course c;
        course_open(&c, "reference", families[i], (scry__learner_options){0});
        for (int p = 0; p < scry__learner_parameter_count(c.learner); p++) {
            const scry__parameter *parameter = scry__learner_parameter(c.learner, p);
            const char            *name      = parameter->name;
            bool                   embedding =
                strstr(name, "wte") || strstr(name, "wpe") || strstr(name, "embed_in") || strstr(name, "embed_tokens");
            cr_expect_eq(parameter->decays, parameter->value.rank == 2 && !embedding, "%s", name);
        }
        course_close(&c);
    }
}

/* From a bare config.json on: the architecture before training learns a batch by heart. */
Test(learner, random_model__learns_a_batch)
{
    struct fixture     f;
    scry__learner     *learner = NULL;
    scry_model_options open    = {.random_init = true, .random_seed = 5, .trainable = true};
    int32_t            ids[16], targets[16];
    float              first, last = 0;
    fixture_open(&f, "reference", "llama");
    scry_model_destroy(&f.model);
    MUST(scry_model_open(&f.model, f.device, f.path, &open));
    for (int i = 0; i < 16; i++) {
        ids[i]     = f.ids[i];
        targets[i] = f.ids[i + 1];
    }
    MUST(scry__learner_create(&learner, f.model, &(scry__learner_options){.batch = 2, .rows = 8}));
    MUST(scry__learner_loss(learner, ids, targets, &first, NULL));
    for (int i = 0; i < 30; i++) MUST(scry__learner_step(learner, ids, targets, 0.02, &last));
    cr_expect(fabs(first - log(131)) < 0.1, "a loss of %g before training", first);
    cr_expect(last < 0.5, "a loss of %g after it", last);
    scry__learner_destroy(&learner);
    fixture_close(&f);
}

/* --- several documents in a row --- */

enum { DOCUMENT = 8 };

/* Losses of two documents, [2 * DOCUMENT], and the weights after a step: side by side in one row, or each in its own.
 * Rotary positions count from anywhere, so that both are the same. */
static float *learn_two(float losses[2 * DOCUMENT], size_t *count, const char *device, const char *name, bool packed)
{
    struct fixture        f;
    scry__learner        *learner = NULL;
    scry__learner_options options = {
        .batch = packed ? 1 : 2, .rows = packed ? 2 * DOCUMENT : DOCUMENT, .optimiser = SCRY__OPTIMISER_SGD};
    int32_t targets[2 * DOCUMENT], begins[2 * DOCUMENT];
    fixture_open(&f, device, name);
    scry_model_destroy(&f.model);
    MUST(scry_model_open(&f.model, f.device, f.path, &(scry_model_options){.trainable = true}));
    for (int i = 0; i < 2 * DOCUMENT; i++) {
        begins[i]  = i / DOCUMENT * DOCUMENT;
        targets[i] = i % DOCUMENT == DOCUMENT - 1 ? -1 : f.ids[i + 1];
    }
    MUST(scry__learner_create(&learner, f.model, &options));
    if (packed) MUST(scry__learner_set_begins(learner, begins));
    MUST(scry__learner_loss(learner, f.ids, targets, NULL, losses));
    MUST(scry__learner_step(learner, f.ids, targets, 0.5, NULL));
    *count        = 0;
    float *values = NULL;
    for (int i = 0; i < scry__learner_parameter_count(learner); i++) {
        const scry__parameter *p    = scry__learner_parameter(learner, i);
        size_t                 size = (size_t)scry_tensor_count(&p->value);
        float                 *read = read_all(&p->value);
        values                      = realloc(values, (*count + size) * sizeof *values);
        memcpy(values + *count, read, size * sizeof *read);
        *count += size;
        free(read);
    }
    scry__learner_destroy(&learner);
    fixture_close(&f);
    return values;
}

Test(learner, documents_in_a_row__learn_as_in_rows_of_their_own)
{
    static const char *const names[]   = {"llama", "qwen3", "gpt_neox"};
    static const char *const devices[] = {"reference", "cpu"};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t j = 0; j < COUNT(devices); j++) {
            float  apart[2 * DOCUMENT], packed[2 * DOCUMENT];
            size_t count;
            float *expected = learn_two(apart, &count, devices[j], names[i], false);
            float *found    = learn_two(packed, &count, devices[j], names[i], true);
            double losses   = largest_difference(packed, apart, 2 * DOCUMENT);
            double weights  = largest_difference(found, expected, count);
            cr_expect(losses <= CLOSE, "%s on %s: losses differ by %g", names[i], devices[j], losses);
            cr_expect(weights <= CLOSE, "%s on %s: weights differ by %g", names[i], devices[j], weights);
            free(found);
            free(expected);
        }
    }
}

/* --- misuse and failures --- */

Test(learner, numbers_that_are_not_finite__change_nothing)
{
    struct course c;
    size_t        bytes;
    const float   nan = NAN;
    course_open(&c, "reference", "gpt2", (scry__learner_options){0});
    const scry__parameter *bias = scry__learner_find(c.learner, "transformer.h.1.mlp.c_fc.bias");
    MUST(scry_buffer_write(bias->value.buffer, bias->value.offset, &nan, sizeof nan));
    float *before = all_values(&c, &bytes);
    cr_expect_eq(scry__learner_step(c.learner, c.ids, c.targets, 0.01, NULL), SCRY_CHECK_FAILED);
    cr_expect(strstr(scry_last_error(), "expected finite ones"), "%s", scry_last_error());
    float *after = all_values(&c, &bytes);
    cr_expect_eq(memcmp(before, after, bytes), 0);
    cr_expect_eq(scry__learner_steps(c.learner), 0);
    free(before);
    free(after);
    course_close(&c);
}

Test(learner, misuse__is_refused)
{
    static const char *const           unknown[] = {"no_such_*", NULL};
    static const scry__learner_options bad[]     = {
            {.batch = 0, .rows = 8},
            {.batch = 1, .rows = 0},
            {.batch = 1, .rows = 41},
            {.batch = 1, .rows = 8, .beta1 = 1.0},
            {.batch = 1, .rows = 8, .beta2 = -0.1},
            {.batch = 1, .rows = 8, .epsilon = NAN},
            {.batch = 1, .rows = 8, .momentum = 1.0},
            {.batch = 1, .rows = 8, .decay = -1.0},
            {.batch = 1, .rows = 8, .clip = INFINITY},
            {.batch = 1, .rows = 8, .frozen = unknown},
    };
    struct course  c;
    scry__learner *learner = NULL;
    course_open(&c, "reference", "gpt2", (scry__learner_options){0});
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_expect_eq(scry__learner_create(&learner, c.f.model, &bad[i]), SCRY_BAD_ARGUMENT, "case %zu", i);
    cr_expect(strstr(scry_last_error(), "no_such_*: no parameter"), "%s", scry_last_error());
    cr_expect_null(learner);

    int32_t none[64], high[64];
    for (int i = 0; i < 64; i++) none[i] = high[i] = -1;
    high[3] = 113;
    cr_expect_eq(scry__learner_step(c.learner, c.ids, none, 0.01, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__learner_step(c.learner, c.ids, high, 0.01, NULL), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "target 3: id 113: expected 0 to 112"), "%s", scry_last_error());
    cr_expect_eq(scry__learner_step(c.learner, none, c.targets, 0.01, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__learner_step(c.learner, c.ids, c.targets, NAN, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__learner_step(c.learner, c.ids, c.targets, -1.0, NULL), SCRY_BAD_ARGUMENT);
    int32_t begins[64] = {[5] = 6};
    cr_expect_eq(scry__learner_set_begins(c.learner, begins), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "row 5: its attention begins at 6: expected 0 to its place, 5"), "%s",
              scry_last_error());
    cr_expect_null(scry__learner_find(c.learner, "wte.weight"));
    cr_expect_eq(scry__learner_steps(c.learner), 0);

    struct fixture plain;
    fixture_open(&plain, "reference", "gpt2");
    cr_expect_eq(scry__learner_create(&learner, plain.model, &(scry__learner_options){.batch = 1, .rows = 8}),
                 SCRY_BAD_ARGUMENT, "a model that is not trainable");
    fixture_close(&plain);
    course_close(&c);
}

Test(learner, create__survives_every_refused_allocation)
{
    struct course   c;
    struct refusals refusals = {0};
    course_open(&c, "reference", "qwen3", (scry__learner_options){0});
    while (refusals_next(&refusals)) {
        scry__learner        *learner = NULL;
        scry__learner_options options = {.batch = c.batch, .rows = c.rows};
        scry_status           status  = scry__learner_create(&learner, c.f.model, &options);
        refusals_check(&refusals, status, learner != NULL);
        scry__learner_destroy(&learner);
    }
    cr_expect_gt(refusals.refused, 40);
    course_close(&c);
}

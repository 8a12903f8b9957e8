/* Steps of gradient descent. See learner.h.
 *
 * Values, gradients and moments lie in one buffer each, in the same order (model/weights.h), so that a step is few ops:
 * one for each run of neighbours that are treated alike. */
#include "train/learner.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "model/backward.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The gradient's squares are added up in so many sums, in f32; these then in f64. */
enum { SUMS = 64 };

/* Floats [begin, begin + count) of each buffer. */
struct run {
    int64_t begin, count;
    bool    decays;
};

struct scry__learner {
    scry_model           *model;
    scry__learner_options options; /* defaults filled in */
    scry__session        *session;
    scry__tape           *tape;
    scry__weights         gradients, first, second; /* mirrors of the model's */
    scry__parameter      *parameters;               /* by name */
    struct run           *runs;
    int                   parameter_count, run_count;
    scry_buffer          *targets, *losses, *sums;
    scry_buffer          *mask;        /* [batch, rows, rows]; NULL: none was needed yet */
    float                *host_mask;   /* likewise */
    float                *host_losses; /* [batch * rows] */
    int64_t               steps;
    double                gradient_norm;
};

static scry_status check_options(const scry_model *model, const scry__learner_options *options)
{
    if (!model->options.trainable) return scry__fail(SCRY_BAD_ARGUMENT, "a learner: expected a trainable model");
    if (options->batch < 1 || options->rows < 1 || options->rows > model->arch.context)
        return scry__fail(SCRY_BAD_ARGUMENT, "steps of %d sequences and %d rows: expected 1 or more, and 1 to %lld",
                          options->batch, options->rows, (long long)model->arch.context);
    const struct {
        const char *name;
        double      value, end; /* 0 <= value < end */
    } numbers[] = {{"beta1", options->beta1, 1},        {"beta2", options->beta2, 1},
                   {"epsilon", options->epsilon, 1},    {"momentum", options->momentum, 1},
                   {"decay", options->decay, INFINITY}, {"clip", options->clip, INFINITY}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value < numbers[i].end))
            return scry__fail(SCRY_BAD_ARGUMENT, "a learner: %s %g: expected a number from 0, below %g",
                              numbers[i].name, numbers[i].value, numbers[i].end);
    return SCRY_OK;
}

static bool is_frozen(const scry__learner_options *options, const char *name)
{
    for (const char *const *pattern = options->frozen; pattern && *pattern; pattern++)
        if (scry__glob(*pattern, name)) return true;
    return false;
}

static scry_status check_frozen(const scry__learner *learner)
{
    const scry__weights *weights = &learner->model->weights;
    for (const char *const *pattern = learner->options.frozen; pattern && *pattern; pattern++) {
        bool known = false;
        for (int i = 0; i < weights->used_count && !known; i++)
            known = scry__glob(*pattern, weights->used[i].stored->name);
        if (!known) return scry__fail(SCRY_BAD_ARGUMENT, "frozen: %s: no parameter has such a name", *pattern);
    }
    return SCRY_OK;
}

/* The mirrors that the optimiser needs; what is frozen has no gradient. */
static scry_status make_mirrors(scry__learner *learner)
{
    const scry__weights         *weights = &learner->model->weights;
    const scry__learner_options *options = &learner->options;
    scry_device                 *device  = learner->model->device;
    bool                         adamw   = options->optimiser == SCRY__OPTIMISER_ADAMW;
    scry_status                  status  = scry__weights_mirror(&learner->gradients, weights, device);
    if (!status && (adamw || options->momentum > 0)) status = scry__weights_mirror(&learner->first, weights, device);
    if (!status && adamw) status = scry__weights_mirror(&learner->second, weights, device);
    for (int i = 0; !status && i < weights->used_count; i++)
        if (is_frozen(options, weights->used[i].stored->name)) *learner->gradients.used[i].tensor = (scry_tensor){0};
    if (!status && !(learner->model->arch.features & SCRY__HAS_UNEMBEDDING))
        learner->gradients.unembedding = learner->gradients.embedding;
    return status;
}

/* Where the weight lies in a mirror; absent where that is. */
static scry_tensor as_stored(const scry__weights *weights, int index, scry_buffer *buffer)
{
    const scry__stored *stored = weights->used[index].stored;
    if (!buffer) return (scry_tensor){0};
    return scry_tensor_of(buffer, weights->used[index].tensor->offset, SCRY_F32, stored->rank, stored->shape);
}

static scry__parameter parameter_of(const scry__learner *learner, int index)
{
    const scry__weights *weights   = &learner->model->weights;
    const scry__weight  *weight    = &weights->used[index];
    bool                 embedding = weight->tensor == &weights->embedding || weight->tensor == &weights->positions;
    scry__parameter      out       = {.name   = weight->stored->name,
                                      .decays = weight->stored->rank > 1 && !embedding,
                                      .value  = as_stored(weights, index, weights->buffers[0])};
    if (!learner->gradients.used[index].tensor->buffer) return out;
    out.gradient = as_stored(weights, index, learner->gradients.buffers[0]);
    out.first    = as_stored(weights, index, learner->first.buffers ? learner->first.buffers[0] : NULL);
    out.second   = as_stored(weights, index, learner->second.buffers ? learner->second.buffers[0] : NULL);
    return out;
}

static int by_place(const void *a, const void *b)
{
    size_t one = ((const scry__parameter *)a)->value.offset, other = ((const scry__parameter *)b)->value.offset;
    return (one > other) - (one < other);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const scry__parameter *)a)->name, ((const scry__parameter *)b)->name);
}

/* Lists the parameters, and the runs of those that are not frozen. */
static scry_status list_parameters(scry__learner *learner)
{
    int count           = learner->model->weights.used_count;
    learner->parameters = scry__alloc((size_t)count, sizeof *learner->parameters);
    learner->runs       = scry__alloc((size_t)count, sizeof *learner->runs);
    if (!learner->parameters || !learner->runs) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) learner->parameters[i] = parameter_of(learner, i);
    learner->parameter_count = count;
    qsort(learner->parameters, (size_t)count, sizeof *learner->parameters, by_place);
    struct run *run = NULL;
    for (int i = 0; i < count; i++) {
        const scry__parameter *parameter = &learner->parameters[i];
        int64_t                begin     = (int64_t)(parameter->value.offset / sizeof(float));
        if (!parameter->gradient.buffer) {
            run = NULL;
            continue;
        }
        if (!run || run->decays != parameter->decays) {
            run  = &learner->runs[learner->run_count++];
            *run = (struct run){.begin = begin, .decays = parameter->decays};
        }
        run->count = begin + scry_tensor_count(&parameter->value) - run->begin;
    }
    qsort(learner->parameters, (size_t)count, sizeof *learner->parameters, by_name);
    return SCRY_OK;
}

static scry_status make_buffers(scry__learner *learner)
{
    scry_device          *device  = learner->model->device;
    int                   rows    = learner->options.rows;
    size_t                count   = (size_t)learner->options.batch * (size_t)rows;
    scry__session_options session = {.batch = learner->options.batch, .capacity = rows};
    scry_status           status  = scry__session_create(&learner->session, learner->model, &session);
    if (!status) status = scry__tape_create(&learner->tape, learner->session);
    if (!status) status = scry_buffer_create(&learner->targets, device, count * sizeof(int32_t));
    if (!status) status = scry_buffer_create(&learner->losses, device, count * sizeof(float));
    if (!status) status = scry_buffer_create(&learner->sums, device, SUMS * sizeof(float));
    if (status) return status;
    learner->host_losses = scry__alloc(count, sizeof(float));
    return learner->host_losses ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

scry_status scry__learner_create(scry__learner **out, scry_model *model, const scry__learner_options *options)
{
    scry_status status = check_options(model, options);
    if (status) return status;
    scry__learner *learner = scry__alloc(1, sizeof *learner);
    if (!learner) return SCRY_OUT_OF_MEMORY;
    learner->model   = model;
    learner->options = *options;
    if (options->beta1 == 0) learner->options.beta1 = 0.9;
    if (options->beta2 == 0) learner->options.beta2 = 0.999;
    if (options->epsilon == 0) learner->options.epsilon = 1e-8;
    status = check_frozen(learner);
    if (!status) status = make_mirrors(learner);
    if (!status) status = list_parameters(learner);
    if (!status) status = make_buffers(learner);
    learner->options.frozen = NULL; /* the caller's */
    if (status) {
        scry__learner_destroy(&learner);
        return status;
    }
    *out = learner;
    return SCRY_OK;
}

void scry__learner_destroy(scry__learner **learner)
{
    scry__learner *self = learner ? *learner : NULL;
    if (!self) return;
    scry__tape_destroy(&self->tape);
    scry__session_destroy(&self->session);
    scry__weights_finish(&self->gradients);
    scry__weights_finish(&self->first);
    scry__weights_finish(&self->second);
    scry_buffer_destroy(&self->targets);
    scry_buffer_destroy(&self->losses);
    scry_buffer_destroy(&self->sums);
    scry_buffer_destroy(&self->mask);
    scry__free(self->host_mask);
    scry__free(self->host_losses);
    scry__free(self->parameters);
    scry__free(self->runs);
    scry__free(self);
    *learner = NULL;
}

static scry_status make_mask(scry__learner *learner)
{
    size_t      rows = (size_t)learner->options.rows, count = (size_t)learner->options.batch * rows;
    scry_status status = SCRY_OK;
    if (!learner->host_mask) learner->host_mask = scry__alloc(count, rows * sizeof(float));
    if (!learner->host_mask) return SCRY_OUT_OF_MEMORY;
    if (!learner->mask)
        status = scry_buffer_create(&learner->mask, learner->model->device, count * rows * sizeof(float));
    return status;
}

scry_status scry__learner_set_begins(scry__learner *learner, const int32_t *begins)
{
    int64_t rows = learner->options.rows, count = learner->options.batch * rows;
    scry__session_set_additive(learner->session, NULL);
    if (!begins) return SCRY_OK;
    scry_status status = make_mask(learner);
    for (int64_t i = 0; i < count && !status; i++) {
        if (begins[i] < 0 || begins[i] > i % rows)
            return scry__fail(SCRY_BAD_ARGUMENT, "row %lld: its attention begins at %d: expected 0 to its place, %lld",
                              (long long)i, begins[i], (long long)(i % rows));
        for (int64_t key = 0; key < rows; key++) learner->host_mask[i * rows + key] = key < begins[i] ? -INFINITY : 0;
    }
    if (!status)
        status = scry_buffer_write(learner->mask, 0, learner->host_mask, (size_t)(count * rows) * sizeof(float));
    if (status) return status;
    int64_t     shape[]  = {learner->options.batch, learner->model->arch.head_count, rows, rows};
    scry_tensor additive = scry_tensor_of(learner->mask, 0, SCRY_F32, 4, shape);
    additive.stride[0]   = rows * rows;
    additive.stride[1]   = 0;
    scry__session_set_additive(learner->session, &additive);
    return SCRY_OK;
}

/* Checks targets and puts them on the device; *counted gets how many count. */
static scry_status write_targets(scry__learner *learner, const int32_t *targets, int64_t *counted)
{
    int64_t count      = (int64_t)learner->options.batch * learner->options.rows,
            vocabulary = learner->model->arch.vocabulary;
    *counted           = 0;
    for (int64_t i = 0; i < count; i++) {
        if (targets[i] < -1 || targets[i] >= vocabulary)
            return scry__fail(SCRY_BAD_ARGUMENT, "target %lld: id %d: expected 0 to %lld, or -1 for none", (long long)i,
                              targets[i], (long long)vocabulary - 1);
        *counted += targets[i] >= 0;
    }
    if (!*counted) return scry__fail(SCRY_BAD_ARGUMENT, "targets: none counts: expected one at least");
    return scry_buffer_write(learner->targets, 0, targets, (size_t)count * sizeof *targets);
}

static scry__row_loss row_loss(const scry__learner *learner, int64_t counted)
{
    int64_t count = (int64_t)learner->options.batch * learner->options.rows;
    return (scry__row_loss){.target = scry_tensor_of(learner->targets, 0, SCRY_I32, 1, &count),
                            .loss   = scry_tensor_of(learner->losses, 0, SCRY_F32, 1, &count),
                            .factor = (float)(1.0 / (double)counted)};
}

/* The mean of the rows' losses, which are left in host_losses. */
static scry_status read_loss(scry__learner *learner, int64_t counted, double *loss)
{
    size_t      count  = (size_t)learner->options.batch * (size_t)learner->options.rows;
    scry_status status = scry_buffer_read(learner->losses, 0, learner->host_losses, count * sizeof(float));
    *loss              = 0;
    for (size_t i = 0; !status && i < count; i++) *loss += learner->host_losses[i];
    *loss /= (double)counted;
    return status;
}

/* All of a mirror's buffer, as rows of `columns`. */
static scry_tensor whole(const scry__weights *mirror, int64_t columns)
{
    int64_t shape[] = {(int64_t)(scry_buffer_size(mirror->buffers[0]) / sizeof(float)) / columns, columns};
    return scry_tensor_of(mirror->buffers[0], 0, SCRY_F32, 2, shape);
}

static scry_status measure_gradient(scry__learner *learner)
{
    const int64_t count = SUMS;
    float         sums[SUMS];
    double        squares = 0;
    scry_op       op      = {.kind = SCRY_OP_SUM,
                             .sum  = {.x       = whole(&learner->gradients, SUMS),
                                      .out     = scry_tensor_of(learner->sums, 0, SCRY_F32, 1, &count),
                                      .squares = true}};
    scry_status   status  = scry_device_run(learner->model->device, &op);
    if (!status) status = scry_buffer_read(learner->sums, 0, sums, sizeof sums);
    for (int i = 0; !status && i < SUMS; i++) squares += sums[i];
    learner->gradient_norm = sqrt(squares);
    return status;
}

static scry_tensor run_of(const scry__weights *mirror, const struct run *run)
{
    if (!mirror->buffers) return (scry_tensor){0};
    return scry_tensor_of(mirror->buffers[0], (size_t)run->begin * sizeof(float), SCRY_F32, 1, &run->count);
}

static scry_op step_op(const scry__learner *learner, const struct run *run, float factor, float rate)
{
    const scry__learner_options *options   = &learner->options;
    scry_tensor                  parameter = run_of(&learner->model->weights, run);
    scry_tensor                  gradient  = run_of(&learner->gradients, run);
    float                        decay     = run->decays ? (float)options->decay : 0.0f;
    if (options->optimiser == SCRY__OPTIMISER_SGD)
        return (scry_op){.kind = SCRY_OP_SGD,
                         .sgd  = {.gradient        = gradient,
                                  .parameter       = parameter,
                                  .velocity        = run_of(&learner->first, run),
                                  .rate            = rate,
                                  .momentum        = (float)options->momentum,
                                  .decay           = decay,
                                  .gradient_factor = factor,
                                  .nesterov        = options->nesterov}};
    return (scry_op){.kind  = SCRY_OP_ADAMW,
                     .adamw = {.gradient        = gradient,
                               .parameter       = parameter,
                               .first           = run_of(&learner->first, run),
                               .second          = run_of(&learner->second, run),
                               .rate            = rate,
                               .beta1           = (float)options->beta1,
                               .beta2           = (float)options->beta2,
                               .epsilon         = (float)options->epsilon,
                               .decay           = decay,
                               .gradient_factor = factor,
                               .step            = learner->steps + 1}};
}

/* The gradient of a batch, its norm, and the loss. */
static scry_status find_gradient(scry__learner *learner, const int32_t *ids, const int32_t *targets, double *loss)
{
    int64_t         counted;
    scry__gradients wanted = {.weights = &learner->gradients};
    scry_status     status = write_targets(learner, targets, &counted);
    if (status) return status;
    scry_op        clear = {.kind = SCRY_OP_FILL, .fill = {.out = whole(&learner->gradients, SUMS)}};
    scry__row_loss rows  = row_loss(learner, counted);
    status               = scry_device_run(learner->model->device, &clear);
    if (!status) status = scry__tape_forward(learner->tape, ids, learner->options.rows);
    if (!status) status = scry__backward_loss(learner->tape, &rows, &wanted);
    if (!status) status = measure_gradient(learner);
    return status ? status : read_loss(learner, counted, loss);
}

scry_status scry__learner_step(scry__learner *learner, const int32_t *ids, const int32_t *targets, double rate,
                               float *loss)
{
    double mean, factor = 1.0, clip = learner->options.clip;
    if (!(rate >= 0 && rate < INFINITY))
        return scry__fail(SCRY_BAD_ARGUMENT, "rate %g: expected a finite number, 0 or more", rate);
    scry_status status = find_gradient(learner, ids, targets, &mean);
    if (status) return status;
    if (!isfinite(mean) || !isfinite(learner->gradient_norm))
        return scry__fail(SCRY_CHECK_FAILED, "step %lld: loss %g, gradient's norm %g: expected finite ones",
                          (long long)learner->steps + 1, mean, learner->gradient_norm);
    if (clip > 0 && learner->gradient_norm > clip) factor = clip / learner->gradient_norm;
    for (int i = 0; i < learner->run_count && !status; i++) {
        scry_op op = step_op(learner, &learner->runs[i], (float)factor, (float)rate);
        status     = scry_device_run(learner->model->device, &op);
    }
    if (status) return status;
    learner->steps++;
    if (loss) *loss = (float)mean;
    return SCRY_OK;
}

scry_status scry__learner_loss(scry__learner *learner, const int32_t *ids, const int32_t *targets, float *loss,
                               float *by_row)
{
    int64_t     counted;
    double      mean;
    scry_status status = write_targets(learner, targets, &counted);
    if (!status) status = scry__session_forward(learner->session, ids, learner->options.rows, NULL);
    if (status) return status;
    scry__row_loss rows = row_loss(learner, counted);
    status              = scry__session_loss(learner->session, &rows);
    if (!status) status = read_loss(learner, counted, &mean);
    if (status) return status;
    if (loss) *loss = (float)mean;
    if (by_row)
        memcpy(by_row, learner->host_losses,
               (size_t)learner->options.batch * (size_t)learner->options.rows * sizeof *by_row);
    return SCRY_OK;
}

double scry__learner_gradient_norm(const scry__learner *learner)
{
    return learner->gradient_norm;
}

int scry__learner_parameter_count(const scry__learner *learner)
{
    return learner->parameter_count;
}

const scry__parameter *scry__learner_parameter(const scry__learner *learner, int index)
{
    return &learner->parameters[index];
}

const scry__parameter *scry__learner_find(const scry__learner *learner, const char *name)
{
    const scry__parameter key = {.name = name};
    return bsearch(&key, learner->parameters, (size_t)learner->parameter_count, sizeof key, by_name);
}

int64_t scry__learner_steps(const scry__learner *learner)
{
    return learner->steps;
}

void scry__learner_set_steps(scry__learner *learner, int64_t steps)
{
    learner->steps = steps;
}

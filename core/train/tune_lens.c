/* Training of a tuned lens. See scry/tune_lens.h.
 *
 * One pass of the model gives a batch's streams for all translators; each is then a small model of its own: product,
 * final norm, loss, and back. They share nothing but the pass, so that none depends on how the others fare; gradients
 * are clipped one by one, too. */
#include "analysis/tuned_lens.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/json_build.h"
#include "train/lens_batches.h"
#include "train/lens_checkpoint.h"

#include <math.h>
#include <stdio.h>

/* A gradient's squares are added up in so many sums, in f32; these then in f64. Blocks of values are multiples of it.
 */
enum { SUMS = 64 };

static const float momentum = 0.9F, beta1 = 0.9F, beta2 = 0.999F, epsilon = 1e-8F;

struct trainer {
    scry__lens_state       state;
    scry_device           *device;
    scry__lens_batches     batches;
    scry__lens_checkpoints checkpoints;
    int64_t                rows;                /* N of a batch */
    scry_buffer           *gradients;           /* laid out as the lens' values */
    scry_buffer           *buffer;              /* of all tensors below */
    scry_tensor            teacher, translated; /* [N, d]: the final normed rows; a layer's stream, translated */
    scry_tensor            normed, d_normed;    /* [N, d]; normed becomes the gradient of translated */
    scry_tensor            losses, sums;        /* [layers, N], [layers, SUMS] */
    float                 *host;                /* losses, then sums */
    double                *means, *factors;     /* [layers]: losses, and what clipping leaves of gradients */
};

/* --- memory --- */

static scry_tensor place(scry_buffer *buffer, size_t *bytes, int64_t rows, int64_t columns)
{
    const int64_t shape[] = {rows, columns};
    scry_tensor   tensor  = scry_tensor_of(buffer, *bytes, SCRY_F32, 2, shape);
    *bytes += (size_t)(rows * columns) * sizeof(float);
    return tensor;
}

/* Losses and sums come first, to be read at once. Returns the bytes. */
static size_t lay_out(struct trainer *trainer)
{
    int64_t layers = trainer->state.tuned->layer_count, size = trainer->state.tuned->size;
    size_t  bytes       = 0;
    trainer->losses     = place(trainer->buffer, &bytes, layers, trainer->rows);
    trainer->sums       = place(trainer->buffer, &bytes, layers, SUMS);
    trainer->teacher    = place(trainer->buffer, &bytes, trainer->rows, size);
    trainer->translated = place(trainer->buffer, &bytes, trainer->rows, size);
    trainer->normed     = place(trainer->buffer, &bytes, trainer->rows, size);
    trainer->d_normed   = place(trainer->buffer, &bytes, trainer->rows, size);
    return bytes;
}

static scry_status make_room(struct trainer *trainer)
{
    const scry_tuned_lens *tuned  = trainer->state.tuned;
    bool                   adamw  = trainer->batches.options.optimiser == SCRY_TRAIN_OPTIMISER_ADAMW;
    size_t                 layers = (size_t)tuned->layer_count;
    trainer->rows                 = trainer->batches.streams.shape[1];
    trainer->host                 = scry__alloc(layers * ((size_t)trainer->rows + SUMS), sizeof *trainer->host);
    trainer->means                = scry__alloc(layers, sizeof *trainer->means);
    trainer->factors              = scry__alloc(layers, sizeof *trainer->factors);
    trainer->state.losses         = scry__alloc((size_t)trainer->state.steps, layers * sizeof *trainer->state.losses);
    if (!trainer->host || !trainer->means || !trainer->factors || !trainer->state.losses) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__tuned_lens_mirror(&trainer->gradients, tuned);
    if (!status) status = scry__tuned_lens_mirror(&trainer->state.first, tuned);
    if (!status && adamw) status = scry__tuned_lens_mirror(&trainer->state.second, tuned);
    if (!status) status = scry_buffer_create(&trainer->buffer, trainer->device, lay_out(trainer));
    if (!status) lay_out(trainer); /* the first time only for the size */
    return status;
}

static void release(struct trainer *trainer)
{
    scry__lens_checkpoints_close(&trainer->checkpoints);
    scry__free(trainer->state.losses);
    scry__free(trainer->host);
    scry__free(trainer->means);
    scry__free(trainer->factors);
    scry_buffer_destroy(&trainer->buffer);
    scry_buffer_destroy(&trainer->state.second);
    scry_buffer_destroy(&trainer->state.first);
    scry_buffer_destroy(&trainer->gradients);
    scry__lens_batches_close(&trainer->batches);
}

/* --- a step --- */

static scry_status run_all(const struct trainer *trainer, const scry_op *ops, int count)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < count && !status; i++) status = scry_device_run(trainer->device, &ops[i]);
    return status;
}

static scry_op norm_op(const struct trainer *trainer, scry_tensor x, scry_tensor out)
{
    return (scry_op){.kind = SCRY_OP_NORM,
                     .norm = {.x = x, .out = out, .parameters = trainer->state.tuned->model->weights.final_norm}};
}

static scry_op loss_op(const struct trainer *trainer, int layer)
{
    scry_tensor row = scry_tensor_slice(trainer->losses, 0, layer, 1);
    scry_op     op  = {.kind = SCRY_OP_LOSS, .loss = scry__model_loss_op(trainer->state.tuned->model)};
    op.loss.x       = trainer->normed;
    op.loss.teacher = trainer->teacher;
    op.loss.loss    = scry_tensor_of(row.buffer, row.offset, SCRY_F32, 1, &trainer->rows);
    op.loss.d_x     = trainer->d_normed;
    op.loss.factor  = (float)(1.0 / (double)trainer->rows);
    return op;
}

/* The squares of a layer's gradient, added up by columns of its block [.., SUMS]. */
static scry_op squares_op(const struct trainer *trainer, int layer)
{
    const int64_t shape[] = {trainer->state.tuned->stride / SUMS, SUMS}, count = SUMS;
    scry_tensor   block = scry__tuned_lens_block(trainer->state.tuned, trainer->gradients, layer);
    scry_tensor   row   = scry_tensor_slice(trainer->sums, 0, layer, 1);
    return (scry_op){.kind = SCRY_OP_SUM,
                     .sum  = {.x       = scry_tensor_of(block.buffer, block.offset, SCRY_F32, 2, shape),
                              .out     = scry_tensor_of(row.buffer, row.offset, SCRY_F32, 1, &count),
                              .squares = true}};
}

/* A layer's losses, and the gradient of their mean. */
static scry_status find_gradient(const struct trainer *trainer, int layer)
{
    const scry_tuned_lens *tuned   = trainer->state.tuned;
    const scry_tensor      stream  = scry__lens_batches_layer(&trainer->batches, layer);
    const scry_tensor      d_moved = trainer->normed; /* whose rows are no longer needed by then */
    const scry_tensor      weight  = scry__tuned_lens_weight(tuned, trainer->gradients, layer);
    const scry_tensor      bias    = scry__tuned_lens_bias(tuned, trainer->gradients, layer);
    scry_op                back    = {.kind = SCRY_OP_NORM_BACKWARD};
    back.norm_backward.x           = trainer->translated;
    back.norm_backward.d_out       = trainer->d_normed;
    back.norm_backward.d_x         = d_moved;
    back.norm_backward.parameters  = tuned->model->weights.final_norm;
    const scry_matmul product      = {.a = scry_tensor_swap(d_moved, 0, 1), .b = stream, .c = weight, .alpha = 1};
    const scry_op     ops[]        = {norm_op(trainer, trainer->translated, trainer->normed),
                                      loss_op(trainer, layer),
                                      back,
                                      {.kind = SCRY_OP_MATMUL, .matmul = product},
                                      {.kind = SCRY_OP_SUM, .sum = {.x = d_moved, .out = bias}},
                                      squares_op(trainer, layer)};
    scry_status       status       = scry__tuned_lens_translate(tuned, layer, &stream, &trainer->translated);
    return status ? status : run_all(trainer, ops, sizeof ops / sizeof *ops);
}

/* Means of losses, and factors of gradients; all have to be finite. */
static scry_status read_losses(struct trainer *trainer, int step)
{
    int64_t     layers = trainer->state.tuned->layer_count;
    size_t      bytes  = (size_t)(layers * (trainer->rows + SUMS)) * sizeof(float);
    double      clip   = trainer->batches.options.clip;
    scry_status status = scry_buffer_read(trainer->buffer, 0, trainer->host, bytes);
    if (status) return status;
    const float *sums = trainer->host + layers * trainer->rows;
    for (int64_t layer = 0; layer < layers; layer++, sums += SUMS) {
        double loss = 0, squares = 0;
        for (int64_t row = 0; row < trainer->rows; row++) loss += trainer->host[layer * trainer->rows + row];
        for (int i = 0; i < SUMS; i++) squares += sums[i];
        double length           = sqrt(squares);
        trainer->means[layer]   = loss / (double)trainer->rows;
        trainer->factors[layer] = length > clip ? clip / length : 1;
        if (!isfinite(loss) || !isfinite(length))
            return scry__fail(SCRY_CHECK_FAILED,
                              "tuned lens: step %d: layer %d: loss %g, gradient's norm %g: expected finite ones", step,
                              (int)layer, trainer->means[layer], length);
    }
    return SCRY_OK;
}

static scry_op step_op(const struct trainer *trainer, int layer, int step)
{
    const scry_tuned_lens        *tuned     = trainer->state.tuned;
    const scry_tune_lens_options *options   = &trainer->batches.options;
    scry_tensor                   parameter = scry__tuned_lens_block(tuned, tuned->values, layer);
    scry_tensor                   gradient  = scry__tuned_lens_block(tuned, trainer->gradients, layer);
    scry_tensor                   first     = scry__tuned_lens_block(tuned, trainer->state.first, layer);
    float                         rate      = (float)scry_recipe_rate(&trainer->batches.recipe, step - 1);
    float                         factor    = (float)trainer->factors[layer];
    if (options->optimiser == SCRY_TRAIN_OPTIMISER_SGD)
        return (scry_op){.kind = SCRY_OP_SGD,
                         .sgd  = {.gradient        = gradient,
                                  .parameter       = parameter,
                                  .velocity        = first,
                                  .rate            = rate,
                                  .momentum        = momentum,
                                  .decay           = (float)options->decay,
                                  .gradient_factor = factor,
                                  .nesterov        = true}};
    return (scry_op){.kind  = SCRY_OP_ADAMW,
                     .adamw = {.gradient        = gradient,
                               .parameter       = parameter,
                               .first           = first,
                               .second          = scry__tuned_lens_block(tuned, trainer->state.second, layer),
                               .rate            = rate,
                               .beta1           = beta1,
                               .beta2           = beta2,
                               .epsilon         = epsilon,
                               .decay           = (float)options->decay,
                               .gradient_factor = factor,
                               .step            = step}};
}

static scry_status take_step(struct trainer *trainer, int step)
{
    int         layers = trainer->state.tuned->layer_count;
    scry_status status = scry__lens_batches_train(&trainer->batches, step);
    scry_op     teach  = norm_op(trainer, scry__lens_batches_layer(&trainer->batches, layers), trainer->teacher);
    if (!status) status = scry_device_run(trainer->device, &teach);
    for (int layer = 0; layer < layers && !status; layer++) status = find_gradient(trainer, layer);
    if (!status) status = read_losses(trainer, step);
    for (int layer = 0; layer < layers && !status; layer++) {
        scry_op op = step_op(trainer, layer, step);
        status     = scry_device_run(trainer->device, &op);
    }
    return status;
}

/* Behind a step, or (`losses` NULL) behind the one that is gone on from. */
static scry_status report(const struct trainer *trainer, const double *losses)
{
    const scry_tune_lens_options *options = &trainer->batches.options;
    const scry__lens_state       *state   = &trainer->state;
    scry_tune_lens_progress       now     = {.step        = state->step,
                                             .steps       = state->steps,
                                             .losses      = losses,
                                             .history     = state->losses,
                                             .layer_count = state->tuned->layer_count};
    if (!options->progress || options->progress(options->user, &now)) return SCRY_OK;
    return scry__fail(SCRY_STOPPED, "tuned lens: stopped behind step %d", state->step);
}

/* What comes behind a step: its losses join the others, checkpoint, report. */
static scry_status end_step(struct trainer *trainer)
{
    scry__lens_state *state  = &trainer->state;
    int               layers = state->tuned->layer_count;
    float            *losses = state->losses + (size_t)state->step++ * (size_t)layers;
    for (int layer = 0; layer < layers; layer++) losses[layer] = (float)trainer->means[layer];
    scry_status status = scry__lens_checkpoints_keep(&trainer->checkpoints, state);
    return status ? status : report(trainer, trainer->means);
}

/* --- the record --- */

static scry_status describe(char **out, const scry__lens_batches *batches)
{
    const scry_tune_lens_options *options = &batches->options;
    scry__json_builder            builder = {0};
    scry__text                    text    = {0};
    json_t                       *object = scry__json_new_object(&builder), *whole = NULL;
    bool                          adamw = options->optimiser == SCRY_TRAIN_OPTIMISER_ADAMW;
    char                          seed[24]; /* digits: it has 64 bits */
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)options->seed);
    scry__json_set_int(&builder, object, "tokens", batches->data.count);
    scry__json_set_text(&builder, object, "tokens_sha256", batches->data.digest);
    scry__json_set_number(&builder, object, "held_out", options->held_out);
    scry__json_set_int(&builder, object, "batch", options->batch);
    scry__json_set_int(&builder, object, "length", options->length);
    scry__json_set_text(&builder, object, "seed", seed);
    scry__json_set_int(&builder, object, "steps", options->steps);
    scry__json_set_text(&builder, object, "optimiser", adamw ? "adamw" : "sgd");
    scry__json_set_number(&builder, object, "rate", options->rate);
    scry__json_set_number(&builder, object, "decay", options->decay);
    scry__json_set_number(&builder, object, "clip", options->clip);
    scry_status status = scry__json_finish(&builder, object, &whole);
    if (status) return status;
    scry__json_dump(&text, whole, false);
    if (text.size) text.data[--text.size] = 0; /* the line's end */
    json_decref(whole);
    return scry__text_take(&text, out, NULL);
}

static scry_status train(struct trainer *trainer)
{
    scry__lens_state             *state   = &trainer->state;
    const scry_tune_lens_options *options = &trainer->batches.options;
    state->steps                          = options->steps;
    state->text                           = trainer->batches.name;
    if (options->held_out >= 1)
        return scry__fail(SCRY_BAD_ARGUMENT, "tuned lens: held out 1: nothing is left to train on");
    scry_status status = make_room(trainer);
    if (!status) status = describe(&state->recipe, &trainer->batches);
    if (!status) status = scry__lens_checkpoints_open(&trainer->checkpoints, state, options);
    if (!status && state->step) status = report(trainer, NULL);
    while (!status && state->step < state->steps) {
        status = take_step(trainer, state->step + 1);
        if (!status) status = end_step(trainer);
    }
    return status;
}

scry_status scry_tuned_lens_train(scry_tuned_lens *tuned, const scry_tune_lens_options *options)
{
    struct trainer trainer = {.state.tuned = tuned, .device = scry_model_device(tuned->model), .checkpoints.lock = -1};
    scry_status    status  = scry__lens_batches_open(&trainer.batches, tuned, options);
    if (status) return status;
    status = train(&trainer);
    if (!status) {
        scry__free(tuned->recipe);
        tuned->recipe        = trainer.state.recipe;
        trainer.state.recipe = NULL;
    }
    scry__free(trainer.state.recipe);
    release(&trainer);
    return status;
}

/* Residual streams by batches. See lens_batches.h. */
#include "train/lens_batches.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { STEPS = 250, BATCH = 8, LENGTH = 128, EVALUATION_BATCHES = 32, MOST = 1 << 20 };

/* --- options --- */

static void fill_defaults(scry_tune_lens_options *options, int context)
{
    bool sgd = options->optimiser == SCRY_TRAIN_OPTIMISER_SGD;
    if (!options->held_out) options->held_out = 0.1;
    if (!options->batch) options->batch = BATCH;
    if (!options->length) options->length = context < LENGTH ? context : LENGTH;
    if (!options->steps) options->steps = STEPS;
    if (!options->rate) options->rate = sgd ? 1 : 0.003;
    if (!options->clip) options->clip = 1;
    if (!options->evaluation_batches) options->evaluation_batches = EVALUATION_BATCHES;
}

static scry_status check_options(const scry_tune_lens_options *options, int context)
{
    const struct {
        const char *name;
        double      value, least, most;
    } numbers[] = {{"held out", options->held_out, 0, 1},
                   {"batch", options->batch, 1, MOST},
                   {"length", options->length, 1, context},
                   {"steps", options->steps, 1, MOST},
                   {"rate", options->rate, 0, 1e9},
                   {"decay", options->decay, 0, 1e9},
                   {"clip", options->clip, 0, INFINITY},
                   {"evaluation batches", options->evaluation_batches, 1, MOST},
                   {"checkpoint every", options->checkpoint_every, 0, MOST}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].value >= numbers[i].least && numbers[i].value <= numbers[i].most))
            return scry__fail(SCRY_BAD_ARGUMENT, "tuned lens: %s %g: expected %g to %g", numbers[i].name,
                              numbers[i].value, numbers[i].least, numbers[i].most);
    if ((unsigned)options->optimiser >= SCRY_TRAIN_OPTIMISER_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT, "tuned lens: optimiser %d: expected adamw or sgd",
                          (int)options->optimiser);
    if (!options->text && (!options->ids || options->id_count < 1))
        return scry__fail(SCRY_BAD_ARGUMENT, "tuned lens: expected a text, or tokens");
    if (options->resume && !options->checkpoints)
        return scry__fail(SCRY_BAD_ARGUMENT, "tuned lens: resume: expected a folder of checkpoints");
    return SCRY_OK;
}

/* --- the text --- */

static scry_status read_ids(int32_t **ids, int *count, scry_model *model, const scry_tune_lens_options *options)
{
    const scry_tokenizer *tokenizer;
    if (options->text) {
        scry_status status = scry__model_need_tokenizer(model, &tokenizer);
        return status ? status : scry__data_read(ids, count, tokenizer, options->text);
    }
    *count = options->id_count;
    *ids   = scry__alloc((size_t)*count, sizeof **ids);
    if (!*ids) return SCRY_OUT_OF_MEMORY;
    memcpy(*ids, options->ids, (size_t)*count * sizeof **ids);
    return SCRY_OK;
}

static scry_status check_ids(const int32_t *ids, int count, const char *name, int vocabulary)
{
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return scry__fail(SCRY_BAD_INPUT, "%s: token %d: id %d: expected 0 to %d, the model's vocabulary", name, i,
                              ids[i], vocabulary - 1);
    return SCRY_OK;
}

static scry_status open_text(scry__lens_batches *batches, scry_model *model)
{
    const scry_tune_lens_options *options = &batches->options;
    const char                   *name    = options->text ? options->text : "the tokens";
    int32_t                      *ids     = NULL;
    int                           count   = 0;
    batches->name                         = name;
    batches->recipe                       = (scry_recipe){.data     = SCRY_TRAIN_DATA_TEXT,
                                                          .held_out = options->held_out,
                                                          .seed     = options->seed,
                                                          .steps    = options->steps,
                                                          .batch    = options->batch,
                                                          .length   = options->length,
                                                          .rate     = options->rate,
                                                          .schedule = SCRY_TRAIN_SCHEDULE_LINEAR};
    scry_status status                    = read_ids(&ids, &count, model, options);
    if (!status) status = check_ids(ids, count, name, scry_model_get_info(model)->vocabulary);
    if (!status) return scry__data_take(&batches->data, &batches->recipe, name, ids, count);
    scry_free(ids);
    return status;
}

/* --- the model --- */

static scry_status open_session(scry__lens_batches *batches, scry_model *model)
{
    const scry_tune_lens_options *options = &batches->options;
    const scry_model_info        *info    = scry_model_get_info(model);
    const int64_t shape[] = {info->layer_count + 1, (int64_t)options->batch * options->length, info->hidden_size};
    size_t        count   = (size_t)shape[1];
    batches->ids          = scry__alloc(count, sizeof *batches->ids);
    batches->targets      = scry__alloc(count, sizeof *batches->targets);
    if (!batches->ids || !batches->targets) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry_buffer_create(&batches->buffer, batches->device,
                                            (size_t)shape[0] * count * (size_t)shape[2] * sizeof(float));
    if (status) return status;
    batches->streams = scry_tensor_of(batches->buffer, 0, SCRY_F32, 3, shape);
    return scry__session_create(&batches->session, model,
                                &(scry__session_options){.batch = options->batch, .capacity = options->length});
}

scry_status scry__lens_batches_open(scry__lens_batches *batches, const scry_tuned_lens *tuned,
                                    const scry_tune_lens_options *options)
{
    int context = scry_model_get_info(tuned->model)->context;
    *batches    = (scry__lens_batches){.options = *options, .device = scry_model_device(tuned->model)};
    fill_defaults(&batches->options, context);
    scry_status status = check_options(&batches->options, context);
    if (!status) status = open_text(batches, tuned->model);
    if (!status) status = open_session(batches, tuned->model);
    if (status) scry__lens_batches_close(batches);
    return status;
}

void scry__lens_batches_close(scry__lens_batches *batches)
{
    scry__session_destroy(&batches->session);
    scry_buffer_destroy(&batches->buffer);
    scry__free(batches->targets);
    scry__free(batches->ids);
    scry__data_close(&batches->data);
    *batches = (scry__lens_batches){0};
}

scry_tensor scry__lens_batches_layer(const scry__lens_batches *batches, int layer)
{
    const scry_tensor *streams = &batches->streams;
    size_t             bytes   = (size_t)(streams->shape[1] * streams->shape[2]) * sizeof(float);
    return scry_tensor_of(batches->buffer, (size_t)layer * bytes, SCRY_F32, 2, streams->shape + 1);
}

/* --- a batch --- */

static bool wants(void *user, scry__hook hook, int layer)
{
    const scry__lens_batches *batches = user;
    bool                      last    = layer + 2 == batches->streams.shape[0];
    return hook == SCRY__HOOK_RESID_PRE || (hook == SCRY__HOOK_RESID_POST && last);
}

static scry_status take(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const scry__lens_batches *batches = user;
    scry_tensor               room    = scry__lens_batches_layer(batches, layer + (hook == SCRY__HOOK_RESID_POST));
    scry_op                   op      = {.kind = SCRY_OP_COPY};
    op.copy = (scry_copy){*value, scry_tensor_of(room.buffer, room.offset, SCRY_F32, value->rank, value->shape)};
    return scry_device_run(batches->device, &op);
}

static scry_status run(scry__lens_batches *batches)
{
    const scry__hooks hooks = {.user = batches, .wants = wants, .at = take};
    return scry__session_forward(batches->session, batches->ids, batches->options.length, &hooks);
}

scry_status scry__lens_batches_train(scry__lens_batches *batches, int step)
{
    scry__data_batch(&batches->data, step, &(scry__batch){batches->ids, batches->targets, NULL});
    return run(batches);
}

scry_status scry__lens_batches_evaluate(scry__lens_batches *batches, int number)
{
    double best;
    scry__data_evaluation(&batches->data, number, &(scry__batch){batches->ids, batches->targets, NULL}, &best);
    return run(batches);
}

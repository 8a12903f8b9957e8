/* The loop of a training, from its folder to its last checkpoint. See scry/train.h. */
#include "scry/train.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "train/checkpoint.h"
#include "train/data.h"
#include "train/learner.h"
#include "train/recipe.h"
#include "train/record.h"

#include <math.h>
#include <string.h>

struct run {
    const scry_train_options *options;
    scry_device              *device;
    int                       lock;       /* of the output folder; -1: none */
    char                     *checkpoint; /* to go on from; NULL: begin */
    scry_recipe              *recipe;
    scry__data                data;
    scry_training            *training;
    scry_model               *model;
    scry__learner            *learner;
    scry__batch               batch;
    int                       last; /* step of this run */
};

/* --- what a checkpoint holds of the learner --- */

/* The parameters by their names, or the optimiser's moments as first.NAME and second.NAME. */
static scry_status list_tensors(scry__snapshot *snapshot, const scry__learner *learner, bool moments)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < scry__learner_parameter_count(learner) && !status; i++) {
        const scry__parameter *parameter = scry__learner_parameter(learner, i);
        if (!moments) status = scry__snapshot_add(snapshot, "", parameter->name, &parameter->value);
        if (moments && parameter->first.buffer)
            status = scry__snapshot_add(snapshot, "first.", parameter->name, &parameter->first);
        if (!status && moments && parameter->second.buffer)
            status = scry__snapshot_add(snapshot, "second.", parameter->name, &parameter->second);
    }
    return status;
}

static scry_status restore_moments(struct run *run)
{
    scry__snapshot moments = {0};
    scry_status    status  = list_tensors(&moments, run->learner, true);
    if (!status) status = scry__checkpoint_read_tensors(&moments, run->checkpoint, SCRY__CHECKPOINT_MOMENTS);
    scry__snapshot_finish(&moments);
    return status;
}

/* --- from where --- */

/* The recipe that was asked for, which has to be that of the checkpoint, and the data that it names. */
static scry_status open_data(struct run *run)
{
    const scry_recipe *asked  = run->options->recipe;
    char              *digest = NULL;
    const char        *name   = NULL;
    scry_status        status = SCRY_OK;
    if (run->checkpoint) status = scry__checkpoint_read(&run->training, &digest, run->checkpoint);
    if (!status && !asked && !run->training)
        status =
            scry__fail(SCRY_BAD_ARGUMENT, "%s: no checkpoint to resume from: expected a recipe", run->options->output);
    if (!status) status = scry__recipe_copy(&run->recipe, asked ? asked : run->training->recipe);
    if (!status) status = scry__data_open(&run->data, run->recipe);
    if (!status && run->training) status = scry__recipe_difference(&name, run->recipe, run->training->recipe);
    if (!status && name) status = scry__checkpoint_other_recipe(run->checkpoint, name);
    if (!status && run->training && strcmp(digest, run->data.digest))
        status = scry__checkpoint_other_data(run->checkpoint,
                                             run->recipe->text ? run->recipe->text : run->recipe->documents);
    if (!status && !run->training) status = scry__record_create(&run->training, run->recipe, run->data.bound);
    if (!status) run->training->bound = run->data.bound; /* with all its digits */
    if (!status) run->last = run->recipe->steps;
    if (run->options->until && run->options->until < run->last) run->last = run->options->until;
    scry__free(digest);
    return status;
}

/* The model before training: drawn by a config.json that lies in a leftover's folder for the time. */
static scry_status draw_model(struct run *run)
{
    scry__folder       folder;
    scry_model_options options = {.trainable = true, .random_init = true, .random_seed = run->recipe->seed};
    char              *path    = scry__path_join(run->options->output, SCRY__CHECKPOINT_PREFIX "start");
    if (!path) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__folder_begin(&folder, path);
    if (!status) {
        status = scry__checkpoint_write_config(folder.temporary, run->recipe);
        if (!status) status = scry_model_open(&run->model, run->device, folder.temporary, &options);
        scry__folder_abort(&folder);
    }
    scry__free(path);
    return status;
}

static scry_status open_model(struct run *run)
{
    scry_model_options options = {.trainable = true};
    if (!run->checkpoint) return draw_model(run);
    return scry_model_open(&run->model, run->device, run->checkpoint, &options);
}

static scry_status open_learner(struct run *run)
{
    const scry_recipe    *recipe  = run->recipe;
    bool                  adamw   = recipe->optimiser == SCRY_TRAIN_OPTIMISER_ADAMW;
    scry__learner_options options = {.batch     = recipe->batch,
                                     .rows      = recipe->length,
                                     .optimiser = adamw ? SCRY__OPTIMISER_ADAMW : SCRY__OPTIMISER_SGD,
                                     .beta1     = recipe->beta1,
                                     .beta2     = recipe->beta2,
                                     .epsilon   = recipe->epsilon,
                                     .momentum  = recipe->momentum,
                                     .nesterov  = recipe->momentum > 0,
                                     .decay     = recipe->decay,
                                     .clip      = recipe->clip};
    size_t                count   = (size_t)recipe->batch * (size_t)recipe->length;
    scry_status           status  = scry__learner_create(&run->learner, run->model, &options);
    if (!status && run->checkpoint) status = restore_moments(run);
    if (status) return status;
    scry__learner_set_steps(run->learner, run->training->step);
    bool documents = recipe->data == SCRY_TRAIN_DATA_DOCUMENTS;
    run->batch     = (scry__batch){.ids     = scry__alloc(count, sizeof *run->batch.ids),
                                   .targets = scry__alloc(count, sizeof *run->batch.targets),
                                   .begins  = documents ? scry__alloc(count, sizeof *run->batch.begins) : NULL};
    return run->batch.ids && run->batch.targets && (run->batch.begins || !documents) ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

/* --- on the way --- */

/* Batches' mean losses differ by their samples; so does their mean, by the root of their number less. */
static scry_status evaluate(struct run *run)
{
    int             count      = run->recipe->evaluation_batches;
    double          squares    = 0;
    scry_evaluation evaluation = {.step = run->training->step};
    for (int i = 0; i < count; i++) {
        float  loss;
        double best;
        scry__data_evaluation(&run->data, i, &run->batch, &best);
        scry_status status = scry__learner_set_begins(run->learner, run->batch.begins);
        if (!status) status = scry__learner_loss(run->learner, run->batch.ids, run->batch.targets, &loss, NULL);
        if (status) return status;
        evaluation.loss += (double)loss / count;
        evaluation.best += best / count;
        squares += (double)loss * (double)loss / count;
    }
    double variance  = fmax(squares - evaluation.loss * evaluation.loss, 0) * count / fmax(count - 1, 1);
    evaluation.error = count > 1 ? sqrt(variance / count) : NAN;
    return scry__record_add_evaluation(run->training, &evaluation);
}

static scry_status write_checkpoint(struct run *run, char **path)
{
    scry__snapshot weights = {0}, moments = {0};
    scry_status    status = list_tensors(&weights, run->learner, false);
    if (!status) status = list_tensors(&moments, run->learner, true);
    if (!status) status = scry__snapshot_take(&weights);
    if (!status) status = scry__snapshot_take(&moments);
    if (!status) {
        scry__checkpoint checkpoint = {.training     = run->training,
                                       .digest       = run->data.digest,
                                       .weights      = weights.tensors,
                                       .weight_count = weights.count,
                                       .moments      = moments.tensors,
                                       .moment_count = moments.count};
        status                      = scry__checkpoint_write(path, run->options->output, &checkpoint);
    }
    scry__snapshot_finish(&weights);
    scry__snapshot_finish(&moments);
    return status;
}

/* What comes behind a step: evaluation, checkpoint, report. */
static scry_status end_step(struct run *run)
{
    scry_training      *training = run->training;
    int                 step = training->step, before = training->evaluation_count;
    char               *path     = NULL;
    scry_status         status   = SCRY_OK;
    scry_train_progress progress = {.step   = step,
                                    .steps  = run->recipe->steps,
                                    .tokens = (int64_t)run->recipe->batch * run->recipe->length,
                                    .loss   = step ? training->losses[step - 1] : NAN};
    if (scry__recipe_has_evaluation(run->recipe, step)) status = evaluate(run);
    if (!status && (step == run->last || scry__recipe_has_checkpoint(run->recipe, step)))
        status = write_checkpoint(run, &path);
    if (!status && run->options->progress) {
        if (training->evaluation_count > before) progress.evaluation = &training->evaluations[before];
        progress.checkpoint = path;
        if (!run->options->progress(run->options->user, &progress))
            status = scry__fail(SCRY_STOPPED, "training: stopped behind step %d", step);
    }
    scry__free(path);
    return status;
}

static scry_status take_step(struct run *run)
{
    int    step = run->training->step + 1;
    float  loss = NAN;
    double rate = scry_recipe_rate(run->recipe, step);
    scry__data_batch(&run->data, step, &run->batch);
    scry_status status = scry__learner_set_begins(run->learner, run->batch.begins);
    if (!status) status = scry__learner_step(run->learner, run->batch.ids, run->batch.targets, rate, &loss);
    if (!status) status = scry__record_add_loss(run->training, loss);
    return status ? status : end_step(run);
}

static scry_status go(struct run *run)
{
    const scry_train_options *options = run->options;
    scry_status status = scry__checkpoint_open(&run->lock, &run->checkpoint, options->output, options->resume);
    if (!status) status = open_data(run);
    if (!status && run->training->step >= run->last) return SCRY_OK;
    if (!status) status = open_model(run);
    if (!status) status = open_learner(run);
    if (!status && !run->checkpoint) status = end_step(run);
    while (!status && run->training->step < run->last) status = take_step(run);
    return status;
}

scry_status scry_train_run(scry_training **out, scry_device *device, const scry_train_options *options)
{
    if (!device || !options || !options->output || !*options->output)
        return scry__fail(SCRY_BAD_ARGUMENT, "training: expected a device and an output folder");
    if (!options->recipe && !options->resume)
        return scry__fail(SCRY_BAD_ARGUMENT, "training: expected a recipe, or to resume");
    if (options->until < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "training until step %d: expected 1 or more, or 0", options->until);
    struct run  run    = {.options = options, .device = device, .lock = -1};
    scry_status status = go(&run);
    scry__free(run.batch.begins);
    scry__free(run.batch.targets);
    scry__free(run.batch.ids);
    scry__learner_destroy(&run.learner);
    scry_model_destroy(&run.model);
    scry__data_close(&run.data);
    scry_recipe_destroy(&run.recipe);
    scry__free(run.checkpoint);
    if (run.lock >= 0) scry__folder_unlock(run.lock);
    if (status)
        scry_training_destroy(&run.training);
    else
        *out = run.training;
    return status;
}

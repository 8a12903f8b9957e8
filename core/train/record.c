/* A training's record. See record.h. */
#include "train/record.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/recipe.h"

#include <math.h>
#include <string.h>

#define SCHEMA "scry.checkpoint/1"

enum { MOST_STEPS = 1000000000 };

scry_status scry__record_create(scry_training **out, const scry_recipe *recipe, double bound)
{
    scry_training *training = scry__alloc(1, sizeof *training);
    if (!training) return SCRY_OUT_OF_MEMORY;
    training->bound    = bound;
    scry_status status = scry__recipe_copy(&training->recipe, recipe);
    if (status)
        scry_training_destroy(&training);
    else
        *out = training;
    return status;
}

void scry_training_destroy(scry_training **training)
{
    scry_training *self = training ? *training : NULL;
    if (!self) return;
    scry_recipe_destroy(&self->recipe);
    scry__free(self->losses);
    scry__free(self->evaluations);
    scry__free(self);
    *training = NULL;
}

/* Whether a list of `count` elements is full: it holds powers of two. */
static bool is_full(int count)
{
    return (count & (count - 1)) == 0;
}

static size_t next_size(int count)
{
    return count ? (size_t)count * 2 : 1;
}

scry_status scry__record_add_loss(scry_training *training, float loss)
{
    if (is_full(training->step)) {
        float *grown = scry__realloc(training->losses, next_size(training->step), sizeof *grown);
        if (!grown) return SCRY_OUT_OF_MEMORY;
        training->losses = grown;
    }
    training->losses[training->step++] = loss;
    return SCRY_OK;
}

scry_status scry__record_add_evaluation(scry_training *training, const scry_evaluation *evaluation)
{
    if (is_full(training->evaluation_count)) {
        size_t           size  = next_size(training->evaluation_count);
        scry_evaluation *grown = scry__realloc(training->evaluations, size, sizeof *grown);
        if (!grown) return SCRY_OUT_OF_MEMORY;
        training->evaluations = grown;
    }
    training->evaluations[training->evaluation_count++] = *evaluation;
    return SCRY_OK;
}

/* --- training.json --- */

json_t *scry__record_evaluations(scry__json_builder *builder, const scry_training *training)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < training->evaluation_count; i++) {
        const scry_evaluation *evaluation = &training->evaluations[i];
        json_t                *entry      = scry__json_new_object(builder);
        scry__json_set_int(builder, entry, "step", evaluation->step);
        scry__json_set_number(builder, entry, "loss", evaluation->loss);
        scry__json_set_number(builder, entry, "error", evaluation->error);
        scry__json_set_number(builder, entry, "best", evaluation->best);
        scry__json_append(builder, array, entry);
    }
    return array;
}

json_t *scry__record_json(scry__json_builder *builder, const scry_training *training, const char *digest)
{
    json_t *object = scry__json_new_object(builder), *losses = scry__json_new_array(builder);
    for (int i = 0; i < training->step; i++) scry__json_append_number(builder, losses, (double)training->losses[i]);
    scry__json_set_text(builder, object, "schema", SCHEMA);
    scry__json_set_text(builder, object, "version", scry_version());
    scry__json_set_int(builder, object, "step", training->step);
    scry__json_set_number(builder, object, "bound", training->bound);
    scry__json_set_text(builder, object, "data_sha256", *digest ? digest : NULL);
    scry__json_set(builder, object, "losses", losses);
    scry__json_set(builder, object, "evaluations", scry__record_evaluations(builder, training));
    return object;
}

static scry_status read_losses(scry_training *training, int64_t steps, scry__json_at at)
{
    const json_t *losses;
    scry_status   status = scry__json_array(at, "losses", true, &losses);
    if (status) return status;
    if (json_array_size(losses) != (size_t)steps)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"losses\": %zu numbers: expected one for each of %lld steps",
                          at.origin, json_array_size(losses), (long long)steps);
    for (int64_t i = 0; i < steps && !status; i++) {
        const json_t *loss = json_array_get(losses, (size_t)i);
        if (!json_is_number(loss))
            return scry__fail(SCRY_BAD_INPUT, "%s: key \"losses\": entry %lld: expected a number", at.origin,
                              (long long)i);
        status = scry__record_add_loss(training, (float)json_number_value(loss));
    }
    return status;
}

static scry_status read_evaluations(scry_training *training, scry__json_at at)
{
    const json_t *evaluations, *entry;
    size_t        i;
    scry_status   status = scry__json_array(at, "evaluations", true, &evaluations);
    if (status) return status;
    json_array_foreach((json_t *)evaluations, i, entry)
    {
        scry__json_at   in         = {entry, at.origin};
        scry_evaluation evaluation = {.error = NAN, .best = NAN};
        int64_t         step       = 0;
        if (!json_is_object(entry))
            return scry__fail(SCRY_BAD_INPUT, "%s: key \"evaluations\": entry %zu: expected an object", at.origin, i);
        status = scry__json_int(in, "step", true, 0, training->step, &step);
        if (!status) status = scry__json_number(in, "loss", true, &evaluation.loss);
        if (!status) status = scry__json_number(in, "error", false, &evaluation.error);
        if (!status) status = scry__json_number(in, "best", false, &evaluation.best);
        evaluation.step = (int)step;
        if (!status) status = scry__record_add_evaluation(training, &evaluation);
        if (status) return status;
    }
    return SCRY_OK;
}

scry_status scry__record_read(scry_training **out, char **digest, const scry_recipe *recipe, scry__json_at at)
{
    scry_training *training = NULL;
    const char    *text     = "";
    int64_t        steps;
    double         bound  = NAN;
    scry_status    status = scry__json_schema(at, SCHEMA);
    if (!status) status = scry__json_int(at, "step", true, 0, MOST_STEPS, &steps);
    if (!status) status = scry__json_number(at, "bound", false, &bound);
    if (!status) status = scry__json_string(at, "data_sha256", false, &text);
    if (!status) status = scry__record_create(&training, recipe, bound);
    if (!status) status = read_losses(training, steps, at);
    if (!status) status = read_evaluations(training, at);
    if (!status && digest) {
        *digest = scry__strdup(text);
        if (!*digest) status = SCRY_OUT_OF_MEMORY;
    }
    if (status)
        scry_training_destroy(&training);
    else
        *out = training;
    return status;
}

/* Checkpoints of a tuned lens' training. See lens_checkpoint.h. */
#include "train/lens_checkpoint.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "train/checkpoint_folder.h"

#include <limits.h>
#include <string.h>

#define LENS    "lens.safetensors"
#define MOMENTS "optimiser.safetensors"
#define RECORD  "training.json"
#define SCHEMA  "scry.tuned_lens_checkpoint/1"

enum { EVERY = 50 };

static const char *const needed[] = {LENS, MOMENTS, RECORD, NULL};

/* --- the model --- */

/* What the lens' file says of its model is not enough here: a step depends on every weight. */
static scry_status hash_model(char out[SCRY__SHA256_TEXT], const scry_model *model)
{
    const scry__safetensors *weights = model->checkpoint;
    char                    *config  = scry__path_join(model->path, "config.json");
    scry__sha256             hash;
    scry_status              status = config ? scry__sha256_file(out, config) : SCRY_OUT_OF_MEMORY;
    scry__sha256_begin(&hash);
    scry__sha256_add(&hash, out, SCRY__SHA256_TEXT);
    for (int i = 0; i < weights->count && !status; i++) {
        const scry__stored *stored = &weights->tensors[i];
        scry__sha256_add(&hash, stored->name, strlen(stored->name) + 1);
        scry__sha256_add(&hash, stored->data, stored->bytes);
    }
    scry__sha256_end(&hash, out);
    scry__free(config);
    return status;
}

/* --- writing --- */

static json_t *list_losses(scry__json_builder *builder, const scry__lens_state *state)
{
    json_t      *steps = scry__json_new_array(builder);
    const float *loss  = state->losses;
    for (int step = 0; step < state->step; step++) {
        json_t *layers = scry__json_new_array(builder);
        for (int layer = 0; layer < state->tuned->layer_count; layer++)
            scry__json_append_number(builder, layers, (double)*loss++);
        scry__json_append(builder, steps, layers);
    }
    return steps;
}

static scry_status write_record(const char *folder, const scry__lens_state *state, const char *model)
{
    scry__json_builder builder = {0};
    json_t            *object = scry__json_new_object(&builder), *recipe = NULL;
    builder.status = scry__json_parse(&recipe, state->recipe, strlen(state->recipe), RECORD);
    scry__json_set_text(&builder, object, "schema", SCHEMA);
    scry__json_set_text(&builder, object, "version", scry_version());
    scry__json_set_text(&builder, object, "model_sha256", model);
    scry__json_set(&builder, object, "recipe", recipe);
    scry__json_set_int(&builder, object, "step", state->step);
    scry__json_set(&builder, object, "losses", list_losses(&builder, state));
    return scry__checkpoint_write_json(folder, RECORD, &builder, object);
}

static scry_status list_moments(scry__snapshot *snapshot, const scry__lens_state *state)
{
    scry_status status = scry__tuned_lens_list(snapshot, state->tuned, state->first, "first.");
    if (!status && state->second) status = scry__tuned_lens_list(snapshot, state->tuned, state->second, "second.");
    return status;
}

static scry_status write_moments(const char *folder, const scry__lens_state *state)
{
    scry__snapshot snapshot = {0};
    scry_status    status   = list_moments(&snapshot, state);
    if (!status) status = scry__snapshot_take(&snapshot);
    if (!status) status = scry__checkpoint_write_tensors(folder, MOMENTS, snapshot.tensors, snapshot.count);
    scry__snapshot_finish(&snapshot);
    return status;
}

struct filling {
    const scry__lens_state *state;
    const char             *model;
};

static scry_status fill(void *user, const char *folder)
{
    const struct filling *filling = user;
    char                 *lens    = scry__path_join(folder, LENS);
    scry_status           status  = lens ? scry_tuned_lens_write(filling->state->tuned, lens) : SCRY_OUT_OF_MEMORY;
    if (!status) status = write_moments(folder, filling->state);
    if (!status) status = write_record(folder, filling->state, filling->model);
    scry__free(lens);
    return status;
}

scry_status scry__lens_checkpoints_keep(const scry__lens_checkpoints *checkpoints, scry__lens_state *state)
{
    struct filling filling = {state, checkpoints->model};
    if (!checkpoints->folder || (state->step % checkpoints->every && state->step < state->steps)) return SCRY_OK;
    scry_status status = scry__checkpoints_write(NULL, checkpoints->folder, state->step, state->steps, fill, &filling);
    return status ? status : scry__checkpoints_remove(checkpoints->folder, state->step);
}

/* --- going on --- */

static scry_status check_recipe(const scry__lens_state *state, const json_t *found, const char *path)
{
    json_t       *asked = NULL;
    const char   *key;
    const json_t *value;
    scry_status   status = scry__json_parse(&asked, state->recipe, strlen(state->recipe), "recipe");
    json_object_foreach(asked, key, value)
    {
        if (status || json_equal(value, json_object_get(found, key))) continue;
        status = strncmp(key, "tokens", 6) ? scry__checkpoint_other_recipe(path, key)
                                           : scry__checkpoint_other_data(path, state->text);
    }
    json_decref(asked);
    return status;
}

static scry_status check_model(const scry__lens_state *state, const char *model, scry__json_at at)
{
    const char *found  = NULL;
    scry_status status = scry__json_string(at, "model_sha256", true, &found);
    if (status || !strcmp(found, model)) return status;
    return scry__fail(SCRY_BAD_INPUT,
                      "%s: a training on another model: SHA-256 of config.json and weights %.64s: expected %s, as %s "
                      "has",
                      at.origin, found, model, scry_model_get_info(state->tuned->model)->path);
}

static scry_status read_losses(float *out, const scry__lens_state *state, int64_t step, scry__json_at at)
{
    const json_t *steps  = NULL;
    size_t        layers = (size_t)state->tuned->layer_count;
    scry_status   status = scry__json_array(at, "losses", true, &steps);
    if (!status && json_array_size(steps) != (size_t)step)
        status = scry__fail(SCRY_BAD_INPUT, "%s: key \"losses\": %zu entries: expected one for each of %lld steps",
                            at.origin, json_array_size(steps), (long long)step);
    for (size_t i = 0; i < (size_t)step && !status; i++)
        for (size_t layer = 0; layer < layers && !status; layer++) {
            const json_t *loss = json_array_get(json_array_get(steps, i), layer);
            if (!json_is_number(loss))
                status = scry__fail(SCRY_BAD_INPUT, "%s: key \"losses\": entry %zu: expected %zu numbers", at.origin, i,
                                    layers);
            out[i * layers + layer] = (float)json_number_value(loss);
        }
    return status;
}

static scry_status read_state(scry__lens_state *state, const char *path)
{
    scry__snapshot moments = {0};
    char          *lens    = scry__path_join(path, LENS);
    scry_status    status  = lens ? list_moments(&moments, state) : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__checkpoint_read_tensors(&moments, path, MOMENTS);
    if (!status) status = scry__tuned_lens_read(state->tuned, lens);
    scry__snapshot_finish(&moments);
    scry__free(lens);
    return status;
}

static scry_status go_on(scry__lens_state *state, const char *path, const char *model)
{
    char         *file   = NULL;
    json_t       *record = NULL;
    const json_t *recipe = NULL;
    int64_t       step   = 0;
    scry_status   status = scry__checkpoint_read_json(&record, &file, path, RECORD);
    scry__json_at at     = {record, file};
    if (!status) status = scry__json_schema(at, SCHEMA);
    if (!status) status = check_model(state, model, at);
    if (!status) status = scry__json_object(at, "recipe", true, &recipe);
    if (!status) status = check_recipe(state, recipe, path);
    if (!status) status = scry__json_int(at, "step", true, 0, state->steps, &step);
    if (!status) status = read_losses(state->losses, state, step, at);
    if (!status) status = read_state(state, path);
    if (!status) state->step = (int)step;
    json_decref(record);
    scry__free(file);
    return status;
}

scry_status scry__lens_checkpoints_open(scry__lens_checkpoints *checkpoints, scry__lens_state *state,
                                        const scry_tune_lens_options *options)
{
    char *newest      = NULL;
    *checkpoints      = (scry__lens_checkpoints){.folder = options->checkpoints,
                                                 .every  = options->checkpoint_every ? options->checkpoint_every : EVERY};
    checkpoints->lock = -1;
    if (!checkpoints->folder) return SCRY_OK;
    scry_status status =
        scry__checkpoints_open(&checkpoints->lock, &newest, checkpoints->folder, needed, options->resume);
    if (!status) status = hash_model(checkpoints->model, state->tuned->model);
    if (!status && newest) status = go_on(state, newest, checkpoints->model);
    scry__free(newest);
    return status;
}

void scry__lens_checkpoints_close(scry__lens_checkpoints *checkpoints)
{
    if (checkpoints->lock < 0) return;
    scry__checkpoints_remove(checkpoints->folder, 0);
    scry__folder_unlock(checkpoints->lock);
    checkpoints->lock = -1;
}

scry_status scry_tuned_lens_remove_checkpoints(const char *folder)
{
    int         lock;
    scry_status status = scry__folder_lock(&lock, folder);
    if (status) return status;
    status = scry__checkpoints_remove(folder, INT_MAX);
    scry__folder_unlock(lock);
    return status;
}

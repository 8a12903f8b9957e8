/* A tuned lens as a file, and whether it is for a model. See scry/tune_lens.h. */
#include "analysis/tuned_lens.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_build.h"
#include "base/sha256.h"
#include "base/text.h"
#include "model/safetensors_write.h"

#include <stdio.h>
#include <string.h>

static const char format[] = "scry.tuned_lens/1";

/* Floats that are hashed at a time. */
enum { PORTION = 1 << 18, NAME_SIZE = 32, NUMBER_SIZE = 24 };

/* --- what the model reads the final stream by --- */

/* Adds a weight [n, d] or [d] as f32, whatever it is stored as. `staging` holds PORTION floats, or a row. */
static scry_status add_weight(scry__sha256 *hash, scry_device *device, const scry_tensor *weight, scry_buffer *staging,
                              float *host)
{
    int64_t     columns = weight->rank > 1 ? weight->shape[1] : 1, rows = weight->shape[0];
    int64_t     most   = columns < PORTION ? PORTION / columns : 1;
    scry_status status = SCRY_OK;
    for (int64_t row = 0; row < rows && !status; row += most) {
        int64_t     count = rows - row < most ? rows - row : most;
        scry_tensor part  = scry_tensor_slice(*weight, 0, row, count);
        scry_op     op    = {.kind = SCRY_OP_COPY,
                             .copy = {part, scry_tensor_of(staging, 0, SCRY_F32, part.rank, part.shape)}};
        size_t      bytes = (size_t)(count * columns) * sizeof(float);
        status            = scry_device_run(device, &op);
        if (!status) status = scry_buffer_read(staging, 0, host, bytes);
        if (!status) scry__sha256_add(hash, host, bytes);
    }
    return status;
}

/* Of the unembedding, its bias, the final norm's weight and its bias, those that there are, as f32. */
static scry_status fingerprint(char out[SCRY__SHA256_TEXT], const scry_model *model)
{
    const scry__weights *weights  = &model->weights;
    const scry_tensor   *hashed[] = {&weights->unembedding, &weights->unembedding_bias, &weights->final_norm.weight,
                                     &weights->final_norm.bias};
    int64_t              most     = model->arch.hidden_size > PORTION ? model->arch.hidden_size : PORTION;
    scry_buffer         *staging  = NULL;
    scry__sha256         hash;
    float               *host   = scry__alloc((size_t)most, sizeof *host);
    scry_status          status = host ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry_buffer_create(&staging, model->device, (size_t)most * sizeof *host);
    scry__sha256_begin(&hash);
    for (size_t i = 0; i < sizeof hashed / sizeof *hashed && !status; i++)
        if (hashed[i]->buffer) status = add_weight(&hash, model->device, hashed[i], staging, host);
    if (!status) scry__sha256_end(&hash, out);
    scry_buffer_destroy(&staging);
    scry__free(host);
    return status;
}

/* --- metadata --- */

/* What a file says of the model that it is for. */
struct identity {
    const char *family;
    char        layers[NUMBER_SIZE], size[NUMBER_SIZE], sha256[SCRY__SHA256_TEXT];
};

static scry_status identify(struct identity *identity, const scry_tuned_lens *tuned)
{
    identity->family = scry_model_get_info(tuned->model)->family;
    snprintf(identity->layers, NUMBER_SIZE, "%d", tuned->layer_count);
    snprintf(identity->size, NUMBER_SIZE, "%lld", (long long)tuned->size);
    return fingerprint(identity->sha256, tuned->model);
}

static scry_status describe(json_t **out, const scry_tuned_lens *tuned, const struct identity *identity)
{
    scry__json_builder builder  = {0};
    json_t            *metadata = scry__json_new_object(&builder);
    scry__json_set_text(&builder, metadata, "format", format);
    scry__json_set_text(&builder, metadata, "family", identity->family);
    scry__json_set_text(&builder, metadata, "layer_count", identity->layers);
    scry__json_set_text(&builder, metadata, "hidden_size", identity->size);
    scry__json_set_text(&builder, metadata, "unembedding_sha256", identity->sha256);
    if (tuned->recipe) scry__json_set_text(&builder, metadata, "recipe", tuned->recipe);
    return scry__json_finish(&builder, metadata, out);
}

static scry_status check_metadata(const scry__safetensors *file, const scry_model *model,
                                  const struct identity *identity)
{
    const struct {
        const char *key, *what, *expected;
    } facts[]         = {{"family", "family", identity->family},
                         {"layer_count", "number of blocks", identity->layers},
                         {"hidden_size", "hidden size", identity->size},
                         {"unembedding_sha256", "SHA-256 of unembedding and final norm", identity->sha256}};
    const char *found = json_string_value(json_object_get(file->metadata, "format"));
    if (!found || strcmp(found, format))
        return scry__fail(SCRY_BAD_INPUT, "%s: format \"%s\": expected a tuned lens, \"%s\"", file->path,
                          found ? found : "", format);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        found = json_string_value(json_object_get(file->metadata, facts[i].key));
        if (!found || strcmp(found, facts[i].expected))
            return scry__fail(SCRY_BAD_INPUT, "%s: a tuned lens for another model: %s %s: expected %s, as %s has",
                              file->path, facts[i].what, found ? found : "missing", facts[i].expected,
                              scry_model_get_info(model)->path);
    }
    return SCRY_OK;
}

/* --- tensors --- */

scry_status scry__tuned_lens_list(scry__snapshot *snapshot, const scry_tuned_lens *tuned, scry_buffer *buffer,
                                  const char *prefix)
{
    scry_status status = SCRY_OK;
    char        name[NAME_SIZE];
    for (int layer = 0; layer < tuned->layer_count && !status; layer++) {
        const scry_tensor weight = scry__tuned_lens_weight(tuned, buffer, layer);
        const scry_tensor bias   = scry__tuned_lens_bias(tuned, buffer, layer);
        snprintf(name, sizeof name, "layer.%d.weight", layer);
        status = scry__snapshot_add(snapshot, prefix, name, &weight);
        snprintf(name, sizeof name, "layer.%d.bias", layer);
        if (!status) status = scry__snapshot_add(snapshot, prefix, name, &bias);
    }
    return status;
}

static scry_status read_layers(const scry_tuned_lens *tuned, const scry__safetensors *file)
{
    scry__snapshot snapshot = {0};
    scry_status    status   = scry__tuned_lens_list(&snapshot, tuned, tuned->values, "");
    if (!status) status = scry__snapshot_put_back(&snapshot, file);
    if (!status && file->count != snapshot.count)
        status = scry__fail(SCRY_BAD_INPUT, "%s: %d tensors: expected %d", file->path, file->count, snapshot.count);
    scry__snapshot_finish(&snapshot);
    return status;
}

/* NULL where the file does not say how it was trained. */
static scry_status read_recipe(char **out, const scry__safetensors *file)
{
    const char *recipe = json_string_value(json_object_get(file->metadata, "recipe"));
    *out               = recipe ? scry__strdup(recipe) : NULL;
    return recipe && !*out ? SCRY_OUT_OF_MEMORY : SCRY_OK;
}

scry_status scry__tuned_lens_read(scry_tuned_lens *tuned, const char *path)
{
    scry__safetensors *file     = NULL;
    struct identity    identity = {0};
    char              *recipe   = NULL;
    scry_status        status   = scry__safetensors_open(&file, path);
    if (!status) status = identify(&identity, tuned);
    if (!status) status = check_metadata(file, tuned->model, &identity);
    if (!status) status = read_recipe(&recipe, file);
    if (!status) status = read_layers(tuned, file);
    if (!status) {
        scry__free(tuned->recipe);
        tuned->recipe = recipe;
    } else {
        scry__free(recipe);
    }
    scry__safetensors_close(&file);
    return status;
}

scry_status scry_tuned_lens_open(scry_tuned_lens **out, scry_model *model, const char *path)
{
    scry_status status = scry_tuned_lens_create(out, model);
    if (!status) status = scry__tuned_lens_read(*out, path);
    if (status) scry_tuned_lens_destroy(out);
    return status;
}

scry_status scry_tuned_lens_write(const scry_tuned_lens *tuned, const char *path)
{
    json_t         *metadata = NULL;
    struct identity identity = {0};
    scry__snapshot  snapshot = {0};
    scry_status     status   = identify(&identity, tuned);
    if (!status) status = describe(&metadata, tuned, &identity);
    if (!status) status = scry__tuned_lens_list(&snapshot, tuned, tuned->values, "");
    if (!status) status = scry__snapshot_take(&snapshot);
    if (!status) status = scry__safetensors_write(path, snapshot.tensors, snapshot.count, metadata);
    scry__snapshot_finish(&snapshot);
    json_decref(metadata);
    return status;
}

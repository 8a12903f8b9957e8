/* Opening a checkpoint directory as a model. See scry/model.h. */
#include "model/model.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "model/family.h"
#include "model/twin.h"

static void fill_info(scry_model *model)
{
    const scry__arch *arch = &model->arch;
    model->info            = (scry_model_info){
                   .family          = arch->family->type,
                   .path            = model->path,
                   .layer_count     = (int)arch->layer_count,
                   .head_count      = (int)arch->head_count,
                   .kv_head_count   = (int)arch->kv_head_count,
                   .head_size       = (int)arch->head_size,
                   .hidden_size     = (int)arch->hidden_size,
                   .mlp_size        = (int)arch->mlp_size,
                   .vocabulary      = (int)arch->vocabulary,
                   .context         = (int)arch->context,
                   .weight_dtype    = model->weights.embedding.dtype,
                   .parameter_count = model->weights.parameter_count,
                   .weight_bytes    = model->weights.bytes,
                   .streamed        = model->weights.stream != NULL,
                   .random_init     = model->options.random_init,
                   .random_seed     = model->options.random_seed,
    };
}

/* Bytes of device memory that the weights may take. Where nobody says, they leave an eighth of a card's own memory to
 * the activations; devices that share the host's memory use the checkpoint's map in place. */
static uint64_t most_weight_bytes(const scry_model *model)
{
    const scry_device_info *info = scry_device_get_info(model->device);
    if (model->options.weight_memory) return model->options.weight_memory;
    if (info->type != SCRY_DEVICE_DISCRETE_GPU || !info->memory_bytes) return UINT64_MAX;
    return info->memory_bytes - info->memory_bytes / 8;
}

static scry_status open_weights(scry_model *model)
{
    const scry_model_options *options = &model->options;
    if (options->random_init)
        return scry__twin_draw(&model->checkpoint, &model->arch, model->path, options->random_seed);
    return scry__safetensors_open(&model->checkpoint, model->path);
}

scry_status scry_model_open(scry_model **out, scry_device *device, const char *path, const scry_model_options *options)
{
    if (!device || !path) return scry__fail(SCRY_BAD_ARGUMENT, "a model needs a device and a directory");
    scry_model *model = scry__alloc(1, sizeof *model);
    if (!model) return SCRY_OUT_OF_MEMORY;
    scry_status status = SCRY_OUT_OF_MEMORY;
    model->device      = device;
    model->path        = scry__strdup(path);
    if (options) model->options = *options;
    if (model->path) status = scry__arch_read(&model->arch, path);
    if (!status) status = open_weights(model);
    if (!status)
        status = scry__weights_bind(&model->weights, &model->arch, model->checkpoint, device, most_weight_bytes(model),
                                    model->options.trainable);
    if (status) {
        scry_model_destroy(&model);
        return status;
    }
    fill_info(model);
    *out = model;
    return SCRY_OK;
}

void scry_model_destroy(scry_model **model)
{
    scry_model *self = model ? *model : NULL;
    if (!self) return;
    scry_tokenizer_destroy(&self->tokenizer);
    scry__weights_finish(&self->weights);
    scry__safetensors_close(&self->checkpoint);
    scry__arch_finish(&self->arch);
    scry__free(self->path);
    scry__free(self);
    *model = NULL;
}

const scry_model_info *scry_model_get_info(const scry_model *model)
{
    return &model->info;
}

scry_device *scry_model_device(const scry_model *model)
{
    return model->device;
}

scry_status scry__model_find_tokenizer(scry_model *model, const scry_tokenizer **out)
{
    scry_status status = SCRY_OK;
    if (!model->tokenizer) {
        char *path = scry__path_join(model->path, "tokenizer.json");
        if (!path) return SCRY_OUT_OF_MEMORY;
        if (scry__file_exists(path)) status = scry_tokenizer_open(&model->tokenizer, path);
        scry__free(path);
    }
    *out = model->tokenizer;
    return status;
}

scry_status scry__model_need_tokenizer(scry_model *model, const scry_tokenizer **out)
{
    scry_status status = scry__model_find_tokenizer(model, out);
    if (status || *out) return status;
    return scry__fail(SCRY_BAD_INPUT, "%s: no tokenizer.json: give token ids instead of text", model->path);
}

const scry_tokenizer *scry_model_tokenizer(scry_model *model)
{
    const scry_tokenizer *tokenizer;
    return scry__model_need_tokenizer(model, &tokenizer) ? NULL : tokenizer;
}

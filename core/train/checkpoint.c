/* What lies in the checkpoints of a training. See checkpoint.h. */
#include "train/checkpoint.h"

#include "base/alloc.h"
#include "base/file.h"
#include "train/recipe.h"
#include "train/record.h"

#include <string.h>

static const size_t max_tokenizer = (size_t)1 << 30;

/* What every checkpoint has. */
static const char *const needed[] = {"config.json", SCRY__CHECKPOINT_WEIGHTS, SCRY__CHECKPOINT_MOMENTS,
                                     "recipe.json", "training.json",          NULL};

/* What is copied of a tokenizer, where it is there; the first has to be. */
static const char *const tokenizer_files[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};

/* --- writing --- */

scry_status scry__checkpoint_write_config(const char *folder, const scry_recipe *recipe)
{
    scry__json_builder builder = {0};
    return scry__checkpoint_write_json(folder, "config.json", &builder, scry__recipe_config(&builder, recipe));
}

static scry_status write_recipe(const char *folder, const scry_recipe *recipe)
{
    scry__json_builder builder = {0};
    return scry__checkpoint_write_json(folder, "recipe.json", &builder, scry__recipe_json(&builder, recipe));
}

static scry_status write_record(const char *folder, const scry_training *training, const char *digest)
{
    scry__json_builder builder = {0};
    return scry__checkpoint_write_json(folder, "training.json", &builder,
                                       scry__record_json(&builder, training, digest));
}

static scry_status copy_file(const char *from, const char *to, const char *name, bool required)
{
    char       *source = scry__path_join(from, name), *target = scry__path_join(to, name), *bytes = NULL;
    size_t      size;
    scry_status status = source && target ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status && (required || scry__file_exists(source))) {
        status = scry__file_read(&bytes, &size, source, max_tokenizer);
        if (!status) status = scry__file_write(target, bytes, size);
    }
    scry__free(bytes);
    scry__free(target);
    scry__free(source);
    return status;
}

/* The recipe names tokenizer.json or its folder. */
static scry_status copy_tokenizer(const char *folder, const char *tokenizer)
{
    scry_status status = SCRY_OK;
    size_t      size = strlen(tokenizer), file = strlen(tokenizer_files[0]);
    bool        named = size >= file && !strcmp(tokenizer + size - file, tokenizer_files[0]);
    char       *from  = named ? scry__strndup(tokenizer, size - file) : scry__strdup(tokenizer);
    if (!from) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < sizeof tokenizer_files / sizeof *tokenizer_files && !status; i++)
        status = copy_file(from, folder, tokenizer_files[i], i == 0);
    scry__free(from);
    return status;
}

static scry_status fill(void *user, const char *folder)
{
    const scry__checkpoint *checkpoint = user;
    const scry_recipe      *recipe     = checkpoint->training->recipe;
    scry_status             status     = scry__checkpoint_write_config(folder, recipe);
    if (!status) status = write_recipe(folder, recipe);
    if (!status) status = write_record(folder, checkpoint->training, checkpoint->digest);
    if (!status)
        status = scry__checkpoint_write_tensors(folder, SCRY__CHECKPOINT_WEIGHTS, checkpoint->weights,
                                                checkpoint->weight_count);
    if (!status)
        status = scry__checkpoint_write_tensors(folder, SCRY__CHECKPOINT_MOMENTS, checkpoint->moments,
                                                checkpoint->moment_count);
    return !status && recipe->tokenizer ? copy_tokenizer(folder, recipe->tokenizer) : status;
}

scry_status scry__checkpoint_write(char **path, const char *folder, const scry__checkpoint *checkpoint)
{
    const scry_training *training = checkpoint->training;
    scry__checkpoint     filled   = *checkpoint;
    return scry__checkpoints_write(path, folder, training->step, training->recipe->steps, fill, &filled);
}

/* --- reading --- */

scry_status scry__checkpoint_check(const char *path)
{
    return scry__checkpoint_check_files(path, needed);
}

scry_status scry_checkpoint_find(char **path, int *step, const char *folder)
{
    return scry__checkpoints_find(path, step, folder, needed);
}

scry_status scry__checkpoint_open(int *lock, char **newest, const char *folder, bool resume)
{
    return scry__checkpoints_open(lock, newest, folder, needed, resume);
}

scry_status scry__checkpoint_read(scry_training **out, char **digest, const char *path)
{
    json_t      *recipe_object = NULL, *record = NULL;
    scry_recipe *recipe   = NULL;
    char        *files[2] = {NULL, NULL};
    scry_status  status   = scry__checkpoint_read_json(&recipe_object, &files[0], path, "recipe.json");
    if (!status) status = scry__recipe_read(&recipe, (scry__json_at){recipe_object, files[0]});
    if (!status) status = scry__checkpoint_read_json(&record, &files[1], path, "training.json");
    if (!status) status = scry__record_read(out, digest, recipe, (scry__json_at){record, files[1]});
    scry_recipe_destroy(&recipe);
    json_decref(record);
    json_decref(recipe_object);
    for (int i = 0; i < 2; i++) scry__free(files[i]);
    return status;
}

scry_status scry_training_read(scry_training **out, const char *checkpoint)
{
    return scry__checkpoint_read(out, NULL, checkpoint);
}

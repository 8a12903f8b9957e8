/* Writing, checking, finding and reading checkpoints of a training. See checkpoint.h. */
#include "train/checkpoint.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/sha256.h"
#include "base/text.h"
#include "model/safetensors_write.h"
#include "train/recipe.h"
#include "train/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUMS "SHA256SUMS"

static const size_t max_sums = (size_t)1 << 20, max_state = (size_t)1 << 30, max_tokenizer = (size_t)1 << 30;

/* What every checkpoint has. */
static const char *const needed[] = {"config.json", SCRY__CHECKPOINT_WEIGHTS, SCRY__CHECKPOINT_MOMENTS, "recipe.json",
                                     "training.json"};

/* What is copied of a tokenizer, where it is there; the first has to be. */
static const char *const tokenizer_files[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};

/* --- writing --- */

/* Takes over the object. */
static scry_status write_json(const char *folder, const char *name, scry__json_builder *builder, json_t *object)
{
    scry__text  text   = {0};
    char       *path   = scry__path_join(folder, name);
    scry_status status = path ? builder->status : SCRY_OUT_OF_MEMORY;
    if (!status) {
        scry__json_dump(&text, object, true);
        status = text.status ? text.status : scry__file_write(path, text.data, text.size);
    }
    json_decref(object);
    scry__text_finish(&text);
    scry__free(path);
    return status;
}

scry_status scry__checkpoint_write_config(const char *folder, const scry_recipe *recipe)
{
    scry__json_builder builder = {0};
    return write_json(folder, "config.json", &builder, scry__recipe_config(&builder, recipe));
}

static scry_status write_recipe(const char *folder, const scry_recipe *recipe)
{
    scry__json_builder builder = {0};
    return write_json(folder, "recipe.json", &builder, scry__recipe_json(&builder, recipe));
}

static scry_status write_record(const char *folder, const scry_training *training, const char *digest)
{
    scry__json_builder builder = {0};
    return write_json(folder, "training.json", &builder, scry__record_json(&builder, training, digest));
}

static scry_status write_tensors(const char *folder, const char *name, const scry__stored *tensors, int count)
{
    scry__json_builder builder  = {0};
    json_t            *metadata = scry__json_new_object(&builder);
    char              *path     = scry__path_join(folder, name);
    scry__json_set_text(&builder, metadata, "format", "pt"); /* without it transformers refuses the file */
    scry_status status = path ? builder.status : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__safetensors_write(path, tensors, count, metadata);
    json_decref(metadata);
    scry__free(path);
    return status;
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

/* As sha256sum writes it: the digest, two spaces, the name. */
static scry_status write_sums(const char *folder)
{
    scry__text  text = {0};
    char      **names;
    int         count;
    scry_status status = scry__folder_list(&names, &count, folder);
    if (status) return status;
    for (int i = 0; i < count && !status; i++) {
        char  digest[SCRY__SHA256_TEXT];
        char *path = scry__path_join(folder, names[i]);
        status     = path ? scry__sha256_file(digest, path) : SCRY_OUT_OF_MEMORY;
        if (!status) scry__text_addf(&text, "%s  %s\n", digest, names[i]);
        scry__free(path);
    }
    scry__folder_free_names(names, count);
    char *path = scry__path_join(folder, SUMS);
    if (!status) status = path ? text.status : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__file_write(path, text.data, text.size);
    scry__free(path);
    scry__text_finish(&text);
    return status;
}

/* Numbers are as wide as the last one, so that names sort as steps do. */
static char *checkpoint_path(const char *folder, const scry_training *training)
{
    scry__text text = {0};
    char      *name = NULL, *path;
    int        wide = snprintf(NULL, 0, "%d", training->recipe->steps);
    scry__text_addf(&text, SCRY__CHECKPOINT_PREFIX "%0*d", wide, training->step);
    if (scry__text_take(&text, &name, NULL)) return NULL;
    path = scry__path_join(folder, name);
    scry__free(name);
    return path;
}

static scry_status fill(const char *folder, const scry__checkpoint *checkpoint)
{
    const scry_recipe *recipe = checkpoint->training->recipe;
    scry_status        status = scry__checkpoint_write_config(folder, recipe);
    if (!status) status = write_recipe(folder, recipe);
    if (!status) status = write_record(folder, checkpoint->training, checkpoint->digest);
    if (!status)
        status = write_tensors(folder, SCRY__CHECKPOINT_WEIGHTS, checkpoint->weights, checkpoint->weight_count);
    if (!status)
        status = write_tensors(folder, SCRY__CHECKPOINT_MOMENTS, checkpoint->moments, checkpoint->moment_count);
    if (!status && recipe->tokenizer) status = copy_tokenizer(folder, recipe->tokenizer);
    return status ? status : write_sums(folder);
}

scry_status scry__checkpoint_write(char **path, const char *folder, const scry__checkpoint *checkpoint)
{
    scry__folder made;
    char        *name = checkpoint_path(folder, checkpoint->training);
    if (!name) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__folder_begin(&made, name);
    if (!status) {
        status = fill(made.temporary, checkpoint);
        if (!status) status = scry__folder_commit(&made);
        scry__folder_abort(&made);
    }
    if (!status && path)
        *path = name;
    else
        scry__free(name);
    return status;
}

/* --- checking --- */

/* One line of SHA256SUMS, whose end is *line's next; marks what is needed and was seen. */
static scry_status check_line(const char *folder, char **line, unsigned *seen)
{
    enum { DIGITS = SCRY__SHA256_TEXT - 1 };
    char *end  = strchr(*line, '\n');
    char *name = *line + DIGITS + 2;
    if (!end || end <= name || memcmp(*line + DIGITS, "  ", 2) || memchr(name, '/', (size_t)(end - name)))
        return scry__fail(SCRY_BAD_INPUT, "%s/" SUMS ": expected lines of a digest, two spaces and a name", folder);
    *end = 0;
    char        found[SCRY__SHA256_TEXT];
    char       *path   = scry__path_join(folder, name);
    scry_status status = path ? scry__sha256_file(found, path) : SCRY_OUT_OF_MEMORY;
    if (!status && memcmp(found, *line, DIGITS))
        status = scry__fail(SCRY_BAD_INPUT, "%s: its bytes are not those of " SUMS, path);
    scry__free(path);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!strcmp(name, needed[i])) *seen |= 1U << i;
    *line = end + 1;
    return status;
}

scry_status scry__checkpoint_check(const char *path)
{
    char       *sums = NULL, *file = scry__path_join(path, SUMS);
    size_t      size;
    unsigned    seen   = 0;
    scry_status status = file ? scry__file_read(&sums, &size, file, max_sums) : SCRY_OUT_OF_MEMORY;
    for (char *line = sums; !status && *line;) status = check_line(path, &line, &seen);
    for (size_t i = 0; !status && i < sizeof needed / sizeof *needed; i++)
        if (!(seen >> i & 1)) status = scry__fail(SCRY_BAD_INPUT, "%s: no line for %s", file, needed[i]);
    scry__free(sums);
    scry__free(file);
    return status;
}

/* --- finding --- */

/* N of "step-N"; -1 where the name is another. */
static int step_of(const char *name)
{
    size_t prefix = strlen(SCRY__CHECKPOINT_PREFIX), digits;
    if (strncmp(name, SCRY__CHECKPOINT_PREFIX, prefix)) return -1;
    digits = strspn(name + prefix, "0123456789");
    if (!digits || digits > 9 || name[prefix + digits]) return -1;
    return atoi(name + prefix);
}

/* The place of the newest step below `before`; -1: none. */
static int newest(char **names, int count, int before)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        int step = step_of(names[i]);
        if (step >= 0 && step < before && (best < 0 || step > step_of(names[best]))) best = i;
    }
    return best;
}

scry_status scry_checkpoint_find(char **path, int *step, const char *folder)
{
    char      **names;
    int         count, found, before = INT32_MAX;
    scry_status status = scry__folder_list(&names, &count, folder);
    *path              = NULL;
    while (!status && !*path && (found = newest(names, count, before)) >= 0) {
        char       *candidate = scry__path_join(folder, names[found]);
        scry_status checked   = candidate ? scry__checkpoint_check(candidate) : SCRY_OUT_OF_MEMORY;
        before                = step_of(names[found]);
        if (!checked) {
            *path = candidate;
            *step = before;
            break;
        }
        if (checked == SCRY_BAD_INPUT)
            scry__log(SCRY_LOG_WARNING, "passed over %s: %s", candidate, scry_last_error());
        else
            status = checked;
        scry__free(candidate);
    }
    scry__folder_free_names(names, count);
    return status;
}

/* --- reading --- */

static scry_status load(json_t **out, scry__json_at *at, char **file, const char *path, const char *name)
{
    *file = scry__path_join(path, name);
    if (!*file) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__json_load(out, *file, max_state);
    *at                = (scry__json_at){*out, *file};
    return status;
}

scry_status scry__checkpoint_read(scry_training **out, char **digest, const char *path)
{
    json_t       *recipe_object = NULL, *record = NULL;
    scry_recipe  *recipe   = NULL;
    char         *files[2] = {NULL, NULL};
    scry__json_at at;
    scry_status   status = load(&recipe_object, &at, &files[0], path, "recipe.json");
    if (!status) status = scry__recipe_read(&recipe, at);
    if (!status) status = load(&record, &at, &files[1], path, "training.json");
    if (!status) status = scry__record_read(out, digest, recipe, at);
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

/* Folders of checkpoints. See checkpoint_folder.h. */
#include "train/checkpoint_folder.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/sha256.h"
#include "base/text.h"
#include "model/safetensors_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUMS "SHA256SUMS"

static const size_t max_sums = (size_t)1 << 20, max_json = (size_t)1 << 30;

/* --- files --- */

scry_status scry__checkpoint_write_json(const char *folder, const char *name, scry__json_builder *builder,
                                        json_t *object)
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

scry_status scry__checkpoint_read_json(json_t **out, char **path, const char *folder, const char *name)
{
    *path = scry__path_join(folder, name);
    return *path ? scry__json_load(out, *path, max_json) : SCRY_OUT_OF_MEMORY;
}

scry_status scry__checkpoint_write_tensors(const char *folder, const char *name, const scry__stored *tensors, int count)
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

scry_status scry__checkpoint_read_tensors(const scry__snapshot *snapshot, const char *folder, const char *name)
{
    scry__safetensors *file   = NULL;
    char              *path   = scry__path_join(folder, name);
    scry_status        status = path ? scry__safetensors_open(&file, path) : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__snapshot_put_back(snapshot, file);
    scry__safetensors_close(&file);
    scry__free(path);
    return status;
}

/* --- writing --- */

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

static char *checkpoint_path(const char *folder, int step, int last)
{
    scry__text text = {0};
    char      *name = NULL, *path;
    scry__text_addf(&text, SCRY__CHECKPOINT_PREFIX "%0*d", snprintf(NULL, 0, "%d", last), step);
    if (scry__text_take(&text, &name, NULL)) return NULL;
    path = scry__path_join(folder, name);
    scry__free(name);
    return path;
}

scry_status scry__checkpoints_write(char **path, const char *folder, int step, int last,
                                    scry_status (*fill)(void *user, const char *folder), void *user)
{
    scry__folder made;
    char        *name = checkpoint_path(folder, step, last);
    if (!name) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__folder_begin(&made, name);
    if (!status) {
        status = fill(user, made.temporary);
        if (!status) status = write_sums(made.temporary);
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
static scry_status check_line(const char *folder, char **line, const char *const *needed, unsigned *seen)
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
    for (int i = 0; needed[i]; i++)
        if (!strcmp(name, needed[i])) *seen |= 1U << i;
    *line = end + 1;
    return status;
}

scry_status scry__checkpoint_check_files(const char *path, const char *const *needed)
{
    char       *sums = NULL, *file = scry__path_join(path, SUMS);
    size_t      size;
    unsigned    seen   = 0;
    scry_status status = file ? scry__file_read(&sums, &size, file, max_sums) : SCRY_OUT_OF_MEMORY;
    for (char *line = sums; !status && *line;) status = check_line(path, &line, needed, &seen);
    for (int i = 0; !status && needed[i]; i++)
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

scry_status scry__checkpoints_find(char **path, int *step, const char *folder, const char *const *needed)
{
    char      **names;
    int         count, found, before = INT32_MAX;
    scry_status status = scry__folder_list(&names, &count, folder);
    *path              = NULL;
    while (!status && !*path && (found = newest(names, count, before)) >= 0) {
        char       *candidate = scry__path_join(folder, names[found]);
        scry_status checked   = candidate ? scry__checkpoint_check_files(candidate, needed) : SCRY_OUT_OF_MEMORY;
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

scry_status scry__checkpoints_open(int *lock, char **newest, const char *folder, const char *const *needed, bool resume)
{
    int         step, removed;
    scry_status status = scry__folder_make(folder);
    *newest            = NULL;
    if (!status) status = scry__folder_lock(lock, folder);
    if (!status) status = scry__folder_sweep(folder, SCRY__CHECKPOINT_PREFIX, &removed);
    if (!status && removed)
        scry__log(SCRY_LOG_WARNING, "%s: removed %d unfinished checkpoint%s", folder, removed, removed == 1 ? "" : "s");
    if (!status) status = scry__checkpoints_find(newest, &step, folder, needed);
    if (!status && *newest && !resume)
        status = scry__fail(SCRY_BAD_ARGUMENT, "%s: there are checkpoints already: resume, or choose another output",
                            folder);
    return status;
}

scry_status scry__checkpoints_remove(const char *folder, int before)
{
    char      **names;
    int         count, left = 0;
    scry_status status = scry__folder_list(&names, &count, folder);
    for (int i = 0; i < count && !status; i++) {
        int step = step_of(names[i]);
        left += step < 0 || step >= before;
        if (step < 0 || step >= before) continue;
        char *path = scry__path_join(folder, names[i]);
        status     = path ? scry__folder_discard(path) : SCRY_OUT_OF_MEMORY;
        scry__free(path);
    }
    scry__folder_free_names(names, count);
    return status || left ? status : scry__folder_remove(folder);
}

/* --- going on --- */

scry_status scry__checkpoint_other_recipe(const char *path, const char *name)
{
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: its recipe has another %s: expected the same, to resume", path, name);
}

scry_status scry__checkpoint_other_data(const char *path, const char *data)
{
    return scry__fail(SCRY_BAD_INPUT, "%s: no longer what %s was trained on", data, path);
}

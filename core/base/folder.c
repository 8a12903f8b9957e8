/* Folders. See folder.h. */
#include "base/folder.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static scry_status folder_fail(const char *path, const char *what)
{
    return scry__fail(SCRY_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

scry_status scry__folder_make(const char *path)
{
    struct stat there;
    char       *copy = scry__strdup(path);
    if (!copy) return SCRY_OUT_OF_MEMORY;
    for (char *slash = copy; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
        *slash = 0;
        mkdir(copy, 0777); /* what is missing then shows at the last one */
    }
    scry__free(copy);
    if (!mkdir(path, 0777)) return SCRY_OK;
    if (errno != EEXIST) return folder_fail(path, "make this folder");
    if (!stat(path, &there) && S_ISDIR(there.st_mode)) return SCRY_OK;
    return scry__fail(SCRY_IO, "%s: expected a folder or a new name", path);
}

scry_status scry__folder_lock(int *lock, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return folder_fail(path, "open this folder");
    if (flock(descriptor, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        close(descriptor);
        return scry__fail(SCRY_IO, "%s: another process is at work in this folder", path);
    }
    *lock = descriptor; /* file systems that have no locks go without */
    return SCRY_OK;
}

void scry__folder_unlock(int lock)
{
    close(lock);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static scry_status add_name(char ***names, int *count, const char *name)
{
    char **grown = scry__realloc(*names, (size_t)*count + 1, sizeof **names);
    if (!grown) return SCRY_OUT_OF_MEMORY;
    *names        = grown;
    grown[*count] = scry__strdup(name);
    if (!grown[*count]) return SCRY_OUT_OF_MEMORY;
    ++*count;
    return SCRY_OK;
}

scry_status scry__folder_list(char ***names, int *count, const char *path)
{
    scry_status    status = SCRY_OK;
    struct dirent *entry;
    DIR           *folder = opendir(path);
    *names                = NULL;
    *count                = 0;
    if (!folder) return scry__fail(SCRY_BAD_INPUT, "%s: %s", path, strerror(errno));
    while (!status && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) status = add_name(names, count, entry->d_name);
    closedir(folder);
    if (*count) qsort(*names, (size_t)*count, sizeof **names, by_text);
    if (status) {
        scry__folder_free_names(*names, *count);
        *names = NULL;
        *count = 0;
    }
    return status;
}

void scry__folder_free_names(char **names, int count)
{
    for (int i = 0; i < count; i++) scry__free(names[i]);
    scry__free(names);
}

scry_status scry__folder_remove(const char *path)
{
    char      **names;
    int         count;
    scry_status status = scry__folder_list(&names, &count, path);
    for (int i = 0; i < count && !status; i++) {
        char *file = scry__path_join(path, names[i]);
        if (!file)
            status = SCRY_OUT_OF_MEMORY;
        else if (unlink(file))
            status = folder_fail(file, "remove");
        scry__free(file);
    }
    scry__folder_free_names(names, count);
    if (!status && rmdir(path)) status = folder_fail(path, "remove");
    return status;
}

/* --- whole or not at all --- */

static char *temporary_path(const char *path, const char *suffix)
{
    scry__text text = {0};
    char      *name = NULL;
    scry__text_addf(&text, "%s.%ld.%s", path, (long)getpid(), suffix);
    return scry__text_take(&text, &name, NULL) ? NULL : name;
}

static char *parent_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return scry__strdup(".");
    return scry__strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

scry_status scry__folder_begin(scry__folder *folder, const char *path)
{
    scry_status status = SCRY_OK;
    *folder            = (scry__folder){
                   .path = scry__strdup(path), .temporary = temporary_path(path, "part"), .parent = parent_path(path)};
    if (!folder->path || !folder->temporary || !folder->parent)
        status = SCRY_OUT_OF_MEMORY;
    else if (mkdir(folder->temporary, 0777))
        status = folder_fail(folder->temporary, "make this folder");
    if (status) {
        scry__free(folder->temporary);
        folder->temporary = NULL;
        scry__folder_abort(folder);
    }
    return status;
}

static scry_status sync_folder(const char *path)
{
    int         descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scry_status status     = SCRY_OK;
    if (descriptor < 0) return folder_fail(path, "open this folder");
    if (fsync(descriptor) && errno != EINVAL && errno != EROFS) status = folder_fail(path, "sync");
    close(descriptor);
    return status;
}

/* Moves what is at `path` away, to a name that is a leftover's until it is removed; *moved stays NULL where nothing is
 * there. */
static scry_status move_away(char **moved, const char *path)
{
    char *name = temporary_path(path, "old.part");
    if (!name) return SCRY_OUT_OF_MEMORY;
    if (!rename(path, name)) {
        *moved = name;
        return SCRY_OK;
    }
    scry_status status = errno == ENOENT ? SCRY_OK : folder_fail(path, "move away");
    scry__free(name);
    return status;
}

scry_status scry__folder_discard(const char *path)
{
    char       *moved  = NULL;
    scry_status status = move_away(&moved, path);
    if (!status && moved) status = scry__folder_remove(moved);
    scry__free(moved);
    return status;
}

scry_status scry__folder_commit(scry__folder *folder)
{
    char       *old    = NULL;
    scry_status status = sync_folder(folder->temporary);
    if (!status) status = move_away(&old, folder->path);
    if (!status && rename(folder->temporary, folder->path)) status = folder_fail(folder->path, "put in place");
    if (!status) {
        scry__free(folder->temporary);
        folder->temporary = NULL;
        status            = sync_folder(folder->parent);
    }
    if (!status && old) status = scry__folder_remove(old);
    scry__free(old);
    return status;
}

void scry__folder_abort(scry__folder *folder)
{
    if (folder->temporary) scry__folder_remove(folder->temporary);
    scry__free(folder->temporary);
    scry__free(folder->parent);
    scry__free(folder->path);
    *folder = (scry__folder){0};
}

static bool is_leftover(const char *name, const char *prefix)
{
    size_t size = strlen(name);
    return !strncmp(name, prefix, strlen(prefix)) && size > 5 && !strcmp(name + size - 5, ".part");
}

scry_status scry__folder_sweep(const char *path, const char *prefix, int *count)
{
    char      **names;
    int         name_count, removed = 0;
    scry_status status = scry__folder_list(&names, &name_count, path);
    for (int i = 0; i < name_count && !status; i++) {
        if (!is_leftover(names[i], prefix)) continue;
        char *leftover = scry__path_join(path, names[i]);
        status         = leftover ? scry__folder_remove(leftover) : SCRY_OUT_OF_MEMORY;
        scry__free(leftover);
        removed += !status;
    }
    scry__folder_free_names(names, name_count);
    if (count) *count = removed;
    return status;
}

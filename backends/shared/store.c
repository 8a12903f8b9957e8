/* Files found again by everything that their content depends on. See store.h.
 *
 * A file is `struct head`, the key, the content. Nothing in it is trusted: sizes are held against the file's own, and
 * the checksum covers key and content. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 28, PATH_BYTES = 4096 };

struct head {
    char     magic[8];
    uint64_t key_bytes, content_bytes, checksum;
};

static const char magic[8] = "scry\n\0\0\2";

static struct head head_of(struct scry__key key, const void *content, size_t size)
{
    struct head head = {.key_bytes = key.size, .content_bytes = size};
    memcpy(head.magic, magic, sizeof magic);
    head.checksum = scry__hash(scry__hash(SCRY__HASH_SEED, key.bytes, key.size), content, size);
    return head;
}

/* --- Where --- */

/* The directory, made where it is missing; false with errno where there is none. */
static bool find_directory(char *path, size_t size)
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"SCRY_CACHE_DIR", ""}, {"XDG_CACHE_HOME", "/scry"}, {"HOME", "/.cache/scry"}};

    const char *base = NULL;
    size_t      i    = 0;
    for (; i < sizeof places / sizeof *places; i++) {
        base = secure_getenv(places[i].variable);
        if (base && *base == '/') break;
    }
    errno = ENOENT;
    if (i == sizeof places / sizeof *places) return false;
    if ((size_t)snprintf(path, size, "%s%s", base, places[i].below) >= size) return false;
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    return !mkdir(path, 0700) || errno == EEXIST;
}

static bool find_path(char *path, size_t size, const struct scry__store *store, struct scry__key key)
{
    if (!find_directory(path, size)) return false;
    size_t used = strlen(path);
    return (size_t)snprintf(path + used, size - used, "/%s-%016llx.bin", store->name,
                            (unsigned long long)scry__hash(SCRY__HASH_SEED, key.bytes, key.size)) < size - used;
}

/* --- Loading --- */

/* Reads the whole file; NULL where there is none. */
static char *read_whole(const struct scry__store *store, const char *path, size_t *size)
{
    struct stat info;
    char       *bytes = NULL;
    int         file  = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return NULL;
    bool sound = !fstat(file, &info) && S_ISREG(info.st_mode) && info.st_size <= MOST_BYTES;
    *size      = sound ? (size_t)info.st_size : 0;
    if (*size) bytes = store->host->allocate(*size, 1);
    size_t done = 0;
    while (bytes && done < *size) {
        ssize_t got = read(file, bytes + done, *size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    close(file);
    *size = done;
    return bytes;
}

/* The content in a file's bytes; NULL where it is not this key's, or not as it was written. */
static const char *find_content(const char *bytes, size_t size, struct scry__key key, size_t *content_bytes)
{
    if (size < sizeof(struct head) || key.size >= size - sizeof(struct head)) return NULL;
    const char *found    = bytes + sizeof(struct head);
    *content_bytes       = size - sizeof(struct head) - key.size;
    struct head expected = head_of((struct scry__key){found, key.size}, found + key.size, *content_bytes);
    return memcmp(bytes, &expected, sizeof expected) || memcmp(found, key.bytes, key.size) ? NULL : found + key.size;
}

struct scry__found scry__store_load(const struct scry__store *store, struct scry__key key)
{
    struct scry__found found = {0};
    char               path[PATH_BYTES];
    size_t             size;
    if (!key.bytes || !find_path(path, sizeof path, store, key)) return found;
    found.file = read_whole(store, path, &size);
    if (!found.file) return found;
    found.content = find_content(found.file, size, key, &found.size);
    if (found.content)
        utimensat(AT_FDCWD, path, NULL, 0); /* used last */
    else
        store->host->log(SCRY_LOG_DEBUG, "%s: %s is not usable: it will be replaced", store->name, path);
    return found;
}

/* --- Saving --- */

/* Removes the file that was used longest ago where there are as many as there may be: what keys depend on changes, and
 * what they leave behind is never asked for again. */
static void make_room(const struct scry__store *store, const char *path)
{
    char            directory[PATH_BYTES], oldest[NAME_MAX + 1] = "";
    struct dirent  *entry;
    struct stat     info;
    struct timespec when  = {0};
    int             count = 0;
    size_t          named = strlen(store->name);
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    DIR *folder = opendir(directory);
    while (folder && (entry = readdir(folder))) {
        if (strncmp(entry->d_name, store->name, named) || entry->d_name[named] != '-' ||
            fstatat(dirfd(folder), entry->d_name, &info, 0))
            continue;
        struct timespec used = info.st_mtim;
        count++;
        if (*oldest && (used.tv_sec > when.tv_sec || (used.tv_sec == when.tv_sec && used.tv_nsec >= when.tv_nsec)))
            continue;
        when = used;
        snprintf(oldest, sizeof oldest, "%s", entry->d_name);
    }
    if (count >= store->most_files) unlinkat(dirfd(folder), oldest, 0);
    if (folder) closedir(folder);
}

static bool write_all(int file, const void *bytes, size_t size)
{
    for (const char *at = bytes; size;) {
        ssize_t put = write(file, at, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

/* Temporary name, fsync, rename. False with errno. */
static bool write_file(const char *path, struct scry__key key, const void *content, size_t size)
{
    char        temporary[PATH_BYTES + 8];
    struct head head = head_of(key, content, size);
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0) return false;
    bool done = write_all(file, &head, sizeof head) && write_all(file, key.bytes, key.size) &&
                write_all(file, content, size) && !fsync(file);
    int reason = errno;
    done       = !close(file) && done && !rename(temporary, path);
    if (done) return true;
    unlink(temporary);
    errno = reason;
    return false;
}

void scry__store_save(struct scry__store *store, struct scry__key key, const void *content, size_t size)
{
    char path[PATH_BYTES];
    if (!key.bytes || !size || size > MOST_BYTES - sizeof(struct head) - key.size) return;
    if (find_path(path, sizeof path, store, key)) {
        make_room(store, path);
        if (write_file(path, key, content, size)) return;
    }
    if (!store->refused)
        store->host->log(SCRY_LOG_INFO,
                         "%s: %s: the cache cannot be written (%s); SCRY_CACHE_DIR names a directory for it",
                         store->name, store->without, strerror(errno));
    store->refused = true;
}

/* Files: maps, reads, and outputs that appear whole or not at all. See file.h. */
#include "base/file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static scry_status open_regular(int *descriptor, size_t *size, const char *path)
{
    struct stat info;
    int         fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return scry__fail(SCRY_BAD_INPUT, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
        close(fd);
        return scry__fail(SCRY_BAD_INPUT, "%s: not a regular file", path);
    }
    *descriptor = fd;
    *size       = (size_t)info.st_size;
    return SCRY_OK;
}

scry_status scry__map_open(scry__map *map, const char *path)
{
    int         fd;
    scry_status status = open_regular(&fd, &map->size, path);
    if (status) return status;
    map->data = NULL;
    if (map->size) {
        void *data = mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = scry__fail(SCRY_IO, "%s: cannot map %zu bytes: %s", path, map->size, strerror(errno));
        else
            map->data = data;
    }
    close(fd);
    return status;
}

void scry__map_close(scry__map *map)
{
    if (map->data) munmap((void *)map->data, map->size);
    *map = (scry__map){0};
}

scry_status scry__file_read(char **data, size_t *size, const char *path, size_t limit)
{
    int         fd;
    size_t      total, done = 0;
    scry_status status = open_regular(&fd, &total, path);
    char       *bytes  = NULL;
    if (status) return status;
    if (total > limit) {
        status = scry__fail(SCRY_BAD_INPUT, "%s: %zu bytes, more than the %zu expected at most", path, total, limit);
        goto fail;
    }
    bytes = scry__alloc(total + 1, 1);
    if (!bytes) {
        status = SCRY_OUT_OF_MEMORY;
        goto fail;
    }
    while (done < total) {
        ssize_t got = read(fd, bytes + done, total - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            status = scry__fail(SCRY_IO, "%s: read stopped at byte %zu of %zu: %s", path, done, total,
                                got ? strerror(errno) : "the file became shorter");
            goto fail;
        }
        done += (size_t)got;
    }
    close(fd);
    *data = bytes;
    *size = total;
    return SCRY_OK;
fail:
    scry__free(bytes);
    close(fd);
    return status;
}

bool scry__file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *scry__path_join(const char *directory, const char *name)
{
    scry__text text = {0};
    char      *path = NULL;
    size_t     size = strlen(directory);
    scry__text_addf(&text, "%s%s%s", directory, !size || directory[size - 1] == '/' ? "" : "/", name);
    return scry__text_take(&text, &path, NULL) ? NULL : path;
}

static scry_status writer_fail(const scry__writer *writer, const char *what)
{
    return scry__fail(SCRY_IO, "%s: cannot %s: %s", writer->path, what, strerror(errno));
}

/* A file without a name in the folder of `path`; -1 where that cannot be, or could not be given its name later. */
static int open_unnamed(const char *path)
{
    int descriptor = -1;
#ifdef O_TMPFILE
    char *folder = access("/proc/self/fd", X_OK) ? NULL : scry__strdup(path);
    char *slash  = folder ? strrchr(folder, '/') : NULL;
    if (slash) slash[slash == folder] = 0;
    if (folder) descriptor = open(slash ? folder : ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
    scry__free(folder);
#else
    (void)path;
#endif
    return descriptor;
}

/* Gives an unnamed file its temporary name. */
static scry_status name_it(scry__writer *writer)
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", writer->descriptor);
    if (linkat(AT_FDCWD, link, AT_FDCWD, writer->temporary, AT_SYMLINK_FOLLOW)) return writer_fail(writer, "name");
    writer->named = true;
    return SCRY_OK;
}

scry_status scry__writer_open(scry__writer *writer, const char *path)
{
    scry__text  name   = {0};
    scry_status status = SCRY_OK;
    struct stat there;
    *writer = (scry__writer){.descriptor = -1};
    if (!stat(path, &there) && !S_ISREG(there.st_mode))
        return scry__fail(SCRY_IO, "%s: expected a regular file or a new name", path);
    writer->path = scry__strdup(path);
    if (!writer->path) return SCRY_OUT_OF_MEMORY;
    scry__text_addf(&name, "%s.%ld.part", path, (long)getpid());
    status = scry__text_take(&name, &writer->temporary, NULL);
    if (!status) writer->descriptor = open_unnamed(path);
    if (!status && writer->descriptor < 0) {
        writer->descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        writer->named      = writer->descriptor >= 0;
        if (!writer->named) status = writer_fail(writer, "create");
    }
    if (status) scry__writer_abort(writer);
    return status;
}

scry_status scry__writer_write_at(scry__writer *writer, uint64_t offset, const void *data, size_t size)
{
    const char *bytes = data;
    while (size) {
        ssize_t put = pwrite(writer->descriptor, bytes, size, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return writer_fail(writer, "write");
        bytes += put;
        size -= (size_t)put;
        offset += (uint64_t)put;
    }
    return SCRY_OK;
}

scry_status scry__writer_write(scry__writer *writer, const void *data, size_t size)
{
    scry_status status = scry__writer_write_at(writer, writer->offset, data, size);
    if (!status) writer->offset += size;
    return status;
}

scry_status scry__writer_commit(scry__writer *writer)
{
    scry_status status = SCRY_OK;
    if (fsync(writer->descriptor) && errno != EINVAL && errno != EROFS) status = writer_fail(writer, "sync");
    if (!status && !writer->named) status = name_it(writer);
    if (close(writer->descriptor) && !status) status = writer_fail(writer, "close");
    writer->descriptor = -1;
    if (!status && rename(writer->temporary, writer->path)) status = writer_fail(writer, "put in place");
    if (!status) writer->named = false;
    scry__writer_abort(writer);
    return status;
}

void scry__writer_abort(scry__writer *writer)
{
    if (writer->descriptor >= 0) close(writer->descriptor);
    if (writer->named) unlink(writer->temporary);
    scry__free(writer->temporary);
    scry__free(writer->path);
    *writer = (scry__writer){.descriptor = -1};
}

scry_status scry__file_write(const char *path, const void *data, size_t size)
{
    scry__writer writer;
    scry_status  status = scry__writer_open(&writer, path);
    if (status) return status;
    status = scry__writer_write(&writer, data, size);
    if (!status) return scry__writer_commit(&writer);
    scry__writer_abort(&writer);
    return status;
}

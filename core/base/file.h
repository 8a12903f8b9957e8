/* Files: read-only maps, whole reads, and outputs that appear whole or not at all. */
#ifndef SCRY_BASE_FILE_H
#define SCRY_BASE_FILE_H

#include "scry/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mapped file; data is NULL for an empty one. */
typedef struct scry__map {
    const uint8_t *data;
    size_t         size;
} scry__map;

/* Missing or unreadable files are SCRY_BAD_INPUT (they were asked for as input), with the path and the system's reason.
 */
scry_status scry__map_open(scry__map *map, const char *path);
void        scry__map_close(scry__map *map);

/* The whole file with a NUL behind; at most `limit` bytes. Release with scry__free. */
scry_status scry__file_read(char **data, size_t *size, const char *path, size_t limit);

bool scry__file_exists(const char *path);

/* "directory/name", or "name" where directory is ""; release with scry__free. NULL when memory is refused. */
char *scry__path_join(const char *directory, const char *name);

/* A new file in the folder of `path`, without a name where the system can do that (then nothing is left even of a
 * killed process), else under a temporary one. Commit syncs it and puts it in place, abort (also after a failure)
 * removes it. Where `path` is there and no regular file, opening is refused: renaming over a device or pipe would
 * replace it. */
typedef struct scry__writer {
    char    *path, *temporary;
    int      descriptor;
    bool     named;  /* `temporary` is there */
    uint64_t offset; /* bytes written so far */
} scry__writer;

scry_status scry__writer_open(scry__writer *writer, const char *path);
scry_status scry__writer_write(scry__writer *writer, const void *data, size_t size);
/* Overwrites earlier bytes; `offset` + size <= what was written. */
scry_status scry__writer_write_at(scry__writer *writer, uint64_t offset, const void *data, size_t size);
scry_status scry__writer_commit(scry__writer *writer);
void        scry__writer_abort(scry__writer *writer);

/* open, write, commit. */
scry_status scry__file_write(const char *path, const void *data, size_t size);

#endif

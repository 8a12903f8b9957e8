/* Reading zip archives: the members of a mapped file, stored or deflated, and a member's bytes as a stream.
 *
 * Every length is checked against the file; encrypted and otherwise packed members, and archives of several disks, are
 * refused by name. */
#ifndef SCRY_BASE_ZIP_H
#define SCRY_BASE_ZIP_H

#include "base/file.h"

#include <zlib.h>

typedef struct scry__zip_member {
    char          *name;
    const uint8_t *data; /* as packed */
    uint64_t       packed_size, size;
    uint32_t       crc;
    bool           deflated, has_crc;
} scry__zip_member;

/* Lists what the map's central directory names, in its order. `path` is for messages. */
scry_status scry__zip_list(scry__zip_member **out, int *count, const scry__map *map, const char *path);
void        scry__zip_free(scry__zip_member **members, int count);

/* One member's bytes, from the first on. Between begin and end the member must stay; end may come at any time. */
typedef struct scry__zip_stream {
    const scry__zip_member *member;
    const char             *path;
    uint64_t                done;
    uint32_t                crc;
    z_stream                inflater;
} scry__zip_stream;

scry_status scry__zip_begin(scry__zip_stream *stream, const scry__zip_member *member, const char *path);
/* The next `size` bytes; fewer are an error. The member's last byte also checks its CRC. */
scry_status scry__zip_read(scry__zip_stream *stream, void *out, size_t size);
void        scry__zip_end(scry__zip_stream *stream);

#endif

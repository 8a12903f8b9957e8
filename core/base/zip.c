/* Reading zip archives. See zip.h; the format is PKWARE's APPNOTE 6.3, zip64 included. */
#include "base/zip.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, CENTRAL_SIZE = 46, LOCAL_SIZE = 30, MAX_COMMENT = 65535 };
enum { END_MARK = 0x06054b50, LOCATOR_MARK = 0x07064b50, END64_MARK = 0x06064b50 };
enum { CENTRAL_MARK = 0x02014b50, LOCAL_MARK = 0x04034b50, ZIP64_ID = 1 };
enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1 << 0 };
enum { MAX_MEMBERS = 1 << 20 };

/* Deflate gives at most 1032 bytes for one. */
enum { MOST_INFLATION = 1032 };

/* The archive's bytes, and where its central directory lies. */
struct archive {
    const uint8_t *data;
    uint64_t       size;
    const char    *path;
    uint64_t       directory, directory_size, count;
};

static uint64_t number_at(const uint8_t *bytes, int size)
{
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

static bool inside(const struct archive *archive, uint64_t offset, uint64_t size)
{
    return offset <= archive->size && size <= archive->size - offset;
}

/* The end record stands before a comment whose length it gives. */
static const uint8_t *find_end(const struct archive *archive)
{
    if (archive->size < END_SIZE) return NULL;
    for (uint64_t comment = 0; comment <= MAX_COMMENT && comment <= archive->size - END_SIZE; comment++) {
        const uint8_t *end = archive->data + archive->size - END_SIZE - comment;
        if (number_at(end, 4) == END_MARK && number_at(end + 20, 2) == comment) return end;
    }
    return NULL;
}

/* Where a number of the end record is all ones, zip64's end record, found by its locator, has it. */
static scry_status read_end64(struct archive *archive, const uint8_t *end)
{
    uint64_t at = (uint64_t)(end - archive->data);
    if (at < LOCATOR_SIZE || number_at(end - LOCATOR_SIZE, 4) != LOCATOR_MARK) return SCRY_OK;
    uint64_t offset = number_at(end - LOCATOR_SIZE + 8, 8);
    if (!inside(archive, offset, END64_SIZE) || number_at(archive->data + offset, 4) != END64_MARK)
        return scry__fail(SCRY_BAD_INPUT, "%s: byte %llu: expected a zip64 end record where its locator says",
                          archive->path, (unsigned long long)offset);
    const uint8_t *record   = archive->data + offset;
    archive->count          = number_at(record + 32, 8);
    archive->directory_size = number_at(record + 40, 8);
    archive->directory      = number_at(record + 48, 8);
    return SCRY_OK;
}

static scry_status find_directory(struct archive *archive)
{
    const uint8_t *end = find_end(archive);
    if (!end)
        return scry__fail(SCRY_BAD_INPUT, "%s: no end of a zip archive: cut short, or another format", archive->path);
    archive->count          = number_at(end + 10, 2);
    archive->directory_size = number_at(end + 12, 4);
    archive->directory      = number_at(end + 16, 4);
    scry_status status      = read_end64(archive, end);
    if (status) return status;
    if (number_at(end + 4, 2) != number_at(end + 6, 2))
        return scry__fail(SCRY_BAD_INPUT, "%s: an archive of several disks is not supported", archive->path);
    if (!inside(archive, archive->directory, archive->directory_size))
        return scry__fail(SCRY_BAD_INPUT, "%s: the directory's %llu bytes at byte %llu: expected them inside the file",
                          archive->path, (unsigned long long)archive->directory_size,
                          (unsigned long long)archive->directory);
    if (archive->count > MAX_MEMBERS || archive->count > archive->directory_size / CENTRAL_SIZE)
        return scry__fail(SCRY_BAD_INPUT, "%s: %llu members in a directory of %llu bytes: expected fewer",
                          archive->path, (unsigned long long)archive->count,
                          (unsigned long long)archive->directory_size);
    return SCRY_OK;
}

/* Replaces those of `fields` that are all ones by what the zip64 field among `extra` has, in this order. */
static bool read_zip64(uint64_t *fields[3], const uint8_t *extra, size_t size)
{
    bool wanted = false;
    for (int i = 0; i < 3; i++) wanted = wanted || *fields[i] == UINT32_MAX;
    if (!wanted) return true;
    while (size >= 4) {
        size_t field = number_at(extra + 2, 2);
        if (field > size - 4) return false;
        if (number_at(extra, 2) != ZIP64_ID) {
            extra += 4 + field;
            size -= 4 + field;
            continue;
        }
        for (int i = 0; i < 3; i++) {
            if (*fields[i] != UINT32_MAX) continue;
            if (field < 8) return false;
            *fields[i] = number_at(extra + 4, 8);
            extra += 8;
            field -= 8;
        }
        return true;
    }
    return false;
}

/* Follows the member's local header, at `offset`, to its data. */
static scry_status find_data(const struct archive *archive, scry__zip_member *member, uint64_t offset)
{
    if (!inside(archive, offset, LOCAL_SIZE) || number_at(archive->data + offset, 4) != LOCAL_MARK)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: byte %llu: expected its local header there", archive->path,
                          member->name, (unsigned long long)offset);
    const uint8_t *header = archive->data + offset;
    uint64_t       begin  = offset + LOCAL_SIZE + number_at(header + 26, 2) + number_at(header + 28, 2);
    if (!inside(archive, begin, member->packed_size))
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: %llu bytes at byte %llu: expected them inside the file",
                          archive->path, member->name, (unsigned long long)member->packed_size,
                          (unsigned long long)begin);
    member->data = archive->data + begin;
    return SCRY_OK;
}

static scry_status check_packing(const struct archive *archive, const scry__zip_member *member, uint64_t flags,
                                 uint64_t method)
{
    if (flags & ENCRYPTED)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: encrypted members are not supported", archive->path, member->name);
    if (method != STORED && method != DEFLATED)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: packed by method %llu: expected stored or deflated", archive->path,
                          member->name, (unsigned long long)method);
    bool possible =
        member->deflated ? member->size / MOST_INFLATION <= member->packed_size : member->size == member->packed_size;
    if (!possible)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: %llu bytes, packed in %llu: its sizes contradict each other",
                          archive->path, member->name, (unsigned long long)member->size,
                          (unsigned long long)member->packed_size);
    return SCRY_OK;
}

/* Reads the directory's line at *at, which goes on to the next. */
static scry_status read_member(const struct archive *archive, scry__zip_member *member, uint64_t *at)
{
    const uint8_t *line = archive->data + *at;
    uint64_t       left = archive->directory + archive->directory_size - *at;
    if (left < CENTRAL_SIZE || number_at(line, 4) != CENTRAL_MARK)
        return scry__fail(SCRY_BAD_INPUT, "%s: byte %llu: expected a line of the archive's directory", archive->path,
                          (unsigned long long)*at);
    size_t   name = number_at(line + 28, 2), extra = number_at(line + 30, 2), comment = number_at(line + 32, 2);
    uint64_t offset = number_at(line + 42, 4), method = number_at(line + 10, 2);
    if (name + extra + comment > left - CENTRAL_SIZE || memchr(line + CENTRAL_SIZE, 0, name))
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: byte %llu: a line that ends past the archive's directory, or in its name", archive->path,
                          (unsigned long long)*at);
    *member = (scry__zip_member){.name        = scry__strndup((const char *)line + CENTRAL_SIZE, name),
                                 .packed_size = number_at(line + 20, 4),
                                 .size        = number_at(line + 24, 4),
                                 .crc         = (uint32_t)number_at(line + 16, 4),
                                 .deflated    = method == DEFLATED,
                                 .has_crc     = true};
    if (!member->name) return SCRY_OUT_OF_MEMORY;
    if (!read_zip64((uint64_t *[]){&member->size, &member->packed_size, &offset}, line + CENTRAL_SIZE + name, extra))
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: expected its sizes in a zip64 field", archive->path, member->name);
    *at += CENTRAL_SIZE + name + extra + comment;
    scry_status status = check_packing(archive, member, number_at(line + 8, 2), method);
    return status ? status : find_data(archive, member, offset);
}

scry_status scry__zip_list(scry__zip_member **out, int *count, const scry__map *map, const char *path)
{
    struct archive archive = {.data = map->data, .size = map->size, .path = path};
    scry_status    status  = find_directory(&archive);
    if (status) return status;
    scry__zip_member *members = scry__alloc(archive.count, sizeof *members);
    if (!members) return SCRY_OUT_OF_MEMORY;
    uint64_t at = archive.directory;
    for (uint64_t i = 0; i < archive.count && !status; i++) status = read_member(&archive, &members[i], &at);
    if (status) {
        scry__zip_free(&members, (int)archive.count);
        return status;
    }
    *out   = members;
    *count = (int)archive.count;
    return SCRY_OK;
}

void scry__zip_free(scry__zip_member **members, int count)
{
    for (int i = 0; *members && i < count; i++) scry__free((*members)[i].name);
    scry__free(*members);
    *members = NULL;
}

/* --- one member's bytes --- */

static void *inflater_alloc(void *user, unsigned count, unsigned size)
{
    (void)user;
    return scry__alloc(count, size);
}

static void inflater_free(void *user, void *memory)
{
    (void)user;
    scry__free(memory);
}

scry_status scry__zip_begin(scry__zip_stream *stream, const scry__zip_member *member, const char *path)
{
    *stream = (scry__zip_stream){.member = member, .path = path};
    if (!member->deflated) return SCRY_OK;
    stream->inflater = (z_stream){.zalloc = inflater_alloc, .zfree = inflater_free};
    if (inflateInit2(&stream->inflater, -MAX_WBITS) == Z_OK) return SCRY_OK;
    return SCRY_OUT_OF_MEMORY;
}

/* zlib counts in 32 bits, so that both sides go in pieces. */
static scry_status inflate_piece(scry__zip_stream *stream, uint8_t *out, size_t size)
{
    const scry__zip_member *member = stream->member;
    z_stream               *z      = &stream->inflater;
    z->next_out                    = out;
    z->avail_out                   = (unsigned)size;
    while (z->avail_out) {
        uint64_t taken = z->next_in ? (uint64_t)(z->next_in - member->data) : 0;
        uint64_t left  = member->packed_size - taken;
        z->next_in     = (uint8_t *)member->data + taken;
        z->avail_in    = left < (1u << 30) ? (unsigned)left : 1u << 30;
        int result     = inflate(z, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) return SCRY_OUT_OF_MEMORY;
        if (z->avail_out && result != Z_OK)
            return scry__fail(SCRY_BAD_INPUT, "%s: %s: its deflated data is damaged near byte %llu of %llu",
                              stream->path, member->name, (unsigned long long)(stream->done + size - z->avail_out),
                              (unsigned long long)member->size);
    }
    return SCRY_OK;
}

static scry_status read_piece(scry__zip_stream *stream, uint8_t *out, size_t size)
{
    const scry__zip_member *member = stream->member;
    scry_status             status = SCRY_OK;
    if (member->deflated)
        status = inflate_piece(stream, out, size);
    else
        memcpy(out, member->data + stream->done, size);
    if (status) return status;
    stream->crc = (uint32_t)crc32_z(stream->crc, out, size);
    stream->done += size;
    if (stream->done == member->size && member->has_crc && stream->crc != member->crc)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: its checksum is %08x: expected %08x, so the data is damaged",
                          stream->path, member->name, stream->crc, member->crc);
    return SCRY_OK;
}

scry_status scry__zip_read(scry__zip_stream *stream, void *out, size_t size)
{
    const scry__zip_member *member = stream->member;
    scry_status             status = SCRY_OK;
    if (size > member->size - stream->done)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: ends after %llu bytes: expected %zu more than byte %llu",
                          stream->path, member->name, (unsigned long long)member->size, size,
                          (unsigned long long)stream->done);
    for (size_t done = 0; done < size && !status;) {
        size_t piece = size - done < (1u << 30) ? size - done : 1u << 30;
        status       = read_piece(stream, (uint8_t *)out + done, piece);
        done += piece;
    }
    return status;
}

void scry__zip_end(scry__zip_stream *stream)
{
    if (stream->member && stream->member->deflated) inflateEnd(&stream->inflater);
    *stream = (scry__zip_stream){0};
}

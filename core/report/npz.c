/* The .npz writer. See npz.h.
 *
 * An .npz is a zip archive (PKWARE's APPNOTE 6.3) of .npy files (NumPy enhancement proposal 1). Sizes are known before
 * the data is; only the CRC is written afterwards, into its place in the local header. */
#include "report/npz.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/number.h"
#include "base/text.h"
#include "report/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are written as they lie in memory");

enum {
    alignment       = 64,
    local_size      = 30,
    local_crc_at    = 14,
    name_limit      = 1000,
    alignment_id    = 0xd935, /* the zip extra field that Android's zipalign introduced: a number, then padding */
    zip64_id        = 0x0001,
    utf8_names      = 1 << 11,
    version_plain   = 20,
    version_zip64   = 45,
    first_of_1980   = 1 << 5 | 1, /* no clock: the same arrays give the same bytes */
    piece_size      = 1 << 18,    /* summed and written while still in cache */
    mode_regular    = 0100644,
    made_by_unix    = 3 << 8,
    small_limit_u16 = 0xffff,
};
static const uint32_t small_limit = 0xffffffffu;

struct entry {
    char    *name; /* with .npy */
    uint64_t offset, size;
    uint32_t crc;
};

struct scry__npz {
    scry__writer  writer;
    scry_status   failed; /* the first failure to write */
    struct entry *entries;
    size_t        count, capacity;
    uint64_t      remaining; /* bytes that the open array still lacks */
    bool          open;
};

static const struct {
    size_t      bytes;
    const char *text;
} dtypes[] = {
#define DTYPE_ROW(name, bytes, text) [SCRY__NPY_##name] = {bytes, text},
    SCRY__NPY_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

/* Little-endian fields, one after the other. */
static uint8_t *put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

static scry_status write_bytes(scry__npz *npz, const void *data, size_t size)
{
    if (!npz->failed) npz->failed = scry__writer_write(&npz->writer, data, size);
    return npz->failed;
}

/* Writes bytes that belong to the last entry's file, and sums them. */
static scry_status write_content(scry__npz *npz, const void *data, size_t size)
{
    struct entry  *entry  = &npz->entries[npz->count - 1];
    const uint8_t *bytes  = data;
    scry_status    status = npz->failed;
    for (size_t done = 0; !status && done < size;) {
        size_t piece = size - done < piece_size ? size - done : piece_size;
        entry->crc   = (uint32_t)crc32_z(entry->crc, bytes + done, piece);
        status       = write_bytes(npz, bytes + done, piece);
        done += piece;
    }
    return status;
}

scry_status scry__npz_open(scry__npz **out, const char *path)
{
    *out           = NULL;
    scry__npz *npz = scry__alloc(1, sizeof *npz);
    if (!npz) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__writer_open(&npz->writer, path);
    if (status)
        scry__free(npz);
    else
        *out = npz;
    return status;
}

static scry_status check_name(const scry__npz *npz, const char *name)
{
    size_t size = strlen(name);
    if (!size || size > name_limit || strchr(name, '/') || strchr(name, '\\') || !scry__utf8_valid(name, size, NULL))
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%s: array name \"%.80s\": expected 1 to %d bytes of UTF-8 without slashes", npz->writer.path,
                          name, name_limit);
    return SCRY_OK;
}

static scry_status check_shape(const scry__npz *npz, const char *name, size_t item, int rank, const int64_t *shape,
                               size_t *bytes)
{
    if (rank < 0 || rank > SCRY__NPZ_MAX_RANK)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s: rank %d: expected 0 to %d", npz->writer.path, name, rank,
                          SCRY__NPZ_MAX_RANK);
    *bytes = item;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0 || !scry__multiply(*bytes, (size_t)shape[i], bytes))
            return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s: axis %d has size %lld: expected a size that memory can hold",
                              npz->writer.path, name, i, (long long)shape[i]);
    return SCRY_OK;
}

/* The local header with its padding; the CRC stays 0 until the entry ends. */
static scry_status write_local_header(scry__npz *npz, const struct entry *entry)
{
    uint8_t  bytes[local_size + 20 + 6 + alignment] = {0}, *at = bytes;
    size_t   name_size = strlen(entry->name);
    bool     zip64     = entry->size >= small_limit;
    size_t   padding   = (size_t)(-(entry->offset + local_size + name_size + (zip64 ? 20 : 0) + 6) % alignment);
    uint64_t size      = zip64 ? small_limit : entry->size;

    at = put(at, 0x04034b50, 4);
    at = put(at, zip64 ? version_zip64 : version_plain, 2);
    at = put(at, utf8_names, 2);
    at = put(at, 0, 2 + 2); /* stored; time 0 */
    at = put(at, first_of_1980, 2);
    at = put(at, 0, 4);
    at = put(at, size, 4);
    at = put(at, size, 4);
    at = put(at, name_size, 2);
    at = put(at, (zip64 ? 20 : 0) + 6 + padding, 2);
    write_bytes(npz, bytes, local_size);
    write_bytes(npz, entry->name, name_size);
    at = bytes;
    if (zip64) {
        at = put(at, zip64_id, 2);
        at = put(at, 16, 2);
        at = put(at, entry->size, 8);
        at = put(at, entry->size, 8);
    }
    at = put(at, alignment_id, 2);
    at = put(at, 2 + padding, 2);
    at = put(at, alignment, 2);
    memset(at, 0, padding);
    return write_bytes(npz, bytes, (size_t)(at - bytes) + padding);
}

static scry_status begin(scry__npz *npz, const char *name, const char *description, size_t item, int rank,
                         const int64_t *shape)
{
    scry__text   head = {0}, file = {0};
    struct entry entry  = {0};
    size_t       bytes  = 0;
    scry_status  status = npz->failed;
    if (status) return status;
    if (npz->open) return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s: another array is still open", npz->writer.path, name);
    status = check_name(npz, name);
    if (!status) status = check_shape(npz, name, item, rank, shape, &bytes);
    if (status) return status;
    if (npz->count == npz->capacity) {
        size_t        capacity = npz->capacity ? 2 * npz->capacity : 64;
        struct entry *entries  = scry__realloc(npz->entries, capacity, sizeof *entries);
        if (!entries) return SCRY_OUT_OF_MEMORY;
        npz->entries  = entries;
        npz->capacity = capacity;
    }
    scry__text_addf(&file, "%s.npy", name);
    status = scry__npy_add_head(&head, description, rank, shape);
    if (!status) status = scry__text_take(&file, &entry.name, NULL);
    if (!status) {
        entry.offset               = npz->writer.offset;
        entry.size                 = head.size + bytes;
        npz->entries[npz->count++] = entry;
        npz->remaining             = bytes;
        npz->open                  = true;
        status                     = write_local_header(npz, &entry);
        if (!status) status = write_content(npz, head.data, head.size);
    }
    scry__text_finish(&head);
    scry__text_finish(&file);
    return status;
}

scry_status scry__npz_begin(scry__npz *npz, const char *name, scry__npy_dtype dtype, int rank, const int64_t *shape)
{
    return begin(npz, name, dtypes[dtype].text, dtypes[dtype].bytes, rank, shape);
}

scry_status scry__npz_append(scry__npz *npz, const void *data, size_t bytes)
{
    if (npz->failed) return npz->failed;
    if (!npz->open || bytes > npz->remaining)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: %zu bytes were appended where %llu were expected", npz->writer.path,
                          bytes, npz->open ? (unsigned long long)npz->remaining : 0ull);
    scry_status status = write_content(npz, data, bytes);
    if (!status) npz->remaining -= bytes;
    return status;
}

scry_status scry__npz_end(scry__npz *npz)
{
    if (npz->failed) return npz->failed;
    if (!npz->open || npz->remaining)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: an array was ended with %llu bytes missing", npz->writer.path,
                          (unsigned long long)npz->remaining);
    struct entry *entry = &npz->entries[npz->count - 1];
    uint8_t       crc[4];
    put(crc, entry->crc, 4);
    npz->failed = scry__writer_write_at(&npz->writer, entry->offset + local_crc_at, crc, sizeof crc);
    npz->open   = false;
    return npz->failed;
}

scry_status scry__npz_add(scry__npz *npz, const char *name, scry__npy_dtype dtype, int rank, const int64_t *shape,
                          const void *data)
{
    scry_status status = scry__npz_begin(npz, name, dtype, rank, shape);
    if (!status) status = scry__npz_append(npz, data, (size_t)npz->remaining);
    if (!status) status = scry__npz_end(npz);
    return status;
}

scry_status scry__npz_add_capture(scry__npz *npz, const scry_capture *capture)
{
    if (capture->dtype != SCRY_F32 && capture->dtype != SCRY_I32)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s: a capture is f32 or i32, not %s", npz->writer.path, capture->name,
                          scry_dtype_text(capture->dtype));
    return scry__npz_add(npz, capture->name, capture->dtype == SCRY_F32 ? SCRY__NPY_F32 : SCRY__NPY_I32, capture->rank,
                         capture->shape, capture->data);
}

/* Writes the text's code points where out is not NULL; returns how many there are. */
static size_t code_points(const char *text, uint32_t *out)
{
    size_t size = strlen(text), count = 0;
    for (size_t i = 0; i < size; count++) {
        uint32_t code   = 0xfffd;
        int      length = scry__utf8_decode(text + i, size - i, &code);
        if (out) out[count] = length ? code : 0xfffd;
        i += length ? (size_t)length : 1;
    }
    return count;
}

scry_status scry__npz_add_texts(scry__npz *npz, const char *name, const char *const *texts, int count)
{
    size_t    width   = 1;
    int64_t   shape[] = {count};
    uint32_t *cells   = NULL;
    char      description[32];
    for (int i = 0; i < count; i++) {
        size_t length = code_points(texts[i], NULL);
        if (length > width) width = length;
    }
    cells = scry__alloc((size_t)count, width * sizeof *cells);
    if (!cells) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) code_points(texts[i], cells + (size_t)i * width);
    snprintf(description, sizeof description, "<U%zu", width);
    scry_status status = begin(npz, name, description, width * sizeof *cells, 1, shape);
    if (!status) status = scry__npz_append(npz, cells, (size_t)npz->remaining);
    if (!status) status = scry__npz_end(npz);
    scry__free(cells);
    return status;
}

/* One line of the central directory. A zip64 field holds those of its numbers that overflow. */
static void add_central_header(scry__text *directory, const struct entry *entry)
{
    uint8_t  bytes[46 + 28] = {0}, *at = bytes;
    size_t   name_size   = strlen(entry->name);
    bool     long_size   = entry->size >= small_limit;
    bool     long_offset = entry->offset >= small_limit;
    bool     zip64       = long_size || long_offset;
    uint64_t extra       = zip64 ? 4u + (long_size ? 16 : 0) + (long_offset ? 8 : 0) : 0;
    int      version     = zip64 ? version_zip64 : version_plain;

    at = put(at, 0x02014b50, 4);
    at = put(at, (uint64_t)(made_by_unix | version), 2);
    at = put(at, (uint64_t)version, 2);
    at = put(at, utf8_names, 2);
    at = put(at, 0, 2 + 2);
    at = put(at, first_of_1980, 2);
    at = put(at, entry->crc, 4);
    at = put(at, at_most(entry->size, small_limit), 4);
    at = put(at, at_most(entry->size, small_limit), 4);
    at = put(at, name_size, 2);
    at = put(at, extra, 2);
    at = put(at, 0, 2 + 2 + 2); /* comment, disk, internal attributes */
    at = put(at, (uint64_t)mode_regular << 16, 4);
    at = put(at, at_most(entry->offset, small_limit), 4);
    scry__text_add(directory, (const char *)bytes, (size_t)(at - bytes));
    scry__text_adds(directory, entry->name);
    if (!zip64) return;
    at = put(bytes, zip64_id, 2);
    at = put(at, extra - 4, 2);
    if (long_size) at = put(at, entry->size, 8);
    if (long_size) at = put(at, entry->size, 8);
    if (long_offset) at = put(at, entry->offset, 8);
    scry__text_add(directory, (const char *)bytes, (size_t)(at - bytes));
}

/* The end records; zip64's only where a number overflows the plain one. */
static void add_end(scry__text *directory, uint64_t count, uint64_t offset)
{
    uint8_t  bytes[56 + 20 + 22], *at = bytes;
    uint64_t size = directory->size;
    if (count >= small_limit_u16 || offset >= small_limit || size >= small_limit) {
        at = put(at, 0x06064b50, 4);
        at = put(at, 56 - 12, 8);
        at = put(at, made_by_unix | version_zip64, 2);
        at = put(at, version_zip64, 2);
        at = put(at, 0, 4 + 4);
        at = put(at, count, 8);
        at = put(at, count, 8);
        at = put(at, size, 8);
        at = put(at, offset, 8);
        at = put(at, 0x07064b50, 4);
        at = put(at, 0, 4);
        at = put(at, offset + size, 8);
        at = put(at, 1, 4);
    }
    at = put(at, 0x06054b50, 4);
    at = put(at, 0, 2 + 2);
    at = put(at, at_most(count, small_limit_u16), 2);
    at = put(at, at_most(count, small_limit_u16), 2);
    at = put(at, at_most(size, small_limit), 4);
    at = put(at, at_most(offset, small_limit), 4);
    at = put(at, 0, 2);
    scry__text_add(directory, (const char *)bytes, (size_t)(at - bytes));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static scry_status check_names_differ(const scry__npz *npz)
{
    scry_status status = SCRY_OK;
    char      **names  = scry__alloc(npz->count, sizeof *names);
    if (!names) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < npz->count; i++) names[i] = npz->entries[i].name;
    qsort(names, npz->count, sizeof *names, compare_names);
    for (size_t i = 1; !status && i < npz->count; i++)
        if (!strcmp(names[i - 1], names[i]))
            status = scry__fail(SCRY_BAD_ARGUMENT, "%s: %s was added twice", npz->writer.path, names[i]);
    scry__free(names);
    return status;
}

scry_status scry__npz_commit(scry__npz **npz)
{
    scry__npz  *file      = *npz;
    scry__text  directory = {0};
    scry_status status    = file->failed;
    if (status) scry__fail(status, "%s: an array could not be written, so there is no file", file->writer.path);
    if (!status && file->open) status = scry__fail(SCRY_BAD_ARGUMENT, "%s: an array is still open", file->writer.path);
    if (!status) status = check_names_differ(file);
    if (!status) {
        for (size_t i = 0; i < file->count; i++) add_central_header(&directory, &file->entries[i]);
        add_end(&directory, file->count, file->writer.offset);
        status = directory.status;
    }
    if (!status) status = write_bytes(file, directory.data, directory.size);
    if (!status) status = scry__writer_commit(&file->writer);
    scry__text_finish(&directory);
    scry__npz_abort(npz);
    return status;
}

void scry__npz_abort(scry__npz **npz)
{
    scry__npz *file = *npz;
    if (!file) return;
    scry__writer_abort(&file->writer);
    for (size_t i = 0; i < file->count; i++) scry__free(file->entries[i].name);
    scry__free(file->entries);
    scry__free(file);
    *npz = NULL;
}

/* Deflate through zlib, whose memory comes through the gate. See deflate.h. */
#include "report/deflate.h"

#include "base/alloc.h"
#include "base/error.h"

#include <zlib.h>

static void *zlib_alloc(void *user, unsigned count, unsigned size)
{
    (void)user;
    return scry__alloc(count, size);
}

static void zlib_free(void *user, void *memory)
{
    (void)user;
    scry__free(memory);
}

scry_status scry__deflate(uint8_t **out, size_t *out_size, const void *bytes, size_t size)
{
    z_stream    stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    scry_status status = SCRY_OUT_OF_MEMORY;
    *out               = NULL;
    if (size > UINT32_MAX / 2) return scry__fail(SCRY_BAD_ARGUMENT, "%zu bytes are too many to deflate at once", size);
    if (deflateInit(&stream, Z_DEFAULT_COMPRESSION) != Z_OK) return status; /* the gate told the detail */
    size_t bound = deflateBound(&stream, (uLong)size);
    *out         = scry__alloc(bound, 1);
    if (*out) {
        stream.next_in   = (z_const Bytef *)bytes;
        stream.avail_in  = (uInt)size;
        stream.next_out  = *out;
        stream.avail_out = (uInt)bound;
        status           = deflate(&stream, Z_FINISH) == Z_STREAM_END
                               ? SCRY_OK
                               : scry__fail(SCRY_IO, "zlib refuses to deflate %zu bytes: %s", size,
                                  stream.msg ? stream.msg : "no reason given");
    }
    *out_size = stream.total_out;
    deflateEnd(&stream);
    if (!status) return SCRY_OK;
    scry__free(*out);
    *out = NULL;
    return status;
}

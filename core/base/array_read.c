/* Reading the arrays of .npy and .npz files: their bytes in pieces, converted. See array_file.h. */
#include "base/alloc.h"
#include "base/array_file.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

#include <string.h>

enum { PIECE = 1 << 14 }; /* bytes; a multiple of every number's size */

static const char *name_of(const scry__array *array)
{
    return *array->name ? array->name : "the array";
}

/* Goes to the array's first element. */
static scry_status begin(scry__zip_stream *stream, const scry__array_file *file, const scry__array *array)
{
    uint8_t     skipped[256];
    scry_status status = scry__zip_begin(stream, &file->members[array->member], file->path);
    for (size_t left = array->head; left && !status;) {
        size_t size = left < sizeof skipped ? left : sizeof skipped;
        status      = scry__zip_read(stream, skipped, size);
        left -= size;
    }
    return status;
}

static scry_status check_order(const scry__array_file *file, const scry__array *array)
{
    if (!array->fortran || array->rank < 2) return SCRY_OK;
    return scry__fail(SCRY_BAD_INPUT, "%s: %s: in Fortran order: expected C order (numpy.ascontiguousarray)",
                      file->path, name_of(array));
}

/* Calls convert(out, bytes, first, count) for one piece of elements after the other. */
static scry_status read_pieces(const scry__array_file *file, const scry__array *array, void *out,
                               scry_status (*convert)(const scry__array_file *, const scry__array *, void *out,
                                                      const uint8_t *bytes, size_t first, size_t count))
{
    uint8_t          bytes[PIECE];
    size_t           most   = PIECE / array->item;
    scry__zip_stream stream = {0};
    scry_status      status = begin(&stream, file, array);
    for (size_t first = 0; first < array->count && !status; first += most) {
        size_t count = array->count - first < most ? array->count - first : most;
        status       = scry__zip_read(&stream, bytes, count * array->item);
        if (!status) status = convert(file, array, out, bytes, first, count);
    }
    scry__zip_end(&stream);
    return status;
}

static uint64_t bits_at(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
    return value;
}

static float float_at(scry__array_type type, const uint8_t *bytes, size_t size)
{
    uint64_t bits = bits_at(bytes, size);
    uint32_t low  = (uint32_t)bits;
    double   wide;
    float    single;
    switch (type) {
    case SCRY__ARRAY_F16:
        return scry__f16_to_f32((uint16_t)bits);
    case SCRY__ARRAY_F32:
        memcpy(&single, &low, sizeof single);
        return single;
    case SCRY__ARRAY_F64:
        memcpy(&wide, &bits, sizeof wide);
        return (float)wide;
    case SCRY__ARRAY_I32:
        return (float)(int32_t)low;
    case SCRY__ARRAY_I64:
        return (float)(int64_t)bits;
    default:
        return (float)bits;
    }
}

static scry_status convert_floats(const scry__array_file *file, const scry__array *array, void *out,
                                  const uint8_t *bytes, size_t first, size_t count)
{
    (void)file;
    for (size_t i = 0; i < count; i++)
        ((float *)out)[first + i] = float_at(array->type, bytes + i * array->item, array->item);
    return SCRY_OK;
}

scry_status scry__array_read_f32(const scry__array_file *file, const scry__array *array, float *out)
{
    scry_status status = check_order(file, array);
    if (status) return status;
    if (array->type >= SCRY__ARRAY_TEXT)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: dtype %s: expected numbers of f16, f32, f64, i32, i64, u8 or bool",
                          file->path, name_of(array), array->dtype);
    return read_pieces(file, array, out, convert_floats);
}

static scry_status convert_ints(const scry__array_file *file, const scry__array *array, void *out, const uint8_t *bytes,
                                size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits  = bits_at(bytes + i * array->item, array->item);
        int64_t  value = array->type == SCRY__ARRAY_I32 ? (int32_t)(uint32_t)bits : (int64_t)bits;
        if (value != (int32_t)value)
            return scry__fail(SCRY_BAD_INPUT, "%s: %s: entry %zu is %lld: expected a number of 32 bits", file->path,
                              name_of(array), first + i, (long long)value);
        ((int32_t *)out)[first + i] = (int32_t)value;
    }
    return SCRY_OK;
}

scry_status scry__array_read_ints(const scry__array_file *file, const scry__array *array, int32_t *out)
{
    scry_status status = check_order(file, array);
    if (status) return status;
    if (array->type < SCRY__ARRAY_I32 || array->type > SCRY__ARRAY_BOOL)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: dtype %s: expected whole numbers", file->path, name_of(array),
                          array->dtype);
    return read_pieces(file, array, out, convert_ints);
}

/* One text: code points up to its end or to the first 0, what is no code point as U+FFFD. */
static scry_status read_text(scry__zip_stream *stream, char **out, size_t item)
{
    scry__text  text   = {0};
    bool        ended  = false;
    scry_status status = SCRY_OK;
    for (size_t at = 0; at < item && !status; at += sizeof(uint32_t)) {
        uint8_t bytes[4];
        char    utf8[4];
        status        = scry__zip_read(stream, bytes, sizeof bytes);
        uint32_t code = (uint32_t)bits_at(bytes, sizeof bytes);
        ended         = ended || !code;
        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
        if (!status && !ended) scry__text_add(&text, utf8, (size_t)scry__utf8_encode(code, utf8));
    }
    if (!status) status = scry__text_take(&text, out, NULL);
    scry__text_finish(&text);
    return status;
}

scry_status scry__array_read_texts(const scry__array_file *file, const scry__array *array, char ***out)
{
    if (array->type != SCRY__ARRAY_TEXT)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: dtype %s: expected texts", file->path, name_of(array), array->dtype);
    scry_status      status = check_order(file, array);
    scry__zip_stream stream = {0};
    char           **texts  = NULL;
    if (!status && !(texts = scry__alloc(array->count, sizeof *texts))) status = SCRY_OUT_OF_MEMORY;
    if (!status) status = begin(&stream, file, array);
    for (size_t i = 0; i < array->count && !status; i++) status = read_text(&stream, &texts[i], array->item);
    scry__zip_end(&stream);
    if (!status) {
        *out = texts;
        return SCRY_OK;
    }
    for (size_t i = 0; texts && i < array->count; i++) scry__free(texts[i]);
    scry__free(texts);
    return status;
}

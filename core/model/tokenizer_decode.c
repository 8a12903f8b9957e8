/* The stages of decoding: from tokens as the vocabulary spells them to text. See tokenizer_stage.h. */
#include "base/error.h"
#include "model/tokenizer_stage.h"

#include <string.h>

static const char replacement_character[] = "\xef\xbf\xbd";

/* How many bytes from `text` on begin a character that the next byte breaks off: what one U+FFFD stands for. */
static size_t broken_prefix(const unsigned char *s, size_t size)
{
    size_t   length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2, i = 1;
    unsigned low  = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 1;
    for (; i < length && i < size && s[i] >= low && s[i] <= high; i++) {
        low  = 0x80;
        high = 0xbf;
    }
    return i;
}

static void add_lossy(scry__text *out, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t code_point;
        size_t   length = (size_t)scry__utf8_decode(text + at, size - at, &code_point);
        if (length) {
            scry__text_add(out, text + at, length);
        } else {
            scry__text_adds(out, replacement_character);
            length = broken_prefix((const unsigned char *)text + at, size - at);
        }
        at += length;
    }
}

/* Writes the bytes that text's stand-ins mean; false, and nothing written, where one of its characters is none. */
static bool add_unbytes(scry__text *out, const char *text, size_t size)
{
    size_t begin = out->size;
    for (size_t at = 0; at < size;) {
        uint32_t code_point = 0;
        at += (size_t)scry__utf8_decode(text + at, size - at, &code_point);
        int  byte  = scry__stand_in_byte(code_point);
        char plain = (char)byte;
        if (byte < 0) {
            if (!out->status) out->size = begin;
            return false;
        }
        scry__text_add(out, &plain, 1);
    }
    return true;
}

static scry_status unbytes(const scry__pieces *in, scry__pieces *out, bool alone)
{
    scry__text bytes = {0};
    for (size_t i = 0; i < in->count; i++) {
        const scry__piece *piece = &in->items[i];
        const char        *text  = in->text.data + piece->begin;
        scry__text        *to    = alone ? &out->text : &bytes;
        size_t             begin = to->size;
        if (piece->added || !add_unbytes(to, text, piece->size)) scry__text_add(to, text, piece->size);
        if (!alone) continue;
        scry__pieces_add_written(out, begin, *piece);
        if (scry__pieces_status(out)) break;
        if (!scry__utf8_valid(to->data + begin, to->size - begin, NULL)) out->items[i].id = SCRY__RAW_BYTES;
    }
    if (!alone) {
        add_lossy(&out->text, bytes.data, bytes.size);
        scry__pieces_add_written(out, 0, (scry__piece){.id = -1});
    }
    scry_status status = bytes.status;
    scry__text_finish(&bytes);
    return status ? status : scry__pieces_status(out);
}

/* The byte that <0xNN> names, or -1. */
static int fallback_byte(const char *text, size_t size)
{
    int value = 0;
    if (size != 6 || memcmp(text, "<0x", 3) || text[5] != '>') return -1;
    for (int i = 3; i < 5; i++) {
        char c     = text[i];
        int  lower = c | 0x20; /* of a letter */
        if (c >= '0' && c <= '9')
            value = value * 16 + c - '0';
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + lower - 'a' + 10;
        else
            return -1;
    }
    return value;
}

/* Closes a run of byte tokens: its text where it is UTF-8, else one U+FFFD for each byte. */
static void end_run(scry__pieces *out, size_t begin)
{
    size_t size = out->text.size - begin;
    if (!size || out->text.status) return;
    if (!scry__utf8_valid(out->text.data + begin, size, NULL)) {
        out->text.size = begin;
        while (size--) scry__text_adds(&out->text, replacement_character);
    }
    scry__pieces_add_written(out, begin, (scry__piece){.id = -1});
}

static scry_status byte_fallback(const scry__pieces *in, scry__pieces *out, bool alone)
{
    size_t run = 0; /* where the present run of bytes begins in out's text */
    for (size_t i = 0; i < in->count; i++) {
        const scry__piece *piece = &in->items[i];
        const char        *text  = in->text.data + piece->begin;
        int                byte  = piece->id >= 0 ? -1 : fallback_byte(text, piece->size);
        char               plain = (char)byte;
        if (byte >= 0) {
            scry__text_add(&out->text, &plain, 1);
            if (!alone) continue;
            scry__pieces_add_written(out, out->text.size - 1, (scry__piece){.id = SCRY__RAW_BYTES});
        } else {
            if (!alone) end_run(out, run);
            scry__pieces_copy(out, in, piece);
        }
        run = out->text.size;
    }
    if (!alone) end_run(out, run);
    return scry__pieces_status(out);
}

static scry_status unspace(const scry__stage *stage, const scry__pieces *in, scry__pieces *out, bool alone)
{
    for (size_t i = 0; i < in->count; i++) {
        const scry__piece *piece = &in->items[i];
        const char        *text  = in->text.data + piece->begin;
        bool               drop  = !alone && i == 0 && stage->when != SCRY__NEVER;
        size_t             begin = out->text.size, at = 0;
        while (at < piece->size) {
            bool hit = piece->id < 0 && piece->size - at >= stage->content_size &&
                       !memcmp(text + at, stage->content, stage->content_size);
            if (!hit) scry__text_add(&out->text, text + at, 1);
            if (hit && !drop) scry__text_add(&out->text, " ", 1);
            at += hit ? stage->content_size : 1;
        }
        scry__pieces_add_written(out, begin, *piece);
    }
    return scry__pieces_status(out);
}

static scry_status fuse(const scry__pieces *in, scry__pieces *out)
{
    for (size_t i = 0; i < in->count; i++)
        scry__text_add(&out->text, in->text.data + in->items[i].begin, in->items[i].size);
    scry__pieces_add_written(out, 0, (scry__piece){.id = -1});
    return scry__pieces_status(out);
}

static scry_status strip(const scry__stage *stage, const scry__pieces *in, scry__pieces *out)
{
    size_t unit = stage->content_size;
    for (size_t i = 0; i < in->count; i++) {
        scry__piece piece = in->items[i];
        const char *text  = in->text.data + piece.begin;
        size_t      begin = 0, end = piece.size;
        for (int64_t n = 0; n < stage->start && end - begin >= unit; n++, begin += unit)
            if (memcmp(text + begin, stage->content, unit)) break;
        for (int64_t n = 0; n < stage->stop && end - begin >= unit; n++, end -= unit)
            if (memcmp(text + end - unit, stage->content, unit)) break;
        piece.begin += begin;
        piece.size = end - begin;
        scry__pieces_copy(out, in, &piece);
    }
    return scry__pieces_status(out);
}

static scry_status decode(const scry__stage *stage, const scry__pieces *in, scry__pieces *out, bool alone)
{
    switch (stage->kind) {
    case SCRY__STAGE_UNBYTES:
        return unbytes(in, out, alone);
    case SCRY__STAGE_UNSPACE:
        return unspace(stage, in, out, alone);
    case SCRY__STAGE_BYTE_FALLBACK:
        return byte_fallback(in, out, alone);
    case SCRY__STAGE_FUSE:
        return fuse(in, out);
    case SCRY__STAGE_STRIP:
        return strip(stage, in, out);
    default:
        return scry__stage_replace(stage, in, out);
    }
}

scry_status scry__stages_decode(const scry__stages *stages, scry__pieces *pieces, bool alone)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < stages->count && !status; i++) {
        const scry__stage *stage = &stages->items[i];
        scry__pieces       out   = {0};
        if (alone && (stage->kind == SCRY__STAGE_FUSE || stage->kind == SCRY__STAGE_STRIP)) continue;
        status = decode(stage, pieces, &out, alone);
        if (!status) status = scry__pieces_status(&out);
        scry__pieces_finish(pieces);
        *pieces = out;
    }
    return status;
}

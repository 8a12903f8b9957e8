/* Unicode for the tokenizer: normal forms, lower case, character classes, the byte-level alphabet. Tables are
 * utf8proc's. */
#include "base/alloc.h"
#include "base/error.h"
#include "model/tokenizer_stage.h"

#include <string.h>
#include <utf8proc.h>

enum {
    LAST_BYTE_STAND_IN = 0x143,
    DECOMPOSED_LIMIT   = 32, /* code points that one may decompose to; Unicode's longest is 18 */
};

static bool is_ascii(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] >= 0x80) return false;
    return true;
}

/* Code points in an array that grows. */
typedef struct points {
    utf8proc_int32_t *data;
    size_t            count, capacity;
} points;

static scry_status points_reserve(points *p, size_t more)
{
    if (p->capacity - p->count >= more) return SCRY_OK;
    size_t            capacity = 2 * p->capacity + more;
    utf8proc_int32_t *data     = scry__realloc(p->data, capacity, sizeof *data);
    if (!data) return SCRY_OUT_OF_MEMORY;
    p->data     = data;
    p->capacity = capacity;
    return SCRY_OK;
}

static scry_status decompose(points *p, const char *text, size_t size, bool compatibility)
{
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
    scry_status       status  = points_reserve(p, size);
    for (size_t at = 0; at < size && !status;) {
        uint32_t code_point = 0;
        int      boundary   = 0;
        at += (size_t)scry__utf8_decode(text + at, size - at, &code_point);
        status = points_reserve(p, DECOMPOSED_LIMIT);
        if (status) break;
        p->count += (size_t)utf8proc_decompose_char((utf8proc_int32_t)code_point, p->data + p->count, DECOMPOSED_LIMIT,
                                                    options, &boundary);
    }
    return status;
}

static int combining_class(utf8proc_int32_t code_point)
{
    return code_point < 0x300 ? 0 : utf8proc_get_property(code_point)->combining_class;
}

/* Sorts one run of combining marks by class, stably: a counting sort, since a hostile run may be all of the text. */
static void sort_run(utf8proc_int32_t *run, utf8proc_int32_t *sorted, size_t count)
{
    size_t place[257] = {0};
    for (size_t i = 0; i < count; i++) place[combining_class(run[i]) + 1]++;
    for (int i = 0; i < 256; i++) place[i + 1] += place[i];
    for (size_t i = 0; i < count; i++) sorted[place[combining_class(run[i])]++] = run[i];
    memcpy(run, sorted, count * sizeof *run);
}

static scry_status order_marks(points *p)
{
    utf8proc_int32_t *sorted = NULL;
    for (size_t i = 0; i < p->count;) {
        size_t begin = i, inversions = 0;
        while (i < p->count && combining_class(p->data[i])) {
            if (i > begin && combining_class(p->data[i]) < combining_class(p->data[i - 1])) inversions++;
            i++;
        }
        if (inversions) {
            if (!sorted) sorted = scry__alloc(p->count, sizeof *sorted);
            if (!sorted) return SCRY_OUT_OF_MEMORY;
            sort_run(p->data + begin, sorted, i - begin);
        }
        if (i == begin) i++;
    }
    scry__free(sorted);
    return SCRY_OK;
}

scry_status scry__unicode_normalize(scry__text *out, const char *text, size_t size, scry__stage_kind kind)
{
    points      p             = {0};
    bool        compatibility = kind == SCRY__STAGE_NFKC || kind == SCRY__STAGE_NFKD;
    scry_status status;
    if (is_ascii(text, size)) {
        scry__text_add(out, text, size);
        return out->status;
    }
    status = decompose(&p, text, size, compatibility);
    if (!status) status = order_marks(&p);
    if (!status && (kind == SCRY__STAGE_NFC || kind == SCRY__STAGE_NFKC))
        p.count =
            (size_t)utf8proc_normalize_utf32(p.data, (utf8proc_ssize_t)p.count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (size_t i = 0; i < p.count && !status; i++) {
        char bytes[4];
        scry__text_add(out, bytes, (size_t)scry__utf8_encode((uint32_t)p.data[i], bytes));
        status = out->status;
    }
    scry__free(p.data);
    return status;
}

scry_status scry__unicode_lowercase(scry__text *out, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t code_point = 0;
        char     bytes[4];
        at += (size_t)scry__utf8_decode(text + at, size - at, &code_point);
        if (code_point == 0x130) { /* the one letter whose lower case is two code points */
            scry__text_adds(out, "i\xcc\x87");
            continue;
        }
        code_point = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code_point);
        scry__text_add(out, bytes, (size_t)scry__utf8_encode(code_point, bytes));
    }
    return out->status;
}

bool scry__unicode_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool scry__unicode_is_word(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        break;
    }
    /* Joiners, and the circled and squared letters: symbols that are Alphabetic. */
    return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
           (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

/* Bytes that are printable Latin-1 stand for themselves; the other 68 are counted up from U+0100. */
static bool stands_for_itself(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

uint32_t scry__byte_stand_in(uint8_t byte)
{
    if (stands_for_itself(byte)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    return byte == 0xad ? LAST_BYTE_STAND_IN : 0x121u + (byte - 0x7fu);
}

int scry__stand_in_byte(uint32_t c)
{
    if (c < 0x100) return stands_for_itself(c) ? (int)c : -1;
    if (c <= 0x120) return (int)(c - 0x100);
    if (c < LAST_BYTE_STAND_IN) return (int)(c - 0x121 + 0x7f);
    return c == LAST_BYTE_STAND_IN ? 0xad : -1;
}

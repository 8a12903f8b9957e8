/* Token texts for display, and their width. See label.h. */
#include "report/label.h"

#include "base/alloc.h"

#include <string.h>
#include <utf8proc.h>

static const char ellipsis[] = "\xe2\x80\xa6";

/* One code point from `text`; invalid bytes are taken singly and give U+FFFD. */
static size_t next(const char *text, size_t size, uint32_t *code_point)
{
    int length = scry__utf8_decode(text, size, code_point);
    if (length) return (size_t)length;
    *code_point = 0xfffd;
    return 1;
}

/* What stands for a character that would not be seen, or would disturb its neighbours; 0: it may stand itself. */
static const char *stand_in(uint32_t code_point)
{
    switch (code_point) {
    case ' ':
        return "\xe2\x90\xa3";
    case '\n':
        return "\xe2\x8f\x8e";
    case '\t':
        return "\xe2\x87\xa5";
    case 0xfffd:
        return "\xef\xbf\xbd";
    default:
        break;
    }
    bool bidirectional = code_point == 0x061c || (code_point >= 0x200e && code_point <= 0x200f) ||
                         (code_point >= 0x202a && code_point <= 0x202e) ||
                         (code_point >= 0x2066 && code_point <= 0x2069);
    bool blank = utf8proc_category((utf8proc_int32_t)code_point) == UTF8PROC_CATEGORY_CC || code_point == 0x200b ||
                 code_point == 0x2028 || code_point == 0x2029 || code_point == 0xfeff;
    return bidirectional || blank ? "\xc2\xb7" : NULL;
}

/* Appends `text` with stand-ins for all but the characters of `stay`. */
static void add_all_but(scry__text *out, const char *text, const char *stay)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size;) {
        uint32_t    code_point;
        size_t      length = next(text + i, size - i, &code_point);
        const char *other  = strchr(stay, text[i]) ? NULL : stand_in(code_point);
        if (other)
            scry__text_adds(out, other);
        else
            scry__text_add(out, text + i, length);
        i += length;
    }
}

void scry__label_add(scry__text *out, const char *text)
{
    if (*text)
        add_all_but(out, text, "");
    else
        scry__text_adds(out, "\xe2\x88\x85");
}

void scry__label_prose(scry__text *out, const char *text)
{
    add_all_but(out, text, " \n\t");
}

scry_status scry__labels_create(scry__labels **out, const char *const *texts, int count)
{
    scry_status   status = SCRY_OUT_OF_MEMORY;
    scry__labels *labels = *out = scry__alloc(1, sizeof *labels);
    if (!labels) return status;
    labels->texts = scry__alloc((size_t)count, sizeof *labels->texts);
    if (!labels->texts) goto fail;
    for (; labels->count < count; labels->count++) {
        scry__text label = {0};
        scry__label_add(&label, texts[labels->count]);
        status = scry__text_take(&label, &labels->texts[labels->count], NULL);
        if (status) goto fail;
    }
    return SCRY_OK;
fail:
    scry__labels_destroy(out);
    return status;
}

void scry__labels_destroy(scry__labels **labels)
{
    if (!*labels) return;
    for (int i = 0; i < (*labels)->count; i++) scry__free((*labels)->texts[i]);
    scry__free((*labels)->texts);
    scry__free(*labels);
    *labels = NULL;
}

/* One character of a line in a terminal: what is written for it, and how many columns that takes. */
static const char *cell_text(const char *text, size_t size, size_t *length, int *columns)
{
    uint32_t code_point;
    *length             = next(text, size, &code_point);
    const char *instead = code_point == ' ' ? NULL : stand_in(code_point);
    *columns            = instead ? 1 : utf8proc_charwidth((utf8proc_int32_t)code_point);
    return instead;
}

int scry__label_width(const char *text)
{
    size_t size  = strlen(text), length;
    int    width = 0, columns;
    for (size_t i = 0; i < size; i += length) {
        cell_text(text + i, size - i, &length, &columns);
        width += columns;
    }
    return width;
}

static void pad(scry__text *out, int count)
{
    for (int i = 0; i < count; i++) scry__text_adds(out, " ");
}

void scry__label_fit(scry__text *out, const char *text, int width, scry__align align)
{
    int    needed = scry__label_width(text), limit = needed <= width ? width : width - 1, used = 0;
    size_t size = strlen(text), length;
    if (width <= 0) return;
    if (align == SCRY__ALIGN_RIGHT && needed < width) pad(out, width - needed);
    for (size_t i = 0; i < size; i += length) {
        int         columns;
        const char *instead = cell_text(text + i, size - i, &length, &columns);
        if (used + columns > limit) break;
        used += columns;
        if (instead)
            scry__text_adds(out, instead);
        else
            scry__text_add(out, text + i, length);
    }
    if (needed > width) scry__text_adds(out, ellipsis);
    if (align == SCRY__ALIGN_LEFT || needed > width) pad(out, limit - used);
}

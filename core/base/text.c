/* A growable string, UTF-8, glob patterns. See text.h. */
#include "base/text.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* No text that scry builds in memory is longer. */
static const size_t text_limit = (size_t)1 << 32;

static bool reserve(scry__text *text, size_t more)
{
    size_t needed;
    if (text->status) return false;
    if (!scry__plus(text->size, more, &needed) || needed >= text_limit) {
        text->status = scry__fail(SCRY_OUT_OF_MEMORY, "a text grew past %zu bytes", text_limit);
        return false;
    }
    if (needed < text->capacity) return true;
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity <= needed) capacity *= 2;
    char *data = scry__realloc(text->data, capacity, 1);
    if (!data) {
        text->status = SCRY_OUT_OF_MEMORY;
        return false;
    }
    text->data     = data;
    text->capacity = capacity;
    return true;
}

void scry__text_add(scry__text *text, const char *bytes, size_t size)
{
    if (!reserve(text, size)) return;
    if (size) memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = 0;
}

void scry__text_adds(scry__text *text, const char *string)
{
    scry__text_add(text, string, strlen(string));
}

void scry__text_addf(scry__text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size >= 0 && reserve(text, (size_t)size)) {
        vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    }
    va_end(again);
    va_end(arguments);
}

scry_status scry__text_take(scry__text *text, char **out, size_t *size)
{
    scry__text_add(text, "", 0);
    scry_status status = text->status;
    if (status) {
        scry__text_finish(text);
        return status;
    }
    *out = text->data;
    if (size) *size = text->size;
    *text = (scry__text){0};
    return SCRY_OK;
}

void scry__text_finish(scry__text *text)
{
    scry__free(text->data);
    *text = (scry__text){0};
}

int scry__utf8_decode(const char *text, size_t size, uint32_t *code_point)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        *code_point = s[0];
        return 1;
    }
    int      length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t value  = s[0] & (0xffu >> (length + 1));
    if (s[0] < 0xc2 || s[0] > 0xf4 || size < (size_t)length) return 0;
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (s[i] & 0x3f);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    *code_point = value;
    return length;
}

int scry__utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    int length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out[0] = (char)((0xf00 >> length & 0xff) | code_point);
    return length;
}

bool scry__utf8_valid(const char *text, size_t size, size_t *offset)
{
    for (size_t i = 0; i < size;) {
        uint32_t code_point;
        int      length = scry__utf8_decode(text + i, size - i, &code_point);
        if (!length) {
            if (offset) *offset = i;
            return false;
        }
        i += (size_t)length;
    }
    return true;
}

bool scry__glob(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name) {
        if (*pattern == '*') {
            star   = pattern++;
            resume = name;
        } else if (*pattern == *name || *pattern == '?') {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name    = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

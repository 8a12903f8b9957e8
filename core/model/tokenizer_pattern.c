/* Oniguruma's Ruby syntax rewritten for PCRE2 (UTF, UCP, multi-line). See tokenizer_regex.h.
 *
 * Goes over the pattern once, keeping track of character classes only; what both engines read alike is copied. */
#include "base/error.h"
#include "model/tokenizer_regex.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What Oniguruma's \w holds inside a class, and the numbers of Latin-1 that it holds outside of one only. PCRE2's \w
 * leaves out marks. */
#define WORD    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define NUMBERS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

typedef struct pattern {
    const char *text;
    size_t      size, at;
    bool        in_class;
    scry__text *out;
} pattern;

/* The byte `ahead` places on; 0 behind the end. */
static char peek(const pattern *p, size_t ahead)
{
    return p->at + ahead < p->size ? p->text[p->at + ahead] : 0;
}

static void copy(pattern *p, size_t count)
{
    scry__text_add(p->out, p->text + p->at, count);
    p->at += count;
}

static void replace(pattern *p, size_t count, const char *by)
{
    scry__text_adds(p->out, by);
    p->at += count;
}

static scry_status refuse(const pattern *p, size_t count, const char *reason)
{
    size_t left = p->size - p->at;
    return scry__fail(SCRY_BAD_INPUT, "pattern \"%.*s\": offset %zu: \"%.*s\": %s",
                      (int)(p->size < 200 ? p->size : 200), p->text, p->at, (int)(count < left ? count : left),
                      p->text + p->at, reason);
}

static size_t hex_digits(const pattern *p, size_t ahead)
{
    size_t count = 0;
    while (isxdigit((unsigned char)peek(p, ahead + count))) count++;
    return count;
}

/* \p{Name} and \P{Name}: general categories and Alphabetic are spelled alike; other names are scripts, and not, as
 * PCRE2 would take them, script extensions. */
static scry_status property(pattern *p)
{
    size_t name = peek(p, 3) == '^' ? 4 : 3, size = 0;
    while (isalpha((unsigned char)peek(p, name + size)) || peek(p, name + size) == '_') size++;
    if (peek(p, 2) != '{' || !size || peek(p, name + size) != '}')
        return refuse(p, 3, "expected a property such as \\p{L} or \\p{Han}");
    if (size <= 2 || !strncmp(p->text + p->at + name, "Alphabetic}", size + 1)) {
        copy(p, name + size + 1);
    } else {
        copy(p, name);
        scry__text_adds(p->out, "sc:");
        copy(p, size + 1);
    }
    return SCRY_OK;
}

static scry_status code_point(pattern *p)
{
    if (peek(p, 1) == 'x' && peek(p, 2) == '{') {
        copy(p, 3);
        return SCRY_OK;
    }
    if (peek(p, 1) == 'x') {
        /* A byte to Oniguruma, a code point to PCRE2: the same below 0x80. */
        if (hex_digits(p, 2) < 2 || peek(p, 2) >= '8') return refuse(p, 4, "expected \\x{...}, or \\x00 to \\x7F");
        copy(p, 4);
        return SCRY_OK;
    }
    if (hex_digits(p, 2) < 4) return refuse(p, 6, "expected four hexadecimal digits");
    scry__text_addf(p->out, "\\x{%.4s}", p->text + p->at + 2);
    p->at += 6;
    return SCRY_OK;
}

static scry_status escape(pattern *p)
{
    char next = peek(p, 1);
    switch (next) {
    case 's':
        replace(p, 2, "\\p{White_Space}");
        return SCRY_OK;
    case 'S':
        replace(p, 2, "\\P{White_Space}");
        return SCRY_OK;
    case 'd':
        replace(p, 2, "\\p{Nd}");
        return SCRY_OK;
    case 'D':
        replace(p, 2, "\\P{Nd}");
        return SCRY_OK;
    case 'w':
        replace(p, 2, p->in_class ? WORD : "[" WORD NUMBERS "]");
        return SCRY_OK;
    case 'W':
        if (p->in_class) return refuse(p, 2, "not supported inside [...]");
        replace(p, 2, "[^" WORD NUMBERS "]");
        return SCRY_OK;
    case 'v':
        replace(p, 2, "\\x0b");
        return SCRY_OK; /* a class of its own in PCRE2 */
    case 'p':
    case 'P':
        return property(p);
    case 'x':
    case 'u':
        return code_point(p);
    case 'r':
    case 'n':
    case 't':
    case 'f':
    case 'a':
    case 'e':
        copy(p, 2);
        return SCRY_OK;
    default:
        if (p->at + 1 >= p->size || isalnum((unsigned char)next)) return refuse(p, 2, "not a supported escape");
        copy(p, 2);
        return SCRY_OK;
    }
}

static scry_status class_open(pattern *p)
{
    p->in_class = true;
    copy(p, peek(p, 1) == '^' ? 2 : 1);
    return peek(p, 0) == ']' ? refuse(p, 1, "an empty character class") : SCRY_OK;
}

static scry_status group_open(pattern *p)
{
    static const char *const kinds[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?-i:"};
    if (peek(p, 1) != '?' && peek(p, 1) != '*') {
        copy(p, 1);
        return SCRY_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t size = strlen(kinds[i]);
        if (p->size - p->at >= size && !memcmp(p->text + p->at, kinds[i], size)) {
            copy(p, size);
            return SCRY_OK;
        }
    }
    return refuse(p, 4, "not a supported group");
}

/* {2}, {2,} and {2,5} are alike in both; what may follow them is not. */
static scry_status interval(pattern *p)
{
    size_t low = 0, high = 0;
    while (isdigit((unsigned char)peek(p, 1 + low))) low++;
    size_t at    = 1 + low;
    bool   comma = peek(p, at) == ',';
    if (comma) at++;
    while (comma && isdigit((unsigned char)peek(p, at + high))) high++;
    at += high;
    if (peek(p, at) != '}' || !(low + high)) {
        replace(p, 1, "\\{"); /* no interval: Oniguruma takes it literally */
        return SCRY_OK;
    }
    if (peek(p, at + 1) == '+' || (!comma && peek(p, at + 1) == '?'))
        return refuse(p, at + 2, "not a supported quantifier");
    if (low) {
        copy(p, at + 1);
    } else {
        replace(p, 1, "{0");
        copy(p, at);
    }
    return SCRY_OK;
}

static scry_status in_class(pattern *p)
{
    switch (peek(p, 0)) {
    case ']':
        p->in_class = false;
        break;
    case '[':
        return refuse(p, 1, "a set inside a set is not supported");
    case '&':
        if (peek(p, 1) == '&') return refuse(p, 2, "the intersection of sets is not supported");
        break;
    default:
        break;
    }
    copy(p, 1);
    return SCRY_OK;
}

scry_status scry__pattern_translate(scry__text *out, const char *text, size_t size)
{
    pattern     p      = {.text = text, .size = size, .out = out};
    scry_status status = SCRY_OK;
    if (memchr(text, 0, size)) return scry__fail(SCRY_BAD_INPUT, "a pattern holds a NUL");
    while (!status && p.at < size) {
        char c = peek(&p, 0);
        if (c == '\\')
            status = escape(&p);
        else if (p.in_class)
            status = in_class(&p);
        else if (c == '[')
            status = class_open(&p);
        else if (c == '(')
            status = group_open(&p);
        else if (c == '{')
            status = interval(&p);
        else
            copy(&p, 1);
    }
    return status ? status : out->status;
}

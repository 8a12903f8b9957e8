/* Compiling and matching with PCRE2. See tokenizer_regex.h; tokenizer_pattern.c rewrites the patterns. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer_regex.h"

#include "base/alloc.h"
#include "base/error.h"

#include <pcre2.h>
#include <stdint.h>

enum {
    PATTERN_LIMIT = 1 << 16,  /* bytes */
    MATCH_LIMIT   = 10000000, /* backtracking steps in one search; sane patterns need about one per byte */
    HEAP_LIMIT    = 1 << 16,  /* KiB that one search may take */
};

struct scry__regex {
    pcre2_general_context *gate;
    pcre2_match_context   *limits;
    pcre2_code            *code;
};

static void *gate_alloc(PCRE2_SIZE size, void *user)
{
    (void)user;
    return scry__alloc(size, 1);
}

static void gate_free(void *memory, void *user)
{
    (void)user;
    scry__free(memory);
}

static scry_status compile(scry__regex *regex, const char *pattern, size_t size, uint32_t options)
{
    int                    error;
    PCRE2_SIZE             offset;
    pcre2_compile_context *context = pcre2_compile_context_create(regex->gate);
    if (!context) return SCRY_OUT_OF_MEMORY;
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_max_pattern_length(context, 4 * (size_t)PATTERN_LIMIT);
    regex->code = pcre2_compile((PCRE2_SPTR)pattern, size, options, &error, &offset, context);
    pcre2_compile_context_free(context);
    if (!regex->code && error == PCRE2_ERROR_HEAP_FAILED) return SCRY_OUT_OF_MEMORY;
    if (!regex->code) {
        char message[128];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof message);
        return scry__fail(SCRY_BAD_INPUT, "pattern \"%.*s\": offset %zu: %s", (int)(size < 200 ? size : 200), pattern,
                          (size_t)offset, message);
    }
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* where it cannot, the interpreter does the same */
    return SCRY_OK;
}

scry_status scry__regex_create(scry__regex **out, const char *pattern, size_t size, bool literal)
{
    scry_status status     = SCRY_OUT_OF_MEMORY;
    scry__text  translated = {0};
    *out                   = NULL;
    if (size > PATTERN_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "a pattern of %zu bytes: expected at most %d", size, PATTERN_LIMIT);
    scry__regex *regex = scry__alloc(1, sizeof *regex);
    if (!regex) return SCRY_OUT_OF_MEMORY;
    regex->gate = pcre2_general_context_create(gate_alloc, gate_free, NULL);
    if (!regex->gate) goto fail;
    regex->limits = pcre2_match_context_create(regex->gate);
    if (!regex->limits) goto fail;
    pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(regex->limits, HEAP_LIMIT);
    if (literal) {
        status = compile(regex, pattern, size, PCRE2_UTF | PCRE2_LITERAL);
    } else {
        /* In Ruby's syntax ^ and $ stand at every line. */
        uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C;
        status           = scry__pattern_translate(&translated, pattern, size);
        if (!status) status = compile(regex, translated.data ? translated.data : "", translated.size, options);
    }
    if (status) goto fail;
    scry__text_finish(&translated);
    *out = regex;
    return SCRY_OK;
fail:
    scry__text_finish(&translated);
    scry__regex_destroy(&regex);
    return status;
}

void scry__regex_destroy(scry__regex **regex)
{
    if (!*regex) return;
    pcre2_code_free((*regex)->code);
    pcre2_match_context_free((*regex)->limits);
    pcre2_general_context_free((*regex)->gate);
    scry__free(*regex);
    *regex = NULL;
}

scry_status scry__matches_open(scry__matches *matches, const scry__regex *regex)
{
    matches->regex = regex;
    matches->data  = pcre2_match_data_create(1, regex->gate);
    return matches->data ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

void scry__matches_begin(scry__matches *matches, const char *text, size_t size)
{
    matches->text     = text;
    matches->size     = size;
    matches->from     = size ? 0 : 1; /* nothing is looked for in nothing */
    matches->last_end = SIZE_MAX;
}

void scry__matches_close(scry__matches *matches)
{
    pcre2_match_data_free(matches->data);
    *matches = (scry__matches){0};
}

static int search(const scry__matches *matches)
{
    const scry__regex *regex = matches->regex;
    int found = pcre2_match(regex->code, (PCRE2_SPTR)matches->text, matches->size, matches->from, PCRE2_NO_UTF_CHECK,
                            matches->data, regex->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter keeps its stack on the heap */
        found = pcre2_match(regex->code, (PCRE2_SPTR)matches->text, matches->size, matches->from,
                            PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matches->data, regex->limits);
    return found;
}

scry_status scry__matches_next(scry__matches *matches, bool *found, size_t *begin, size_t *end)
{
    *found = false;
    while (matches->from <= matches->size) {
        int count = search(matches);
        if (count == PCRE2_ERROR_NOMATCH) return SCRY_OK;
        if (count == PCRE2_ERROR_NOMEMORY) return SCRY_OUT_OF_MEMORY;
        if (count < 0) {
            char message[128];
            pcre2_get_error_message(count, (PCRE2_UCHAR *)message, sizeof message);
            return scry__fail(SCRY_BAD_INPUT, "a pattern of the tokenizer gives up at byte %zu of a text of %zu: %s",
                              matches->from, matches->size, message);
        }
        const PCRE2_SIZE *place = pcre2_get_ovector_pointer(matches->data);
        if (place[0] < place[1] || place[1] != matches->last_end) {
            *found            = true;
            *begin            = place[0];
            *end              = place[1];
            matches->last_end = matches->from = place[1];
            return SCRY_OK;
        }
        matches->from = place[1] + 1; /* past one whole character */
        while (matches->from < matches->size && ((unsigned char)matches->text[matches->from] & 0xc0) == 0x80)
            matches->from++;
    }
    return SCRY_OK;
}

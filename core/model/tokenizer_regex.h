/* Regular expressions as tokenizer.json means them: Oniguruma's Ruby syntax, run by PCRE2.
 *
 * The two engines differ in what \s and \w hold, in options and in a few spellings. Patterns are rewritten where PCRE2
 * can say the same, and refused where it cannot. */
#ifndef SCRY_MODEL_TOKENIZER_REGEX_H
#define SCRY_MODEL_TOKENIZER_REGEX_H

#include "base/text.h"
#include "scry/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct scry__regex scry__regex;

/* A literal is matched byte by byte. SCRY_BAD_INPUT, with the place in the pattern, where it cannot be compiled. */
scry_status scry__regex_create(scry__regex **out, const char *pattern, size_t size, bool literal);
void        scry__regex_destroy(scry__regex **regex);

/* Adds to `out` the PCRE2 pattern that matches what `pattern` matches in Oniguruma. */
scry_status scry__pattern_translate(scry__text *out, const char *pattern, size_t size);

/* The matches in one string after another. Zero-initialise; open, then begin for each string. */
typedef struct scry__matches {
    const scry__regex *regex;
    void              *data; /* PCRE2's match data */
    const char        *text;
    size_t             size, from;
    size_t             last_end; /* of the last match; SIZE_MAX before the first */
} scry__matches;

scry_status scry__matches_open(scry__matches *matches, const scry__regex *regex);
void        scry__matches_begin(scry__matches *matches, const char *text, size_t size); /* valid UTF-8 */
void        scry__matches_close(scry__matches *matches);

/* Finds the next match; an empty one never right behind the last. SCRY_BAD_INPUT where the pattern needs more steps
 * than any sane one does. */
scry_status scry__matches_next(scry__matches *matches, bool *found, size_t *begin, size_t *end);

#endif

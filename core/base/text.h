/* Text: a growable string, UTF-8 checks, glob patterns. */
#ifndef SCRY_BASE_TEXT_H
#define SCRY_BASE_TEXT_H

#include "scry/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growable byte string, always NUL-terminated once anything was added. Zero-initialise; scry__text_finish releases.
 * After a refused allocation `status` stays set and later calls do nothing, so that callers check once at the end. */
typedef struct scry__text {
    char       *data;
    size_t      size, capacity;
    scry_status status;
} scry__text;

void scry__text_add(scry__text *text, const char *bytes, size_t size);
void scry__text_adds(scry__text *text, const char *string);
void scry__text_addf(scry__text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands over the string (never NULL on success; release with scry__free) and empties `text`. */
scry_status scry__text_take(scry__text *text, char **out, size_t *size);
void        scry__text_finish(scry__text *text);

/* Decodes one code point at `text` (size > 0): its length in bytes, or 0 where the bytes are not valid UTF-8 (overlong,
 * surrogate, past U+10FFFF, cut short). */
int scry__utf8_decode(const char *text, size_t size, uint32_t *code_point);
/* Writes 1 to 4 bytes, returns how many. */
int scry__utf8_encode(uint32_t code_point, char out[4]);
/* True if all is valid; else *offset is where the first bad byte is. */
bool scry__utf8_valid(const char *text, size_t size, size_t *offset);

/* Shell-like match of a whole name: * any run, ? one byte. */
bool scry__glob(const char *pattern, const char *name);

#endif

/* SHA-256 (FIPS 180-4): tells whether bytes are those that were written. */
#ifndef SCRY_BASE_SHA256_H
#define SCRY_BASE_SHA256_H

#include "scry/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct scry__sha256 {
    uint32_t state[8];
    uint64_t size; /* bytes taken so far */
    uint8_t  block[64];
} scry__sha256;

enum { SCRY__SHA256_TEXT = 65 }; /* 64 digits and a NUL */

void scry__sha256_begin(scry__sha256 *hash);
void scry__sha256_add(scry__sha256 *hash, const void *data, size_t size);
/* The digest in lower-case hexadecimal, as sha256sum prints it. */
void scry__sha256_end(scry__sha256 *hash, char out[SCRY__SHA256_TEXT]);

/* Of a whole file. */
scry_status scry__sha256_file(char out[SCRY__SHA256_TEXT], const char *path);

#endif

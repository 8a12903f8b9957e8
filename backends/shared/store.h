/* What was costly to make, kept on disk for the next process.
 *
 * One file for each key, in $SCRY_CACHE_DIR, else $XDG_CACHE_HOME/scry, else $HOME/.cache/scry. It holds the key, which
 * is everything that the content depends on and is compared when it is read, the content, and a checksum. It appears
 * whole or not at all; one that is broken or another's counts as absent and is replaced. */
#ifndef SCRY_SHARED_STORE_H
#define SCRY_SHARED_STORE_H

#include "scry/backend.h"

/* The files of one backend. Zeroed but for what names it. */
struct scry__store {
    const struct scry_host *host;
    const char             *name;       /* the backend's; the files are called NAME-... */
    const char             *without;    /* "programs are built anew each time": what it costs where nothing is kept */
    int                     most_files; /* one more, and the one used longest ago goes */
    bool                    refused;    /* something could not be kept, and the log has said so */
};

struct scry__key {
    const char *bytes; /* NULL: nothing is kept */
    size_t      size;
};

/* What was found. Release `file` through the host. */
struct scry__found {
    char       *file;
    const char *content; /* in `file`; NULL: nothing was found */
    size_t      size;
};

struct scry__found scry__store_load(const struct scry__store *store, struct scry__key key);

/* Where it cannot be kept, a line in the log says so, once for each store. */
void scry__store_save(struct scry__store *store, struct scry__key key, const void *content, size_t size);

/* FNV-1a, 64 bits; begins with SCRY__HASH_SEED, and goes on from what it gave. */
#define SCRY__HASH_SEED UINT64_C(0xcbf29ce484222325)
static inline uint64_t scry__hash(uint64_t seed, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) seed = (seed ^ at[i]) * UINT64_C(0x100000001b3);
    return seed;
}

#endif

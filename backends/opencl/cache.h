/* Built programs on disk, so that the next process need not compile them.
 *
 * One file for each program, in $SCRY_CACHE_DIR, else $XDG_CACHE_HOME/scry, else $HOME/.cache/scry. It holds everything
 * that the binary depends on (source, options, device, driver, platform), which is compared when it is read, and a
 * checksum. It appears whole or not at all; one that is broken or another's counts as absent and is replaced. */
#ifndef SCRY_OPENCL_CACHE_H
#define SCRY_OPENCL_CACHE_H

#include "opencl.h"

/* What a program's binary depends on. */
struct scry__cl_key {
    char  *text; /* NULL: nothing is cached */
    size_t size;
};

/* `texts` (`count` of them) are the program's source. Release with scry__cl_host->release(key.text). */
struct scry__cl_key scry__cl_cache_key(const struct scry__cl *cl, const char *options, const char *const *texts,
                                       int count);

/* The program of that key, built; NULL where the cache has none. */
cl_program scry__cl_cache_load(struct scry__cl *cl, const struct scry__cl_key *key, const char *options);

/* Where it cannot be kept, a line in the log says so, once for each device. */
void scry__cl_cache_save(struct scry__cl *cl, const struct scry__cl_key *key, cl_program program);

#endif

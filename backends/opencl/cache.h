/* Built programs on disk, so that the next process need not compile them: one file for each (shared/store.h), found
 * again by everything that the binary depends on: source, options, device, driver, platform. */
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

/* Keeps it for the next process, where it can. */
void scry__cl_cache_save(struct scry__cl *cl, const struct scry__cl_key *key, cl_program program);

#endif

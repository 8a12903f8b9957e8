/* Arrays to a .npz file, streamed: what numpy.load opens.
 *
 * Arrays are stored uncompressed, little-endian, row-major, each starting at a multiple of 64 bytes of the file, so
 * that they can be mapped. Sizes past 4 GiB and more than 65,535 arrays use zip64. The file appears on commit, whole,
 * or not at all. */
#ifndef SCRY_REPORT_NPZ_H
#define SCRY_REPORT_NPZ_H

#include "scry/trace.h"

/* X(name, bytes per element, numpy's description) */
#define SCRY__NPY_LIST(X)                                                                                              \
    X(F32, 4, "<f4")                                                                                                   \
    X(F64, 8, "<f8")                                                                                                   \
    X(F16, 2, "<f2")                                                                                                   \
    X(I32, 4, "<i4")                                                                                                   \
    X(I64, 8, "<i8")                                                                                                   \
    X(U8, 1, "|u1")

typedef enum scry__npy_dtype {
#define SCRY__NPY_ENUM(name, bytes, text) SCRY__NPY_##name,
    SCRY__NPY_LIST(SCRY__NPY_ENUM)
#undef SCRY__NPY_ENUM
        SCRY__NPY_COUNT
} scry__npy_dtype;

enum { SCRY__NPZ_MAX_RANK = 8 };

typedef struct scry__npz scry__npz;

/* Starts a file that will be at `path`. */
scry_status scry__npz_open(scry__npz **out, const char *path);

/* A whole array. `name` is the key under which numpy finds it: UTF-8, no '/' or '\\', at most 1,000 bytes, each once.
 * rank 0 is a single number. data may be NULL where the shape has a 0. */
scry_status scry__npz_add(scry__npz *npz, const char *name, scry__npy_dtype dtype, int rank, const int64_t *shape,
                          const void *data);

/* An array whose bytes come in pieces, in row-major order: begin, append as often as needed, end. end refuses an array
 * that is not complete. Only one is open at a time. */
scry_status scry__npz_begin(scry__npz *npz, const char *name, scry__npy_dtype dtype, int rank, const int64_t *shape);
scry_status scry__npz_append(scry__npz *npz, const void *data, size_t bytes);
scry_status scry__npz_end(scry__npz *npz);

/* Strings (UTF-8) as a numpy unicode array of shape [count]; NUL characters at a string's end are lost, as always in
 * numpy. Bytes that are no UTF-8 become U+FFFD. */
scry_status scry__npz_add_texts(scry__npz *npz, const char *name, const char *const *texts, int count);

/* A capture as trace hands it out (f32 or i32), under its own name. */
scry_status scry__npz_add_capture(scry__npz *npz, const scry_capture *capture);

/* Writes the directory and puts the file in place. Releases *npz, whatever the outcome; after any earlier failure it
 * leaves no file and returns that failure's status. */
scry_status scry__npz_commit(scry__npz **npz);

/* Leaves no file and releases *npz; accepts NULL. */
void scry__npz_abort(scry__npz **npz);

#endif

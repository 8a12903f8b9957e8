/* Reading arrays from NumPy's files: one in an .npy, several by name in an .npz, stored or deflated.
 *
 * Every length in the file is checked before use. Arrays of any plain dtype are listed; reading one converts it. */
#ifndef SCRY_BASE_ARRAY_FILE_H
#define SCRY_BASE_ARRAY_FILE_H

#include "base/zip.h"

/* X(name, as NumPy spells it, bytes per element) */
#define SCRY__ARRAY_LIST(X)                                                                                            \
    X(F16, "<f2", 2)                                                                                                   \
    X(F32, "<f4", 4)                                                                                                   \
    X(F64, "<f8", 8)                                                                                                   \
    X(I32, "<i4", 4)                                                                                                   \
    X(I64, "<i8", 8)                                                                                                   \
    X(U8, "|u1", 1)                                                                                                    \
    X(BOOL, "|b1", 1)

typedef enum scry__array_type {
#define SCRY__ARRAY_ENUM(name, text, bytes) SCRY__ARRAY_##name,
    SCRY__ARRAY_LIST(SCRY__ARRAY_ENUM)
#undef SCRY__ARRAY_ENUM
        SCRY__ARRAY_TEXT, /* "<U7": code points of 32 bits, seven of them */
    SCRY__ARRAY_OTHER,    /* listed, but not read */
} scry__array_type;

enum { SCRY__ARRAY_MAX_RANK = 8 };

typedef struct scry__array {
    char            *name; /* without .npy; "" in an .npy file */
    char             dtype[16];
    scry__array_type type;
    bool             fortran; /* stored column by column: listed, but not read */
    int              rank;    /* 0: one element */
    int64_t          shape[SCRY__ARRAY_MAX_RANK];
    size_t           count; /* elements */
    size_t           item;  /* bytes of one; 0 where not known */
    size_t           head;  /* bytes before the first */
    int              member;
} scry__array;

typedef struct scry__array_file {
    char             *path;
    scry__map         map;
    scry__zip_member *members;
    int               member_count, count;
    scry__array      *arrays; /* by name, ascending */
} scry__array_file;

/* Takes either format, whatever the file is called. Members of an .npz that are no .npy are left aside. */
scry_status scry__array_file_open(scry__array_file **out, const char *path);
void        scry__array_file_close(scry__array_file **file);

/* NULL where there is none of that name. */
const scry__array *scry__array_find(const scry__array_file *file, const char *name);

/* The whole array, `count` numbers, rounded to f32; `out` is the caller's. */
scry_status scry__array_read_f32(const scry__array_file *file, const scry__array *array, float *out);

/* The same of whole numbers, which have to fit. */
scry_status scry__array_read_ints(const scry__array_file *file, const scry__array *array, int32_t *out);

/* An array of texts as UTF-8: `count` strings, each of them and *out to be released with scry__free. */
scry_status scry__array_read_texts(const scry__array_file *file, const scry__array *array, char ***out);

#endif

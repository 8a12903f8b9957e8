/* Reading safetensors: one file, or the shards that model.safetensors.index.json names.
 *
 * Files are mapped and every length is checked before use. Tensors of any dtype are listed; who uses one decides which
 * dtypes will do. */
#ifndef SCRY_MODEL_SAFETENSORS_H
#define SCRY_MODEL_SAFETENSORS_H

#include "base/file.h"

#include <jansson.h>

/* X(name as the format spells it, bytes per element) */
#define SCRY__ELEMENT_LIST(X)                                                                                          \
    X(F64, 8)                                                                                                          \
    X(F32, 4)                                                                                                          \
    X(F16, 2)                                                                                                          \
    X(BF16, 2)                                                                                                         \
    X(I64, 8)                                                                                                          \
    X(I32, 4)                                                                                                          \
    X(I16, 2)                                                                                                          \
    X(I8, 1)                                                                                                           \
    X(U64, 8)                                                                                                          \
    X(U32, 4)                                                                                                          \
    X(U16, 2)                                                                                                          \
    X(U8, 1)                                                                                                           \
    X(BOOL, 1)                                                                                                         \
    X(F8_E4M3, 1)                                                                                                      \
    X(F8_E5M2, 1)

typedef enum scry__element {
#define SCRY__ELEMENT_ENUM(name, bytes) SCRY__ELEMENT_##name,
    SCRY__ELEMENT_LIST(SCRY__ELEMENT_ENUM)
#undef SCRY__ELEMENT_ENUM
        SCRY__ELEMENT_COUNT
} scry__element;

const char *scry__element_text(scry__element element);
size_t      scry__element_bytes(scry__element element);

enum { SCRY__STORED_MAX_RANK = 8 };

/* A tensor as it lies in a file: row-major, little endian, possibly not aligned to its element size. */
typedef struct scry__stored {
    char          *name;
    scry__element  element;
    int            rank; /* 0: one element */
    int64_t        shape[SCRY__STORED_MAX_RANK];
    const uint8_t *data;
    size_t         bytes;
    int            file; /* index into scry__safetensors.files */
} scry__stored;

typedef struct scry__stored_file {
    char     *path;
    scry__map map;
} scry__stored_file;

typedef struct scry__safetensors {
    char              *path; /* as it was opened */
    int                file_count, count;
    scry__stored_file *files;
    scry__stored      *tensors;  /* by name, ascending */
    void              *memory;   /* of tensors that lie in no file */
    json_t            *metadata; /* strings that the first file with any holds beside its tensors; NULL: none */
} scry__safetensors;

/* Opens one .safetensors file, or a directory that holds model.safetensors or its sharded index. */
scry_status scry__safetensors_open(scry__safetensors **out, const char *path);
void        scry__safetensors_close(scry__safetensors **checkpoint);

/* Whether a directory holds weights at all. Fails only for want of memory. */
scry_status scry__safetensors_is_there(const char *directory, bool *is_there);

/* NULL where there is none of that name. */
const scry__stored *scry__safetensors_find(const scry__safetensors *checkpoint, const char *name);

/* "[2, 3]" into `out`, for messages. */
enum { SCRY__SHAPE_TEXT_SIZE = 128 };
const char *scry__shape_text(char out[SCRY__SHAPE_TEXT_SIZE], int rank, const int64_t *shape);

#endif

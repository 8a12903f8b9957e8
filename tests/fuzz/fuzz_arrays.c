/* Bytes as an .npy or .npz file: its arrays, and attention patterns among them. */
#include "base/alloc.h"
#include "fuzz/fuzz.h"
#include "trace/attention_file.h"

#include <string.h>

/* What a small file can deflate to is read, more is left alone. */
enum { MOST = 1 << 22 };

static void read_array(const scry__array_file *file, const scry__array *array)
{
    char    **texts  = NULL;
    uint32_t *values = scry__alloc(array->count, sizeof *values);
    FUZZ_REQUIRE(values);
    fuzz_require_detail(scry__array_read_f32(file, array, (float *)values));
    fuzz_require_detail(scry__array_read_ints(file, array, (int32_t *)values));
    if (scry__array_read_texts(file, array, &texts)) {
        FUZZ_REQUIRE(!texts);
    } else {
        for (size_t i = 0; i < array->count; i++) {
            FUZZ_REQUIRE(strlen(texts[i]) <= array->item);
            scry__free(texts[i]);
        }
        scry__free(texts);
    }
    scry__free(values);
}

static void read_arrays(const char *path)
{
    scry__array_file *file   = NULL;
    scry_status       status = scry__array_file_open(&file, path);
    fuzz_require_detail(status);
    FUZZ_REQUIRE(!status == (file != NULL));
    for (int i = 0; file && i < file->count; i++) {
        const scry__array *array = &file->arrays[i];
        FUZZ_REQUIRE(array->rank >= 0 && array->rank <= SCRY__ARRAY_MAX_RANK);
        FUZZ_REQUIRE(scry__array_find(file, array->name) == array);
        if (array->count <= MOST && file->map.size <= MOST) read_array(file, array);
    }
    scry__array_file_close(&file);
}

static void read_attention(const char *path)
{
    scry__attention_file *file   = NULL;
    scry_status           status = scry__attention_file_open(&file, path);
    fuzz_require_detail(status);
    FUZZ_REQUIRE(!status == (file != NULL));
    if (status) return;
    size_t count  = (size_t)file->head_count * (size_t)file->query_count * (size_t)file->key_count;
    float *values = count <= MOST ? scry__alloc(count, sizeof *values) : NULL;
    for (int i = 0; values && i < file->layer_count && i < 4; i++)
        fuzz_require_detail(scry__attention_file_read(file, i, values));
    scry__free(values);
    scry__attention_file_close(&file);
}

void fuzz_arrays(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file("arrays.npz", data, size);
    read_arrays(path);
    read_attention(path);
}

/* Writing safetensors. See safetensors_write.h. */
#include "model/safetensors_write.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_build.h"
#include "base/number.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };

/* A tensor's place in the file. */
struct placed {
    const scry__stored *tensor;
    size_t              width, bytes; /* of an element, of all */
};

static int by_width_and_name(const void *a, const void *b)
{
    const struct placed *left = a, *right = b;
    if (left->width != right->width) return left->width > right->width ? -1 : 1;
    return strcmp(left->tensor->name, right->tensor->name);
}

static scry_status place(struct placed *placed, const scry__stored *tensors, int count, const char *path)
{
    for (int i = 0; i < count; i++) {
        const scry__stored *tensor = &tensors[i];
        placed[i].tensor           = tensor;
        placed[i].bytes = placed[i].width = scry__element_bytes(tensor->element);
        for (int axis = 0; axis < tensor->rank; axis++)
            if (!scry__multiply(placed[i].bytes, (size_t)tensor->shape[axis], &placed[i].bytes))
                return scry__fail(SCRY_BAD_ARGUMENT, "%s: tensor %s: its size overflows", path, tensor->name);
    }
    qsort(placed, (size_t)count, sizeof *placed, by_width_and_name);
    return SCRY_OK;
}

static json_t *describe(scry__json_builder *builder, const struct placed *placed, size_t at)
{
    json_t *entry = scry__json_new_object(builder), *shape = scry__json_new_array(builder);
    json_t *offsets = scry__json_new_array(builder);
    for (int axis = 0; axis < placed->tensor->rank; axis++)
        scry__json_append_int(builder, shape, placed->tensor->shape[axis]);
    scry__json_append_int(builder, offsets, (int64_t)at);
    scry__json_append_int(builder, offsets, (int64_t)(at + placed->bytes));
    scry__json_set_text(builder, entry, "dtype", scry__element_text(placed->tensor->element));
    scry__json_set(builder, entry, "shape", shape);
    scry__json_set(builder, entry, "data_offsets", offsets);
    return entry;
}

/* The header's length and its JSON, which ends in spaces where it does not fill 8 bytes. */
static scry_status add_header(scry__text *out, const struct placed *placed, int count, const json_t *metadata,
                              const char *path)
{
    scry__json_builder builder = {0};
    scry__text         text    = {0};
    json_t            *header = scry__json_new_object(&builder), *checked = NULL;
    size_t             at = 0;
    scry_status        status;
    if (metadata) scry__json_set(&builder, header, "__metadata__", json_deep_copy(metadata));
    for (int i = 0; i < count; i++) {
        if (json_object_get(header, placed[i].tensor->name)) {
            json_decref(header);
            return scry__fail(SCRY_BAD_ARGUMENT, "%s: tensor %s: the name stands twice", path, placed[i].tensor->name);
        }
        scry__json_set(&builder, header, placed[i].tensor->name, describe(&builder, &placed[i], at));
        at += placed[i].bytes;
    }
    status = scry__json_finish(&builder, header, &checked);
    if (status) return status;
    scry__json_dump(&text, checked, false);
    if (text.size) text.data[--text.size] = 0; /* the line's end */
    while (!text.status && text.size % LENGTH_BYTES) scry__text_adds(&text, " ");
    char length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++) length[i] = (char)((uint64_t)text.size >> 8 * i);
    scry__text_add(out, length, sizeof length);
    scry__text_add(out, text.data, text.size);
    status = text.status ? text.status : out->status;
    scry__text_finish(&text);
    json_decref(checked);
    return status;
}

static scry_status write_all(scry__writer *writer, const scry__text *header, const struct placed *placed, int count)
{
    scry_status status = scry__writer_write(writer, header->data, header->size);
    for (int i = 0; i < count && !status; i++)
        status = scry__writer_write(writer, placed[i].tensor->data, placed[i].bytes);
    return status;
}

scry_status scry__safetensors_write(const char *path, const scry__stored *tensors, int count, const json_t *metadata)
{
    scry__text     header = {0};
    scry__writer   writer;
    struct placed *placed = scry__alloc((size_t)count, sizeof *placed);
    if (!placed) return SCRY_OUT_OF_MEMORY;
    scry_status status = place(placed, tensors, count, path);
    if (!status) status = add_header(&header, placed, count, metadata, path);
    if (!status) status = scry__writer_open(&writer, path);
    if (!status) {
        status = write_all(&writer, &header, placed, count);
        if (!status)
            status = scry__writer_commit(&writer);
        else
            scry__writer_abort(&writer);
    }
    scry__text_finish(&header);
    scry__free(placed);
    return status;
}

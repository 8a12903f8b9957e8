/* Reading one safetensors file: an 8-byte length, a JSON header, then the tensors' bytes without gap or overlap.
 * Opening a directory with its shards is in shards.c. */
#include "model/safetensors.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"
#include "base/number.h"
#include "model/safetensors_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LENGTH_BYTES = 8, MAX_NAME = 1024, MAX_TENSORS = 1 << 20 };

/* The format's own limit on its header. */
static const uint64_t max_header = 100000000;

static const struct {
    const char *text;
    size_t      size;
} elements[] = {
#define ELEMENT_ROW(name, bytes) {#name, bytes},
    SCRY__ELEMENT_LIST(ELEMENT_ROW)
#undef ELEMENT_ROW
};

const char *scry__element_text(scry__element element)
{
    return (unsigned)element < SCRY__ELEMENT_COUNT ? elements[element].text : "unknown";
}

size_t scry__element_bytes(scry__element element)
{
    return (unsigned)element < SCRY__ELEMENT_COUNT ? elements[element].size : 0;
}

const char *scry__shape_text(char out[SCRY__SHAPE_TEXT_SIZE], int rank, const int64_t *shape)
{
    int used = snprintf(out, SCRY__SHAPE_TEXT_SIZE, "[");
    for (int axis = 0; axis < rank && used < SCRY__SHAPE_TEXT_SIZE; axis++)
        used += snprintf(out + used, (size_t)(SCRY__SHAPE_TEXT_SIZE - used), "%s%lld", axis ? ", " : "",
                         (long long)shape[axis]);
    if (used < SCRY__SHAPE_TEXT_SIZE) snprintf(out + used, (size_t)(SCRY__SHAPE_TEXT_SIZE - used), "]");
    return out;
}

/* Checks the file's frame; *header is the length of the JSON that starts at byte 8. */
static scry_status check_frame(const scry__stored_file *file, size_t *header)
{
    const uint8_t *data   = file->map.data;
    uint64_t       length = 0;
    if (file->map.size < LENGTH_BYTES)
        return scry__fail(SCRY_BAD_INPUT, "%s: %zu bytes: expected at least the 8 of a header length", file->path,
                          file->map.size);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | data[i];
    if (length > max_header)
        return scry__fail(SCRY_BAD_INPUT, "%s: byte 0: header length %llu: expected at most %llu", file->path,
                          (unsigned long long)length, (unsigned long long)max_header);
    if (length > file->map.size - LENGTH_BYTES)
        return scry__fail(SCRY_BAD_INPUT, "%s: byte 0: header length %llu, but only %zu bytes follow", file->path,
                          (unsigned long long)length, file->map.size - LENGTH_BYTES);
    if (length == 0 || data[LENGTH_BYTES] != '{')
        return scry__fail(SCRY_BAD_INPUT, "%s: byte 8: expected a JSON header that starts with '{'", file->path);
    *header = (size_t)length;
    return SCRY_OK;
}

static scry_status read_element(scry__stored *tensor, scry__json_at at)
{
    const char *text;
    scry_status status = scry__json_string(at, "dtype", true, &text);
    if (status) return status;
    for (int i = 0; i < SCRY__ELEMENT_COUNT; i++) {
        if (strcmp(text, elements[i].text)) continue;
        tensor->element = (scry__element)i;
        return SCRY_OK;
    }
    return scry__fail(SCRY_BAD_INPUT, "%s: unknown dtype \"%s\"", at.origin, text);
}

/* Reads the shape; *bytes is what it occupies. */
static scry_status read_shape(scry__stored *tensor, size_t *bytes, scry__json_at at)
{
    const json_t *shape;
    scry_status   status = scry__json_array(at, "shape", true, &shape);
    if (status) return status;
    if (json_array_size(shape) > SCRY__STORED_MAX_RANK)
        return scry__fail(SCRY_BAD_INPUT, "%s: rank %zu: expected at most %d", at.origin, json_array_size(shape),
                          SCRY__STORED_MAX_RANK);
    tensor->rank = (int)json_array_size(shape);
    *bytes       = elements[tensor->element].size;
    for (int axis = 0; axis < tensor->rank; axis++) {
        const json_t *size = json_array_get(shape, (size_t)axis);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return scry__fail(SCRY_BAD_INPUT, "%s: shape: axis %d: expected a size of 0 or more", at.origin, axis);
        tensor->shape[axis] = json_integer_value(size);
        if (!scry__multiply(*bytes, (size_t)tensor->shape[axis], bytes))
            return scry__fail(SCRY_BAD_INPUT, "%s: shape: the byte count overflows at axis %d", at.origin, axis);
    }
    return SCRY_OK;
}

/* Reads data_offsets and checks them against the shape and the buffer of `available` bytes at `buffer`. */
static scry_status read_offsets(scry__stored *tensor, const uint8_t *buffer, size_t available, size_t bytes,
                                scry__json_at at)
{
    const json_t *offsets;
    scry_status   status = scry__json_array(at, "data_offsets", true, &offsets);
    if (status) return status;
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return scry__fail(SCRY_BAD_INPUT, "%s: data_offsets: expected two integers", at.origin);
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > available)
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: data_offsets [%lld, %lld]: expected a range inside the %zu bytes of data", at.origin,
                          (long long)from, (long long)to, available);
    if ((uint64_t)(to - from) != bytes) {
        char shape[SCRY__SHAPE_TEXT_SIZE];
        return scry__fail(SCRY_BAD_INPUT, "%s: data_offsets hold %lld bytes: expected %zu for %s %s", at.origin,
                          (long long)(to - from), bytes, scry__element_text(tensor->element),
                          scry__shape_text(shape, tensor->rank, tensor->shape));
    }
    tensor->data  = buffer + from;
    tensor->bytes = bytes;
    return SCRY_OK;
}

static scry_status read_tensor(scry__stored *tensor, const char *name, const json_t *entry, const char *path,
                               const uint8_t *buffer, size_t available)
{
    char   origin[512];
    size_t bytes;
    if (!*name || strlen(name) > MAX_NAME)
        return scry__fail(SCRY_BAD_INPUT, "%s: tensor \"%.64s\": expected a name of 1 to %d bytes", path, name,
                          MAX_NAME);
    snprintf(origin, sizeof origin, "%s: tensor %s", path, name);
    if (!json_is_object(entry)) return scry__fail(SCRY_BAD_INPUT, "%s: expected an object", origin);
    scry__json_at at     = {entry, origin};
    scry_status   status = read_element(tensor, at);
    if (!status) status = read_shape(tensor, &bytes, at);
    if (!status) status = read_offsets(tensor, buffer, available, bytes, at);
    if (status) return status;
    tensor->name = scry__strdup(name);
    return tensor->name ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static scry_status check_metadata(const json_t *metadata, const char *path)
{
    const char   *key;
    const json_t *value;
    if (!json_is_object(metadata)) return scry__fail(SCRY_BAD_INPUT, "%s: __metadata__: expected an object", path);
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value))
            return scry__fail(SCRY_BAD_INPUT, "%s: __metadata__: key \"%.64s\": expected a string", path, key);
    }
    return SCRY_OK;
}

static int by_place(const void *a, const void *b)
{
    const scry__stored *left = a, *right = b;
    if (left->data != right->data) return left->data < right->data ? -1 : 1;
    return (left->bytes > right->bytes) - (left->bytes < right->bytes);
}

/* The tensors of one file, sorted by place, must follow one another and fill the data. */
static scry_status check_coverage(const scry__stored *tensors, int count, const char *path, const uint8_t *buffer,
                                  size_t available)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        size_t begin = (size_t)(tensors[i].data - buffer);
        if (begin != at)
            return scry__fail(SCRY_BAD_INPUT, "%s: tensor %s: starts at data byte %zu: expected %zu (%s)", path,
                              tensors[i].name, begin, at, begin < at ? "overlap" : "gap");
        at = begin + tensors[i].bytes;
    }
    if (at != available)
        return scry__fail(SCRY_BAD_INPUT, "%s: tensors end at data byte %zu: expected %zu", path, at, available);
    return SCRY_OK;
}

static scry_status read_header(scry__safetensors *checkpoint, int index, const json_t *root, size_t header)
{
    const scry__stored_file *file      = &checkpoint->files[index];
    const uint8_t           *buffer    = file->map.data + LENGTH_BYTES + header;
    size_t                   available = file->map.size - LENGTH_BYTES - header;
    size_t                   more      = json_object_size(root);
    int                      first     = checkpoint->count;
    scry_status              status    = SCRY_OK;
    const char              *name;
    const json_t            *entry;
    if (more > (size_t)(MAX_TENSORS - first))
        return scry__fail(SCRY_BAD_INPUT, "%s: %zu tensors: expected at most %d", file->path, more, MAX_TENSORS);
    scry__stored *grown = scry__realloc(checkpoint->tensors, (size_t)first + more, sizeof *grown);
    if (!grown) return SCRY_OUT_OF_MEMORY;
    checkpoint->tensors = grown;
    json_object_foreach((json_t *)root, name, entry)
    {
        if (!strcmp(name, "__metadata__")) {
            status = check_metadata(entry, file->path);
            if (!status && !checkpoint->metadata) checkpoint->metadata = json_incref((json_t *)entry);
        } else {
            scry__stored *tensor = &grown[checkpoint->count];
            *tensor              = (scry__stored){.file = index};
            status               = read_tensor(tensor, name, entry, file->path, buffer, available);
            if (!status) checkpoint->count++;
        }
        if (status) return status;
    }
    qsort(grown + first, (size_t)(checkpoint->count - first), sizeof *grown, by_place);
    return check_coverage(grown + first, checkpoint->count - first, file->path, buffer, available);
}

scry_status scry__safetensors_add_file(scry__safetensors *checkpoint, const char *path)
{
    size_t             header = 0;
    json_t            *root   = NULL;
    int                index  = checkpoint->file_count;
    scry_status        status = SCRY_OK;
    scry__stored_file *files  = scry__realloc(checkpoint->files, (size_t)index + 1, sizeof *files);
    if (!files) return SCRY_OUT_OF_MEMORY;
    checkpoint->files = files;
    files[index]      = (scry__stored_file){.path = scry__strdup(path)};
    if (!files[index].path) return SCRY_OUT_OF_MEMORY;
    checkpoint->file_count++;
    status = scry__map_open(&files[index].map, path);
    if (!status) status = check_frame(&files[index], &header);
    if (!status) status = scry__json_parse(&root, (const char *)files[index].map.data + LENGTH_BYTES, header, path);
    if (!status) status = read_header(checkpoint, index, root, header);
    json_decref(root);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const scry__stored *)a)->name, ((const scry__stored *)b)->name);
}

void scry__safetensors_sort(scry__safetensors *checkpoint)
{
    if (checkpoint->count) qsort(checkpoint->tensors, (size_t)checkpoint->count, sizeof *checkpoint->tensors, by_name);
}

const scry__stored *scry__safetensors_find(const scry__safetensors *checkpoint, const char *name)
{
    scry__stored key = {.name = (char *)name};
    if (!checkpoint->count) return NULL;
    return bsearch(&key, checkpoint->tensors, (size_t)checkpoint->count, sizeof key, by_name);
}

void scry__safetensors_close(scry__safetensors **checkpoint)
{
    scry__safetensors *self = *checkpoint;
    if (!self) return;
    for (int i = 0; i < self->count; i++) scry__free(self->tensors[i].name);
    for (int i = 0; i < self->file_count; i++) {
        scry__map_close(&self->files[i].map);
        scry__free(self->files[i].path);
    }
    json_decref(self->metadata);
    scry__free(self->path);
    scry__free(self->tensors);
    scry__free_aligned(self->memory);
    scry__free(self->files);
    scry__free(self);
    *checkpoint = NULL;
}

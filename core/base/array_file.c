/* Listing the arrays of .npy and .npz files. See array_file.h; array_read.c reads them. The format is NumPy's NEP 1. */
#include "base/array_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_SIZE = 8, MAX_HEAD = 1 << 16 };
static const char magic[] = "\x93NUMPY";
enum { MAGIC_SIZE = sizeof magic - 1 };

static const struct {
    const char *text;
    size_t      bytes;
} types[] = {
#define TYPE_ROW(name, text, bytes) {text, bytes},
    SCRY__ARRAY_LIST(TYPE_ROW)
#undef TYPE_ROW
};

/* A place in a head's text, and what messages call the array. */
struct cursor {
    const char *at, *path, *name;
};

static scry_status bad_head(const struct cursor *cursor, const char *expected)
{
    return scry__fail(SCRY_BAD_INPUT, "%s: %s: its head at \"%.24s\": expected %s", cursor->path, cursor->name,
                      cursor->at, expected);
}

static void skip_space(struct cursor *cursor)
{
    cursor->at += strspn(cursor->at, " \t\n");
}

/* Steps over `word` where it comes next. */
static bool take(struct cursor *cursor, const char *word)
{
    skip_space(cursor);
    size_t size = strlen(word);
    if (strncmp(cursor->at, word, size)) return false;
    cursor->at += size;
    return true;
}

static scry_status take_string(struct cursor *cursor, char *out, size_t capacity)
{
    skip_space(cursor);
    char        quote = *cursor->at;
    const char *end   = quote == '\'' || quote == '"' ? strchr(cursor->at + 1, quote) : NULL;
    size_t      size  = end ? (size_t)(end - cursor->at - 1) : 0;
    if (!end || size >= capacity) return bad_head(cursor, "a short string in quotes");
    memcpy(out, cursor->at + 1, size);
    out[size]  = 0;
    cursor->at = end + 1;
    return SCRY_OK;
}

static scry_status take_shape(struct cursor *cursor, scry__array *array)
{
    if (!take(cursor, "(")) return bad_head(cursor, "a shape in parentheses");
    for (array->rank = 0; !take(cursor, ")");) {
        char *end;
        skip_space(cursor);
        if (*cursor->at < '0' || *cursor->at > '9' || strspn(cursor->at, "0123456789") > 18)
            return bad_head(cursor, "a size of 0 or more");
        if (array->rank == SCRY__ARRAY_MAX_RANK) return bad_head(cursor, "at most 8 axes");
        array->shape[array->rank++] = strtoll(cursor->at, &end, 10);
        cursor->at                  = end;
        if (take(cursor, ",")) continue;
        if (take(cursor, ")")) break;
        return bad_head(cursor, "a comma or the shape's end");
    }
    return SCRY_OK;
}

static void find_type(scry__array *array)
{
    const char *text = array->dtype;
    char       *end;
    array->type = SCRY__ARRAY_OTHER;
    for (int i = 0; i < SCRY__ARRAY_TEXT; i++) {
        if (strcmp(text, types[i].text)) continue;
        array->type = (scry__array_type)i;
        array->item = types[i].bytes;
    }
    if (strncmp(text, "<U", 2) || text[2] < '0' || text[2] > '9') return;
    array->item = strtoul(text + 2, &end, 10) * sizeof(uint32_t);
    if (!*end && array->item) array->type = SCRY__ARRAY_TEXT;
}

/* The head's dictionary: descr, fortran_order and shape, in any order. */
static scry_status parse_head(struct cursor *cursor, scry__array *array)
{
    char        key[24];
    unsigned    seen   = 0;
    scry_status status = SCRY_OK;
    if (!take(cursor, "{")) return bad_head(cursor, "a dictionary");
    while (!take(cursor, "}")) {
        status = take_string(cursor, key, sizeof key);
        if (!status && !take(cursor, ":")) status = bad_head(cursor, "a colon");
        if (status) return status;
        if (!strcmp(key, "descr")) {
            status = take_string(cursor, array->dtype, sizeof array->dtype);
            seen |= 1;
        } else if (!strcmp(key, "fortran_order")) {
            array->fortran = take(cursor, "True");
            if (!array->fortran && !take(cursor, "False")) status = bad_head(cursor, "True or False");
            seen |= 2;
        } else if (!strcmp(key, "shape")) {
            status = take_shape(cursor, array);
            seen |= 4;
        } else {
            status = bad_head(cursor, "no other key than descr, fortran_order and shape");
        }
        if (!status && !take(cursor, ",") && strncmp(cursor->at, "}", 1)) status = bad_head(cursor, "a comma");
        if (status) return status;
    }
    return seen == 7 ? SCRY_OK : bad_head(cursor, "descr, fortran_order and shape before it");
}

/* The head's size must leave exactly the bytes that the shape needs. */
static scry_status check_size(const scry__array_file *file, const char *name, scry__array *array)
{
    const scry__zip_member *member = &file->members[array->member];
    size_t                  bytes  = 0;
    array->count                   = 1;
    for (int axis = 0; axis < array->rank; axis++)
        if (!scry__multiply(array->count, (size_t)array->shape[axis], &array->count))
            return scry__fail(SCRY_BAD_INPUT, "%s: %s: its size overflows at axis %d", file->path, name, axis);
    if (array->type == SCRY__ARRAY_OTHER) return SCRY_OK;
    if (!scry__multiply(array->count, array->item, &bytes) || member->size - array->head != bytes)
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: %llu bytes of data: expected %zu elements of %zu bytes", file->path,
                          name, (unsigned long long)(member->size - array->head), array->count, array->item);
    return SCRY_OK;
}

/* Reads what stands before the data: magic, version, the head's length (of 2 bytes in version 1, else 4), the head. */
static scry_status read_head(const scry__array_file *file, const char *name, scry__array *array)
{
    uint8_t          prefix[PREFIX_SIZE] = {0}, length[4] = {0};
    char            *head   = NULL;
    scry__zip_stream stream = {0};
    scry_status      status = scry__zip_begin(&stream, &file->members[array->member], file->path);
    if (!status) status = scry__zip_read(&stream, prefix, sizeof prefix);
    if (!status && (memcmp(prefix, magic, MAGIC_SIZE) || prefix[6] < 1 || prefix[6] > 3))
        status = scry__fail(SCRY_BAD_INPUT, "%s: %s: expected an array of NumPy's format 1 to 3", file->path, name);
    size_t width = prefix[6] == 1 ? 2 : 4;
    if (!status) status = scry__zip_read(&stream, length, width);
    size_t size = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    if (!status && size > MAX_HEAD)
        status = scry__fail(SCRY_BAD_INPUT, "%s: %s: a head of %zu bytes: expected at most %d", file->path, name, size,
                            MAX_HEAD);
    if (!status && !(head = scry__alloc(size + 1, 1))) status = SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__zip_read(&stream, head, size);
    array->head = sizeof prefix + width + size;
    if (!status) status = parse_head(&(struct cursor){head, file->path, name}, array);
    if (!status) {
        find_type(array);
        status = check_size(file, name, array);
    }
    scry__zip_end(&stream);
    scry__free(head);
    return status;
}

/* Appends the array that a member is. */
static scry_status add_array(scry__array_file *file, int member, size_t name_size)
{
    scry__array *array = &file->arrays[file->count];
    *array             = (scry__array){.name = scry__strndup(file->members[member].name, name_size), .member = member};
    if (!array->name) return SCRY_OUT_OF_MEMORY;
    file->count++;
    return read_head(file, *array->name ? array->name : "the array", array);
}

/* An .npy is what an .npz's only member would be. */
static scry_status list_members(scry__array_file *file)
{
    if (file->map.size < MAGIC_SIZE || memcmp(file->map.data, magic, MAGIC_SIZE))
        return scry__zip_list(&file->members, &file->member_count, &file->map, file->path);
    file->members = scry__alloc(1, sizeof *file->members);
    if (!file->members) return SCRY_OUT_OF_MEMORY;
    file->member_count = 1;
    file->members[0]   = (scry__zip_member){
          .name = scry__strdup(".npy"), .data = file->map.data, .packed_size = file->map.size, .size = file->map.size};
    return file->members[0].name ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const scry__array *)a)->name, ((const scry__array *)b)->name);
}

static scry_status list_arrays(scry__array_file *file)
{
    scry_status status = SCRY_OK;
    file->arrays       = scry__alloc((size_t)file->member_count, sizeof *file->arrays);
    if (!file->arrays) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < file->member_count && !status; i++) {
        size_t size = strlen(file->members[i].name);
        if (size >= 4 && !strcmp(file->members[i].name + size - 4, ".npy")) status = add_array(file, i, size - 4);
    }
    if (status) return status;
    qsort(file->arrays, (size_t)file->count, sizeof *file->arrays, by_name);
    for (int i = 1; i < file->count; i++)
        if (!strcmp(file->arrays[i - 1].name, file->arrays[i].name))
            return scry__fail(SCRY_BAD_INPUT, "%s: %s is there twice", file->path, file->arrays[i].name);
    return SCRY_OK;
}

scry_status scry__array_file_open(scry__array_file **out, const char *path)
{
    scry__array_file *file = scry__alloc(1, sizeof *file);
    if (!file) return SCRY_OUT_OF_MEMORY;
    scry_status status = SCRY_OUT_OF_MEMORY;
    file->path         = scry__strdup(path);
    if (file->path) status = scry__map_open(&file->map, path);
    if (!status) status = list_members(file);
    if (!status) status = list_arrays(file);
    if (status) {
        scry__array_file_close(&file);
        return status;
    }
    *out = file;
    return SCRY_OK;
}

void scry__array_file_close(scry__array_file **file)
{
    scry__array_file *self = *file;
    if (!self) return;
    for (int i = 0; i < self->count; i++) scry__free(self->arrays[i].name);
    scry__free(self->arrays);
    scry__zip_free(&self->members, self->member_count);
    scry__map_close(&self->map);
    scry__free(self->path);
    scry__free(self);
    *file = NULL;
}

const scry__array *scry__array_find(const scry__array_file *file, const char *name)
{
    scry__array key = {.name = (char *)name};
    if (!file->count) return NULL;
    return bsearch(&key, file->arrays, (size_t)file->count, sizeof key, by_name);
}

/* Damaged copies of checkpoints. See checkpoint_edit.h. */
#include "checkpoint_edit.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/number.h"
#include "base/text.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WEIGHTS "model.safetensors"

static void write_file(const char *directory, const char *name, const void *data, size_t size)
{
    char path[2 * CHECKPOINT_PATH];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    cr_assert(file, "cannot write %s", path);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    fclose(file);
}

static char *read_file(const char *directory, const char *name, size_t *size)
{
    char path[1024], *data;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(scry__file_read(&data, size, path, (size_t)1 << 26), SCRY_OK, "%s", scry_last_error());
    return data;
}

static void copy_fixture(const char *directory, const char *fixture)
{
    char           from[512];
    struct dirent *entry;
    snprintf(from, sizeof from, FIXTURES "/%s", fixture);
    DIR *list = opendir(from);
    cr_assert(list, "no fixture %s", fixture);
    while ((entry = readdir(list))) {
        size_t size;
        if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "expected.safetensors")) continue;
        char *data = read_file(from, entry->d_name, &size);
        write_file(directory, entry->d_name, data, size);
        scry__free(data);
    }
    closedir(list);
}

static void set_key(json_t *object, const char *key, const char *value)
{
    if (!value) {
        cr_assert_eq(json_object_del(object, key), 0, "no key %s", key);
        return;
    }
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    cr_assert(parsed, "not JSON: %s", value);
    json_object_set_new(object, key, parsed);
}

/* Sets a key of a JSON file, or of the object under `member` in it. */
static void edit_json(const char *directory, const char *name, const char *member, const char *key, const char *value)
{
    size_t  size;
    char   *text = read_file(directory, name, &size);
    json_t *root = json_loadb(text, size, 0, NULL);
    set_key(member ? json_object_get(root, member) : root, key, value);
    char *out = json_dumps(root, 0);
    write_file(directory, name, out, strlen(out));
    free(out);
    json_decref(root);
    scry__free(text);
}

static void put_length(unsigned char out[8], uint64_t length)
{
    for (int i = 0; i < 8; i++) out[i] = (unsigned char)(length >> (8 * i));
}

/* Replaces the header, keeping the data behind it. */
static void write_header(const char *directory, const char *weights, size_t size, const char *header)
{
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)weights[i];
    size_t data = size - 8 - length, total = 8 + strlen(header) + data;
    char  *file = malloc(total);
    put_length((unsigned char *)file, strlen(header));
    memcpy(file + 8, header, strlen(header));
    memcpy(file + 8 + strlen(header), weights + 8 + length, data);
    write_file(directory, WEIGHTS, file, total);
    free(file);
}

static void edit_weights(const char *directory, const checkpoint_edit *edit)
{
    size_t  size;
    char   *weights = read_file(directory, WEIGHTS, &size);
    json_t *root    = json_loadb(weights + 8, size - 8, JSON_DISABLE_EOF_CHECK, NULL);
    cr_assert(root);
    if (edit->action == SET_LENGTH) {
        put_length((unsigned char *)weights, strtoull(edit->value, NULL, 0));
        write_file(directory, WEIGHTS, weights, size);
    } else if (edit->action == SET_HEADER) {
        write_header(directory, weights, size, edit->value);
    } else {
        if (edit->action == RENAME_TENSOR) {
            json_t *entry = json_incref(json_object_get(root, edit->name));
            cr_assert(entry, "no tensor %s", edit->name);
            json_object_del(root, edit->name);
            json_object_set_new(root, edit->value, entry);
        } else {
            set_key(root, edit->name, edit->value);
        }
        char *header = json_dumps(root, 0);
        write_header(directory, weights, size, header);
        free(header);
    }
    json_decref(root);
    scry__free(weights);
}

/* In place, value by value. */
static void scale_values(char *data, size_t bytes, bool is_bf16, float factor)
{
    size_t size = is_bf16 ? sizeof(uint16_t) : sizeof(float);
    for (size_t at = 0; at + size <= bytes; at += size) {
        uint16_t half  = 0;
        float    value = 0;
        memcpy(is_bf16 ? (void *)&half : (void *)&value, data + at, size);
        if (is_bf16) value = scry__bf16_to_f32(half);
        value *= factor;
        half = scry__f32_to_bf16(value);
        memcpy(data + at, is_bf16 ? (void *)&half : (void *)&value, size);
    }
}

static void scale_tensors(const char *directory, const checkpoint_edit *edit)
{
    size_t      size;
    char       *weights = read_file(directory, WEIGHTS, &size);
    json_t     *root    = json_loadb(weights + 8, size - 8, JSON_DISABLE_EOF_CHECK, NULL), *entry;
    uint64_t    length  = 0;
    const char *name, *row = strchr(edit->name, '#');
    char        pattern[128];
    int         scaled = 0;
    snprintf(pattern, sizeof pattern, "%.*s", (int)strcspn(edit->name, "#"), edit->name);
    for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)weights[i];
    json_object_foreach(root, name, entry)
    {
        const char *dtype   = json_string_value(json_object_get(entry, "dtype"));
        json_t     *offsets = json_object_get(entry, "data_offsets");
        size_t      begin   = (size_t)json_integer_value(json_array_get(offsets, 0));
        size_t      end     = (size_t)json_integer_value(json_array_get(offsets, 1));
        size_t      rows    = (size_t)json_integer_value(json_array_get(json_object_get(entry, "shape"), 0));
        if (!dtype || !scry__glob(pattern, name)) continue;
        if (row) {
            size_t step = (end - begin) / rows;
            begin += step * strtoul(row + 1, NULL, 10);
            end = begin + step;
        }
        cr_assert(!strcmp(dtype, "BF16") || !strcmp(dtype, "F32"), "%s is %s", name, dtype);
        scale_values(weights + 8 + length + begin, end - begin, !strcmp(dtype, "BF16"), strtof(edit->value, NULL));
        scaled++;
    }
    cr_assert_gt(scaled, 0, "no tensor matches %s", edit->name);
    write_file(directory, WEIGHTS, weights, size);
    json_decref(root);
    scry__free(weights);
}

static void resize(const char *directory, const checkpoint_edit *edit)
{
    size_t size;
    char  *data = read_file(directory, edit->name, &size);
    long   wish = atol(edit->value);
    write_file(directory, edit->name, data, wish < 0 ? size - (size_t)-wish : (size_t)wish);
    scry__free(data);
}

static void append(const char *directory, const checkpoint_edit *edit)
{
    char path[2 * CHECKPOINT_PATH];
    snprintf(path, sizeof path, "%s/%s", directory, edit->name);
    FILE *file = fopen(path, "ab");
    cr_assert(file);
    fputs(edit->value, file);
    fclose(file);
}

void checkpoint_make(char path[CHECKPOINT_PATH], const checkpoint_edit *edit)
{
    const char *root = getenv("TMPDIR");
    char        file[2 * CHECKPOINT_PATH];
    snprintf(path, CHECKPOINT_PATH, "%s/scry-checkpoint-XXXXXX", root ? root : "/tmp");
    cr_assert(mkdtemp(path), "no temporary directory");
    copy_fixture(path, edit->fixture);
    switch (edit->action) {
    case INTACT:
        break;
    case SET_CONFIG:
        edit_json(path, "config.json", NULL, edit->name, edit->value);
        break;
    case SET_INDEX:
        edit_json(path, "model.safetensors.index.json", "weight_map", edit->name, edit->value);
        break;
    case SET_TENSOR:
    case RENAME_TENSOR:
    case SET_HEADER:
    case SET_LENGTH:
        edit_weights(path, edit);
        break;
    case SCALE_TENSORS:
        scale_tensors(path, edit);
        break;
    case TRUNCATE:
        resize(path, edit);
        break;
    case APPEND:
        append(path, edit);
        break;
    case WRITE:
        write_file(path, edit->name, edit->value, strlen(edit->value));
        break;
    case REMOVE:
        snprintf(file, sizeof file, "%s/%s", path, edit->name);
        cr_assert_eq(unlink(file), 0, "no file %s", file);
        break;
    }
}

void checkpoint_remove(const char *path)
{
    char           file[CHECKPOINT_PATH + 300];
    struct dirent *entry;
    DIR           *list = opendir(path);
    while (list && (entry = readdir(list))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        unlink(file);
    }
    if (list) closedir(list);
    rmdir(path);
}

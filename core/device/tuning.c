/* The file of a tuning: its path, writing and reading. See tuning.h. */
#include "device/tuning.h"

#include "base/alloc.h"
#include "base/cache.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_build.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] = "scry.tuning/1";

enum { READ_LIMIT = 1 << 20, ORIGIN = 512 };

/* FNV-1a, 32 bits: tells devices apart whose names differ only in what a file's name leaves out. */
static uint32_t hash_of(const char *text)
{
    uint32_t hash = 0x811c9dc5;
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x01000193;
    return hash;
}

/* "tuning-opencl-amd-epyc-1234abcd.json": letters and digits of the description, one dash for all else. */
static void name_file(char *name, size_t size, const scry_device_info *info)
{
    char   plain[sizeof info->description];
    size_t used = 0;
    for (const char *at = info->description; *at; at++) {
        if (isalnum((unsigned char)*at))
            plain[used++] = (char)tolower((unsigned char)*at);
        else if (used && plain[used - 1] != '-')
            plain[used++] = '-';
    }
    used -= used && plain[used - 1] == '-';
    plain[used] = 0;
    snprintf(name, size, "tuning-%s-%s-%08x.json", info->backend, plain, hash_of(info->description));
}

scry_status scry__tuning_path(char **out, const scry_device_info *info)
{
    char        name[192];
    const char *asked = getenv("SCRY_TUNED");
    *out              = NULL;
    if (asked && !strcmp(asked, "0")) return SCRY_OK;
    if (asked && *asked) {
        *out = scry__strdup(asked);
        return *out ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    }
    name_file(name, sizeof name, info);
    return scry__cache_path(out, name);
}

scry__tuning *scry__tuning_create(const scry_device_info *info)
{
    scry__tuning *tuning = scry__alloc(1, sizeof *tuning);
    if (!tuning) return NULL;
    memcpy(tuning->backend, info->backend, sizeof tuning->backend);
    memcpy(tuning->description, info->description, sizeof tuning->description);
    memcpy(tuning->driver, info->driver, sizeof tuning->driver);
    return tuning;
}

static scry__tuned_class *find(scry__tuning *tuning, scry_op_kind kind, int shape)
{
    for (int i = 0; i < tuning->count; i++)
        if (tuning->classes[i].kind == kind && tuning->classes[i].shape == shape) return &tuning->classes[i];
    return NULL;
}

scry__tuned_class *scry__tuning_at(scry__tuning *tuning, scry_op_kind kind, int shape)
{
    scry__tuned_class *at = find(tuning, kind, shape);
    if (at) return at;
    at  = &tuning->classes[tuning->count++];
    *at = (scry__tuned_class){.kind = kind, .shape = shape};
    return at;
}

/* --- Writing --- */

static json_t *class_object(scry__json_builder *builder, const scry__tuned_class *class)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_text(builder, object, "op", scry_op_text(class->kind));
    scry__json_set_text(builder, object, "class", scry__shape_class_name(class->kind, class->shape));
    scry__json_set_text(builder, object, "kernel", *class->kernel ? class->kernel : NULL);
    scry__json_set_text(builder, object, "own", class->own);
    scry__json_set_number(builder, object, "seconds", class->seconds);
    scry__json_set_number(builder, object, "own_seconds", class->own_seconds);
    return object;
}

static json_t *tuning_object(scry__json_builder *builder, const scry__tuning *tuning)
{
    json_t *object = scry__json_new_object(builder), *classes = scry__json_new_array(builder);
    for (int i = 0; i < tuning->count; i++)
        scry__json_append(builder, classes, class_object(builder, &tuning->classes[i]));
    scry__json_set_text(builder, object, "schema", schema);
    scry__json_set_text(builder, object, "version", scry_version());
    scry__json_set_text(builder, object, "date", tuning->date);
    scry__json_set_text(builder, object, "backend", tuning->backend);
    scry__json_set_text(builder, object, "description", tuning->description);
    scry__json_set_text(builder, object, "driver", tuning->driver);
    scry__json_set(builder, object, "classes", classes);
    return object;
}

scry_status scry__tuning_write(const scry__tuning *tuning, const char *path)
{
    scry__json_builder builder = {0};
    json_t            *object  = NULL;
    scry__text         text    = {0};
    scry_status        status  = scry__json_finish(&builder, tuning_object(&builder, tuning), &object);
    if (status) return status;
    scry__json_dump(&text, object, true);
    json_decref(object);
    scry__cache_make_folders(path);
    status = text.status ? text.status : scry__file_write(path, text.data, text.size);
    scry__text_finish(&text);
    return status;
}

/* --- Reading --- */

/* Refuses the file unless `key` is `expected`; `what` is what that makes it. */
static scry_status expect_text(scry__json_at at, const char *key, const char *expected, const char *what)
{
    const char *found  = NULL;
    scry_status status = scry__json_string(at, key, true, &found);
    if (status || !strcmp(found, expected)) return status;
    return scry__fail(SCRY_BAD_INPUT, "%s: it is of %s \"%.80s\": expected \"%s\"", at.origin, what, found, expected);
}

static scry_status read_text(scry__json_at at, const char *key, bool required, char *out, size_t size)
{
    const char *text   = NULL;
    scry_status status = scry__json_string(at, key, required, &text);
    if (!status && text && strlen(text) >= size)
        status = scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected fewer than %zu bytes", at.origin, key, size);
    if (!status && text) memcpy(out, text, strlen(text) + 1);
    return status;
}

static scry_op_kind op_of(const char *text)
{
    int kind = 0;
    while (kind < SCRY_OP_COUNT && strcmp(scry_op_text((scry_op_kind)kind), text)) kind++;
    return (scry_op_kind)kind;
}

static scry_status read_class(scry__tuning *tuning, scry__json_at at)
{
    const char *op = NULL, *name = NULL;
    scry_status status = scry__json_only(at, "op class kernel own seconds own_seconds");
    if (!status) status = scry__json_string(at, "op", true, &op);
    if (!status) status = scry__json_string(at, "class", true, &name);
    if (status) return status;
    scry_op_kind kind  = op_of(op);
    int          shape = kind < SCRY_OP_COUNT ? scry__shape_class_find(kind, name) : -1;
    if (shape < 0)
        return scry__fail(SCRY_BAD_INPUT, "%s: expected an op and one of its classes, found \"%.40s\" and \"%.40s\"",
                          at.origin, op, name);
    if (find(tuning, kind, shape))
        return scry__fail(SCRY_BAD_INPUT, "%s: class \"%s\" of %s is there already", at.origin, name, op);
    scry__tuned_class *class = scry__tuning_at(tuning, kind, shape);
    status                   = read_text(at, "kernel", false, class->kernel, sizeof class->kernel);
    if (!status) status = read_text(at, "own", true, class->own, sizeof class->own);
    if (!status) status = scry__json_number(at, "seconds", true, &class->seconds);
    if (!status) status = scry__json_number(at, "own_seconds", true, &class->own_seconds);
    return status;
}

static scry_status read_tuning(scry__tuning *tuning, scry__json_at at)
{
    const json_t *classes = NULL;
    char          origin[ORIGIN];
    scry_status   status = expect_text(at, "schema", schema, "schema");
    if (!status) status = expect_text(at, "version", scry_version(), "scry version");
    if (!status) status = expect_text(at, "backend", tuning->backend, "backend");
    if (!status) status = expect_text(at, "description", tuning->description, "device");
    if (!status) status = expect_text(at, "driver", tuning->driver, "driver");
    if (!status) status = read_text(at, "date", true, tuning->date, sizeof tuning->date);
    if (!status) status = scry__json_array(at, "classes", true, &classes);
    for (size_t i = 0; !status && i < json_array_size(classes); i++) {
        const json_t *item = json_array_get(classes, i);
        snprintf(origin, sizeof origin, "%s: classes[%zu]", at.origin, i);
        if (!json_is_object(item)) return scry__fail(SCRY_BAD_INPUT, "%s: expected an object", origin);
        status = read_class(tuning, (scry__json_at){item, origin});
    }
    return status;
}

scry_status scry__tuning_read(scry__tuning **out, const char *path, const scry_device_info *info)
{
    json_t       *object = NULL;
    scry__tuning *tuning = scry__tuning_create(info);
    scry_status   status = tuning ? scry__json_load(&object, path, READ_LIMIT) : SCRY_OUT_OF_MEMORY;
    if (!status && !json_is_object(object)) status = scry__fail(SCRY_BAD_INPUT, "%s: expected an object", path);
    if (!status) status = read_tuning(tuning, (scry__json_at){object, path});
    json_decref(object);
    if (status) {
        scry__free(tuning);
        return status;
    }
    *out = tuning;
    return SCRY_OK;
}

/* Records of benchmarks as JSON, written and read by the same tables. See bench_record.h. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "report/bench_record.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char schema[] = "scry.bench/1";

enum { READ_LIMIT = 64 << 20, MOST_ROWS = 100000, ORIGIN = 512 };

/* A member of a struct and its key. Texts are char arrays of `size`, null where empty; numbers are finite and not
 * negative, and of POSITIVE ones 0 stands for null; times without samples are null. */
typedef enum field_kind { TEXT, COUNT, NUMBER, POSITIVE, FLAG, TIMES } field_kind;
typedef struct field {
    const char *key;
    field_kind  kind;
    size_t      place, size;
    bool        required;
} field;
#define FIELD(type, member, kind, required)                                                                            \
    {                                                                                                                  \
#member, kind, offsetof(type, member), sizeof((type *)0)->member, required                                     \
    }

#define OF_RECORD(member, kind, required) FIELD(scry__bench_record, member, kind, required)
static const field record_fields[] = {
    OF_RECORD(version, TEXT, true), OF_RECORD(commit, TEXT, false),     OF_RECORD(date, TEXT, true),
    OF_RECORD(host, TEXT, false),   OF_RECORD(processors, COUNT, true), OF_RECORD(load, NUMBER, false),
    OF_RECORD(clock, TEXT, true),
};

#define OF_VARIABLE(member, kind, required) FIELD(scry__bench_variable, member, kind, required)
static const field variable_fields[] = {
    OF_VARIABLE(name, TEXT, true),
    OF_VARIABLE(value, TEXT, false),
    OF_VARIABLE(removed, FLAG, true),
};

#define OF_DEVICE(member, kind) FIELD(scry__bench_device, member, kind, false)
static const field device_fields[] = {
    OF_DEVICE(kernels, TEXT),          OF_DEVICE(tuned, COUNT),   OF_DEVICE(open_seconds, NUMBER),
    OF_DEVICE(wait_seconds, POSITIVE), OF_DEVICE(peak, POSITIVE), OF_DEVICE(peak_by, TEXT),
};

/* Of a device, what reading needs; writing takes scry__json_add_device. */
#define OF_INFO(member, required) FIELD(scry_device_info, member, TEXT, required)
static const field info_fields[] = {OF_INFO(name, true), OF_INFO(backend, false), OF_INFO(description, false),
                                    OF_INFO(driver, false)};

#define OF_COPY(member) FIELD(scry__bench_copy, member, NUMBER, true)
static const field copy_fields[] = {OF_COPY(bytes), OF_COPY(rate)};

#define OF_TIMES(member, kind) FIELD(scry__bench_times, member, kind, true)
static const field times_fields[] = {
    OF_TIMES(samples, COUNT), OF_TIMES(runs, COUNT),  OF_TIMES(median, NUMBER),
    OF_TIMES(low, NUMBER),    OF_TIMES(high, NUMBER), OF_TIMES(least, NUMBER),
};

#define OF_ROW(member, kind, required) FIELD(scry__bench_row, member, kind, required)
static const field row_fields[] = {
    OF_ROW(name, TEXT, true),
    OF_ROW(device, TEXT, true),
    OF_ROW(op, TEXT, false),
    OF_ROW(detail, TEXT, false),
    OF_ROW(kernel, TEXT, false),
    OF_ROW(flops, NUMBER, false),
    OF_ROW(bytes, NUMBER, false),
    OF_ROW(worst, NUMBER, false),
    OF_ROW(cold_seconds, POSITIVE, false),
    OF_ROW(build_seconds, NUMBER, false),
    OF_ROW(programs_built, COUNT, false),
    OF_ROW(programs_loaded, COUNT, false),
    OF_ROW(times, TIMES, false),
    OF_ROW(processor_share, POSITIVE, false),
    OF_ROW(roof_share, POSITIVE, false),
    OF_ROW(library, TEXT, false),
    OF_ROW(library_times, TIMES, false),
    OF_ROW(ratio, POSITIVE, false),
    OF_ROW(ratio_low, POSITIVE, false),
    OF_ROW(ratio_high, POSITIVE, false),
};

#define OF_OVERHEAD(member, kind, required) FIELD(scry__bench_overhead, member, kind, required)
static const field overhead_fields[] = {
    OF_OVERHEAD(op, TEXT, true),
    OF_OVERHEAD(row, TEXT, true),
    OF_OVERHEAD(queued, NUMBER, true),
    OF_OVERHEAD(alone, NUMBER, true),
    OF_OVERHEAD(dispatches, POSITIVE, false),
};

#define OF_PASS(member, kind) FIELD(scry__bench_pass, member, kind, true)
static const field pass_fields[] = {
    OF_PASS(name, TEXT),        OF_PASS(model, TEXT),     OF_PASS(tokens, COUNT),      OF_PASS(times, TIMES),
    OF_PASS(dispatches, COUNT), OF_PASS(barriers, COUNT), OF_PASS(submissions, COUNT),
};

#define COUNT_OF(fields) (int)(sizeof(fields) / sizeof *(fields))

/* Arrays of structs within a device; each element is an object of such fields. */
#define IN_DEVICE(member) (((scry__bench_device *)0)->member)
#define LIST(member, counter, fields)                                                                                  \
    {                                                                                                                  \
#member, offsetof(scry__bench_device, member), sizeof *IN_DEVICE(member), COUNT_OF(IN_DEVICE(member)),         \
            offsetof(scry__bench_device, counter), fields, COUNT_OF(fields)                                            \
    }
static const struct list {
    const char  *key;
    size_t       place, size;
    int          most;
    size_t       count_place;
    const field *fields;
    int          field_count;
} device_lists[] = {
    LIST(copies, copy_count, copy_fields),
    LIST(overheads, overhead_count, overhead_fields),
    LIST(passes, pass_count, pass_fields),
};

/* --- writing --- */

static void write_fields(scry__json_builder *builder, json_t *object, const void *from, const field *fields, int count)
{
    double number;
    for (int i = 0; i < count; i++) {
        const char *at = (const char *)from + fields[i].place, *key = fields[i].key;
        switch (fields[i].kind) {
        case TEXT:
            scry__json_set_text(builder, object, key, *at ? at : NULL);
            break;
        case COUNT:
            scry__json_set_int(builder, object, key, *(const int64_t *)(const void *)at);
            break;
        case NUMBER:
            scry__json_set_number(builder, object, key, *(const double *)(const void *)at);
            break;
        case POSITIVE:
            number = *(const double *)(const void *)at;
            scry__json_set_number(builder, object, key, number > 0 ? number : NAN);
            break;
        case FLAG:
            scry__json_set_bool(builder, object, key, *(const bool *)at);
            break;
        case TIMES:
            if (!((const scry__bench_times *)(const void *)at)->samples) {
                scry__json_set_text(builder, object, key, NULL);
                break;
            }
            json_t *times = scry__json_new_object(builder);
            write_fields(builder, times, at, times_fields, COUNT_OF(times_fields));
            scry__json_set(builder, object, key, times);
        }
    }
}

static void write_list(scry__json_builder *builder, json_t *object, const scry__bench_device *device,
                       const struct list *list)
{
    const char *from  = (const char *)device;
    json_t     *array = scry__json_new_array(builder);
    int64_t     count = *(const int64_t *)(const void *)(from + list->count_place);
    for (int64_t i = 0; i < count; i++) {
        json_t *item = scry__json_new_object(builder);
        write_fields(builder, item, from + list->place + (size_t)i * list->size, list->fields, list->field_count);
        scry__json_append(builder, array, item);
    }
    scry__json_set(builder, object, list->key, array);
}

static json_t *device_object(scry__json_builder *builder, const scry__bench_device *device)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_add_device(builder, object, &device->info);
    write_fields(builder, object, device, device_fields, COUNT_OF(device_fields));
    for (int i = 0; i < COUNT_OF(device_lists); i++) write_list(builder, object, device, &device_lists[i]);
    return object;
}

static json_t *row_object(scry__json_builder *builder, const scry__bench_row *row)
{
    json_t *object = scry__json_new_object(builder);
    double  median = row->outcome == SCRY__BENCH_MEASURED ? row->times.median : NAN;
    write_fields(builder, object, row, row_fields, COUNT_OF(row_fields));
    scry__json_set_text(builder, object, "outcome", scry__bench_outcome_text(row->outcome));
    scry__json_set_number(builder, object, "flops_per_second", row->flops / median);
    scry__json_set_number(builder, object, "bytes_per_second", row->bytes / median);
    return object;
}

json_t *scry__bench_record_json(scry__json_builder *builder, const scry__bench_record *record)
{
    json_t *object = scry__json_new_object(builder), *variables = scry__json_new_array(builder);
    json_t *devices = scry__json_new_array(builder), *rows = scry__json_new_array(builder);
    scry__json_set_text(builder, object, "schema", schema);
    write_fields(builder, object, record, record_fields, COUNT_OF(record_fields));
    for (int64_t i = 0; i < record->variable_count; i++) {
        json_t *variable = scry__json_new_object(builder);
        write_fields(builder, variable, &record->variables[i], variable_fields, COUNT_OF(variable_fields));
        scry__json_append(builder, variables, variable);
    }
    for (int64_t i = 0; i < record->device_count; i++)
        scry__json_append(builder, devices, device_object(builder, &record->devices[i]));
    for (int64_t i = 0; i < record->row_count; i++)
        scry__json_append(builder, rows, row_object(builder, &record->rows[i]));
    scry__json_set(builder, object, "environment", variables);
    scry__json_set(builder, object, "devices", devices);
    scry__json_set(builder, object, "rows", rows);
    return object;
}

scry_status scry__bench_record_write(const scry__bench_record *record, const char *path)
{
    scry__json_builder builder = {0};
    json_t            *object  = NULL;
    scry__text         text    = {0};
    scry_status        status  = scry__json_finish(&builder, scry__bench_record_json(&builder, record), &object);
    if (status) return status;
    scry__json_dump(&text, object, true);
    json_decref(object);
    status = text.status ? text.status : scry__file_write(path, text.data, text.size);
    scry__text_finish(&text);
    return status;
}

/* --- reading --- */

static scry_status read_text(scry__json_at at, const field *member, char *out)
{
    const char *text   = NULL;
    scry_status status = scry__json_string(at, member->key, member->required, &text);
    if (status || !text) return status;
    if (strlen(text) >= member->size)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected fewer than %zu bytes, found %zu", at.origin,
                          member->key, member->size, strlen(text));
    memcpy(out, text, strlen(text) + 1);
    return SCRY_OK;
}

static scry_status read_number(scry__json_at at, const field *member, double *out)
{
    scry_status status = scry__json_number(at, member->key, member->required, out);
    if (!status && !(*out >= 0))
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected a number from 0, found %g", at.origin, member->key,
                          *out);
    return status;
}

static scry_status read_fields(scry__json_at at, void *into, const field *fields, int count)
{
    scry_status   status = SCRY_OK;
    const json_t *times  = NULL;
    char          origin[ORIGIN];
    for (int i = 0; !status && i < count; i++) {
        char *out = (char *)into + fields[i].place;
        switch (fields[i].kind) {
        case TEXT:
            status = read_text(at, &fields[i], out);
            break;
        case COUNT:
            status = scry__json_int(at, fields[i].key, fields[i].required, 0, INT64_MAX, (int64_t *)(void *)out);
            break;
        case NUMBER:
        case POSITIVE:
            status = read_number(at, &fields[i], (double *)(void *)out);
            break;
        case FLAG:
            status = scry__json_bool(at, fields[i].key, fields[i].required, (bool *)out);
            break;
        case TIMES:
            times  = NULL;
            status = scry__json_object(at, fields[i].key, fields[i].required, &times);
            if (!times) break;
            snprintf(origin, sizeof origin, "%s.%s", at.origin, fields[i].key);
            status = read_fields((scry__json_at){times, origin}, out, times_fields, COUNT_OF(times_fields));
        }
    }
    return status;
}

static scry_status read_outcome(scry__json_at at, scry__bench_row *row)
{
    const char *text   = NULL;
    scry_status status = scry__json_string(at, "outcome", true, &text);
    if (status) return status;
    for (int i = 0; i <= SCRY__BENCH_FAILED; i++) {
        row->outcome = (scry__bench_outcome)i;
        if (!strcmp(text, scry__bench_outcome_text(row->outcome))) return SCRY_OK;
    }
    return scry__fail(SCRY_BAD_INPUT,
                      "%s: key \"outcome\": expected measured, refused, unsupported or failed, found "
                      "\"%.40s\"",
                      at.origin, text);
}

static scry_status read_type(scry__json_at at, scry_device_type *type)
{
    const char *text   = NULL;
    scry_status status = scry__json_string(at, "type", true, &text);
    if (status) return status;
    for (int i = 0; i <= SCRY_DEVICE_DISCRETE_GPU; i++) {
        *type = (scry_device_type)i;
        if (!strcmp(text, scry_device_type_text(*type))) return SCRY_OK;
    }
    return scry__fail(SCRY_BAD_INPUT, "%s: key \"type\": expected cpu, software-gpu, ..., found \"%.40s\"", at.origin,
                      text);
}

static scry_status read_info(scry__json_at at, scry_device_info *info)
{
    int64_t     memory = 0, buffer = 0, shared = 0, subgroup = 0, units = 0;
    scry_status status = read_fields(at, info, info_fields, COUNT_OF(info_fields));
    if (!status) status = read_type(at, &info->type);
    if (!status) status = scry__json_int(at, "memory_bytes", false, 0, INT64_MAX, &memory);
    if (!status) status = scry__json_int(at, "max_buffer_bytes", false, 0, INT64_MAX, &buffer);
    if (!status) status = scry__json_int(at, "shared_bytes", false, 0, UINT32_MAX, &shared);
    if (!status) status = scry__json_int(at, "subgroup_size", false, 0, UINT32_MAX, &subgroup);
    if (!status) status = scry__json_int(at, "compute_units", false, 0, UINT32_MAX, &units);
    info->memory_bytes     = (uint64_t)memory;
    info->max_buffer_bytes = (uint64_t)buffer;
    info->shared_bytes     = (uint32_t)shared;
    info->subgroup_size    = (uint32_t)subgroup;
    info->compute_units    = (uint32_t)units;
    return status;
}

/* Records that were written before there was such a list do not have it. */
static scry_status read_device_list(scry__bench_device *device, scry__json_at at, const struct list *list)
{
    const json_t *array = NULL;
    char          origin[ORIGIN], *into = (char *)device;
    int64_t      *count  = (int64_t *)(void *)(into + list->count_place);
    scry_status   status = scry__json_array(at, list->key, false, &array);
    if (status || !array) return status;
    if (json_array_size(array) > (size_t)list->most)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected up to %d, found %zu", at.origin, list->key,
                          list->most, json_array_size(array));
    for (size_t i = 0; !status && i < json_array_size(array); i++) {
        snprintf(origin, sizeof origin, "%s.%s[%zu]", at.origin, list->key, i);
        status = read_fields((scry__json_at){json_array_get(array, i), origin}, into + list->place + i * list->size,
                             list->fields, list->field_count);
        ++*count;
    }
    return status;
}

static scry_status read_device(scry__bench_record *record, int64_t index, scry__json_at at)
{
    scry__bench_device *device = &record->devices[index];
    scry_status         status = read_info(at, &device->info);
    if (!status) status = read_fields(at, device, device_fields, COUNT_OF(device_fields));
    for (int i = 0; !status && i < COUNT_OF(device_lists); i++) status = read_device_list(device, at, &device_lists[i]);
    return status;
}

static scry_status read_variable(scry__bench_record *record, int64_t index, scry__json_at at)
{
    return read_fields(at, &record->variables[index], variable_fields, COUNT_OF(variable_fields));
}

static scry_status read_row(scry__bench_record *record, int64_t index, scry__json_at at)
{
    scry__bench_row *row = scry__bench_record_add(record);
    if (!row) return SCRY_OUT_OF_MEMORY;
    scry_status status = read_fields(at, row, row_fields, COUNT_OF(row_fields));
    if (!status) status = read_outcome(at, row);
    if (status) return status;
    if (!scry__bench_device_find(record, row->device))
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"device\": expected one of the record's devices, found \"%s\"",
                          at.origin, row->device);
    if (row->outcome == SCRY__BENCH_MEASURED && !(row->times.samples && row->times.median > 0))
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: key \"times\": expected samples with a median above 0, as it was "
                          "measured",
                          at.origin);
    for (int64_t i = 0; i < index; i++)
        if (!strcmp(record->rows[i].name, row->name) && !strcmp(record->rows[i].device, row->device))
            return scry__fail(SCRY_BAD_INPUT, "%s: key \"name\": \"%s\" on %s is there already, in rows[%d]", at.origin,
                              row->name, row->device, (int)i);
    return SCRY_OK;
}

/* Each element of an array of objects, by `read`. */
static scry_status read_list(scry__bench_record *record, scry__json_at at, const char *key, int most, int64_t *count,
                             scry_status (*read)(scry__bench_record *record, int64_t index, scry__json_at at))
{
    const json_t *list = NULL;
    char          origin[ORIGIN];
    scry_status   status = scry__json_array(at, key, true, &list);
    if (status) return status;
    if (json_array_size(list) > (size_t)most)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected up to %d, found %zu", at.origin, key, most,
                          json_array_size(list));
    for (size_t i = 0; !status && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        snprintf(origin, sizeof origin, "%s: %s[%zu]", at.origin, key, i);
        if (!json_is_object(item)) return scry__fail(SCRY_BAD_INPUT, "%s: expected an object", origin);
        status = read(record, (int64_t)i, (scry__json_at){item, origin});
    }
    if (count) *count = (int64_t)json_array_size(list);
    return status;
}

static scry_status read_record(scry__bench_record *record, scry__json_at at)
{
    scry_status status = scry__json_schema(at, schema);
    if (!status) status = read_fields(at, record, record_fields, COUNT_OF(record_fields));
    if (!status)
        status = read_list(record, at, "environment", SCRY__BENCH_VARIABLES, &record->variable_count, read_variable);
    if (!status) status = read_list(record, at, "devices", SCRY__BENCH_DEVICES, &record->device_count, read_device);
    if (!status) status = read_list(record, at, "rows", MOST_ROWS, NULL, read_row);
    return status;
}

scry_status scry__bench_record_read(scry__bench_record **out, const char *path)
{
    json_t     *object = NULL;
    scry_status status = scry__bench_record_create(out);
    if (!status) status = scry__json_load(&object, path, READ_LIMIT);
    if (!status && !json_is_object(object)) status = scry__fail(SCRY_BAD_INPUT, "%s: expected an object", path);
    if (!status) status = read_record(*out, (scry__json_at){object, path});
    json_decref(object);
    if (status) scry__bench_record_destroy(out);
    return status;
}

/* JSON input. See json.h. */
#include "base/json.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <string.h>

scry_status scry__json_parse(json_t **out, const char *text, size_t size, const char *origin)
{
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (*out) return SCRY_OK;
    return scry__fail(SCRY_BAD_INPUT, "%s: line %d, column %d: %s", origin, error.line, error.column, error.text);
}

scry_status scry__json_load(json_t **out, const char *path, size_t limit)
{
    char       *text;
    size_t      size;
    scry_status status = scry__file_read(&text, &size, path, limit);
    if (status) return status;
    status = scry__json_parse(out, text, size, path);
    scry__free(text);
    return status;
}

static const char *type_text(const json_t *value)
{
    static const char *const names[] = {"an object",     "an array", "a string", "an integer",
                                        "a real number", "true",     "false",    "null"};
    return names[json_typeof(value)];
}

/* The value, or NULL with *status set to what the caller returns. */
static const json_t *find(scry__json_at at, const char *key, bool required, const char *expected, scry_status *status)
{
    const json_t *value = json_object_get(at.object, key);
    *status             = SCRY_OK;
    if (value && !json_is_null(value)) return value;
    if (required) *status = scry__fail(SCRY_BAD_INPUT, "%s: no key \"%s\": expected %s", at.origin, key, expected);
    return NULL;
}

static scry_status mismatch(scry__json_at at, const char *key, const char *expected, const json_t *value)
{
    return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected %s, found %s", at.origin, key, expected,
                      type_text(value));
}

scry_status scry__json_int(scry__json_at at, const char *key, bool required, int64_t minimum, int64_t maximum,
                           int64_t *out)
{
    scry_status   status;
    const json_t *value = find(at, key, required, "an integer", &status);
    if (!value) return status;
    if (!json_is_integer(value)) return mismatch(at, key, "an integer", value);
    int64_t number = json_integer_value(value);
    if (number < minimum || number > maximum)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": %lld is outside %lld to %lld", at.origin, key,
                          (long long)number, (long long)minimum, (long long)maximum);
    *out = number;
    return SCRY_OK;
}

scry_status scry__json_number(scry__json_at at, const char *key, bool required, double *out)
{
    scry_status   status;
    const json_t *value = find(at, key, required, "a number", &status);
    if (!value) return status;
    if (!json_is_number(value)) return mismatch(at, key, "a number", value);
    *out = json_number_value(value);
    return SCRY_OK;
}

scry_status scry__json_bool(scry__json_at at, const char *key, bool required, bool *out)
{
    scry_status   status;
    const json_t *value = find(at, key, required, "true or false", &status);
    if (!value) return status;
    if (!json_is_boolean(value)) return mismatch(at, key, "true or false", value);
    *out = json_is_true(value);
    return SCRY_OK;
}

scry_status scry__json_string(scry__json_at at, const char *key, bool required, const char **out)
{
    scry_status   status;
    const json_t *value = find(at, key, required, "a string", &status);
    if (!value) return status;
    if (!json_is_string(value)) return mismatch(at, key, "a string", value);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": the string holds a NUL", at.origin, key);
    *out = json_string_value(value);
    return SCRY_OK;
}

scry_status scry__json_object(scry__json_at at, const char *key, bool required, const json_t **out)
{
    scry_status   status;
    const json_t *value = find(at, key, required, "an object", &status);
    if (!value) return status;
    if (!json_is_object(value)) return mismatch(at, key, "an object", value);
    *out = value;
    return SCRY_OK;
}

scry_status scry__json_array(scry__json_at at, const char *key, bool required, const json_t **out)
{
    scry_status   status;
    const json_t *value = find(at, key, required, "an array", &status);
    if (!value) return status;
    if (!json_is_array(value)) return mismatch(at, key, "an array", value);
    *out = value;
    return SCRY_OK;
}

/* True if `list`, words with one space between, has `word`. */
static bool has_word(const char *list, const char *word)
{
    for (size_t size; *list; list += size + (list[size] == ' ')) {
        size = strcspn(list, " ");
        if (strlen(word) == size && !memcmp(list, word, size)) return true;
    }
    return false;
}

scry_status scry__json_only(scry__json_at at, const char *known)
{
    void *iterator = json_object_iter((json_t *)at.object);
    for (; iterator; iterator = json_object_iter_next((json_t *)at.object, iterator)) {
        const char *key = json_object_iter_key(iterator);
        if (!has_word(known, key))
            return scry__fail(SCRY_BAD_INPUT, "%s: key \"%.100s\": expected one of: %s", at.origin, key, known);
    }
    return SCRY_OK;
}

scry_status scry__json_schema(scry__json_at at, const char *expected)
{
    const char *found  = NULL;
    scry_status status = scry__json_string(at, "schema", true, &found);
    if (status || !strcmp(found, expected)) return status;
    return scry__fail(SCRY_BAD_INPUT, "%s: key \"schema\": \"%.64s\": expected \"%s\"", at.origin, found, expected);
}

/* Activation patching back from JSON. See json_patching.h. */
#include "report/json_patching.h"

#include "analysis/patch.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

enum { MOST = 1 << 24 }; /* positions, layers, heads: more is no patching */

/* --- numbers --- */

/* A number, or NaN for null. */
static scry_status read_number(float *out, const json_t *value, const char *origin, const char *key)
{
    *out = NAN;
    if (json_is_number(value)) *out = (float)json_number_value(value);
    if (json_is_number(value) || json_is_null(value)) return SCRY_OK;
    return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected numbers and null", origin, key);
}

static scry_status read_array(const json_t **out, scry__json_at at, const char *key, size_t count)
{
    scry_status status = scry__json_array(at, key, true, out);
    if (!status && json_array_size(*out) != count)
        status = scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected %zu elements, found %zu", at.origin, key, count,
                            json_array_size(*out));
    return status;
}

static scry_status read_count(int *out, scry__json_at at, const char *key)
{
    int64_t     number = 0;
    scry_status status = scry__json_int(at, key, true, 0, MOST, &number);
    *out               = (int)number;
    return status;
}

static scry_status read_float(float *out, scry__json_at at, const char *key)
{
    return read_number(out, json_object_get(at.object, key), at.origin, key);
}

/* Which of `count` names the text is. */
static scry_status read_name(int *out, scry__json_at at, const char *key, const char *(*name)(int index), int count)
{
    const char *text   = NULL;
    scry_status status = scry__json_string(at, key, true, &text);
    for (*out = 0; !status && *out < count; ++*out)
        if (!strcmp(text, name(*out))) return SCRY_OK;
    return status ? status
                  : scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": \"%s\" is no such thing", at.origin, key, text);
}

static const char *kind_name(int index)
{
    return scry_patch_kind_text((scry_patch_kind)index);
}

static const char *direction_name(int index)
{
    return scry_patch_direction_text((scry_patch_direction)index);
}

static const char *method_name(int index)
{
    return scry_patch_method_text((scry_patch_method)index);
}

/* --- sides --- */

static scry_status read_candidate(scry_candidate *out, scry__json_at side, const char *key)
{
    scry__json_at at     = {.origin = side.origin};
    const char   *text   = NULL;
    int           id     = 0;
    scry_status   status = scry__json_object(side, key, true, &at.object);
    if (!status) status = read_count(&id, at, "id");
    if (!status) status = scry__json_string(at, "text", true, &text);
    if (!status) status = read_float(&out->logit, at, "logit");
    if (!status) status = read_float(&out->probability, at, "probability");
    if (!status && !(out->text = scry__strdup(text))) status = SCRY_OUT_OF_MEMORY;
    out->id = id;
    return status;
}

static scry_status read_tokens(scry_tokens **out, scry__json_at side)
{
    const json_t *array = NULL, *token;
    size_t        index;
    scry_status   status = scry__json_array(side, "tokens", true, &array);
    scry_tokens  *tokens = !status ? *out = scry__alloc(1, sizeof *tokens) : NULL;
    if (!tokens) return status ? status : SCRY_OUT_OF_MEMORY;
    tokens->ids   = scry__alloc(json_array_size(array), sizeof *tokens->ids);
    tokens->texts = scry__alloc(json_array_size(array), sizeof *tokens->texts);
    if (!tokens->ids || !tokens->texts) return SCRY_OUT_OF_MEMORY;
    json_array_foreach((json_t *)array, index, token)
    {
        const scry__json_at at   = {token, side.origin};
        const char         *text = NULL;
        int                 id   = 0;
        status                   = read_count(&id, at, "id");
        if (!status) status = scry__json_string(at, "text", true, &text);
        if (!status && !(tokens->texts[index] = scry__strdup(text))) status = SCRY_OUT_OF_MEMORY;
        if (status) return status;
        tokens->ids[index] = id;
        tokens->count++;
    }
    return SCRY_OK;
}

static scry_status read_side(scry_patch_side *side, scry__json_at whole, const char *key)
{
    scry__json_at at     = {.origin = whole.origin};
    scry_status   status = scry__json_object(whole, key, true, &at.object);
    if (!status) status = read_tokens(&side->tokens, at);
    if (!status) status = read_count(&side->position, at, "position");
    if (!status && side->position >= side->tokens->count)
        status =
            scry__fail(SCRY_BAD_INPUT, "%s: position %d of %d tokens", at.origin, side->position, side->tokens->count);
    if (!status) status = read_candidate(&side->answer, at, "answer");
    if (!status) status = read_candidate(&side->wrong, at, "wrong");
    return status ? status : read_float(&side->logit_difference, at, "logit_difference");
}

/* --- directions --- */

static scry_status read_cells(scry_patch_cell *cells, size_t count, scry_patch_method method, scry__json_at at)
{
    const json_t *arrays[SCRY_PATCH_METRIC_COUNT] = {0};
    float         numbers[SCRY_PATCH_METRIC_COUNT];
    scry_status   status = SCRY_OK;
    for (int i = 0; i < SCRY_PATCH_METRIC_COUNT; i++) numbers[i] = NAN;
    for (int i = 0; i < SCRY_PATCH_METRIC_COUNT && !status; i++)
        if (scry_patch_method_gives(method, (scry_patch_metric)i))
            status = read_array(&arrays[i], at, scry_patch_metric_text((scry_patch_metric)i), count);
    for (size_t cell = 0; cell < count && !status; cell++) {
        for (int i = 0; i < SCRY_PATCH_METRIC_COUNT && !status; i++)
            if (arrays[i])
                status = read_number(&numbers[i], json_array_get(arrays[i], cell), at.origin,
                                     scry_patch_metric_text((scry_patch_metric)i));
        cells[cell] = scry__patch_cell_of(numbers);
    }
    return status;
}

static scry_status read_grid(scry_patch_grid *grid, scry_patch_method method, scry__json_at at)
{
    int         kind   = 0;
    scry_status status = read_name(&kind, at, "kind", kind_name, SCRY_PATCH_KIND_COUNT);
    grid->kind         = (scry_patch_kind)kind;
    if (!status) status = read_count(&grid->layer_count, at, "layer_count");
    if (!status) status = read_count(&grid->head_count, at, "head_count");
    if (!status) status = read_count(&grid->position_count, at, "position_count");
    double cells = (double)grid->layer_count * grid->head_count * grid->position_count;
    if (!status && cells > MOST) status = scry__fail(SCRY_BAD_INPUT, "%s: a grid of %.0f cells", at.origin, cells);
    if (status) return status;
    grid->cells = scry__alloc((size_t)cells, sizeof *grid->cells);
    return grid->cells ? read_cells(grid->cells, (size_t)cells, method, at) : SCRY_OUT_OF_MEMORY;
}

static scry_status read_matches(scry_patching *patching, scry__json_at at)
{
    const scry_patch_side *source = scry_patching_source(patching);
    const json_t          *array  = NULL;
    patching->position_count      = scry_patching_baseline(patching)->position + 1;
    scry_status status            = read_array(&array, at, "matches", (size_t)patching->position_count);
    if (status) return status;
    patching->matches = scry__alloc((size_t)patching->position_count, sizeof *patching->matches);
    if (!patching->matches) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < patching->position_count; i++) {
        const json_t *value  = json_array_get(array, (size_t)i);
        json_int_t    number = json_is_null(value) ? -1 : json_integer_value(value);
        if (number >= source->tokens->count || (!json_is_null(value) && (!json_is_integer(value) || number < 0)))
            return scry__fail(SCRY_BAD_INPUT, "%s: key \"matches\": expected positions below %d and null", at.origin,
                              source->tokens->count);
        patching->matches[i] = (int32_t)number;
    }
    return SCRY_OK;
}

static scry_status read_direction(scry_patching *patching, scry__json_at whole, scry__json_at at)
{
    const json_t *grids     = NULL, *grid;
    int           direction = 0, method = 0;
    size_t        index;
    scry_status   status = read_name(&direction, at, "direction", direction_name, SCRY_PATCH_DIRECTION_COUNT);
    patching->direction  = (scry_patch_direction)direction;
    if (!status) status = read_name(&method, at, "method", method_name, SCRY_PATCH_METHOD_COUNT);
    patching->method = (scry_patch_method)method;
    if (!status) status = read_side(&patching->clean, whole, "clean");
    if (!status) status = read_side(&patching->corrupt, whole, "corrupt");
    if (!status) status = scry__json_bool(at, "defined", true, &patching->defined);
    if (!status) status = read_count(&patching->first_difference, at, "first_difference");
    if (!status) status = read_matches(patching, at);
    if (!status) status = scry__json_array(at, "grids", true, &grids);
    if (status) return status;
    patching->grids = scry__alloc(json_array_size(grids), sizeof *patching->grids);
    if (!patching->grids) return SCRY_OUT_OF_MEMORY;
    json_array_foreach((json_t *)grids, index, grid)
    {
        status =
            read_grid(&patching->grids[patching->grid_count++], patching->method, (scry__json_at){grid, at.origin});
        if (status) return status;
    }
    return SCRY_OK;
}

scry_status scry__json_read_patching(scry_patching **patchings, int *count, int most, const json_t *object,
                                     const char *origin)
{
    const scry__json_at whole      = {object, origin};
    const json_t       *directions = NULL;
    scry_status         status     = scry__json_array(whole, "directions", true, &directions);
    *count                         = 0;
    if (!status && json_array_size(directions) > (size_t)most)
        status = scry__fail(SCRY_BAD_INPUT, "%s: key \"directions\": expected at most %d", origin, most);
    for (size_t i = 0; !status && i < json_array_size(directions); i++) {
        scry_patching *one = patchings[*count] = scry__alloc(1, sizeof *one);
        if (!one) {
            status = SCRY_OUT_OF_MEMORY;
            break;
        }
        ++*count;
        status = read_direction(one, whole, (scry__json_at){json_array_get(directions, i), origin});
    }
    while (status && *count) scry_patching_destroy(&patchings[--*count]);
    return status;
}

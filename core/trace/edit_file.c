/* Values and prompts of edits, from files. See edit_file.h. */
#include "trace/edit_file.h"

#include "base/alloc.h"
#include "base/array_file.h"
#include "base/error.h"
#include "trace/edit.h"

#include <limits.h>
#include <string.h>

/* The array's axes as the hook point's; false where it has too many, or too long ones. */
static bool read_axes(scry_edit_values *values, const scry__array *array, scry__edit_extent extent)
{
    int64_t        shape[3]  = {1, 1, 1}; /* rows, heads, columns; heads first where the hook point has them so */
    const int64_t *axes      = array->shape;
    int            rank      = array->rank;
    bool           has_heads = extent.by_head || extent.heads > 1;
    if (rank > (has_heads || extent.columns == 0 ? 3 : 2) && axes[0] == 1) {
        axes++;
        rank--;
    }
    if (rank < 1 || rank > 3) return false;
    for (int axis = 0; axis < rank; axis++) {
        if (axes[axis] < 1 || axes[axis] > INT_MAX) return false;
        shape[3 - rank + axis] = axes[axis];
    }
    if (rank == 2 && !has_heads) { /* rows and columns alone */
        shape[0] = axes[0];
        shape[1] = 1;
    }
    values->rows    = (int)shape[extent.by_head ? 1 : 0];
    values->heads   = (int)shape[extent.by_head ? 0 : 1];
    values->columns = (int)shape[2];
    return true;
}

static scry_status read_array(scry_edit *edit, const scry_model *model, const scry__array_file *file)
{
    bool               single = file->count == 1 && !*file->arrays->name;
    const scry__array *array  = single ? file->arrays : scry__array_find(file, edit->hook);
    scry__hook         hook;
    int                layer;
    if (!array)
        return scry__fail(SCRY_BAD_INPUT, "%s: no array %s: expected one, as in a trace of that hook point", file->path,
                          edit->hook);
    if (!scry__edit_find_hook(model, edit->hook, &hook, &layer) ||
        !read_axes(&edit->values, array, scry__edit_extent_of(model, hook)))
        return scry__fail(SCRY_BAD_INPUT, "%s: %s: an array of rank %d: expected a hook point's, or a vector",
                          file->path, edit->hook, array->rank);
    float *data = scry__alloc(array->count, sizeof *data);
    if (!data) return SCRY_OUT_OF_MEMORY;
    edit->values.data = data;
    return scry__array_read_f32(file, array, data);
}

scry_status scry__edit_read_arrays(scry_edit *edits, int count, const scry_model *model, const char *path)
{
    scry__array_file *file   = NULL;
    scry_status       status = scry__array_file_open(&file, path);
    for (int i = 0; i < count && !status; i++) status = read_array(&edits[i], model, file);
    scry__array_file_close(&file);
    return status;
}

enum { MOST_BYTES = 64 << 20 };

scry_status scry__edit_read_prompts(char ***prompts, int *count, const char *path)
{
    char       *data = NULL;
    size_t      size, lines = 1;
    scry_status status = scry__file_read(&data, &size, path, MOST_BYTES);
    *prompts           = NULL;
    *count             = 0;
    if (status) return status;
    for (const char *at = data; (at = strchr(at, '\n')); at++) lines++;
    *prompts = scry__alloc(lines, sizeof **prompts);
    if (!*prompts) status = SCRY_OUT_OF_MEMORY;
    for (const char *at = data; !status && *at; at += *at == '\n') {
        size_t length = strcspn(at, "\n"), shown = length;
        if (shown && at[shown - 1] == '\r') shown--;
        if (shown && !((*prompts)[*count] = scry__strndup(at, shown))) status = SCRY_OUT_OF_MEMORY;
        *count += shown && !status;
        at += length;
    }
    if (!status && !*count) status = scry__fail(SCRY_BAD_INPUT, "%s: no prompts: expected one a line", path);
    scry__free(data);
    return status;
}

/* Edits' values: on the device, and held to what is there already. See edit.h. */
#include "trace/edit_resolved.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static size_t value_count(const scry_edit *edit)
{
    const scry_edit_values *values = &edit->values;
    return (size_t)values->rows * (size_t)values->heads * (size_t)values->columns;
}

/* What values are uploaded times: the factor of ADD is in them. */
static float factor_of(const scry_edit *edit)
{
    return edit->kind == SCRY_EDIT_ADD ? edit->factor : 1.0f;
}

/* Values of size 1 repeat, by strides of 0. */
static scry_tensor view_values(const scry__resolved_edit *resolved, const scry_edit_values *values, scry_buffer *buffer,
                               size_t offset)
{
    const int64_t shape[] = {1, resolved->by_head ? values->heads : values->rows,
                             resolved->by_head ? values->rows : values->heads, values->columns};
    scry_tensor   view    = scry_tensor_of(buffer, offset, SCRY_F32, 4, shape);
    return resolved->by_head ? scry_tensor_swap(view, ROW, HEAD) : view;
}

/* --- upload --- */

/* An edit's values on the way to the device. */
struct block {
    const scry_edit *edit;
    int              index;  /* of the edit */
    size_t           offset; /* in floats, of the first edit's that has these values */
};

static int compare_blocks(const void *a, const void *b)
{
    const scry_edit *x = ((const struct block *)a)->edit, *y = ((const struct block *)b)->edit;
    uintptr_t        from_x = (uintptr_t)x->values.data, from_y = (uintptr_t)y->values.data;
    if (from_x != from_y) return from_x < from_y ? -1 : 1;
    if (value_count(x) != value_count(y)) return value_count(x) < value_count(y) ? -1 : 1;
    float   factor_x = factor_of(x), factor_y = factor_of(y);
    int32_t bits_x, bits_y;
    memcpy(&bits_x, &factor_x, sizeof bits_x);
    memcpy(&bits_y, &factor_y, sizeof bits_y);
    return (bits_x > bits_y) - (bits_x < bits_y);
}

/* The edits that have values, those of the same ones side by side; how many floats they are in all, each once. */
static size_t lay_out(struct block *blocks, int *count, const scry_edits *edits)
{
    size_t floats = 0;
    *count        = 0;
    for (int i = 0; i < edits->count; i++)
        if (scry__edit_takes_values(edits->edits[i].kind))
            blocks[(*count)++] = (struct block){.edit = &edits->edits[i], .index = i};
    qsort(blocks, (size_t)*count, sizeof *blocks, compare_blocks);
    for (int i = 0; i < *count; i++) {
        bool shared      = i && !compare_blocks(&blocks[i - 1], &blocks[i]);
        blocks[i].offset = shared ? blocks[i - 1].offset : floats;
        if (!shared) floats += value_count(blocks[i].edit);
    }
    return floats;
}

static scry_status write_blocks(const scry__editor *editor, const struct block *blocks, int count, size_t floats)
{
    float *host = scry__alloc(floats, sizeof *host);
    if (!host) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) {
        size_t own    = value_count(blocks[i].edit);
        float  factor = factor_of(blocks[i].edit);
        if (i && blocks[i].offset == blocks[i - 1].offset) continue;
        for (size_t j = 0; j < own; j++) host[blocks[i].offset + j] = factor * blocks[i].edit->values.data[j];
    }
    scry_status status = scry_buffer_write(editor->values, 0, host, floats * sizeof *host);
    scry__free(host);
    return status;
}

scry_status scry__edit_upload(scry__editor *editor, const scry_edits *edits)
{
    int           count;
    scry_status   status = SCRY_OK;
    struct block *blocks = scry__alloc((size_t)edits->count, sizeof *blocks);
    if (!blocks) return SCRY_OUT_OF_MEMORY;
    size_t floats = lay_out(blocks, &count, edits);
    if (floats) status = scry_buffer_create(&editor->values, scry_model_device(editor->model), floats * sizeof(float));
    if (!status && floats) status = write_blocks(editor, blocks, count, floats);
    for (int i = 0; i < count && !status; i++) {
        scry__resolved_edit *resolved = &editor->edits[blocks[i].index];
        resolved->values =
            view_values(resolved, &blocks[i].edit->values, editor->values, blocks[i].offset * sizeof(float));
    }
    scry__free(blocks);
    return status;
}

/* --- comparing --- */

void scry__editor_place(const scry__editor *editor, int edit, scry__hook *hook, int *layer)
{
    *hook  = editor->edits[edit].hook;
    *layer = editor->edits[edit].layer;
}

/* What the edit makes of x. */
static float edited(const scry__resolved_edit *edit, float x, float value)
{
    switch (edit->kind) {
    case SCRY_EDIT_SCALE:
        return edit->factor * x;
    case SCRY_EDIT_ADD:
        return x + value;
    case SCRY_EDIT_REPLACE:
        return value;
    default:
        return 0.0f;
    }
}

static bool changes_row(const scry__resolved_edit *edit, const scry_edit *given, const int64_t size[4],
                        const float *host, int64_t row)
{
    const scry_edit_values *values  = &given->values;
    float                   factor  = factor_of(given);
    int64_t                 columns = edit->keys.end < size[COLUMN] ? edit->keys.end : size[COLUMN];
    for (int64_t head = 0; head < size[HEAD]; head++) {
        int64_t      line = edit->by_head ? head * size[ROW] + row : row * size[HEAD] + head;
        int64_t      r = values->rows > 1 ? row : 0, h = values->heads > 1 ? head : 0;
        int64_t      own = edit->by_head ? h * values->rows + r : r * values->heads + h;
        const float *x = host + line * size[COLUMN], *put = values->data;
        if (!(edit->heads[head / 64] >> head % 64 & 1)) continue;
        for (int64_t column = edit->keys.begin; column < columns; column++) {
            float value = 0.0f;
            if (scry__edit_takes_values(edit->kind))
                value = factor * put[own * values->columns + (values->columns > 1 ? column : 0)];
            value = edited(edit, x[column], value);
            if (memcmp(&value, &x[column], sizeof value)) return true;
        }
    }
    return false;
}

int scry__editor_first_change(const scry__editor *editor, int index, const scry_edit *given, const scry_tensor *value,
                              const float *host)
{
    const scry__resolved_edit *edit = &editor->edits[index];
    const bool                 flat = value->rank == 3; /* [1, T, n]; else [1, T, H, n] or [1, H, T, n] */
    const int64_t size[4] = {1, value->shape[edit->by_head ? 2 : 1], flat ? 1 : value->shape[edit->by_head ? 1 : 2],
                             value->shape[value->rank - 1]};
    for (int64_t row = edit->positions.begin; row < edit->positions.end && row < size[ROW]; row++)
        if (changes_row(edit, given, size, host, row)) return (int)row;
    return -1;
}

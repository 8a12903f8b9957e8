/* Edits applied. See edit.h.
 *
 * Every value is seen as [sequence, row, head, column]; an edit is a box of that, and each run of heads in it one op.
 */
#include "trace/edit_resolved.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

scry__edit_extent scry__edit_extent_of(const scry_model *model, scry__hook hook)
{
    const scry_model_info *info = scry_model_get_info(model);
    switch (hook) {
    case SCRY__HOOK_Q:
    case SCRY__HOOK_ROT_Q:
    case SCRY__HOOK_Z:
        return (scry__edit_extent){.heads = info->head_count, .columns = info->head_size};
    case SCRY__HOOK_K:
    case SCRY__HOOK_ROT_K:
    case SCRY__HOOK_V:
        return (scry__edit_extent){.heads = info->kv_head_count, .columns = info->head_size};
    case SCRY__HOOK_ATTN_SCORES:
    case SCRY__HOOK_PATTERN:
        return (scry__edit_extent){.heads = info->head_count, .by_head = true};
    case SCRY__HOOK_MLP_PRE:
    case SCRY__HOOK_MLP_PRE_LINEAR:
    case SCRY__HOOK_MLP_POST:
        return (scry__edit_extent){.heads = 1, .columns = info->mlp_size};
    case SCRY__HOOK_LN1_SCALE:
    case SCRY__HOOK_LN2_SCALE:
    case SCRY__HOOK_LN_FINAL_SCALE:
        return (scry__edit_extent){.heads = 1, .columns = 1};
    default:
        return (scry__edit_extent){.heads = 1, .columns = info->hidden_size};
    }
}

bool scry__edit_find_hook(const scry_model *model, const char *name, scry__hook *hook, int *layer)
{
    static const char block[] = "blocks.";
    const char       *dot     = strncmp(name, block, strlen(block)) ? NULL : strchr(name + strlen(block), '.');
    long              at      = dot ? strtol(name + strlen(block), NULL, 10) : -1;
    char              full[SCRY__HOOK_NAME_SIZE];
    if (at >= scry_model_get_info(model)->layer_count || (dot && at < 0)) return false;
    for (int i = 0; i < SCRY__HOOK_COUNT; i++) {
        if (scry__hook_in_block((scry__hook)i) != (dot != NULL)) continue;
        if (strcmp(scry__hook_name((scry__hook)i), dot ? dot + 1 : name)) continue;
        *hook  = (scry__hook)i;
        *layer = (int)at;
        scry__hook_full_name(*hook, *layer, full); /* "blocks.01." is none */
        return scry__model_has_hook(model, *hook) && !strcmp(full, name);
    }
    return false;
}

scry_status scry__edit_check_hook(const scry_model *model, scry__hook hook, const char *name, bool final)
{
    bool after = hook >= SCRY__HOOK_LN_FINAL_SCALE && !final;
    if (!scry__hook_is_live(hook))
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%s can be seen, not edited: expected an activation that others follow from", name);
    if (after)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%s is not on the way here, where the residual stream is read by a norm of its own: expected "
                          "a hook point up to blocks.%d.hook_resid_post",
                          name, scry_model_get_info(model)->layer_count - 1);
    return SCRY_OK;
}

/* --- checking --- */

/* Is it the same at all positions? */
static bool has_one_row(const scry_edit *edit)
{
    return !scry__edit_takes_values(edit->kind) || edit->values.rows == 1;
}

static scry_status resolve_range(scry_range *out, scry_range range, int count, const char *what)
{
    *out = range.begin || range.end ? range : (scry_range){0, count};
    if (out->begin >= 0 && out->begin < out->end && out->end <= count) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s %d:%d: expected a part of 0:%d", what, range.begin, range.end, count);
}

/* What is said of every position, or of all from one on, holds for those that generation adds too, as far as there are
 * values. */
static scry_status resolve_positions(scry_range *out, const scry_edit *edit, const scry__editor_options *options)
{
    if (edit->positions.end) return resolve_range(out, edit->positions, options->positions, "positions");
    *out = (scry_range){edit->positions.begin, has_one_row(edit) ? options->capacity : options->positions};
    if (out->begin >= 0 && out->begin < out->end) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "positions from %d on: expected 0 to %d", out->begin, out->end - 1);
}

static scry_status resolve_heads(scry__resolved_edit *resolved, const scry_edit *edit, int count)
{
    bool any = false;
    for (int head = 0; head < SCRY_MAX_HEADS; head++) {
        if (!(edit->heads[head / 64] >> head % 64 & 1)) continue;
        if (head >= count) return scry__fail(SCRY_BAD_ARGUMENT, "head %d: expected 0 to %d", head, count - 1);
        any = true;
    }
    memcpy(resolved->heads, edit->heads, sizeof resolved->heads);
    for (int head = 0; !any && head < count; head++) resolved->heads[head / 64] |= (uint64_t)1 << head % 64;
    return SCRY_OK;
}

static scry_status check_values(const scry_edit *edit, const scry__resolved_edit *resolved, scry__edit_extent extent)
{
    const scry_edit_values *values  = &edit->values;
    int                     columns = extent.columns ? extent.columns : resolved->keys.end;
    if (!scry__edit_takes_values(edit->kind)) return SCRY_OK;
    if (!values->data) return scry__fail(SCRY_BAD_ARGUMENT, "no values: expected what to put there");
    if (values->rows < 1 || (values->rows > 1 && values->rows < resolved->positions.end))
        return scry__fail(SCRY_BAD_ARGUMENT, "values of %d positions: expected 1, or %d as the edit reaches",
                          values->rows, resolved->positions.end);
    if (values->heads != 1 && values->heads != extent.heads)
        return scry__fail(SCRY_BAD_ARGUMENT, "values of %d heads: expected 1 or %d", values->heads, extent.heads);
    if (values->columns != 1 && (extent.columns ? values->columns != columns : values->columns < columns))
        return scry__fail(SCRY_BAD_ARGUMENT, "values of %d columns: expected 1 or %d", values->columns, columns);
    return SCRY_OK;
}

static scry_status resolve(scry__resolved_edit *resolved, const scry_model *model, const scry_edit *edit,
                           const scry__editor_options *options)
{
    if (!edit->hook || !scry__edit_find_hook(model, edit->hook, &resolved->hook, &resolved->layer))
        return scry__fail(SCRY_BAD_ARGUMENT, "this %s model has no such hook point",
                          scry_model_get_info(model)->family);
    if ((unsigned)edit->kind >= SCRY_EDIT_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT, "kind %d: expected 0 to %d", (int)edit->kind, SCRY_EDIT_COUNT - 1);
    scry__edit_extent extent = scry__edit_extent_of(model, resolved->hook);
    scry_status       status = scry__edit_check_hook(model, resolved->hook, edit->hook, options->final);
    if (!extent.by_head && (edit->keys.begin || edit->keys.end))
        return scry__fail(SCRY_BAD_ARGUMENT, "keys %d:%d: expected none, save for scores and patterns",
                          edit->keys.begin, edit->keys.end);
    resolved->kind    = edit->kind;
    resolved->factor  = edit->factor;
    resolved->by_head = extent.by_head;
    if (!status) status = resolve_heads(resolved, edit, extent.heads);
    if (!status) status = resolve_range(&resolved->sequences, edit->sequences, options->batch, "sequences");
    if (!status) status = resolve_positions(&resolved->positions, edit, options);
    if (!status) status = resolve_range(&resolved->keys, edit->keys, options->positions, "keys");
    if (!status) status = check_values(edit, resolved, extent);
    if (extent.by_head && !edit->keys.end && (!scry__edit_takes_values(edit->kind) || edit->values.columns == 1))
        resolved->keys.end = options->capacity;
    if (!extent.by_head) resolved->keys = (scry_range){0, extent.columns};
    return status;
}

scry_status scry__editor_create(scry__editor **out, const scry_model *model, const scry__editor_options *options)
{
    static const scry_edits none;
    scry__editor_options    filled = *options;
    const scry_edits       *edits  = options->edits ? options->edits : &none;
    scry_status             status = SCRY_OK;
    *out                           = NULL;
    if (!edits->count) return SCRY_OK;
    if (!filled.batch) filled.batch = 1;
    if (!filled.capacity) filled.capacity = filled.positions;
    scry__editor *editor = scry__alloc(1, sizeof *editor);
    if (!editor) return SCRY_OUT_OF_MEMORY;
    editor->model = model;
    editor->count = edits->count;
    editor->edits = scry__alloc((size_t)edits->count, sizeof *editor->edits);
    if (!editor->edits) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < edits->count && !status; i++) {
        status = resolve(&editor->edits[i], model, &edits->edits[i], &filled);
        if (status)
            scry__fail_prefix(status, "edit %d, %s", i + 1,
                              edits->edits[i].hook ? edits->edits[i].hook : "without a name");
    }
    if (!status) status = scry__edit_upload(editor, edits);
    editor->used       = editor->edits;
    editor->used_count = editor->count;
    if (status)
        scry__editor_destroy(&editor);
    else
        *out = editor;
    return status;
}

scry_status scry__editor_use(scry__editor *editor, const scry__edit_use *uses, int count)
{
    scry__resolved_edit *used = scry__alloc((size_t)count, sizeof *used);
    if (!used) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) {
        used[i]                 = editor->edits[uses[i].edit];
        used[i].sequences.begin = uses[i].sequence;
        used[i].sequences.end   = uses[i].sequence + 1;
        if (used[i].positions.begin < uses[i].from) used[i].positions.begin = uses[i].from;
    }
    if (editor->used != editor->edits) scry__free(editor->used);
    editor->used       = used;
    editor->used_count = count;
    return SCRY_OK;
}

void scry__editor_destroy(scry__editor **editor)
{
    scry__editor *self = editor ? *editor : NULL;
    if (!self) return;
    scry_buffer_destroy(&self->values);
    if (self->used != self->edits) scry__free(self->used);
    scry__free(self->edits);
    scry__free(self);
    *editor = NULL;
}

/* --- in a pass --- */

static bool is_of(const scry__resolved_edit *edit, scry__hook hook, int layer)
{
    return edit->hook == hook && edit->layer == layer;
}

/* The part of `range` in [past, past + rows), counted from `past`: *count is 0 where there is none. */
static void clip(scry_range range, int64_t past, int64_t rows, int64_t *begin, int64_t *count)
{
    int64_t end = range.end - past;
    *begin      = range.begin > past ? range.begin - past : 0;
    if (end > rows) end = rows;
    *count = end > *begin ? end - *begin : 0;
}

/* The i-th edit that this pass, with its own rows, makes there; -1: there are no more. */
static int find_edit(const scry__editor *editor, scry__hook hook, int layer, int index)
{
    int64_t past = scry__session_length(editor->session), rows = scry__session_residual(editor->session).shape[1];
    for (int i = 0; i < editor->used_count; i++) {
        int64_t begin, count;
        if (!is_of(&editor->used[i], hook, layer)) continue;
        clip(editor->used[i].positions, past, rows, &begin, &count);
        if (count && index-- == 0) return i;
    }
    return -1;
}

/* A box of `values`: an axis of size 1 repeats. */
static scry_tensor cut_values(scry_tensor values, const int64_t begin[4], const int64_t count[4])
{
    for (int axis = 0; axis < 4; axis++) {
        if (values.shape[axis] > 1) {
            values = scry_tensor_slice(values, axis, begin[axis], count[axis]);
        } else {
            values.shape[axis]  = count[axis];
            values.stride[axis] = 0;
        }
    }
    return values;
}

static scry_op edit_op(const scry__resolved_edit *edit, const scry_tensor *x, const scry_tensor *values)
{
    switch (edit->kind) {
    case SCRY_EDIT_SCALE:
        return (scry_op){.kind = SCRY_OP_SCALE, .scale = {.x = *x, .out = *x, .factor = edit->factor}};
    case SCRY_EDIT_ADD:
        return (scry_op){.kind = SCRY_OP_ADD, .add = {.a = *x, .b = *values, .out = *x}};
    case SCRY_EDIT_REPLACE:
        return (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = *values, .out = *x}};
    default:
        return (scry_op){.kind = SCRY_OP_FILL, .fill = {.out = *x}};
    }
}

/* Heads [head, *end): the next run of an edit's from `head` on; false where there is none. */
static bool next_heads(const scry__resolved_edit *edit, int64_t count, int64_t *head, int64_t *end)
{
    while (*head < count && !(edit->heads[*head / 64] >> *head % 64 & 1)) ++*head;
    *end = *head;
    while (*end < count && edit->heads[*end / 64] >> *end % 64 & 1) ++*end;
    return *end > *head;
}

/* [B, T, n], [B, T, H, n] or [B, H, T, n] as [B, T, H, n]. */
static scry_tensor spread(const scry_tensor *value, bool by_head)
{
    scry_tensor out = *value;
    if (by_head) return scry_tensor_swap(out, ROW, HEAD);
    if (value->rank == 4) return out;
    out.rank           = 4;
    out.shape[HEAD]    = 1;
    out.stride[HEAD]   = value->shape[2] * value->stride[2];
    out.shape[COLUMN]  = value->shape[2];
    out.stride[COLUMN] = value->stride[2];
    return out;
}

static scry_status apply(const scry__editor *editor, const scry__resolved_edit *edit, const scry_tensor *value)
{
    scry_tensor all      = spread(value, edit->by_head);
    int64_t     past     = scry__session_length(editor->session), end;
    int64_t     begin[4] = {edit->sequences.begin}, count[4] = {edit->sequences.end - edit->sequences.begin};
    scry_status status = SCRY_OK;
    clip(edit->positions, past, all.shape[ROW], &begin[ROW], &count[ROW]);
    clip(edit->keys, 0, all.shape[COLUMN], &begin[COLUMN], &count[COLUMN]);
    if (!count[ROW] || !count[COLUMN]) return SCRY_OK;
    for (; !status && next_heads(edit, all.shape[HEAD], &begin[HEAD], &end); begin[HEAD] = end) {
        scry_tensor box = all, values = {0};
        count[HEAD] = end - begin[HEAD];
        for (int axis = 0; axis < 4; axis++) box = scry_tensor_slice(box, axis, begin[axis], count[axis]);
        int64_t absolute[4] = {0, begin[ROW] + past, begin[HEAD], begin[COLUMN]};
        if (edit->values.buffer) values = cut_values(edit->values, absolute, count);
        const scry_op op = edit_op(edit, &box, &values);
        status           = scry_device_run(scry_model_device(editor->model), &op);
    }
    return status;
}

static bool wants(void *user, scry__hook hook, int layer)
{
    const scry__hooks *inner = &((const scry__editor *)user)->inner;
    return inner->at && (!inner->wants || inner->wants(inner->user, hook, layer));
}

static scry_status at_hook(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const scry__editor *editor = user;
    scry_status         status = SCRY_OK;
    for (int i = 0; i < editor->used_count && !status; i++)
        if (is_of(&editor->used[i], hook, layer)) status = apply(editor, &editor->used[i], value);
    if (status || !wants(user, hook, layer)) return status;
    return editor->inner.at(editor->inner.user, hook, layer, value);
}

static bool edited(void *user, scry__hook hook, int layer, int index, scry__edited_rows *part)
{
    const scry__editor *editor = user;
    int                 found  = find_edit(editor, hook, layer, index);
    if (found < 0) return false;
    const scry__resolved_edit *edit = &editor->used[found];
    part->heads                     = edit->heads;
    part->sequence                  = edit->sequences.begin;
    part->sequences                 = edit->sequences.end - edit->sequences.begin;
    clip(edit->positions, scry__session_length(editor->session), scry__session_residual(editor->session).shape[1],
         &part->row, &part->rows);
    return true;
}

static void tile(void *user, int layer, scry_attention_capture *capture, int64_t *queries, int64_t *keys)
{
    const scry__hooks *inner = &((const scry__editor *)user)->inner;
    if (inner->tile) inner->tile(inner->user, layer, capture, queries, keys);
}

static scry_status mask_layer(void *user, int layer, scry_mask *mask)
{
    const scry__hooks *inner = &((const scry__editor *)user)->inner;
    return inner->mask ? inner->mask(inner->user, layer, mask) : SCRY_OK;
}

static int active(void *user, int layer)
{
    const scry__hooks *inner = &((const scry__editor *)user)->inner;
    return inner->active(inner->user, layer);
}

static scry_status join(void *user, int layer, const scry_tensor *streams)
{
    const scry__hooks *inner = &((const scry__editor *)user)->inner;
    return inner->join(inner->user, layer, streams);
}

const scry__hooks *scry__editor_hooks(scry__editor *editor, const scry__session *session, const scry__hooks *inner)
{
    if (!editor) return inner;
    editor->session = session;
    editor->inner   = inner ? *inner : (scry__hooks){0};
    editor->hooks   = (scry__hooks){
          .user = editor, .wants = wants, .at = at_hook, .edited = edited, .tile = tile, .mask = mask_layer};
    editor->hooks.layers = editor->inner.layers;
    if (editor->inner.active) {
        editor->hooks.active = active;
        editor->hooks.join   = join;
    }
    return &editor->hooks;
}

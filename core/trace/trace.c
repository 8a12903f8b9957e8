/* One forward pass with captures, kept in memory or handed to a sink layer by layer. See scry/trace.h. */
#include "scry/trace.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/forward.h"
#include "scry/backend.h"
#include "trace/edit.h"
#include "trace/read.h"
#include "trace/selection.h"

#include <string.h>

/* State of one pass. */
struct tracer {
    scry_trace               *trace;
    const scry_trace_options *options;
    scry__selection           selection;
    int                       capacity; /* of trace->captures */
    void                     *scratch;  /* a capture on its way to the sink, or before heads are picked */
    size_t                    scratch_bytes;
};

static bool wants(void *user, scry__hook hook, int layer)
{
    struct tracer *tracer = user;
    return scry__selection_wants(&tracer->selection, hook, layer);
}

/* A trace only looks, so that what it shows is what a pass without it computes, to the bit. */
static bool never(void *user, scry__hook hook, int layer, int index, scry__edited_rows *rows)
{
    (void)user, (void)hook, (void)layer, (void)index, (void)rows;
    return false;
}

static void tile(void *user, int layer, scry_attention_capture *capture, int64_t *queries, int64_t *keys)
{
    const scry__selection *selection = &((struct tracer *)user)->selection;
    (void)layer;
    memcpy(capture->heads, selection->heads, sizeof capture->heads);
    capture->query_begin = selection->queries.begin;
    capture->key_begin   = selection->keys.begin;
    *queries             = selection->queries.end - selection->queries.begin;
    *keys                = selection->keys.end - selection->keys.begin;
}

/* Which axis of the delivered value (without the batch axis) runs over all query heads, or -1. Scores and patterns come
 * with the selected heads only, save where they were edited. */
static int head_axis(scry__hook hook, const scry_tensor *value, int head_count)
{
    switch (hook) {
    case SCRY__HOOK_ATTN_SCORES:
    case SCRY__HOOK_PATTERN:
        return value->shape[0] == head_count ? 0 : -1;
    case SCRY__HOOK_Q:
    case SCRY__HOOK_ROT_Q:
    case SCRY__HOOK_Z:
        return 1;
    default:
        return hook >= SCRY__HOOK_STAT_LSE && hook <= SCRY__HOOK_STAT_DISTANCE ? 0 : -1;
    }
}

static scry_tensor without_batch(const scry_tensor *value)
{
    scry_tensor tensor = *value;
    tensor.rank        = value->rank - 1;
    for (int axis = 0; axis < tensor.rank; axis++) {
        tensor.shape[axis]  = value->shape[axis + 1];
        tensor.stride[axis] = value->stride[axis + 1];
    }
    return tensor;
}

/* Edited scores and patterns come whole: the rows and columns chosen of them. */
static scry_tensor cut_tile(const struct tracer *tracer, scry__hook hook, scry_tensor value)
{
    const scry__selection *selection = &tracer->selection;
    int                    count     = tracer->trace->tokens->count;
    if (hook != SCRY__HOOK_ATTN_SCORES && hook != SCRY__HOOK_PATTERN) return value;
    if (value.shape[1] != count || value.shape[2] != count) return value;
    value = scry_tensor_slice(value, 1, selection->queries.begin, selection->queries.end - selection->queries.begin);
    return scry_tensor_slice(value, 2, selection->keys.begin, selection->keys.end - selection->keys.begin);
}

static size_t byte_count(const scry_tensor *tensor)
{
    return (size_t)scry_tensor_count(tensor) * scry_dtype_size(tensor->dtype);
}

static scry_status reserve_scratch(struct tracer *tracer, size_t bytes)
{
    if (bytes <= tracer->scratch_bytes) return SCRY_OK;
    scry__free_aligned(tracer->scratch);
    tracer->scratch_bytes = 0;
    tracer->scratch       = scry__alloc_aligned(bytes);
    if (!tracer->scratch) return SCRY_OUT_OF_MEMORY;
    tracer->scratch_bytes = bytes;
    return SCRY_OK;
}

/* Reads `value` into `out`, the selected heads only; these are packed on the device, to come over in one read. */
static scry_status read_heads(const struct tracer *tracer, const scry_tensor *value, int axis, void *out)
{
    const scry__selection *selection = &tracer->selection;
    scry_device           *device    = value->buffer->device;
    scry_buffer           *buffer    = NULL;
    scry_tensor            packed    = *value;
    int                    kept      = 0;
    if (axis < 0 || selection->selected_heads == selection->head_count) return scry__read_tensor(value, out);
    packed.shape[axis] = selection->selected_heads;
    scry_status status = scry_buffer_create(&buffer, device, byte_count(&packed));
    if (status) return status;
    packed = scry_tensor_of(buffer, 0, value->dtype, value->rank, packed.shape);
    for (int head = 0; head < selection->head_count && !status; head++) {
        if (!scry__selection_has_head(selection, head)) continue;
        scry_op op = {.kind = SCRY_OP_COPY};
        op.copy    = (scry_copy){scry_tensor_slice(*value, axis, head, 1), scry_tensor_slice(packed, axis, kept++, 1)};
        status     = scry_device_run(device, &op);
    }
    if (!status) status = scry__read_tensor(&packed, out);
    scry_buffer_destroy(&buffer);
    return status;
}

/* Lends the value to the sink; large ones, such as patterns, are not copied where that can be helped. */
static scry_status hand_over(struct tracer *tracer, const scry_tensor *value, int axis, size_t bytes,
                             scry_capture *capture)
{
    bool        whole  = axis < 0 || tracer->selection.selected_heads == tracer->selection.head_count;
    scry_status status = whole ? scry__tensor_on_host(&capture->data, value) : SCRY_OK;
    if (!status && !capture->data) {
        status        = reserve_scratch(tracer, bytes);
        capture->data = tracer->scratch;
        if (!status) status = read_heads(tracer, value, axis, tracer->scratch);
    }
    if (!status) status = tracer->options->sink(tracer->options->user, capture);
    capture->data = NULL;
    return status;
}

static scry_status keep(struct tracer *tracer, scry_capture *capture)
{
    scry_trace *trace = tracer->trace;
    if (trace->count == tracer->capacity) {
        int           capacity = tracer->capacity ? tracer->capacity * 2 : 16;
        scry_capture *grown    = scry__realloc(trace->captures, (size_t)capacity, sizeof *grown);
        if (!grown) return SCRY_OUT_OF_MEMORY;
        trace->captures  = grown;
        tracer->capacity = capacity;
    }
    trace->captures[trace->count++] = *capture;
    *capture                        = (scry_capture){0};
    return SCRY_OK;
}

static scry_status at_hook(void *user, scry__hook hook, int layer, const scry_tensor *live)
{
    struct tracer *tracer = user;
    scry_tensor    value  = cut_tile(tracer, hook, without_batch(live));
    int            axis   = head_axis(hook, &value, tracer->selection.head_count);
    scry_capture capture  = {.layer = scry__hook_in_block(hook) ? layer : -1, .dtype = value.dtype, .rank = value.rank};
    scry_tensor  shape    = value;
    scry_status  status   = SCRY_OK;
    char         name[SCRY__HOOK_NAME_SIZE];

    if (axis >= 0) shape.shape[axis] = tracer->selection.selected_heads;
    memcpy(capture.shape, shape.shape, sizeof capture.shape);
    size_t bytes = byte_count(&shape);
    scry__hook_full_name(hook, layer, name);
    capture.name = scry__strdup(name);
    if (!capture.name) return SCRY_OUT_OF_MEMORY;

    if (tracer->options->sink) {
        status = hand_over(tracer, &value, axis, bytes, &capture);
    } else {
        capture.data = scry__alloc_aligned(bytes);
        status       = capture.data ? read_heads(tracer, &value, axis, capture.data) : SCRY_OUT_OF_MEMORY;
    }
    if (!status) status = keep(tracer, &capture);
    if (status) {
        scry__free_aligned(capture.data);
        scry__free(capture.name);
    }
    return status;
}

scry_status scry_trace_run(scry_trace **out, scry_model *model, const char *text, const scry_trace_options *options)
{
    struct tracer  tracer  = {.options = options};
    scry__session *session = NULL;
    scry__editor  *editor  = NULL;
    scry_status    status;
    *out = NULL;
    if (!options) return scry__fail(SCRY_BAD_ARGUMENT, "a trace needs options that name its hooks");
    tracer.trace = scry__alloc(1, sizeof *tracer.trace);
    if (!tracer.trace) return SCRY_OUT_OF_MEMORY;
    status = scry_tokens_create(&tracer.trace->tokens, model, text, options->ids, options->id_count);
    if (status) goto done;
    int count = tracer.trace->tokens->count;
    status    = scry__selection_create(&tracer.selection, model, count, options);
    if (status) goto done;
    status = scry__session_create(&session, model, &(scry__session_options){.capacity = count});
    if (status) goto done;
    status = scry__editor_create(&editor, model,
                                 &(scry__editor_options){.edits = options->edits, .positions = count, .final = true});
    if (status) goto done;
    scry__hooks hooks = {.user = &tracer, .wants = wants, .at = at_hook, .edited = never, .tile = tile};
    status =
        scry__session_forward(session, tracer.trace->tokens->ids, count, scry__editor_hooks(editor, session, &hooks));
done:
    scry__editor_destroy(&editor);
    scry__session_destroy(&session);
    scry__selection_finish(&tracer.selection);
    scry__free_aligned(tracer.scratch);
    if (status)
        scry_trace_destroy(&tracer.trace);
    else
        *out = tracer.trace;
    return status;
}

void scry_trace_destroy(scry_trace **trace)
{
    if (!trace || !*trace) return;
    for (int i = 0; i < (*trace)->count; i++) {
        scry__free_aligned((*trace)->captures[i].data);
        scry__free((*trace)->captures[i].name);
    }
    scry__free((*trace)->captures);
    scry_tokens_destroy(&(*trace)->tokens);
    scry__free(*trace);
    *trace = NULL;
}

const scry_capture *scry_trace_find(const scry_trace *trace, const char *name)
{
    for (int i = 0; i < trace->count; i++)
        if (!strcmp(trace->captures[i].name, name)) return &trace->captures[i];
    return NULL;
}

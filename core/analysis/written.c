/* What one position wrote to the residual stream. See written.h.
 *
 * Each row is copied on the device as the pass comes by; all of them are read at its end. */
#include "analysis/written.h"

#include "base/alloc.h"
#include "model/forward.h"
#include "model/model.h"

#include <string.h>

/* What is kept, in this order. What has no hook point comes from the session, behind the pass. */
enum { EMBEDDING, POSITIONS, Z, WEIGHTS, KEYS, MLPS, DENOMINATOR, STREAM, LOGITS, KEPT_COUNT };
static const struct {
    scry__hook hook;
    int        axis; /* of the positions, behind the batch's */
    scry_dtype dtype;
} kept[KEPT_COUNT] = {
    [EMBEDDING]   = {SCRY__HOOK_EMBED, 1, SCRY_F32},
    [POSITIONS]   = {SCRY__HOOK_POS_EMBED, 1, SCRY_F32},
    [Z]           = {SCRY__HOOK_Z, 1, SCRY_F32},
    [WEIGHTS]     = {SCRY__HOOK_STAT_MAX, 2, SCRY_F32},
    [KEYS]        = {SCRY__HOOK_STAT_ARGMAX, 2, SCRY_I32},
    [MLPS]        = {SCRY__HOOK_MLP_OUT, 1, SCRY_F32},
    [DENOMINATOR] = {SCRY__HOOK_LN_FINAL_SCALE, 1, SCRY_F32},
    [STREAM]      = {SCRY__HOOK_COUNT, 1, SCRY_F32},
    [LOGITS]      = {SCRY__HOOK_COUNT, 1, SCRY_F32},
};
_Static_assert(sizeof(int32_t) == sizeof(float), "keys lie among floats");

struct watch {
    scry_device *device;
    scry_buffer *rows;
    size_t       sizes[KEPT_COUNT];      /* in each layer, where there are layers */
    size_t       begins[KEPT_COUNT + 1]; /* in floats; the last is how many there are */
};

static bool is_of_layers(int i)
{
    return kept[i].hook < SCRY__HOOK_COUNT && scry__hook_in_block(kept[i].hook);
}

static void lay_out(struct watch *watch, const scry__arch *arch)
{
    size_t       d = (size_t)arch->hidden_size, heads = (size_t)arch->head_count;
    const size_t sizes[KEPT_COUNT] = {
        [EMBEDDING]   = d,
        [POSITIONS]   = arch->positions == SCRY__POSITIONS_LEARNED ? d : 0,
        [Z]           = heads * (size_t)arch->head_size,
        [WEIGHTS]     = heads,
        [KEYS]        = heads,
        [MLPS]        = d,
        [DENOMINATOR] = 1,
        [STREAM]      = d,
        [LOGITS]      = (size_t)arch->vocabulary,
    };
    memcpy(watch->sizes, sizes, sizeof sizes);
    for (int i = 0; i < KEPT_COUNT; i++)
        watch->begins[i + 1] = watch->begins[i] + sizes[i] * (is_of_layers(i) ? (size_t)arch->layer_count : 1);
}

static int find(scry__hook hook)
{
    int i = 0;
    while (i < KEPT_COUNT && kept[i].hook != hook) i++;
    return i;
}

static bool wants(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return find(hook) < KEPT_COUNT;
}

/* Keeps the last position's row. */
static scry_status keep_row(const struct watch *watch, int i, int layer, const scry_tensor *value)
{
    size_t  offset = watch->begins[i] + (is_of_layers(i) ? (size_t)layer * watch->sizes[i] : 0);
    scry_op op     = {.kind = SCRY_OP_COPY};
    op.copy.x      = scry_tensor_slice(*value, kept[i].axis, value->shape[kept[i].axis] - 1, 1);
    op.copy.out = scry_tensor_of(watch->rows, offset * sizeof(float), kept[i].dtype, op.copy.x.rank, op.copy.x.shape);
    return scry_device_run(watch->device, &op);
}

static scry_status keep(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    return keep_row(user, find(hook), layer, value);
}

/* The stream that the pass left, and what the model makes of it. */
static scry_status keep_end(const struct watch *watch, scry__session *session, const scry__arch *arch)
{
    const int64_t shape[] = {1, 1, arch->vocabulary};
    scry_tensor   stream  = scry__session_residual(session);
    scry_tensor   logits  = scry_tensor_of(watch->rows, watch->begins[LOGITS] * sizeof(float), SCRY_F32, 3, shape);
    scry_status   status  = keep_row(watch, STREAM, -1, &stream);
    return status ? status : scry__session_logits(session, (int)stream.shape[1] - 1, 1, &logits);
}

static scry_status read_rows(scry__written *written, const struct watch *watch)
{
    size_t count = watch->begins[KEPT_COUNT];
    float *rows = written->values = scry__alloc(count, sizeof *rows);
    if (!rows) return SCRY_OUT_OF_MEMORY;
    scry_status status   = scry_buffer_read(watch->rows, 0, rows, count * sizeof *rows);
    written->embedding   = rows + watch->begins[EMBEDDING];
    written->positions   = watch->sizes[POSITIONS] ? rows + watch->begins[POSITIONS] : NULL;
    written->z           = rows + watch->begins[Z];
    written->weights     = rows + watch->begins[WEIGHTS];
    written->keys        = (const int32_t *)(const void *)(rows + watch->begins[KEYS]);
    written->mlps        = rows + watch->begins[MLPS];
    written->stream      = rows + watch->begins[STREAM];
    written->logits      = rows + watch->begins[LOGITS];
    written->denominator = rows[watch->begins[DENOMINATOR]];
    return status;
}

scry_status scry__written_run(scry__written *written, scry_model *model, const int32_t *ids, int count)
{
    struct watch      watch   = {.device = model->device};
    const scry__hooks hooks   = {.user = &watch, .wants = wants, .at = keep};
    scry__session    *session = NULL;
    *written                  = (scry__written){0};
    lay_out(&watch, &model->arch);
    scry_status status = scry_buffer_create(&watch.rows, model->device, watch.begins[KEPT_COUNT] * sizeof(float));
    if (!status) status = scry__session_create(&session, model, &(scry__session_options){.capacity = count});
    if (!status) status = scry__session_forward(session, ids, count, &hooks);
    if (!status) status = keep_end(&watch, session, &model->arch);
    if (!status) status = read_rows(written, &watch);
    scry__session_destroy(&session);
    scry_buffer_destroy(&watch.rows);
    return status;
}

void scry__written_finish(scry__written *written)
{
    scry__free(written->values);
    *written = (scry__written){0};
}

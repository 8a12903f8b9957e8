/* What one position wrote to the residual stream. See written.h.
 *
 * Each row is copied on the device as the pass comes by; all of them are read at its end. */
#include "analysis/written.h"

#include "base/alloc.h"
#include "model/forward.h"
#include "model/model.h"

/* Where rows lie, in floats. */
struct places {
    size_t embedding, positions, z, mlps, logits, denominator, count;
};

struct watch {
    const scry__arch *arch;
    scry_device      *device;
    scry_buffer      *rows;
    struct places     places;
};

static struct places plan(const scry__arch *arch)
{
    size_t        d = (size_t)arch->hidden_size, layers = (size_t)arch->layer_count;
    struct places places = {.positions = d};
    places.z             = places.positions + d;
    places.mlps          = places.z + layers * (size_t)(arch->head_count * arch->head_size);
    places.logits        = places.mlps + layers * d;
    places.denominator   = places.logits + (size_t)arch->vocabulary;
    places.count         = places.denominator + 1;
    return places;
}

static bool wants(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return hook == SCRY__HOOK_EMBED || hook == SCRY__HOOK_POS_EMBED || hook == SCRY__HOOK_Z ||
           hook == SCRY__HOOK_MLP_OUT || hook == SCRY__HOOK_LN_FINAL_SCALE;
}

static size_t place_of(const struct watch *watch, scry__hook hook, int layer)
{
    const scry__arch *arch = watch->arch;
    switch (hook) {
    case SCRY__HOOK_EMBED:
        return watch->places.embedding;
    case SCRY__HOOK_POS_EMBED:
        return watch->places.positions;
    case SCRY__HOOK_Z:
        return watch->places.z + (size_t)layer * (size_t)(arch->head_count * arch->head_size);
    case SCRY__HOOK_MLP_OUT:
        return watch->places.mlps + (size_t)layer * (size_t)arch->hidden_size;
    default:
        return watch->places.denominator;
    }
}

/* Keeps the last row of [1, T, ..]. */
static scry_status keep(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const struct watch *watch  = user;
    size_t              offset = place_of(watch, hook, layer) * sizeof(float);
    scry_op             op     = {.kind = SCRY_OP_COPY};
    op.copy.x                  = scry_tensor_slice(*value, 1, value->shape[1] - 1, 1);
    op.copy.out                = scry_tensor_of(watch->rows, offset, SCRY_F32, op.copy.x.rank, op.copy.x.shape);
    return scry_device_run(watch->device, &op);
}

static scry_status read_rows(scry__written *written, const struct watch *watch)
{
    const struct places *places  = &watch->places;
    bool                 learned = watch->arch->positions == SCRY__POSITIONS_LEARNED;
    written->values              = scry__alloc(places->count, sizeof(float));
    if (!written->values) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry_buffer_read(watch->rows, 0, written->values, places->count * sizeof(float));
    written->embedding = written->values + places->embedding;
    written->positions = learned ? written->values + places->positions : NULL;
    written->z         = written->values + places->z;
    written->mlps      = written->values + places->mlps;
    written->logits    = written->values + places->logits;
    if (!status) written->denominator = written->values[places->denominator];
    return status;
}

scry_status scry__written_run(scry__written *written, scry_model *model, const int32_t *ids, int count)
{
    const scry__arch *arch    = &model->arch;
    struct watch      watch   = {.arch = arch, .device = model->device, .places = plan(arch)};
    const scry__hooks hooks   = {.user = &watch, .wants = wants, .at = keep};
    scry__session    *session = NULL;
    const int64_t     shape[] = {1, 1, arch->vocabulary};
    *written                  = (scry__written){0};
    scry_status status        = scry_buffer_create(&watch.rows, model->device, watch.places.count * sizeof(float));
    if (!status) status = scry__session_create(&session, model, &(scry__session_options){.capacity = count});
    if (!status) status = scry__session_forward(session, ids, count, &hooks);
    if (!status) {
        scry_tensor logits = scry_tensor_of(watch.rows, watch.places.logits * sizeof(float), SCRY_F32, 3, shape);
        status             = scry__session_logits(session, count - 1, 1, &logits);
    }
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

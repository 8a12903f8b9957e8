/* Tensors of a device on the host. See snapshot.h. */
#include "model/snapshot.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

#include <string.h>

/* Room for one tensor more: lists grow when they hold a power of two. */
static scry_status make_room(scry__snapshot *snapshot)
{
    size_t size = snapshot->count ? (size_t)snapshot->count * 2 : 1;
    if (snapshot->count & (snapshot->count - 1)) return SCRY_OK;
    scry__stored *tensors = scry__realloc(snapshot->tensors, size, sizeof *tensors);
    if (!tensors) return SCRY_OUT_OF_MEMORY;
    snapshot->tensors   = tensors;
    scry_tensor *places = scry__realloc(snapshot->places, size, sizeof *places);
    if (!places) return SCRY_OUT_OF_MEMORY;
    snapshot->places = places;
    return SCRY_OK;
}

scry_status scry__snapshot_add(scry__snapshot *snapshot, const char *prefix, const char *name, const scry_tensor *place)
{
    scry_status  status = make_room(snapshot);
    scry__text   text   = {0};
    scry__stored stored = {
        .element = SCRY__ELEMENT_F32, .rank = place->rank, .bytes = (size_t)scry_tensor_count(place) * sizeof(float)};
    if (status) return status;
    scry__text_addf(&text, "%s%s", prefix, name);
    status = scry__text_take(&text, &stored.name, NULL);
    if (status) return status;
    memcpy(stored.shape, place->shape, (size_t)place->rank * sizeof *stored.shape);
    snapshot->tensors[snapshot->count]  = stored;
    snapshot->places[snapshot->count++] = *place;
    return SCRY_OK;
}

scry_status scry__snapshot_take(scry__snapshot *snapshot)
{
    size_t      bytes  = 0;
    scry_status status = SCRY_OK;
    for (int i = 0; i < snapshot->count; i++) bytes += snapshot->tensors[i].bytes;
    snapshot->memory = scry__alloc(bytes, 1);
    if (!snapshot->memory) return SCRY_OUT_OF_MEMORY;
    uint8_t *at = snapshot->memory;
    for (int i = 0; i < snapshot->count && !status; i++) {
        scry__stored      *stored = &snapshot->tensors[i];
        const scry_tensor *place  = &snapshot->places[i];
        stored->data              = at;
        status                    = scry_buffer_read(place->buffer, place->offset, at, stored->bytes);
        at += stored->bytes;
    }
    return status;
}

void scry__snapshot_finish(scry__snapshot *snapshot)
{
    for (int i = 0; i < snapshot->count; i++) scry__free(snapshot->tensors[i].name);
    scry__free(snapshot->tensors);
    scry__free(snapshot->places);
    scry__free(snapshot->memory);
    *snapshot = (scry__snapshot){0};
}

static scry_status put_back(const scry__stored *expected, const scry_tensor *place, const scry__safetensors *file)
{
    char                shape[SCRY__SHAPE_TEXT_SIZE];
    const scry__stored *stored = scry__safetensors_find(file, expected->name);
    if (!stored || stored->element != expected->element || stored->rank != expected->rank ||
        memcmp(stored->shape, expected->shape, (size_t)expected->rank * sizeof *stored->shape))
        return scry__fail(SCRY_BAD_INPUT, "%s: tensor %s: expected F32 %s", file->path, expected->name,
                          scry__shape_text(shape, expected->rank, expected->shape));
    return scry_buffer_write(place->buffer, place->offset, stored->data, stored->bytes);
}

scry_status scry__snapshot_put_back(const scry__snapshot *snapshot, const scry__safetensors *file)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < snapshot->count && !status; i++)
        status = put_back(&snapshot->tensors[i], &snapshot->places[i], file);
    return status;
}

/* A learner's tensors on the host. See snapshot.h. */
#include "train/snapshot.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "train/checkpoint.h"

#include <string.h>

enum { MOST_PARTS = 2 };

/* One kind of tensor that a parameter has, and what stands before its name. */
struct part {
    const char        *prefix;
    const scry_tensor *tensor; /* NULL ends the parts */
};

static void parts_of(struct part parts[MOST_PARTS + 1], const scry__parameter *parameter, bool moments)
{
    int count = 0;
    if (!moments) parts[count++] = (struct part){"", &parameter->value};
    if (moments && parameter->first.buffer) parts[count++] = (struct part){"first.", &parameter->first};
    if (moments && parameter->second.buffer) parts[count++] = (struct part){"second.", &parameter->second};
    parts[count] = (struct part){0};
}

static char *part_name(const struct part *part, const scry__parameter *parameter)
{
    scry__text text = {0};
    char      *name = NULL;
    scry__text_addf(&text, "%s%s", part->prefix, parameter->name);
    return scry__text_take(&text, &name, NULL) ? NULL : name;
}

static scry_status copy_part(scry__stored *stored, float *memory, const struct part *part,
                             const scry__parameter *parameter)
{
    const scry_tensor *tensor = part->tensor;
    *stored                   = (scry__stored){.name    = part_name(part, parameter),
                                               .element = SCRY__ELEMENT_F32,
                                               .rank    = tensor->rank,
                                               .data    = (const uint8_t *)memory,
                                               .bytes   = (size_t)scry_tensor_count(tensor) * sizeof(float)};
    if (!stored->name) return SCRY_OUT_OF_MEMORY;
    memcpy(stored->shape, tensor->shape, (size_t)tensor->rank * sizeof *stored->shape);
    return scry_buffer_read(tensor->buffer, tensor->offset, memory, stored->bytes);
}

scry_status scry__snapshot_take(scry__snapshot *snapshot, const scry__learner *learner, bool moments)
{
    int         parameters = scry__learner_parameter_count(learner);
    size_t      total      = 0;
    scry_status status     = SCRY_OK;
    struct part parts[MOST_PARTS + 1];
    for (int i = 0; i < parameters; i++)
        total += (size_t)scry_tensor_count(&scry__learner_parameter(learner, i)->value);
    *snapshot = (scry__snapshot){.tensors = scry__alloc((size_t)parameters * MOST_PARTS, sizeof *snapshot->tensors),
                                 .memory  = scry__alloc(total * (moments ? MOST_PARTS : 1), sizeof(float))};
    float *at = snapshot->memory;
    if (!snapshot->tensors || !snapshot->memory) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < parameters && !status; i++) {
        const scry__parameter *parameter = scry__learner_parameter(learner, i);
        parts_of(parts, parameter, moments);
        for (const struct part *part = parts; part->tensor && !status; part++) {
            status = copy_part(&snapshot->tensors[snapshot->count++], at, part, parameter);
            at += scry_tensor_count(part->tensor);
        }
    }
    if (status) scry__snapshot_finish(snapshot);
    return status;
}

void scry__snapshot_finish(scry__snapshot *snapshot)
{
    for (int i = 0; i < snapshot->count; i++) scry__free(snapshot->tensors[i].name);
    scry__free(snapshot->tensors);
    scry__free(snapshot->memory);
    *snapshot = (scry__snapshot){0};
}

static scry_status put_back(const struct part *part, const scry__parameter *parameter, const scry__safetensors *file)
{
    const scry_tensor *tensor = part->tensor;
    char              *name   = part_name(part, parameter);
    if (!name) return SCRY_OUT_OF_MEMORY;
    const scry__stored *stored = scry__safetensors_find(file, name);
    scry_status         status = SCRY_OK;
    if (!stored || stored->element != SCRY__ELEMENT_F32 || stored->rank != tensor->rank ||
        memcmp(stored->shape, tensor->shape, (size_t)tensor->rank * sizeof *stored->shape)) {
        char shape[SCRY__SHAPE_TEXT_SIZE];
        status = scry__fail(SCRY_BAD_INPUT, "%s: tensor %s: expected F32 %s", file->path, name,
                            scry__shape_text(shape, tensor->rank, tensor->shape));
    } else {
        status = scry_buffer_write(tensor->buffer, tensor->offset, stored->data, stored->bytes);
    }
    scry__free(name);
    return status;
}

scry_status scry__snapshot_restore_moments(scry__learner *learner, const char *checkpoint)
{
    scry__safetensors *file   = NULL;
    char              *path   = scry__path_join(checkpoint, SCRY__CHECKPOINT_MOMENTS);
    scry_status        status = path ? scry__safetensors_open(&file, path) : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < scry__learner_parameter_count(learner); i++) {
        const scry__parameter *parameter = scry__learner_parameter(learner, i);
        struct part            parts[MOST_PARTS + 1];
        parts_of(parts, parameter, true);
        for (const struct part *part = parts; part->tensor && !status; part++) status = put_back(part, parameter, file);
    }
    scry__safetensors_close(&file);
    scry__free(path);
    return status;
}

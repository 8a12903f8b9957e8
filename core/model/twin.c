/* Drawing a checkpoint's random twin by its family's weight rules. See twin.h. */
#include "model/twin.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/noise.h"
#include "base/number.h"
#include "base/text.h"
#include "model/rule.h"
#include "model/safetensors_file.h"

#include <math.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* How one tensor is filled: constant, or normal numbers of a stream where the deviation is not 0. */
struct recipe {
    uint64_t stream;
    double   deviation;
    float    constant;
};

struct drawing {
    scry__safetensors       *twin;
    struct recipe           *recipes; /* of the twin's tensors */
    const scry__arch        *arch;
    const scry__safetensors *original; /* NULL where there are no weights */
    uint64_t                 seed;
};

static bool is_bias(const scry__weight_rule *rule)
{
    size_t size = strlen(rule->name);
    return size > 5 && !strcmp(rule->name + size - 5, ".bias");
}

/* Streams go by the name without prefix: numbers do not depend on what else there is or on how the checkpoint was
 * saved. */
static struct recipe recipe_of(const struct drawing *drawing, const scry__weight_rule *rule, int rank, int64_t layer)
{
    const scry__arch *arch = drawing->arch;
    char              name[SCRY__RULE_NAME];
    if (rank < 2) return (struct recipe){.constant = is_bias(rule) ? 0.0f : (float)(1.0 - arch->norm_offset)};
    scry__rule_name(name, rule, "", layer);
    double shrink = rule->flags & SCRY__RULE_SHRUNK ? sqrt(2.0 * (double)arch->layer_count) : 1.0;
    return (struct recipe){.stream    = scry__noise_stream(drawing->seed, name),
                           .deviation = arch->initial_deviation / shrink};
}

/* Half formats stay what they are; all else becomes f32. */
static scry__element element_of(const struct drawing *drawing, const char *name)
{
    const scry__stored *stored = drawing->original ? scry__safetensors_find(drawing->original, name) : NULL;
    bool half = stored && (stored->element == SCRY__ELEMENT_F16 || stored->element == SCRY__ELEMENT_BF16);
    return half ? stored->element : SCRY__ELEMENT_F32;
}

/* Appends a tensor, without its data yet. */
static scry_status add_tensor(struct drawing *drawing, const scry__weight_rule *rule, const char *prefix, int64_t layer)
{
    char               name[SCRY__RULE_NAME];
    scry__safetensors *twin   = drawing->twin;
    scry__stored      *tensor = &twin->tensors[twin->count];
    scry__rule_name(name, rule, prefix, layer);
    *tensor = (scry__stored){.name = scry__strdup(name), .element = element_of(drawing, name)};
    if (!tensor->name) return SCRY_OUT_OF_MEMORY;
    tensor->rank                  = scry__rule_shape(tensor->shape, rule, drawing->arch);
    drawing->recipes[twin->count] = recipe_of(drawing, rule, tensor->rank, layer);
    twin->count++;
    tensor->bytes = tensor->element == SCRY__ELEMENT_F32 ? sizeof(float) : sizeof(uint16_t);
    for (int axis = 0; axis < tensor->rank; axis++)
        if (!scry__multiply(tensor->bytes, (size_t)tensor->shape[axis], &tensor->bytes))
            return scry__fail(SCRY_OUT_OF_MEMORY, "%s: tensor %s: its size overflows", twin->path, name);
    return SCRY_OK;
}

static scry_status add_tensors(struct drawing *drawing)
{
    const scry__arch  *arch   = drawing->arch;
    scry__safetensors *twin   = drawing->twin;
    const char        *prefix = drawing->original ? scry__rule_prefix(arch, drawing->original) : arch->family->prefix;
    size_t             most   = 0;
    scry_status        status = SCRY_OK;
    for (const scry__weight_rule *rule = arch->family->weights; rule->name; rule++)
        most += (size_t)scry__rule_times(rule, arch);
    twin->tensors    = scry__alloc(most, sizeof *twin->tensors);
    drawing->recipes = scry__alloc(most, sizeof *drawing->recipes);
    if (!twin->tensors || !drawing->recipes) return SCRY_OUT_OF_MEMORY;
    for (const scry__weight_rule *rule = arch->family->weights; rule->name; rule++) {
        int64_t times = scry__rule_needed(rule, arch) ? scry__rule_times(rule, arch) : 0;
        for (int64_t layer = 0; layer < times && !status; layer++) status = add_tensor(drawing, rule, prefix, layer);
    }
    return status;
}

static void store(scry__element element, uint8_t *data, size_t index, float value)
{
    if (element == SCRY__ELEMENT_F16)
        ((uint16_t *)data)[index] = scry__f32_to_f16(value);
    else if (element == SCRY__ELEMENT_BF16)
        ((uint16_t *)data)[index] = scry__f32_to_bf16(value);
    else
        ((float *)data)[index] = value;
}

static void fill(const scry__stored *tensor, uint8_t *data, const struct recipe *recipe)
{
    size_t count = 1;
    for (int axis = 0; axis < tensor->rank; axis++) count *= (size_t)tensor->shape[axis];
    for (size_t i = 0; i < count; i++)
        store(tensor->element, data, i,
              recipe->deviation > 0 ? (float)(recipe->deviation * scry__noise_normal(recipe->stream, i))
                                    : recipe->constant);
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* One block of memory holds all tensors. */
static scry_status fill_tensors(struct drawing *drawing)
{
    scry__safetensors *twin  = drawing->twin;
    size_t             total = 0;
    for (int i = 0; i < twin->count; i++)
        if (twin->tensors[i].bytes > SIZE_MAX - ALIGNMENT ||
            !scry__plus(total, aligned(twin->tensors[i].bytes), &total))
            return scry__fail(SCRY_OUT_OF_MEMORY, "%s: its size overflows", twin->path);
    uint8_t *at = twin->memory = scry__alloc_aligned(total);
    if (!at) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < twin->count; i++) {
        twin->tensors[i].data = at;
        fill(&twin->tensors[i], at, &drawing->recipes[i]);
        at += aligned(twin->tensors[i].bytes);
    }
    return SCRY_OK;
}

/* Messages tell it from the checkpoint that it is the twin of. */
static scry_status name_twin(scry__safetensors *twin, const char *directory, uint64_t seed)
{
    scry__text  path = {0};
    scry_status status;
    scry__text_addf(&path, "%s (random, seed %llu)", directory, (unsigned long long)seed);
    status = scry__text_take(&path, &twin->path, NULL);
    if (status) return status;
    twin->files = scry__alloc(1, sizeof *twin->files);
    if (!twin->files) return SCRY_OUT_OF_MEMORY;
    twin->file_count    = 1;
    twin->files[0].path = scry__strdup(twin->path);
    return twin->files[0].path ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

scry_status scry__twin_draw(scry__safetensors **out, const scry__arch *arch, const char *directory, uint64_t seed)
{
    scry__safetensors *original = NULL;
    scry__safetensors *twin     = scry__alloc(1, sizeof *twin);
    struct drawing     drawing  = {.twin = twin, .arch = arch, .seed = seed};
    if (!twin) return SCRY_OUT_OF_MEMORY;
    bool        has_weights;
    scry_status status = scry__safetensors_is_there(directory, &has_weights);
    if (!status) status = name_twin(twin, directory, seed);
    if (!status && has_weights) status = scry__safetensors_open(&original, directory);
    drawing.original = original;
    if (!status) status = add_tensors(&drawing);
    if (!status) status = fill_tensors(&drawing);
    scry__safetensors_close(&original);
    scry__free(drawing.recipes);
    if (status) {
        scry__safetensors_close(&twin);
        return status;
    }
    scry__safetensors_sort(twin);
    *out = twin;
    return SCRY_OK;
}

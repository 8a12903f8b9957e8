/* Attention patterns from a file. See attention_file.h. */
#include "trace/attention_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_AXIS = 1 << 20 };

/* How far a row's sum may lie above 1: weights are rounded, in f16 to three digits. */
static const double slack = 0.02;

/* The number in "blocks.N.attn.hook_pattern", or -1. */
static int layer_of(const char *name)
{
    static const char before[] = "blocks.", after[] = ".attn.hook_pattern";
    char             *end;
    if (strncmp(name, before, sizeof before - 1)) return -1;
    const char *digits = name + sizeof before - 1;
    long        layer  = strtol(digits, &end, 10);
    bool        number = *digits >= '0' && *digits <= '9' && layer <= MAX_AXIS;
    return number && !strcmp(end, after) ? (int)layer : -1;
}

static bool is_number(const scry__array *array)
{
    return array->type < SCRY__ARRAY_TEXT;
}

/* Takes the last axes as heads, queries and keys; *layers gets what stands before them, batch axes of 1 aside. */
static scry_status read_shape(scry__attention_file *file, const scry__array *array, int *layers)
{
    int64_t shape[4] = {1, 1, 1, 1}; /* layers, heads, queries, keys */
    int     rank     = array->rank;
    bool    good     = rank >= 2 && is_number(array);
    for (int axis = 0; axis < 3 && axis < rank; axis++) shape[3 - axis] = array->shape[rank - 1 - axis];
    if (rank == 4) shape[0] = array->shape[0];
    if (rank == 5) {
        shape[0] = array->shape[0];
        good     = good && array->shape[1] == 1;
    }
    for (int axis = 0; axis < 4; axis++) good = good && shape[axis] >= 1 && shape[axis] <= MAX_AXIS;
    if (!good || rank > 5)
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: %s: dtype %s of rank %d: expected attention weights [layers, heads, queries, keys], or "
                          "the last three or two of these",
                          file->arrays->path, *array->name ? array->name : "the array", array->dtype, rank);
    *layers           = (int)shape[0];
    file->head_count  = (int)shape[1];
    file->query_count = (int)shape[2];
    file->key_count   = (int)shape[3];
    return SCRY_OK;
}

static int by_layer(const void *a, const void *b)
{
    const scry__attention_layer *left = a, *right = b;
    return (left->layer > right->layer) - (left->layer < right->layer);
}

/* Layers that have an array each, all of one shape. */
static scry_status take_named(scry__attention_file *file, int count)
{
    const scry__array_file *arrays = file->arrays;
    scry_status             status = SCRY_OK;
    file->layers                   = scry__alloc((size_t)count, sizeof *file->layers);
    if (!file->layers) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < arrays->count && !status; i++) {
        int before[3] = {file->head_count, file->query_count, file->key_count};
        int layer = layer_of(arrays->arrays[i].name), more = 1;
        if (layer < 0) continue;
        status         = read_shape(file, &arrays->arrays[i], &more);
        int  after[3]  = {file->head_count, file->query_count, file->key_count};
        bool different = file->layer_count && memcmp(before, after, sizeof before);
        if (!status && (more != 1 || different))
            status = scry__fail(SCRY_BAD_INPUT, "%s: %s: expected one pattern of the same shape for each layer",
                                arrays->path, arrays->arrays[i].name);
        file->layers[file->layer_count++] = (scry__attention_layer){layer, &arrays->arrays[i]};
    }
    if (status) return status;
    qsort(file->layers, (size_t)count, sizeof *file->layers, by_layer);
    for (int i = 1; i < count; i++)
        if (file->layers[i].layer == file->layers[i - 1].layer)
            return scry__fail(SCRY_BAD_INPUT, "%s: layer %d is there twice", arrays->path, file->layers[i].layer);
    return SCRY_OK;
}

/* All layers in one array, which is read here. */
static scry_status take_stacked(scry__attention_file *file, const scry__array *array)
{
    int         layers = 0;
    scry_status status = read_shape(file, array, &layers);
    if (status) return status;
    file->layers  = scry__alloc((size_t)layers, sizeof *file->layers);
    file->stacked = scry__alloc(array->count, sizeof *file->stacked);
    if (!file->layers || !file->stacked) return SCRY_OUT_OF_MEMORY;
    file->layer_count = layers;
    for (int i = 0; i < layers; i++) file->layers[i] = (scry__attention_layer){i, array};
    return scry__array_read_f32(file->arrays, array, file->stacked);
}

static scry_status fail_none(const scry__array_file *arrays)
{
    scry__text names = {0};
    for (int i = 0; i < arrays->count && i < 8; i++)
        scry__text_addf(&names, "%s%s", i ? ", " : "", *arrays->arrays[i].name ? arrays->arrays[i].name : "one array");
    if (arrays->count > 8) scry__text_adds(&names, ", ...");
    scry_status status =
        names.status ? names.status
                     : scry__fail(SCRY_BAD_INPUT,
                                  "%s: expected arrays blocks.L.attn.hook_pattern, or a single array of attention; "
                                  "found %s",
                                  arrays->path, names.data ? names.data : "none");
    scry__text_finish(&names);
    return status;
}

static scry_status find_patterns(scry__attention_file *file)
{
    const scry__array_file *arrays = file->arrays;
    const scry__array      *single = NULL;
    int                     named = 0, candidates = 0;
    for (int i = 0; i < arrays->count; i++) {
        named += layer_of(arrays->arrays[i].name) >= 0;
        if (!is_number(&arrays->arrays[i]) || arrays->arrays[i].rank < 2) continue;
        single = &arrays->arrays[i];
        candidates++;
    }
    if (named) return take_named(file, named);
    return candidates == 1 ? take_stacked(file, single) : fail_none(arrays);
}

/* The prompt, which scry writes beside its captures. An array of these names that is something else is left aside. */
static scry_status read_tokens(scry__attention_file *file)
{
    const scry__array *ids = scry__array_find(file->arrays, "tokens"), *texts;
    scry_status        status;
    if (!ids || ids->rank != 1 || (ids->type != SCRY__ARRAY_I32 && ids->type != SCRY__ARRAY_I64)) return SCRY_OK;
    if (ids->count > INT_MAX) return SCRY_OK;
    file->ids = scry__alloc(ids->count, sizeof *file->ids);
    if (!file->ids) return SCRY_OUT_OF_MEMORY;
    status = scry__array_read_ints(file->arrays, ids, file->ids);
    texts  = scry__array_find(file->arrays, "token_texts");
    if (!status && texts && texts->type == SCRY__ARRAY_TEXT && texts->rank == 1 && texts->count == ids->count)
        status = scry__array_read_texts(file->arrays, texts, &file->texts);
    if (!status) file->token_count = (int)ids->count;
    return status;
}

scry_status scry__attention_file_open(scry__attention_file **out, const char *path)
{
    scry__attention_file *file = scry__alloc(1, sizeof *file);
    if (!file) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__array_file_open(&file->arrays, path);
    if (!status) status = find_patterns(file);
    if (!status) status = read_tokens(file);
    if (status) {
        scry__attention_file_close(&file);
        return status;
    }
    *out = file;
    return SCRY_OK;
}

void scry__attention_file_close(scry__attention_file **file)
{
    scry__attention_file *self = *file;
    if (!self) return;
    for (int i = 0; self->texts && i < self->token_count; i++) scry__free(self->texts[i]);
    scry__free(self->texts);
    scry__free(self->ids);
    scry__free(self->stacked);
    scry__free(self->layers);
    scry__array_file_close(&self->arrays);
    scry__free(self);
    *file = NULL;
}

static scry_status check_weights(const scry__attention_file *file, int layer, const float *weights)
{
    size_t rows = (size_t)file->head_count * (size_t)file->query_count;
    for (size_t row = 0; row < rows; row++) {
        double sum = 0, least = 0;
        for (int key = 0; key < file->key_count; key++, weights++) {
            least = *weights < least ? *weights : least;
            sum += *weights;
        }
        if (least < 0 || sum > 1 + slack)
            return scry__fail(SCRY_BAD_INPUT,
                              "%s: layer %d, head %zu, row %zu: expected attention weights from 0 to 1 whose sum is at "
                              "most 1; scores are none",
                              file->arrays->path, layer, row / (size_t)file->query_count,
                              row % (size_t)file->query_count);
    }
    return SCRY_OK;
}

scry_status scry__attention_file_read(const scry__attention_file *file, int index, float *out)
{
    size_t      count  = (size_t)file->head_count * (size_t)file->query_count * (size_t)file->key_count;
    scry_status status = SCRY_OK;
    if (file->stacked)
        memcpy(out, file->stacked + (size_t)index * count, count * sizeof *out);
    else
        status = scry__array_read_f32(file->arrays, file->layers[index].array, out);
    return status ? status : check_weights(file, file->layers[index].layer, out);
}

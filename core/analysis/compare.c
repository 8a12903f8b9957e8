/* Comparing two runs: their attention, their predictions layer by layer, their losses. See scry/compare.h. */
#include "scry/compare.h"

#include "analysis/compare_attention.h"
#include "analysis/compare_lens.h"
#include "base/alloc.h"
#include "base/error.h"

#include <math.h>

static const char *name_of(const scry_compare_side *side)
{
    if (side->name) return side->name;
    return side->model ? scry_model_get_info(side->model)->path : side->file;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Where either side has gone to the end of its layers, no more are in common. */
static scry_status find_common_layers(scry_compare *compare, const scry__pattern_source sources[2])
{
    const scry__pattern_source *a = &sources[0], *b = &sources[1];
    compare->layers = scry__alloc((size_t)least(a->layer_count, b->layer_count), sizeof *compare->layers);
    if (!compare->layers) return SCRY_OUT_OF_MEMORY;
    for (int i = 0, j = 0; i < a->layer_count && j < b->layer_count;) {
        int left = scry__pattern_source_layer(a, i), right = scry__pattern_source_layer(b, j);
        if (left == right) compare->layers[compare->layer_count++] = left;
        i += left <= right;
        j += right <= left;
    }
    if (compare->layer_count) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s and %s have no layer in common", compare->names[0], compare->names[1]);
}

static scry_status match(scry_compare *compare, const scry__pattern_source sources[2])
{
    const scry__pattern_source *a = &sources[0], *b = &sources[1];
    bool                        models = !a->file && !b->file;
    if (a->head_count != b->head_count || (models && a->layer_count != b->layer_count))
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%s has %d layers of %d heads, %s %d of %d: expected the same architecture, whose heads can "
                          "be compared one by one",
                          compare->names[0], a->layer_count, a->head_count, compare->names[1], b->layer_count,
                          b->head_count);
    compare->head_count  = a->head_count;
    compare->query_count = least(a->query_count, b->query_count);
    compare->key_count   = least(a->key_count, b->key_count);
    return find_common_layers(compare, sources);
}

/* Predictions can be compared where both sides are models over one vocabulary. */
static scry_status compare_predictions(scry_compare *compare, scry_model *const models[2], bool with_lens)
{
    if (!models[0] || !models[1]) return SCRY_OK;
    if (scry_model_get_info(models[0])->vocabulary != scry_model_get_info(models[1])->vocabulary) return SCRY_OK;
    return scry__compare_lens(compare, models, compare->query_count, with_lens);
}

scry_status scry_compare_run(scry_compare **out, const scry_compare_side *a, const scry_compare_side *b,
                             const scry_compare_options *options)
{
    static const scry_compare_options defaults;
    const scry_compare_side          *sides[2]   = {a, b};
    scry__pattern_source              sources[2] = {0};
    scry_status                       status     = SCRY_OK;
    *out                                         = NULL;
    if (!options) options = &defaults;
    if (options->places < 0) return scry__fail(SCRY_BAD_ARGUMENT, "places %d: expected 0 or more", options->places);
    scry_compare *compare = scry__alloc(1, sizeof *compare);
    if (!compare) return SCRY_OUT_OF_MEMORY;
    for (int side = 0; side < 2 && !status; side++) {
        compare->loss[side] = NAN;
        status              = scry__pattern_source_open(&sources[side], sides[side]);
        if (!status && !(compare->names[side] = scry__strdup(name_of(sides[side])))) status = SCRY_OUT_OF_MEMORY;
    }
    if (!status) status = match(compare, sources);
    if (!status) status = scry__compare_attention(compare, sources, options);
    for (int side = 0; side < 2; side++) {
        compare->tokens[side] = sources[side].tokens;
        sources[side].tokens  = NULL;
    }
    if (!status) status = compare_predictions(compare, (scry_model *[]){a->model, b->model}, !options->skip_lens);
    for (int side = 0; side < 2; side++) scry__pattern_source_close(&sources[side]);
    if (status)
        scry_compare_destroy(&compare);
    else
        *out = compare;
    return status;
}

void scry_compare_destroy(scry_compare **compare)
{
    scry_compare *self = compare ? *compare : NULL;
    if (!self) return;
    for (int side = 0; side < 2; side++) {
        scry__free(self->names[side]);
        scry__free(self->losses[side]);
        scry_tokens_destroy(&self->tokens[side]);
    }
    scry__free(self->layers);
    scry__free(self->heads);
    scry__free(self->places);
    scry__free(self->positions);
    scry__free(self->lens);
    scry__free(self);
    *compare = NULL;
}

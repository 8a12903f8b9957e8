/* The lens in an HTML report's data. See html_parts.h.
 *
 * Cells come as flat arrays, row-major over [layer, position], with candidates as indices into one table of texts: a
 * third of the size that objects would take. */
#include "report/html_parts.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

enum { candidate_limit = 32768 }; /* in all cells; at least 3 in each */

/* How many candidates of each cell the page shows. */
static int shown_of(const scry_lens *lens)
{
    int shown = candidate_limit / (lens->layer_count * lens->token_count);
    if (shown < 3) shown = 3;
    return shown < lens->top_count ? shown : lens->top_count;
}

/* Ids that occur in a lens, each once, with the place where its text stands in the page's table. */
struct vocabulary {
    int32_t *ids; /* ascending */
    size_t   count;
};

static int compare_ids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

static scry_status collect_ids(struct vocabulary *vocabulary, const scry_lens *lens)
{
    size_t cells = (size_t)lens->layer_count * (size_t)lens->token_count, found = 0;
    vocabulary->ids = scry__alloc(cells * ((size_t)shown_of(lens) + 1), sizeof *vocabulary->ids);
    if (!vocabulary->ids) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < cells; i++) {
        for (int k = 0; k < shown_of(lens); k++) vocabulary->ids[found++] = lens->cells[i].top[k].id;
        if (lens->cells[i].target_id >= 0) vocabulary->ids[found++] = lens->cells[i].target_id;
    }
    qsort(vocabulary->ids, found, sizeof *vocabulary->ids, compare_ids);
    for (size_t i = 0; i < found; i++)
        if (!i || vocabulary->ids[i] != vocabulary->ids[i - 1])
            vocabulary->ids[vocabulary->count++] = vocabulary->ids[i];
    return SCRY_OK;
}

static int64_t place_of(const struct vocabulary *vocabulary, int32_t id)
{
    const int32_t *found = bsearch(&id, vocabulary->ids, vocabulary->count, sizeof *vocabulary->ids, compare_ids);
    return found ? found - vocabulary->ids : -1;
}

/* The text of each id: from the cells' candidates, or the lens' own table for targets. */
static json_t *texts_array(scry__json_builder *builder, const struct vocabulary *vocabulary, const scry_lens *lens)
{
    size_t       cells = (size_t)lens->layer_count * (size_t)lens->token_count;
    json_t      *array = scry__json_new_array(builder);
    const char **texts = scry__alloc(vocabulary->count, sizeof *texts);
    if (!texts && !builder->status) builder->status = SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; texts && i < cells; i++)
        for (int k = 0; k < shown_of(lens); k++)
            texts[place_of(vocabulary, lens->cells[i].top[k].id)] = lens->cells[i].top[k].text;
    for (size_t i = 0; texts && i < vocabulary->count; i++) {
        int32_t id    = vocabulary->ids[i];
        bool    known = lens->texts && id >= 0 && id < lens->vocabulary && lens->texts[id];
        if (!texts[i] && known) texts[i] = lens->texts[id];
        scry__json_append(builder, array, scry__html_token(builder, id, texts[i]));
    }
    scry__free(texts);
    return array;
}

static void add_lens_cells(scry__json_builder *builder, json_t *object, const struct vocabulary *vocabulary,
                           const scry_lens *lens)
{
    json_t *top = scry__json_new_array(builder), *probability = scry__json_new_array(builder);
    json_t *entropy = scry__json_new_array(builder), *kl = scry__json_new_array(builder);
    json_t *target = scry__json_new_array(builder), *rank = scry__json_new_array(builder);
    json_t *target_probability = scry__json_new_array(builder);
    size_t  cells              = (size_t)lens->layer_count * (size_t)lens->token_count;
    for (size_t i = 0; i < cells && !builder->status; i++) {
        const scry_lens_cell *cell = &lens->cells[i];
        for (int k = 0; k < shown_of(lens); k++) {
            scry__json_append_int(builder, top, place_of(vocabulary, cell->top[k].id));
            scry__html_append_number(builder, probability, cell->top[k].probability);
        }
        scry__html_append_number(builder, entropy, cell->entropy);
        scry__html_append_number(builder, kl, cell->kl);
        scry__json_append_int(builder, target, cell->target_id >= 0 ? place_of(vocabulary, cell->target_id) : -1);
        scry__json_append_int(builder, rank, cell->target_id >= 0 ? cell->target_rank : -1);
        scry__html_append_number(builder, target_probability,
                                 cell->target_id >= 0 ? exp((double)cell->target_log_probability) : NAN);
    }
    scry__json_set(builder, object, "top", top);
    scry__json_set(builder, object, "probability", probability);
    scry__json_set(builder, object, "entropy", entropy);
    scry__json_set(builder, object, "kl", kl);
    scry__json_set(builder, object, "target", target);
    scry__json_set(builder, object, "rank", rank);
    scry__json_set(builder, object, "target_probability", target_probability);
}

json_t *scry__html_lens(scry__json_builder *builder, const scry_lens *lens)
{
    struct vocabulary vocabulary = {0};
    if (!lens) return json_null();
    scry_status status = collect_ids(&vocabulary, lens);
    if (status) {
        if (!builder->status) builder->status = status;
        return NULL;
    }
    json_t *object = scry__json_new_object(builder);
    scry__json_set_bool(builder, object, "tuned", lens->tuned);
    scry__json_set_int(builder, object, "layer_count", lens->layer_count);
    scry__json_set_int(builder, object, "token_count", lens->token_count);
    scry__json_set_int(builder, object, "top_count", shown_of(lens));
    scry__json_set(builder, object, "texts", texts_array(builder, &vocabulary, lens));
    add_lens_cells(builder, object, &vocabulary, lens);
    scry__free(vocabulary.ids);
    return object;
}

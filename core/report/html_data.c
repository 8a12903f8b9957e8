/* The data of an HTML report as JSON. See html_data.h.
 *
 * Lens cells come as flat arrays, row-major over [layer, position], with candidates as indices into one table of
 * texts: a third of the size that objects would take. Numbers carry five significant digits. */
#include "report/html_data.h"

#include "base/alloc.h"
#include "base/error.h"
#include "report/base64.h"
#include "report/colour.h"
#include "report/deflate.h"
#include "report/html_attention.h"
#include "report/html_static.h"
#include "report/json_parts.h"
#include "report/label.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { colour_count = 256 };

static double five_digits(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.5g", value);
    return strtod(text, NULL);
}

static void set_number(scry__json_builder *builder, json_t *object, const char *key, double value)
{
    scry__json_set_number(builder, object, key, isfinite(value) ? five_digits(value) : NAN);
}

static void append_number(scry__json_builder *builder, json_t *array, double value)
{
    scry__json_append_number(builder, array, isfinite(value) ? five_digits(value) : NAN);
}

/* {"id", "text", "label"}: the text as it is, and with white space shown. */
static json_t *token_object(scry__json_builder *builder, int32_t id, const char *text)
{
    scry__text label  = {0};
    json_t    *object = scry__json_new_object(builder);
    scry__label_add(&label, text ? text : "");
    scry__json_set_int(builder, object, "id", id);
    scry__json_set_text(builder, object, "text", text ? text : "");
    scry__json_set_text(builder, object, "label", label.data);
    if (label.status && !builder->status) builder->status = label.status;
    scry__text_finish(&label);
    return object;
}

static json_t *tokens_array(scry__json_builder *builder, const scry_tokens *tokens)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < tokens->count; i++)
        scry__json_append(builder, array,
                          token_object(builder, tokens->ids[i], tokens->texts ? tokens->texts[i] : NULL));
    return array;
}

/* The next token's candidates. */
static json_t *next_array(scry__json_builder *builder, const struct scry__report *report)
{
    int                   count;
    const scry_candidate *next  = scry__html_next(report, &count);
    json_t               *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++) {
        json_t *object = token_object(builder, next[i].id, next[i].text);
        scry__json_set_number(builder, object, "probability", next[i].probability);
        scry__json_set_number(builder, object, "logit", next[i].logit);
        scry__json_append(builder, array, object);
    }
    return array;
}

/* "440154...": six hexadecimal digits for each colour of the scale. */
static json_t *colours_text(scry__json_builder *builder, scry__colours colours)
{
    scry__text text = {0};
    for (int i = 0; i < colour_count; i++) {
        scry__rgb colour = scry__colour_at(colours, i / (double)(colour_count - 1));
        scry__text_addf(&text, "%02x%02x%02x", colour.red, colour.green, colour.blue);
    }
    if (text.status && !builder->status) builder->status = text.status;
    json_t *value = text.status ? NULL : json_string(text.data);
    scry__text_finish(&text);
    return value;
}

static json_t *scores_object(scry__json_builder *builder, scry__head_scores scores)
{
    json_t *object = scry__json_new_object(builder);
    set_number(builder, object, "previous", scores.previous);
    set_number(builder, object, "self", scores.self);
    set_number(builder, object, "first", scores.first);
    set_number(builder, object, "entropy", scores.entropy);
    set_number(builder, object, "max", scores.max);
    return object;
}

static json_t *look_object(scry__json_builder *builder, struct scry__look look)
{
    if (!(look.weight > 0)) return json_null();
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "layer", look.layer);
    scry__json_set_int(builder, object, "head", look.head);
    scry__json_set_int(builder, object, "key", look.key);
    return object;
}

static json_t *codes_text(scry__json_builder *builder, const scry__report_attention *attention, int layer)
{
    if (!attention->present[layer]) return json_null();
    const uint8_t *codes  = attention->codes + (size_t)layer * attention->layer_bytes;
    uint8_t       *packed = NULL;
    size_t         size   = 0;
    scry__text     text   = {0};
    scry_status    status = scry__deflate(&packed, &size, codes, attention->layer_bytes);
    if (!status) scry__base64_add(&text, packed, size);
    if (!status) status = text.status;
    if (status && !builder->status) builder->status = status;
    json_t *value = status ? NULL : json_string_nocheck(text.data);
    scry__text_finish(&text);
    scry__free(packed);
    return value;
}

static json_t *attention_object(scry__json_builder *builder, const scry__report_attention *attention)
{
    if (!attention) return json_null();
    json_t *object = scry__json_new_object(builder);
    json_t *scores = scry__json_new_array(builder), *codes = scry__json_new_array(builder);
    for (int i = 0; i < attention->layer_count * attention->head_count; i++)
        scry__json_append(builder, scores,
                          attention->present[i / attention->head_count] ? scores_object(builder, attention->scores[i])
                                                                        : json_null());
    for (int layer = 0; layer < attention->layer_count && !builder->status; layer++)
        scry__json_append(builder, codes, codes_text(builder, attention, layer));
    scry__json_set_int(builder, object, "layer_count", attention->layer_count);
    scry__json_set_int(builder, object, "head_count", attention->head_count);
    scry__json_set_int(builder, object, "block", attention->block);
    scry__json_set_int(builder, object, "grid", attention->grid);
    scry__json_set_int(builder, object, "levels", attention->levels);
    scry__json_set(builder, object, "look", look_object(builder, attention->look));
    scry__json_set(builder, object, "null_scores",
                   scores_object(builder, scry__head_scores_uniform(attention->token_count)));
    scry__json_set(builder, object, "scores", scores);
    scry__json_set(builder, object, "codes", codes);
    return object;
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
    vocabulary->ids = scry__alloc(cells * ((size_t)lens->top_count + 1), sizeof *vocabulary->ids);
    if (!vocabulary->ids) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < cells; i++) {
        for (int k = 0; k < lens->top_count; k++) vocabulary->ids[found++] = lens->cells[i].top[k].id;
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
        for (int k = 0; k < lens->top_count; k++)
            texts[place_of(vocabulary, lens->cells[i].top[k].id)] = lens->cells[i].top[k].text;
    for (size_t i = 0; texts && i < vocabulary->count; i++) {
        int32_t id    = vocabulary->ids[i];
        bool    known = lens->texts && id >= 0 && id < lens->vocabulary && lens->texts[id];
        if (!texts[i] && known) texts[i] = lens->texts[id];
        scry__json_append(builder, array, token_object(builder, id, texts[i]));
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
        for (int k = 0; k < lens->top_count; k++) {
            scry__json_append_int(builder, top, place_of(vocabulary, cell->top[k].id));
            append_number(builder, probability, cell->top[k].probability);
        }
        append_number(builder, entropy, cell->entropy);
        append_number(builder, kl, cell->kl);
        scry__json_append_int(builder, target, cell->target_id >= 0 ? place_of(vocabulary, cell->target_id) : -1);
        scry__json_append_int(builder, rank, cell->target_id >= 0 ? cell->target_rank : -1);
        append_number(builder, target_probability,
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

static json_t *lens_object(scry__json_builder *builder, const scry_lens *lens)
{
    struct vocabulary vocabulary = {0};
    if (!lens) return json_null();
    scry_status status = collect_ids(&vocabulary, lens);
    if (status) {
        if (!builder->status) builder->status = status;
        return NULL;
    }
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "layer_count", lens->layer_count);
    scry__json_set_int(builder, object, "token_count", lens->token_count);
    scry__json_set_int(builder, object, "top_count", lens->top_count);
    scry__json_set(builder, object, "texts", texts_array(builder, &vocabulary, lens));
    add_lens_cells(builder, object, &vocabulary, lens);
    scry__free(vocabulary.ids);
    return object;
}

/* '<' occurs in JSON only inside strings, where an escape says the same. */
static void add_inert(scry__text *out, const scry__text *json)
{
    size_t begin = 0;
    for (size_t i = 0; i < json->size; i++)
        if (json->data[i] == '<') {
            scry__text_add(out, json->data + begin, i - begin);
            scry__text_adds(out, "\\u003c");
            begin = i + 1;
        }
    scry__text_add(out, json->data + begin, json->size - begin);
}

scry_status scry__html_data(scry__text *out, const struct scry__report *report)
{
    scry__json_builder builder = {0};
    scry__json_source  source  = {report->model, report->device, report->fallbacks, NULL};
    scry__text         json    = {0};
    json_t            *object  = scry__json_result(&builder, "scry.page/1", &source);
    scry__json_set_text(&builder, object, "prompt", report->prompt);
    scry__json_set(&builder, object, "tokens", tokens_array(&builder, report->tokens));
    scry__json_set(&builder, object, "next", next_array(&builder, report));
    scry__json_set(&builder, object, "colours", colours_text(&builder, SCRY__COLOURS_SEQUENTIAL));
    scry__json_set(&builder, object, "colours_signed", colours_text(&builder, SCRY__COLOURS_DIVERGING));
    scry__json_set(&builder, object, "attention", attention_object(&builder, report->attention));
    scry__json_set(&builder, object, "lens", lens_object(&builder, report->lens));
    scry_status status = scry__json_finish(&builder, object, &object);
    if (!status) {
        scry__json_dump(&json, object, false);
        json_decref(object);
        if (!json.status) add_inert(out, &json);
        status = json.status ? json.status : out->status;
    }
    scry__text_finish(&json);
    return status;
}

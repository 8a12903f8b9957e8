/* The data of an HTML report as JSON. See html_data.h. */
#include "report/html_data.h"

#include "report/colour.h"
#include "report/html_parts.h"
#include "report/html_static.h"
#include "report/json_parts.h"

#include <string.h>

enum { colour_count = 256 };

static json_t *tokens_array(scry__json_builder *builder, const scry_tokens *tokens)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; tokens && i < tokens->count; i++)
        scry__json_append(builder, array,
                          scry__html_token(builder, tokens->ids[i], tokens->texts ? tokens->texts[i] : NULL));
    return array;
}

/* The next token's candidates. */
static json_t *next_array(scry__json_builder *builder, const struct scry__report *report)
{
    int                   count;
    const scry_candidate *next  = scry__html_next(report, &count);
    json_t               *array = scry__json_new_array(builder);
    for (int i = 0; i < count; i++) {
        json_t *object = scry__html_token(builder, next[i].id, next[i].text);
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
    scry__json_source  source  = {.model = report->model, .device = report->device, .fallbacks = report->fallbacks};
    scry__text         json    = {0};
    json_t            *object  = scry__json_result(&builder, "scry.page/1", &source);
    scry__json_set_text(&builder, object, "prompt", report->prompt);
    scry__json_set(&builder, object, "tokens", tokens_array(&builder, report->tokens));
    scry__json_set(&builder, object, "next", next_array(&builder, report));
    scry__json_set(&builder, object, "colours", colours_text(&builder, SCRY__COLOURS_SEQUENTIAL));
    scry__json_set(&builder, object, "colours_signed", colours_text(&builder, SCRY__COLOURS_DIVERGING));
    scry__json_set(&builder, object, "attention", scry__html_attention(&builder, report->attention));
    scry__json_set(&builder, object, "lens", scry__html_lens(&builder, report->lens));
    scry__json_set(&builder, object, "neurons", scry__html_neurons(&builder, report->neurons));
    for (int i = 0; i < report->part_count; i++)
        scry__json_set(&builder, object, report->parts[i].key, json_incref(report->parts[i].object));
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

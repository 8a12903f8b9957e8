/* Results as JSON objects. See json_out.h; the keys are described in docs/json.md. */
#include "report/json_out.h"

#include "base/error.h"
#include "report/json_parts.h"

#include <math.h>
#include <string.h>

static json_t *target_object(scry__json_builder *builder, const scry_lens *lens, const scry_lens_cell *cell)
{
    if (cell->target_id < 0) return json_null();
    bool    known  = lens->texts && cell->target_id < lens->vocabulary;
    json_t *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "id", cell->target_id);
    scry__json_set_text(builder, object, "text", known ? lens->texts[cell->target_id] : NULL);
    scry__json_set_int(builder, object, "rank", cell->target_rank);
    scry__json_set_number(builder, object, "logit", cell->target_logit);
    scry__json_set_number(builder, object, "log_probability", cell->target_log_probability);
    return object;
}

static json_t *lens_cell_object(scry__json_builder *builder, const scry_lens *lens, int layer, int position)
{
    const scry_lens_cell *cell   = &lens->cells[(size_t)layer * (size_t)lens->token_count + (size_t)position];
    json_t               *object = scry__json_new_object(builder);
    scry__json_set_int(builder, object, "position", position);
    scry__json_set(builder, object, "top", scry__json_candidates(builder, cell->top, lens->top_count));
    scry__json_set_number(builder, object, "entropy", cell->entropy);
    scry__json_set_number(builder, object, "lse", cell->lse);
    scry__json_set_number(builder, object, "kl", cell->kl);
    scry__json_set(builder, object, "target", target_object(builder, lens, cell));
    return object;
}

scry_status scry__json_lens(json_t **out, const scry_lens *lens, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.lens/1", source);
    json_t            *layers  = scry__json_new_array(&builder);
    for (int layer = 0; layer < lens->layer_count && !builder.status; layer++) {
        json_t *line      = scry__json_new_object(&builder);
        json_t *positions = scry__json_new_array(&builder);
        for (int position = 0; position < lens->token_count && !builder.status; position++)
            scry__json_append(&builder, positions, lens_cell_object(&builder, lens, layer, position));
        scry__json_set_int(&builder, line, "layer", layer);
        scry__json_set(&builder, line, "positions", positions);
        scry__json_append(&builder, layers, line);
    }
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, lens->tokens));
    scry__json_set_bool(&builder, object, "tuned", lens->tuned);
    scry__json_set_int(&builder, object, "layer_count", lens->layer_count);
    scry__json_set_int(&builder, object, "token_count", lens->token_count);
    scry__json_set_int(&builder, object, "top_count", lens->top_count);
    scry__json_set(&builder, object, "layers", layers);
    return scry__json_finish(&builder, object, out);
}

static json_t *flag_text(scry_sureness sureness)
{
    return sureness == SCRY_SURENESS_USUAL ? json_null() : json_string(scry_sureness_text(sureness));
}

static json_t *tempered_array(scry__json_builder *builder, const scry_generation *generation, const scry_step *step)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < generation->temperature_count; i++) {
        const scry_tempered *tempered = &step->tempered[i];
        json_t              *line     = scry__json_new_object(builder);
        scry__json_set_number(builder, line, "temperature", tempered->temperature);
        scry__json_set_number(builder, line, "entropy", tempered->entropy);
        scry__json_set(builder, line, "flag", flag_text(tempered->sureness));
        scry__json_set(builder, line, "probabilities",
                       scry__json_numbers(builder, tempered->probabilities, generation->top_count));
        scry__json_append(builder, array, line);
    }
    return array;
}

void scry__json_add_generation(scry__json_builder *builder, json_t *object, const scry_generation *generation)
{
    json_t *steps = scry__json_new_array(builder);
    for (int i = 0; i < generation->step_count && !builder->status; i++) {
        const scry_step *step = &generation->steps[i];
        json_t          *line = scry__json_new_object(builder);
        scry__json_set_int(builder, line, "step", i);
        scry__json_set(builder, line, "chosen", scry__json_candidate(builder, &step->chosen));
        scry__json_set(builder, line, "top", scry__json_candidates(builder, step->top, generation->top_count));
        scry__json_set_number(builder, line, "entropy", step->entropy);
        scry__json_set_number(builder, line, "lse", step->lse);
        scry__json_set(builder, line, "flag", flag_text(step->sureness));
        scry__json_set(builder, line, "temperatures", tempered_array(builder, generation, step));
        scry__json_append(builder, steps, line);
    }
    scry__json_set(builder, object, "steps", steps);
    scry__json_set_text(builder, object, "text", generation->text);
    scry__json_set_text(builder, object, "stop_reason", generation->stop_reason);
}

scry_status scry__json_generation(json_t **out, const scry_generation *generation, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.generation/1", source);
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, generation->prompt));
    scry__json_add_generation(&builder, object, generation);
    return scry__json_finish(&builder, object, out);
}

/* Least, mean and largest of the finite values, and how many are not finite; null without data. */
static void add_statistics(scry__json_builder *builder, json_t *object, const scry_capture *capture)
{
    double  minimum = NAN, maximum = NAN, sum = 0;
    int64_t count = 1, finite = 0;
    for (int i = 0; i < capture->rank; i++) count *= capture->shape[i];
    for (int64_t i = 0; capture->data && i < count; i++) {
        double value = capture->dtype == SCRY_I32 ? ((const int32_t *)capture->data)[i]
                                                  : (double)((const float *)capture->data)[i];
        if (!isfinite(value)) continue;
        minimum = fmin(minimum, value);
        maximum = fmax(maximum, value);
        sum += value;
        finite++;
    }
    scry__json_set_number(builder, object, "minimum", minimum);
    scry__json_set_number(builder, object, "mean", finite ? sum / (double)finite : NAN);
    scry__json_set_number(builder, object, "maximum", maximum);
    scry__json_set(builder, object, "not_finite", capture->data ? json_integer(count - finite) : json_null());
}

scry_status scry__json_trace(json_t **out, const scry_trace *trace, const char *output, const scry__json_source *source)
{
    scry__json_builder builder  = {0};
    json_t            *object   = scry__json_result(&builder, "scry.trace/1", source);
    json_t            *captures = scry__json_new_array(&builder);
    for (int i = 0; i < trace->count && !builder.status; i++) {
        const scry_capture *capture = &trace->captures[i];
        json_t             *line    = scry__json_new_object(&builder);
        json_t             *shape   = scry__json_new_array(&builder);
        for (int axis = 0; axis < capture->rank; axis++) scry__json_append_int(&builder, shape, capture->shape[axis]);
        scry__json_set_text(&builder, line, "name", capture->name);
        scry__json_set(&builder, line, "layer", capture->layer >= 0 ? json_integer(capture->layer) : json_null());
        scry__json_set_text(&builder, line, "dtype", scry_dtype_text(capture->dtype));
        scry__json_set(&builder, line, "shape", shape);
        add_statistics(&builder, line, capture);
        scry__json_append(&builder, captures, line);
    }
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, trace->tokens));
    scry__json_set_text(&builder, object, "output", output);
    scry__json_set(&builder, object, "captures", captures);
    return scry__json_finish(&builder, object, out);
}

static json_t *pattern_array(scry__json_builder *builder, const scry__view *view, const float *values)
{
    json_t *rows  = scry__json_new_array(builder);
    int     count = view->keys.end - view->keys.begin;
    for (int query = view->queries.begin; query < view->queries.end && !builder->status; query++, values += count)
        scry__json_append(builder, rows, scry__json_numbers(builder, values, count));
    return rows;
}

static json_t *number_or_null(int number)
{
    return number < 0 ? json_null() : json_integer(number);
}

scry_status scry__json_attention(json_t **out, const scry__view *view, const scry__json_source *source)
{
    scry__json_builder builder = {0};
    int                queries = view->queries.end - view->queries.begin, keys = view->keys.end - view->keys.begin;
    bool               sinks = view->kind == SCRY__VIEW_SINKS;
    *out                     = NULL;
    if ((double)view->tile_count * (double)scry__view_size(view) > SCRY__JSON_MOST_VALUES)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%d heads of %d x %d weights are too many for JSON: expected at most %d in all; choose fewer "
                          "heads or a range of queries and keys, or write an .npz",
                          view->tile_count, queries, keys, SCRY__JSON_MOST_VALUES);
    json_t *object = scry__json_result(&builder, "scry.attention/1", source);
    json_t *heads  = scry__json_new_array(&builder);
    for (int i = 0; i < view->tile_count && !builder.status; i++) {
        const scry__view_tile *tile = &view->tiles[i];
        json_t                *line = scry__json_new_object(&builder);
        scry__json_set(&builder, line, "layer", number_or_null(tile->layer));
        scry__json_set(&builder, line, "head", number_or_null(tile->head));
        if (sinks)
            scry__json_set(&builder, line, "received", scry__json_numbers(&builder, tile->values, keys));
        else
            scry__json_set(&builder, line, "pattern", pattern_array(&builder, view, tile->values));
        scry__json_append(&builder, heads, line);
    }
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, view->tokens));
    scry__json_set_text(&builder, object, "view", scry__view_text(view->kind));
    scry__json_set_int(&builder, object, "query_begin", view->queries.begin);
    scry__json_set_int(&builder, object, "query_count", queries);
    scry__json_set_int(&builder, object, "key_begin", view->keys.begin);
    scry__json_set_int(&builder, object, "key_count", keys);
    scry__json_set(&builder, object, "heads", heads);
    return scry__json_finish(&builder, object, out);
}

/* {"matmul": ["tile", "library"], ...}: the ops that have several. */
static json_t *kernels_of(scry__json_builder *builder, const scry_device_entry *entry)
{
    json_t *object = scry__json_new_object(builder);
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        char    names[sizeof entry->kernels[kind]], *rest = names;
        json_t *array = *entry->kernels[kind] ? scry__json_new_array(builder) : NULL;
        if (!array) continue;
        strcpy(names, entry->kernels[kind]);
        for (const char *name; (name = strsep(&rest, ","));) scry__json_append_text(builder, array, name);
        scry__json_set(builder, object, scry_op_text((scry_op_kind)kind), array);
    }
    return object;
}

static json_t *properties_of(scry__json_builder *builder, const scry_device_entry *entry)
{
    json_t *object = scry__json_new_object(builder);
    for (int i = 0; i < entry->property_count; i++)
        scry__json_set_text(builder, object, entry->properties[i].name, entry->properties[i].value);
    return object;
}

scry_status scry__json_devices(json_t **out, const scry_device_list *devices)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.devices/1", NULL);
    json_t            *array   = scry__json_new_array(&builder);
    for (int i = 0; i < devices->count; i++) {
        json_t *line = scry__json_new_object(&builder);
        scry__json_add_device(&builder, line, &devices->entries[i].info);
        scry__json_set_int(&builder, line, "score", devices->entries[i].info.score);
        scry__json_set_bool(&builder, line, "usable", devices->entries[i].usable);
        scry__json_set_text(&builder, line, "reason", devices->entries[i].reason);
        scry__json_set(&builder, line, "kernels", kernels_of(&builder, &devices->entries[i]));
        scry__json_set(&builder, line, "properties", properties_of(&builder, &devices->entries[i]));
        scry__json_set(&builder, line, "tuning", scry__json_tuning(&builder, &devices->entries[i].tuning));
        scry__json_append(&builder, array, line);
    }
    scry__json_set(&builder, object, "devices", array);
    return scry__json_finish(&builder, object, out);
}

scry_status scry__json_error(json_t **out, scry_status status)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.error/1", NULL);
    scry__json_set_text(&builder, object, "status", scry_status_text(status));
    scry__json_set_int(&builder, object, "exit_code", scry_status_exit_code(status));
    scry__json_set_text(&builder, object, "detail", scry_last_error());
    return scry__json_finish(&builder, object, out);
}

/* The post-processor: which ids go before and behind a text. See tokenizer.h. */
#include "model/tokenizer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { IDS_LIMIT = 64 };

void scry__template_finish(scry__template *template)
{
    scry__free(template->before.data);
    scry__free(template->after.data);
    *template = (scry__template){0};
}

/* Adds the ids that special_tokens gives for one name. */
static scry_status add_special(scry__ids *ids, const char *name, const json_t *special_tokens, const scry__bpe *bpe)
{
    const json_t *entry, *list;
    scry_status   status = scry__json_object((scry__json_at){special_tokens, "special_tokens"}, name, true, &entry);
    if (!status) status = scry__json_array((scry__json_at){entry, name}, "ids", true, &list);
    for (size_t i = 0; !status && i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        int64_t       id    = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= bpe->count || !bpe->tokens[id].present)
            return scry__fail(SCRY_BAD_INPUT, "special_tokens: \"%.100s\": ids[%zu]: expected the id of a token", name,
                              i);
        if (ids->count == IDS_LIMIT) return scry__fail(SCRY_BAD_INPUT, "more than %d ids around a text", IDS_LIMIT);
        status = scry__ids_add(ids, (int32_t)id);
    }
    return status;
}

/* "single": [{"SpecialToken": {"id": name}}, ..., {"Sequence": {"id": "A"}}, ...] */
static scry_status load_single(scry__template *template, const json_t *single, const json_t *special_tokens,
                               const scry__bpe *bpe)
{
    bool        text_seen = false;
    scry_status status    = SCRY_OK;
    for (size_t i = 0; i < json_array_size(single) && !status; i++) {
        const json_t *part = json_array_get(single, i), *inner;
        const char   *name, *kind = json_object_get(part, "Sequence") ? "Sequence" : "SpecialToken";
        if (!json_is_object(part)) return scry__fail(SCRY_BAD_INPUT, "single[%zu]: expected an object", i);
        scry__json_at at = {part, "single"};
        status           = scry__json_only(at, kind);
        if (!status) status = scry__json_object(at, kind, true, &inner);
        if (!status) status = scry__json_string((scry__json_at){inner, kind}, "id", true, &name);
        if (status) break;
        if (*kind == 'S' && kind[1] == 'p') {
            status = add_special(text_seen ? &template->after : &template->before, name, special_tokens, bpe);
        } else {
            if (text_seen || strcmp(name, "A"))
                return scry__fail(SCRY_BAD_INPUT, "single[%zu]: expected one Sequence, whose id is \"A\"", i);
            text_seen = true;
        }
    }
    if (!status && !text_seen) status = scry__fail(SCRY_BAD_INPUT, "single: no Sequence \"A\"");
    return status;
}

static scry_status load_processing(scry__template *template, scry__json_at at, const scry__bpe *bpe)
{
    const json_t *single, *special_tokens;
    scry_status   status = scry__json_only(at, "type single pair special_tokens");
    if (!status && (template->before.count || template->after.count))
        return scry__fail(SCRY_BAD_INPUT, "%s: a second one", at.origin);
    if (!status) status = scry__json_array(at, "single", true, &single);
    if (!status) status = scry__json_object(at, "special_tokens", true, &special_tokens);
    return status ? status : load_single(template, single, special_tokens, bpe);
}

static scry_status load(scry__template *template, const json_t *value, const scry__bpe *bpe)
{
    const char   *type;
    const json_t *parts;
    if (!json_is_object(value)) return scry__fail(SCRY_BAD_INPUT, "expected an object");
    scry_status status = scry__json_string((scry__json_at){value, "the object"}, "type", true, &type);
    if (status) return status;
    scry__json_at at = {value, type};
    if (!strcmp(type, "TemplateProcessing")) return load_processing(template, at, bpe);
    if (!strcmp(type, "ByteLevel")) /* is about offsets only */
        return scry__json_only(at, "type add_prefix_space trim_offsets use_regex");
    if (strcmp(type, "Sequence"))
        return scry__fail(SCRY_BAD_INPUT,
                          "key \"type\": \"%.100s\": expected Sequence, TemplateProcessing or ByteLevel", type);
    status = scry__json_array(at, "processors", true, &parts);
    for (size_t i = 0; !status && i < json_array_size(parts); i++) {
        status = load(template, json_array_get(parts, i), bpe);
        if (status) scry__fail_prefix(status, "processors[%zu]", i);
    }
    return status;
}

scry_status scry__template_load(scry__template *template, const json_t *value, const scry__bpe *bpe)
{
    if (!value || json_is_null(value)) return SCRY_OK;
    scry_status status = load(template, value, bpe);
    return status ? scry__fail_prefix(status, "post_processor") : SCRY_OK;
}

/* Stages from tokenizer.json: normalizers, pre-tokenizers and decoders. See tokenizer_stage.h.
 *
 * Each known type has a row: its name, the keys that it may have, and the function that appends its stages. Types and
 * keys without a row are refused by name. */
#include "base/alloc.h"
#include "base/error.h"
#include "model/tokenizer_stage.h"

#include <stdio.h>
#include <string.h>

enum {
    STAGE_LIMIT   = 64,
    CONTENT_LIMIT = 4096, /* bytes that one stage may insert */
    STRIP_LIMIT   = 1 << 20,
};

/* GPT-2's pattern, which ByteLevel has built in, and what the other built-in splits look for. A word is what Unicode's
 * UTS #18 calls one, joiners included. */
#define GPT2_PATTERN        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define PUNCTUATION_PATTERN "[!-/:-@\\[-`{-~\\p{P}]"
#define IN_WORD             "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
#define WORDS_PATTERN       "[" IN_WORD "]+|[^" IN_WORD "\\s]+"

typedef struct stage_type {
    const char      *name;
    const char      *keys; /* besides "type" */
    scry__stage_kind kind; /* for those whose name says it all */
    scry_status (*load)(scry__stages *stages, const struct stage_type *type, scry__json_at at);
} stage_type;

typedef struct stage_list {
    const char       *member; /* the key of a Sequence's parts */
    const stage_type *types;
    int               count;
} stage_list;

void scry__stages_finish(scry__stages *stages)
{
    for (int i = 0; i < stages->count; i++) {
        scry__regex_destroy(&stages->items[i].regex);
        scry__free(stages->items[i].content);
    }
    scry__free(stages->items);
    *stages = (scry__stages){0};
}

/* --- Parts of stages --- */

/* A new stage at the end of the list; NULL when memory or the limit refuses it. */
static scry__stage *append(scry__stages *stages, scry__stage_kind kind, scry_status *status)
{
    *status = SCRY_OK;
    if (stages->count == STAGE_LIMIT) {
        *status = scry__fail(SCRY_BAD_INPUT, "more than %d steps", STAGE_LIMIT);
        return NULL;
    }
    scry__stage *items = scry__realloc(stages->items, (size_t)stages->count + 1, sizeof *items);
    if (!items) {
        *status = SCRY_OUT_OF_MEMORY;
        return NULL;
    }
    stages->items      = items;
    scry__stage *stage = &items[stages->count++];
    *stage             = (scry__stage){.kind = kind};
    return stage;
}

static scry_status set_content(scry__stage *stage, const char *content, size_t size)
{
    if (size > CONTENT_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "a text of %zu bytes: expected at most %d", size, CONTENT_LIMIT);
    stage->content      = scry__strndup(content, size);
    stage->content_size = size;
    return stage->content ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

/* A string key that must be exactly one code point. */
static scry_status one_character(scry__json_at at, const char *key, const char **out)
{
    uint32_t    code_point;
    scry_status status = scry__json_string(at, key, true, out);
    if (status) return status;
    size_t size = strlen(*out);
    if (!size || (size_t)scry__utf8_decode(*out, size, &code_point) != size)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": expected one character, found \"%.100s\"", at.origin, key,
                          *out);
    return SCRY_OK;
}

static scry_status add_prepend(scry__stages *stages, const char *content, scry__when when)
{
    scry_status  status;
    scry__stage *stage = append(stages, SCRY__STAGE_PREPEND, &status);
    if (!stage) return status;
    stage->when = when;
    return set_content(stage, content, strlen(content));
}

static scry_status add_replace(scry__stages *stages, const char *pattern, bool literal, const char *content)
{
    scry_status  status;
    scry__stage *stage = append(stages, SCRY__STAGE_REPLACE, &status);
    if (!stage) return status;
    status = scry__regex_create(&stage->regex, pattern, strlen(pattern), literal);
    return status ? status : set_content(stage, content, strlen(content));
}

static scry_status add_split(scry__stages *stages, const char *pattern, bool literal, scry__behaviour behaviour,
                             bool invert)
{
    scry_status  status;
    scry__stage *stage = append(stages, SCRY__STAGE_SPLIT, &status);
    if (!stage) return status;
    stage->behaviour = behaviour;
    stage->invert    = invert;
    return scry__regex_create(&stage->regex, pattern, strlen(pattern), literal);
}

/* {"String": "..."} or {"Regex": "..."} */
static scry_status get_pattern(scry__json_at at, const char **pattern, bool *literal)
{
    const json_t *object;
    scry_status   status = scry__json_object(at, "pattern", true, &object);
    if (status) return status;
    scry__json_at inner = {object, at.origin};
    *literal            = json_object_get(object, "String") != NULL;
    status              = scry__json_only(inner, *literal ? "String" : "Regex");
    return status ? status : scry__json_string(inner, *literal ? "String" : "Regex", true, pattern);
}

static scry_status get_behaviour(scry__json_at at, bool required, scry__behaviour *out)
{
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char              *name    = names[*out];
    scry_status              status  = scry__json_string(at, "behavior", required, &name);
    if (status) return status;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i])) continue;
        *out = (scry__behaviour)i;
        return SCRY_OK;
    }
    return scry__fail(
        SCRY_BAD_INPUT,
        "%s: key \"behavior\": \"%.100s\": expected Isolated, Removed, MergedWithPrevious, MergedWithNext "
        "or Contiguous",
        at.origin, name);
}

/* --- Types --- */

static scry_status load_plain(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    scry_status status;
    (void)at;
    append(stages, type->kind, &status);
    return status;
}

static scry_status load_prepend(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    const char *content;
    scry_status status = scry__json_string(at, "prepend", true, &content);
    (void)type;
    return status ? status : add_prepend(stages, content, SCRY__ALWAYS);
}

static scry_status load_replace(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    const char *pattern, *content;
    bool        literal;
    scry_status status = get_pattern(at, &pattern, &literal);
    (void)type;
    if (!status) status = scry__json_string(at, "content", true, &content);
    return status ? status : add_replace(stages, pattern, literal, content);
}

static scry_status load_split(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    const char     *pattern;
    bool            literal, invert = false;
    scry__behaviour behaviour = SCRY__ISOLATED;
    scry_status     status    = get_pattern(at, &pattern, &literal);
    (void)type;
    if (!status) status = get_behaviour(at, true, &behaviour);
    if (!status) status = scry__json_bool(at, "invert", false, &invert);
    return status ? status : add_split(stages, pattern, literal, behaviour, invert);
}

static scry_status load_byte_level(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    bool        add_prefix_space = true, use_regex = true;
    scry_status status = scry__json_bool(at, "add_prefix_space", false, &add_prefix_space);
    if (!status) status = scry__json_bool(at, "use_regex", false, &use_regex);
    if (!status && add_prefix_space) status = add_prepend(stages, " ", SCRY__UNLESS_THERE);
    if (!status && use_regex) status = add_split(stages, GPT2_PATTERN, false, SCRY__ISOLATED, false);
    return status ? status : load_plain(stages, type, at);
}

static scry_status load_digits(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    bool        individual = false;
    scry_status status     = scry__json_bool(at, "individual_digits", false, &individual);
    (void)type;
    return status ? status : add_split(stages, "\\p{N}", false, individual ? SCRY__ISOLATED : SCRY__CONTIGUOUS, false);
}

static scry_status load_whitespace(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    (void)type;
    (void)at;
    return add_split(stages, WORDS_PATTERN, false, SCRY__REMOVED, true);
}

static scry_status load_whitespace_split(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    (void)type;
    (void)at;
    return add_split(stages, "\\s", false, SCRY__REMOVED, false);
}

static scry_status load_punctuation(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    scry__behaviour behaviour = SCRY__ISOLATED;
    scry_status     status    = get_behaviour(at, false, &behaviour);
    (void)type;
    return status ? status : add_split(stages, PUNCTUATION_PATTERN, false, behaviour, false);
}

typedef struct metaspace {
    const char *replacement;
    scry__when  when;
    bool        split;
} metaspace;

static scry_status get_metaspace(scry__json_at at, metaspace *out)
{
    const char *scheme = NULL;
    bool        add    = true;
    *out               = (metaspace){.split = true};
    scry_status status = one_character(at, "replacement", &out->replacement);
    if (!status) status = scry__json_string(at, "prepend_scheme", false, &scheme);
    if (!status) status = scry__json_bool(at, "add_prefix_space", false, &add); /* its older spelling */
    if (!status) status = scry__json_bool(at, "split", false, &out->split);
    if (status) return status;
    if (!scheme) scheme = add ? "always" : "never";
    if (!strcmp(scheme, "never"))
        out->when = SCRY__NEVER;
    else if (!strcmp(scheme, "always"))
        out->when = SCRY__UNLESS_THERE;
    else if (!strcmp(scheme, "first"))
        out->when = SCRY__FIRST_UNLESS_THERE;
    else
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"prepend_scheme\": \"%.100s\": expected always, first or never",
                          at.origin, scheme);
    if (!add && out->when != SCRY__NEVER)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"add_prefix_space\": false contradicts prepend_scheme \"%s\"",
                          at.origin, scheme);
    return SCRY_OK;
}

static scry_status load_metaspace(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    metaspace   options;
    scry_status status = get_metaspace(at, &options);
    (void)type;
    if (!status) status = add_replace(stages, " ", true, options.replacement);
    if (!status && options.when != SCRY__NEVER) status = add_prepend(stages, options.replacement, options.when);
    if (!status && options.split) status = add_split(stages, options.replacement, true, SCRY__MERGED_WITH_NEXT, false);
    return status;
}

static scry_status load_metaspace_decoder(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    metaspace    options;
    scry__stage *stage;
    scry_status  status = get_metaspace(at, &options);
    if (status) return status;
    stage = append(stages, type->kind, &status);
    if (!stage) return status;
    stage->when = options.when;
    return set_content(stage, options.replacement, strlen(options.replacement));
}

static scry_status load_strip(scry__stages *stages, const stage_type *type, scry__json_at at)
{
    const char  *content;
    int64_t      start = 0, stop = 0;
    scry__stage *stage;
    scry_status  status = one_character(at, "content", &content);
    if (!status) status = scry__json_int(at, "start", true, 0, STRIP_LIMIT, &start);
    if (!status) status = scry__json_int(at, "stop", true, 0, STRIP_LIMIT, &stop);
    if (status) return status;
    stage = append(stages, type->kind, &status);
    if (!stage) return status;
    stage->start = start;
    stage->stop  = stop;
    return set_content(stage, content, strlen(content));
}

/* trim_offsets is about offsets, str_rep repeats the replacement, and a decoder has no use for add_prefix_space and
 * use_regex: known, and without effect. */
#define BYTE_LEVEL_KEYS "add_prefix_space trim_offsets use_regex"
#define METASPACE_KEYS  "replacement str_rep add_prefix_space prepend_scheme split"

static const stage_type normalizer_types[] = {
    {"NFC", "", SCRY__STAGE_NFC, load_plain},
    {"NFD", "", SCRY__STAGE_NFD, load_plain},
    {"NFKC", "", SCRY__STAGE_NFKC, load_plain},
    {"NFKD", "", SCRY__STAGE_NFKD, load_plain},
    {"Lowercase", "", SCRY__STAGE_LOWERCASE, load_plain},
    {"Prepend", "prepend", SCRY__STAGE_PREPEND, load_prepend},
    {"Replace", "pattern content", SCRY__STAGE_REPLACE, load_replace},
};

static const stage_type pre_tokenizer_types[] = {
    {"ByteLevel", BYTE_LEVEL_KEYS, SCRY__STAGE_BYTES, load_byte_level},
    {"Split", "pattern behavior invert", SCRY__STAGE_SPLIT, load_split},
    {"Digits", "individual_digits", SCRY__STAGE_SPLIT, load_digits},
    {"Metaspace", METASPACE_KEYS, SCRY__STAGE_SPLIT, load_metaspace},
    {"Punctuation", "behavior", SCRY__STAGE_SPLIT, load_punctuation},
    {"Whitespace", "", SCRY__STAGE_SPLIT, load_whitespace},
    {"WhitespaceSplit", "", SCRY__STAGE_SPLIT, load_whitespace_split},
};

static const stage_type decoder_types[] = {
    {"ByteLevel", BYTE_LEVEL_KEYS, SCRY__STAGE_UNBYTES, load_plain},
    {"Metaspace", METASPACE_KEYS, SCRY__STAGE_UNSPACE, load_metaspace_decoder},
    {"ByteFallback", "", SCRY__STAGE_BYTE_FALLBACK, load_plain},
    {"Fuse", "", SCRY__STAGE_FUSE, load_plain},
    {"Strip", "content start stop", SCRY__STAGE_STRIP, load_strip},
    {"Replace", "pattern content", SCRY__STAGE_REPLACE, load_replace},
};

static const stage_list normalizers = {"normalizers", normalizer_types, sizeof normalizer_types / sizeof(stage_type)};
static const stage_list pre_tokenizers = {"pretokenizers", pre_tokenizer_types,
                                          sizeof pre_tokenizer_types / sizeof(stage_type)};
static const stage_list decoders       = {"decoders", decoder_types, sizeof decoder_types / sizeof(stage_type)};

/* --- Lists --- */

static scry_status unknown_type(const stage_list *list, const char *name)
{
    char known[256] = "Sequence";
    for (int i = 0; i < list->count; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, ", %s", list->types[i].name);
    }
    return scry__fail(SCRY_BAD_INPUT, "key \"type\": \"%.100s\": expected one of: %s", name, known);
}

static scry_status load_list(scry__stages *stages, const stage_list *list, const json_t *value);

static scry_status load_sequence(scry__stages *stages, const stage_list *list, scry__json_at at)
{
    const json_t *parts;
    scry_status   status = scry__json_array(at, list->member, true, &parts);
    for (size_t i = 0; !status && i < json_array_size(parts); i++) {
        status = load_list(stages, list, json_array_get(parts, i));
        if (status) scry__fail_prefix(status, "%s[%zu]", list->member, i);
    }
    return status;
}

static scry_status load_list(scry__stages *stages, const stage_list *list, const json_t *value)
{
    const char *name;
    char        keys[128];
    if (!json_is_object(value)) return scry__fail(SCRY_BAD_INPUT, "expected an object");
    scry_status status = scry__json_string((scry__json_at){value, "the object"}, "type", true, &name);
    if (status) return status;
    if (!strcmp(name, "Sequence")) return load_sequence(stages, list, (scry__json_at){value, name});
    for (int i = 0; i < list->count; i++) {
        const stage_type *type = &list->types[i];
        if (strcmp(name, type->name)) continue;
        snprintf(keys, sizeof keys, "type %s", type->keys);
        status = scry__json_only((scry__json_at){value, name}, keys);
        return status ? status : type->load(stages, type, (scry__json_at){value, name});
    }
    return unknown_type(list, name);
}

static scry_status load(scry__stages *stages, const stage_list *list, const json_t *value, const char *name)
{
    if (!value || json_is_null(value)) return SCRY_OK;
    scry_status status = load_list(stages, list, value);
    return status ? scry__fail_prefix(status, "%s", name) : SCRY_OK;
}

scry_status scry__normalizers_load(scry__stages *stages, const json_t *value)
{
    return load(stages, &normalizers, value, "normalizer");
}

scry_status scry__pre_tokenizers_load(scry__stages *stages, const json_t *value)
{
    return load(stages, &pre_tokenizers, value, "pre_tokenizer");
}

scry_status scry__decoders_load(scry__stages *stages, const json_t *value)
{
    return load(stages, &decoders, value, "decoder");
}

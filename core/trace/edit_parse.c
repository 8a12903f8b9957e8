/* Edits as people write them. See scry/edit.h for the form. */
#include "trace/edit.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "trace/edit_file.h"
#include "trace/list.h"
#include "trace/selection.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One text on its way: what it says of every block that it names. */
struct parser {
    scry_model *model;
    const char *at;
    char       *name;   /* the hook point's, with the block as written */
    bool       *layers; /* [layer_count]; of hook points outside the blocks the first */
    scry__hook  hook;
    scry_edit   edit; /* but for the hook's name */
};

static scry_status expected(const struct parser *parser, const char *what)
{
    return scry__fail(SCRY_BAD_ARGUMENT, "at \"%.24s\": expected %s", parser->at, what);
}

/* The text up to one of `stops`, which is where the parser stands then; release with scry__free. */
static char *take_until(struct parser *parser, const char *stops)
{
    size_t size = strcspn(parser->at, stops);
    char  *word = scry__strndup(parser->at, size);
    parser->at += size;
    return word;
}

/* --- the hook point --- */

/* "blocks.LIST.NAME": the layers of LIST, and where NAME begins; NULL where there is no block in the name. */
static scry_status parse_layers(struct parser *parser, const char **inside)
{
    static const char blocks[] = "blocks.";
    int               count    = scry_model_get_info(parser->model)->layer_count;
    const char       *list     = parser->name + sizeof blocks - 1, *dot;
    *inside                    = NULL;
    if (strncmp(parser->name, blocks, sizeof blocks - 1) || !(dot = strchr(list, '.'))) return SCRY_OK;
    char *layers = scry__strndup(list, (size_t)(dot - list));
    if (!layers) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__list_parse(strcmp(layers, "*") ? layers : "all", "layer", count, parser->layers);
    scry__free(layers);
    *inside = dot + 1;
    return status;
}

static scry_status parse_hook(struct parser *parser)
{
    const char *inside;
    parser->name = take_until(parser, "[=");
    if (!parser->name) return SCRY_OUT_OF_MEMORY;
    scry_status status = parse_layers(parser, &inside);
    if (status) return status;
    if (!inside) parser->layers[0] = true;
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
        if (!scry__model_has_hook(parser->model, (scry__hook)hook) ||
            scry__hook_in_block((scry__hook)hook) != !!inside ||
            strcmp(scry__hook_name((scry__hook)hook), inside ? inside : parser->name))
            continue;
        parser->hook = (scry__hook)hook;
        return scry__edit_check_hook(parser->model, parser->hook, parser->name, true);
    }
    return scry__fail_no_hook(parser->model, parser->name);
}

/* --- what is in brackets --- */

static scry_status parse_heads(struct parser *parser, const char *list)
{
    bool        member[SCRY_MAX_HEADS];
    int         count  = scry__edit_extent_of(parser->model, parser->hook).heads;
    scry_status status = scry__list_parse(list, "head", count < SCRY_MAX_HEADS ? count : SCRY_MAX_HEADS, member);
    for (int head = 0; !status && head < count && head < SCRY_MAX_HEADS; head++)
        if (member[head]) parser->edit.heads[head / 64] |= (uint64_t)1 << head % 64;
    return status;
}

/* "2:6", "4" for 4:5, and where it may be `open`, "4:" for {4, 0}. */
static bool parse_range(const char *text, scry_range *range, bool open)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno      = 0;
    long begin = strtol(text, &end, 10), last = begin + 1;
    if (open && !strcmp(end, ":") && !errno && begin < 1000000000) {
        *range = (scry_range){(int)begin, 0};
        return true;
    }
    if (*end == ':' && end[1] >= '0' && end[1] <= '9') last = strtol(end + 1, &end, 10);
    if (*end || errno || last <= begin || last > 1000000000) return false;
    *range = (scry_range){(int)begin, (int)last};
    return true;
}

/* One "head=LIST", "pos=A:B" or "key=A:B". A list has commas of its own: the part ends before a letter. */
static scry_status parse_part(struct parser *parser)
{
    static const char form[] = "head=0-3,5, pos=A:B or key=A:B";
    const char       *begin  = parser->at;
    size_t            size   = strcspn(begin, "]");
    for (size_t i = 0; i + 1 < size; i++)
        if (begin[i] == ',' && begin[i + 1] >= 'a' && begin[i + 1] <= 'z') size = i;
    char *part = scry__strndup(begin, size);
    if (!part) return SCRY_OUT_OF_MEMORY;
    scry_status status = SCRY_OK;
    if (!strncmp(part, "head=", 5))
        status = parse_heads(parser, part + 5);
    else if (!strncmp(part, "pos=", 4) && !parse_range(part + 4, &parser->edit.positions, true))
        status = expected(parser, "pos=A:B with A < B, pos=A: or pos=A");
    else if (!strncmp(part, "key=", 4) && !parse_range(part + 4, &parser->edit.keys, false))
        status = expected(parser, "key=A:B with A < B, or key=A");
    else if (strncmp(part, "pos=", 4) && strncmp(part, "key=", 4))
        status = expected(parser, form);
    scry__free(part);
    if (!status) parser->at += size;
    return status;
}

static scry_status parse_parts(struct parser *parser)
{
    scry_status status = SCRY_OK;
    if (*parser->at != '[') return SCRY_OK;
    do {
        parser->at++;
        status = parse_part(parser);
    } while (!status && *parser->at == ',');
    if (status) return status;
    if (*parser->at != ']') return expected(parser, "]");
    parser->at++;
    return SCRY_OK;
}

/* --- what is done --- */

/* One edit for each block that the text names, without values yet. */
static scry_status expand(const struct parser *parser, scry_edit **out, int *count)
{
    int most = scry__hook_in_block(parser->hook) ? scry_model_get_info(parser->model)->layer_count : 1;
    *count   = 0;
    *out     = scry__alloc((size_t)most, sizeof **out);
    if (!*out) return SCRY_OUT_OF_MEMORY;
    for (int layer = 0; layer < most; layer++) {
        char name[SCRY__HOOK_NAME_SIZE];
        if (!parser->layers[layer]) continue;
        scry__hook_full_name(parser->hook, layer, name);
        scry_edit *edit = &(*out)[(*count)++];
        *edit           = parser->edit;
        edit->hook      = scry__strdup(name);
        if (!edit->hook) return SCRY_OUT_OF_MEMORY;
    }
    return SCRY_OK;
}

/* "X" of scale:X and add:FILE*X. */
static scry_status parse_factor(struct parser *parser, const char *text)
{
    char *end;
    parser->edit.factor = strtof(text, &end);
    if (end != text && !*end && isfinite(parser->edit.factor)) return SCRY_OK;
    parser->at = text;
    return expected(parser, "a number");
}

/* "#7" behind a file's name: cuts it off. */
static scry_status parse_seed(struct parser *parser, char *file, uint64_t *seed)
{
    char *mark = strrchr(file, '#'), *end;
    *seed      = 0;
    if (!mark) return SCRY_OK;
    errno = 0;
    *seed = strtoull(mark + 1, &end, 10);
    if (mark[1] < '0' || mark[1] > '9' || *end || errno) return expected(parser, "a whole number behind #");
    *mark = 0;
    return SCRY_OK;
}

/* add:FILE[*X] and replace:FILE. */
static scry_status parse_array(struct parser *parser, scry_edit_kind kind, char *file, scry_edit **edits, int *count)
{
    char       *star    = kind == SCRY_EDIT_ADD ? strrchr(file, '*') : NULL;
    scry_status status  = SCRY_OK;
    parser->edit.kind   = kind;
    parser->edit.factor = 1.0f;
    if (star) status = parse_factor(parser, star + 1);
    if (star) *star = 0;
    if (!status) status = expand(parser, edits, count);
    return status ? status : scry__edit_read_arrays(*edits, *count, parser->model, file);
}

/* mean:FILE, mean_at:FILE and resample:FILE[#SEED]. */
static scry_status parse_sample(struct parser *parser, scry_edit_sample sample, char *file, scry_edit **edits,
                                int *count)
{
    scry_edit_source source  = {.sample = sample};
    char           **prompts = NULL;
    scry_status      status  = SCRY_OK;
    if (sample == SCRY_EDIT_SAMPLE_RESAMPLE) status = parse_seed(parser, file, &source.seed);
    if (!status) status = scry__edit_read_prompts(&prompts, &source.prompt_count, file);
    source.prompts = (const char *const *)prompts;
    if (!status) status = expand(parser, edits, count);
    if (!status) status = scry_edit_fill(*edits, *count, parser->model, &source);
    for (int i = 0; i < source.prompt_count; i++) scry__free(prompts[i]);
    scry__free(prompts);
    return status;
}

static scry_status parse_what(struct parser *parser, scry_edit **edits, int *count)
{
#define SAMPLE_TEXT(name, text, about) text,
    static const char *const samples[] = {SCRY_EDIT_SAMPLE_LIST(SAMPLE_TEXT)};
#undef SAMPLE_TEXT
    const char *word = parser->at, *colon = strchr(word, ':');
    size_t      size   = colon ? (size_t)(colon - word) : strlen(word);
    scry_status status = expected(parser, "zero, scale:X, add:FILE[*X], replace:FILE, mean:FILE, mean_at:FILE or "
                                          "resample:FILE[#SEED]");
    if (!strcmp(word, "zero")) return expand(parser, edits, count);
    if (!colon || !colon[1]) return status;
    if (size == strlen("scale") && !strncmp(word, "scale", size)) {
        parser->edit.kind = SCRY_EDIT_SCALE;
        status            = parse_factor(parser, colon + 1);
        return status ? status : expand(parser, edits, count);
    }
    char *file = scry__strdup(colon + 1);
    if (!file) return SCRY_OUT_OF_MEMORY;
    if (size == strlen("add") && !strncmp(word, "add", size))
        status = parse_array(parser, SCRY_EDIT_ADD, file, edits, count);
    else if (size == strlen("replace") && !strncmp(word, "replace", size))
        status = parse_array(parser, SCRY_EDIT_REPLACE, file, edits, count);
    for (int i = 0; i < SCRY_EDIT_SAMPLE_COUNT; i++)
        if (size == strlen(samples[i]) && !strncmp(word, samples[i], size))
            status = parse_sample(parser, (scry_edit_sample)i, file, edits, count);
    scry__free(file);
    return status;
}

/* --- all texts --- */

static void release(scry_edit *edits, int count)
{
    for (int i = 0; i < count; i++) {
        scry__free((void *)edits[i].hook);
        scry__free((void *)edits[i].values.data);
    }
    scry__free(edits);
}

/* Puts the edits behind those that are there already, which own them from then on. */
static scry_status append(scry_edits *all, scry_edit *edits, int count)
{
    scry_edit *grown = scry__realloc((void *)all->edits, (size_t)(all->count + count), sizeof *grown);
    if (!grown) return SCRY_OUT_OF_MEMORY;
    memcpy(grown + all->count, edits, (size_t)count * sizeof *edits);
    all->edits = grown;
    all->count += count;
    return SCRY_OK;
}

static scry_status parse_text(scry_edits *all, scry_model *model, const char *text)
{
    struct parser parser = {.model = model, .at = text};
    scry_edit    *edits  = NULL;
    int           count  = 0;
    scry_status   status = SCRY_OUT_OF_MEMORY;
    parser.layers        = scry__alloc((size_t)scry_model_get_info(model)->layer_count + 1, sizeof *parser.layers);
    if (parser.layers) status = parse_hook(&parser);
    if (!status) status = parse_parts(&parser);
    if (!status && *parser.at != '=') status = expected(&parser, "= and what to do");
    parser.at += !status;
    if (!status) status = parse_what(&parser, &edits, &count);
    if (!status) status = append(all, edits, count);
    if (status)
        release(edits, count);
    else
        scry__free(edits);
    scry__free(parser.layers);
    scry__free(parser.name);
    return status ? scry__fail_prefix(status, "edit \"%s\"", text) : SCRY_OK;
}

scry_status scry_edits_parse(scry_edits **out, scry_model *model, const char *const *texts, int count)
{
    scry_status status = SCRY_OK;
    *out               = NULL;
    scry_edits *all    = scry__alloc(1, sizeof *all);
    if (!all) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count && !status; i++) status = parse_text(all, model, texts[i]);
    if (status)
        scry_edits_destroy(&all);
    else
        *out = all;
    return status;
}

void scry_edits_destroy(scry_edits **edits)
{
    if (!edits || !*edits) return;
    release((scry_edit *)(*edits)->edits, (*edits)->count);
    scry__free(*edits);
    *edits = NULL;
}

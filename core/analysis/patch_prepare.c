/* What is settled before a patch is run: prompts and their match, positions, kinds, tokens. See patch.h. */
#include "analysis/patch.h"

#include "analysis/question.h"
#include "base/alloc.h"
#include "base/error.h"
#include "trace/edit.h"

#include <math.h>
#include <stdio.h>

/* --- the match --- */

/* How many positions from the start hold the same tokens, at most `most`. */
static int common_beginning(const scry_tokens *a, const scry_tokens *b, int most)
{
    int count = 0;
    while (count < most && a->ids[count] == b->ids[count]) count++;
    return count;
}

void scry__patch_match(int32_t *matches, const scry_tokens *base, const scry_tokens *source)
{
    int shift  = source->count - base->count;
    int common = common_beginning(base, source, (shift < 0 ? source->count : base->count) - 1);
    for (int i = 0; i < base->count; i++) matches[i] = i < common ? i : i + shift < common ? -1 : i + shift;
}

/* The token where the prompts part, or that there is none. */
static const char *text_at(const scry_tokens *tokens, int position)
{
    return position < tokens->count ? tokens->texts[position] : "no token";
}

static scry_status check_lengths(const scry_patching *result, bool align)
{
    const scry_tokens *clean = result->clean.tokens, *corrupt = result->corrupt.tokens;
    int                most = clean->count < corrupt->count ? clean->count : corrupt->count;
    int                part = common_beginning(clean, corrupt, most);
    if (align || clean->count == corrupt->count) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT,
                      "the clean prompt has %d tokens, the corrupt one %d; they differ from position %d on (\"%s\", "
                      "\"%s\"): expected equal lengths, so that positions mean the same, or --align, which matches the "
                      "common beginning and, from the end, what is behind it",
                      clean->count, corrupt->count, part, text_at(clean, part), text_at(corrupt, part));
}

static scry_status match_prompts(scry__patch_run *run)
{
    scry_patching     *result = run->result;
    bool               noise  = result->direction == SCRY_NOISE;
    const scry_tokens *base   = noise ? result->clean.tokens : result->corrupt.tokens;
    const scry_tokens *source = noise ? result->corrupt.tokens : result->clean.tokens;
    result->matches           = scry__alloc((size_t)base->count, sizeof *result->matches);
    if (!result->matches) return SCRY_OUT_OF_MEMORY;
    scry__patch_match(result->matches, base, source);
    run->same_length = base->count == source->count;
    return SCRY_OK;
}

/* --- what is read, and from where it can differ --- */

/* The other prompt's position beside the clean one's. */
static int find_corrupt_position(const scry_patching *result, int position)
{
    if (result->direction == SCRY_NOISE) return result->matches[position];
    for (int i = 0; i < result->corrupt.tokens->count; i++)
        if (result->matches[i] == position) return i;
    return -1;
}

static scry_status choose_positions(scry__patch_run *run)
{
    const scry_patch_options *options = run->options;
    scry_patching            *result  = run->result;
    const scry_tokens        *clean   = result->clean.tokens;
    scry_status               status =
        scry__question_position(&result->clean.position, clean, options->has_position, options->position);
    if (status) return scry__fail_prefix(status, "the clean prompt");
    result->corrupt.position = find_corrupt_position(result, result->clean.position);
    if (result->corrupt.position < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "position %d (\"%s\") of the clean prompt has no match in the corrupt one",
                          result->clean.position, clean->texts[result->clean.position]);
    result->position_count = scry_patching_baseline(result)->position + 1;
    return SCRY_OK;
}

static scry_status find_difference(scry__patch_run *run)
{
    scry_patching *result = run->result;
    const int32_t *base   = scry_patching_baseline(result)->tokens->ids;
    const int32_t *source = scry_patching_source(result)->tokens->ids;
    int            at     = 0;
    while (at < result->position_count && result->matches[at] == at && base[at] == source[at]) at++;
    if (at == result->position_count)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "the prompts do not differ up to position %d, whose prediction is read: expected two that do",
                          result->position_count - 1);
    result->first_difference = at;
    while (result->matches[at] < 0) at++; /* the last one has a match */
    run->begin = at;
    return SCRY_OK;
}

/* --- kinds and tokens --- */

const char *scry_patch_kind_text(scry_patch_kind kind)
{
    static const char *const texts[] = {
#define KIND_TEXT(name, text, hook, of_heads) text,
        SCRY_PATCH_KIND_LIST(KIND_TEXT)
#undef KIND_TEXT
    };
    return (unsigned)kind < SCRY_PATCH_KIND_COUNT ? texts[kind] : "unknown";
}

bool scry_patch_kind_has_heads(scry_patch_kind kind)
{
    static const bool of_heads[] = {
#define KIND_HEADS(name, text, hook, has) has,
        SCRY_PATCH_KIND_LIST(KIND_HEADS)
#undef KIND_HEADS
    };
    return (unsigned)kind < SCRY_PATCH_KIND_COUNT && of_heads[kind];
}

const char *scry_patch_metric_text(scry_patch_metric metric)
{
    static const char *const texts[] = {
#define METRIC_TEXT(name, member) #member,
        SCRY_PATCH_METRIC_LIST(METRIC_TEXT)
#undef METRIC_TEXT
    };
    return (unsigned)metric < SCRY_PATCH_METRIC_COUNT ? texts[metric] : "unknown";
}

float scry_patch_cell_number(const scry_patch_cell *cell, scry_patch_metric metric)
{
    const float numbers[] = {
#define METRIC_NUMBER(name, member) cell->member,
        SCRY_PATCH_METRIC_LIST(METRIC_NUMBER)
#undef METRIC_NUMBER
    };
    return (unsigned)metric < SCRY_PATCH_METRIC_COUNT ? numbers[metric] : NAN;
}

scry_patch_cell scry__patch_cell_of(const float numbers[SCRY_PATCH_METRIC_COUNT])
{
    return (scry_patch_cell){
#define METRIC_MEMBER(name, member) .member = numbers[SCRY_PATCH_METRIC_##name],
        SCRY_PATCH_METRIC_LIST(METRIC_MEMBER)
#undef METRIC_MEMBER
    };
}

void scry__patch_hook(char out[SCRY__HOOK_NAME_SIZE], scry_patch_kind kind, int layer)
{
    static const char *const names[] = {
#define KIND_HOOK(name, text, hook, of_heads) hook,
        SCRY_PATCH_KIND_LIST(KIND_HOOK)
#undef KIND_HOOK
    };
    if (layer < 0)
        snprintf(out, SCRY__HOOK_NAME_SIZE, "blocks.*.%s", names[kind]);
    else
        snprintf(out, SCRY__HOOK_NAME_SIZE, "blocks.%d.%s", layer, names[kind]);
}

/* Why a kind has no cells here; NULL: it has. */
static const char *refusal(const scry__patch_run *run, scry_patch_kind kind)
{
    char       name[SCRY__HOOK_NAME_SIZE];
    scry__hook hook;
    int        layer;
    scry__patch_hook(name, kind, 0);
    if (!scry__edit_find_hook(run->model, name, &hook, &layer)) return "the model has no such activation";
    if (kind == SCRY_PATCH_PATTERN && !run->same_length)
        return "a pattern goes from position to position, and the prompts have different lengths";
    if (kind == SCRY_PATCH_PATTERN && run->options->method == SCRY_PATCH_METHOD_ESTIMATE)
        return "an estimate takes gradients, and patterns, which are never stored, have none: expected another method";
    return NULL;
}

static scry_status choose_kinds(scry__patch_run *run)
{
    unsigned asked = run->options->kinds;
    if ((unsigned)run->options->method >= SCRY_PATCH_METHOD_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT, "method %d: expected 0 to %d", (int)run->options->method,
                          SCRY_PATCH_METHOD_COUNT - 1);
    if (asked >> SCRY_PATCH_KIND_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT, "kinds 0x%x: expected bits below 1 << %d", asked, SCRY_PATCH_KIND_COUNT);
    for (int kind = 0; kind < SCRY_PATCH_KIND_COUNT; kind++) {
        const char *why = refusal(run, (scry_patch_kind)kind);
        if (why && asked >> kind & 1)
            return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s", scry_patch_kind_text((scry_patch_kind)kind), why);
        if (!why && (!asked || asked >> kind & 1)) run->kinds |= 1U << kind;
    }
    return SCRY_OK;
}

static scry_status choose_tokens(scry__patch_run *run)
{
    const scry_patch_options *options = run->options;
    scry_status               status =
        scry__question_tokens(&run->targets[0], &run->targets[1], run->model, &options->answer, &options->wrong);
    if (!status && run->targets[0] >= 0 && run->targets[0] == run->targets[1])
        status = scry__fail(SCRY_BAD_ARGUMENT, "the answer and the wrong answer are both token %d: expected two",
                            run->targets[0]);
    return status;
}

/* --- all of it --- */

scry_status scry__patch_prepare(scry__patch_run *run, const char *clean, const char *corrupt)
{
    const scry_patch_options *options = run->options;
    scry_patching            *result  = run->result;
    result->direction                 = options->direction;
    result->method                    = options->method;
    scry_status status =
        scry_tokens_create(&result->clean.tokens, run->model, clean, options->clean_ids, options->clean_id_count);
    if (status) return scry__fail_prefix(status, "the clean prompt");
    status = scry_tokens_create(&result->corrupt.tokens, run->model, corrupt, options->corrupt_ids,
                                options->corrupt_id_count);
    if (status) return scry__fail_prefix(status, "the corrupt prompt");
    status = check_lengths(result, options->align);
    if (!status) status = match_prompts(run);
    if (!status) status = choose_positions(run);
    if (!status) status = find_difference(run);
    if (!status) status = choose_kinds(run);
    return status ? status : choose_tokens(run);
}

scry_status scry__patch_check(scry_model *model, const char *clean, const char *corrupt,
                              const scry_patch_options *options)
{
    scry__patch_run run = {.model = model, .options = options};
    run.result          = scry__alloc(1, sizeof *run.result);
    scry_status status  = run.result ? scry__patch_prepare(&run, clean, corrupt) : SCRY_OUT_OF_MEMORY;
    scry_patching_destroy(&run.result);
    return status;
}

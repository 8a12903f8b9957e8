/* Resolving what a trace keeps. See selection.h. */
#include "trace/selection.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "model/forward.h"
#include "trace/list.h"

#include <string.h>

static unsigned char *wanted_at(const scry__selection *selection, scry__hook hook, int layer)
{
    int row = scry__hook_in_block(hook) ? layer + 1 : 0;
    return &selection->wanted[row * SCRY__HOOK_COUNT + (int)hook];
}

bool scry__selection_wants(const scry__selection *selection, scry__hook hook, int layer)
{
    return *wanted_at(selection, hook, layer);
}

bool scry__selection_has_head(const scry__selection *selection, int head)
{
    return selection->heads[head / 64] >> (head % 64) & 1;
}

scry_status scry__fail_no_hook(const scry_model *model, const char *pattern)
{
    scry__text  names  = {0};
    const char *tail   = strrchr(pattern, '.');
    const char *needle = tail ? tail + 1 : pattern;
    char       *list;
    for (int pass = 0; pass < 2 && !names.size; pass++)
        for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
            const char *name = scry__hook_name(hook);
            if (!scry__model_has_hook(model, hook) || (pass == 0 && !strstr(name, needle))) continue;
            scry__text_addf(&names, "%s%s%s", names.size ? ", " : "", scry__hook_in_block(hook) ? "blocks.*." : "",
                            name);
        }
    if (scry__text_take(&names, &list, NULL)) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__fail(SCRY_BAD_ARGUMENT, "no hook point of this %s model matches \"%s\"; there are: %s",
                                    scry_model_get_info(model)->family, pattern, list);
    scry__free(list);
    return status;
}

static bool match_pattern(scry__selection *selection, const scry_model *model, const char *pattern, const bool *layers)
{
    bool any = false;
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
        bool in_block = scry__hook_in_block(hook);
        if (!scry__model_has_hook(model, hook)) continue;
        for (int layer = 0; layer < (in_block ? selection->layer_count : 1); layer++) {
            char name[SCRY__HOOK_NAME_SIZE];
            scry__hook_full_name(hook, layer, name);
            if (!scry__glob(pattern, name)) continue;
            any = true;
            if (!in_block || layers[layer]) *wanted_at(selection, hook, layer) = 1;
        }
    }
    return any;
}

static scry_status match_hooks(scry__selection *selection, const scry_model *model, const char *hooks,
                               const bool *layers)
{
    for (const char *at = hooks; at;) {
        const char *comma   = strchr(at, ',');
        char       *pattern = scry__strndup(at, comma ? (size_t)(comma - at) : strlen(at));
        if (!pattern) return SCRY_OUT_OF_MEMORY;
        scry_status status = SCRY_OK;
        if (!match_pattern(selection, model, pattern, layers)) status = scry__fail_no_hook(model, pattern);
        scry__free(pattern);
        if (status) return status;
        at = comma ? comma + 1 : NULL;
    }
    if (!memchr(selection->wanted, 1, ((size_t)selection->layer_count + 1) * SCRY__HOOK_COUNT))
        return scry__fail(SCRY_BAD_ARGUMENT, "hooks \"%s\": none of them is in the layers chosen", hooks);
    return SCRY_OK;
}

static scry_status resolve_range(scry_range *out, scry_range range, int count, const char *what)
{
    if (!range.begin && !range.end) range.end = count;
    if (range.begin < 0 || range.begin >= range.end || range.end > count)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s range %d:%d: expected a part of 0:%d", what, range.begin, range.end,
                          count);
    *out = range;
    return SCRY_OK;
}

scry_status scry__selection_create(scry__selection *selection, const scry_model *model, int token_count,
                                   const scry_trace_options *options)
{
    const scry_model_info *info   = scry_model_get_info(model);
    bool                  *member = NULL;
    scry_status            status;
    *selection = (scry__selection){.layer_count = info->layer_count, .head_count = info->head_count};

    if (!options->hooks || !*options->hooks)
        return scry__fail(SCRY_BAD_ARGUMENT, "no hooks given: expected names such as blocks.*.hook_resid_post");
    if (info->head_count > SCRY_MAX_HEADS)
        return scry__fail(SCRY_UNSUPPORTED, "%d heads: at most %d can be captured", info->head_count, SCRY_MAX_HEADS);
    int most          = info->layer_count > info->head_count ? info->layer_count : info->head_count;
    selection->wanted = scry__alloc((size_t)info->layer_count + 1, SCRY__HOOK_COUNT);
    member            = scry__alloc((size_t)most, sizeof *member);
    if (!selection->wanted || !member) {
        status = SCRY_OUT_OF_MEMORY;
        goto fail;
    }
    status = scry__list_parse(options->heads, "head", info->head_count, member);
    if (status) goto fail;
    for (int head = 0; head < info->head_count; head++)
        if (member[head]) {
            selection->heads[head / 64] |= (uint64_t)1 << head % 64;
            selection->selected_heads++;
        }
    status = scry__list_parse(options->layers, "layer", info->layer_count, member);
    if (!status) status = match_hooks(selection, model, options->hooks, member);
    if (!status) status = resolve_range(&selection->queries, options->queries, token_count, "query");
    if (!status) status = resolve_range(&selection->keys, options->keys, token_count, "key");
    if (status) goto fail;
    scry__free(member);
    return SCRY_OK;
fail:
    scry__free(member);
    scry__selection_finish(selection);
    return status;
}

void scry__selection_finish(scry__selection *selection)
{
    scry__free(selection->wanted);
    *selection = (scry__selection){0};
}

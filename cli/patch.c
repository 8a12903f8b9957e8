/* scry patch: activation patching between two prompts, in the terminal, as a picture or as JSON. */
#include "cli/patch.h"

#include "base/alloc.h"
#include "report/json_patching.h"

#include <string.h>

/* --- what is asked --- */

/* "resid_pre,z" as bits. */
static scry_status choose_kinds(struct patch *patch)
{
    for (const char *at = patch->kinds; at; at = strchr(at, ',')) {
        at += *at == ',';
        size_t     length = strcspn(at, ",");
        int        kind   = 0;
        scry__text all    = {0};
        while (kind < SCRY_PATCH_KIND_COUNT && (strlen(scry_patch_kind_text((scry_patch_kind)kind)) != length ||
                                                strncmp(scry_patch_kind_text((scry_patch_kind)kind), at, length) != 0))
            kind++;
        patch->options.kinds |= 1U << kind;
        if (kind < SCRY_PATCH_KIND_COUNT) continue;
        for (int i = 0; i < SCRY_PATCH_KIND_COUNT; i++)
            scry__text_addf(&all, "%s%s", i ? ", " : "", scry_patch_kind_text((scry_patch_kind)i));
        scry_status status =
            cli_bad("--kinds \"%.*s\": expected some of %s", (int)length, at, all.status ? "" : all.data);
        scry__text_finish(&all);
        return status;
    }
    return SCRY_OK;
}

static scry_status choose_directions(struct patch *patch)
{
    bool both = !strcmp(patch->direction, "both"), any = both;
    for (int i = 0; i < SCRY_PATCH_DIRECTION_COUNT; i++) {
        patch->directions[i] = both || !strcmp(patch->direction, scry_patch_direction_text((scry_patch_direction)i));
        any                  = any || patch->directions[i];
    }
    return any ? SCRY_OK : cli_bad("--direction \"%s\": expected denoise, noise or both", patch->direction);
}

static scry_status choose_method(struct patch *patch)
{
    scry_patch_method *method = &patch->options.method;
    scry_status        status = cli_pair_method(method, patch->method);
    if (status) return status;
    if (!patch->metric_name)
        patch->metric_name = scry_patch_metric_text(*method == SCRY_PATCH_METHOD_ESTIMATE ? SCRY_PATCH_METRIC_ESTIMATE
                                                                                          : SCRY_PATCH_METRIC_EFFECT);
    return cli_pair_metric(&patch->metric, patch->metric_name, *method);
}

static scry_status check_prompts(const struct patch *patch)
{
    const struct cli_pair   *prompts = &patch->prompts;
    const scry_token_choice *answer = &patch->options.answer, *wrong = &patch->options.wrong;
    if (!patch->pairs) return cli_pair_check_prompts(prompts);
    if (prompts->argument_count || prompts->ids_text[0] || prompts->ids_text[1] || answer->text || answer->has_id ||
        wrong->text || wrong->has_id)
        return cli_bad("--pairs: prompts and answers are in the file: expected neither beside it");
    return SCRY_OK;
}

static scry_status check(struct patch *patch)
{
    scry_status status = cli_pair_check(&patch->options);
    if (!status) status = check_prompts(patch);
    if (!status) status = choose_kinds(patch);
    if (!status) status = choose_method(patch);
    if (!status) status = choose_directions(patch);
    if (status) return status;
    return cli_check_suffix(patch->output, ".html .htm .json .png .svg .pdf");
}

/* --- one pair --- */

static bool step(void *user, int64_t done, int64_t total)
{
    cli_progress_step(user, done, total);
    return true;
}

scry_status patch_run(struct patch *patch, const char *clean, const char *corrupt,
                      scry_patching *results[SCRY_PATCH_DIRECTION_COUNT], int *count)
{
    scry_status status = SCRY_OK;
    *count             = 0;
    for (int i = 0; i < SCRY_PATCH_DIRECTION_COUNT && !status; i++) {
        if (!patch->directions[i]) continue;
        patch->options.direction = (scry_patch_direction)i;
        status = scry_patching_run(&results[*count], patch->common.model, clean, corrupt, &patch->options);
        if (!status) ++*count;
    }
    while (status && *count) scry_patching_destroy(&results[--*count]);
    return status;
}

static bool writes(const struct patch *patch, const char *suffix)
{
    return patch->output && !strncmp(strrchr(patch->output, '.'), suffix, strlen(suffix));
}

bool patch_writes_json(const struct patch *patch)
{
    return writes(patch, ".json");
}

bool patch_writes_page(const struct patch *patch)
{
    return writes(patch, ".htm");
}

scry_status patch_put_json(const struct patch *patch, json_t *object)
{
    scry_status status = patch_writes_json(patch) ? cli_write_json(patch->output, object) : SCRY_OK;
    if (!status && patch->common.json) return cli_print_json(object);
    json_decref(object);
    return status;
}

static scry_status write_results(const struct patch *patch, scry_patching *const *results, int count)
{
    json_t     *object = NULL;
    scry_status status = SCRY_OK;
    if (patch->common.json || patch_writes_json(patch)) {
        scry__json_source source = cli_source(&patch->common);
        status                   = scry__json_patching(&object, results, count, &source);
        if (!status) status = patch_put_json(patch, object);
    }
    if (!status && patch_writes_page(patch))
        status = patch_write_page(patch, results, count);
    else if (!status && patch->output && !patch_writes_json(patch))
        status = patch_draw(patch, results, count);
    if (!status && !patch->output && !patch->common.json) status = patch_print(patch, results, count);
    return status;
}

static scry_status run_pair(struct patch *patch)
{
    scry_patch_options *options = &patch->options;
    scry_patching      *results[SCRY_PATCH_DIRECTION_COUNT];
    int                 count  = 0;
    scry_status         status = cli_pair_read(&patch->prompts, options);
    options->progress          = step;
    options->user              = &patch->progress;
    cli_progress_start(&patch->progress, &patch->common, "patches");
    if (!status) status = patch_run(patch, patch->prompts.arguments[0], patch->prompts.arguments[1], results, &count);
    cli_progress_end(&patch->progress);
    if (!status) status = write_results(patch, results, count);
    while (count) scry_patching_destroy(&results[--count]);
    cli_pair_finish(&patch->prompts);
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct patch *patch  = state;
    scry_status   status = check(patch);
    (void)text; /* all arguments are in patch->prompts */
    if (!status) status = cli_open_model(&patch->common);
    if (!status) status = patch->pairs ? patch_run_pairs(patch) : run_pair(patch);
    if (!status) cli_note_fallbacks(&patch->common);
    return status;
}

int cli_patch(int argc, char **argv)
{
    struct patch patch = {.options = {.answer.id = -1, .wrong.id = -1, .position = -1}, .direction = "denoise"};
    const struct cli_option options[] = {
        {0, "direction", CLI_STRING, &patch.direction, "WHICH",
         "denoise (clean values into the corrupt run: what restores), noise (the reverse: what breaks) or both "
         "(denoise)",
         0, 0},
        CLI_METHOD_OPTION(patch.method),
        {0, "kinds", CLI_STRING, &patch.kinds, "KIND,..",
         "some of resid_pre, resid_mid, attn_out, mlp_out, z, q, k, v, pattern (all)", 0, 0},
        {0, "by-position", CLI_FLAG, &patch.options.by_position, NULL,
         "heads at each position apart, not at all together", 0, 0},
        {0, "metric", CLI_STRING, &patch.metric_name, "WHICH",
         "shown: effect, logit_difference, probability, kl or estimate (effect, or what is estimated)", 0, 0},
        CLI_PAIR_OPTIONS(patch.prompts, patch.options),
        {0, "pairs", CLI_STRING, &patch.pairs, "FILE.jsonl",
         "mean and spread over many pairs: a line for each, {\"clean\": \"...\", \"corrupt\": \"...\", \"answer\": "
         "\" ...\", \"wrong\": \" ...\"}",
         0, 0},
        {'o', "output", CLI_STRING, &patch.output, "FILE",
         "a page (.html), .json, .png, .svg or .pdf instead of the terminal", 0, 0},
        CLI_CHECKPOINT_OPTIONS(patch.common),
        CLI_COMMON_OPTIONS(patch.common),
    };
    const struct cli_syntax syntax = {
        .usage   = "scry patch [options] CLEAN CORRUPT   or   --pairs FILE.jsonl",
        .about   = "Activation patching: one activation at a time of one prompt's run is put into the other's, and the "
                   "difference\n"
                   "of two next tokens' logits says how much of the prediction came with it: effect 0 is none, 1 all of "
                   "it.\n"
                   "Residual stream and outputs of attention and MLP by layer and position; z, q, k, v and patterns by "
                   "layer and head.\n"
                   "With --method estimate, effects are those of a straight line (attribution patching): thousands of "
                   "cells for a\n"
                   "few passes, without patterns.\n"
                   "With --pairs and -o FILE, each finished pair is kept in FILE.partial until all are done: started "
                   "again after a\n"
                   "stop, the same command goes on where it was.",
        .options = options,
        .option_count   = sizeof options / sizeof *options,
        .most           = 2,
        .arguments      = patch.prompts.arguments,
        .argument_count = &patch.prompts.argument_count,
    };
    return cli_main(&syntax, &patch.common, argc, argv, show, &patch);
}

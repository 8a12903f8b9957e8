/* scry patch --pairs: every pair of a file, their mean and spread, and a journal beside the output, from which a run
 * that was stopped goes on. See patch.h.
 *
 * The journal's first line says what was asked, of which model and device; each further line holds a finished pair. */
#include "cli/patch.h"

#include "analysis/patch.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/journal.h"
#include "base/json_lines.h"
#include "report/json_parts.h"
#include "report/json_patching.h"

#include <stdio.h>
#include <string.h>

struct pair {
    int               line; /* of the file, from 1 */
    const char       *clean, *corrupt;
    scry_token_choice answer, wrong;
    json_t           *object; /* what the line holds; the texts are its own */
};

struct pairs {
    struct patch       *patch;
    const char         *path;
    int                 count;
    struct pair        *items;
    char               *journal_path; /* NULL: no output, no journal */
    scry__journal       journal;
    int                 done; /* pairs that the summary has */
    scry_patch_summary *summary;
};

/* --- the file --- */

static scry_status read_token(scry_token_choice *out, scry__json_at at, const char *key)
{
    const json_t *value = json_object_get(at.object, key);
    if (json_is_integer(value)) {
        int64_t     id     = 0;
        scry_status status = scry__json_int(at, key, true, 0, INT32_MAX, &id);
        *out               = (scry_token_choice){.id = (int32_t)id, .has_id = true};
        return status;
    }
    return scry__json_string(at, key, false, &out->text);
}

static scry_status read_pair(void *user, scry__json_at at, int line)
{
    struct pairs *pairs = user;
    struct pair  *grown = scry__realloc(pairs->items, (size_t)pairs->count + 1, sizeof *grown);
    if (!grown) return SCRY_OUT_OF_MEMORY;
    pairs->items       = grown;
    struct pair *pair  = &pairs->items[pairs->count++];
    *pair              = (struct pair){.line = line, .object = json_incref((json_t *)at.object)};
    scry_status status = scry__json_only(at, "clean corrupt answer wrong");
    if (!status) status = scry__json_string(at, "clean", true, &pair->clean);
    if (!status) status = scry__json_string(at, "corrupt", true, &pair->corrupt);
    if (!status) status = read_token(&pair->answer, at, "answer");
    return status ? status : read_token(&pair->wrong, at, "wrong");
}

/* A pair's own options. */
static void choose(struct patch *patch, const struct pair *pair)
{
    patch->options.answer = pair->answer;
    patch->options.wrong  = pair->wrong;
}

static scry_status fail_pair(scry_status status, const struct pairs *pairs, const struct pair *pair)
{
    return scry__fail_prefix(status, "%s: line %d", pairs->path, pair->line);
}

/* All pairs are looked at before the first one runs: a long run shall not end with the last one's misprint. */
static scry_status check_pairs(struct pairs *pairs)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < pairs->count && !status; i++) {
        const struct pair *pair = &pairs->items[i];
        choose(pairs->patch, pair);
        status = scry__patch_check(pairs->patch->common.model, pair->clean, pair->corrupt, &pairs->patch->options);
        if (status) fail_pair(status, pairs, pair);
    }
    return status;
}

/* --- the journal --- */

/* What the journal's results rest on; a probe of the weights among it: the likeliest tokens behind the first pair's
 * clean prompt, with their logits. */
static scry_status describe_run(scry__text *out, const struct pairs *pairs)
{
    const struct patch       *patch   = pairs->patch;
    const scry_patch_options *options = &patch->options;
    scry__json_source         source  = cli_source(&patch->common);
    scry__json_builder        builder = {0};
    scry_generation          *probe   = NULL;
    json_t                   *object  = NULL, *whole;
    scry_status               status  = scry_generate(&probe, patch->common.model, pairs->items[0].clean,
                                                      &(scry_generation_options){.max_tokens = 1, .top = 5});
    if (status) return status;
    source.fallbacks = 0; /* they grow */
    whole            = scry__json_result(&builder, "scry.patching-journal/1", &source);
    scry__json_set_text(&builder, whole, "direction", patch->direction);
    scry__json_set_text(&builder, whole, "method", scry_patch_method_text(options->method));
    scry__json_set_int(&builder, whole, "kinds", options->kinds);
    scry__json_set_bool(&builder, whole, "by_position", options->by_position);
    scry__json_set_bool(&builder, whole, "align", options->align);
    scry__json_set_bool(&builder, whole, "naive", options->naive);
    scry__json_set_int(&builder, whole, "batch", options->batch);
    scry__json_set_int(&builder, whole, "position", options->has_position ? options->position : -1);
    if (probe->step_count)
        scry__json_set(&builder, whole, "probe",
                       scry__json_candidates(&builder, probe->steps[0].top, probe->top_count));
    status = scry__json_finish(&builder, whole, &object);
    if (!status) scry__json_dump(out, object, false);
    json_decref(object);
    scry_generation_destroy(&probe);
    return status ? status : out->status;
}

/* A finished pair's line: the line of the file, and the results as --json gives them. */
static scry_status describe_pair(scry__text *out, const struct pair *pair, scry_patching *const *results, int count)
{
    scry__json_builder builder = {0};
    json_t            *object = NULL, *results_object = NULL;
    scry_status        status = scry__json_patching(&results_object, results, count, NULL);
    if (status) return status;
    json_t *whole = scry__json_new_object(&builder);
    scry__json_set(&builder, whole, "pair", json_incref(pair->object));
    scry__json_set(&builder, whole, "result", results_object);
    status = scry__json_finish(&builder, whole, &object);
    if (!status) scry__json_dump(out, object, false);
    json_decref(object);
    return status ? status : out->status;
}

/* Takes a finished pair's line into the summary. Results always go this way, so that a run that was stopped in between
 * ends with the same bits. */
static scry_status take_line(struct pairs *pairs, const char *text, size_t size, const char *origin)
{
    const struct pair *pair = &pairs->items[pairs->done];
    scry_patching     *results[SCRY_PATCH_DIRECTION_COUNT];
    json_t            *line   = NULL;
    const json_t      *result = NULL;
    int                count  = 0;
    scry_status        status = scry__json_parse(&line, text, size, origin);
    if (!status && !json_equal(json_object_get(line, "pair"), pair->object))
        status = scry__fail(SCRY_BAD_INPUT, "%s: another pair than line %d of %s: remove the file to begin anew",
                            origin, pair->line, pairs->path);
    if (!status) status = scry__json_object((scry__json_at){line, origin}, "result", true, &result);
    if (!status) status = scry__json_read_patching(results, &count, SCRY_PATCH_DIRECTION_COUNT, result, origin);
    if (!status) status = scry_patch_summary_add(&pairs->summary, results, count);
    if (!status) pairs->done++;
    while (count) scry_patching_destroy(&results[--count]);
    json_decref(line);
    return status;
}

/* Opens the journal and takes in what it holds; a new one gets its first line. */
static scry_status resume(struct pairs *pairs)
{
    scry__text  head = {0};
    const char *line;
    size_t      size;
    char        origin[512];
    scry_status status = scry__journal_open(&pairs->journal, pairs->journal_path);
    if (!status) status = describe_run(&head, pairs);
    if (!status && !scry__journal_read(&pairs->journal, &line, &size)) {
        status = scry__journal_add(&pairs->journal, head.data, head.size);
    } else if (!status && (size + 1 != head.size || memcmp(line, head.data, size) != 0)) {
        status = scry__fail(SCRY_BAD_INPUT,
                            "%s: begun with another model, device or options: expected %.*s; remove the file to begin "
                            "anew",
                            pairs->journal_path, 300, head.data);
    }
    while (!status && scry__journal_read(&pairs->journal, &line, &size)) {
        snprintf(origin, sizeof origin, "%.400s: line %d", pairs->journal_path, pairs->journal.line);
        if (pairs->done == pairs->count)
            status = scry__fail(SCRY_BAD_INPUT, "%s: more pairs than %s has: remove the file to begin anew", origin,
                                pairs->path);
        else
            status = take_line(pairs, line, size, origin);
    }
    if (!status && pairs->done && !pairs->patch->common.quiet)
        fprintf(stderr, "scry: %d of %d pairs are in %s\n", pairs->done, pairs->count, pairs->journal_path);
    scry__text_finish(&head);
    return status;
}

/* --- the work --- */

static scry_status run_next(struct pairs *pairs)
{
    const struct pair *pair = &pairs->items[pairs->done];
    scry_patching     *results[SCRY_PATCH_DIRECTION_COUNT];
    scry__text         line  = {0};
    int                count = 0;
    choose(pairs->patch, pair);
    scry_status status = patch_run(pairs->patch, pair->clean, pair->corrupt, results, &count);
    if (!status) status = describe_pair(&line, pair, results, count);
    if (status) fail_pair(status, pairs, pair);
    if (!status && pairs->journal_path) status = scry__journal_add(&pairs->journal, line.data, line.size);
    if (!status) status = take_line(pairs, line.data, line.size, pairs->path);
    while (count) scry_patching_destroy(&results[--count]);
    scry__text_finish(&line);
    return status;
}

static scry_status run_all(struct pairs *pairs)
{
    struct cli_progress *progress = &pairs->patch->progress;
    scry_status          status   = SCRY_OK;
    cli_progress_start(progress, &pairs->patch->common, "pairs");
    progress->before = pairs->done;
    while (pairs->done < pairs->count && !status) {
        status = run_next(pairs);
        if (!status) cli_progress_step(progress, pairs->done, pairs->count);
    }
    cli_progress_end(progress);
    return status;
}

static scry_status write_summary(const struct patch *patch, const scry_patch_summary *summary)
{
    json_t     *object = NULL;
    scry_status status = SCRY_OK;
    if (patch->common.json || patch_writes_json(patch)) {
        scry__json_source source = cli_source(&patch->common);
        status                   = scry__json_patch_summary(&object, summary, &source);
        if (!status) status = patch_put_json(patch, object);
    }
    if (!status && patch_writes_page(patch))
        status = patch_write_summary_page(patch, summary);
    else if (!status && patch->output && !patch_writes_json(patch))
        status = patch_draw_summary(patch, summary);
    if (!status && !patch->output && !patch->common.json) status = patch_print_summary(patch, summary);
    return status;
}

static scry_status name_journal(struct pairs *pairs)
{
    scry__text path = {0};
    if (!pairs->patch->output) return SCRY_OK;
    scry__text_addf(&path, "%s.partial", pairs->patch->output);
    return scry__text_take(&path, &pairs->journal_path, NULL);
}

scry_status patch_run_pairs(struct patch *patch)
{
    struct pairs pairs  = {.patch = patch, .path = patch->pairs, .journal.descriptor = -1};
    scry_status  status = scry__json_lines(pairs.path, read_pair, &pairs);
    if (!status) status = check_pairs(&pairs);
    if (!status) status = name_journal(&pairs);
    if (!status && pairs.journal_path) status = resume(&pairs);
    if (!status) status = run_all(&pairs);
    if (!status) status = write_summary(patch, pairs.summary);
    if (!status && pairs.journal_path) status = scry__journal_remove(&pairs.journal);
    scry__journal_close(&pairs.journal);
    scry_patch_summary_destroy(&pairs.summary);
    for (int i = 0; i < pairs.count; i++) json_decref(pairs.items[i].object);
    scry__free(pairs.items);
    scry__free(pairs.journal_path);
    return status;
}

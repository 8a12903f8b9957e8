/* Runs the analyses that a report shows. See report_collect.h. */
#include "cli/report_collect.h"

#include "base/alloc.h"
#include "report/json_diagnosis.h"
#include "report/json_heads.h"
#include "report/json_influence.h"
#include "report/json_patching.h"
#include "scry/analysis.h"

#include <string.h>

enum { CANDIDATES = 10 };

/* Takes over the object that a result became. */
static scry_status add_part(struct report_data *data, const char *key, scry_status status, json_t *object)
{
    if (!status) data->parts[data->part_count++] = (struct scry__report_part){key, object};
    return status;
}

static bool show_progress(void *user, int64_t done, int64_t total)
{
    cli_progress_step(user, done, total);
    return true;
}

static scry_status take_capture(void *user, const scry_capture *capture)
{
    struct report_data *data = user;
    if (!strstr(capture->name, "pattern")) return scry__report_neurons_take(data->neurons, data->attention, capture);
    cli_progress_step(&data->progress, capture->layer + 1, scry_model_get_info(data->common->model)->layer_count);
    return scry__report_attention_add(data->attention, capture->layer, capture->data);
}

static scry_status collect_lens(struct report_data *data)
{
    scry_model       *model   = data->common->model;
    scry_tuned_lens  *tuned   = NULL;
    scry_lens_options options = {.ids = data->common->ids, .id_count = data->common->id_count, .top = CANDIDATES};
    scry_status       status  = data->tuned ? scry_tuned_lens_open(&tuned, model, data->tuned) : SCRY_OK;
    options.tuned             = tuned;
    if (!status) status = scry_lens_run(&data->lens, model, data->text, &options);
    scry_tuned_lens_destroy(&tuned);
    return status;
}

/* Patterns, queries and keys, from one pass. */
static scry_status collect_attention(struct report_data *data)
{
    const scry_model_info *info    = scry_model_get_info(data->common->model);
    const char            *neurons = scry__report_neurons_hooks(data->common->model);
    int                    count   = data->lens->token_count;
    scry_trace            *trace   = NULL;
    scry__text             hooks   = {0};
    scry__text_addf(&hooks, "blocks.*.attn.hook_pattern%s%s", neurons ? "," : "", neurons ? neurons : "");
    const scry_trace_options options = {.ids      = data->common->ids,
                                        .id_count = data->common->id_count,
                                        .hooks    = hooks.data,
                                        .sink     = take_capture,
                                        .user     = data};
    scry_status              status  = hooks.status;
    if (!status)
        status = scry__report_attention_create(&data->attention, info->layer_count, info->head_count, count, 1);
    if (!status && neurons) status = scry__report_neurons_create(&data->neurons, data->common->model, count);
    if (!status) status = scry_trace_run(&trace, data->common->model, data->text, &options);
    scry_trace_destroy(&trace); /* the captures went to the sink */
    scry__text_finish(&hooks);
    return status;
}

/* Heads and induction have the same random model for their nulls: collect_heads opens it, collect_induction closes it.
 */
static scry_status collect_heads(struct report_data *data)
{
    scry_status              status  = data->quick ? SCRY_OK : scry_twin_open(&data->twin, data->common->model, 0);
    const scry_heads_options options = {.ids         = data->common->ids,
                                        .id_count    = data->common->id_count,
                                        .skip_probe  = data->quick,
                                        .skip_random = data->quick,
                                        .twin        = data->twin,
                                        .progress    = show_progress,
                                        .user        = &data->progress};
    json_t                  *object  = NULL;
    if (!status) status = scry_heads_run(&data->heads, data->common->model, data->text, &options);
    if (!status) status = scry__json_heads(&object, data->heads, NULL);
    return add_part(data, "heads", status, object);
}

static scry_status collect_induction(struct report_data *data)
{
    const scry_induction_options options   = {.twin = data->twin, .progress = show_progress, .user = &data->progress};
    scry_induction              *induction = NULL;
    json_t                      *object    = NULL;
    if (data->quick) return SCRY_OK;
    scry_status status = scry_induction_run(&induction, data->common->model, &options);
    if (!status) status = scry__json_induction(&object, induction, NULL);
    scry_induction_destroy(&induction);
    scry_model_destroy(&data->twin);
    return add_part(data, "induction", status, object);
}

static scry_status collect_influence(struct report_data *data)
{
    const scry_influence_options options   = {.ids      = data->common->ids,
                                              .id_count = data->common->id_count,
                                              .cuts     = data->quick ? SCRY_CUTS_NONE : SCRY_CUTS_DEFAULT,
                                              .progress = show_progress,
                                              .user     = &data->progress};
    scry_influence              *influence = NULL;
    json_t                      *object    = NULL;
    scry_status                  status    = scry_influence_run(&influence, data->common->model, data->text, &options);
    if (!status) status = scry__json_influence(&object, influence, NULL);
    scry_influence_destroy(&influence);
    return add_part(data, "influence", status, object);
}

/* What of the prompt restores its answer in the other prompt's run, and what of that one breaks it. */
static scry_status collect_patching(struct report_data *data)
{
    scry_patching *patchings[SCRY_PATCH_DIRECTION_COUNT] = {NULL};
    json_t        *object                                = NULL;
    int32_t       *ids                                   = NULL;
    int            id_count                              = 0;
    scry_status    status                                = SCRY_OK;
    if (!data->corrupt && !data->corrupt_ids) return SCRY_OK;
    if (data->corrupt_ids) status = cli_parse_ids("corrupt-ids", data->corrupt_ids, &ids, &id_count);
    for (int i = 0; i < SCRY_PATCH_DIRECTION_COUNT && !status; i++) {
        const scry_patch_options options = {.clean_ids        = data->common->ids,
                                            .clean_id_count   = data->common->id_count,
                                            .corrupt_ids      = ids,
                                            .corrupt_id_count = id_count,
                                            .answer           = data->answer,
                                            .wrong            = data->wrong,
                                            .direction        = (scry_patch_direction)i,
                                            .align            = data->align,
                                            .method           = data->method,
                                            .progress         = show_progress,
                                            .user             = &data->progress};
        status = scry_patching_run(&patchings[i], data->common->model, data->text, data->corrupt, &options);
    }
    if (!status) status = scry__json_patching(&object, patchings, SCRY_PATCH_DIRECTION_COUNT, NULL);
    for (int i = 0; i < SCRY_PATCH_DIRECTION_COUNT; i++) scry_patching_destroy(&patchings[i]);
    scry__free(ids);
    return add_part(data, "patching", status, object);
}

static scry_status collect_diagnosis(struct report_data *data)
{
    const scry_diagnose_options options   = {.ids        = data->common->ids,
                                             .id_count   = data->common->id_count,
                                             .context    = data->context,
                                             .max_tokens = data->quick ? -1 : 0};
    scry_diagnosis             *diagnosis = NULL;
    json_t                     *object    = NULL;
    scry_status                 status    = scry_diagnose_run(&diagnosis, data->common->model, data->text, &options);
    if (!status) status = scry__json_diagnosis(&object, diagnosis, NULL);
    scry_diagnosis_destroy(&diagnosis);
    return add_part(data, "diagnosis", status, object);
}

static scry_status collect_generation(struct report_data *data)
{
    static const float            temperatures[] = {0.5f, 2}; /* beside 1 */
    const scry_generation_options options        = {.ids               = data->common->ids,
                                                    .id_count          = data->common->id_count,
                                                    .max_tokens        = data->tokens,
                                                    .top               = CANDIDATES,
                                                    .temperatures      = temperatures,
                                                    .temperature_count = sizeof temperatures / sizeof *temperatures};
    json_t                       *object         = NULL;
    if (!data->tokens || data->lens->token_count >= scry_model_get_info(data->common->model)->context) return SCRY_OK;
    scry_status status = scry_generate(&data->generation, data->common->model, data->text, &options);
    if (!status) status = scry__json_generation(&object, data->generation, NULL);
    return add_part(data, "generation", status, object);
}

scry_status report_collect(struct report_data *data)
{
    static const struct {
        const char *label;
        scry_status (*run)(struct report_data *data);
    } steps[]          = {{"lens", collect_lens},           {"attention", collect_attention},  {"heads", collect_heads},
                          {"induction", collect_induction}, {"influence", collect_influence},  {"patching", collect_patching},
                          {"diagnosis", collect_diagnosis}, {"generation", collect_generation}};
    scry_status status = SCRY_OK;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && !status; i++) {
        cli_progress_start(&data->progress, data->common, steps[i].label);
        status = steps[i].run(data);
        cli_progress_end(&data->progress);
    }
    return status;
}

void report_release(struct report_data *data)
{
    for (int i = 0; i < data->part_count; i++) json_decref(data->parts[i].object);
    scry_generation_destroy(&data->generation);
    scry_heads_destroy(&data->heads);
    scry_model_destroy(&data->twin);
    scry__report_neurons_destroy(&data->neurons);
    scry__report_attention_destroy(&data->attention);
    scry_lens_destroy(&data->lens);
}

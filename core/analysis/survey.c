/* The scores of one model's heads. See survey.h. */
#include "analysis/survey.h"

#include "analysis/received.h"
#include "base/alloc.h"
#include "model/forward.h"
#include "model/model.h"
#include "trace/read.h"

#include <math.h>

/* What is read of each layer, and where scores look for it. */
static const struct {
    scry__hook hook;
    size_t     member; /* in scry__head_rows */
} statistics[] = {
    {SCRY__HOOK_STAT_ENTROPY, offsetof(scry__head_rows, entropy)},
    {SCRY__HOOK_STAT_MAX, offsetof(scry__head_rows, max)},
    {SCRY__HOOK_STAT_PREVIOUS, offsetof(scry__head_rows, previous)},
    {SCRY__HOOK_STAT_SELF, offsetof(scry__head_rows, self)},
    {SCRY__HOOK_STAT_FIRST, offsetof(scry__head_rows, first)},
    {SCRY__HOOK_STAT_RECEIVED, offsetof(scry__head_rows, received)},
    {SCRY__HOOK_STAT_DISTANCE, offsetof(scry__head_rows, distance)},
};
enum { STATISTIC_COUNT = sizeof statistics / sizeof *statistics };

/* State of the prompt's pass. */
struct reader {
    scry__survey     *survey;
    const scry__arch *arch;
    scry__progress   *progress;
    int               count;         /* tokens */
    float            *values;        /* [STATISTIC_COUNT, heads, count]: one layer's */
    int               filled;        /* statistics of the layer that are there */
    double           *received_null; /* [count] */
    int64_t           window;        /* for which it holds; -1: none yet */
};

static int statistic_of(scry__hook hook)
{
    for (int i = 0; i < STATISTIC_COUNT; i++)
        if (statistics[i].hook == hook) return i;
    return -1;
}

static bool wants(void *user, scry__hook hook, int layer)
{
    (void)user;
    (void)layer;
    return statistic_of(hook) >= 0;
}

/* The layer's statistics are complete: what remains of them are its scores. */
static void score_layer(struct reader *reader, int layer)
{
    scry__survey   *survey = reader->survey;
    scry__head_rows rows   = {.count = reader->count, .window = reader->arch->layers[layer].window};
    if (rows.window != reader->window) scry__received_null(reader->received_null, rows.count, rows.window);
    reader->window = rows.window;
    for (int head = 0; head < survey->head_count; head++) {
        for (int i = 0; i < STATISTIC_COUNT; i++) {
            size_t at = (size_t)(i * survey->head_count + head) * (size_t)rows.count;
            *(const float **)((char *)&rows + statistics[i].member) = reader->values + at;
        }
        scry__scores_of_rows(scry__survey_at(survey, layer, head), &rows, reader->received_null);
    }
}

static scry_status take_statistic(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct reader *reader = user;
    size_t         block  = (size_t)reader->survey->head_count * (size_t)reader->count;
    scry_status    status = scry__read_tensor(value, reader->values + (size_t)statistic_of(hook) * block);
    if (status || ++reader->filled < STATISTIC_COUNT) return status;
    reader->filled = 0;
    score_layer(reader, layer);
    return scry__progress_step(reader->progress);
}

static scry_status read_prompt(scry__survey *survey, scry_model *model, const scry_tokens *tokens,
                               scry__progress *progress)
{
    struct reader reader = {
        .survey = survey, .arch = &model->arch, .progress = progress, .count = tokens->count, .window = -1};
    const scry__hooks hooks   = {.user = &reader, .wants = wants, .at = take_statistic};
    size_t            count   = (size_t)tokens->count;
    scry__session    *session = NULL;
    reader.values        = scry__alloc((size_t)STATISTIC_COUNT * (size_t)survey->head_count, count * sizeof(float));
    reader.received_null = scry__alloc(count, sizeof *reader.received_null);
    scry_status status   = reader.values && reader.received_null ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__session_create(&session, model, &(scry__session_options){.capacity = tokens->count});
    if (!status) status = scry__session_forward(session, tokens->ids, tokens->count, &hooks);
    scry__session_destroy(&session);
    scry__free(reader.received_null);
    scry__free(reader.values);
    return status;
}

static double mean_of(const float *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)values[i];
    return sum / count;
}

static scry_status read_probe(scry__survey *survey, scry_model *model, const scry__probe_tokens *tokens,
                              scry__progress *progress)
{
    scry__probe probe;
    scry_status status = scry__probe_run(&probe, model, tokens, false);
    if (status) return status;
    for (int i = 0; i < probe.head_count; i++) {
        scry__score *scores               = survey->scores + (size_t)i * SCRY_HEAD_SCORE_COUNT;
        size_t       at                   = (size_t)i * (size_t)probe.seeds;
        scores[SCRY_HEAD_INDUCTION].value = mean_of(probe.induction + at, probe.seeds);
        scores[SCRY_HEAD_DUPLICATE].value = mean_of(probe.duplicate + at, probe.seeds);
    }
    scry__probe_finish(&probe);
    return scry__progress_step(progress);
}

scry_status scry__survey_run(scry__survey *survey, scry_model *model, const scry_tokens *tokens,
                             const scry__probe_tokens *probe, scry__progress *progress)
{
    const scry_model_info *info = scry_model_get_info(model);
    *survey                     = (scry__survey){.layer_count = info->layer_count, .head_count = info->head_count};
    survey->scores              = scry__alloc((size_t)info->layer_count * (size_t)info->head_count,
                                              SCRY_HEAD_SCORE_COUNT * sizeof *survey->scores);
    scry_status status          = survey->scores ? read_prompt(survey, model, tokens, progress) : SCRY_OUT_OF_MEMORY;
    if (!status && probe) status = read_probe(survey, model, probe, progress);
    if (status) scry__survey_finish(survey);
    return status;
}

void scry__survey_finish(scry__survey *survey)
{
    scry__free(survey->scores);
    *survey = (scry__survey){0};
}

scry__score *scry__survey_at(const scry__survey *survey, int layer, int head)
{
    return survey->scores + (size_t)(layer * survey->head_count + head) * SCRY_HEAD_SCORE_COUNT;
}

int scry__survey_steps(const scry_model *model, bool has_probe)
{
    return scry_model_get_info(model)->layer_count + has_probe;
}

static scry_status open_twin(scry_model **out, const scry_model *model, uint64_t seed, int n)
{
    scry_model_options options = model->options;
    bool               is_own  = options.random_init && options.random_seed <= seed + (uint64_t)n;
    options.random_init        = true;
    options.random_seed        = seed + (uint64_t)n + (is_own && model->options.random_seed >= seed);
    scry_status status         = scry_model_open(out, model->device, model->path, &options);
    if (status) return scry__fail_prefix(status, "random twin, seed %llu", (unsigned long long)options.random_seed);
    scry__log(SCRY_LOG_INFO, "random twin of %s: seed %llu", model->path, (unsigned long long)options.random_seed);
    return SCRY_OK;
}

scry_status scry_twin_open(scry_model **out, const scry_model *model, uint64_t seed)
{
    return open_twin(out, model, seed, 0);
}

scry_status scry__survey_twin(scry_model **out, const scry_model *model, scry_model *first, uint64_t seed, int n)
{
    *out = n ? NULL : first;
    return *out ? SCRY_OK : open_twin(out, model, seed, n);
}

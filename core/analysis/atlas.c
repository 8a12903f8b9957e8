/* The atlas of heads: a survey of the model beside what no learning gives, and how sure each score is. See
 * scry/heads.h. */
#include "analysis/certainty.h"
#include "analysis/survey.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>

static const bool may_name[] = {
#define NAMES(id, name, about, higher, names) names,
    SCRY_HEAD_SCORE_LIST(NAMES)
#undef NAMES
};

/* --- nulls --- */

static void add_twin(scry__sample samples[SCRY_HEAD_SCORE_COUNT], const scry__survey *twin)
{
    for (int head = 0; head < twin->layer_count * twin->head_count; head++)
        for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
            scry__sample_add(&samples[kind], twin->scores[head * SCRY_HEAD_SCORE_COUNT + kind].value);
}

static scry_status survey_twins(scry__sample samples[SCRY_HEAD_SCORE_COUNT], const scry_model *model,
                                const scry_heads *heads, const scry__probe_tokens *probe,
                                const scry_heads_options *options, scry__progress *progress)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < heads->random_seeds && !status; i++) {
        scry_model  *twin   = NULL;
        scry__survey survey = {0};
        status              = scry__survey_twin(&twin, model, options->twin, options->seed, i);
        if (!status) status = scry__survey_run(&survey, twin, heads->tokens, probe, progress);
        if (!status) add_twin(samples, &survey);
        scry__survey_finish(&survey);
        if (twin != options->twin) scry_model_destroy(&twin);
    }
    return status;
}

/* Of uniform attention: the prompt's scores, and the probe's. */
static void uniform_scores(scry__score scores[SCRY_HEAD_SCORE_COUNT], int count, int64_t window,
                           const scry__probe_tokens *probe)
{
    scry__scores_uniform(scores, count, window);
    if (!probe) return;
    scores[SCRY_HEAD_INDUCTION].value = scry__probe_uniform(probe, SCRY_HEAD_INDUCTION, window);
    scores[SCRY_HEAD_DUPLICATE].value = scry__probe_uniform(probe, SCRY_HEAD_DUPLICATE, window);
}

static void fill_nulls(scry_heads *heads, const scry__sample samples[SCRY_HEAD_SCORE_COUNT],
                       const scry__probe_tokens *probe)
{
    scry__score uniform[SCRY_HEAD_SCORE_COUNT];
    uniform_scores(uniform, heads->token_count, 0, probe);
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++)
        heads->nulls[kind] = scry__sample_null(&samples[kind], uniform[kind].value);
}

/* --- scores and their certainty --- */

static scry__evidence evidence_of(const scry_heads *heads, scry_head_score_kind kind, const scry_head_score *score,
                                  int64_t window, const scry__probe_tokens *probe)
{
    scry__evidence evidence = {
        .value = score->value, .uniform = score->uniform, .random = heads->nulls[kind].random_largest};
    if (kind == SCRY_HEAD_INDUCTION || kind == SCRY_HEAD_DUPLICATE) {
        evidence.ceiling = 1;
        evidence.rows    = probe ? probe->length * probe->seeds : 0;
    } else {
        scry__score_extent(&evidence.rows, &evidence.ceiling, kind, score->at, heads->token_count, window);
    }
    return evidence;
}

/* Fills one head, and calls it after the score that it is surest in; of equally sure ones, after that which has gone
 * farthest above its null, but a share of rows (uniform, sparse) or a sink says less than a place or a match does. */
static void judge_head(scry_head *head, const scry_heads *heads, const scry__score *scores, const scry__score *uniform,
                       int64_t window, const scry__probe_tokens *probe)
{
    double best = 0;
    head->kind  = -1;
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++) {
        scry_head_score *score = &head->scores[kind];
        *score                 = (scry_head_score){
                            .value = (float)scores[kind].value, .uniform = (float)uniform[kind].value, .at = scores[kind].at};
        if (!scry_head_score_is_higher_more((scry_head_score_kind)kind) || isnan(score->value)) continue;
        scry__evidence evidence = evidence_of(heads, (scry_head_score_kind)kind, score, window, probe);
        double         margin   = scry__margin_above(&evidence);
        score->certainty =
            kind == SCRY_HEAD_UNIFORM ? scry__certainty_uniform(&evidence) : scry__certainty_above(margin);
        bool is_specific = kind < SCRY_HEAD_SINK;
        bool is_better =
            score->certainty > head->certainty || (score->certainty == head->certainty && is_specific && margin > best);
        if (!may_name[kind] || !score->certainty || !is_better) continue;
        head->kind      = kind;
        head->certainty = score->certainty;
        best            = margin;
    }
}

static scry_status judge(scry_heads *heads, const scry_model *model, const scry__survey *survey,
                         const scry__probe_tokens *probe)
{
    scry__score uniform[SCRY_HEAD_SCORE_COUNT];
    heads->heads = scry__alloc((size_t)heads->layer_count * (size_t)heads->head_count, sizeof *heads->heads);
    if (!heads->heads) return SCRY_OUT_OF_MEMORY;
    for (int layer = 0; layer < heads->layer_count; layer++) {
        int64_t window = model->arch.layers[layer].window;
        uniform_scores(uniform, heads->token_count, window, probe);
        for (int i = 0; i < heads->head_count; i++) {
            scry_head *head = &heads->heads[layer * heads->head_count + i];
            head->layer     = layer;
            head->head      = i;
            judge_head(head, heads, scry__survey_at(survey, layer, i), uniform, window, probe);
        }
    }
    return SCRY_OK;
}

/* --- the call --- */

static scry_status check_options(const scry_heads_options *options)
{
    if (options->random_seeds < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "%d random models: expected 0 or more", options->random_seeds);
    return SCRY_OK;
}

scry_status scry_heads_run(scry_heads **out, scry_model *model, const char *text, const scry_heads_options *options)
{
    static const scry_heads_options defaults;
    const scry_model_info          *info                           = scry_model_get_info(model);
    scry__sample                    samples[SCRY_HEAD_SCORE_COUNT] = {0};
    scry__probe_tokens              drawn = {0}, *probe = NULL;
    scry__survey                    survey = {0};
    *out                                   = NULL;
    if (!options) options = &defaults;
    scry_status status = check_options(options);
    if (status) return status;
    scry_heads *heads = scry__alloc(1, sizeof *heads);
    if (!heads) return SCRY_OUT_OF_MEMORY;
    status = scry_tokens_create(&heads->tokens, model, text, options->ids, options->id_count);
    if (!status && !options->skip_probe) {
        status = scry__probe_draw(&drawn, model, options->probe_length, options->probe_seeds, options->seed);
        probe  = &drawn;
    }
    if (status) goto done;
    heads->token_count      = heads->tokens->count;
    heads->layer_count      = info->layer_count;
    heads->head_count       = info->head_count;
    heads->probe_length     = drawn.length;
    heads->probe_seeds      = drawn.seeds;
    heads->random_seeds     = options->skip_random ? 0 : options->random_seeds ? options->random_seeds : 1;
    heads->sink_keys        = scry__sink_keys(heads->token_count);
    scry__progress progress = {.report = options->progress,
                               .user   = options->user,
                               .total  = (int64_t)(1 + heads->random_seeds) * scry__survey_steps(model, probe)};
    status                  = scry__survey_run(&survey, model, heads->tokens, probe, &progress);
    if (!status) status = survey_twins(samples, model, heads, probe, options, &progress);
    if (!status) fill_nulls(heads, samples, probe);
    if (!status) status = judge(heads, model, &survey, probe);
done:
    scry__survey_finish(&survey);
    scry__probe_tokens_finish(&drawn);
    if (status)
        scry_heads_destroy(&heads);
    else
        *out = heads;
    return status;
}

void scry_heads_destroy(scry_heads **heads)
{
    if (!heads || !*heads) return;
    scry__free((*heads)->heads);
    scry_tokens_destroy(&(*heads)->tokens);
    scry__free(*heads);
    *heads = NULL;
}

const scry_head *scry_heads_at(const scry_heads *heads, int layer, int head)
{
    if (layer < 0 || layer >= heads->layer_count || head < 0 || head >= heads->head_count) return NULL;
    return &heads->heads[layer * heads->head_count + head];
}

const scry_head *scry_heads_surest(const scry_heads *heads, scry_head_score_kind kind)
{
    const scry_head *best = NULL;
    for (int i = 0; i < heads->layer_count * heads->head_count; i++) {
        const scry_head_score *score = &heads->heads[i].scores[kind], *most = best ? &best->scores[kind] : NULL;
        if (isnan(score->value)) continue;
        if (!most || score->certainty > most->certainty ||
            (score->certainty == most->certainty && score->value > most->value))
            best = &heads->heads[i];
    }
    return best;
}

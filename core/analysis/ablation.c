/* Ablation: one sweep over every part of a model. See scry/ablate.h.
 *
 * Each layer has three hook points to be edited: z, attn_out and mlp_out. Means and samples of all of them come from
 * one pass a prompt, and the edits of a layer's heads share the values of its z. */
#include "scry/ablate.h"

#include "analysis/question.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "model/hook.h"

#include <math.h>

/* The hook points of a layer. */
enum { Z, ATTENTION, MLP, POINT_COUNT };
static const scry__hook points[] = {SCRY__HOOK_Z, SCRY__HOOK_ATTN_OUT, SCRY__HOOK_MLP_OUT};

struct run {
    scry_model                  *model;
    const scry_ablation_options *options;
    scry_ablation               *result;
    char (*names)[SCRY__HOOK_NAME_SIZE];          /* [layer, point] */
    scry_edit    *whole[SCRY_ABLATION_WAY_COUNT]; /* [layer, point]: of a whole hook point; owns the values */
    scry_edit    *edits;                          /* [way, layer, heads and two]: heads, attention, MLP */
    scry_patch   *patches;                        /* as the result's `ablated` */
    scry_outcome *outcomes;
};

const char *scry_ablation_part_text(scry_ablation_part part)
{
    static const char *const texts[] = {
#define PART_TEXT(name, text) text,
        SCRY_ABLATION_PART_LIST(PART_TEXT)
#undef PART_TEXT
    };
    return (unsigned)part < SCRY_ABLATION_PART_COUNT ? texts[part] : "unknown";
}

const char *scry_ablation_way_text(scry_ablation_way way)
{
    static const char *const texts[] = {
#define WAY_TEXT(name, text) text,
        SCRY_ABLATION_WAY_LIST(WAY_TEXT)
#undef WAY_TEXT
    };
    return (unsigned)way < SCRY_ABLATION_WAY_COUNT ? texts[way] : "unknown";
}

const char *scry_ablation_measure_text(scry_ablation_measure measure)
{
    static const char *const texts[] = {
#define MEASURE_TEXT(name, text) text,
        SCRY_ABLATION_MEASURE_LIST(MEASURE_TEXT)
#undef MEASURE_TEXT
    };
    return (unsigned)measure < SCRY_ABLATION_MEASURE_COUNT ? texts[measure] : "unknown";
}

float scry_ablated_value(const scry_ablated *ablated, scry_ablation_measure measure)
{
    const float values[] = {ablated->logit, ablated->log_probability, ablated->loss, ablated->kl};
    return (unsigned)measure < SCRY_ABLATION_MEASURE_COUNT ? values[measure] : NAN;
}

static bool is_asked(const scry_ablation *result, int way)
{
    return result->ways >> way & 1;
}

/* --- what is asked --- */

static scry_status check(const scry_ablation_options *options)
{
    if (options->ways >> SCRY_ABLATION_WAY_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT, "ways 0x%x: expected bits below 1 << %d", options->ways,
                          SCRY_ABLATION_WAY_COUNT);
    if (options->ways >> SCRY_ABLATION_WAY_RESAMPLE & 1 && options->prompt_count < 1)
        return scry__fail(SCRY_BAD_ARGUMENT, "resampling without prompts: expected those to draw one from");
    return SCRY_OK;
}

static scry_status choose_at(scry_ablation *result, const scry_ablation_options *options)
{
    result->at = options->has_at ? options->at : -1;
    if (!options->has_at || (options->at >= 0 && options->at < result->tokens->count)) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "ablation at position %d: expected 0 to %d, the prompt's last", options->at,
                      result->tokens->count - 1);
}

static scry_status choose(struct run *run)
{
    const scry_ablation_options *options = run->options;
    scry_ablation               *result  = run->result;
    scry_status                  status  = choose_at(result, options);
    if (!status)
        status = scry__question_position(&result->position, result->tokens, options->has_position, options->position);
    if (!status)
        status =
            scry__question_tokens(&result->answer.id, &result->wrong.id, run->model, &options->answer, &options->wrong);
    if (status) return status;
    result->has_wrong = result->wrong.id >= 0;
    if (result->answer.id >= 0) return SCRY_OK;
    return scry__question_likeliest(&result->answer.id, run->model, result->tokens->ids, result->position + 1);
}

/* --- what is put there --- */

static int count_tokens(scry_model *model, const char *prompt, scry_status *status)
{
    scry_tokens *tokens = NULL;
    *status             = scry_tokens_create(&tokens, model, prompt, NULL, 0);
    int count           = *status ? 0 : tokens->count;
    scry_tokens_destroy(&tokens);
    return count;
}

/* One of the prompts that have a token at every position that is ablated. */
static scry_status draw_prompt(struct run *run)
{
    const scry_ablation_options *options = run->options;
    scry_ablation               *result  = run->result;
    int                          needed = result->at < 0 ? result->tokens->count : result->at + 1, count = 0;
    const char                 **enough = scry__alloc((size_t)options->prompt_count, sizeof *enough);
    scry_status                  status = enough ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    scry__random                 random;
    for (int i = 0; !status && i < options->prompt_count; i++)
        if (count_tokens(run->model, options->prompts[i], &status) >= needed) enough[count++] = options->prompts[i];
    if (!status && !count)
        status = scry__fail(SCRY_BAD_ARGUMENT,
                            "none of %d prompts has %d tokens: expected one that is as long as what is ablated",
                            options->prompt_count, needed);
    scry__random_seed(&random, options->seed);
    if (!status) {
        result->resampled = scry__strdup(enough[scry__random_below(&random, (uint64_t)count)]);
        if (!result->resampled) status = SCRY_OUT_OF_MEMORY;
    }
    scry__free(enough);
    return status;
}

static scry_status fill_mean(struct run *run, scry_edit *edits, int count)
{
    const scry_ablation_options *options = run->options;
    const scry_tokens           *tokens  = run->result->tokens;
    run->result->mean_count              = options->prompt_count;
    return scry_edit_fill(edits, count, run->model,
                          &(scry_edit_source){.sample       = SCRY_EDIT_SAMPLE_MEAN,
                                              .prompts      = options->prompts,
                                              .prompt_count = options->prompt_count,
                                              .ids          = tokens->ids,
                                              .id_count     = tokens->count});
}

static scry_status fill_sample(struct run *run, scry_edit *edits, int count)
{
    scry_status status = draw_prompt(run);
    if (status) return status;
    return scry_edit_fill(edits, count, run->model,
                          &(scry_edit_source){.sample       = SCRY_EDIT_SAMPLE_RESAMPLE,
                                              .prompts      = (const char *const[]){run->result->resampled},
                                              .prompt_count = 1});
}

/* Edits of whole hook points, one for each of every layer. */
static scry_status make_whole(struct run *run, int way)
{
    int        at = run->result->at, count = run->result->layer_count * POINT_COUNT;
    scry_edit *edits = run->whole[way] = scry__alloc((size_t)count, sizeof *edits);
    if (!edits) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) {
        edits[i].hook      = run->names[i];
        edits[i].positions = at < 0 ? (scry_range){0} : (scry_range){at, at + 1};
    }
    if (way == SCRY_ABLATION_WAY_MEAN) return fill_mean(run, edits, count);
    return way == SCRY_ABLATION_WAY_RESAMPLE ? fill_sample(run, edits, count) : SCRY_OK;
}

/* --- the sweep --- */

static void put(struct run *run, scry_ablated ablated, const scry_edit *edits, int edit_count)
{
    scry_ablation *result          = run->result;
    run->patches[result->count]    = (scry_patch){edits, edit_count};
    result->ablated[result->count] = ablated;
    result->count++;
}

/* The patches of a layer, and the edits that they are made of, `heads and two` of them. */
static void put_layer(struct run *run, scry_ablation_way way, int layer, scry_edit *edits)
{
    int              heads = run->result->head_count;
    const scry_edit *whole = run->whole[way] + layer * POINT_COUNT;
    for (int head = 0; head < heads; head++) {
        edits[head]                  = whole[Z];
        edits[head].heads[head / 64] = (uint64_t)1 << head % 64;
        put(run, (scry_ablated){.way = way, .part = SCRY_ABLATION_PART_HEAD, .layer = layer, .head = head},
            &edits[head], 1);
    }
    edits[heads]     = whole[ATTENTION];
    edits[heads + 1] = whole[MLP];
    put(run, (scry_ablated){.way = way, .part = SCRY_ABLATION_PART_ATTENTION, .layer = layer, .head = -1},
        &edits[heads], 1);
    put(run, (scry_ablated){.way = way, .part = SCRY_ABLATION_PART_MLP, .layer = layer, .head = -1}, &edits[heads + 1],
        1);
    put(run, (scry_ablated){.way = way, .part = SCRY_ABLATION_PART_LAYER, .layer = layer, .head = -1}, &edits[heads],
        2);
}

static scry_status make_patches(struct run *run)
{
    scry_ablation *result = run->result;
    size_t         layers = (size_t)result->layer_count, parts = (size_t)result->head_count + 3, ways = 0;
    scry_status    status = SCRY_OK;
    for (int way = 0; way < SCRY_ABLATION_WAY_COUNT; way++) ways += is_asked(result, way);
    run->names       = scry__alloc(layers * POINT_COUNT, sizeof *run->names);
    run->edits       = scry__alloc(ways * layers * parts, sizeof *run->edits);
    run->patches     = scry__alloc(ways * layers * parts, sizeof *run->patches);
    run->outcomes    = scry__alloc(ways * layers * parts, sizeof *run->outcomes);
    result->ablated  = scry__alloc(ways * layers * parts, sizeof *result->ablated);
    scry_edit *edits = run->edits;
    if (!run->names || !run->edits || !run->patches || !run->outcomes || !result->ablated) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < (int)layers * POINT_COUNT; i++)
        scry__hook_full_name(points[i % POINT_COUNT], i / POINT_COUNT, run->names[i]);
    for (int way = 0; !status && way < SCRY_ABLATION_WAY_COUNT; way++) {
        if (!is_asked(result, way)) continue;
        status = make_whole(run, way);
        for (int layer = 0; !status && layer < (int)layers; layer++, edits += parts)
            put_layer(run, (scry_ablation_way)way, layer, edits);
    }
    return status;
}

static scry_status read_baseline(struct run *run, const scry_outcome *baseline)
{
    scry_ablation *result = run->result;
    scry_status    status =
        scry__question_candidate(&result->answer, run->model, baseline->logits[0], (double)baseline->lse);
    if (!status && result->has_wrong)
        status = scry__question_candidate(&result->wrong, run->model, baseline->logits[1], (double)baseline->lse);
    result->loss    = baseline->loss;
    result->lse     = baseline->lse;
    result->entropy = baseline->entropy;
    return status;
}

static void read_outcome(scry_ablated *ablated, const scry_outcome *outcome, const scry_outcome *baseline,
                         bool has_wrong)
{
    float answer             = outcome->logits[0] - baseline->logits[0],
          wrong              = has_wrong ? outcome->logits[1] - baseline->logits[1] : 0;
    ablated->logit           = answer - wrong;
    ablated->log_probability = answer - (outcome->lse - baseline->lse);
    ablated->loss            = outcome->loss - baseline->loss;
    ablated->kl              = outcome->kl;
    ablated->changed         = outcome->changed;
}

static scry_status sweep(struct run *run)
{
    const scry_ablation_options *options   = run->options;
    scry_ablation               *result    = run->result;
    const int32_t                targets[] = {result->answer.id, result->wrong.id};
    scry_sweep                  *sweep     = NULL;
    scry_status                  status    = scry_sweep_create(&sweep, run->model, NULL,
                                                               &(scry_sweep_options){.ids          = result->tokens->ids,
                                                                                     .id_count     = result->tokens->count,
                                                                                     .position     = result->position,
                                                                                     .has_position = true,
                                                                                     .targets      = targets,
                                                                                     .target_count = result->has_wrong ? 2 : 1,
                                                                                     .losses       = !options->skip_loss,
                                                                                     .naive        = options->naive,
                                                                                     .batch        = options->batch,
                                                                                     .progress     = options->progress,
                                                                                     .user         = options->user});
    if (!status) status = read_baseline(run, scry_sweep_baseline(sweep));
    if (!status) status = scry_sweep_run(sweep, run->patches, result->count, run->outcomes);
    for (int i = 0; !status && i < result->count; i++)
        read_outcome(&result->ablated[i], &run->outcomes[i], scry_sweep_baseline(sweep), result->has_wrong);
    if (!status) result->cost = scry_sweep_get_cost(sweep);
    scry_sweep_destroy(&sweep);
    return status;
}

static void finish(struct run *run)
{
    for (int way = 0; way < SCRY_ABLATION_WAY_COUNT; way++) {
        for (int i = 0; run->whole[way] && i < run->result->layer_count * POINT_COUNT; i++)
            scry__free((void *)run->whole[way][i].values.data);
        scry__free(run->whole[way]);
    }
    scry__free(run->outcomes);
    scry__free(run->patches);
    scry__free(run->edits);
    scry__free(run->names);
}

scry_status scry_ablation_run(scry_ablation **out, scry_model *model, const char *text,
                              const scry_ablation_options *options)
{
    static const scry_ablation_options defaults;
    struct run                         run = {.model = model, .options = options ? options : &defaults};
    *out                                   = NULL;
    scry_status status                     = check(run.options);
    if (status) return status;
    run.result = scry__alloc(1, sizeof *run.result);
    if (!run.result) return SCRY_OUT_OF_MEMORY;
    run.result->layer_count = scry_model_get_info(model)->layer_count;
    run.result->head_count  = scry_model_get_info(model)->head_count;
    run.result->ways        = run.options->ways ? run.options->ways : 1U << SCRY_ABLATION_WAY_ZERO;
    status = scry_tokens_create(&run.result->tokens, model, text, run.options->ids, run.options->id_count);
    if (!status) status = choose(&run);
    if (!status) status = make_patches(&run);
    if (!status) status = sweep(&run);
    finish(&run);
    if (status)
        scry_ablation_destroy(&run.result);
    else
        *out = run.result;
    return status;
}

void scry_ablation_destroy(scry_ablation **ablation)
{
    scry_ablation *self = ablation ? *ablation : NULL;
    if (!self) return;
    scry__free(self->ablated);
    scry__free(self->resampled);
    scry__free(self->wrong.text);
    scry__free(self->answer.text);
    scry_tokens_destroy(&self->tokens);
    scry__free(self);
    *ablation = NULL;
}

const scry_ablated *scry_ablation_find(const scry_ablation *ablation, scry_ablation_way way, scry_ablation_part part,
                                       int layer, int head)
{
    for (int i = 0; i < ablation->count; i++) {
        const scry_ablated *one = &ablation->ablated[i];
        if (one->way == way && one->part == part && one->layer == layer &&
            (part != SCRY_ABLATION_PART_HEAD || one->head == head))
            return one;
    }
    return NULL;
}

/* Steering. See scry/steer.h.
 *
 * The continuations are scry_generate's, with the vector as one more edit. Whole distributions are read in passes of
 * their own over the prompt, and one generated token where the vector is added to generated positions alone. */
#include "analysis/progress.h"
#include "analysis/steer_shift.h"
#include "analysis/steer_vector.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/forward.h"
#include "model/model.h"
#include "trace/edit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_TOKENS = 20, DEFAULT_TOP = 5, RANDOM_VECTORS = 4 };

struct steer {
    scry_model               *model;
    const scry_steer_options *options;
    scry_generation_options   generation; /* of every run */
    scry_steering            *result;
    scry__progress            progress;
    scry_status               stopped; /* what a step of a generation said */
    char                      hook[SCRY__HOOK_NAME_SIZE];
    scry_tokens              *tokens;
    scry_edit                *edits; /* the caller's, and behind them the vector's */
    int                       edit_count;
    const float              *strengths;
    int                       strength_count, top;
    /* Reading: */
    scry__session *session;
    scry_buffer   *buffer;                  /* [V] */
    int32_t       *ids;                     /* the prompt, and a token more where `step` is 1 */
    float         *plain, *steered, *drawn; /* logits [V], [count, V], [V] */
    float         *random;                  /* a random vector [size] */
};

#define NAME_TEXT(name, text) text,
const char *scry_steer_site_text(scry_steer_site site)
{
    static const char *const texts[] = {SCRY_STEER_SITE_LIST(NAME_TEXT)};
    return (unsigned)site < SCRY_STEER_SITE_COUNT ? texts[site] : "unknown";
}

const char *scry_steer_pool_text(scry_steer_pool pool)
{
    static const char *const texts[] = {SCRY_STEER_POOL_LIST(NAME_TEXT)};
    return (unsigned)pool < SCRY_STEER_POOL_COUNT ? texts[pool] : "unknown";
}

const char *scry_steer_reach_text(scry_steer_reach reach)
{
    static const char *const texts[] = {SCRY_STEER_REACH_LIST(NAME_TEXT)};
    return (unsigned)reach < SCRY_STEER_REACH_COUNT ? texts[reach] : "unknown";
}
#undef NAME_TEXT

/* --- the vector --- */

static scry_status make_difference(struct steer *steer)
{
    const scry_steer_options *options = steer->options;
    int                       size    = steer->result->size;
    double                   *plus    = scry__alloc((size_t)size, sizeof *plus);
    double                   *minus   = scry__alloc((size_t)size, sizeof *minus);
    scry_status               status  = plus && minus ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) {
        status = scry__steer_mean(plus, steer->model, steer->hook, options->plus, options->plus_count, options->pool);
        if (status) scry__fail_prefix(status, "plus");
    }
    if (!status) {
        status =
            scry__steer_mean(minus, steer->model, steer->hook, options->minus, options->minus_count, options->pool);
        if (status) scry__fail_prefix(status, "minus");
    }
    for (int i = 0; i < size && !status; i++) steer->result->vector[i] = (float)(plus[i] - minus[i]);
    scry__free(minus);
    scry__free(plus);
    return status;
}

/* The stream's own length, at the last position of the prompt. */
static scry_status measure_stream(struct steer *steer)
{
    const scry_steer_prompt prompt = {.ids = steer->tokens->ids, .id_count = steer->tokens->count};
    int                     size   = steer->result->size;
    double                 *mean = scry__alloc((size_t)size, sizeof *mean), sum = 0;
    if (!mean) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__steer_mean(mean, steer->model, steer->hook, &prompt, 1, SCRY_STEER_POOL_LAST);
    for (int i = 0; i < size; i++) sum += mean[i] * mean[i];
    steer->result->stream = sqrt(sum);
    scry__free(mean);
    return status;
}

static scry_status make_vector(struct steer *steer)
{
    scry_steering *result = steer->result;
    float         *vector = result->vector = scry__alloc((size_t)result->size, sizeof *vector);
    if (!vector) return SCRY_OUT_OF_MEMORY;
    scry_status status = SCRY_OK;
    if (steer->options->vector)
        memcpy(vector, steer->options->vector, (size_t)result->size * sizeof *vector);
    else
        status = make_difference(steer);
    if (!status) status = measure_stream(steer);
    if (status) return status;
    for (int i = 0; i < result->size; i++)
        if (!isfinite(vector[i]))
            return scry__fail(SCRY_BAD_ARGUMENT, "the vector's element %d is %g: expected a finite number", i,
                              (double)vector[i]);
    result->length = scry__steer_length(vector, result->size);
    if (!steer->options->normalise) return SCRY_OK;
    if (!(result->length > 0))
        return scry__fail(SCRY_BAD_ARGUMENT, "the vector is all zeros and has no direction: expected prompts whose "
                                             "streams differ there");
    for (int i = 0; i < result->size; i++) vector[i] = (float)((double)vector[i] * (result->stream / result->length));
    result->length = scry__steer_length(vector, result->size);
    return SCRY_OK;
}

/* --- runs --- */

static scry_range positions_of(const struct steer *steer)
{
    int count = steer->tokens->count;
    switch (steer->options->reach) {
    case SCRY_STEER_REACH_PROMPT:
        return (scry_range){0, count};
    case SCRY_STEER_REACH_LAST:
        return (scry_range){count - 1, count};
    case SCRY_STEER_REACH_GENERATED:
        return (scry_range){count, 0};
    case SCRY_STEER_REACH_RANGE:
        return steer->options->positions;
    default:
        return (scry_range){0, 0};
    }
}

/* The edits of a run with `strength` times `vector`; without it where that is nothing. */
static scry_edits edits_of(struct steer *steer, const float *vector, float strength)
{
    steer->edits[steer->edit_count] = (scry_edit){.hook      = steer->hook,
                                                  .kind      = SCRY_EDIT_ADD,
                                                  .positions = steer->result->positions,
                                                  .factor    = strength,
                                                  .values    = {vector, 1, 1, steer->result->size}};
    return (scry_edits){steer->edit_count + (strength != 0), steer->edits};
}

static bool on_step(void *user, const scry_step *step)
{
    struct steer *steer = user;
    (void)step;
    steer->stopped = scry__progress_step(&steer->progress);
    return !steer->stopped;
}

static scry_status generate(scry_generation **out, struct steer *steer, float strength)
{
    const scry_edits edits  = edits_of(steer, steer->result->vector, strength);
    int64_t          end    = steer->progress.done + steer->generation.max_tokens;
    steer->generation.edits = edits.count ? &edits : NULL;
    scry_status status      = scry_generate(out, steer->model, NULL, &steer->generation);
    steer->progress.done    = end; /* it may have ended early */
    return status ? status : steer->stopped;
}

/* All logits of the compared step. */
static scry_status read_logits(float *out, struct steer *steer, const float *vector, float strength)
{
    const scry_edits edits      = edits_of(steer, vector, strength);
    int              vocabulary = scry_model_get_info(steer->model)->vocabulary, prompt = steer->tokens->count;
    int              count  = prompt + steer->result->step;
    scry_tensor      logits = scry_tensor_of(steer->buffer, 0, SCRY_F32, 3, (int64_t[]){1, 1, vocabulary});
    scry__editor    *editor = NULL;
    scry_status      status = scry__editor_create(
             &editor, steer->model, &(scry__editor_options){.edits = &edits, .positions = prompt, .capacity = count});
    scry__session_rewind(steer->session, 0);
    if (!status)
        status =
            scry__session_forward(steer->session, steer->ids, count, scry__editor_hooks(editor, steer->session, NULL));
    if (!status) status = scry__session_logits(steer->session, count - 1, 1, &logits);
    if (!status) status = scry_buffer_read(steer->buffer, 0, out, (size_t)vocabulary * sizeof *out);
    scry__editor_destroy(&editor);
    return status ? status : scry__progress_step(&steer->progress);
}

static scry_status compare(struct steer *steer, scry_steered *run, float *logits)
{
    scry_status status = read_logits(logits, steer, steer->result->vector, run->strength);
    if (!status) status = scry__shifts_find(run, steer->model, steer->plain, logits, steer->top);
    run->kl = (float)scry__divergence(steer->plain, logits, scry_model_get_info(steer->model)->vocabulary);
    return status;
}

static scry_status compare_random(struct steer *steer, int index)
{
    scry_steering *result     = steer->result;
    int            vocabulary = scry_model_get_info(steer->model)->vocabulary;
    double         sum        = 0;
    scry_status    status     = SCRY_OK;
    for (int i = 0; i < RANDOM_VECTORS && !status; i++) {
        scry__steer_draw(steer->random, result->size, result->length, steer->options->seed + (uint64_t)i);
        status = read_logits(steer->drawn, steer, steer->random, result->runs[index].strength);
        if (status) break;
        double kl = scry__divergence(steer->plain, steer->drawn, vocabulary);
        sum += kl;
        result->random_kls[index * RANDOM_VECTORS + i] = (float)kl;
        scry__followed_take_random(result, index, i, steer->drawn, vocabulary);
    }
    result->runs[index].random_kl = (float)(sum / RANDOM_VECTORS);
    return status;
}

/* Which tokens to follow is known once all strengths have been read. */
static scry_status compare_all(struct steer *steer)
{
    scry_steering *result     = steer->result;
    size_t         vocabulary = (size_t)scry_model_get_info(steer->model)->vocabulary;
    scry_status    status     = SCRY_OK;
    for (int i = 0; i < result->count && !status; i++)
        status = compare(steer, &result->runs[i], steer->steered + (size_t)i * vocabulary);
    if (!status) status = scry__followed_choose(result, steer->model, steer->plain, steer->steered, steer->top);
    for (int i = 0; i < result->count && !status; i++) status = compare_random(steer, i);
    return status;
}

/* What reading takes. Nothing is compared (steer->plain stays NULL) where the vector reaches no prediction: where
 * generation stopped before, or the context is full. */
static scry_status prepare_reading(struct steer *steer)
{
    scry_steering *result     = steer->result;
    int            vocabulary = scry_model_get_info(steer->model)->vocabulary, prompt = steer->tokens->count;
    int            count = prompt + result->step;
    if (result->plain->step_count < 1 || count > scry_model_get_info(steer->model)->context) return SCRY_OK;
    steer->ids         = scry__alloc((size_t)count, sizeof *steer->ids);
    steer->plain       = scry__alloc((size_t)vocabulary, sizeof *steer->plain);
    steer->steered     = scry__alloc((size_t)steer->strength_count, (size_t)vocabulary * sizeof *steer->steered);
    steer->drawn       = scry__alloc((size_t)vocabulary, sizeof *steer->drawn);
    steer->random      = scry__alloc((size_t)result->size, sizeof *steer->random);
    result->random_kls = scry__alloc((size_t)steer->strength_count, RANDOM_VECTORS * sizeof *result->random_kls);
    if (!steer->ids || !steer->plain || !steer->steered || !steer->drawn || !steer->random || !result->random_kls)
        return SCRY_OUT_OF_MEMORY;
    memcpy(steer->ids, steer->tokens->ids, (size_t)prompt * sizeof *steer->ids);
    if (result->step) steer->ids[prompt] = result->plain->steps[0].chosen.id;
    scry_status status =
        scry_buffer_create(&steer->buffer, scry_model_device(steer->model), (size_t)vocabulary * sizeof(float));
    if (!status)
        status = scry__session_create(&steer->session, steer->model, &(scry__session_options){.capacity = count});
    return status ? status : read_logits(steer->plain, steer, NULL, 0);
}

static scry_status run_all(struct steer *steer)
{
    scry_steering *result = steer->result;
    result->random_count  = RANDOM_VECTORS;
    result->runs          = scry__alloc((size_t)steer->strength_count, sizeof *result->runs);
    if (!result->runs) return SCRY_OUT_OF_MEMORY;
    steer->progress.total =
        (1 + steer->strength_count) * ((int64_t)steer->generation.max_tokens + 1 + RANDOM_VECTORS) - RANDOM_VECTORS;
    scry_status status = generate(&result->plain, steer, 0);
    if (!status) status = prepare_reading(steer);
    for (int i = 0; i < steer->strength_count && !status; i++) {
        scry_steered *run = &result->runs[result->count++];
        *run              = (scry_steered){.strength = steer->strengths[i], .kl = NAN, .random_kl = NAN};
        status            = generate(&run->generation, steer, run->strength);
    }
    if (!status && steer->plain) status = compare_all(steer);
    return status;
}

/* --- the call --- */

static scry_status check_options(const scry_steer_options *options, const scry_model_info *info)
{
    if (options->layer < 0 || options->layer >= info->layer_count)
        return scry__fail(SCRY_BAD_ARGUMENT, "layer %d: expected 0 to %d", options->layer, info->layer_count - 1);
    if ((unsigned)options->site >= SCRY_STEER_SITE_COUNT || (unsigned)options->pool >= SCRY_STEER_POOL_COUNT ||
        (unsigned)options->reach >= SCRY_STEER_REACH_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT, "site %d, pool %d, reach %d: expected those that scry/steer.h lists",
                          (int)options->site, (int)options->pool, (int)options->reach);
    if (!options->vector && (options->plus_count < 1 || options->minus_count < 1))
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%d prompts to steer to and %d to steer from: expected at least one of "
                          "each, or a vector",
                          options->plus_count, options->minus_count);
    if (options->top < 0 || options->top > SCRY_MAX_TOP || (options->strengths && options->strength_count < 1))
        return scry__fail(SCRY_BAD_ARGUMENT, "%d tokens and %d strengths: expected 1 to %d tokens, 1 strength or more",
                          options->top, options->strength_count, SCRY_MAX_TOP);
    for (int i = 0; options->strengths && i < options->strength_count; i++)
        if (!isfinite(options->strengths[i]))
            return scry__fail(SCRY_BAD_ARGUMENT, "strength %d is %g: expected a finite number", i,
                              (double)options->strengths[i]);
    return SCRY_OK;
}

/* The prompt, where in it the vector is added, and with which options it is continued. */
static scry_status start(struct steer *steer, const char *text)
{
    static const float        defaults[] = {1, 2, 4};
    const scry_steer_options *options    = steer->options;
    scry_steering            *result     = steer->result;
    scry_status status = scry_tokens_create(&steer->tokens, steer->model, text, options->ids, options->id_count);
    if (status) return status;
    steer->strengths      = options->strengths ? options->strengths : defaults;
    steer->strength_count = options->strengths ? options->strength_count : (int)(sizeof defaults / sizeof *defaults);
    steer->top            = options->top ? options->top : DEFAULT_TOP;
    if (options->generation) steer->generation = *options->generation;
    if (!steer->generation.max_tokens) steer->generation.max_tokens = DEFAULT_TOKENS;
    const scry_edits *edits    = steer->generation.edits;
    steer->generation.ids      = steer->tokens->ids;
    steer->generation.id_count = steer->tokens->count;
    steer->generation.on_step  = on_step;
    steer->generation.user     = steer;
    result->layer              = options->layer;
    result->site               = options->site;
    result->reach              = options->reach;
    result->size               = scry_model_get_info(steer->model)->hidden_size;
    result->positions          = positions_of(steer);
    result->step               = result->positions.begin >= steer->tokens->count;
    steer->edit_count          = edits ? edits->count : 0;
    steer->edits               = scry__alloc((size_t)steer->edit_count + 1, sizeof *steer->edits);
    if (!steer->edits) return SCRY_OUT_OF_MEMORY;
    if (edits) memcpy(steer->edits, edits->edits, (size_t)edits->count * sizeof *steer->edits);
    scry__hook_full_name(options->site == SCRY_STEER_SITE_RESID_PRE ? SCRY__HOOK_RESID_PRE : SCRY__HOOK_RESID_POST,
                         options->layer, steer->hook);
    if (result->positions.begin > steer->tokens->count)
        return scry__fail(SCRY_BAD_ARGUMENT, "positions from %d on: expected 0 to %d, the first that is generated",
                          result->positions.begin, steer->tokens->count);
    if (result->step && steer->generation.max_tokens == 1)
        return scry__fail(SCRY_BAD_ARGUMENT, "one token is generated, which no generated position comes before: "
                                             "expected 2 or more, or positions of the prompt");
    return SCRY_OK;
}

scry_status scry_steer(scry_steering **out, scry_model *model, const char *text, const scry_steer_options *options)
{
    static const scry_steer_options none;
    struct steer                    steer = {.model = model, .options = options ? options : &none};
    scry_status                     status;
    *out   = NULL;
    status = check_options(steer.options, scry_model_get_info(model));
    if (status) return status;
    steer.progress.report = steer.options->progress;
    steer.progress.user   = steer.options->user;
    steer.result          = scry__alloc(1, sizeof *steer.result);
    if (!steer.result) return SCRY_OUT_OF_MEMORY;
    status = start(&steer, text);
    if (!status) status = make_vector(&steer);
    if (!status) status = run_all(&steer);
    scry__session_destroy(&steer.session);
    scry_buffer_destroy(&steer.buffer);
    scry__free(steer.random);
    scry__free(steer.drawn);
    scry__free(steer.steered);
    scry__free(steer.plain);
    scry__free(steer.ids);
    scry__free(steer.edits);
    scry_tokens_destroy(&steer.tokens);
    if (status)
        scry_steering_destroy(&steer.result);
    else
        *out = steer.result;
    return status;
}

static void release_shifts(scry_shift *shifts, int count)
{
    for (int i = 0; i < count; i++) scry__free(shifts[i].text);
    scry__free(shifts);
}

void scry_steering_destroy(scry_steering **steering)
{
    scry_steering *self = steering ? *steering : NULL;
    if (!self) return;
    for (int i = 0; i < self->count; i++) {
        release_shifts(self->runs[i].rises, self->runs[i].rise_count);
        release_shifts(self->runs[i].falls, self->runs[i].fall_count);
        scry_generation_destroy(&self->runs[i].generation);
    }
    scry__free(self->runs);
    scry__free(self->random_kls);
    scry__followed_release(self);
    scry_generation_destroy(&self->plain);
    scry__free(self->vector);
    scry__free(self);
    *steering = NULL;
}

/* Generation: the prompt in one pass, then a token at a time on cached keys and values. See scry/model.h.
 *
 * Candidates, their log-sum-exp and the entropy come from the lens op over the last row. With a temperature the next
 * token is drawn from the whole distribution, on the host in f64. */
#include "analysis/temper.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "model/forward.h"
#include "model/model.h"
#include "trace/edit.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_TOKENS = 20, DEFAULT_TOP = 5 };

struct generator {
    scry_model                    *model;
    const scry_generation_options *options;
    scry_generation               *result;
    scry__session                 *session;
    scry__editor                  *editor; /* NULL: no edits */
    scry__random                   random;
    scry_buffer                   *readout; /* top ids, top logits, lse, entropy */
    scry_buffer                   *logits;  /* [V], where temperatures ask for it */
    float                         *host_logits;
    int                            capacity;
};

/* Reads the last row through the lens op into step->top, ->lse and ->entropy. */
static scry_status read_candidates(struct generator *generator, scry_step *step, int rows)
{
    union {
        int32_t id;
        float   value;
    } host[2 * SCRY_MAX_TOP + 2];
    int64_t      top     = generator->result->top_count;
    size_t       word    = sizeof *host;
    int64_t      shape[] = {1, 1, top};
    scry_buffer *buffer  = generator->readout;
    scry_op      op      = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(generator->model)};
    op.lens.x            = scry_tensor_slice(scry__session_residual(generator->session), 1, rows - 1, 1);
    op.lens.top_id       = scry_tensor_of(buffer, 0, SCRY_I32, 3, shape);
    op.lens.top_logit    = scry_tensor_of(buffer, (size_t)top * word, SCRY_F32, 3, shape);
    op.lens.lse          = scry_tensor_of(buffer, (size_t)(2 * top) * word, SCRY_F32, 2, shape);
    op.lens.entropy      = scry_tensor_of(buffer, (size_t)(2 * top + 1) * word, SCRY_F32, 2, shape);
    scry_status status   = scry_device_run(generator->model->device, &op);
    if (!status) status = scry_buffer_read(buffer, 0, host, (size_t)(2 * top + 2) * word);
    if (status) return status;
    step->lse     = host[2 * top].value;
    step->entropy = host[2 * top + 1].value;
    for (int64_t i = 0; i < top; i++) {
        scry_candidate *candidate = &step->top[i];
        candidate->id             = host[i].id;
        candidate->logit          = host[top + i].value;
        candidate->probability    = expf(candidate->logit - step->lse);
    }
    return SCRY_OK;
}

/* Draws from softmax(logits / temperature): the first id at which the running sum passes a uniform share of it. */
static int32_t draw(struct generator *generator, int vocabulary)
{
    const float *logits = generator->host_logits;
    double       best, running = 0.0, temperature = (double)generator->options->temperature;
    double       sum    = scry__temper_sum(logits, vocabulary, temperature, &best);
    double       share  = scry__random_uniform(&generator->random) * sum;
    int32_t      chosen = 0;
    for (int i = 0; i < vocabulary; i++) {
        double weight = exp(((double)logits[i] - best) / temperature);
        if (weight > 0.0) chosen = i; /* rounding must not end on a token of probability 0 */
        running += weight;
        if (running > share) break;
    }
    return chosen;
}

/* Are all logits wanted on the host? */
static bool needs_logits(const scry_generation_options *options)
{
    return options->temperature > 0.0f || options->temperature_count;
}

/* The step's distribution at every temperature that was asked for. */
static scry_status temper(struct generator *generator, scry_step *step)
{
    const scry_generation_options *options = generator->options;
    int                            top     = generator->result->top_count;
    if (!options->temperature_count) return SCRY_OK;
    step->tempered = scry__alloc((size_t)options->temperature_count, sizeof *step->tempered);
    if (!step->tempered) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < options->temperature_count; i++) {
        scry_tempered *tempered = &step->tempered[i];
        tempered->temperature   = options->temperatures[i];
        tempered->probabilities = scry__alloc((size_t)top, sizeof *tempered->probabilities);
        if (!tempered->probabilities) return SCRY_OUT_OF_MEMORY;
        scry__temper(tempered, generator->host_logits, generator->model->info.vocabulary, step->top, top);
    }
    return SCRY_OK;
}

static scry_status choose(struct generator *generator, scry_step *step, int rows)
{
    int vocabulary = generator->model->info.vocabulary;
    if (needs_logits(generator->options)) {
        scry_tensor out    = scry_tensor_of(generator->logits, 0, SCRY_F32, 3, (int64_t[]){1, 1, vocabulary});
        scry_status status = scry__session_logits(generator->session, rows - 1, 1, &out);
        if (!status)
            status = scry_buffer_read(generator->logits, 0, generator->host_logits, (size_t)vocabulary * sizeof(float));
        if (!status) status = temper(generator, step);
        if (status) return status;
    }
    if (generator->options->temperature > 0.0f) {
        step->chosen.id    = draw(generator, vocabulary);
        step->chosen.logit = generator->host_logits[step->chosen.id];
    } else {
        step->chosen = step->top[0];
    }
    step->chosen.probability = expf(step->chosen.logit - step->lse);
    step->chosen.text        = NULL;
    step->sureness           = scry_sureness_of(step->entropy, vocabulary);
    return SCRY_OK;
}

static scry_status add_texts(scry_model *model, scry_step *step, int top)
{
    scry_status status = scry_token_text(model, step->chosen.id, &step->chosen.text);
    for (int i = 0; i < top && !status; i++) status = scry_token_text(model, step->top[i].id, &step->top[i].text);
    return status;
}

static bool is_end(const scry__arch *arch, int32_t id)
{
    for (int i = 0; i < arch->end_count; i++)
        if (arch->end_ids[i] == id) return true;
    return false;
}

/* One token: passes over `ids`, reads the last row, chooses. *stop is why generation is over, or NULL. From logits that
 * are NaN or infinite nothing can be chosen, so such a step is not kept. */
static scry_status take_step(struct generator *generator, const int32_t *ids, int count, const char **stop)
{
    const scry_generation_options *options = generator->options;
    scry_generation               *result  = generator->result;
    scry_step                     *step    = &result->steps[result->step_count];
    scry_status                    status  = scry__session_forward(generator->session, ids, count,
                                                                   scry__editor_hooks(generator->editor, generator->session, NULL));
    if (status) return status;
    step->top = scry__alloc((size_t)result->top_count, sizeof *step->top);
    if (!step->top) return SCRY_OUT_OF_MEMORY;
    result->step_count++; /* from here on the result owns what the step holds */
    status = read_candidates(generator, step, count);
    if (!status && !isfinite(step->lse)) {
        result->step_count--;
        scry__free(step->top);
        *step = (scry_step){0};
        *stop = "not finite";
        return SCRY_OK;
    }
    if (!status) status = choose(generator, step, count);
    if (!status) status = add_texts(generator->model, step, result->top_count);
    if (status) return status;
    *stop = NULL;
    if (options->on_step && !options->on_step(options->user, step))
        *stop = "caller";
    else if (!options->ignore_end && is_end(&generator->model->arch, step->chosen.id))
        *stop = "end of text";
    return SCRY_OK;
}

static scry_status generate(struct generator *generator, int max_tokens)
{
    scry_generation *result = generator->result;
    const char      *stop   = NULL;
    scry_status      status = take_step(generator, result->prompt->ids, result->prompt->count, &stop);
    while (!status && !stop && result->step_count < max_tokens) {
        if (scry__session_length(generator->session) == generator->capacity)
            stop = "context";
        else
            status = take_step(generator, &result->steps[result->step_count - 1].chosen.id, 1, &stop);
    }
    result->stop_reason = stop ? stop : "length";
    return status;
}

/* The continuation as text; without a tokenizer, the ids with spaces between. */
static scry_status join(scry_generation *result, scry_model *model)
{
    const scry_tokenizer *tokenizer;
    scry__text            text   = {0};
    scry_status           status = scry__model_find_tokenizer(model, &tokenizer);
    if (status) return status;
    if (!tokenizer) {
        for (int i = 0; i < result->step_count; i++)
            scry__text_addf(&text, i ? " %d" : "%d", (int)result->steps[i].chosen.id);
        return scry__text_take(&text, &result->text, NULL);
    }
    int32_t *ids = scry__alloc((size_t)result->step_count, sizeof *ids);
    if (!ids) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->step_count; i++) ids[i] = result->steps[i].chosen.id;
    status = scry_tokenizer_decode(tokenizer, ids, result->step_count, false, &result->text, NULL);
    scry__free(ids);
    return status;
}

static scry_status prepare(struct generator *generator, int max_tokens)
{
    scry_device *device = generator->model->device;
    int          prompt = generator->result->prompt->count, room = generator->model->info.context - prompt;
    size_t       row    = (size_t)generator->model->info.vocabulary * sizeof(float);
    int          steps  = max_tokens <= room ? max_tokens : room + 1; /* a full context still gives one more token */
    generator->capacity = prompt + steps - 1;
    scry__session_options options = {.capacity = generator->capacity, .rows = prompt, .keep_cache = true};
    generator->result->steps      = scry__alloc((size_t)steps, sizeof *generator->result->steps);
    if (!generator->result->steps) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__session_create(&generator->session, generator->model, &options);
    if (!status)
        status = scry__editor_create(&generator->editor, generator->model,
                                     &(scry__editor_options){.edits     = generator->options->edits,
                                                             .positions = prompt,
                                                             .capacity  = generator->capacity});
    if (!status)
        status = scry_buffer_create(&generator->readout, device,
                                    (size_t)(2 * generator->result->top_count + 2) * sizeof(float));
    if (status || !needs_logits(generator->options)) return status;
    generator->host_logits = scry__alloc((size_t)generator->model->info.vocabulary, sizeof(float));
    if (!generator->host_logits) return SCRY_OUT_OF_MEMORY;
    return scry_buffer_create(&generator->logits, device, row);
}

static scry_status check_options(const scry_generation_options *options)
{
    if (options->max_tokens < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "max_tokens %d: expected 1 or more", options->max_tokens);
    if (options->top < 0 || options->top > SCRY_MAX_TOP)
        return scry__fail(SCRY_BAD_ARGUMENT, "top %d: expected 1 to %d", options->top, SCRY_MAX_TOP);
    if (!(options->temperature >= 0.0f && isfinite(options->temperature)))
        return scry__fail(SCRY_BAD_ARGUMENT, "temperature %g: expected 0 or more", (double)options->temperature);
    if (options->temperature_count < 0 || options->temperature_count > SCRY_MAX_TEMPERATURES)
        return scry__fail(SCRY_BAD_ARGUMENT, "%d temperatures: expected 0 to %d", options->temperature_count,
                          SCRY_MAX_TEMPERATURES);
    for (int i = 0; i < options->temperature_count; i++)
        if (!(options->temperatures[i] > 0.0f && isfinite(options->temperatures[i])))
            return scry__fail(SCRY_BAD_ARGUMENT, "temperature %d is %g: expected more than 0", i,
                              (double)options->temperatures[i]);
    return SCRY_OK;
}

scry_status scry_generate(scry_generation **out, scry_model *model, const char *text,
                          const scry_generation_options *options)
{
    static const scry_generation_options defaults   = {0};
    struct generator                     generator  = {.model = model, .options = options ? options : &defaults};
    int                                  vocabulary = model->info.vocabulary;
    scry_status                          status     = check_options(generator.options);
    if (status) return status;
    int max_tokens   = generator.options->max_tokens ? generator.options->max_tokens : DEFAULT_TOKENS;
    int top          = generator.options->top ? generator.options->top : DEFAULT_TOP;
    generator.result = scry__alloc(1, sizeof *generator.result);
    if (!generator.result) return SCRY_OUT_OF_MEMORY;
    generator.result->top_count         = top < vocabulary ? top : vocabulary;
    generator.result->temperature_count = generator.options->temperature_count;
    scry__random_seed(&generator.random, generator.options->seed);
    status =
        scry_tokens_create(&generator.result->prompt, model, text, generator.options->ids, generator.options->id_count);
    if (!status) status = prepare(&generator, max_tokens);
    if (!status) status = generate(&generator, max_tokens);
    if (!status) status = join(generator.result, model);
    scry__free(generator.host_logits);
    scry_buffer_destroy(&generator.logits);
    scry_buffer_destroy(&generator.readout);
    scry__editor_destroy(&generator.editor);
    scry__session_destroy(&generator.session);
    if (status)
        scry_generation_destroy(&generator.result);
    else
        *out = generator.result;
    return status;
}

void scry_generation_destroy(scry_generation **generation)
{
    scry_generation *self = generation ? *generation : NULL;
    if (!self) return;
    for (int i = 0; i < self->step_count; i++) {
        scry_step *step = &self->steps[i];
        for (int j = 0; step->top && j < self->top_count; j++) scry__free(step->top[j].text);
        for (int j = 0; step->tempered && j < self->temperature_count; j++) scry__free(step->tempered[j].probabilities);
        scry__free(step->tempered);
        scry__free(step->top);
        scry__free(step->chosen.text);
    }
    scry__free(self->steps);
    scry_free(self->text);
    scry_tokens_destroy(&self->prompt);
    scry__free(self);
    *generation = NULL;
}

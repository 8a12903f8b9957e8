/* Random tokens said twice. See probe.h. */
#include "analysis/probe.h"

#include "analysis/score.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "model/forward.h"
#include "model/model.h"
#include "model/tokenizer.h"
#include "trace/read.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_LENGTH = 50, DEFAULT_SEEDS = 4, LEAST_LENGTH = 2 };

/* Ids that may be drawn: what a text can hold; without a tokenizer the whole vocabulary. */
static scry_status allowed_ids(int32_t **out, int *count, const scry_tokenizer *tokenizer, int vocabulary)
{
    int32_t *ids = scry__alloc((size_t)vocabulary, sizeof *ids);
    *out         = ids;
    *count       = 0;
    if (!ids) return SCRY_OUT_OF_MEMORY;
    for (int32_t id = 0; id < vocabulary; id++) {
        bool plain =
            !tokenizer || (scry_tokenizer_bytes(tokenizer, id, NULL) && !scry_tokenizer_is_special(tokenizer, id));
        if (plain) ids[(*count)++] = id;
    }
    return *count ? SCRY_OK : scry__fail(SCRY_BAD_INPUT, "the tokenizer has special tokens only");
}

static scry_status choose_length(scry__probe_tokens *tokens, int context, int length, int seeds)
{
    int most = (context - tokens->prefix) / 2;
    if (length < 0 || seeds < 0 || length == 1)
        return scry__fail(SCRY_BAD_ARGUMENT, "a probe of %d tokens and %d seeds: expected at least %d and 1", length,
                          seeds, LEAST_LENGTH);
    if (length > most || most < LEAST_LENGTH)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "a probe of %d tokens said twice: the context of %d has room for %d after the %d that begin "
                          "a text",
                          length ? length : LEAST_LENGTH, context, most, tokens->prefix);
    tokens->length = length ? length : most < DEFAULT_LENGTH ? most : DEFAULT_LENGTH;
    tokens->seeds  = seeds ? seeds : DEFAULT_SEEDS;
    return SCRY_OK;
}

static void draw(const scry__probe_tokens *tokens, int32_t *row, const int32_t *allowed, int allowed_count,
                 uint64_t seed)
{
    scry__random random;
    int32_t     *copy = row + tokens->prefix;
    scry__random_seed(&random, seed);
    for (int i = 0; i < tokens->length; i++) {
        copy[i]                  = allowed[scry__random_below(&random, (uint64_t)allowed_count)];
        copy[i + tokens->length] = copy[i];
    }
}

scry_status scry__probe_draw(scry__probe_tokens *tokens, scry_model *model, int length, int seeds, uint64_t seed)
{
    const scry_model_info *info      = scry_model_get_info(model);
    const scry_tokenizer  *tokenizer = NULL;
    int32_t               *allowed   = NULL;
    int                    allowed_count;
    *tokens            = (scry__probe_tokens){0};
    scry_status status = scry__model_find_tokenizer(model, &tokenizer);
    if (status) return status;
    tokens->prefix = tokenizer ? tokenizer->template.before.count : 0;
    status         = choose_length(tokens, info->context, length, seeds);
    if (!status) status = allowed_ids(&allowed, &allowed_count, tokenizer, info->vocabulary);
    if (status) goto done;
    size_t positions = (size_t)scry__probe_positions(tokens);
    tokens->ids      = scry__alloc((size_t)tokens->seeds, positions * sizeof *tokens->ids);
    if (!tokens->ids) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < tokens->seeds; i++) {
        int32_t *row = tokens->ids + (size_t)i * positions;
        if (tokens->prefix) memcpy(row, tokenizer->template.before.data, (size_t)tokens->prefix * sizeof *row);
        draw(tokens, row, allowed, allowed_count, seed + (uint64_t)i);
    }
done:
    scry__free(allowed);
    return status;
}

void scry__probe_tokens_finish(scry__probe_tokens *tokens)
{
    scry__free(tokens->ids);
    *tokens = (scry__probe_tokens){0};
}

int scry__probe_positions(const scry__probe_tokens *tokens)
{
    return tokens->prefix + 2 * tokens->length;
}

/* From a row of the second copy back to where its token was said before, or to the token behind that place. */
static int distance_of(const scry__probe_tokens *tokens, scry_head_score_kind kind)
{
    return kind == SCRY_HEAD_INDUCTION ? tokens->length - 1 : tokens->length;
}

double scry__probe_uniform(const scry__probe_tokens *tokens, scry_head_score_kind kind, int64_t window)
{
    bool is_previous = kind == SCRY_HEAD_PREVIOUS;
    int  begin       = is_previous ? 1 : tokens->prefix + tokens->length;
    int  distance    = is_previous ? 1 : distance_of(tokens, kind);
    return window > 0 && distance >= window ? 0 : scry__uniform_mean(begin, scry__probe_positions(tokens), window);
}

/* State of one pass: rows [begin, begin + count) of every sequence. */
struct pass {
    scry__probe              *probe;
    const scry__probe_tokens *tokens;
    scry_model               *model;
    scry__session            *session;
    int                       heads; /* of a layer */
    int                       begin, count;
    float                    *sums; /* [seeds, heads, positions]: mass by distance */
};

static bool wants(void *user, scry__hook hook, int layer)
{
    (void)user;
    (void)layer;
    return hook == SCRY__HOOK_STAT_DISTANCE;
}

/* Mass by distance of one layer, [seeds, heads, keys]: the second copy's rows hold the scores at two distances. */
static scry_status take_distance(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct pass              *pass   = user;
    scry__probe              *probe  = pass->probe;
    const scry__probe_tokens *tokens = pass->tokens;
    bool                      second = pass->begin > 0;
    int64_t                   keys   = value->shape[2];
    scry_status               status = scry__read_tensor(value, pass->sums);
    (void)hook;
    for (int seed = 0; !status && seed < tokens->seeds; seed++)
        for (int head = 0; head < pass->heads; head++) {
            const float *sums = pass->sums + (seed * pass->heads + head) * keys;
            size_t       at   = (size_t)((layer * pass->heads + head) * tokens->seeds + seed);
            probe->previous[at] += sums[1] / (float)(probe->positions - 1);
            if (!second) continue;
            probe->induction[at] = sums[distance_of(tokens, SCRY_HEAD_INDUCTION)] / (float)tokens->length;
            probe->duplicate[at] = sums[distance_of(tokens, SCRY_HEAD_DUPLICATE)] / (float)tokens->length;
        }
    return status;
}

/* The loss of one sequence's rows on the tokens that follow them; the last token of all is followed by none. */
static scry_status read_loss(const struct pass *pass, int seed, scry_buffer *targets, scry_buffer *results,
                             float *numbers)
{
    const scry__probe_tokens *tokens    = pass->tokens;
    int                       positions = pass->probe->positions, count = pass->count;
    const int32_t            *ids  = tokens->ids + (size_t)seed * (size_t)positions + pass->begin + 1;
    int                       used = pass->begin + count < positions ? count : count - 1;
    const int64_t             rows = used, shape[] = {1, used};
    size_t                    bytes  = (size_t)used * sizeof(float);
    scry_tensor               resid  = scry__session_residual(pass->session);
    scry_op                   op     = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(pass->model)};
    scry_status               status = scry_buffer_write(targets, 0, ids, bytes);
    op.lens.x                        = scry_tensor_slice(scry_tensor_slice(resid, 0, seed, 1), 1, 0, used);
    op.lens.target                   = scry_tensor_of(targets, 0, SCRY_I32, 1, &rows);
    op.lens.lse                      = scry_tensor_of(results, 0, SCRY_F32, 2, shape);
    op.lens.target_logit             = scry_tensor_of(results, bytes, SCRY_F32, 2, shape);
    if (!status) status = scry_device_run(scry_model_device(pass->model), &op);
    if (!status) status = scry_buffer_read(results, 0, numbers, 2 * bytes);
    float *loss = pass->probe->loss + (size_t)seed * (size_t)positions + pass->begin + 1;
    for (int i = 0; !status && i < used; i++) loss[i] = numbers[i] - numbers[used + i];
    return status;
}

static scry_status read_losses(const struct pass *pass)
{
    scry_device *device  = scry_model_device(pass->model);
    size_t       bytes   = (size_t)pass->count * sizeof(float);
    scry_buffer *targets = NULL, *results = NULL;
    float       *numbers = scry__alloc(2, bytes);
    scry_status  status  = numbers ? scry_buffer_create(&targets, device, bytes) : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry_buffer_create(&results, device, 2 * bytes);
    for (int seed = 0; !status && seed < pass->tokens->seeds; seed++)
        status = read_loss(pass, seed, targets, results, numbers);
    scry_buffer_destroy(&targets);
    scry_buffer_destroy(&results);
    scry__free(numbers);
    return status;
}

/* Rows [begin, begin + count) of every sequence, through the model. */
static scry_status run_rows(struct pass *pass, int begin, int count, bool with_loss)
{
    const scry__hooks hooks     = {.user = pass, .wants = wants, .at = take_distance};
    size_t            positions = (size_t)pass->probe->positions, rows = (size_t)count;
    int32_t          *ids = scry__alloc((size_t)pass->tokens->seeds, rows * sizeof *ids);
    if (!ids) return SCRY_OUT_OF_MEMORY;
    for (size_t seed = 0; seed < (size_t)pass->tokens->seeds; seed++)
        memcpy(ids + seed * rows, pass->tokens->ids + seed * positions + begin, rows * sizeof *ids);
    pass->begin        = begin;
    pass->count        = count;
    scry_status status = scry__session_forward(pass->session, ids, count, &hooks);
    if (!status && with_loss) status = read_losses(pass);
    scry__free(ids);
    return status;
}

static scry_status probe_create(scry__probe *probe, const scry_model_info *info, const scry__probe_tokens *tokens)
{
    *probe        = (scry__probe){.head_count = info->layer_count * info->head_count,
                                  .seeds      = tokens->seeds,
                                  .positions  = scry__probe_positions(tokens)};
    size_t places = (size_t)probe->head_count, losses = (size_t)probe->positions;
    probe->induction = scry__alloc(places, (size_t)tokens->seeds * sizeof *probe->induction);
    probe->duplicate = scry__alloc(places, (size_t)tokens->seeds * sizeof *probe->duplicate);
    probe->previous  = scry__alloc(places, (size_t)tokens->seeds * sizeof *probe->previous);
    probe->loss      = scry__alloc(losses, (size_t)tokens->seeds * sizeof *probe->loss);
    if (!probe->induction || !probe->duplicate || !probe->previous || !probe->loss) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < losses * (size_t)tokens->seeds; i++) probe->loss[i] = NAN;
    return SCRY_OK;
}

scry_status scry__probe_run(scry__probe *probe, scry_model *model, const scry__probe_tokens *tokens, bool with_loss)
{
    const scry_model_info      *info    = scry_model_get_info(model);
    scry_status                 status  = probe_create(probe, info, tokens);
    int                         first   = tokens->prefix + tokens->length;
    const scry__session_options options = {
        .batch = tokens->seeds, .capacity = probe->positions, .rows = first, .keep_cache = true};
    struct pass pass = {.probe = probe, .tokens = tokens, .model = model, .heads = info->head_count};
    if (status) goto done;
    pass.sums = scry__alloc((size_t)tokens->seeds * (size_t)pass.heads, (size_t)probe->positions * sizeof *pass.sums);
    status    = pass.sums ? scry__session_create(&pass.session, model, &options) : SCRY_OUT_OF_MEMORY;
    if (!status) status = run_rows(&pass, 0, first, with_loss);
    if (!status) status = run_rows(&pass, first, tokens->length, with_loss);
done:
    scry__session_destroy(&pass.session);
    scry__free(pass.sums);
    if (status) scry__probe_finish(probe);
    return status;
}

void scry__probe_finish(scry__probe *probe)
{
    scry__free(probe->induction);
    scry__free(probe->duplicate);
    scry__free(probe->previous);
    scry__free(probe->loss);
    *probe = (scry__probe){0};
}

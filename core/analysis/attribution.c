/* Direct logit attribution. See scry/attribute.h. */
#include "scry/attribute.h"

#include "analysis/frozen.h"
#include "analysis/question.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/model.h"

#include <math.h>

struct run {
    scry_model                     *model;
    const scry_attribution_options *options;
    scry_attribution               *result;
    scry__written                   written;
    scry__reading                   reading;
    scry__share                    *heads; /* [H], of one layer */
    double                          sum;
};

const char *scry_contribution_text(scry_contribution_kind kind)
{
    static const char *const texts[] = {
#define CONTRIBUTION_TEXT(name, text) text,
        SCRY_CONTRIBUTION_LIST(CONTRIBUTION_TEXT)
#undef CONTRIBUTION_TEXT
    };
    return (unsigned)kind < SCRY_CONTRIBUTION_COUNT ? texts[kind] : "unknown";
}

/* --- what is asked --- */

static int32_t find_likeliest(const float *logits, int64_t count)
{
    int32_t best = 0;
    for (int32_t id = 1; id < count; id++)
        if (logits[id] > logits[best]) best = id;
    return best;
}

static scry_status read_tokens(struct run *run)
{
    const float      *logits = run->written.logits;
    scry_attribution *result = run->result;
    int64_t           count  = run->model->arch.vocabulary;
    int32_t           best   = find_likeliest(logits, count);
    double            sum    = 0;
    for (int64_t id = 0; id < count; id++) sum += exp((double)logits[id] - (double)logits[best]);
    double lse = log(sum) + (double)logits[best];
    if (result->answer.id < 0) result->answer.id = best;
    scry_status status = scry__question_candidate(&result->answer, run->model, logits[result->answer.id], lse);
    if (!status && result->has_wrong)
        status = scry__question_candidate(&result->wrong, run->model, logits[result->wrong.id], lse);
    result->logit = (double)result->answer.logit - (result->has_wrong ? (double)result->wrong.logit : 0);
    return status;
}

/* --- what is answered --- */

/* gamma(n) = n u / (1 - n u): what so many roundings in a row can change at most. */
static double gamma_of(int64_t roundings)
{
    double error = (double)roundings * ldexp(1, -24);
    return error / (1 - error);
}

/* Of the final norm (d + 10) and of the unembedding's sum, scale and bias (d + 2). */
static double reading_error(const scry__arch *arch)
{
    return gamma_of(2 * arch->hidden_size + 12);
}

/* What the pass rounds of a contribution: the sum that is the stream, before it that of an output projection, and
 * behind that a norm. */
static double error_of(const scry__arch *arch, scry_contribution_kind kind)
{
    int64_t stream = 2 * arch->layer_count + 2, projection = arch->head_count * arch->head_size + 2;
    int64_t norm = arch->norm_after ? arch->hidden_size + 10 : 0;
    switch (kind) {
    case SCRY_CONTRIBUTION_HEAD:
    case SCRY_CONTRIBUTION_ATTENTION_BIAS:
        return gamma_of(stream + projection + norm);
    case SCRY_CONTRIBUTION_NORM_BIAS:
    case SCRY_CONTRIBUTION_UNEMBEDDING_BIAS:
        return reading_error(arch);
    default:
        return gamma_of(stream);
    }
}

static void add(struct run *run, scry_contribution_kind kind, int layer, int head, scry__share share)
{
    scry_attribution *result = run->result;
    result->contributions[result->count++] =
        (scry_contribution){.kind   = kind,
                            .layer  = layer,
                            .head   = head,
                            .value  = share.value,
                            .share  = result->logit == 0 ? (double)NAN : share.value / result->logit,
                            .key    = head < 0 ? -1 : run->written.keys[layer * result->head_count + head],
                            .weight = head < 0 ? NAN : run->written.weights[layer * result->head_count + head]};
    run->sum += share.value;
    result->bound += error_of(&run->model->arch, kind) * share.size;
}

static scry_status add_layer(struct run *run, int layer)
{
    const scry__arch          *arch    = &run->model->arch;
    const scry__layer_weights *weights = &run->model->weights.layers[layer];
    const float               *z       = run->written.z + (int64_t)layer * arch->head_count * arch->head_size;
    scry__share mlp    = scry__reading_of(&run->reading, run->written.mlps + layer * arch->hidden_size), bias, mlp_bias;
    scry_status status = scry__reading_of_heads(run->heads, &bias, &run->reading, run->model, layer, z);
    if (!status) status = scry__reading_of_mlp_bias(&mlp_bias, &run->reading, run->model, layer);
    if (status) return status;
    for (int head = 0; head < arch->head_count; head++) add(run, SCRY_CONTRIBUTION_HEAD, layer, head, run->heads[head]);
    if (weights->out.bias.buffer || (arch->norm_after && weights->norm1_after.bias.buffer))
        add(run, SCRY_CONTRIBUTION_ATTENTION_BIAS, layer, -1, bias);
    mlp.value -= mlp_bias.value;
    add(run, SCRY_CONTRIBUTION_MLP, layer, -1, mlp);
    if (weights->down.bias.buffer && !arch->norm_after) add(run, SCRY_CONTRIBUTION_MLP_BIAS, layer, -1, mlp_bias);
    return SCRY_OK;
}

static scry_status make_reading(struct run *run, scry__share *norm_bias, scry__share *unembedding_bias)
{
    const scry_attribution *result = run->result;
    scry_status             status = scry__reading_create(&run->reading, run->model->arch.hidden_size);
    if (!status) status = scry__reading_add_token(&run->reading, run->model, result->answer.id, 1, unembedding_bias);
    if (!status && result->has_wrong)
        status = scry__reading_add_token(&run->reading, run->model, result->wrong.id, -1, unembedding_bias);
    if (status) return status;
    return scry__reading_pass_norm(&run->reading, run->model, &run->model->weights.final_norm, result->denominator,
                                   norm_bias);
}

static scry_status split(struct run *run)
{
    const scry__arch    *arch      = &run->model->arch;
    const scry__weights *weights   = &run->model->weights;
    scry_attribution    *result    = run->result;
    scry__share          norm_bias = {0, 0}, unembedding_bias = {0, 0};
    size_t               most = 4 + (size_t)arch->layer_count * (size_t)(arch->head_count + 3);
    result->contributions     = scry__alloc(most, sizeof *result->contributions);
    run->heads                = scry__alloc((size_t)arch->head_count, sizeof *run->heads);
    if (!result->contributions || !run->heads) return SCRY_OUT_OF_MEMORY;
    scry_status status = make_reading(run, &norm_bias, &unembedding_bias);
    if (status) return status;
    add(run, SCRY_CONTRIBUTION_EMBEDDING, -1, -1, scry__reading_of(&run->reading, run->written.embedding));
    if (run->written.positions)
        add(run, SCRY_CONTRIBUTION_POSITIONS, -1, -1, scry__reading_of(&run->reading, run->written.positions));
    for (int layer = 0; layer < arch->layer_count && !status; layer++) status = add_layer(run, layer);
    if (status) return status;
    if (weights->final_norm.bias.buffer) add(run, SCRY_CONTRIBUTION_NORM_BIAS, -1, -1, norm_bias);
    if (weights->unembedding_bias.buffer) add(run, SCRY_CONTRIBUTION_UNEMBEDDING_BIAS, -1, -1, unembedding_bias);
    result->residue = result->logit - run->sum;
    result->bound += reading_error(arch) * scry__reading_of(&run->reading, run->written.stream).size;
    return SCRY_OK;
}

static scry_status run_and_split(struct run *run)
{
    scry_attribution *result = run->result;
    scry_status       status = scry__written_run(&run->written, run->model, result->tokens->ids, result->position + 1);
    if (!status) status = read_tokens(run);
    result->denominator = (double)run->written.denominator;
    return status ? status : split(run);
}

scry_status scry_attribution_run(scry_attribution **out, scry_model *model, const char *text,
                                 const scry_attribution_options *options)
{
    static const scry_attribution_options defaults;
    struct run                            run = {.model = model, .options = options ? options : &defaults};
    *out                                      = NULL;
    run.result                                = scry__alloc(1, sizeof *run.result);
    if (!run.result) return SCRY_OUT_OF_MEMORY;
    run.result->layer_count = (int)model->arch.layer_count;
    run.result->head_count  = (int)model->arch.head_count;
    scry_status status = scry_tokens_create(&run.result->tokens, model, text, run.options->ids, run.options->id_count);
    if (!status)
        status = scry__question_position(&run.result->position, run.result->tokens, run.options->has_position,
                                         run.options->position);
    if (!status)
        status = scry__question_tokens(&run.result->answer.id, &run.result->wrong.id, model, &run.options->answer,
                                       &run.options->wrong);
    run.result->has_wrong = run.result->wrong.id >= 0;
    if (!status) status = run_and_split(&run);
    scry__free(run.heads);
    scry__reading_finish(&run.reading);
    scry__written_finish(&run.written);
    if (status)
        scry_attribution_destroy(&run.result);
    else
        *out = run.result;
    return status;
}

void scry_attribution_destroy(scry_attribution **attribution)
{
    scry_attribution *self = attribution ? *attribution : NULL;
    if (!self) return;
    scry__free(self->contributions);
    scry__free(self->wrong.text);
    scry__free(self->answer.text);
    scry_tokens_destroy(&self->tokens);
    scry__free(self);
    *attribution = NULL;
}

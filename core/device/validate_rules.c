/* The rules of single ops that letters cannot say: scalars, selections, windows, matrix strides. See validate.h. */
#include "device/validate.h"

#include "base/error.h"

#include <math.h>

/* The operand that `tensor`, a member of `op`, is. */
static const scry__operand *operand_at(const scry_op *op, const scry_tensor *tensor)
{
    const scry__operand *operands;
    scry__operands(op->kind, &operands);
    while (scry__operand_in(op, operands) != tensor) operands++;
    return operands;
}

#define REFUSE(op, tensor, ...) scry__refuse(op, operand_at(op, tensor), __VA_ARGS__)

static scry_status check_finite(const scry_op *op, const char *name, double value)
{
    if (isfinite(value)) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s %g: expected a finite number", scry_op_text(op->kind), name, value);
}

static scry_status check_not_negative(const scry_op *op, const char *name, double value)
{
    if (isfinite(value) && value >= 0) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s %g: expected a finite number, 0 or more", scry_op_text(op->kind), name,
                      value);
}

/* least <= value < limit */
static scry_status check_range(const scry_op *op, const char *name, int64_t value, int64_t least, int64_t limit)
{
    if (value >= least && value < limit) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s %lld: expected %lld <= %s < %lld", scry_op_text(op->kind), name,
                      (long long)value, (long long)least, name, (long long)limit);
}

/* Indices go out as i32. */
static scry_status check_index_size(const scry_op *op, const scry_tensor *tensor, int64_t size)
{
    return size <= INT32_MAX ? SCRY_OK : REFUSE(op, tensor, "expected at most %d to number as i32", INT32_MAX);
}

/* A matrix whose rows, or columns, are contiguous and lie apart: what every BLAS can address. */
static bool is_matrix(const scry_tensor *tensor)
{
    const int64_t *size = tensor->shape + tensor->rank - 2, *stride = tensor->stride + tensor->rank - 2;
    return (stride[1] == 1 && (size[0] <= 1 || stride[0] >= size[1])) ||
           (stride[0] == 1 && (size[1] <= 1 || stride[1] >= size[0]));
}

static bool last_stride_is_1(const scry_tensor *tensor)
{
    return tensor->stride[tensor->rank - 1] == 1;
}

static scry_status check_matmul(const scry_op *op)
{
    const scry_matmul *matmul    = &op->matmul;
    const scry_tensor *factors[] = {&matmul->a, &matmul->b};
    for (int i = 0; i < 2; i++)
        if (!is_matrix(factors[i]))
            return REFUSE(op, factors[i],
                          "expected stride 1 along rows or columns, and the other stride at least their length");
    if (!last_stride_is_1(&matmul->c)) return REFUSE(op, &matmul->c, "expected a last stride of 1");
    scry_status status = check_finite(op, "alpha", matmul->alpha);
    return status ? status : check_finite(op, "beta", matmul->beta);
}

static scry_status check_mask(const scry_op *op, const scry_mask *mask)
{
    scry_status status = check_range(op, "window", mask->window, 0, SCRY__MAX_ELEMENTS);
    if (!status) status = check_range(op, "prefix", mask->prefix, 0, SCRY__MAX_ELEMENTS);
    return status ? status : check_range(op, "query_offset", mask->query_offset, 0, SCRY__MAX_ELEMENTS);
}

static scry_status check_rows(const scry_op *op, const scry_row_statistics *rows, int64_t keys)
{
    return rows->key_mass.buffer ? check_range(op, "key", rows->key, 0, keys) : SCRY_OK;
}

static scry_status check_softmax(const scry_op *op, const scry__sizes *sizes)
{
    const scry_softmax *softmax = &op->softmax;
    scry_status         status  = check_index_size(op, &softmax->scores, SCRY__SIZE(sizes, 'K'));
    if (!status) status = check_mask(op, &softmax->mask);
    return status ? status : check_rows(op, &softmax->rows, SCRY__SIZE(sizes, 'K'));
}

int64_t scry__selected_heads(const scry_attention_capture *capture, int64_t heads)
{
    int64_t selected = 0;
    for (int word = 0; word < SCRY_MAX_HEADS / 64; word++) selected += __builtin_popcountll(capture->heads[word]);
    return selected ? selected : heads;
}

/* The tile lies inside Q x K and has one matrix per selected head. */
static scry_status check_tile(const scry_op *op, const scry_tensor *tile, const scry__sizes *sizes)
{
    const scry_attention_capture *capture = &op->attention.capture;
    int64_t                       heads = SCRY__SIZE(sizes, 'H'), selected = scry__selected_heads(capture, heads);
    int64_t                       queries = SCRY__SIZE(sizes, 'Q'), keys = SCRY__SIZE(sizes, 'K');
    if (!tile->buffer) return SCRY_OK;
    if (tile->shape[1] != selected)
        return REFUSE(op, tile, "expected %lld heads, as many as are selected", (long long)selected);
    if (capture->query_begin < 0 || capture->query_begin > queries - tile->shape[2])
        return REFUSE(op, tile, "from query %lld: expected a tile within %lld queries", (long long)capture->query_begin,
                      (long long)queries);
    if (capture->key_begin < 0 || capture->key_begin > keys - tile->shape[3])
        return REFUSE(op, tile, "from key %lld: expected a tile within %lld keys", (long long)capture->key_begin,
                      (long long)keys);
    return SCRY_OK;
}

static scry_status check_top(const scry_op *op, const scry_tensor *top)
{
    if (!top->buffer || top->shape[top->rank - 1] <= SCRY_MAX_TOP) return SCRY_OK;
    return REFUSE(op, top, "expected at most %d along the last axis", SCRY_MAX_TOP);
}

static scry_status check_capture(const scry_op *op, const scry__sizes *sizes)
{
    const scry_attention_capture *capture = &op->attention.capture;
    int64_t                       heads   = SCRY__SIZE(sizes, 'H');
    for (int head = 0; head < SCRY_MAX_HEADS; head++)
        if (capture->heads[head / 64] >> head % 64 & 1 && head >= heads) return check_range(op, "head", head, 0, heads);
    scry_status status = check_tile(op, &capture->probabilities, sizes);
    if (!status) status = check_tile(op, &capture->scores, sizes);
    if (!status) status = check_top(op, &capture->top_probability);
    if (!status) status = check_top(op, &capture->top_key);
    return status ? status : check_rows(op, &capture->rows, SCRY__SIZE(sizes, 'K'));
}

/* What attention and its gradients have in common: `vectors` are their q, k, v and whatever has a head size. */
static scry_status check_heads(const scry_op *op, const scry_tensor *const *vectors, int count,
                               const scry__sizes *sizes)
{
    int64_t heads = SCRY__SIZE(sizes, 'H'), groups = SCRY__SIZE(sizes, 'G');
    for (int i = 0; i < count; i++) {
        if (!vectors[i]->buffer) continue;
        if (vectors[i]->shape[3] == 0) return REFUSE(op, vectors[i], "expected a head size of 1 or more");
        if (!last_stride_is_1(vectors[i])) return REFUSE(op, vectors[i], "expected a last stride of 1");
    }
    if (heads > SCRY_MAX_HEADS) return REFUSE(op, vectors[0], "expected at most %d heads", SCRY_MAX_HEADS);
    if (groups ? heads % groups != 0 : heads != 0)
        return REFUSE(op, vectors[1], "expected a number of heads that divides q's %lld", (long long)heads);
    return check_index_size(op, vectors[1], SCRY__SIZE(sizes, 'K'));
}

static scry_status check_attention(const scry_op *op, const scry__sizes *sizes)
{
    const scry_attention    *attention = &op->attention;
    const scry_tensor *const vectors[] = {&attention->q, &attention->k, &attention->v, &attention->out};
    scry_status              status    = check_heads(op, vectors, 4, sizes);
    if (!status) status = check_finite(op, "scale", attention->scale);
    if (!status) status = check_not_negative(op, "softcap", attention->softcap);
    if (!status) status = check_mask(op, &attention->mask);
    return status ? status : check_capture(op, sizes);
}

static scry_status check_rope(const scry_op *op, const scry__sizes *sizes)
{
    const scry_rope *rope = &op->rope;
    int64_t          rows = SCRY__SIZE(sizes, 'P'), tokens = SCRY__SIZE(sizes, 'T');
    if (SCRY__SIZE(sizes, 'r') > SCRY__SIZE(sizes, 'D') / 2)
        return REFUSE(op, &rope->cosine, "expected at most half of the head size %lld along the last axis",
                      (long long)SCRY__SIZE(sizes, 'D'));
    if (!last_stride_is_1(&rope->cosine)) return REFUSE(op, &rope->cosine, "expected a last stride of 1");
    if (!last_stride_is_1(&rope->sine)) return REFUSE(op, &rope->sine, "expected a last stride of 1");
    if (rope->positions.buffer || !tokens) return SCRY_OK;
    if (rope->position_offset >= 0 && rope->position_offset <= rows - tokens) return SCRY_OK;
    return REFUSE(op, &rope->cosine, "position_offset %lld: expected rows for %lld positions from there",
                  (long long)rope->position_offset, (long long)tokens);
}

static scry_status check_norm_parameters(const scry_op *op, const scry_norm_parameters *norm, const scry_tensor *x)
{
    if ((unsigned)norm->kind > SCRY_NORM_NONE)
        return check_range(op, "kind of norm", (int)norm->kind, SCRY_NORM_LAYER, SCRY_NORM_NONE + 1);
    if (x->shape[x->rank - 1] == 0) return REFUSE(op, x, "expected a last axis of 1 or more");
    if (norm->kind == SCRY_NORM_NONE) return SCRY_OK;
    scry_status status = check_not_negative(op, "epsilon", norm->epsilon);
    return status ? status : check_finite(op, "weight_offset", norm->weight_offset);
}

/* An output that another operand is needed for. */
static scry_status check_needs(const scry_op *op, const scry_tensor *output, const scry_tensor *needed)
{
    if (!output->buffer || needed->buffer) return SCRY_OK;
    return REFUSE(op, needed, "absent: expected a tensor where %s is asked for", operand_at(op, output)->name);
}

static scry_status check_lens(const scry_op *op, const scry__sizes *sizes)
{
    const scry_lens_op *lens   = &op->lens;
    scry_status         status = check_norm_parameters(op, &lens->norm, &lens->x);
    if (!status && SCRY__SIZE(sizes, 'V') == 0) status = REFUSE(op, &lens->unembedding, "expected a vocabulary");
    if (!status) status = check_index_size(op, &lens->unembedding, SCRY__SIZE(sizes, 'V'));
    if (!status) status = check_finite(op, "logit_scale", lens->logit_scale);
    if (!status) status = check_not_negative(op, "softcap", lens->softcap);
    if (!status) status = check_top(op, &lens->top_id);
    if (!status) status = check_top(op, &lens->top_logit);
    if (!status) status = check_needs(op, &lens->target_logit, &lens->target);
    if (!status) status = check_needs(op, &lens->target_rank, &lens->target);
    return status ? status : check_needs(op, &lens->kl, &lens->reference);
}

static scry_status check_activation(const scry_op *op, scry_activation_kind function)
{
    return check_range(op, "function", (int)function, SCRY_GELU_ERF, SCRY_RELU + 1);
}

static scry_status check_copy(const scry_op *op)
{
    const scry_copy *copy = &op->copy;
    if ((copy->x.dtype == SCRY_I32) == (copy->out.dtype == SCRY_I32)) return SCRY_OK;
    return REFUSE(op, &copy->out, "%s from %s: expected i32 only to i32", scry_dtype_text(copy->out.dtype),
                  scry_dtype_text(copy->x.dtype));
}

static scry_status check_fill(const scry_op *op)
{
    const scry_fill *fill    = &op->fill;
    double           rounded = nearbyint(fill->value);
    if (fill->out.dtype != SCRY_I32 || (rounded >= INT32_MIN && rounded <= INT32_MAX)) return SCRY_OK;
    return REFUSE(op, &fill->out, "value %g: expected one that i32 holds", fill->value);
}

static scry_status check_scale(const scry_op *op)
{
    scry_status status = check_finite(op, "factor", op->scale.factor);
    return status ? status : check_finite(op, "offset", op->scale.offset);
}

/* --- Training --- */

static scry_status check_some_output(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++)
        if (operands[i].flags & SCRY__WRITE && scry__operand_in(op, &operands[i])->buffer) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: no output: expected one at least", scry_op_text(op->kind));
}

static scry_status check_activation_backward(const scry_op *op)
{
    const scry_activation_backward *activation = &op->activation_backward;
    scry_status                     status     = check_activation(op, activation->function);
    if (!status) status = check_some_output(op);
    return status ? status : check_needs(op, &activation->d_gated, &activation->gated);
}

static scry_status check_norm_backward(const scry_op *op)
{
    const scry_norm_backward *norm   = &op->norm_backward;
    scry_status               status = check_norm_parameters(op, &norm->parameters, &norm->x);
    if (!status) status = check_some_output(op);
    if (status || norm->parameters.kind != SCRY_NORM_NONE) return status;
    if (norm->d_weight.buffer) return REFUSE(op, &norm->d_weight, "expected none where nothing is normalised");
    if (norm->d_bias.buffer) return REFUSE(op, &norm->d_bias, "expected none where nothing is normalised");
    return SCRY_OK;
}

static scry_status check_attention_backward(const scry_op *op, const scry__sizes *sizes)
{
    const scry_attention_backward *attention = &op->attention_backward;
    const scry_tensor *const       vectors[] = {&attention->q,     &attention->k,   &attention->v,   &attention->out,
                                                &attention->d_out, &attention->d_q, &attention->d_k, &attention->d_v};
    scry_status                    status    = check_heads(op, vectors, 8, sizes);
    if (!status) status = check_finite(op, "scale", attention->scale);
    if (!status) status = check_not_negative(op, "softcap", attention->softcap);
    if (!status) status = check_mask(op, &attention->mask);
    return status ? status : check_some_output(op);
}

static scry_status check_loss(const scry_op *op, const scry__sizes *sizes)
{
    const scry_loss *loss   = &op->loss;
    scry_status      status = check_some_output(op);
    if (!status && SCRY__SIZE(sizes, 'V') == 0) status = REFUSE(op, &loss->unembedding, "expected a vocabulary");
    if (!status) status = check_index_size(op, &loss->unembedding, SCRY__SIZE(sizes, 'V'));
    if (!status) status = check_finite(op, "logit_scale", loss->logit_scale);
    if (!status) status = check_not_negative(op, "softcap", loss->softcap);
    if (!status) status = check_finite(op, "factor", loss->factor);
    if (!status && !loss->target.buffer && !loss->teacher.buffer)
        status = REFUSE(op, &loss->target, "absent: expected a target or a teacher");
    if (!status && loss->target.buffer && loss->teacher.buffer)
        status = REFUSE(op, &loss->teacher, "expected none beside a target");
    return status;
}

/* 0 <= beta < 1 */
static scry_status check_beta(const scry_op *op, const char *name, double value)
{
    if (value >= 0 && value < 1) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s %g: expected 0 <= %s < 1", scry_op_text(op->kind), name, value, name);
}

static scry_status check_adamw(const scry_op *op)
{
    const scry_adamw *adamw  = &op->adamw;
    scry_status       status = check_not_negative(op, "rate", adamw->rate);
    if (!status) status = check_beta(op, "beta1", adamw->beta1);
    if (!status) status = check_beta(op, "beta2", adamw->beta2);
    if (!status) status = check_not_negative(op, "epsilon", adamw->epsilon);
    if (!status) status = check_not_negative(op, "decay", adamw->decay);
    if (!status) status = check_finite(op, "gradient_factor", adamw->gradient_factor);
    return status ? status : check_range(op, "step", adamw->step, 1, INT64_MAX);
}

static scry_status check_sgd(const scry_op *op)
{
    const scry_sgd *sgd    = &op->sgd;
    scry_status     status = check_not_negative(op, "rate", sgd->rate);
    if (!status) status = check_not_negative(op, "momentum", sgd->momentum);
    if (!status) status = check_not_negative(op, "decay", sgd->decay);
    if (!status) status = check_finite(op, "gradient_factor", sgd->gradient_factor);
    if (!status && sgd->momentum != 0 && !sgd->velocity.buffer)
        status = REFUSE(op, &sgd->velocity, "absent: expected a tensor where momentum is not 0");
    return status;
}

scry_status scry__validate_rules(const scry_op *op, const scry__sizes *sizes)
{
    switch (op->kind) {
    case SCRY_OP_MATMUL:
        return check_matmul(op);
    case SCRY_OP_SOFTMAX_CAPTURE:
        return check_softmax(op, sizes);
    case SCRY_OP_ATTENTION:
        return check_attention(op, sizes);
    case SCRY_OP_ROPE:
        return check_rope(op, sizes);
    case SCRY_OP_NORM:
        return check_norm_parameters(op, &op->norm.parameters, &op->norm.x);
    case SCRY_OP_LENS:
        return check_lens(op, sizes);
    case SCRY_OP_EMBED:
        return check_finite(op, "scale", op->embed.scale);
    case SCRY_OP_SCALE:
        return check_scale(op);
    case SCRY_OP_ACTIVATION:
        return check_activation(op, op->activation.function);
    case SCRY_OP_COPY:
        return check_copy(op);
    case SCRY_OP_FILL:
        return check_fill(op);
    case SCRY_OP_ACTIVATION_BACKWARD:
        return check_activation_backward(op);
    case SCRY_OP_NORM_BACKWARD:
        return check_norm_backward(op);
    case SCRY_OP_EMBED_BACKWARD:
        return check_finite(op, "scale", op->embed_backward.scale);
    case SCRY_OP_ATTENTION_BACKWARD:
        return check_attention_backward(op, sizes);
    case SCRY_OP_LOSS:
        return check_loss(op, sizes);
    case SCRY_OP_ADAMW:
        return check_adamw(op);
    case SCRY_OP_SGD:
        return check_sgd(op);
    default:
        return SCRY_OK;
    }
}

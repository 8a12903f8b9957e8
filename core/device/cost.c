/* Costs by definition. See cost.h. */
#include "device/cost.h"

#include "device/operands.h"

/* Elements that differ in address: axes of stride 0 count once. */
static double distinct_elements(const scry_tensor *tensor)
{
    double count = 1;
    for (int axis = 0; axis < tensor->rank; axis++)
        count *= tensor->stride[axis] || !tensor->shape[axis] ? (double)tensor->shape[axis] : 1;
    return count;
}

static double elements(const scry_tensor *tensor)
{
    return (double)scry_tensor_count(tensor);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Query-key pairs of one head that causal, window and prefix leave visible. */
static double visible_pairs(const scry_mask *mask, int64_t queries, int64_t keys)
{
    double pairs = 0;
    if (!mask->causal && !mask->window) return (double)queries * (double)keys;
    for (int64_t row = 0; row < queries; row++) {
        int64_t position = mask->query_offset + row;
        int64_t begin    = mask->window ? most(0, position - mask->window + 1) : 0;
        int64_t end      = mask->causal ? least(keys, position + 1) : keys;
        int64_t prefix   = least(mask->prefix, keys);
        /* The prefix [0, prefix) together with [begin, end). */
        pairs += (double)(most(0, end - most(begin, prefix)) + prefix);
    }
    return pairs;
}

static double softmax_flops(const scry_softmax *softmax)
{
    const int64_t *size = softmax->scores.shape;
    /* maximum, difference, exponential, sum, quotient */
    return 5 * (double)size[0] * (double)size[1] * visible_pairs(&softmax->mask, size[2], size[3]);
}

static double attention_flops(const scry_attention *attention)
{
    const scry_tensor *q = &attention->q, *v = &attention->v;
    double             pairs = visible_pairs(&attention->mask, q->shape[1], v->shape[1]);
    /* per pair: product with q and its scale, softmax as above, product with v */
    double each = 2 * (double)q->shape[3] + 1 + 5 + 2 * (double)v->shape[3];
    return (double)q->shape[0] * (double)q->shape[2] * pairs * each;
}

static double attention_backward_flops(const scry_attention_backward *attention)
{
    const scry_tensor *q = &attention->q, *v = &attention->v;
    double             pairs = visible_pairs(&attention->mask, q->shape[1], v->shape[1]);
    double             heads = (double)q->shape[0] * (double)q->shape[2];
    double             width = (double)q->shape[3], depth = (double)v->shape[3];
    /* per pair: the score with its scale, difference and exponential, d_out . v, and d_score; then what is asked for */
    double each = 2 * width + 3 + 2 * depth + 2 + 2 * width * (attention->d_q.buffer != NULL) +
                  2 * width * (attention->d_k.buffer != NULL) + 2 * depth * (attention->d_v.buffer != NULL);
    return heads * (pairs * each + 2 * depth * (double)q->shape[1]);
}

static double norm_flops(const scry_norm_parameters *parameters, double count)
{
    if (parameters->kind == SCRY_NORM_NONE) return 0;
    double each = parameters->kind == SCRY_NORM_LAYER ? 5 : 3; /* moments, and the quotient */
    return (each + (parameters->weight.buffer != NULL) + (parameters->bias.buffer != NULL)) * count;
}

static double lens_flops(const scry_lens_op *lens)
{
    double vocabulary = (double)lens->unembedding.shape[0], width = (double)lens->unembedding.shape[1];
    double rows = elements(&lens->x) / width + elements(&lens->reference) / width;
    /* per logit: the product, and maximum, difference, exponential, sum for the log-sum-exp */
    return rows * vocabulary * (2 * width + 4) + norm_flops(&lens->norm, rows * width);
}

/* The statistics, the row before weight and bias, and for each output its products and sums. */
static double norm_backward_flops(const scry_norm_backward *norm)
{
    double count = elements(&norm->x), kind = norm->parameters.kind == SCRY_NORM_LAYER ? 5 : 3;
    if (norm->parameters.kind == SCRY_NORM_NONE) return 0;
    double d_x = norm->d_x.buffer ? 2 * kind + (norm->parameters.weight.buffer != NULL) : 0;
    return count * (kind + d_x + 2 * (norm->d_weight.buffer != NULL) + (norm->d_bias.buffer != NULL));
}

static double loss_flops(const scry_loss *loss)
{
    double vocabulary = (double)loss->unembedding.shape[0], width = (double)loss->unembedding.shape[1];
    double rows = (double)loss->x.shape[0], read = loss->teacher.buffer ? 2 : 1;
    /* per logit: as of lens; the probability and its gradient; and two products */
    double gradients = (loss->d_x.buffer != NULL) + (loss->d_unembedding.buffer != NULL);
    double made      = gradients || loss->d_bias.buffer ? 2 : 0;
    return rows * vocabulary * (read * (2 * width + 4) + made + 2 * width * gradients + (loss->d_bias.buffer != NULL));
}

double scry__op_flops(const scry_op *op)
{
    const scry_matmul *matmul = &op->matmul;
    switch (op->kind) {
    case SCRY_OP_MATMUL:
        return elements(&matmul->c) * (2 * (double)matmul->a.shape[matmul->a.rank - 1] + 2 * (matmul->beta != 0) +
                                       (matmul->alpha != 1) + (matmul->bias.buffer != NULL));
    case SCRY_OP_SOFTMAX_CAPTURE:
        return softmax_flops(&op->softmax);
    case SCRY_OP_ATTENTION:
        return attention_flops(&op->attention);
    case SCRY_OP_ROPE: /* of each pair, four products and two sums */
        return 6 * elements(&op->rope.x) / (double)most(1, op->rope.x.shape[3]) * (double)op->rope.cosine.shape[1];
    case SCRY_OP_NORM:
        return norm_flops(&op->norm.parameters, elements(&op->norm.x));
    case SCRY_OP_LENS:
        return lens_flops(&op->lens);
    case SCRY_OP_EMBED:
        return elements(&op->embed.out) * ((op->embed.scale != 0 && op->embed.scale != 1) + op->embed.accumulate);
    case SCRY_OP_ADD:
        return elements(&op->add.out);
    case SCRY_OP_SCALE:
        return 2 * elements(&op->scale.out);
    case SCRY_OP_ACTIVATION:
        return elements(&op->activation.out) *
               ((op->activation.function == SCRY_RELU ? 1 : 4) + (op->activation.gated.buffer != NULL));
    case SCRY_OP_SUM:
        return elements(&op->sum.x) * (1 + op->sum.squares);
    case SCRY_OP_ACTIVATION_BACKWARD:
        return elements(&op->activation_backward.x) * ((op->activation_backward.function == SCRY_RELU ? 2 : 8) +
                                                       2 * (op->activation_backward.d_gated.buffer != NULL));
    case SCRY_OP_NORM_BACKWARD:
        return norm_backward_flops(&op->norm_backward);
    case SCRY_OP_EMBED_BACKWARD:
        return elements(&op->embed_backward.d_out) *
               (1 + (op->embed_backward.scale != 0 && op->embed_backward.scale != 1));
    case SCRY_OP_ATTENTION_BACKWARD:
        return attention_backward_flops(&op->attention_backward);
    case SCRY_OP_LOSS:
        return loss_flops(&op->loss);
    case SCRY_OP_ADAMW: /* clipping, two moments, two corrections, root, sum, quotient, decay and step */
        return 16 * elements(&op->adamw.parameter);
    case SCRY_OP_SGD:
        return (5 + 2 * (op->sgd.velocity.buffer != NULL)) * elements(&op->sgd.parameter);
    default:
        return 0;
    }
}

/* Elements of one operand that the op needs to touch. */
static double touched(const scry_op *op, const scry_tensor *tensor)
{
    if (op->kind == SCRY_OP_EMBED && tensor == &op->embed.table) return elements(&op->embed.out);
    if (op->kind == SCRY_OP_ROPE && (tensor == &op->rope.cosine || tensor == &op->rope.sine))
        return (double)least(op->rope.x.shape[1], tensor->shape[0]) * (double)tensor->shape[1];
    /* Where it adds, the rows that are named; else every row is written. */
    if (op->kind == SCRY_OP_EMBED_BACKWARD && tensor == &op->embed_backward.d_table && op->embed_backward.accumulate)
        return elements(&op->embed_backward.d_out);
    return distinct_elements(tensor);
}

double scry__op_bytes(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    double               bytes = 0;
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        if (!tensor->buffer) continue;
        int passes = scry__operand_is_read(op, &operands[i]) + (operands[i].flags & SCRY__WRITE ? 1 : 0);
        bytes += passes * touched(op, tensor) * (double)scry_dtype_size(tensor->dtype);
    }
    return bytes;
}

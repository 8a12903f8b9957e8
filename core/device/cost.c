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

/* Classes by shape, layout and type of each op. See shape_class.h. */
#include "device/shape_class.h"

#include "device/operands.h"

#include <string.h>

/* Where one class ends and the next begins: what fits is still in the smaller. */
enum {
    TINY_PRODUCTS    = 1 << 20, /* of a matmul: launching it is most of the work */
    FEW_ROWS         = 8,       /* that read the weights once: memory is the limit */
    SHORT_ROWS       = 256,
    THIN_COLUMNS     = 64,
    DEEP_ELEMENTS    = 1 << 14, /* of a product that gives too little work unless its k is split, */
    DEEP_TERMS       = 2048,    /* from this k on */
    SHORT_KEYS       = 256,
    NARROW_HEAD      = 64,
    NARROW_ROW       = 256,
    SMALL_VOCABULARY = 4096,
    SMALL_ELEMENTS   = 1 << 16,
};

/* --- Names, in the order of the numbers --- */

static const char *const matmul_names[] = {
    "tiny",          "deep",        "thin",         "few-kn-f32",    "few-kn-half",
    "few-nk-f32",    "few-nk-half", "short-kn-f32", "short-kn-half", "short-nk-f32",
    "short-nk-half", "long-kn-f32", "long-kn-half", "long-nk-f32",   "long-nk-half",
};
static const char *const attention_names[] = {
    "few-narrow", "few-narrow-captured", "few-wide",    "few-wide-captured",    "short-narrow", "short-narrow-captured",
    "short-wide", "short-wide-captured", "long-narrow", "long-narrow-captured", "long-wide",    "long-wide-captured",
};
static const char *const attention_backward_names[] = {
    "few-narrow", "few-wide", "short-narrow", "short-wide", "long-narrow", "long-wide",
};
static const char *const key_names[]     = {"short", "long"};
static const char *const row_names[]     = {"narrow", "wide"};
static const char *const lens_names[]    = {"few-small", "few-large", "many-small", "many-large"};
static const char *const size_names[]    = {"small", "large"};
static const char *const element_names[] = {"small", "large", "scattered"};

/* --- Rules --- */

/* b's columns lie apart: weights as [n, k], which most checkpoints have. */
static bool is_turned(const scry_tensor *b)
{
    return b->stride[b->rank - 1] != 1 && b->shape[b->rank - 1] > 1;
}

static int matmul_class(const scry_op *op)
{
    const scry_tensor *a = &op->matmul.a, *b = &op->matmul.b, *c = &op->matmul.c;
    int64_t            m = c->shape[c->rank - 2], n = c->shape[c->rank - 1], k = a->shape[a->rank - 1];
    int64_t            elements = scry_tensor_count(c);
    if ((double)elements * (double)k <= TINY_PRODUCTS) return 0;
    if (m > FEW_ROWS && elements <= DEEP_ELEMENTS && k >= DEEP_TERMS) return 1;
    if (m > FEW_ROWS && n <= THIN_COLUMNS) return 2;
    int rows = m <= FEW_ROWS ? 0 : m <= SHORT_ROWS ? 1 : 2;
    return 3 + 4 * rows + 2 * is_turned(b) + (b->dtype != SCRY_F32);
}

/* Whether anything is asked for besides the output. */
static bool is_captured(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        if (operands[i].flags & SCRY__WRITE && tensor != &op->attention.out && tensor->buffer) return true;
    }
    return false;
}

static int length_class(const scry_tensor *q, const scry_tensor *k)
{
    return q->shape[1] <= FEW_ROWS ? 0 : k->shape[1] <= SHORT_KEYS ? 1 : 2;
}

static int attention_class(const scry_op *op)
{
    const scry_attention *attention = &op->attention;
    return 4 * length_class(&attention->q, &attention->k) + 2 * (attention->q.shape[3] > NARROW_HEAD) + is_captured(op);
}

static int attention_backward_class(const scry_op *op)
{
    const scry_attention_backward *attention = &op->attention_backward;
    return 2 * length_class(&attention->q, &attention->k) + (attention->q.shape[3] > NARROW_HEAD);
}

static int softmax_class(const scry_op *op)
{
    return op->softmax.scores.shape[3] > SHORT_KEYS;
}

/* By the size of a row alone: backends see to it that a row's bits do not depend on how many there are. */
static int norm_class(const scry_op *op)
{
    const scry_tensor *x = op->kind == SCRY_OP_NORM ? &op->norm.x : &op->norm_backward.x;
    return x->shape[x->rank - 1] > NARROW_ROW;
}

static int lens_class(const scry_op *op)
{
    const scry_lens_op *lens = &op->lens;
    return 2 * (lens->x.shape[0] * lens->x.shape[1] > FEW_ROWS) + (lens->unembedding.shape[0] > SMALL_VOCABULARY);
}

static int loss_class(const scry_op *op)
{
    const scry_loss *loss = &op->loss;
    return 2 * (loss->x.shape[0] > FEW_ROWS) + (loss->unembedding.shape[0] > SMALL_VOCABULARY);
}

/* By the rows that are added up: the sum's only dimension that has a choice. */
static int sum_class(const scry_op *op)
{
    return scry_tensor_count(&op->sum.x) > SMALL_ELEMENTS;
}

/* The output is the first operand that is written; it has as many elements as the op has work. */
static int size_class(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands), i = 0;
    while (i + 1 < count && !(operands[i].flags & SCRY__WRITE)) i++;
    return scry_tensor_count(scry__operand_in(op, &operands[i])) > SMALL_ELEMENTS;
}

/* Neighbours along the last axis lie apart in some operand, or all are one element. */
static int element_class(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        int                last   = tensor->rank - 1;
        if (tensor->buffer && last >= 0 && tensor->shape[last] > 1 && tensor->stride[last] != 1) return 2;
    }
    return size_class(op);
}

static const struct {
    const char *const *names;
    int                count;
    int (*of)(const scry_op *op);
} rules[SCRY_OP_COUNT] = {
#define RULE(names, of)                                                                                                \
    {                                                                                                                  \
        names, (int)(sizeof names / sizeof *names), of                                                                 \
    }
    [SCRY_OP_MATMUL]              = RULE(matmul_names, matmul_class),
    [SCRY_OP_SOFTMAX_CAPTURE]     = RULE(key_names, softmax_class),
    [SCRY_OP_ATTENTION]           = RULE(attention_names, attention_class),
    [SCRY_OP_ROPE]                = RULE(size_names, size_class),
    [SCRY_OP_NORM]                = RULE(row_names, norm_class),
    [SCRY_OP_LENS]                = RULE(lens_names, lens_class),
    [SCRY_OP_EMBED]               = RULE(size_names, size_class),
    [SCRY_OP_ADD]                 = RULE(element_names, element_class),
    [SCRY_OP_SCALE]               = RULE(element_names, element_class),
    [SCRY_OP_ACTIVATION]          = RULE(element_names, element_class),
    [SCRY_OP_COPY]                = RULE(element_names, element_class),
    [SCRY_OP_FILL]                = RULE(element_names, element_class),
    [SCRY_OP_SUM]                 = RULE(size_names, sum_class),
    [SCRY_OP_ACTIVATION_BACKWARD] = RULE(element_names, element_class),
    [SCRY_OP_NORM_BACKWARD]       = RULE(row_names, norm_class),
    [SCRY_OP_EMBED_BACKWARD]      = RULE(size_names, size_class),
    [SCRY_OP_ATTENTION_BACKWARD]  = RULE(attention_backward_names, attention_backward_class),
    [SCRY_OP_LOSS]                = RULE(lens_names, loss_class),
    [SCRY_OP_ADAMW]               = RULE(element_names, element_class),
    [SCRY_OP_SGD]                 = RULE(element_names, element_class),
#undef RULE
};

int scry__shape_class(const scry_op *op)
{
    return rules[op->kind].of(op);
}

int scry__shape_class_count(scry_op_kind kind)
{
    return rules[kind].count;
}

const char *scry__shape_class_name(scry_op_kind kind, int class)
{
    return rules[kind].names[class];
}

int scry__shape_class_find(scry_op_kind kind, const char *name)
{
    int class = rules[kind].count - 1;
    while (class >= 0 && strcmp(rules[kind].names[class], name)) class --;
    return class;
}

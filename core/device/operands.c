/* The table of operands. See operands.h. */
#include "device/operands.h"

#include <string.h>

enum {
    F32    = 1 << SCRY_F32,
    I32    = 1 << SCRY_I32,
    WEIGHT = F32 | 1 << SCRY_F16 | 1 << SCRY_BF16,
    ANY    = WEIGHT | I32,

    IN           = SCRY__READ,
    IN_PLACE     = SCRY__READ | SCRY__IN_PLACE,
    OPTIONAL     = SCRY__READ | SCRY__OPTIONAL,
    OUT          = SCRY__WRITE,
    OUT_PLACE    = SCRY__WRITE | SCRY__IN_PLACE,
    OUT_ADDS     = SCRY__WRITE | SCRY__ACCUMULATE,
    OPTIONAL_OUT = SCRY__WRITE | SCRY__OPTIONAL,
    PAGED        = SCRY__READ | SCRY__PAGED,
    GRADIENT     = SCRY__WRITE | SCRY__ACCUMULATE | SCRY__OPTIONAL,
    STEPPED      = SCRY__READ | SCRY__WRITE,
};

#define AT(member) offsetof(scry_op, member)

#define MASK(mask)                                                                                                     \
    {"key_begin", "B", AT(mask.key_begin), OPTIONAL, I32}, {"key_end", "B", AT(mask.key_end), OPTIONAL, I32},          \
    {                                                                                                                  \
        "additive", "BHQK", AT(mask.additive), OPTIONAL, F32                                                           \
    }

#define ROW_STATISTICS(rows)                                                                                           \
    {"lse", "BHQ", AT(rows.lse), OPTIONAL_OUT, F32}, {"entropy", "BHQ", AT(rows.entropy), OPTIONAL_OUT, F32},          \
        {"max", "BHQ", AT(rows.max), OPTIONAL_OUT, F32}, {"argmax", "BHQ", AT(rows.argmax), OPTIONAL_OUT, I32},        \
        {"previous", "BHQ", AT(rows.previous), OPTIONAL_OUT, F32}, {"self", "BHQ", AT(rows.self), OPTIONAL_OUT, F32},  \
        {"first", "BHQ", AT(rows.first), OPTIONAL_OUT, F32},                                                           \
    {                                                                                                                  \
        "key_mass", "BHQ", AT(rows.key_mass), OPTIONAL_OUT, F32                                                        \
    }

static const scry__operand matmul[] = {
    {"a", ".mk", AT(matmul.a), IN, F32},
    {"b", ".kn", AT(matmul.b), IN, WEIGHT},
    {"bias", "n", AT(matmul.bias), OPTIONAL, WEIGHT},
    {"c", ".mn", AT(matmul.c), OUT_ADDS, F32},
};

static const scry__operand softmax[] = {
    {"scores", "BHQK", AT(softmax.scores), IN_PLACE, F32},
    MASK(softmax.mask),
    {"probabilities", "BHQK", AT(softmax.probabilities), OUT_PLACE | SCRY__OPTIONAL, F32},
    ROW_STATISTICS(softmax.rows),
};

static const scry__operand attention[] = {
    {"q", "BQHD", AT(attention.q), IN, F32},
    {"k", "BKGD", AT(attention.k), IN, F32},
    {"v", "BKGE", AT(attention.v), IN, F32},
    MASK(attention.mask),
    {"out", "BQHE", AT(attention.out), OUT, F32},
    {"probabilities", "BSqk", AT(attention.capture.probabilities), OPTIONAL_OUT, F32},
    {"scores", "BSqk", AT(attention.capture.scores), OPTIONAL_OUT, F32},
    ROW_STATISTICS(attention.capture.rows),
    {"received", "BHK", AT(attention.capture.received), OPTIONAL_OUT, F32},
    {"distance", "BHN", AT(attention.capture.distance), OPTIONAL_OUT, F32},
    {"top_probability", "BHQt", AT(attention.capture.top_probability), OPTIONAL_OUT, F32},
    {"top_key", "BHQt", AT(attention.capture.top_key), OPTIONAL_OUT, I32},
};

static const scry__operand rope[] = {
    {"x", "BTHD", AT(rope.x), IN_PLACE, F32},      {"cosine", "Pr", AT(rope.cosine), IN, F32},
    {"sine", "Pr", AT(rope.sine), IN, F32},        {"positions", "BT", AT(rope.positions), OPTIONAL, I32},
    {"out", "BTHD", AT(rope.out), OUT_PLACE, F32},
};

static const scry__operand norm[] = {
    {"x", ".d", AT(norm.x), IN_PLACE, F32},
    {"weight", "d", AT(norm.parameters.weight), OPTIONAL, WEIGHT},
    {"bias", "d", AT(norm.parameters.bias), OPTIONAL, WEIGHT},
    {"out", ".d", AT(norm.out), OUT_PLACE, F32},
    {"scale", ".", AT(norm.scale), OPTIONAL_OUT, F32},
};

static const scry__operand lens[] = {
    {"x", "NTd", AT(lens.x), IN, F32},
    {"unembedding", "Vd", AT(lens.unembedding), PAGED, WEIGHT},
    {"bias", "V", AT(lens.bias), PAGED | SCRY__OPTIONAL, WEIGHT},
    {"norm.weight", "d", AT(lens.norm.weight), OPTIONAL, WEIGHT},
    {"norm.bias", "d", AT(lens.norm.bias), OPTIONAL, WEIGHT},
    {"reference", "Td", AT(lens.reference), OPTIONAL, F32},
    {"target", "T", AT(lens.target), OPTIONAL, I32},
    {"top_id", "NTt", AT(lens.top_id), OPTIONAL_OUT, I32},
    {"top_logit", "NTt", AT(lens.top_logit), OPTIONAL_OUT, F32},
    {"lse", "NT", AT(lens.lse), OPTIONAL_OUT, F32},
    {"entropy", "NT", AT(lens.entropy), OPTIONAL_OUT, F32},
    {"target_logit", "NT", AT(lens.target_logit), OPTIONAL_OUT, F32},
    {"target_rank", "NT", AT(lens.target_rank), OPTIONAL_OUT, I32},
    {"kl", "NT", AT(lens.kl), OPTIONAL_OUT, F32},
};

static const scry__operand embed[] = {
    {"ids", "T", AT(embed.ids), IN, I32},
    {"table", "Vd", AT(embed.table), PAGED, WEIGHT},
    {"out", "Td", AT(embed.out), OUT_ADDS, F32},
};

static const scry__operand add[] = {
    {"a", ".", AT(add.a), IN_PLACE, F32},
    {"b", ".", AT(add.b), IN_PLACE, WEIGHT},
    {"out", ".", AT(add.out), OUT_PLACE, F32},
};

static const scry__operand scale[] = {
    {"x", ".", AT(scale.x), IN_PLACE, F32},
    {"out", ".", AT(scale.out), OUT_PLACE, F32},
};

static const scry__operand activation[] = {
    {"x", ".", AT(activation.x), IN_PLACE, F32},
    {"gated", ".", AT(activation.gated), IN_PLACE | SCRY__OPTIONAL, F32},
    {"out", ".", AT(activation.out), OUT_PLACE, F32},
};

static const scry__operand copy[] = {
    {"x", ".", AT(copy.x), IN, ANY},
    {"out", ".", AT(copy.out), OUT, ANY},
};

static const scry__operand fill[] = {
    {"out", ".", AT(fill.out), OUT, ANY},
};

static const scry__operand sum[] = {
    {"x", "Tn", AT(sum.x), PAGED, F32},
    {"out", "n", AT(sum.out), OUT_ADDS, F32},
};

static const scry__operand activation_backward[] = {
    {"x", ".", AT(activation_backward.x), IN, F32},
    {"gated", ".", AT(activation_backward.gated), OPTIONAL, F32},
    {"d_out", ".", AT(activation_backward.d_out), IN_PLACE, F32},
    {"d_x", ".", AT(activation_backward.d_x), GRADIENT | SCRY__IN_PLACE, F32},
    {"d_gated", ".", AT(activation_backward.d_gated), GRADIENT, F32},
};

static const scry__operand norm_backward[] = {
    {"x", ".d", AT(norm_backward.x), IN, F32},
    {"d_out", ".d", AT(norm_backward.d_out), IN, F32},
    {"weight", "d", AT(norm_backward.parameters.weight), OPTIONAL, WEIGHT},
    {"bias", "d", AT(norm_backward.parameters.bias), OPTIONAL, WEIGHT},
    {"d_x", ".d", AT(norm_backward.d_x), GRADIENT, F32},
    {"d_weight", "d", AT(norm_backward.d_weight), GRADIENT, F32},
    {"d_bias", "d", AT(norm_backward.d_bias), GRADIENT, F32},
};

static const scry__operand embed_backward[] = {
    {"ids", "T", AT(embed_backward.ids), IN, I32},
    {"d_out", "Td", AT(embed_backward.d_out), IN, F32},
    {"d_table", "Vd", AT(embed_backward.d_table), OUT_ADDS | SCRY__PAGED, F32},
};

static const scry__operand attention_backward[] = {
    {"q", "BQHD", AT(attention_backward.q), IN, F32},
    {"k", "BKGD", AT(attention_backward.k), IN, F32},
    {"v", "BKGE", AT(attention_backward.v), IN, F32},
    {"out", "BQHE", AT(attention_backward.out), IN, F32},
    {"lse", "BHQ", AT(attention_backward.lse), IN, F32},
    {"d_out", "BQHE", AT(attention_backward.d_out), IN, F32},
    MASK(attention_backward.mask),
    {"d_q", "BQHD", AT(attention_backward.d_q), GRADIENT, F32},
    {"d_k", "BKGD", AT(attention_backward.d_k), GRADIENT, F32},
    {"d_v", "BKGE", AT(attention_backward.d_v), GRADIENT, F32},
};

static const scry__operand loss[] = {
    {"x", "Td", AT(loss.x), IN, F32},
    {"unembedding", "Vd", AT(loss.unembedding), PAGED, WEIGHT},
    {"bias", "V", AT(loss.bias), PAGED | SCRY__OPTIONAL, WEIGHT},
    {"target", "T", AT(loss.target), OPTIONAL, I32},
    {"teacher", "Td", AT(loss.teacher), OPTIONAL, F32},
    {"loss", "T", AT(loss.loss), OPTIONAL_OUT, F32},
    {"d_x", "Td", AT(loss.d_x), GRADIENT, F32},
    {"d_unembedding", "Vd", AT(loss.d_unembedding), GRADIENT | SCRY__PAGED, F32},
    {"d_bias", "V", AT(loss.d_bias), GRADIENT | SCRY__PAGED, F32},
};

static const scry__operand adamw[] = {
    {"gradient", "n", AT(adamw.gradient), IN, F32},
    {"parameter", "n", AT(adamw.parameter), STEPPED, F32},
    {"first", "n", AT(adamw.first), STEPPED, F32},
    {"second", "n", AT(adamw.second), STEPPED, F32},
};

static const scry__operand sgd[] = {
    {"gradient", "n", AT(sgd.gradient), IN, F32},
    {"parameter", "n", AT(sgd.parameter), STEPPED, F32},
    {"velocity", "n", AT(sgd.velocity), STEPPED | SCRY__OPTIONAL, F32},
};

#define OP_FITS(name, text, member)                                                                                    \
    _Static_assert(sizeof member / sizeof *member <= SCRY__MAX_OPERANDS, text " has too many operands");
SCRY_OP_LIST(OP_FITS)
#undef OP_FITS

static const struct {
    const scry__operand *operands;
    int                  count;
} ops[] = {
#define OP_ROW(name, text, member) {member, sizeof member / sizeof *member},
    SCRY_OP_LIST(OP_ROW)
#undef OP_ROW
};

static const scry__cuts cuts[SCRY_OP_COUNT] = {
    [SCRY_OP_MATMUL]              = {".mn", ""},
    [SCRY_OP_SOFTMAX_CAPTURE]     = {"BHQ", ""},
    [SCRY_OP_ATTENTION]           = {"BHQ", "GHSHqQ"},
    [SCRY_OP_ROPE]                = {"BTH", "PT"},
    [SCRY_OP_NORM]                = {".", ""},
    [SCRY_OP_LENS]                = {"NT", ""},
    [SCRY_OP_EMBED]               = {"T", ""},
    [SCRY_OP_ADD]                 = {".", ""},
    [SCRY_OP_SCALE]               = {".", ""},
    [SCRY_OP_ACTIVATION]          = {".", ""},
    [SCRY_OP_COPY]                = {".", ""},
    [SCRY_OP_FILL]                = {".", ""},
    [SCRY_OP_SUM]                 = {"n", ""},
    [SCRY_OP_ACTIVATION_BACKWARD] = {".", ""},
    [SCRY_OP_NORM_BACKWARD]       = {".", ""},
    [SCRY_OP_EMBED_BACKWARD]      = {"d", ""},
    [SCRY_OP_ATTENTION_BACKWARD]  = {"BHQ", "GH"},
    [SCRY_OP_LOSS]                = {"T", ""},
    [SCRY_OP_ADAMW]               = {"n", ""},
    [SCRY_OP_SGD]                 = {"n", ""},
};

int scry__operands(scry_op_kind kind, const scry__operand **operands)
{
    if ((unsigned)kind >= SCRY_OP_COUNT) return 0;
    *operands = ops[kind].operands;
    return ops[kind].count;
}

scry__cuts scry__operand_cuts(scry_op_kind kind)
{
    return cuts[kind];
}

/* Axes that "." stands for in a tensor of this rank. */
static int group_rank(const scry__operand *operand, int rank)
{
    return *operand->shape == '.' ? rank - (int)strlen(operand->shape + 1) : 0;
}

int scry__operand_axis(const scry__operand *operand, int rank, char name)
{
    int         group   = group_rank(operand, rank);
    const char *letters = operand->shape + (*operand->shape == '.'), *at = strchr(letters, name);
    if (name >= '0' && name < '0' + group) return name - '0';
    return at ? group + (int)(at - letters) : -1;
}

char scry__operand_axis_name(const scry__operand *operand, int rank, int axis)
{
    int group = group_rank(operand, rank);
    return axis < group ? (char)('0' + axis) : operand->shape[axis - group + (*operand->shape == '.')];
}

scry_tensor *scry__operand_of(scry_op *op, const scry__operand *operand)
{
    return (scry_tensor *)((char *)op + operand->offset);
}

const scry_tensor *scry__operand_in(const scry_op *op, const scry__operand *operand)
{
    return (const scry_tensor *)((const char *)op + operand->offset);
}

/* Whether the op adds to what its accumulating outputs hold. */
static bool accumulates(const scry_op *op)
{
    switch (op->kind) {
    case SCRY_OP_MATMUL:
        return op->matmul.beta != 0;
    case SCRY_OP_EMBED:
        return op->embed.accumulate;
    case SCRY_OP_SUM:
        return op->sum.accumulate;
    case SCRY_OP_ACTIVATION_BACKWARD:
        return op->activation_backward.accumulate;
    case SCRY_OP_NORM_BACKWARD:
        return op->norm_backward.accumulate;
    case SCRY_OP_EMBED_BACKWARD:
        return op->embed_backward.accumulate;
    case SCRY_OP_ATTENTION_BACKWARD:
        return op->attention_backward.accumulate;
    case SCRY_OP_LOSS:
        return op->loss.accumulate;
    default:
        return false;
    }
}

bool scry__operand_is_read(const scry_op *op, const scry__operand *operand)
{
    return operand->flags & SCRY__ACCUMULATE ? accumulates(op) : operand->flags & SCRY__READ;
}

size_t scry__tensor_extent(const scry_tensor *tensor)
{
    size_t last = 0;
    for (int axis = 0; axis < tensor->rank; axis++) {
        if (!tensor->shape[axis]) return 0;
        last += (size_t)(tensor->shape[axis] - 1) * (size_t)tensor->stride[axis];
    }
    return (last + 1) * scry_dtype_size(tensor->dtype);
}

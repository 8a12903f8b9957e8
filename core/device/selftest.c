/* The self-test: a few numbers through every op. See selftest.h.
 *
 * Results are small integers or simple fractions that follow from the definitions by hand. Sums of products must be
 * exact; what passes through exp, log, division or a root may differ by 1e-5, and 0 and -inf never. Memory starts as
 * NaN, so that an element left unwritten shows. */
#include "device/selftest.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

enum { TRIAL_WORDS = 512, OPERAND_WORDS = 32, MAX_EXPECTED = 4 };

typedef struct expectation {
    const char *name;
    scry_tensor tensor;
    float       values[OPERAND_WORDS];
} expectation;

/* One op, its operands' memory, and what must come out. */
struct trial {
    scry_op      op;
    scry_buffer *buffer;
    size_t       used; /* words */
    union {
        float   real;
        int32_t whole;
    } memory[TRIAL_WORDS];
    float       tolerance; /* relative */
    expectation expected[MAX_EXPECTED];
    int         expected_count;
};

#define SHAPE(...)                                                                                                     \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])                                       \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static scry_tensor place(struct trial *trial, scry_dtype dtype, int rank, const int64_t *shape)
{
    scry_tensor tensor = scry_tensor_of(trial->buffer, trial->used * 4, dtype, rank, shape);
    trial->used += OPERAND_WORDS;
    return tensor;
}

static scry_tensor input(struct trial *trial, scry_dtype dtype, int rank, const int64_t *shape, const float *values)
{
    size_t      begin  = trial->used;
    scry_tensor tensor = place(trial, dtype, rank, shape);
    for (int64_t i = 0; i < scry_tensor_count(&tensor); i++) {
        if (dtype == SCRY_I32)
            trial->memory[begin + (size_t)i].whole = (int32_t)values[i];
        else
            trial->memory[begin + (size_t)i].real = values[i];
    }
    return tensor;
}

static scry_tensor output(struct trial *trial, const char *name, scry_dtype dtype, int rank, const int64_t *shape,
                          const float *values)
{
    scry_tensor  tensor = place(trial, dtype, rank, shape);
    expectation *row    = &trial->expected[trial->expected_count++];
    *row                = (expectation){.name = name, .tensor = tensor};
    memcpy(row->values, values, (size_t)scry_tensor_count(&tensor) * sizeof *values);
    return tensor;
}

/* One that is changed in place. */
static scry_tensor changed(struct trial *trial, const char *name, scry_dtype dtype, int rank, const int64_t *shape,
                           const float *before, const float *after)
{
    size_t      begin  = trial->used;
    scry_tensor tensor = output(trial, name, dtype, rank, shape, after);
    for (int64_t i = 0; i < scry_tensor_count(&tensor); i++) trial->memory[begin + (size_t)i].real = before[i];
    return tensor;
}

#define VALUES(...)                                                                                                    \
    (const float[])                                                                                                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define F32(...) SCRY_F32, SHAPE(__VA_ARGS__)
#define I32(...) SCRY_I32, SHAPE(__VA_ARGS__)

static void prepare_matmul(struct trial *trial)
{
    trial->op.matmul = (scry_matmul){
        .a     = input(trial, F32(2, 3), VALUES(1, -2, 3, 0, 5, -1)),
        .b     = input(trial, F32(3, 2), VALUES(2, 1, -1, 4, 3, -2)),
        .bias  = input(trial, F32(2), VALUES(100, 200)),
        .c     = output(trial, "c", F32(2, 2), VALUES(113, 187, 92, 222)),
        .alpha = 1,
    };
}

/* Batch 0: equal scores under a causal mask. Batch 1: key_end 0 hides every key. */
static void prepare_softmax(struct trial *trial)
{
    trial->op.softmax = (scry_softmax){
        .scores        = input(trial, F32(2, 1, 2, 2), VALUES(3, 900, -7, -7, 1, 2, 3, 4)),
        .mask          = {.causal = true, .key_end = input(trial, I32(2), VALUES(2, 0))},
        .probabilities = output(trial, "probabilities", F32(2, 1, 2, 2), VALUES(1, 0, 0.5f, 0.5f, 0, 0, 0, 0)),
        .rows          = {.lse    = output(trial, "lse", F32(2, 1, 2), VALUES(3, -6.30685282f, -INFINITY, -INFINITY)),
                          .argmax = output(trial, "argmax", I32(2, 1, 2), VALUES(0, 0, -1, -1))},
    };
}

/* Zero queries attend evenly: to keys 0..i of two heads that share one key/value head; batch 1 sees no key. */
static void prepare_attention(struct trial *trial)
{
    trial->op.attention = (scry_attention){
        .q       = input(trial, F32(2, 2, 2, 1), VALUES(0, 0, 0, 0, 0, 0, 0, 0)),
        .k       = input(trial, F32(2, 2, 1, 1), VALUES(1, 2, 3, 4)),
        .v       = input(trial, F32(2, 2, 1, 2), VALUES(2, 4, 6, 16, 1, 1, 1, 1)),
        .out     = output(trial, "out", F32(2, 2, 2, 2), VALUES(2, 4, 2, 4, 4, 10, 4, 10, 0, 0, 0, 0, 0, 0, 0, 0)),
        .scale   = 1,
        .mask    = {.causal = true, .key_end = input(trial, I32(2), VALUES(2, 0))},
        .capture = {.received = output(trial, "received", F32(2, 2, 2), VALUES(1.5f, 0.5f, 1.5f, 0.5f, 0, 0, 0, 0))},
    };
}

/* Position 0 does not turn; position 1 turns the pair (0, 1) by a quarter; the last two entries pass through. */
static void prepare_rope(struct trial *trial)
{
    trial->op.rope = (scry_rope){
        .x      = input(trial, F32(1, 2, 1, 4), VALUES(1, 2, 3, 4, 5, 6, 7, 8)),
        .cosine = input(trial, F32(2, 1), VALUES(1, 0)),
        .sine   = input(trial, F32(2, 1), VALUES(0, 1)),
        .out    = output(trial, "out", F32(1, 2, 1, 4), VALUES(1, 2, 3, 4, -6, 5, 7, 8)),
    };
}

static void prepare_norm(struct trial *trial)
{
    trial->op.norm = (scry_norm){
        .x          = input(trial, F32(2, 4), VALUES(3, -1, 3, -1, 14, 14, 6, 6)),
        .parameters = {.kind    = SCRY_NORM_LAYER,
                       .epsilon = 1e-12f,
                       .weight  = input(trial, F32(4), VALUES(1, 2, 3, 4)),
                       .bias    = input(trial, F32(4), VALUES(10, 10, 10, 10))},
        .out        = output(trial, "out", F32(2, 4), VALUES(11, 8, 13, 6, 11, 12, 7, 6)),
        .scale      = output(trial, "scale", F32(2), VALUES(2, 4)),
    };
}

/* Logits 4, 2, 4: the tie at the top goes to the lower id, and each of the three has a known rank. */
static void prepare_lens(struct trial *trial)
{
    trial->op.lens = (scry_lens_op){
        .x            = input(trial, F32(1, 1, 2), VALUES(2, 1)),
        .unembedding  = input(trial, F32(3, 2), VALUES(1, 2, 1, 0, 2, 0)),
        .reference    = input(trial, F32(1, 2), VALUES(2, 1)),
        .target       = input(trial, I32(1), VALUES(2)),
        .norm         = {.kind = SCRY_NORM_NONE},
        .top_id       = output(trial, "top_id", I32(1, 1, 2), VALUES(0, 2)),
        .target_logit = output(trial, "target_logit", F32(1, 1), VALUES(4)),
        .target_rank  = output(trial, "target_rank", I32(1, 1), VALUES(1)),
        .kl           = output(trial, "kl", F32(1, 1), VALUES(0)),
    };
}

static void prepare_embed(struct trial *trial)
{
    trial->op.embed = (scry_embed){
        .ids   = input(trial, I32(2), VALUES(2, 0)),
        .table = input(trial, F32(3, 2), VALUES(1, 2, 3, 4, 5, 6)),
        .out   = output(trial, "out", F32(2, 2), VALUES(5, 6, 1, 2)),
    };
}

static void prepare_add(struct trial *trial)
{
    trial->op.add = (scry_add){
        .a   = input(trial, F32(3), VALUES(1, 2, 3)),
        .b   = input(trial, F32(3), VALUES(10, 20, -3)),
        .out = output(trial, "out", F32(3), VALUES(11, 22, 0)),
    };
}

static void prepare_scale(struct trial *trial)
{
    trial->op.scale = (scry_scale){
        .x      = input(trial, F32(3), VALUES(1, 2, 3)),
        .out    = output(trial, "out", F32(3), VALUES(3, 5, 7)),
        .factor = 2,
        .offset = 1,
    };
}

static void prepare_activation(struct trial *trial)
{
    trial->op.activation = (scry_activation){
        .x        = input(trial, F32(3), VALUES(-1, 2, 3)),
        .gated    = input(trial, F32(3), VALUES(7, 5, -2)),
        .out      = output(trial, "out", F32(3), VALUES(0, 10, -6)),
        .function = SCRY_RELU,
    };
}

static void prepare_copy(struct trial *trial)
{
    scry_tensor matrix = input(trial, F32(2, 2), VALUES(1, 2, 3, 4));
    trial->op.copy     = (scry_copy){
            .x   = scry_tensor_swap(matrix, 0, 1),
            .out = output(trial, "out", F32(2, 2), VALUES(1, 3, 2, 4)),
    };
}

static void prepare_fill(struct trial *trial)
{
    trial->op.fill = (scry_fill){.out = output(trial, "out", I32(3), VALUES(-7, -7, -7)), .value = -7};
}

/* --- Training --- */

static void prepare_sum(struct trial *trial)
{
    trial->op.sum = (scry_sum){
        .x       = input(trial, F32(2, 3), VALUES(1, -2, 3, 4, 5, 6)),
        .out     = output(trial, "out", F32(3), VALUES(17, 29, 45)),
        .squares = true,
    };
}

static void prepare_activation_backward(struct trial *trial)
{
    trial->op.activation_backward = (scry_activation_backward){
        .x        = input(trial, F32(3), VALUES(-1, 2, 3)),
        .gated    = input(trial, F32(3), VALUES(7, 5, -2)),
        .d_out    = input(trial, F32(3), VALUES(1, 10, 100)),
        .d_x      = output(trial, "d_x", F32(3), VALUES(0, 50, -200)),
        .d_gated  = output(trial, "d_gated", F32(3), VALUES(0, 20, 300)),
        .function = SCRY_RELU,
    };
}

/* The row normalised is 1, -1, 1, -1; of its gradient the mean is 3, that of the product with it 1. */
static void prepare_norm_backward(struct trial *trial)
{
    trial->op.norm_backward = (scry_norm_backward){
        .x          = input(trial, F32(1, 4), VALUES(3, -1, 3, -1)),
        .d_out      = input(trial, F32(1, 4), VALUES(8, 4, 0, 0)),
        .parameters = {.kind = SCRY_NORM_LAYER, .epsilon = 1e-12f},
        .d_x        = output(trial, "d_x", F32(1, 4), VALUES(2, 1, -2, -1)),
        .d_weight   = output(trial, "d_weight", F32(4), VALUES(8, -4, 0, 0)),
        .d_bias     = output(trial, "d_bias", F32(4), VALUES(8, 4, 0, 0)),
    };
}

static void prepare_embed_backward(struct trial *trial)
{
    trial->op.embed_backward = (scry_embed_backward){
        .ids     = input(trial, I32(3), VALUES(2, 0, 2)),
        .d_out   = input(trial, F32(3, 2), VALUES(1, 2, 3, 4, 5, 6)),
        .d_table = output(trial, "d_table", F32(3, 2), VALUES(3, 4, 0, 0, 6, 8)),
    };
}

/* Zero queries attend evenly to keys 0..i; two heads share their keys, the second has ten times the gradient. */
static void prepare_attention_backward(struct trial *trial)
{
    trial->op.attention_backward = (scry_attention_backward){
        .q     = input(trial, F32(1, 2, 2, 1), VALUES(0, 0, 0, 0)),
        .k     = input(trial, F32(1, 2, 1, 1), VALUES(1, 3)),
        .v     = input(trial, F32(1, 2, 1, 1), VALUES(2, 6)),
        .out   = input(trial, F32(1, 2, 2, 1), VALUES(2, 2, 4, 4)),
        .lse   = input(trial, F32(1, 2, 2), VALUES(0, (float)M_LN2, 0, (float)M_LN2)),
        .d_out = input(trial, F32(1, 2, 2, 1), VALUES(1, 10, 2, 20)),
        .d_q   = output(trial, "d_q", F32(1, 2, 2, 1), VALUES(0, 0, 4, 40)),
        .d_k   = output(trial, "d_k", F32(1, 2, 1, 1), VALUES(0, 0)),
        .d_v   = output(trial, "d_v", F32(1, 2, 1, 1), VALUES(22, 11)),
        .scale = 1,
        .mask  = {.causal = true},
    };
}

/* Row 0 finds both entries as likely; row 1 has no target. */
static void prepare_loss(struct trial *trial)
{
    trial->op.loss = (scry_loss){
        .x             = input(trial, F32(2, 2), VALUES(0, 2, 7, 7)),
        .unembedding   = input(trial, F32(2, 2), VALUES(1, 0, -1, 0)),
        .target        = input(trial, I32(2), VALUES(1, -1)),
        .loss          = output(trial, "loss", F32(2), VALUES((float)M_LN2, 0)),
        .d_x           = output(trial, "d_x", F32(2, 2), VALUES(1, 0, 0, 0)),
        .d_unembedding = output(trial, "d_unembedding", F32(2, 2), VALUES(0, 1, 0, -1)),
        .factor        = 1,
    };
}

/* Without epsilon, the first step is `rate` in the gradient's direction; and a quarter of the parameter decays. */
static void prepare_adamw(struct trial *trial)
{
    trial->op.adamw = (scry_adamw){
        .gradient        = input(trial, F32(2), VALUES(8, -8)),
        .parameter       = changed(trial, "parameter", F32(2), VALUES(10, -10), VALUES(7, -7)),
        .first           = changed(trial, "first", F32(2), VALUES(0, 0), VALUES(2, -2)),
        .second          = changed(trial, "second", F32(2), VALUES(0, 0), VALUES(8, 8)),
        .rate            = 0.5f,
        .beta1           = 0.5f,
        .beta2           = 0.5f,
        .decay           = 0.5f,
        .gradient_factor = 0.5f,
        .step            = 1,
    };
}

static void prepare_sgd(struct trial *trial)
{
    trial->op.sgd = (scry_sgd){
        .gradient        = input(trial, F32(2), VALUES(1, 2)),
        .parameter       = changed(trial, "parameter", F32(2), VALUES(10, 20), VALUES(8.5f, 17)),
        .velocity        = changed(trial, "velocity", F32(2), VALUES(4, 8), VALUES(3, 6)),
        .rate            = 0.5f,
        .momentum        = 0.5f,
        .gradient_factor = 1,
    };
}

static const struct {
    scry_op_kind kind;
    void (*prepare)(struct trial *trial);
    float tolerance;
} trials[] = {
    {SCRY_OP_MATMUL, prepare_matmul, 0},
    {SCRY_OP_SOFTMAX_CAPTURE, prepare_softmax, 1e-5f},
    {SCRY_OP_ATTENTION, prepare_attention, 1e-5f},
    {SCRY_OP_ROPE, prepare_rope, 0},
    {SCRY_OP_NORM, prepare_norm, 1e-5f},
    {SCRY_OP_LENS, prepare_lens, 0},
    {SCRY_OP_EMBED, prepare_embed, 0},
    {SCRY_OP_ADD, prepare_add, 0},
    {SCRY_OP_SCALE, prepare_scale, 0},
    {SCRY_OP_ACTIVATION, prepare_activation, 0},
    {SCRY_OP_COPY, prepare_copy, 0},
    {SCRY_OP_FILL, prepare_fill, 0},
    {SCRY_OP_SUM, prepare_sum, 0},
    {SCRY_OP_ACTIVATION_BACKWARD, prepare_activation_backward, 0},
    {SCRY_OP_NORM_BACKWARD, prepare_norm_backward, 1e-5f},
    {SCRY_OP_EMBED_BACKWARD, prepare_embed_backward, 0},
    {SCRY_OP_ATTENTION_BACKWARD, prepare_attention_backward, 1e-5f},
    {SCRY_OP_LOSS, prepare_loss, 1e-5f},
    {SCRY_OP_ADAMW, prepare_adamw, 1e-5f},
    {SCRY_OP_SGD, prepare_sgd, 0},
};

static scry_status compare(const struct trial *trial, const expectation *row)
{
    for (int64_t i = 0; i < scry_tensor_count(&row->tensor); i++) {
        size_t at       = row->tensor.offset / 4 + (size_t)i;
        bool   is_whole = row->tensor.dtype == SCRY_I32;
        float  found    = is_whole ? (float)trial->memory[at].whole : trial->memory[at].real;
        float  expected = row->values[i];
        if (found == expected || fabsf(found - expected) <= trial->tolerance * fabsf(expected)) continue;
        return scry__fail(SCRY_CHECK_FAILED, "self-test: %s: %s element %lld is %g: expected %g",
                          scry_op_text(trial->op.kind), row->name, (long long)i, (double)found, (double)expected);
    }
    return SCRY_OK;
}

/* Whether a device may go without that op. */
static bool is_dispensable(scry_op_kind kind)
{
    switch (kind) {
#define TRAINING_CASE(name, text, member) case SCRY_OP_##name:
        SCRY_TRAINING_OP_LIST(TRAINING_CASE)
#undef TRAINING_CASE
        return true;
    default:
        return false;
    }
}

/* *lacking where the device does not have an op that it may go without. */
static scry_status ask(scry_device *device, const scry_op *op, bool *lacking)
{
    scry_op_info info   = {0};
    scry_status  status = is_dispensable(op->kind) ? scry_device_query(device, op, &info) : SCRY_OK;
    *lacking            = is_dispensable(op->kind) && info.support == SCRY_NOT_SUPPORTED;
    return status;
}

static scry_status run_trial(scry_device *device, struct trial *trial)
{
    bool        lacking;
    scry_status status = ask(device, &trial->op, &lacking);
    if (!status && lacking) return SCRY_OK;
    if (!status) status = scry_buffer_write(trial->buffer, 0, trial->memory, sizeof trial->memory);
    if (!status) status = scry_device_run(device, &trial->op);
    if (!status) status = scry_buffer_read(trial->buffer, 0, trial->memory, sizeof trial->memory);
    if (status) return scry__fail_prefix(status, "self-test");
    for (int i = 0; !status && i < trial->expected_count; i++) status = compare(trial, &trial->expected[i]);
    return status;
}

scry_status scry__self_test(scry_device *device)
{
    scry_buffer *buffer = NULL;
    scry_status  status = scry_buffer_create(&buffer, device, sizeof((struct trial *)0)->memory);
    for (size_t i = 0; !status && i < sizeof trials / sizeof *trials; i++) {
        struct trial trial = {.op = {.kind = trials[i].kind}, .buffer = buffer, .tolerance = trials[i].tolerance};
        for (int word = 0; word < TRIAL_WORDS; word++) trial.memory[word].real = NAN;
        trials[i].prepare(&trial);
        status = run_trial(device, &trial);
    }
    scry_buffer_destroy(&buffer);
    return status;
}

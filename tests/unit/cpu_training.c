/* The cpu backend's ops for training, at sizes that are shared by threads and cut into tiles: near the reference with
 * every variant of the kernels, and the same bits whatever the number of threads. Their error bounds are the matter of
 * the op cases. */
#include "backends/cpu/cpu.h"
#include "device/operands.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One op: its sizes by the letters of the operands' table, what is absent, and its scalars. */
struct trial {
    const char  *name;
    scry_op_kind kind;
    int64_t      B, H, G, Q, K, D, E, T, d, V, n;
    const char  *absent; /* names, each between spaces */
    size_t       barred; /* loss: the first entries of the vocabulary, whose bias is -inf */
    void (*set)(scry_op *op);
};

static int64_t size_of(const struct trial *trial, char letter)
{
    static const char letters[] = "BHGQKDETdVn";
    const int64_t     sizes[]   = {trial->B, trial->H, trial->G, trial->Q, trial->K, trial->D,
                                   trial->E, trial->T, trial->d, trial->V, trial->n};
    const char       *at        = strchr(letters, letter);
    return at ? sizes[at - letters] : trial->T; /* "." is one axis */
}

static void set_squares(scry_op *op)
{
    op->sum.squares = op->sum.accumulate = true;
}

static void set_silu(scry_op *op)
{
    op->activation_backward.function = SCRY_SILU;
}

static void set_tanh(scry_op *op)
{
    op->activation_backward.function   = SCRY_GELU_TANH;
    op->activation_backward.accumulate = true;
}

static void set_layer_norm(scry_op *op)
{
    op->norm_backward.parameters.epsilon = 1e-5f;
    op->norm_backward.accumulate         = true;
}

static void set_rms_norm(scry_op *op)
{
    op->norm_backward.parameters.kind          = SCRY_NORM_RMS;
    op->norm_backward.parameters.epsilon       = 1e-5f;
    op->norm_backward.parameters.weight_offset = 1;
}

static void set_embed(scry_op *op)
{
    op->embed_backward.scale = 3;
}

static void set_causal(scry_op *op)
{
    op->attention_backward.scale       = 0.25f;
    op->attention_backward.mask.causal = true;
}

static void set_window(scry_op *op)
{
    op->attention_backward.scale             = 0.5f;
    op->attention_backward.softcap           = 1.5f;
    op->attention_backward.accumulate        = true;
    op->attention_backward.mask.causal       = true;
    op->attention_backward.mask.window       = 40;
    op->attention_backward.mask.prefix       = 3;
    op->attention_backward.mask.query_offset = 60;
}

static void set_loss(scry_op *op)
{
    op->loss.factor      = 0.25f;
    op->loss.logit_scale = 2;
    op->loss.softcap     = 3;
    op->loss.accumulate  = true;
}

static void set_plain_loss(scry_op *op)
{
    op->loss.factor = 0.01f;
}

static void set_adamw(scry_op *op)
{
    op->adamw.rate = 0.01f, op->adamw.beta1 = 0.9f, op->adamw.beta2 = 0.95f, op->adamw.epsilon = 1e-8f;
    op->adamw.decay = 0.1f, op->adamw.gradient_factor = 0.5f, op->adamw.step = 7;
}

static void set_sgd(scry_op *op)
{
    op->sgd.rate = 0.1f, op->sgd.momentum = 0.9f, op->sgd.decay = 0.01f, op->sgd.gradient_factor = 0.5f;
    op->sgd.nesterov = true;
}

#define PADDED " key_begin key_end additive "
static const struct trial trials[] = {
    {"columns of sums", SCRY_OP_SUM, .T = 777, .n = 301},
    {"a sum of squares", SCRY_OP_SUM, .T = 100003, .n = 1, .set = set_squares},
    {"silu, gated", SCRY_OP_ACTIVATION_BACKWARD, .T = 100001, .set = set_silu},
    {"gelu", SCRY_OP_ACTIVATION_BACKWARD, .T = 100001, .absent = " gated d_gated ", .set = set_tanh},
    {"LayerNorm", SCRY_OP_NORM_BACKWARD, .T = 1111, .d = 45, .set = set_layer_norm},
    {"RMSNorm", SCRY_OP_NORM_BACKWARD, .T = 77, .d = 1030, .absent = " bias d_bias ", .set = set_rms_norm},
    {"embed", SCRY_OP_EMBED_BACKWARD, .T = 500, .d = 150, .V = 60, .set = set_embed},
    {"whole heads", SCRY_OP_ATTENTION_BACKWARD, 3, 4, 4, 130, 130, 24, 40, .absent = PADDED, .set = set_causal},
    {"heads cut up", SCRY_OP_ATTENTION_BACKWARD, 1, 6, 1, 150, 210, 32, 20, .absent = PADDED, .set = set_window},
    {"long rows", SCRY_OP_ATTENTION_BACKWARD, 1, 2, 1, 100, 300, 9, 9, .absent = " key_begin key_end ",
     .set = set_causal},
    {"d_q alone", SCRY_OP_ATTENTION_BACKWARD, 1, 3, 1, 99, 99, 16, 16, .absent = PADDED "d_k d_v ", .set = set_causal},
    {"d_v alone", SCRY_OP_ATTENTION_BACKWARD, 1, 3, 1, 99, 99, 16, 16, .absent = PADDED "d_k d_q ", .set = set_causal},
    {"loss in one chunk", SCRY_OP_LOSS, .T = 700, .d = 20, .V = 333, .absent = " teacher ", .set = set_loss},
    {"loss in chunks", SCRY_OP_LOSS, .T = 530, .d = 9, .V = 2500, .absent = " teacher ", .set = set_plain_loss},
    {"a teacher", SCRY_OP_LOSS, .T = 530, .d = 9, .V = 2500, .absent = " target bias d_bias ", .set = set_loss},
    {"a chunk without logits", SCRY_OP_LOSS, .T = 530, .d = 9, .V = 2500, .absent = " target ", .barred = 2100,
     .set = set_plain_loss},
    {"adamw", SCRY_OP_ADAMW, .n = 70001, .set = set_adamw},
    {"sgd", SCRY_OP_SGD, .n = 70001, .set = set_sgd},
};

/* --- an op's operands, the same on every device --- */

static bool is_absent(const struct trial *trial, const char *name)
{
    char between[32];
    snprintf(between, sizeof between, " %s ", name);
    return trial->absent && strstr(trial->absent, between);
}

static int32_t random_bits(void)
{
    static uint32_t state = 1;
    state                 = state * 1664525 + 1013904223;
    return (int32_t)state;
}

/* Random content: ids reach a little beyond both ends of the vocabulary, what is squared on average is positive. */
static void fill(const struct trial *trial, const scry__operand *operand, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t bits = random_bits(), id = (int32_t)((bits >> 8 & 0xffff) % (trial->V + 2)) - 1;
        values[i] = (float)bits * 0x1p-31f;
        if (!strcmp(operand->name, "second")) values[i] = fabsf(values[i]);
        if (!strcmp(operand->name, "bias") && i < trial->barred) values[i] = -INFINITY;
        if (operand->dtypes == 1 << SCRY_I32) memcpy(&values[i], &id, sizeof id);
    }
}

struct content {
    float *values[SCRY__MAX_OPERANDS]; /* NULL: absent */
    size_t count[SCRY__MAX_OPERANDS];
};

/* The op with buffers of the device that hold the content. */
static scry_op make_op(const struct trial *trial, scry_device *device, const struct content *content)
{
    const scry__operand *operands;
    int                  count = scry__operands(trial->kind, &operands);
    scry_op              op    = {.kind = trial->kind};
    if (trial->set) trial->set(&op);
    for (int i = 0; i < count; i++) {
        int64_t      shape[SCRY_MAX_RANK];
        int          rank   = (int)strlen(operands[i].shape);
        scry_buffer *buffer = NULL;
        if (!content->values[i]) continue;
        for (int axis = 0; axis < rank; axis++) shape[axis] = size_of(trial, operands[i].shape[axis]);
        cr_assert_eq(scry_buffer_create(&buffer, device, content->count[i] * 4), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry_buffer_write(buffer, 0, content->values[i], content->count[i] * 4), SCRY_OK);
        *scry__operand_of(&op, &operands[i]) =
            scry_tensor_of(buffer, 0, operands[i].dtypes == 1 << SCRY_I32 ? SCRY_I32 : SCRY_F32, rank, shape);
    }
    return op;
}

static void read_back(scry_op *op, struct content *content, bool release)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        scry_tensor *x = scry__operand_of(op, &operands[i]);
        if (!x->buffer) continue;
        cr_assert_eq(scry_buffer_read(x->buffer, 0, content->values[i], content->count[i] * 4), SCRY_OK);
        if (release) scry_buffer_destroy(&x->buffer);
    }
}

static void release_content(struct content *content)
{
    for (int i = 0; i < SCRY__MAX_OPERANDS; i++) free(content->values[i]);
}

static struct content copy_content(const struct content *content)
{
    struct content copy = *content;
    for (int i = 0; i < SCRY__MAX_OPERANDS; i++) {
        if (!content->values[i]) continue;
        copy.values[i] = malloc(content->count[i] * 4);
        memcpy(copy.values[i], content->values[i], content->count[i] * 4);
    }
    return copy;
}

/* out and lse become those of the forward op. */
static void attend(scry_device *reference, const struct trial *trial, struct content *content)
{
    scry_op                        op      = make_op(trial, reference, content);
    const scry_attention_backward *back    = &op.attention_backward;
    scry_op                        forward = {.kind      = SCRY_OP_ATTENTION,
                                              .attention = {.q       = back->q,
                                                            .k       = back->k,
                                                            .v       = back->v,
                                                            .out     = back->out,
                                                            .scale   = back->scale,
                                                            .softcap = back->softcap,
                                                            .mask    = back->mask,
                                                            .capture = {.rows = {.lse = back->lse}}}};
    cr_assert_eq(scry_device_run(reference, &forward), SCRY_OK, "%s", scry_last_error());
    read_back(&op, content, true);
}

static struct content make_content(const struct trial *trial, scry_device *reference)
{
    const scry__operand *operands;
    int                  count   = scry__operands(trial->kind, &operands);
    struct content       content = {0};
    for (int i = 0; i < count; i++) {
        size_t elements = 1;
        for (const char *letter = operands[i].shape; *letter; letter++) elements *= (size_t)size_of(trial, *letter);
        if (is_absent(trial, operands[i].name)) continue;
        content.count[i]  = elements;
        content.values[i] = malloc(elements * 4);
        fill(trial, &operands[i], content.values[i], elements);
    }
    if (trial->kind == SCRY_OP_ATTENTION_BACKWARD) attend(reference, trial, &content);
    return content;
}

static struct content run(const struct trial *trial, scry_device *device, const struct content *content)
{
    struct content result = copy_content(content);
    scry_op        op     = make_op(trial, device, content);
    cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s: %s", trial->name, scry_last_error());
    read_back(&op, &result, true);
    return result;
}

/* --- what is asked of the results --- */

/* Within 2^-16 of the largest entry. */
static void expect_near(const struct trial *trial, const char *what, const struct content *found,
                        const struct content *exact)
{
    const scry__operand *operands;
    int                  count = scry__operands(trial->kind, &operands);
    for (int i = 0; i < count; i++) {
        double largest = 0;
        if (!exact->values[i] || !(operands[i].flags & SCRY__WRITE)) continue;
        for (size_t j = 0; j < exact->count[i]; j++) largest = fmax(largest, fabs((double)exact->values[i][j]));
        for (size_t j = 0; j < exact->count[i]; j++)
            cr_assert(fabs((double)found->values[i][j] - (double)exact->values[i][j]) <= 0x1p-16 * largest,
                      "%s, %s: %s: element %zu is %g, not %g", trial->name, what, operands[i].name, j,
                      (double)found->values[i][j], (double)exact->values[i][j]);
    }
}

static void expect_same(const struct trial *trial, int threads, const struct content *found,
                        const struct content *first)
{
    for (int i = 0; i < SCRY__MAX_OPERANDS; i++)
        if (first->values[i])
            cr_assert(!memcmp(found->values[i], first->values[i], first->count[i] * 4),
                      "%s: operand %d with %d threads is not what it is with one", trial->name, i, threads);
}

static scry_device *open_device(const char *name, int threads, const struct scry__cpu_kernels *kernels)
{
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name, .threads = threads}), SCRY_OK, "%s",
                 scry_last_error());
    if (kernels) ((struct scry__cpu *)device->impl)->kernels = kernels;
    return device;
}

Test(cpu_training, ops__agree_with_the_reference_and_with_any_number_of_threads)
{
    static const int threads[] = {2, 3, 7};
    scry_device     *reference = open_device("reference", 0, NULL);
    for (size_t t = 0; t < sizeof trials / sizeof *trials; t++) {
        const struct scry__cpu_kernels *kernels;
        struct content content = make_content(&trials[t], reference), exact = run(&trials[t], reference, &content);
        for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++) {
            scry_device   *device = open_device("cpu", 1, kernels);
            struct content first  = run(&trials[t], device, &content);
            expect_near(&trials[t], kernels->name, &first, &exact);
            scry_device_destroy(&device);
            for (int i = 0; i < 3; i++) {
                device               = open_device("cpu", threads[i], kernels);
                struct content again = run(&trials[t], device, &content);
                expect_same(&trials[t], threads[i], &again, &first);
                release_content(&again);
                scry_device_destroy(&device);
            }
            release_content(&first);
        }
        release_content(&exact);
        release_content(&content);
    }
    scry_device_destroy(&reference);
}

/* The oracle's gradients against differences: each forward op once more in double precision, its loss (outputs times
 * fixed numbers, added up) at x - 2h, x - h, x + h and x + 2h for every entry of every input. And its optimisers
 * against their usual form, step by step. */
#include "unit/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { MOST = 256 };

/* Numbers in both precisions: what the op gets, and what is varied. */
typedef struct numbers {
    float  f32[MOST];
    double f64[MOST];
    int    count;
} numbers;

static void widen(numbers *x)
{
    for (int i = 0; i < x->count; i++) x->f64[i] = x->f32[i];
}

static void fill(numbers *x, int count, uint64_t seed)
{
    x->count = count;
    trial_normal(x->f32, count, seed);
    widen(x);
}

/* Fourth order: off by h^4 times a fifth derivative, some 1e-11, and the rounding of the loss over h. */
static double difference(double *x, double (*loss)(void))
{
    const double at = *x, h = 1e-3;
    double       near = 0, far = 0;
    for (int side = -1; side <= 1; side += 2) {
        *x = at + side * h;
        near += side * loss();
        *x = at + side * 2 * h;
        far += side * loss();
    }
    *x = at;
    return (8 * near - far) / (12 * h);
}

/* Every entry of a gradient, to `tolerance` of the largest. */
static void expect_gradient(trial *t, const scry_tensor *gradient, numbers *x, double (*loss)(void), double tolerance,
                            const char *what)
{
    float  got[MOST];
    double exact[MOST], largest = 0;
    cr_assert_eq(scry_tensor_count(gradient), x->count, "%s", what);
    trial_read(t, gradient, got);
    for (int i = 0; i < x->count; i++) largest = fmax(largest, fabs(exact[i] = difference(&x->f64[i], loss)));
    cr_expect_gt(largest, 0, "%s: nothing moves the loss", what);
    for (int i = 0; i < x->count; i++)
        cr_expect(fabs(got[i] - exact[i]) <= tolerance * largest, "%s: element %d is %g: expected %g", what, i,
                  (double)got[i], exact[i]);
}

/* Results are rounded to f32 once. */
static const double rounded = 1e-7;

static numbers w; /* d_out */

/* --- activation --- */

static scry_activation_kind function;
static bool                 is_gated;
static numbers              x, gated;

static double activate(double at)
{
    switch (function) {
    case SCRY_GELU_ERF:
        return at / 2 * (1 + erf(at / sqrt(2)));
    case SCRY_GELU_TANH:
        return at / 2 * (1 + tanh(sqrt(2 / M_PI) * (at + 0.044715 * at * at * at)));
    case SCRY_SILU:
        return at / (1 + exp(-at));
    default:
        return at > 0 ? at : 0;
    }
}

static double activation_loss(void)
{
    double loss = 0;
    for (int i = 0; i < x.count; i++) loss += w.f64[i] * activate(x.f64[i]) * (is_gated ? gated.f64[i] : 1);
    return loss;
}

static void check_activation(void)
{
    enum { COUNT = 61 };
    trial t;
    trial_open(&t, "reference");
    fill(&x, COUNT, 1);
    fill(&gated, COUNT, 2);
    fill(&w, COUNT, 3);
    for (int i = 0; i < COUNT; i++)
        x.f32[i] = copysignf(0.01f + 3 * fabsf(x.f32[i]), x.f32[i]); /* relu's corner is no place for differences */
    widen(&x);
    const int64_t            *shape = TRIAL_SHAPE(COUNT);
    scry_op                   op    = {.kind = SCRY_OP_ACTIVATION_BACKWARD};
    scry_activation_backward *a     = &op.activation_backward;
    a->function                     = function;
    a->x                            = trial_f32(&t, 1, shape, x.f32);
    a->d_out                        = trial_f32(&t, 1, shape, w.f32);
    a->d_x                          = trial_out(&t, SCRY_F32, 1, shape);
    if (is_gated) a->gated = trial_f32(&t, 1, shape, gated.f32);
    if (is_gated) a->d_gated = trial_out(&t, SCRY_F32, 1, shape);
    trial_run(&t, &op);
    expect_gradient(&t, &a->d_x, &x, activation_loss, rounded, "activation: d_x");
    if (is_gated) expect_gradient(&t, &a->d_gated, &gated, activation_loss, rounded, "activation: d_gated");
    trial_close(&t);
}

Test(reference_gradients, activation__is_what_differences_say)
{
    for (function = SCRY_GELU_ERF; function <= SCRY_RELU; function++)
        for (int i = 0; i < 2; i++) {
            is_gated = i;
            check_activation();
        }
}

/* --- norm --- */

enum { NORM_ROWS = 5, WIDTH = 7 };
static scry_norm_parameters parameters;
static numbers              weight, bias;

static double norm_loss(void)
{
    double loss = 0;
    for (int row = 0; row < NORM_ROWS; row++) {
        const double *at   = &x.f64[row * WIDTH];
        double        mean = 0, square = 0;
        for (int i = 0; i < WIDTH && parameters.kind == SCRY_NORM_LAYER; i++) mean += at[i] / WIDTH;
        for (int i = 0; i < WIDTH; i++) square += (at[i] - mean) * (at[i] - mean) / WIDTH;
        double root = parameters.kind == SCRY_NORM_NONE ? 1 : sqrt(square + (double)parameters.epsilon);
        for (int i = 0; i < WIDTH; i++) {
            double out = (at[i] - mean) / root;
            if (weight.count) out *= weight.f64[i] + (double)parameters.weight_offset;
            loss += w.f64[row * WIDTH + i] * (out + (bias.count ? bias.f64[i] : 0));
        }
    }
    return loss;
}

static void check_norm(scry_norm_kind kind, bool with_parameters)
{
    trial t;
    trial_open(&t, "reference");
    fill(&x, NORM_ROWS * WIDTH, 4);
    fill(&w, NORM_ROWS * WIDTH, 5);
    fill(&weight, with_parameters ? WIDTH : 0, 6);
    fill(&bias, with_parameters ? WIDTH : 0, 7);
    parameters                = (scry_norm_parameters){.kind = kind, .epsilon = 0.1f, .weight_offset = 0.5f};
    const int64_t      *shape = TRIAL_SHAPE(NORM_ROWS, WIDTH), *one = TRIAL_SHAPE(WIDTH);
    scry_op             op = {.kind = SCRY_OP_NORM_BACKWARD, .norm_backward = {.parameters = parameters}};
    scry_norm_backward *n  = &op.norm_backward;
    n->x                   = trial_f32(&t, 2, shape, x.f32);
    n->d_out               = trial_f32(&t, 2, shape, w.f32);
    n->d_x                 = trial_out(&t, SCRY_F32, 2, shape);
    if (with_parameters) n->parameters.weight = trial_f32(&t, 1, one, weight.f32);
    if (with_parameters) n->d_weight = trial_out(&t, SCRY_F32, 1, one);
    if (with_parameters) n->d_bias = trial_out(&t, SCRY_F32, 1, one);
    trial_run(&t, &op);
    expect_gradient(&t, &n->d_x, &x, norm_loss, rounded, "norm: d_x");
    if (with_parameters) expect_gradient(&t, &n->d_weight, &weight, norm_loss, rounded, "norm: d_weight");
    if (with_parameters) expect_gradient(&t, &n->d_bias, &bias, norm_loss, rounded, "norm: d_bias");
    trial_close(&t);
}

Test(reference_gradients, norm__is_what_differences_say)
{
    check_norm(SCRY_NORM_LAYER, true);
    check_norm(SCRY_NORM_LAYER, false);
    check_norm(SCRY_NORM_RMS, true);
    check_norm(SCRY_NORM_RMS, false);
    check_norm(SCRY_NORM_NONE, false);
}

/* --- sum, embed --- */

Test(reference_gradients, sum__adds_rows_or_their_squares)
{
    enum { ROWS = 9, COLUMNS = 5 };
    float got[COLUMNS];
    trial t;
    trial_open(&t, "reference");
    fill(&x, ROWS * COLUMNS, 8);
    fill(&w, COLUMNS, 9);
    scry_op op = {.kind = SCRY_OP_SUM, .sum = {.accumulate = true}};
    op.sum.x   = trial_f32(&t, 2, TRIAL_SHAPE(ROWS, COLUMNS), x.f32);
    for (int squares = 0; squares < 2; squares++) {
        op.sum.out     = trial_f32(&t, 1, TRIAL_SHAPE(COLUMNS), w.f32);
        op.sum.squares = squares;
        trial_run(&t, &op);
        trial_read(&t, &op.sum.out, got);
        for (int i = 0; i < COLUMNS; i++) {
            long double sum = (long double)w.f64[i];
            for (int row = 0; row < ROWS; row++)
                sum += (long double)x.f64[row * COLUMNS + i] * (squares ? (long double)x.f64[row * COLUMNS + i] : 1);
            cr_expect(trial_is_rounded(got[i], sum), "column %d, squares %d: %g", i, squares, (double)got[i]);
        }
    }
    trial_close(&t);
}

enum { TOKENS = 6, ENTRIES = 4, SIZE = 3 };
static const int32_t ids[TOKENS] = {2, 0, 2, -1, 4, 2}; /* entries 1 and 3 are not named */
static numbers       table;

static double embed_loss(void)
{
    double loss = 0;
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; ids[t] >= 0 && ids[t] < ENTRIES && i < SIZE; i++)
            loss += w.f64[t * SIZE + i] * 1.5 * table.f64[ids[t] * SIZE + i];
    return loss;
}

Test(reference_gradients, embed__is_what_differences_say)
{
    trial t;
    trial_open(&t, "reference");
    fill(&table, ENTRIES * SIZE, 10);
    fill(&w, TOKENS * SIZE, 11);
    scry_op              op = {.kind = SCRY_OP_EMBED_BACKWARD, .embed_backward = {.scale = 1.5f}};
    scry_embed_backward *e  = &op.embed_backward;
    e->ids                  = trial_i32(&t, 1, TRIAL_SHAPE(TOKENS), ids);
    e->d_out                = trial_f32(&t, 2, TRIAL_SHAPE(TOKENS, SIZE), w.f32);
    e->d_table              = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(ENTRIES, SIZE));
    trial_run(&t, &op);
    expect_gradient(&t, &e->d_table, &table, embed_loss, rounded, "embed: d_table");
    trial_close(&t);
}

/* --- attention --- */

enum { B = 2, Q = 4, K = 6, H = 4, G = 2, D = 3, DV = 2 };
static const int32_t  key_begin[B] = {0, 2}, key_end[B] = {6, 5};
static numbers        q, k, v;
static float          additive[B * H * Q * K];
static scry_attention attention; /* its scale, softcap and mask */

static bool is_seen(int b, int i, int j)
{
    const scry_mask *mask = &attention.mask;
    int64_t          back = mask->query_offset + i - j;
    if (mask->key_begin.buffer && (j < key_begin[b] || j >= key_end[b])) return false;
    if (j < mask->prefix) return true;
    return (!mask->causal || back >= 0) && (!mask->window || back < mask->window);
}

static double score_of(int b, int h, int i, int j)
{
    double score = 0;
    if (!is_seen(b, i, j)) return -INFINITY;
    for (int d = 0; d < D; d++)
        score += (double)attention.scale * q.f64[((b * Q + i) * H + h) * D + d] *
                 k.f64[((b * K + j) * G + h / (H / G)) * D + d];
    if (attention.softcap > 0) score = (double)attention.softcap * tanh(score / (double)attention.softcap);
    return score + (attention.mask.additive.buffer ? (double)additive[((b * H + h) * Q + i) * K + j] : 0);
}

static double row_loss(int b, int h, int i)
{
    double total = 0, mixed[DV] = {0}, loss = 0;
    for (int j = 0; j < K; j++) {
        double p = exp(score_of(b, h, i, j));
        total += p;
        for (int d = 0; d < DV; d++) mixed[d] += p * v.f64[((b * K + j) * G + h / (H / G)) * DV + d];
    }
    for (int d = 0; d < DV && total > 0; d++) loss += w.f64[((b * Q + i) * H + h) * DV + d] * mixed[d] / total;
    return loss;
}

static double attention_loss(void)
{
    double loss = 0;
    for (int row = 0; row < B * H * Q; row++) loss += row_loss(row / Q / H, row / Q % H, row % Q);
    return loss;
}

static void check_attention(float softcap, bool padded, bool with_additive, scry_mask mask)
{
    /* out and lse come from the forward op, rounded to f32. */
    const double tolerance = 1e-6;
    trial        t;
    trial_open(&t, "reference");
    fill(&q, B * Q * H * D, 12);
    fill(&k, B * K * G * D, 13);
    fill(&v, B * K * G * DV, 14);
    fill(&w, B * Q * H * DV, 15);
    trial_normal(additive, B * H * Q * K, 16);
    for (int j = 0; j < K; j++) additive[(2 * Q + 1) * K + j] = -INFINITY; /* a row without any key */
    additive[3]         = -INFINITY;
    scry_op forward     = {.kind = SCRY_OP_ATTENTION, .attention = {.scale = 0.7f, .softcap = softcap, .mask = mask}};
    scry_attention *a   = &forward.attention;
    a->q                = trial_f32(&t, 4, TRIAL_SHAPE(B, Q, H, D), q.f32);
    a->k                = trial_f32(&t, 4, TRIAL_SHAPE(B, K, G, D), k.f32);
    a->v                = trial_f32(&t, 4, TRIAL_SHAPE(B, K, G, DV), v.f32);
    a->out              = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(B, Q, H, DV));
    a->capture.rows.lse = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(B, H, Q));
    if (padded) a->mask.key_begin = trial_i32(&t, 1, TRIAL_SHAPE(B), key_begin);
    if (padded) a->mask.key_end = trial_i32(&t, 1, TRIAL_SHAPE(B), key_end);
    if (with_additive) a->mask.additive = trial_f32(&t, 4, TRIAL_SHAPE(B, H, Q, K), additive);
    trial_run(&t, &forward);
    attention                     = *a;
    scry_op                  op   = {.kind = SCRY_OP_ATTENTION_BACKWARD};
    scry_attention_backward *back = &op.attention_backward;
    *back                         = (scry_attention_backward){.q       = a->q,
                                                              .k       = a->k,
                                                              .v       = a->v,
                                                              .out     = a->out,
                                                              .lse     = a->capture.rows.lse,
                                                              .scale   = a->scale,
                                                              .softcap = a->softcap,
                                                              .mask    = a->mask};
    back->d_out                   = trial_f32(&t, 4, TRIAL_SHAPE(B, Q, H, DV), w.f32);
    back->d_q                     = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(B, Q, H, D));
    back->d_k                     = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(B, K, G, D));
    back->d_v                     = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(B, K, G, DV));
    trial_run(&t, &op);
    expect_gradient(&t, &back->d_q, &q, attention_loss, tolerance, "attention: d_q");
    expect_gradient(&t, &back->d_k, &k, attention_loss, tolerance, "attention: d_k");
    expect_gradient(&t, &back->d_v, &v, attention_loss, tolerance, "attention: d_v");
    trial_close(&t);
}

Test(reference_gradients, attention__is_what_differences_say)
{
    check_attention(0, false, false, (scry_mask){0});
    check_attention(0, false, false, (scry_mask){.causal = true, .query_offset = 2});
    check_attention(1.5f, false, false, (scry_mask){.causal = true, .window = 3, .query_offset = 1});
    check_attention(0, true, false, (scry_mask){.causal = true, .window = 2, .prefix = 3, .query_offset = 2});
    check_attention(2, true, true, (scry_mask){.query_offset = 2});
}

/* --- loss --- */

enum { LOSS_ROWS = 5, VOCABULARY = 7 };
static const int32_t targets[LOSS_ROWS] = {3, 6, -1, 0, VOCABULARY};
static numbers       unembedding, teacher;
static scry_loss     loss_op; /* its numbers, and whether it has a teacher */

/* Log-probabilities of one row. */
static void read_row(const double *row, double log_p[VOCABULARY])
{
    double total = 0;
    for (int at = 0; at < VOCABULARY; at++) {
        double logit = 0;
        for (int i = 0; i < WIDTH; i++) logit += row[i] * unembedding.f64[at * WIDTH + i];
        logit = logit * (loss_op.logit_scale != 0 ? (double)loss_op.logit_scale : 1) + bias.f64[at];
        if (loss_op.softcap > 0) logit = (double)loss_op.softcap * tanh(logit / (double)loss_op.softcap);
        log_p[at] = logit;
        total += exp(logit);
    }
    for (int at = 0; at < VOCABULARY; at++) log_p[at] -= log(total);
}

/* The teacher's logits are no variables: they are what `aims` says. */
static double aims[LOSS_ROWS][VOCABULARY];

static double loss_of_row(int row)
{
    double log_p[VOCABULARY], loss = 0;
    read_row(&x.f64[row * WIDTH], log_p);
    if (!loss_op.teacher.buffer) return targets[row] >= 0 && targets[row] < VOCABULARY ? -log_p[targets[row]] : 0;
    for (int at = 0; at < VOCABULARY; at++) loss += exp(aims[row][at]) * (aims[row][at] - log_p[at]);
    return loss;
}

static double loss_loss(void)
{
    double loss = 0;
    for (int row = 0; row < LOSS_ROWS; row++) loss += (double)loss_op.factor * loss_of_row(row);
    return loss;
}

static void check_loss(bool taught, float logit_scale, float softcap)
{
    trial t;
    trial_open(&t, "reference");
    fill(&x, LOSS_ROWS * WIDTH, 17);
    fill(&teacher, LOSS_ROWS * WIDTH, 18);
    fill(&unembedding, VOCABULARY * WIDTH, 19);
    fill(&bias, VOCABULARY, 20);
    const int64_t *rows = TRIAL_SHAPE(LOSS_ROWS, WIDTH), *entries = TRIAL_SHAPE(VOCABULARY, WIDTH);
    scry_op        op = {.kind = SCRY_OP_LOSS};
    scry_loss     *l  = &op.loss;
    *l                = (scry_loss){.logit_scale = logit_scale, .softcap = softcap, .factor = 0.25f};
    l->x              = trial_f32(&t, 2, rows, x.f32);
    l->unembedding    = trial_f32(&t, 2, entries, unembedding.f32);
    l->bias           = trial_f32(&t, 1, TRIAL_SHAPE(VOCABULARY), bias.f32);
    if (taught) l->teacher = trial_f32(&t, 2, rows, teacher.f32);
    if (!taught) l->target = trial_i32(&t, 1, TRIAL_SHAPE(LOSS_ROWS), targets);
    l->loss          = trial_out(&t, SCRY_F32, 1, TRIAL_SHAPE(LOSS_ROWS));
    l->d_x           = trial_out(&t, SCRY_F32, 2, rows);
    l->d_unembedding = trial_out(&t, SCRY_F32, 2, entries);
    l->d_bias        = trial_out(&t, SCRY_F32, 1, TRIAL_SHAPE(VOCABULARY));
    trial_run(&t, &op);
    loss_op = *l;
    for (int row = 0; row < LOSS_ROWS; row++) read_row(&teacher.f64[row * WIDTH], aims[row]);
    float got[LOSS_ROWS];
    trial_read(&t, &l->loss, got);
    for (int row = 0; row < LOSS_ROWS; row++)
        cr_expect_float_eq((double)got[row], loss_of_row(row), 1e-6, "loss of row %d", row);
    expect_gradient(&t, &l->d_x, &x, loss_loss, rounded, "loss: d_x");
    expect_gradient(&t, &l->d_unembedding, &unembedding, loss_loss, rounded, "loss: d_unembedding");
    expect_gradient(&t, &l->d_bias, &bias, loss_loss, rounded, "loss: d_bias");
    trial_close(&t);
}

Test(reference_gradients, loss__is_what_differences_say)
{
    for (int taught = 0; taught < 2; taught++) {
        check_loss(taught, 0, 0);
        check_loss(taught, 0.5f, 0);
        check_loss(taught, 2, 3);
    }
}

/* --- Optimisers --- */

enum { STEPS = 5, PARAMETERS = 9 };

/* As PyTorch writes it (torch.optim.AdamW): decay first, then a step of its own size. */
Test(reference_gradients, adamw__takes_the_usual_steps)
{
    double first[PARAMETERS] = {0}, second[PARAMETERS] = {0};
    float  got[PARAMETERS], none[PARAMETERS]           = {0};
    trial  t;
    trial_open(&t, "reference");
    fill(&x, PARAMETERS, 21);
    scry_op     op = {.kind = SCRY_OP_ADAMW};
    scry_adamw *a  = &op.adamw;
    *a             = (scry_adamw){
                    .rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-3f, .decay = 0.1f, .gradient_factor = 0.5f};
    a->parameter = trial_f32(&t, 1, TRIAL_SHAPE(PARAMETERS), x.f32);
    a->first     = trial_f32(&t, 1, TRIAL_SHAPE(PARAMETERS), none);
    a->second    = trial_f32(&t, 1, TRIAL_SHAPE(PARAMETERS), none);
    for (a->step = 1; a->step <= STEPS; a->step++) {
        fill(&w, PARAMETERS, 21 + (uint64_t)a->step);
        a->gradient = trial_f32(&t, 1, TRIAL_SHAPE(PARAMETERS), w.f32);
        trial_run(&t, &op);
        double share = sqrt(1 - pow((double)a->beta2, (double)a->step));
        double size  = (double)a->rate / (1 - pow((double)a->beta1, (double)a->step));
        for (int i = 0; i < PARAMETERS; i++) {
            double g = w.f64[i] * (double)a->gradient_factor;
            first[i] += (1 - (double)a->beta1) * (g - first[i]);
            second[i] += (1 - (double)a->beta2) * (g * g - second[i]);
            x.f64[i] *= 1 - (double)a->rate * (double)a->decay;
            x.f64[i] -= size * first[i] / (sqrt(second[i]) / share + (double)a->epsilon);
        }
    }
    trial_read(&t, &a->parameter, got);
    for (int i = 0; i < PARAMETERS; i++) cr_expect_float_eq((double)got[i], x.f64[i], 1e-6, "parameter %d", i);
    trial_close(&t);
}

static void check_sgd(bool nesterov, float momentum)
{
    double velocity[PARAMETERS] = {0};
    float  got[PARAMETERS], none[PARAMETERS] = {0};
    trial  t;
    trial_open(&t, "reference");
    fill(&x, PARAMETERS, 30);
    scry_op   op = {.kind = SCRY_OP_SGD};
    scry_sgd *s  = &op.sgd;
    *s = (scry_sgd){.rate = 0.1f, .momentum = momentum, .decay = 0.05f, .gradient_factor = 0.5f, .nesterov = nesterov};
    s->parameter = trial_f32(&t, 1, TRIAL_SHAPE(PARAMETERS), x.f32);
    if (momentum > 0) s->velocity = trial_f32(&t, 1, TRIAL_SHAPE(PARAMETERS), none);
    for (int step = 0; step < STEPS; step++) {
        fill(&w, PARAMETERS, 31 + (uint64_t)step);
        s->gradient = trial_f32(&t, 1, TRIAL_SHAPE(PARAMETERS), w.f32);
        trial_run(&t, &op);
        for (int i = 0; i < PARAMETERS; i++) {
            double g    = w.f64[i] * (double)s->gradient_factor + (double)s->decay * x.f64[i];
            velocity[i] = (double)momentum * velocity[i] + g;
            x.f64[i] -= (double)s->rate * (nesterov ? g + (double)momentum * velocity[i] : velocity[i]);
        }
    }
    trial_read(&t, &s->parameter, got);
    for (int i = 0; i < PARAMETERS; i++)
        cr_expect_float_eq((double)got[i], x.f64[i], 1e-6, "momentum %g: parameter %d", (double)momentum, i);
    trial_close(&t);
}

Test(reference_gradients, sgd__takes_the_usual_steps)
{
    check_sgd(false, 0);
    check_sgd(false, 0.9f);
    check_sgd(true, 0.9f);
}

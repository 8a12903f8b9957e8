/* Cases of loss: targets, teachers, weights, soft-caps, which gradients. See loss_judge.c for the bounds. */
#include "cases/gradients.h"

#include <math.h>

enum { P = SCRY__PADDED, T = SCRY__TRANSPOSED };
/* What is asked for; 0: all that there may be. */
enum { LOSS = 1, D_X = 2, D_UNEMBEDDING = 4, D_BIAS = 8 };

/* Kinds of data besides the usual. */
enum {
    BARE = 1, /* logit 0 far above all others, which are alike: the target's gradient is minus the row of x, and that of
                 entry 0 the row */
    SURE,     /* the target far above all others: losses near 0 */
    LOW,      /* biases near -76,800 */
    WIDE,     /* logits past the range of f16 */
};

static const struct row {
    const char *name;
    int64_t     size[3]; /* T rows, d, V */
    bool        teacher, equal, near, bias, outside, accumulate, mute, special;
    int         outputs, data;
    int64_t     masked; /* > 0: ids v with v mod masked above 1 have a bias of -inf */
    scry_dtype  weight;
    float       logit_scale, softcap, factor; /* factor 0: 1 / T */
    unsigned    x, unembedding;
    scry__tier  tier;
    bool        benchmark;
} rows[] = {
    {.name = "loss/plain", .size = {9, 32, 257}},
    {.name = "loss/one", .size = {1, 1, 2}},
    {.name = "loss/one-id", .size = {3, 5, 1}, .mute = true},
    {.name = "loss/no-rows", .size = {0, 8, 9}, .mute = true},
    {.name = "loss/no-rows-accumulate", .size = {0, 8, 9}, .accumulate = true},
    {.name = "loss/outside", .size = {17, 31, 65}, .outside = true},
    {.name = "loss/bias", .size = {9, 33, 255}, .bias = true},
    {.name = "loss/masked-ids", .size = {9, 32, 257}, .bias = true, .masked = 3},
    {.name = "loss/accumulate", .size = {9, 32, 129}, .bias = true, .outside = true, .accumulate = true},
    {.name = "loss/factor", .size = {9, 32, 129}, .factor = -3.7f},
    {.name = "loss/logit-scale", .size = {9, 32, 257}, .logit_scale = 0.0625f, .bias = true},
    {.name = "loss/softcap", .size = {9, 32, 257}, .softcap = 3},
    {.name = "loss/softcap-scale-bias", .size = {9, 32, 257}, .logit_scale = 2, .softcap = 30, .bias = true},
    {.name = "loss/f16", .size = {9, 64, 300}, .weight = SCRY_F16, .bias = true},
    {.name = "loss/bf16", .size = {9, 64, 300}, .weight = SCRY_BF16},
    {.name = "loss/padded", .size = {9, 32, 100}, .x = P, .unembedding = P, .bias = true},
    {.name = "loss/unembedding-transposed", .size = {9, 32, 100}, .unembedding = T},
    {.name = "loss/special", .size = {9, 32, 65}, .outputs = LOSS | D_X, .special = true},
    {.name = "loss/teacher-special", .size = {9, 32, 65}, .teacher = true, .outputs = LOSS | D_X, .special = true},
    {.name = "loss/loss-only", .size = {17, 24, 513}, .outputs = LOSS, .tier = SCRY__TIER_QUICK},
    {.name = "loss/d_x-only", .size = {17, 24, 513}, .outputs = D_X, .tier = SCRY__TIER_QUICK},
    {.name = "loss/d_unembedding-only", .size = {17, 24, 129}, .outputs = D_UNEMBEDDING},
    {.name = "loss/d_bias-only", .size = {17, 24, 129}, .bias = true, .outputs = D_BIAS},
    {.name = "loss/teacher", .size = {9, 32, 257}, .teacher = true},
    {.name = "loss/teacher-bias", .size = {9, 33, 255}, .teacher = true, .bias = true},
    {.name = "loss/teacher-masked-ids", .size = {9, 32, 257}, .teacher = true, .bias = true, .masked = 3},
    {.name = "loss/teacher-near", .size = {9, 32, 257}, .teacher = true, .near = true},
    {.name = "loss/teacher-equal", .size = {9, 32, 65}, .teacher = true, .equal = true, .outputs = LOSS, .mute = true},
    {.name = "loss/teacher-accumulate", .size = {9, 32, 129}, .teacher = true, .accumulate = true},
    {.name        = "loss/teacher-softcap-scale-bias",
     .size        = {9, 32, 257},
     .teacher     = true,
     .logit_scale = 2,
     .softcap     = 30,
     .bias        = true},
    {.name = "loss/teacher-bf16", .size = {9, 64, 300}, .teacher = true, .weight = SCRY_BF16},
    {.name = "loss/sure", .size = {9, 32, 129}, .data = SURE},
    {.name = "loss/low", .size = {5, 33, 257}, .bias = true, .data = LOW},
    {.name = "loss/wide", .size = {9, 33, 257}, .data = WIDE, .outputs = LOSS},
    {.name = "loss/bare", .size = {1, 257, 33}, .data = BARE, .factor = 1, .outputs = D_UNEMBEDDING},
    {.name = "loss/size-2", .size = {9, 2, 65}},
    {.name = "loss/size-3", .size = {9, 3, 65}},
    {.name = "loss/1025", .size = {3, 16, 1025}},
    {.name = "loss/many-rows", .size = {131, 16, 65}, .outside = true},
    {.name = "loss/larger", .size = {41, 130, 3001}, .bias = true, .tier = SCRY__TIER_QUICK},
    {.name    = "loss/larger-teacher-bf16",
     .size    = {19, 96, 2050},
     .teacher = true,
     .weight  = SCRY_BF16,
     .tier    = SCRY__TIER_QUICK},
    {.name = "loss/37000-ids", .size = {3, 8, 37001}, .tier = SCRY__TIER_QUICK},
    {.name    = "loss/33-rows-33001-ids", /* together past 2^20 logits */
     .size    = {33, 4, 33001},
     .bias    = true,
     .outside = true,
     .softcap = 5,
     .tier    = SCRY__TIER_QUICK},
    {.name = "loss/33-rows-33001-ids-teacher", .size = {33, 4, 33001}, .teacher = true, .tier = SCRY__TIER_QUICK},
    {.name = "loss/9001-rows", .size = {9001, 2, 3}, .bias = true, .outside = true, .tier = SCRY__TIER_QUICK},
    {.name = "loss/past-65535-rows", .size = {70001, 2, 3}, .tier = SCRY__TIER_FULL},
    {.name = "loss/gpt2", .size = {256, 768, 50257}, .tier = SCRY__TIER_FULL, .benchmark = true},
    {.name      = "loss/gpt2-teacher",
     .size      = {64, 768, 50257},
     .teacher   = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name = "loss/gpt2-one-row", .size = {1, 768, 50257}, .tier = SCRY__TIER_FULL},
    {.name = "loss/2000-ids", .size = {64, 256, 2000}, .tier = SCRY__TIER_FULL},
    {.name = "loss/2000-ids-one-row", .size = {1, 256, 2000}, .tier = SCRY__TIER_FULL},
};

static scry__case describe(int row)
{
    return (scry__case){.name = rows[row].name, .tier = rows[row].tier, .benchmark = rows[row].benchmark};
}

/* Row t of x is made so that its logit of entry t mod V, and that alone, is large. */
static void make_sure(const struct row *row, scry__array *x, scry__array *unembedding)
{
    int64_t d = row->size[1], V = row->size[2];
    for (int64_t t = 0; t < row->size[0]; t++) {
        double square = 0;
        for (int64_t i = 0; i < d; i++) square += pow(scry__array_get(unembedding, t % V * d + i), 2);
        for (int64_t i = 0; i < d; i++)
            scry__array_set(x, t * d + i, 25 / square * scry__array_get(unembedding, t % V * d + i));
    }
}

static void make_bare(const struct row *row, scry__array *x, scry__array *unembedding)
{
    scry__array_fill(unembedding, 0);
    scry__array_set(unembedding, 0, 1);
    scry__array_set(x, 0, 300 + fabs(scry__array_get(x, 0)));
    (void)row;
}

static void add_bias(scry__plan *plan, const struct row *row)
{
    int64_t      V = row->size[2];
    scry__array *bias =
        scry__plan_add(plan, &plan->op.loss.bias, "bias", SCRY__INPUT, row->weight, 0, 1, SCRY__SHAPE(V));
    scry__array_fill_usual(plan, bias);
    for (int64_t v = 0; row->data == LOW && v < V; v++) scry__array_set(bias, v, scry__array_get(bias, v) - 76800);
    for (int64_t v = 0; row->masked && v < V; v++)
        if (v % row->masked > 1) scry__array_set(bias, v, -INFINITY);
}

static void add_target(scry__plan *plan, const struct row *row)
{
    int64_t      count = row->size[0], V = row->size[2];
    scry__array *target =
        scry__plan_add(plan, &plan->op.loss.target, "target", SCRY__INPUT, SCRY_I32, 0, 1, SCRY__SHAPE(count));
    scry__array_fill_integers(plan, target, 0, (int)V - 1);
    static const double outside[] = {-1, INT32_MAX, INT32_MIN};
    for (int i = 0; row->outside && i < 4; i++) scry__array_set(target, 1 + 2 * i, i < 3 ? outside[i] : (double)V);
    for (int64_t t = 0; t < count; t++) {
        int64_t id = (int64_t)scry__array_get(target, t);
        if (row->data == SURE) scry__array_set(target, t, (double)(t % V));
        if (row->data == BARE) scry__array_set(target, t, 1);
        if (row->masked && id >= 0) scry__array_set(target, t, (double)(id / row->masked * row->masked));
    }
}

static void add_teacher(scry__plan *plan, const struct row *row, const scry__array *x)
{
    scry__array *teacher = scry__plan_add(plan, &plan->op.loss.teacher, "teacher", SCRY__INPUT, SCRY_F32, row->x & P, 2,
                                          SCRY__SHAPE(row->size[0], row->size[1]));
    scry__array_fill_usual(plan, teacher);
    /* The first row is x's: its loss must be 0. */
    for (int64_t e = 0; e < scry__array_count(teacher); e++) {
        if (e < row->size[1] || row->equal)
            scry__array_set(teacher, e, scry__array_get(x, e));
        else if (row->near)
            scry__array_set(teacher, e, scry__array_get(x, e) * (1 + 0x1p-20));
    }
}

static void add_outputs(scry__plan *plan, const struct row *row)
{
    scry_loss *op    = &plan->op.loss;
    int64_t    count = row->size[0], d = row->size[1], V = row->size[2];
    int        outputs = row->outputs ? row->outputs : LOSS | D_X | D_UNEMBEDDING | (row->bias ? D_BIAS : 0);
    if (outputs & LOSS)
        scry__plan_add(plan, &op->loss, "loss", SCRY__OUTPUT, SCRY_F32, row->x & P, 1, SCRY__SHAPE(count));
    if (outputs & D_X) scry__gradient_add(plan, &op->d_x, "d_x", row->accumulate, row->x, 2, SCRY__SHAPE(count, d));
    if (outputs & D_UNEMBEDDING)
        scry__gradient_add(plan, &op->d_unembedding, "d_unembedding", row->accumulate, row->unembedding, 2,
                           SCRY__SHAPE(V, d));
    if (outputs & D_BIAS) scry__gradient_add(plan, &op->d_bias, "d_bias", row->accumulate, 0, 1, SCRY__SHAPE(V));
}

static void build(scry__plan *plan, int index)
{
    const struct row *row   = &rows[index];
    scry_loss        *op    = &plan->op.loss;
    int64_t           count = row->size[0], d = row->size[1], V = row->size[2];
    plan->mute      = row->mute;
    plan->bare      = row->data == BARE;
    plan->wide      = row->data == WIDE;
    op->logit_scale = row->logit_scale;
    op->softcap     = row->softcap;
    op->factor      = row->factor != 0 ? row->factor : 1 / fmaxf(1, (float)count);
    op->accumulate  = row->accumulate;
    scry__array *x  = scry__plan_add(plan, &op->x, "x", SCRY__INPUT, SCRY_F32, row->x, 2, SCRY__SHAPE(count, d));
    scry__array *unembedding = scry__plan_add(plan, &op->unembedding, "unembedding", SCRY__INPUT, row->weight,
                                              row->unembedding, 2, SCRY__SHAPE(V, d));
    scry__array_fill_normal(plan, x, 0, plan->wide ? 1e6 : 1);
    scry__array_fill_normal(plan, unembedding, 0, plan->wide ? 1e6 : V > 4096 ? 0.1 : 1);
    if (row->special) scry__array_fill_specials(x, 3 * d + 5);
    if (row->data == SURE) make_sure(row, x, unembedding);
    if (row->data == BARE) make_bare(row, x, unembedding);
    if (row->bias) add_bias(plan, row);
    if (row->teacher)
        add_teacher(plan, row, x);
    else
        add_target(plan, row);
    add_outputs(plan, row);
}

const scry__case_table scry__loss_table = {SCRY_OP_LOSS, sizeof rows / sizeof *rows, describe, build};

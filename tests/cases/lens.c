/* Cases of lens: norms, weights, targets, references, ties. See lens_judge.c for the bounds. */
#include "cases/judge.h"

#include <math.h>

enum { P = SCRY__PADDED };

/* Kinds of data besides the usual. */
enum {
    BARE_X = 1,       /* every row of the unembedding has one entry, a power of two: logits are entries of x */
    BARE_UNEMBEDDING, /* every row of x has one: logits are entries of the unembedding */
    WIDE,             /* logits past the range of f16 */
    LAST_TERM,        /* the last of the d terms of a logit outweighs all others */
    LOW,              /* biases near -76,800: all logits lie below what a careless sentinel takes for minus infinity */
};

static const struct row {
    const char    *name;
    int64_t        size[4]; /* N layers, T rows, d, V */
    int64_t        top;     /* 0: no top-k */
    bool           statistics, target, reference, bias, exact, special;
    bool           near; /* layer 0 is the reference but for its last bits */
    int64_t        own;  /* > 0: the reference is layer own - 1 of x itself */
    int            data;
    int64_t        ties;   /* > 0: id v has the unembedding of id v mod ties */
    int64_t        masked; /* > 0: ids v with v mod masked above 1 have a bias of -inf */
    scry_norm_kind norm;
    scry_dtype     weight;
    float          logit_scale, softcap, weight_offset;
    unsigned       x, unembedding;
    scry_precision precision;
    scry__tier     tier;
    bool           benchmark;
} rows[] = {
    {.name = "lens/one", .size = {1, 1, 1, 1}, .top = 1, .statistics = true, .target = true, .norm = SCRY_NORM_NONE},
    {.name = "lens/no-rows", .size = {2, 0, 8, 9}, .top = 2, .statistics = true},
    {.name = "lens/layer", .size = {3, 9, 32, 257}, .top = 5, .statistics = true, .target = true, .reference = true},
    {.name       = "lens/rms",
     .size       = {3, 9, 33, 255},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .norm       = SCRY_NORM_RMS},
    {.name       = "lens/none",
     .size       = {3, 9, 31, 256},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .norm       = SCRY_NORM_NONE},
    {.name          = "lens/rms-offset",
     .size          = {1, 5, 32, 100},
     .top           = 3,
     .statistics    = true,
     .norm          = SCRY_NORM_RMS,
     .weight_offset = 1},
    {.name       = "lens/one-layer",
     .size       = {1, 9, 24, 65},
     .top        = 2,
     .statistics = true,
     .reference  = true,
     .norm       = SCRY_NORM_RMS},
    {.name       = "lens/reference-is-last",
     .size       = {3, 9, 32, 257},
     .top        = 3,
     .statistics = true,
     .reference  = true,
     .own        = 3},
    {.name       = "lens/reference-is-second",
     .size       = {4, 19, 24, 300},
     .statistics = true,
     .target     = true,
     .reference  = true,
     .own        = 2,
     .norm       = SCRY_NORM_RMS,
     .x          = P},
    {.name = "lens/top-only", .tier = SCRY__TIER_QUICK, .size = {2, 17, 16, 1023}, .top = 10, .norm = SCRY_NORM_RMS},
    {.name = "lens/top-1", .tier = SCRY__TIER_QUICK, .size = {1, 33, 16, 1025}, .top = 1, .norm = SCRY_NORM_RMS},
    {.name = "lens/top-128", .size = {1, 3, 16, 1000}, .top = 128, .norm = SCRY_NORM_RMS},
    {.name = "lens/top-whole", .size = {1, 3, 16, 33}, .top = 33, .norm = SCRY_NORM_RMS},
    {.name = "lens/statistics-only", .tier = SCRY__TIER_QUICK, .size = {2, 17, 24, 513}, .statistics = true},
    {.name = "lens/target-only", .tier = SCRY__TIER_QUICK, .size = {2, 17, 24, 513}, .target = true},
    {.name = "lens/reference-only", .tier = SCRY__TIER_QUICK, .size = {2, 17, 24, 513}, .reference = true},
    {.name       = "lens/bias",
     .size       = {2, 9, 32, 257},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .bias       = true},
    {.name       = "lens/masked-ids",
     .size       = {3, 9, 32, 257},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .bias       = true,
     .masked     = 3},
    {.name       = "lens/masked-to-a-few",
     .size       = {2, 9, 16, 129},
     .top        = 9,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .bias       = true,
     .masked     = 64},
    {.name       = "lens/near-reference",
     .size       = {2, 17, 32, 257},
     .statistics = true,
     .reference  = true,
     .near       = true,
     .norm       = SCRY_NORM_RMS},
    {.name       = "lens/softcap",
     .size       = {2, 9, 32, 257},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .softcap    = 3},
    {.name        = "lens/logit-scale",
     .size        = {2, 9, 32, 257},
     .top         = 5,
     .statistics  = true,
     .target      = true,
     .reference   = true,
     .logit_scale = 0.0625f,
     .bias        = true},
    {.name        = "lens/softcap-scale-bias",
     .size        = {2, 9, 32, 257},
     .top         = 5,
     .statistics  = true,
     .target      = true,
     .reference   = true,
     .logit_scale = 2,
     .softcap     = 30,
     .bias        = true,
     .norm        = SCRY_NORM_RMS},
    {.name       = "lens/f16",
     .size       = {2, 9, 64, 300},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .weight     = SCRY_F16,
     .bias       = true},
    {.name       = "lens/bf16",
     .size       = {2, 9, 64, 300},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .weight     = SCRY_BF16,
     .norm       = SCRY_NORM_RMS},
    {.name        = "lens/padded",
     .size        = {2, 9, 32, 100},
     .top         = 4,
     .statistics  = true,
     .reference   = true,
     .x           = P,
     .unembedding = P},
    {.name        = "lens/unembedding-transposed",
     .size        = {2, 9, 32, 100},
     .top         = 4,
     .statistics  = true,
     .unembedding = SCRY__TRANSPOSED},
    {.name       = "lens/layers-swapped",
     .size       = {4, 5, 32, 100},
     .top        = 4,
     .statistics = true,
     .reference  = true,
     .x          = SCRY__SWAPPED},
    {.name = "lens/many-rows", .size = {1, 131, 16, 65}, .top = 3, .statistics = true, .target = true},
    {.name = "lens/one-row", .size = {1, 1, 48, 5003}, .top = 7, .statistics = true, .target = true, .reference = true},
    {.name       = "lens/special",
     .size       = {3, 9, 32, 257},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .norm       = SCRY_NORM_RMS,
     .special    = true},
    {.name   = "lens/ties",
     .size   = {2, 9, 16, 300},
     .top    = 12,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .ties   = 5},
    {.name   = "lens/ties-all",
     .size   = {1, 3, 16, 129},
     .top    = 20,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .ties   = 1},
    {.name   = "lens/ties-many",
     .size   = {1, 3, 16, 4001},
     .top    = 20,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .ties   = 50,
     .tier   = SCRY__TIER_QUICK},
    /* More units of the vocabulary than parts that take them, and just more equal entries than places: the last part
     * has some that push others out. */
    {.name   = "lens/ties-9001",
     .size   = {1, 3, 16, 9001},
     .top    = 128,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .ties   = 66,
     .tier   = SCRY__TIER_QUICK},
    {.name       = "lens/lattice",
     .size       = {2, 9, 16, 300},
     .top        = 12,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .exact      = true,
     .norm       = SCRY_NORM_NONE,
     .bias       = true},
    {.name       = "lens/lattice-bf16",
     .size       = {2, 9, 16, 300},
     .top        = 12,
     .statistics = true,
     .target     = true,
     .exact      = true,
     .norm       = SCRY_NORM_NONE,
     .weight     = SCRY_BF16},
    {.name       = "lens/larger",
     .tier       = SCRY__TIER_QUICK,
     .size       = {2, 41, 130, 3001},
     .top        = 10,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .norm       = SCRY_NORM_RMS},
    {.name       = "lens/larger-bf16",
     .tier       = SCRY__TIER_QUICK,
     .size       = {3, 19, 96, 2050},
     .top        = 10,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .weight     = SCRY_BF16},
    {.name       = "lens/size-2",
     .size       = {1, 9, 2, 65},
     .top        = 3,
     .statistics = true,
     .target     = true,
     .norm       = SCRY_NORM_NONE},
    /* More tiles than a kernel for GPUs has parts: each goes on with what it found in one before. */
    {.name       = "lens/37000-ids",
     .tier       = SCRY__TIER_QUICK,
     .size       = {2, 3, 8, 37001},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true},
    {.name = "lens/size-3", .size = {1, 9, 3, 65}, .top = 3, .statistics = true, .target = true, .norm = SCRY_NORM_RMS},
    {.name       = "lens/size-4",
     .size       = {1, 9, 4, 65},
     .top        = 3,
     .statistics = true,
     .target     = true,
     .norm       = SCRY_NORM_NONE},
    {.name = "lens/1024", .size = {1, 3, 16, 1024}, .top = 32, .statistics = true, .target = true},
    {.name   = "lens/bare-x",
     .size   = {1, 9, 33, 257},
     .top    = 5,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .data   = BARE_X},
    {.name   = "lens/bare-x-bf16",
     .size   = {1, 9, 33, 257},
     .top    = 5,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .weight = SCRY_BF16,
     .data   = BARE_X},
    {.name   = "lens/bare-unembedding",
     .size   = {1, 9, 33, 257},
     .top    = 5,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .data   = BARE_UNEMBEDDING},
    {.name   = "lens/bare-unembedding-many-rows",
     .size   = {1, 131, 65, 515},
     .top    = 5,
     .target = true,
     .exact  = true,
     .norm   = SCRY_NORM_NONE,
     .data   = BARE_UNEMBEDDING,
     .tier   = SCRY__TIER_QUICK},
    {.name       = "lens/wide",
     .size       = {1, 9, 33, 257},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .norm       = SCRY_NORM_NONE,
     .data       = WIDE},
    {.name       = "lens/low",
     .size       = {2, 5, 33, 257},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .bias       = true,
     .norm       = SCRY_NORM_RMS,
     .data       = LOW},
    {.name       = "lens/last-of-4097",
     .size       = {1, 3, 4097, 33},
     .top        = 3,
     .statistics = true,
     .target     = true,
     .norm       = SCRY_NORM_NONE,
     .data       = LAST_TERM},
    {.name       = "lens/allow-tf32",
     .size       = {1, 9, 32, 257},
     .statistics = true,
     .norm       = SCRY_NORM_RMS,
     .precision  = SCRY_ALLOW_TF32},
    {.name       = "lens/allow-f16",
     .size       = {1, 9, 32, 257},
     .statistics = true,
     .norm       = SCRY_NORM_RMS,
     .precision  = SCRY_ALLOW_F16},
    {.name       = "lens/allow-bf16",
     .size       = {1, 9, 32, 257},
     .statistics = true,
     .norm       = SCRY_NORM_RMS,
     .weight     = SCRY_BF16,
     .precision  = SCRY_ALLOW_BF16},
    {.name       = "lens/allow-bf16-many-rows",
     .size       = {3, 45, 40, 300},
     .top        = 5,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .norm       = SCRY_NORM_RMS,
     .weight     = SCRY_BF16,
     .precision  = SCRY_ALLOW_BF16,
     .tier       = SCRY__TIER_QUICK},
    {.name       = "lens/past-65535-rows",
     .size       = {1, 70001, 2, 3},
     .top        = 2,
     .statistics = true,
     .target     = true,
     .norm       = SCRY_NORM_RMS,
     .tier       = SCRY__TIER_FULL},
    {.name       = "lens/past-65535-layers",
     .size       = {70001, 1, 2, 3},
     .top        = 1,
     .statistics = true,
     .norm       = SCRY_NORM_NONE,
     .tier       = SCRY__TIER_FULL},
    {.name       = "lens/past-1000000-ids",
     .size       = {1, 2, 4, 1000003},
     .top        = 10,
     .statistics = true,
     .target     = true,
     .norm       = SCRY_NORM_NONE,
     .tier       = SCRY__TIER_FULL},
    {.name       = "lens/gpt2",
     .size       = {1, 64, 768, 50257},
     .top        = 10,
     .statistics = true,
     .tier       = SCRY__TIER_FULL,
     .benchmark  = true},
    {.name       = "lens/gpt2-kl",
     .size       = {1, 64, 768, 50257},
     .top        = 10,
     .statistics = true,
     .target     = true,
     .reference  = true,
     .tier       = SCRY__TIER_FULL,
     .benchmark  = true},
    {.name       = "lens/gpt2-bf16",
     .size       = {1, 64, 768, 50257},
     .top        = 10,
     .statistics = true,
     .weight     = SCRY_BF16,
     .tier       = SCRY__TIER_FULL,
     .benchmark  = true},
    {.name = "lens/gpt2-one-row", .size = {1, 1, 768, 50257}, .top = 10, .statistics = true, .tier = SCRY__TIER_FULL},
    {.name = "lens/2000-ids", .size = {7, 16, 256, 2000}, .top = 10, .statistics = true, .tier = SCRY__TIER_FULL},
    {.name       = "lens/2000-ids-one-row",
     .size       = {1, 1, 256, 2000},
     .top        = 10,
     .statistics = true,
     .tier       = SCRY__TIER_FULL},
};

static scry__case describe(int row)
{
    return (scry__case){.name      = rows[row].name,
                        .tier      = rows[row].tier,
                        .benchmark = rows[row].benchmark,
                        .precision = rows[row].precision};
}

static void fill_data(scry__plan *plan, const struct row *row, scry__array *operand, bool is_unembedding)
{
    int64_t d    = row->size[2];
    bool    bare = row->data == BARE_X || row->data == BARE_UNEMBEDDING;
    if (bare || row->data == WIDE)
        scry__array_fill_normal(plan, operand, 0, bare ? 1 : 1e6);
    else
        scry__array_fill_usual(plan, operand);
    for (int64_t e = 0; row->data && e < scry__array_count(operand); e++) {
        int64_t line = e / d, i = e % d;
        if (bare && (row->data == BARE_X) == is_unembedding)
            scry__array_set(operand, e, i == (line * 31 + 7) % d ? ldexp(line % 2 ? -1 : 1, (int)(line % 5) - 2) : 0);
        if (row->data == LAST_TERM && i != d - 1) scry__array_set(operand, e, scry__array_get(operand, e) * 0x1p-10);
    }
}

static void add_inputs(scry__plan *plan, const struct row *row)
{
    scry_lens_op *op = &plan->op.lens;
    int64_t       N = row->size[0], T = row->size[1], d = row->size[2], V = row->size[3];
    scry__array  *x = scry__plan_add(plan, &op->x, "x", SCRY__INPUT, SCRY_F32, row->x, 3, SCRY__SHAPE(N, T, d));
    scry__array  *w = scry__plan_add(plan, &op->unembedding, "unembedding", SCRY__INPUT, row->weight, row->unembedding,
                                     2, SCRY__SHAPE(V, d));
    fill_data(plan, row, x, false);
    fill_data(plan, row, w, true);
    if (row->special) scry__array_fill_specials(x, 5 * d + 3);
    for (int64_t e = 0; row->ties && e < V * d; e++)
        scry__array_set(w, e, scry__array_get(w, e / d % row->ties * d + e % d));
    if (row->bias) {
        scry__array *bias = scry__plan_add(plan, &op->bias, "bias", SCRY__INPUT, row->weight, 0, 1, SCRY__SHAPE(V));
        scry__array_fill_usual(plan, bias);
        for (int64_t v = 0; row->data == LOW && v < V; v++) scry__array_set(bias, v, scry__array_get(bias, v) - 76800);
        for (int64_t v = 0; row->masked && v < V; v++)
            if (v % row->masked > 1) scry__array_set(bias, v, -INFINITY);
    }
    if (row->own) scry__plan_add_entry(plan, &op->reference, "reference", x, row->own - 1);
    if (row->reference && !row->own) {
        /* Layer 0's first row is the reference's: its KL must be 0. */
        scry__array *reference =
            scry__plan_add(plan, &op->reference, "reference", SCRY__INPUT, SCRY_F32, row->x & P, 2, SCRY__SHAPE(T, d));
        scry__array_fill_usual(plan, reference);
        for (int64_t i = 0; i < d && T > 0; i++) scry__array_set(reference, i, scry__array_get(x, i));
        for (int64_t i = d; row->near && i < T * d; i++)
            scry__array_set(reference, i, scry__array_get(x, i) * (1 + 0x1p-22));
    }
    if (row->target) {
        scry__array *target = scry__plan_add(plan, &op->target, "target", SCRY__INPUT, SCRY_I32, 0, 1, SCRY__SHAPE(T));
        scry__array_fill_integers(plan, target, 0, (int)V - 1);
        if (T > 4) scry__array_set(target, 3, -1);
        if (T > 4) scry__array_set(target, 4, (double)V);
    }
    if (row->norm == SCRY_NORM_NONE) return;
    scry_norm_parameters *norm = &op->norm;
    scry__array_fill_usual(
        plan, scry__plan_add(plan, &norm->weight, "weight", SCRY__INPUT, row->weight, 0, 1, SCRY__SHAPE(d)));
    if (row->norm == SCRY_NORM_LAYER)
        scry__array_fill_usual(
            plan, scry__plan_add(plan, &norm->bias, "norm_bias", SCRY__INPUT, row->weight, 0, 1, SCRY__SHAPE(d)));
}

static void add_outputs(scry__plan *plan, const struct row *row)
{
    scry_lens_op  *op     = &plan->op.lens;
    const int64_t *rank_2 = SCRY__SHAPE(row->size[0], row->size[1]);
    const int64_t *rank_3 = SCRY__SHAPE(row->size[0], row->size[1], row->top);
    if (row->top) {
        scry__plan_add(plan, &op->top_id, "top_id", SCRY__OUTPUT, SCRY_I32, 0, 3, rank_3);
        scry__plan_add(plan, &op->top_logit, "top_logit", SCRY__OUTPUT, SCRY_F32, 0, 3, rank_3);
    }
    if (row->statistics) {
        scry__plan_add(plan, &op->lse, "lse", SCRY__OUTPUT, SCRY_F32, 0, 2, rank_2);
        scry__plan_add(plan, &op->entropy, "entropy", SCRY__OUTPUT, SCRY_F32, 0, 2, rank_2);
    }
    if (row->target) {
        scry__plan_add(plan, &op->target_logit, "target_logit", SCRY__OUTPUT, SCRY_F32, 0, 2, rank_2);
        scry__plan_add(plan, &op->target_rank, "target_rank", SCRY__OUTPUT, SCRY_I32, 0, 2, rank_2);
    }
    if (row->reference) scry__plan_add(plan, &op->kl, "kl", SCRY__OUTPUT, SCRY_F32, 0, 2, rank_2);
}

static void build(scry__plan *plan, int index)
{
    const struct row *row = &rows[index];
    scry_lens_op     *op  = &plan->op.lens;
    plan->exact           = row->exact;
    plan->bare            = row->data == BARE_X || row->data == BARE_UNEMBEDDING;
    plan->wide            = row->data == WIDE;
    plan->op.precision    = row->precision;
    op->logit_scale       = row->logit_scale;
    op->softcap           = row->softcap;
    op->norm = (scry_norm_parameters){.kind = row->norm, .epsilon = 1e-5f, .weight_offset = row->weight_offset};
    add_inputs(plan, row);
    add_outputs(plan, row);
}

const scry__case_table scry__lens_table = {SCRY_OP_LENS, sizeof rows / sizeof *rows, describe, build};

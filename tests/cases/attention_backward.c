/* Cases of attention_backward. out and lse are computed here, as the forward op would leave them: from the definition,
 * rounded to f32. See attention_backward_judge.c for the bounds. */
#include "base/alloc.h"
#include "cases/attention_data.h"
#include "cases/attention_scores.h"
#include "cases/gradients.h"

#include <math.h>

enum { P = SCRY__PADDED, S = SCRY__SWAPPED };
/* Which gradients are asked for; 0: all. */
enum { D_Q = 1, D_K = 2, D_V = 4, ALL = 7 };

static const struct row {
    const char          *name;
    int64_t              size[7]; /* B, Q, K, H, G, D, Dv (0: as D) */
    scry__mask_row       mask;
    int                  outputs;
    scry__attention_data data;
    float                scale, softcap;               /* scale 0: 1 / sqrt(D) */
    bool                 accumulate, bare, mute, wide; /* wide: of d_out */
    unsigned             layout;
    scry__tier           tier;
    bool                 benchmark;
} rows[] = {
    {.name = "attention_backward/plain", .size = {2, 17, 33, 3, 3, 16}},
    {.name = "attention_backward/one", .size = {1, 1, 1, 1, 1, 1}},
    {.name = "attention_backward/no-queries", .size = {1, 0, 5, 2, 2, 4}, .mute = true},
    {.name = "attention_backward/no-queries-accumulate", .size = {1, 0, 5, 2, 2, 4}, .accumulate = true},
    {.name = "attention_backward/no-keys", .size = {1, 5, 0, 2, 2, 4}, .mute = true},
    {.name = "attention_backward/causal", .size = {2, 33, 33, 2, 2, 16}, .mask = {.causal = true}},
    {.name = "attention_backward/causal-31", .size = {1, 31, 31, 2, 2, 32}, .mask = {.causal = true}},
    {.name = "attention_backward/causal-65", .size = {1, 65, 65, 2, 1, 24}, .mask = {.causal = true}},
    {.name = "attention_backward/causal-129",
     .size = {1, 129, 129, 2, 2, 64},
     .mask = {.causal = true},
     .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/gqa", .size = {2, 33, 33, 6, 2, 16}, .mask = {.causal = true}},
    {.name       = "attention_backward/gqa-accumulate",
     .size       = {2, 17, 17, 4, 2, 16},
     .mask       = {.causal = true},
     .accumulate = true},
    {.name = "attention_backward/multi-query", .size = {2, 17, 33, 5, 1, 16}},
    {.name = "attention_backward/value-size", .size = {1, 33, 33, 2, 1, 16, 40}, .mask = {.causal = true}},
    {.name = "attention_backward/value-size-1", .size = {1, 17, 17, 2, 1, 33, 1}},
    {.name = "attention_backward/head-size-1", .size = {1, 17, 17, 2, 2, 1}},
    {.name = "attention_backward/head-size-80", .size = {1, 33, 33, 2, 2, 80}, .mask = {.causal = true}},
    {.name = "attention_backward/head-size-128",
     .size = {1, 33, 33, 1, 1, 128},
     .mask = {.causal = true},
     .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/head-size-256", .size = {1, 17, 17, 2, 1, 256}, .mask = {.causal = true}},
    {.name = "attention_backward/cached", .size = {2, 5, 38, 2, 2, 16}, .mask = {.causal = true, .offset = 33}},
    {.name = "attention_backward/cached-one-row", .size = {2, 1, 65, 4, 2, 16}, .mask = {.causal = true, .offset = 64}},
    {.name = "attention_backward/window", .size = {1, 65, 65, 2, 2, 16}, .mask = {.causal = true, .window = 7}},
    {.name = "attention_backward/window-not-causal", .size = {1, 33, 33, 2, 2, 16}, .mask = {.window = 4}},
    {.name = "attention_backward/window-empty-rows",
     .size = {1, 33, 9, 2, 2, 16},
     .mask = {.causal = true, .window = 5}},
    {.name = "attention_backward/prefix", .size = {1, 33, 33, 2, 2, 16}, .mask = {.causal = true, .prefix = 9}},
    {.name = "attention_backward/prefix-window",
     .size = {1, 65, 65, 2, 2, 16},
     .mask = {.causal = true, .window = 5, .prefix = 4},
     .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/pad-left",
     .size = {4, 17, 17, 2, 1, 16},
     .mask = {.causal = true, .pad = SCRY__PAD_LEFT}},
    {.name = "attention_backward/pad-right", .size = {4, 17, 17, 2, 1, 16}, .mask = {.pad = SCRY__PAD_RIGHT}},
    {.name = "attention_backward/pad-both",
     .size = {5, 33, 40, 2, 2, 16},
     .mask = {.causal = true, .offset = 7, .pad = SCRY__PAD_BOTH},
     .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/pad-all", .size = {3, 9, 9, 2, 2, 16}, .mask = {.pad = SCRY__PAD_ALL}},
    {.name = "attention_backward/pad-wild",
     .size = {4, 17, 17, 2, 1, 16},
     .mask = {.causal = true, .pad = SCRY__PAD_WILD}},
    {.name = "attention_backward/additive", .size = {2, 17, 33, 3, 3, 16}, .mask = {.additive = SCRY__ADD_BIAS}},
    {.name = "attention_backward/additive-mask", .size = {2, 33, 33, 2, 1, 16}, .mask = {.additive = SCRY__ADD_MASK}},
    {.name = "attention_backward/additive-shared",
     .size = {2, 33, 65, 2, 1, 16},
     .mask = {.causal = true, .offset = 32, .additive = SCRY__ADD_SHARED}},
    {.name = "attention_backward/additive-dead-rows",
     .size = {1, 33, 33, 2, 1, 16},
     .mask = {.additive = SCRY__ADD_DEAD}},
    {.name = "attention_backward/additive-late", .size = {1, 9, 129, 2, 1, 16}, .mask = {.additive = SCRY__ADD_LATE}},
    {.name    = "attention_backward/softcap",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true},
     .scale   = 1,
     .softcap = 3},
    {.name    = "attention_backward/softcap-additive",
     .size    = {2, 17, 33, 4, 2, 16},
     .mask    = {.additive = SCRY__ADD_BIAS},
     .softcap = 0.5f},
    {.name    = "attention_backward/softcap-sharp",
     .size    = {1, 33, 33, 2, 2, 16},
     .data    = SCRY__DATA_SHARP,
     .scale   = 1,
     .softcap = 5},
    /* One key is NaN: what no row that sees it touches is as it would be. */
    {.name = "attention_backward/nans",
     .size = {1, 33, 33, 2, 2, 16},
     .mask = {.causal = true, .window = 5},
     .data = SCRY__DATA_NANS},
    {.name = "attention_backward/scale", .size = {1, 17, 33, 2, 2, 16}, .scale = -0.7f},
    {.name = "attention_backward/sharp",
     .size = {1, 33, 33, 2, 2, 16},
     .mask = {.causal = true},
     .data = SCRY__DATA_SHARP},
    {.name = "attention_backward/uniform",
     .size = {1, 33, 33, 2, 2, 16},
     .mask = {.causal = true},
     .data = SCRY__DATA_UNIFORM},
    {.name = "attention_backward/low", .size = {1, 17, 33, 2, 2, 16}, .data = SCRY__DATA_LOW, .scale = 1},
    {.name = "attention_backward/growing",
     .size = {1, 33, 33, 2, 2, 16},
     .mask = {.causal = true},
     .data = SCRY__DATA_GROWING},
    {.name = "attention_backward/d_q-only", .size = {1, 33, 33, 4, 2, 16}, .mask = {.causal = true}, .outputs = D_Q},
    {.name = "attention_backward/d_k-only", .size = {1, 33, 33, 4, 2, 16}, .mask = {.causal = true}, .outputs = D_K},
    {.name = "attention_backward/d_v-only", .size = {1, 33, 33, 4, 2, 16}, .mask = {.causal = true}, .outputs = D_V},
    {.name   = "attention_backward/padded",
     .size   = {2, 17, 33, 4, 2, 16},
     .mask   = {.causal = true, .offset = 16},
     .layout = P},
    {.name   = "attention_backward/swapped",
     .size   = {2, 17, 33, 4, 2, 16},
     .mask   = {.causal = true, .offset = 16},
     .layout = S},
    /* Each row sees one key with a score of 0: a value's gradient is that of its row. */
    {.name    = "attention_backward/bare",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .window = 1},
     .outputs = D_V,
     .data    = SCRY__DATA_UNIFORM,
     .bare    = true},
    {.name    = "attention_backward/bare-wide",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .window = 1},
     .outputs = D_V,
     .data    = SCRY__DATA_UNIFORM,
     .bare    = true,
     .wide    = true},
    {.name = "attention_backward/few-long", .size = {1, 3, 300, 2, 1, 65}, .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/257",
     .size = {1, 257, 257, 2, 1, 32},
     .mask = {.causal = true},
     .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/many-heads", .size = {1, 3, 5, 256, 64, 4}, .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/9001-keys", .size = {1, 3, 9001, 2, 1, 3}, .tier = SCRY__TIER_QUICK},
    {.name = "attention_backward/past-65535-batches", .size = {65537, 1, 2, 1, 1, 2}, .tier = SCRY__TIER_FULL},
    {.name      = "attention_backward/gpt2",
     .size      = {1, 1024, 1024, 12, 12, 64},
     .mask      = {.causal = true},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "attention_backward/llama-gqa",
     .size      = {1, 1024, 1024, 32, 4, 64},
     .mask      = {.causal = true},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name = "attention_backward/gpt2-one-row",
     .size = {1, 1, 1024, 12, 12, 64},
     .mask = {.causal = true, .offset = 1023},
     .tier = SCRY__TIER_FULL},
    {.name = "attention_backward/gpt2-short",
     .size = {1, 128, 128, 12, 12, 64},
     .mask = {.causal = true},
     .tier = SCRY__TIER_FULL},
    {.name = "attention_backward/llama-one-row",
     .size = {1, 1, 1024, 8, 2, 128},
     .mask = {.causal = true, .offset = 1023},
     .tier = SCRY__TIER_FULL},
    {.name = "attention_backward/llama-short",
     .size = {1, 128, 128, 8, 2, 128},
     .mask = {.causal = true},
     .tier = SCRY__TIER_FULL},
    {.name = "attention_backward/llama",
     .size = {1, 512, 512, 8, 2, 128},
     .mask = {.causal = true},
     .tier = SCRY__TIER_FULL},
};

static scry__case describe(int row)
{
    return (scry__case){.name = rows[row].name, .tier = rows[row].tier, .benchmark = rows[row].benchmark};
}

/* The operands that the forward op has too, and what it leaves. */
struct forward {
    scry__array *q, *k, *v, *out, *lse;
};

static struct forward add_forward(scry__plan *plan, const struct row *row)
{
    scry_attention_backward *op = &plan->op.attention_backward;
    int64_t                  B = row->size[0], Q = row->size[1], K = row->size[2], H = row->size[3], G = row->size[4];
    int64_t                  D = row->size[5], Dv = row->size[6] ? row->size[6] : D;
    struct forward           forward;
    forward.q = scry__plan_add(plan, &op->q, "q", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, Q, H, D));
    forward.k = scry__plan_add(plan, &op->k, "k", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, K, G, D));
    forward.v = scry__plan_add(plan, &op->v, "v", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, K, G, Dv));
    forward.out =
        scry__plan_add(plan, &op->out, "out", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, Q, H, Dv));
    forward.lse =
        scry__plan_add(plan, &op->lse, "lse", SCRY__INPUT, SCRY_F32, row->layout & P, 3, SCRY__SHAPE(B, H, Q));
    scry__attention_fill(plan, forward.q, row->data, SCRY__QUERIES);
    scry__attention_fill(plan, forward.k, row->data, SCRY__KEYS);
    scry__attention_fill(plan, forward.v, row->data, SCRY__VALUES);
    if (row->data == SCRY__DATA_NANS) scry__array_set(forward.k, (K / 3 * G) * D, (double)NAN);
    return forward;
}

/* Softmax of one row, and the values that it mixes; scores holds [K]. */
static void fill_row(const scry__attention_from *from, const struct forward *forward, double *scores, int64_t b,
                     int64_t h, int64_t i)
{
    const int64_t *queries = forward->q->view.shape, *values = forward->v->view.shape;
    int64_t        Q = queries[1], H = queries[2], K = values[1], G = values[2], Dv = values[3];
    double         largest = -INFINITY, total = 0;
    bool           empty = true;
    for (int64_t j = 0; j < K; j++) {
        bool seen = scry__mask_visible(from->plan, from->mask, b, i, j);
        scores[j] = seen ? scry__attention_score(from, b, h, i, j).value : -INFINITY;
        largest   = fmax(largest, scores[j]);
        empty     = empty && scores[j] == -INFINITY;
    }
    for (int64_t j = 0; j < K; j++) total += scores[j] != -INFINITY ? exp(scores[j] - largest) : 0;
    scry__array_set(forward->lse, (b * H + h) * Q + i, empty ? -INFINITY : largest + log(total));
    for (int64_t d = 0; d < Dv; d++) {
        double mixed = 0;
        for (int64_t j = 0; j < K; j++)
            if (scores[j] != -INFINITY)
                mixed += exp(scores[j] - largest) / total *
                         scry__array_get(forward->v, ((b * K + j) * G + h / (H / G)) * Dv + d);
        scry__array_set(forward->out, ((b * Q + i) * H + h) * Dv + d, mixed);
    }
}

/* Of a large case, numbers of the right size: the op takes out and lse as they are given. */
static void fill_alike(scry__plan *plan, const struct row *row, const struct forward *forward)
{
    scry__array_fill(forward->lse, log((double)row->size[2]) + 0.5);
    scry__array_fill_normal(plan, forward->out, 0, 0.1);
}

static void fill_forward(scry__plan *plan, const struct row *row, const struct forward *forward)
{
    enum { MOST_PRODUCTS = 1 << 23 };
    if (scry__array_count(forward->q) * row->size[2] > MOST_PRODUCTS) {
        fill_alike(plan, row, forward);
        return;
    }
    const scry_attention_backward *op   = &plan->op.attention_backward;
    const scry__attention_from     from = {
            .plan = plan, .q = forward->q, .k = forward->k, .mask = &op->mask, .scale = op->scale, .softcap = op->softcap};
    double *scores = scry__alloc((size_t)row->size[2] + 1, sizeof *scores);
    if (!scores) plan->status = SCRY_OUT_OF_MEMORY;
    if (plan->status) return;
    for (int64_t b = 0; b < row->size[0]; b++)
        for (int64_t h = 0; h < row->size[3]; h++)
            for (int64_t i = 0; i < row->size[1]; i++) fill_row(&from, forward, scores, b, h, i);
    scry__free(scores);
}

static void build(scry__plan *plan, int index)
{
    const struct row        *row     = &rows[index];
    scry_attention_backward *op      = &plan->op.attention_backward;
    int                      outputs = row->outputs ? row->outputs : ALL;
    int64_t                  B = row->size[0], Q = row->size[1], K = row->size[2], H = row->size[3], G = row->size[4];
    int64_t                  D = row->size[5], Dv = row->size[6] ? row->size[6] : D;
    plan->bare             = row->bare;
    plan->mute             = row->mute;
    plan->wide             = row->wide;
    op->scale              = row->scale != 0 ? row->scale : (float)(1 / sqrt((double)D));
    op->softcap            = row->softcap;
    op->accumulate         = row->accumulate;
    struct forward forward = add_forward(plan, row);
    scry__mask_add(plan, &op->mask, &row->mask, (scry__score_shape){B, H, Q, K});
    fill_forward(plan, row, &forward);
    scry__array *d_out =
        scry__plan_add(plan, &op->d_out, "d_out", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, Q, H, Dv));
    scry__array_fill_normal(plan, d_out, 0, row->wide ? 1e6 : 1);
    if (outputs & D_Q)
        scry__gradient_add(plan, &op->d_q, "d_q", row->accumulate, row->layout, 4, SCRY__SHAPE(B, Q, H, D));
    if (outputs & D_K)
        scry__gradient_add(plan, &op->d_k, "d_k", row->accumulate, row->layout, 4, SCRY__SHAPE(B, K, G, D));
    if (outputs & D_V)
        scry__gradient_add(plan, &op->d_v, "d_v", row->accumulate, row->layout, 4, SCRY__SHAPE(B, K, G, Dv));
}

const scry__case_table scry__attention_backward_table = {SCRY_OP_ATTENTION_BACKWARD, sizeof rows / sizeof *rows,
                                                         describe, build};

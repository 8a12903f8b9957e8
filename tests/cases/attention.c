/* Builds the cases of attention_rows.c. See attention_judge.c for the bounds. */
#include "cases/attention_rows.h"

#include <math.h>

scry__case scry__attention_describe(int row)
{
    return (scry__case){.name      = scry__attention_rows[row].name,
                        .tier      = scry__attention_rows[row].tier,
                        .benchmark = scry__attention_rows[row].benchmark,
                        .precision = scry__attention_rows[row].precision};
}

static void add_inputs(scry__plan *plan, const struct scry__attention_row *row)
{
    scry_attention *op = &plan->op.attention;
    int64_t         B = row->size[0], Q = row->size[1], K = row->size[2], H = row->size[3], G = row->size[4];
    int64_t         D = row->size[5], Dv = row->size[6] ? row->size[6] : D;
    scry__array *q = scry__plan_add(plan, &op->q, "q", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, Q, H, D));
    scry__array *k = scry__plan_add(plan, &op->k, "k", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, K, G, D));
    scry__array *v = scry__plan_add(plan, &op->v, "v", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, K, G, Dv));
    scry__plan_add(plan, &op->out, "out", SCRY__OUTPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, Q, H, Dv));
    scry__attention_fill(plan, q, row->data, SCRY__QUERIES);
    scry__attention_fill(plan, k, row->data, SCRY__KEYS);
    scry__attention_fill(plan, v, row->data, SCRY__VALUES);
    if (row->data == SCRY__DATA_NANS) scry__array_set(k, (K / 3 * G) * D, (double)NAN);
}

static int64_t selected_heads(const struct scry__attention_row *row)
{
    int64_t count = __builtin_popcountll(row->heads[0]) + __builtin_popcountll(row->heads[1]);
    return count ? count : row->size[3];
}

static void add_captures(scry__plan *plan, const struct scry__attention_row *row)
{
    scry_attention_capture *capture = &plan->op.attention.capture;
    int64_t                 B = row->size[0], Q = row->size[1], K = row->size[2], H = row->size[3];
    bool                    whole = !row->tile[1] && !row->tile[3];
    int64_t                 q = whole ? Q : row->tile[1], k = whole ? K : row->tile[3];
    const int64_t          *tile = SCRY__SHAPE(B, selected_heads(row), q, k);
    int64_t                 top = row->top ? row->top : 3, distances = row->distances ? row->distances : 9;
    const int64_t          *tops = SCRY__SHAPE(B, H, Q, top);
    capture->query_begin         = row->tile[0];
    capture->key_begin           = row->tile[2];
    for (int word = 0; word < 2; word++) capture->heads[word] = row->heads[word];
    if (row->capture & TILE)
        scry__plan_add(plan, &capture->probabilities, "probabilities", SCRY__OUTPUT, SCRY_F32,
                       row->layout & SCRY__PADDED, 4, tile);
    if (row->capture & SCORES)
        scry__plan_add(plan, &capture->scores, "scores", SCRY__OUTPUT, SCRY_F32, row->layout & SCRY__PADDED, 4, tile);
    if (row->capture & ROWS) scry__row_statistics_add(plan, &capture->rows, row->key, (scry__score_shape){B, H, Q, K});
    if (row->capture & LSE)
        scry__plan_add(plan, &capture->rows.lse, "lse", SCRY__OUTPUT, SCRY_F32, 0, 3, SCRY__SHAPE(B, H, Q));
    if (row->capture & RECEIVED)
        scry__plan_add(plan, &capture->received, "received", SCRY__OUTPUT, SCRY_F32, 0, 3, SCRY__SHAPE(B, H, K));
    if (row->capture & DISTANCE)
        scry__plan_add(plan, &capture->distance, "distance", SCRY__OUTPUT, SCRY_F32, 0, 3,
                       SCRY__SHAPE(B, H, distances));
    if (!(row->capture & TOP)) return;
    scry__plan_add(plan, &capture->top_probability, "top_probability", SCRY__OUTPUT, SCRY_F32, 0, 4, tops);
    scry__plan_add(plan, &capture->top_key, "top_key", SCRY__OUTPUT, SCRY_I32, 0, 4, tops);
}

void scry__attention_build(scry__plan *plan, int index)
{
    const struct scry__attention_row *row = &scry__attention_rows[index];
    plan->exact =
        row->data == SCRY__DATA_LATTICE || row->data == SCRY__DATA_UNIFORM || row->data == SCRY__DATA_BARE_SCORES;
    plan->bare                 = row->data >= SCRY__DATA_BARE_VALUES;
    plan->mute                 = row->size[1] == 0 || row->size[2] == 0;
    plan->wide                 = row->data == SCRY__DATA_WIDE;
    plan->op.precision         = row->precision;
    plan->op.attention.scale   = row->scale != 0 ? row->scale : (float)(1 / sqrt((double)row->size[5]));
    plan->op.attention.softcap = row->softcap;
    add_inputs(plan, row);
    scry__mask_add(plan, &plan->op.attention.mask, &row->mask,
                   (scry__score_shape){row->size[0], row->size[3], row->size[1], row->size[2]});
    add_captures(plan, row);
}

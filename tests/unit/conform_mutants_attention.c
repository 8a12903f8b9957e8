/* Bugs in attention and softmax_capture. See conform_mutants.h. */
#include "unit/conform_mutants.h"

#include <math.h>

static double to_bits(double nats)
{
    return nats / M_LN2;
}

static double without_small(double p)
{
    return p < 1e-4 ? 0 : p;
}

static double slightly_more(double value)
{
    return value * (1 + 0x1p-12);
}

static double damage(double value)
{
    return isfinite(value) ? value + 1e-3 : value;
}

/* --- masks, of attention --- */

static void see_one_future_key(scry_op *op)
{
    op->attention.mask.query_offset += op->attention.mask.causal;
}

static void forget_offset(scry_op *op)
{
    op->attention.mask.query_offset = 0;
}

static void forget_causal(scry_op *op)
{
    op->attention.mask.causal = false;
}

static void widen_window(scry_op *op)
{
    op->attention.mask.window += op->attention.mask.window > 0;
}

static void forget_prefix(scry_op *op)
{
    op->attention.mask.prefix = 0;
}

static void shorten_prefix(scry_op *op)
{
    op->attention.mask.prefix -= op->attention.mask.prefix > 0;
}

static void forget_key_begin(scry_op *op)
{
    op->attention.mask.key_begin.buffer = NULL;
}

static void forget_key_end(scry_op *op)
{
    op->attention.mask.key_end.buffer = NULL;
}

static void forget_additive(scry_op *op)
{
    op->attention.mask.additive.buffer = NULL;
}

static void share_additive_between_heads(scry_op *op)
{
    op->attention.mask.additive.stride[1] = 0;
}

/* Masked keys get a large finite score instead of none: weight where a row has no key, or only scores that are lower.
 */
static void spread_over_masked_rows(const scry_op *op)
{
    const scry_tensor *p = &op->attention.capture.probabilities, *lse = &op->attention.capture.rows.lse;
    if (!p->buffer || !lse->buffer || scry_tensor_count(p) == 0) return;
    int64_t keys = p->shape[3];
    for (int64_t row = 0; row < scry_tensor_count(lse) && (row + 1) * keys <= scry_tensor_count(p); row++)
        if (scry__mutant_get(lse, row) < -5e4)
            for (int64_t j = 0; j < keys; j++) scry__mutant_put(p, row * keys + j, 1. / (double)keys);
}

/* --- attention --- */

static void forget_scale(scry_op *op)
{
    op->attention.scale = 1;
}

static void forget_softcap(scry_op *op)
{
    op->attention.softcap = 0;
}

static void share_one_key_head(scry_op *op)
{
    op->attention.k.stride[2] = 0;
}

static void share_one_value_head(scry_op *op)
{
    op->attention.v.stride[2] = 0;
}

static void drop_last_of_head(scry_op *op)
{
    op->attention.q.shape[3] -= op->attention.q.shape[3] > 1;
}

static void drop_last_key(scry_op *op)
{
    if (op->attention.k.shape[1] > 40) op->attention.mask.key_begin.buffer = NULL, op->attention.k.shape[1]--;
}

static void see_one_future_key_in_long_rows(scry_op *op)
{
    if (op->attention.k.shape[1] >= 1024) op->attention.mask.query_offset += op->attention.mask.causal;
}

static void stage_queries(scry_op *op)
{
    scry__mutant_stage(&op->attention.q);
}

static void unstage_queries(const scry_op *op)
{
    scry__mutant_unstage(&op->attention.q);
}

static void stage_values(scry_op *op)
{
    scry__mutant_stage(&op->attention.v);
}

static void unstage_values(const scry_op *op)
{
    scry__mutant_unstage(&op->attention.v);
}

static void capture_first_heads(scry_op *op)
{
    uint64_t *heads = op->attention.capture.heads;
    int       count = __builtin_popcountll(heads[0]) + __builtin_popcountll(heads[1]);
    heads[1]        = 0;
    heads[0]        = count ? ((uint64_t)1 << count) - 1 : 0;
}

static void forget_tile_query(scry_op *op)
{
    op->attention.capture.query_begin = 0;
}

static void forget_tile_key(scry_op *op)
{
    op->attention.capture.key_begin = 0;
}

static void exchange(scry_tensor *a, scry_tensor *b)
{
    scry_tensor kept_tensor = *a;
    *a                      = *b;
    *b                      = kept_tensor;
}

static void exchange_self_and_previous(scry_op *op)
{
    exchange(&op->attention.capture.rows.self, &op->attention.capture.rows.previous);
}

static void take_first_key_for_first(scry_op *op)
{
    scry_row_statistics *rows = &op->attention.capture.rows;
    if (op->attention.k.shape[1] == 0) return;
    exchange(&rows->first, &rows->key_mass);
    rows->key = 0;
}

static void entropy_in_bits(const scry_op *op)
{
    scry__mutant_map(&op->attention.capture.rows.entropy, to_bits);
}

static void lse_in_bits(const scry_op *op)
{
    scry__mutant_map(&op->attention.capture.rows.lse, to_bits);
}

static void drop_small_probabilities(const scry_op *op)
{
    scry__mutant_map(&op->attention.capture.probabilities, without_small);
}

static void round_probabilities(const scry_op *op)
{
    scry__mutant_map(&op->attention.capture.probabilities, scry__mutant_to_half);
}

static void unnormalised_rows(const scry_op *op)
{
    scry__mutant_map(&op->attention.out, slightly_more);
}

static void leave_upper_triangle_unwritten(const scry_op *op)
{
    const scry_tensor *p = &op->attention.capture.probabilities;
    for (int64_t i = 0; i < scry_tensor_count(p); i++)
        if (scry__mutant_get(p, i) == 0) scry__mutant_put_id(p, i, -1);
}

static void received_leaves_out_last_row(scry_op *op)
{
    if (op->attention.capture.received.buffer && op->attention.q.shape[1] > 1) op->attention.q.shape[1]--;
}

static void shift_distance(const scry_op *op)
{
    const scry_tensor *x = &op->attention.capture.distance;
    for (int64_t i = scry_tensor_count(x) - 1; i > 0; i--) scry__mutant_put(x, i, scry__mutant_get(x, i - 1));
}

static void last_of_equals_is_argmax(const scry_op *op)
{
    const scry_tensor *argmax = &op->attention.capture.rows.argmax;
    bool               ties   = op->attention.q.shape[1] && scry__mutant_get(&op->attention.q, 0) == 0 &&
                scry__mutant_get(&op->attention.q, 1) == 0;
    for (int64_t i = 0; ties && i < scry_tensor_count(argmax); i++)
        scry__mutant_put_id(argmax, i, (int32_t)(i % argmax->shape[2]));
}

static void same_key_twice(const scry_op *op)
{
    const scry_tensor *keys = &op->attention.capture.top_key;
    for (int64_t i = 1; i < scry_tensor_count(keys); i += 2)
        if (scry__mutant_get_id(keys, i) >= 0) scry__mutant_put_id(keys, i, scry__mutant_get_id(keys, i - 1));
}

static void lowest_top_key_first(const scry_op *op)
{
    const scry_tensor *keys = &op->attention.capture.top_key;
    for (int64_t i = 0; i + 1 < scry_tensor_count(keys); i += keys->shape[3]) {
        int32_t a = scry__mutant_get_id(keys, i), b = scry__mutant_get_id(keys, i + 1);
        if (keys->shape[3] > 1 && b >= 0 && b < a) scry__mutant_put_id(keys, i, b), scry__mutant_put_id(keys, i + 1, a);
    }
}

/* --- softmax_capture --- */

static void softmax_sees_one_future_key(scry_op *op)
{
    op->softmax.mask.query_offset += op->softmax.mask.causal;
}

static void softmax_forgets_prefix(scry_op *op)
{
    op->softmax.mask.prefix = 0;
}

static void softmax_damages_entropy(const scry_op *op)
{
    scry__mutant_map(&op->softmax.rows.entropy, damage);
}

static void empty_rows_are_nan(const scry_op *op)
{
    const scry_tensor *lse = &op->softmax.rows.lse;
    for (int64_t i = 0; i < scry_tensor_count(lse); i++)
        if (scry__mutant_get(lse, i) == -INFINITY) scry__mutant_put(lse, i, (double)NAN);
}

const scry__mutant scry__attention_mutants[] = {
    {"attention leaves the last element", SCRY_OP_ATTENTION, NULL, scry__mutant_leave_last},
    {"attention varies", SCRY_OP_ATTENTION, NULL, scry__mutant_vary},
    {"attention sees one future key", SCRY_OP_ATTENTION, see_one_future_key, NULL},
    {"attention sees one future key in long rows", SCRY_OP_ATTENTION, see_one_future_key_in_long_rows, NULL},
    {"attention stages queries in half precision", SCRY_OP_ATTENTION, stage_queries, unstage_queries},
    {"attention stages values in half precision", SCRY_OP_ATTENTION, stage_values, unstage_values},
    {"attention forgets the offset", SCRY_OP_ATTENTION, forget_offset, NULL},
    {"attention forgets causality", SCRY_OP_ATTENTION, forget_causal, NULL},
    {"attention's window is one too wide", SCRY_OP_ATTENTION, widen_window, NULL},
    {"attention forgets the prefix", SCRY_OP_ATTENTION, forget_prefix, NULL},
    {"attention's prefix is one too short", SCRY_OP_ATTENTION, shorten_prefix, NULL},
    {"attention forgets key_begin", SCRY_OP_ATTENTION, forget_key_begin, NULL},
    {"attention forgets key_end", SCRY_OP_ATTENTION, forget_key_end, NULL},
    {"attention forgets the additive mask", SCRY_OP_ATTENTION, forget_additive, NULL},
    {"attention shares one additive mask", SCRY_OP_ATTENTION, share_additive_between_heads, NULL},
    {"attention's mask is a finite score", SCRY_OP_ATTENTION, NULL, spread_over_masked_rows},
    {"attention forgets the scale", SCRY_OP_ATTENTION, forget_scale, NULL},
    {"attention forgets the soft-cap", SCRY_OP_ATTENTION, forget_softcap, NULL},
    {"attention shares one key head", SCRY_OP_ATTENTION, share_one_key_head, NULL},
    {"attention shares one value head", SCRY_OP_ATTENTION, share_one_value_head, NULL},
    {"attention drops the last entry of a head", SCRY_OP_ATTENTION, drop_last_of_head, NULL},
    {"attention drops the last key", SCRY_OP_ATTENTION, drop_last_key, NULL},
    {"attention captures the first heads", SCRY_OP_ATTENTION, capture_first_heads, NULL},
    {"attention forgets the tile's query", SCRY_OP_ATTENTION, forget_tile_query, NULL},
    {"attention forgets the tile's key", SCRY_OP_ATTENTION, forget_tile_key, NULL},
    {"attention exchanges self and previous", SCRY_OP_ATTENTION, exchange_self_and_previous, NULL},
    {"attention's first is key 0", SCRY_OP_ATTENTION, take_first_key_for_first, NULL},
    {"attention's entropy is in bits", SCRY_OP_ATTENTION, NULL, entropy_in_bits},
    {"attention's lse is in bits", SCRY_OP_ATTENTION, NULL, lse_in_bits},
    {"attention drops small probabilities", SCRY_OP_ATTENTION, NULL, drop_small_probabilities},
    {"attention gives half-precision probabilities", SCRY_OP_ATTENTION, NULL, round_probabilities},
    {"attention's rows sum to more than 1", SCRY_OP_ATTENTION, NULL, unnormalised_rows},
    {"attention leaves the upper triangle", SCRY_OP_ATTENTION, NULL, leave_upper_triangle_unwritten},
    {"attention's received leaves out a row", SCRY_OP_ATTENTION, received_leaves_out_last_row, NULL},
    {"attention's distance is one off", SCRY_OP_ATTENTION, NULL, shift_distance},
    {"attention's argmax is the last of equals", SCRY_OP_ATTENTION, NULL, last_of_equals_is_argmax},
    {"attention names a key twice", SCRY_OP_ATTENTION, NULL, same_key_twice},
    {"attention's top keys are not in order", SCRY_OP_ATTENTION, NULL, lowest_top_key_first},
    {"softmax sees one future key", SCRY_OP_SOFTMAX_CAPTURE, softmax_sees_one_future_key, NULL},
    {"softmax forgets the prefix", SCRY_OP_SOFTMAX_CAPTURE, softmax_forgets_prefix, NULL},
    {"softmax's entropy is a little off", SCRY_OP_SOFTMAX_CAPTURE, NULL, softmax_damages_entropy},
    {"softmax's empty rows are NaN", SCRY_OP_SOFTMAX_CAPTURE, NULL, empty_rows_are_nan},
    {0},
};

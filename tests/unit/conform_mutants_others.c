/* Bugs in all ops but attention. See conform_mutants.h. */
#include "unit/conform_mutants.h"

#include <math.h>
#include <string.h>

/* --- matmul --- */

static void drop_last_k(scry_op *op)
{
    int64_t *k = &op->matmul.a.shape[op->matmul.a.rank - 1];
    *k -= *k > 0;
}

static void forget_bias(scry_op *op)
{
    op->matmul.bias.buffer = NULL;
}

static void forget_alpha(scry_op *op)
{
    op->matmul.alpha = 1;
}

static void forget_beta(scry_op *op)
{
    op->matmul.beta = 0;
}

static void add_old_content(scry_op *op)
{
    if (op->matmul.beta == 0) op->matmul.beta = 1e-30f;
}

static void forget_batch_of_b(scry_op *op)
{
    if (op->matmul.b.rank > 2) op->matmul.b.stride[0] = 0;
}

static void stage_a(scry_op *op)
{
    scry__mutant_stage(&op->matmul.a);
}

static void unstage_a(const scry_op *op)
{
    scry__mutant_unstage(&op->matmul.a);
}

static void drop_last_of_many_k(scry_op *op)
{
    int64_t *k = &op->matmul.a.shape[op->matmul.a.rank - 1];
    *k -= *k >= 4096;
}

static void change_an_input(const scry_op *op)
{
    if (scry_tensor_count(&op->matmul.a) > 0) scry__mutant_put(&op->matmul.a, 0, 7);
}

/* --- rope --- */

static void exchange_layouts(scry_op *op)
{
    op->rope.interleaved = !op->rope.interleaved;
}

static void turn_back(scry_op *op)
{
    op->rope.inverse = !op->rope.inverse;
}

static void start_one_later(scry_op *op)
{
    op->rope.position_offset++;
}

static void forget_positions(scry_op *op)
{
    op->rope.positions.buffer = NULL;
}

static void rope_rounds(const scry_op *op)
{
    scry__mutant_map(&op->rope.out, scry__mutant_to_half);
}

/* --- norm --- */

static void forget_epsilon(scry_op *op)
{
    op->norm.parameters.epsilon = 0;
}

static void forget_weight_offset(scry_op *op)
{
    op->norm.parameters.weight_offset = 0;
}

static void forget_norm_bias(scry_op *op)
{
    op->norm.parameters.bias.buffer = NULL;
}

static void forget_mean(scry_op *op)
{
    if (op->norm.parameters.kind == SCRY_NORM_LAYER) op->norm.parameters.kind = SCRY_NORM_RMS;
}

/* Not in place, where the result would be what is put back. */
static bool can_stage_x_of_norm(const scry_op *op)
{
    return op->norm.x.buffer != op->norm.out.buffer;
}

static void stage_x_of_norm(scry_op *op)
{
    if (can_stage_x_of_norm(op)) scry__mutant_stage(&op->norm.x);
}

static void unstage_x_of_norm(const scry_op *op)
{
    if (can_stage_x_of_norm(op)) scry__mutant_unstage(&op->norm.x);
}

static void divide_by_one_less(const scry_op *op)
{
    double d = (double)op->norm.x.shape[op->norm.x.rank - 1];
    for (int64_t i = 0; i < scry_tensor_count(&op->norm.scale); i++)
        scry__mutant_put(&op->norm.scale, i, scry__mutant_get(&op->norm.scale, i) * sqrt(d / (d - 1)));
}

/* --- lens --- */

static void lens_forgets_bias(scry_op *op)
{
    op->lens.bias.buffer = NULL;
}

static void lens_forgets_softcap(scry_op *op)
{
    op->lens.softcap = 0;
}

static void lens_forgets_logit_scale(scry_op *op)
{
    op->lens.logit_scale = 1;
}

static void lens_leaves_out_last_id(scry_op *op)
{
    op->lens.unembedding.shape[0] -= op->lens.unembedding.shape[0] > 1;
}

static void lens_repeats_first_layer(scry_op *op)
{
    op->lens.x.stride[0] = 0;
}

static void stage_x_of_lens(scry_op *op)
{
    scry__mutant_stage(&op->lens.x);
}

static void unstage_x_of_lens(const scry_op *op)
{
    scry__mutant_unstage(&op->lens.x);
}

static void kl_the_other_way(scry_op *op)
{
    if (op->lens.x.shape[0] != 1 || !op->lens.reference.buffer) return;
    scry_tensor x             = op->lens.x;
    op->lens.x.buffer         = op->lens.reference.buffer;
    op->lens.x.offset         = op->lens.reference.offset;
    op->lens.reference.buffer = x.buffer;
    op->lens.reference.offset = x.offset;
}

static void kl_not_quite_zero(const scry_op *op)
{
    for (int64_t i = 0; i < scry_tensor_count(&op->lens.kl); i++)
        scry__mutant_put(&op->lens.kl, i, scry__mutant_get(&op->lens.kl, i) + 1e-12);
}

static void rank_counts_from_one(const scry_op *op)
{
    for (int64_t i = 0; i < scry_tensor_count(&op->lens.target_rank); i++)
        scry__mutant_put_id(&op->lens.target_rank, i, scry__mutant_get_id(&op->lens.target_rank, i) + 1);
}

static void highest_of_equals_first(const scry_op *op)
{
    const scry_tensor *id = &op->lens.top_id, *logit = &op->lens.top_logit;
    for (int64_t i = 0; i + 1 < scry_tensor_count(id); i++)
        if (scry__mutant_get(logit, i) == scry__mutant_get(logit, i + 1) &&
            scry__mutant_get_id(id, i) < scry__mutant_get_id(id, i + 1)) {
            int32_t first = scry__mutant_get_id(id, i);
            scry__mutant_put_id(id, i, scry__mutant_get_id(id, i + 1));
            scry__mutant_put_id(id, i + 1, first);
        }
}

/* --- elementwise --- */

static void embed_forgets_scale(scry_op *op)
{
    op->embed.scale = 1;
}

static void embed_forgets_old_content(scry_op *op)
{
    op->embed.accumulate = false;
}

static void embed_clamps_ids(const scry_op *op)
{
    for (int64_t i = 0; i < scry_tensor_count(&op->embed.out); i++)
        if (isnan(scry__mutant_get(&op->embed.out, i))) scry__mutant_put(&op->embed.out, i, 0);
}

static void scale_forgets_offset(scry_op *op)
{
    op->scale.offset = 0;
}

static void exchange_gelus(scry_op *op)
{
    if (op->activation.function == SCRY_GELU_ERF) op->activation.function = SCRY_GELU_TANH;
}

static void forget_gate(scry_op *op)
{
    op->activation.gated.buffer = NULL;
}

/* Where a kernel adds half a unit and cuts, ties go up; the largest f16 shows it. */
static void round_ties_up(const scry_op *op)
{
    const scry_tensor *out = &op->copy.out;
    if (out->dtype != SCRY_F16 || op->copy.x.dtype != SCRY_F32) return;
    for (int64_t i = 0; i < scry_tensor_count(out); i++) {
        uint16_t half = 0;
        char    *at   = (char *)out->buffer->host + out->offset + i * 2;
        memcpy(&half, at, 2);
        if (scry__mutant_get(&op->copy.x, i) == 1 + 0x1p-11f) half++;
        memcpy(at, &half, 2);
    }
}

const scry__mutant scry__other_mutants[] = {
    {"matmul leaves the last element", SCRY_OP_MATMUL, NULL, scry__mutant_leave_last},
    {"matmul writes past the end", SCRY_OP_MATMUL, NULL, scry__mutant_write_past_end},
    {"matmul writes before the start", SCRY_OP_MATMUL, NULL, scry__mutant_write_before_start},
    {"matmul varies", SCRY_OP_MATMUL, NULL, scry__mutant_vary},
    {"matmul gives half precision", SCRY_OP_MATMUL, NULL, scry__mutant_give_half},
    {"matmul stages an input in half precision", SCRY_OP_MATMUL, stage_a, unstage_a},
    {"matmul changes an input", SCRY_OP_MATMUL, NULL, change_an_input},
    {"matmul drops the last k", SCRY_OP_MATMUL, drop_last_k, NULL},
    {"matmul drops the last of many k", SCRY_OP_MATMUL, drop_last_of_many_k, NULL},
    {"matmul forgets bias", SCRY_OP_MATMUL, forget_bias, NULL},
    {"matmul forgets alpha", SCRY_OP_MATMUL, forget_alpha, NULL},
    {"matmul forgets beta", SCRY_OP_MATMUL, forget_beta, NULL},
    {"matmul reads c", SCRY_OP_MATMUL, add_old_content, NULL},
    {"matmul forgets a batch stride", SCRY_OP_MATMUL, forget_batch_of_b, NULL},
    {"rope exchanges its layouts", SCRY_OP_ROPE, exchange_layouts, NULL},
    {"rope turns back", SCRY_OP_ROPE, turn_back, NULL},
    {"rope starts one later", SCRY_OP_ROPE, start_one_later, NULL},
    {"rope forgets positions", SCRY_OP_ROPE, forget_positions, NULL},
    {"rope rounds to half precision", SCRY_OP_ROPE, NULL, rope_rounds},
    {"norm forgets epsilon", SCRY_OP_NORM, forget_epsilon, NULL},
    {"norm forgets the weight's offset", SCRY_OP_NORM, forget_weight_offset, NULL},
    {"norm forgets bias", SCRY_OP_NORM, forget_norm_bias, NULL},
    {"norm forgets the mean", SCRY_OP_NORM, forget_mean, NULL},
    {"norm stages its input in half precision", SCRY_OP_NORM, stage_x_of_norm, unstage_x_of_norm},
    {"norm's scale divides by d - 1", SCRY_OP_NORM, NULL, divide_by_one_less},
    {"lens forgets bias", SCRY_OP_LENS, lens_forgets_bias, NULL},
    {"lens forgets the soft-cap", SCRY_OP_LENS, lens_forgets_softcap, NULL},
    {"lens forgets the logit scale", SCRY_OP_LENS, lens_forgets_logit_scale, NULL},
    {"lens leaves out the last id", SCRY_OP_LENS, lens_leaves_out_last_id, NULL},
    {"lens repeats the first layer", SCRY_OP_LENS, lens_repeats_first_layer, NULL},
    {"lens stages its input in half precision", SCRY_OP_LENS, stage_x_of_lens, unstage_x_of_lens},
    {"lens's KL is the other way round", SCRY_OP_LENS, kl_the_other_way, NULL},
    {"lens's KL of equal rows is not 0", SCRY_OP_LENS, NULL, kl_not_quite_zero},
    {"lens's rank counts from 1", SCRY_OP_LENS, NULL, rank_counts_from_one},
    {"lens's ties go to the highest id", SCRY_OP_LENS, NULL, highest_of_equals_first},
    {"embed forgets the scale", SCRY_OP_EMBED, embed_forgets_scale, NULL},
    {"embed forgets the old content", SCRY_OP_EMBED, embed_forgets_old_content, NULL},
    {"embed takes any id", SCRY_OP_EMBED, NULL, embed_clamps_ids},
    {"add rounds to half precision", SCRY_OP_ADD, NULL, scry__mutant_give_half},
    {"scale forgets the offset", SCRY_OP_SCALE, scale_forgets_offset, NULL},
    {"activation exchanges the GELUs", SCRY_OP_ACTIVATION, exchange_gelus, NULL},
    {"activation forgets the gate", SCRY_OP_ACTIVATION, forget_gate, NULL},
    {"activation rounds to half precision", SCRY_OP_ACTIVATION, NULL, scry__mutant_give_half},
    {"copy rounds ties up", SCRY_OP_COPY, NULL, round_ties_up},
    {"fill leaves the last element", SCRY_OP_FILL, NULL, scry__mutant_leave_last},
    {0},
};

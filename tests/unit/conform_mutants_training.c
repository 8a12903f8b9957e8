/* Bugs in the ops for training. See conform_mutants.h. */
#include "unit/conform_mutants.h"

#include <math.h>

/* Where one op has a field and its neighbour has the like: one bug for each, named after the op. */
#define FORGET_OLD_CONTENT(member)                                                                                     \
    static void member##_forgets_old_content(scry_op *op)                                                              \
    {                                                                                                                  \
        op->member.accumulate = false;                                                                                 \
    }
FORGET_OLD_CONTENT(sum)
FORGET_OLD_CONTENT(activation_backward)
FORGET_OLD_CONTENT(norm_backward)
FORGET_OLD_CONTENT(embed_backward)
FORGET_OLD_CONTENT(attention_backward)
FORGET_OLD_CONTENT(loss)

#define STAGE(member, input)                                                                                           \
    static void member##_stages(scry_op *op)                                                                           \
    {                                                                                                                  \
        scry__mutant_stage(&op->member.input);                                                                         \
    }                                                                                                                  \
    static void member##_unstages(const scry_op *op)                                                                   \
    {                                                                                                                  \
        scry__mutant_unstage(&op->member.input);                                                                       \
    }
STAGE(sum, x)
STAGE(norm_backward, x)
STAGE(attention_backward, q)
STAGE(loss, x)
STAGE(adamw, gradient)
STAGE(sgd, gradient)

/* --- sum --- */

static void forget_to_square(scry_op *op)
{
    op->sum.squares = false;
}

static void drop_last_row(scry_op *op)
{
    op->sum.x.shape[0] -= op->sum.x.shape[0] > 0;
}

static void drop_last_of_many_rows(scry_op *op)
{
    op->sum.x.shape[0] -= op->sum.x.shape[0] > 16384;
}

/* --- activation_backward --- */

static void exchange_gelus(scry_op *op)
{
    if (op->activation_backward.function == SCRY_GELU_ERF) op->activation_backward.function = SCRY_GELU_TANH;
}

static void forget_gate(scry_op *op)
{
    op->activation_backward.gated.buffer = NULL;
}

/* relu's slope at 0 as 1: x at 0 is among the data. */
static void slope_at_zero(const scry_op *op)
{
    const scry_activation_backward *activation = &op->activation_backward;
    if (activation->function != SCRY_RELU || activation->gated.buffer) return;
    for (int64_t i = 0; i < scry_tensor_count(&activation->x); i++)
        if (scry__mutant_get(&activation->x, i) == 0)
            scry__mutant_put(&activation->d_x, i, scry__mutant_get(&activation->d_out, i));
}

/* --- norm_backward --- */

static void forget_epsilon(scry_op *op)
{
    op->norm_backward.parameters.epsilon = 0;
}

static void forget_weight(scry_op *op)
{
    op->norm_backward.parameters.weight.buffer = NULL;
}

static void forget_weight_offset(scry_op *op)
{
    op->norm_backward.parameters.weight_offset = 0;
}

static void forget_mean(scry_op *op)
{
    if (op->norm_backward.parameters.kind == SCRY_NORM_LAYER) op->norm_backward.parameters.kind = SCRY_NORM_RMS;
}

/* The sums without the last row, where they alone are asked for. */
static void norm_drops_last_row(scry_op *op)
{
    if (!op->norm_backward.d_x.buffer) op->norm_backward.x.shape[0]--;
}

/* --- embed_backward --- */

static void embed_forgets_scale(scry_op *op)
{
    op->embed_backward.scale = 1;
}

static void leave_unnamed_rows(scry_op *op)
{
    op->embed_backward.accumulate = true;
}

/* Among equal ids the last wins, as where threads store in place of adding. */
static void last_of_equal_ids(const scry_op *op)
{
    const scry_embed_backward *embed = &op->embed_backward;
    int64_t                    d     = embed->d_out.shape[1];
    if (embed->accumulate || embed->scale != 0) return;
    for (int64_t t = 0; t < embed->d_out.shape[0]; t++) {
        int32_t id = scry__mutant_get_id(&embed->ids, t);
        for (int64_t i = 0; id >= 0 && id < embed->d_table.shape[0] && i < d; i++)
            scry__mutant_put(&embed->d_table, id * d + i, scry__mutant_get(&embed->d_out, t * d + i));
    }
}

static void take_ids_outside(const scry_op *op)
{
    const scry_embed_backward *embed = &op->embed_backward;
    for (int64_t t = 0; t < embed->d_out.shape[0]; t++)
        if (scry__mutant_get_id(&embed->ids, t) < 0)
            scry__mutant_put(&embed->d_table, 0, scry__mutant_get(&embed->d_table, 0) + 1);
}

/* --- attention_backward --- */

static void see_one_future_key(scry_op *op)
{
    op->attention_backward.mask.query_offset++;
}

static void forget_scale(scry_op *op)
{
    op->attention_backward.scale = 1;
}

static void forget_softcap(scry_op *op)
{
    op->attention_backward.softcap = 0;
}

static void forget_window(scry_op *op)
{
    op->attention_backward.mask.window = 0;
}

static void forget_prefix(scry_op *op)
{
    op->attention_backward.mask.prefix = 0;
}

static void forget_padding(scry_op *op)
{
    op->attention_backward.mask.key_begin.buffer = op->attention_backward.mask.key_end.buffer = NULL;
}

static void forget_additive(scry_op *op)
{
    op->attention_backward.mask.additive.buffer = NULL;
}

static double nothing(double value)
{
    (void)value;
    return 0;
}

/* d_score = p (d_out . v), without what the row has in common. */
static void clear_out(scry_op *op)
{
    scry__mutant_stage(&op->attention_backward.out);
    scry__mutant_map(&op->attention_backward.out, nothing);
}

static void restore_out(const scry_op *op)
{
    scry__mutant_unstage(&op->attention_backward.out);
}

/* Of the query heads that share a key, the first alone. */
static void take_first_heads(scry_op *op)
{
    scry_attention_backward *attention = &op->attention_backward;
    scry_tensor             *heads[]   = {&attention->q, &attention->out, &attention->d_out, &attention->d_q};
    int64_t                  groups = attention->k.shape[2], shared = groups ? attention->q.shape[2] / groups : 1;
    if (attention->mask.additive.buffer) return;
    for (int i = 0; i < 4; i++) heads[i]->shape[2] = groups, heads[i]->stride[2] *= shared;
    attention->lse.shape[1] = groups;
    attention->lse.stride[1] *= shared;
}

static void spoil_rows_without_keys(const scry_op *op)
{
    const scry_attention_backward *attention = &op->attention_backward;
    int64_t                        Q = attention->q.shape[1], H = attention->q.shape[2], D = attention->q.shape[3];
    for (int64_t row = 0; attention->d_q.buffer && row < scry_tensor_count(&attention->lse); row++)
        if (scry__mutant_get(&attention->lse, row) == -INFINITY)
            scry__mutant_put(&attention->d_q, ((row / Q / H * Q + row % Q) * H + row / Q % H) * D, (double)NAN);
}

/* --- loss --- */

static void loss_forgets_bias(scry_op *op)
{
    op->loss.bias.buffer = NULL;
}

static void loss_forgets_softcap(scry_op *op)
{
    op->loss.softcap = 0;
}

static void loss_forgets_logit_scale(scry_op *op)
{
    op->loss.logit_scale = 1;
}

static void loss_forgets_factor(scry_op *op)
{
    op->loss.factor = 1;
}

static void loss_leaves_out_last_id(scry_op *op)
{
    if (!op->loss.d_unembedding.buffer && !op->loss.d_bias.buffer) op->loss.unembedding.shape[0]--;
}

static void divergence_the_other_way(scry_op *op)
{
    scry_tensor x = op->loss.x;
    if (!op->loss.teacher.buffer) return;
    op->loss.x       = op->loss.teacher;
    op->loss.teacher = x;
}

static void count_rows_outside(const scry_op *op)
{
    const scry_loss *loss = &op->loss;
    for (int64_t t = 0; loss->target.buffer && loss->loss.buffer && t < loss->loss.shape[0]; t++)
        if (scry__mutant_get_id(&loss->target, t) < 0) scry__mutant_put(&loss->loss, t, 1);
}

static void scale_losses(const scry_op *op)
{
    const scry_loss *loss = &op->loss;
    for (int64_t t = 0; t < scry_tensor_count(&loss->loss); t++)
        scry__mutant_put(&loss->loss, t, loss->factor * (double)scry__mutant_get(&loss->loss, t));
}

static void divergence_not_quite_zero(const scry_op *op)
{
    const scry_loss *loss = &op->loss;
    if (loss->teacher.buffer && scry_tensor_count(&loss->loss) > 0 && scry__mutant_get(&loss->loss, 0) == 0)
        scry__mutant_put(&loss->loss, 0, 0x1p-30);
}

/* --- adamw, sgd --- */

static void forget_corrections(scry_op *op)
{
    op->adamw.step = INT32_MAX;
}

static void count_one_step_more(scry_op *op)
{
    op->adamw.step++;
}

static void exchange_betas(scry_op *op)
{
    float beta1     = op->adamw.beta1;
    op->adamw.beta1 = op->adamw.beta2;
    op->adamw.beta2 = beta1;
}

static void adamw_forgets_epsilon(scry_op *op)
{
    op->adamw.epsilon = 0;
}

static void adamw_forgets_decay(scry_op *op)
{
    op->adamw.decay = 0;
}

static void adamw_forgets_clipping(scry_op *op)
{
    op->adamw.gradient_factor = 1;
}

static void sgd_forgets_momentum(scry_op *op)
{
    op->sgd.momentum = 0;
}

static void forget_nesterov(scry_op *op)
{
    op->sgd.nesterov = false;
}

static void sgd_forgets_decay(scry_op *op)
{
    op->sgd.decay = 0;
}

static void sgd_forgets_clipping(scry_op *op)
{
    op->sgd.gradient_factor = 1;
}

const scry__mutant scry__training_mutants[] = {
    {"sum leaves the last element", SCRY_OP_SUM, NULL, scry__mutant_leave_last},
    {"sum varies", SCRY_OP_SUM, NULL, scry__mutant_vary},
    {"sum forgets the old content", SCRY_OP_SUM, sum_forgets_old_content, NULL},
    {"sum forgets to square", SCRY_OP_SUM, forget_to_square, NULL},
    {"sum drops the last row", SCRY_OP_SUM, drop_last_row, NULL},
    {"sum drops the last of many rows", SCRY_OP_SUM, drop_last_of_many_rows, NULL},
    {"sum stages its input in half precision", SCRY_OP_SUM, sum_stages, sum_unstages},
    {"activation_backward exchanges the GELUs", SCRY_OP_ACTIVATION_BACKWARD, exchange_gelus, NULL},
    {"activation_backward forgets the gate", SCRY_OP_ACTIVATION_BACKWARD, forget_gate, NULL},
    {"activation_backward has slope 1 at 0", SCRY_OP_ACTIVATION_BACKWARD, NULL, slope_at_zero},
    {"activation_backward forgets the old content", SCRY_OP_ACTIVATION_BACKWARD,
     activation_backward_forgets_old_content, NULL},
    {"activation_backward rounds to half precision", SCRY_OP_ACTIVATION_BACKWARD, NULL, scry__mutant_give_half},
    {"norm_backward forgets epsilon", SCRY_OP_NORM_BACKWARD, forget_epsilon, NULL},
    {"norm_backward forgets the weight", SCRY_OP_NORM_BACKWARD, forget_weight, NULL},
    {"norm_backward forgets the weight's offset", SCRY_OP_NORM_BACKWARD, forget_weight_offset, NULL},
    {"norm_backward forgets the mean", SCRY_OP_NORM_BACKWARD, forget_mean, NULL},
    {"norm_backward's sums drop the last row", SCRY_OP_NORM_BACKWARD, norm_drops_last_row, NULL},
    {"norm_backward forgets the old content", SCRY_OP_NORM_BACKWARD, norm_backward_forgets_old_content, NULL},
    {"norm_backward stages its input in half precision", SCRY_OP_NORM_BACKWARD, norm_backward_stages,
     norm_backward_unstages},
    {"embed_backward forgets the scale", SCRY_OP_EMBED_BACKWARD, embed_forgets_scale, NULL},
    {"embed_backward forgets the old content", SCRY_OP_EMBED_BACKWARD, embed_backward_forgets_old_content, NULL},
    {"embed_backward leaves rows that no id names", SCRY_OP_EMBED_BACKWARD, leave_unnamed_rows, NULL},
    {"embed_backward keeps the last of equal ids", SCRY_OP_EMBED_BACKWARD, NULL, last_of_equal_ids},
    {"embed_backward takes ids outside", SCRY_OP_EMBED_BACKWARD, NULL, take_ids_outside},
    {"attention_backward sees one future key", SCRY_OP_ATTENTION_BACKWARD, see_one_future_key, NULL},
    {"attention_backward forgets the scale", SCRY_OP_ATTENTION_BACKWARD, forget_scale, NULL},
    {"attention_backward forgets the soft-cap", SCRY_OP_ATTENTION_BACKWARD, forget_softcap, NULL},
    {"attention_backward forgets the window", SCRY_OP_ATTENTION_BACKWARD, forget_window, NULL},
    {"attention_backward forgets the prefix", SCRY_OP_ATTENTION_BACKWARD, forget_prefix, NULL},
    {"attention_backward forgets padding", SCRY_OP_ATTENTION_BACKWARD, forget_padding, NULL},
    {"attention_backward forgets the additive mask", SCRY_OP_ATTENTION_BACKWARD, forget_additive, NULL},
    {"attention_backward forgets d_out . out", SCRY_OP_ATTENTION_BACKWARD, clear_out, restore_out},
    {"attention_backward takes one head of each group", SCRY_OP_ATTENTION_BACKWARD, take_first_heads, NULL},
    {"attention_backward gives NaN without keys", SCRY_OP_ATTENTION_BACKWARD, NULL, spoil_rows_without_keys},
    {"attention_backward forgets the old content", SCRY_OP_ATTENTION_BACKWARD, attention_backward_forgets_old_content,
     NULL},
    {"attention_backward stages queries in half precision", SCRY_OP_ATTENTION_BACKWARD, attention_backward_stages,
     attention_backward_unstages},
    {"attention_backward varies", SCRY_OP_ATTENTION_BACKWARD, NULL, scry__mutant_vary},
    {"loss forgets bias", SCRY_OP_LOSS, loss_forgets_bias, NULL},
    {"loss forgets the soft-cap", SCRY_OP_LOSS, loss_forgets_softcap, NULL},
    {"loss forgets the logit scale", SCRY_OP_LOSS, loss_forgets_logit_scale, NULL},
    {"loss forgets the factor", SCRY_OP_LOSS, loss_forgets_factor, NULL},
    {"loss leaves out the last id", SCRY_OP_LOSS, loss_leaves_out_last_id, NULL},
    {"loss's divergence is the other way round", SCRY_OP_LOSS, divergence_the_other_way, NULL},
    {"loss's divergence of equal rows is not 0", SCRY_OP_LOSS, NULL, divergence_not_quite_zero},
    {"loss counts rows without a target", SCRY_OP_LOSS, NULL, count_rows_outside},
    {"loss scales losses by the factor", SCRY_OP_LOSS, NULL, scale_losses},
    {"loss forgets the old content", SCRY_OP_LOSS, loss_forgets_old_content, NULL},
    {"loss stages its input in half precision", SCRY_OP_LOSS, loss_stages, loss_unstages},
    {"adamw forgets the corrections", SCRY_OP_ADAMW, forget_corrections, NULL},
    {"adamw counts one step more", SCRY_OP_ADAMW, count_one_step_more, NULL},
    {"adamw exchanges the betas", SCRY_OP_ADAMW, exchange_betas, NULL},
    {"adamw forgets epsilon", SCRY_OP_ADAMW, adamw_forgets_epsilon, NULL},
    {"adamw forgets decay", SCRY_OP_ADAMW, adamw_forgets_decay, NULL},
    {"adamw forgets clipping", SCRY_OP_ADAMW, adamw_forgets_clipping, NULL},
    {"adamw stages the gradient in half precision", SCRY_OP_ADAMW, adamw_stages, adamw_unstages},
    {"sgd forgets momentum", SCRY_OP_SGD, sgd_forgets_momentum, NULL},
    {"sgd forgets Nesterov's step", SCRY_OP_SGD, forget_nesterov, NULL},
    {"sgd forgets decay", SCRY_OP_SGD, sgd_forgets_decay, NULL},
    {"sgd forgets clipping", SCRY_OP_SGD, sgd_forgets_clipping, NULL},
    {"sgd stages the gradient in half precision", SCRY_OP_SGD, sgd_stages, sgd_unstages},
    {0},
};

/* Large cases are judged in part: some rows of the op, which the reference computes alone. What makes that right is
 * that a row depends on no other; sums over all rows are left out. */
#include "cases/plan.h"

#include <string.h>

/* Which axis of an operand holds the op's rows; below 0: from the last. An axis of NOT_IN_ROWS marks a sum over them.
 */
enum { NOT_IN_ROWS = SCRY_MAX_RANK };
#define OPERAND(kind, member, axis)                                                                                    \
    {                                                                                                                  \
        kind, offsetof(scry_op, member), axis                                                                          \
    }
#define STATISTICS(kind, member)                                                                                       \
    OPERAND(kind, member.lse, 2), OPERAND(kind, member.entropy, 2), OPERAND(kind, member.max, 2),                      \
        OPERAND(kind, member.argmax, 2), OPERAND(kind, member.previous, 2), OPERAND(kind, member.self, 2),             \
        OPERAND(kind, member.first, 2), OPERAND(kind, member.key_mass, 2)

static const struct {
    scry_op_kind kind;
    size_t       place;
    int          axis;
} operands[] = {
    OPERAND(SCRY_OP_MATMUL, matmul.c, -2),
    OPERAND(SCRY_OP_MATMUL, matmul.a, -2),
    OPERAND(SCRY_OP_SOFTMAX_CAPTURE, softmax.scores, 2),
    OPERAND(SCRY_OP_SOFTMAX_CAPTURE, softmax.probabilities, 2),
    OPERAND(SCRY_OP_SOFTMAX_CAPTURE, softmax.mask.additive, 2),
    STATISTICS(SCRY_OP_SOFTMAX_CAPTURE, softmax.rows),
    OPERAND(SCRY_OP_ATTENTION, attention.out, 1),
    OPERAND(SCRY_OP_ATTENTION, attention.q, 1),
    OPERAND(SCRY_OP_ATTENTION, attention.mask.additive, 2),
    STATISTICS(SCRY_OP_ATTENTION, attention.capture.rows),
    OPERAND(SCRY_OP_ATTENTION, attention.capture.probabilities, 2),
    OPERAND(SCRY_OP_ATTENTION, attention.capture.scores, 2),
    OPERAND(SCRY_OP_ATTENTION, attention.capture.top_probability, 2),
    OPERAND(SCRY_OP_ATTENTION, attention.capture.top_key, 2),
    OPERAND(SCRY_OP_ATTENTION, attention.capture.received, NOT_IN_ROWS),
    OPERAND(SCRY_OP_ATTENTION, attention.capture.distance, NOT_IN_ROWS),
    OPERAND(SCRY_OP_ROPE, rope.out, 1),
    OPERAND(SCRY_OP_ROPE, rope.x, 1),
    OPERAND(SCRY_OP_ROPE, rope.positions, 1),
    OPERAND(SCRY_OP_NORM, norm.out, 0),
    OPERAND(SCRY_OP_NORM, norm.x, 0),
    OPERAND(SCRY_OP_NORM, norm.scale, 0),
    OPERAND(SCRY_OP_LENS, lens.x, 1),
    OPERAND(SCRY_OP_LENS, lens.reference, 0),
    OPERAND(SCRY_OP_LENS, lens.target, 0),
    OPERAND(SCRY_OP_LENS, lens.top_id, 1),
    OPERAND(SCRY_OP_LENS, lens.top_logit, 1),
    OPERAND(SCRY_OP_LENS, lens.lse, 1),
    OPERAND(SCRY_OP_LENS, lens.entropy, 1),
    OPERAND(SCRY_OP_LENS, lens.target_logit, 1),
    OPERAND(SCRY_OP_LENS, lens.target_rank, 1),
    OPERAND(SCRY_OP_LENS, lens.kl, 1),
    OPERAND(SCRY_OP_EMBED, embed.out, 0),
    OPERAND(SCRY_OP_EMBED, embed.ids, 0),
    OPERAND(SCRY_OP_ADD, add.out, 0),
    OPERAND(SCRY_OP_ADD, add.a, 0),
    OPERAND(SCRY_OP_ADD, add.b, 0),
    OPERAND(SCRY_OP_SCALE, scale.out, 0),
    OPERAND(SCRY_OP_SCALE, scale.x, 0),
    OPERAND(SCRY_OP_ACTIVATION, activation.out, 0),
    OPERAND(SCRY_OP_ACTIVATION, activation.x, 0),
    OPERAND(SCRY_OP_ACTIVATION, activation.gated, 0),
    OPERAND(SCRY_OP_COPY, copy.out, 0),
    OPERAND(SCRY_OP_COPY, copy.x, 0),
    OPERAND(SCRY_OP_FILL, fill.out, 0),
    OPERAND(SCRY_OP_SUM, sum.out, 0),
    OPERAND(SCRY_OP_SUM, sum.x, 1),
    OPERAND(SCRY_OP_ACTIVATION_BACKWARD, activation_backward.x, 0),
    OPERAND(SCRY_OP_ACTIVATION_BACKWARD, activation_backward.gated, 0),
    OPERAND(SCRY_OP_ACTIVATION_BACKWARD, activation_backward.d_out, 0),
    OPERAND(SCRY_OP_ACTIVATION_BACKWARD, activation_backward.d_x, 0),
    OPERAND(SCRY_OP_ACTIVATION_BACKWARD, activation_backward.d_gated, 0),
    OPERAND(SCRY_OP_NORM_BACKWARD, norm_backward.x, 0),
    OPERAND(SCRY_OP_NORM_BACKWARD, norm_backward.d_out, 0),
    OPERAND(SCRY_OP_NORM_BACKWARD, norm_backward.d_x, 0),
    OPERAND(SCRY_OP_NORM_BACKWARD, norm_backward.d_weight, NOT_IN_ROWS),
    OPERAND(SCRY_OP_NORM_BACKWARD, norm_backward.d_bias, NOT_IN_ROWS),
    OPERAND(SCRY_OP_EMBED_BACKWARD, embed_backward.d_table, 1),
    OPERAND(SCRY_OP_EMBED_BACKWARD, embed_backward.d_out, 1),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.q, 1),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.out, 1),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.d_out, 1),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.d_q, 1),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.lse, 2),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.mask.additive, 2),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.d_k, NOT_IN_ROWS),
    OPERAND(SCRY_OP_ATTENTION_BACKWARD, attention_backward.d_v, NOT_IN_ROWS),
    OPERAND(SCRY_OP_LOSS, loss.x, 0),
    OPERAND(SCRY_OP_LOSS, loss.target, 0),
    OPERAND(SCRY_OP_LOSS, loss.teacher, 0),
    OPERAND(SCRY_OP_LOSS, loss.loss, 0),
    OPERAND(SCRY_OP_LOSS, loss.d_x, 0),
    OPERAND(SCRY_OP_LOSS, loss.d_unembedding, NOT_IN_ROWS),
    OPERAND(SCRY_OP_LOSS, loss.d_bias, NOT_IN_ROWS),
    OPERAND(SCRY_OP_ADAMW, adamw.gradient, 0),
    OPERAND(SCRY_OP_ADAMW, adamw.parameter, 0),
    OPERAND(SCRY_OP_ADAMW, adamw.first, 0),
    OPERAND(SCRY_OP_ADAMW, adamw.second, 0),
    OPERAND(SCRY_OP_SGD, sgd.gradient, 0),
    OPERAND(SCRY_OP_SGD, sgd.parameter, 0),
    OPERAND(SCRY_OP_SGD, sgd.velocity, 0),
};
enum { OPERANDS = sizeof operands / sizeof *operands };

/* Rows of the op: the extent of the first operand listed for it. */
static int64_t row_count(const scry__plan *plan)
{
    int at = 0;
    while (operands[at].kind != plan->op.kind) at++;
    const scry_tensor *tensor = (const scry_tensor *)(const void *)((const char *)&plan->op + operands[at].place);
    return tensor->shape[operands[at].axis < 0 ? tensor->rank + operands[at].axis : operands[at].axis];
}

/* Narrows each operand to rows [begin, begin + count). */
static void narrow(scry__plan *plan, int64_t begin, int64_t count)
{
    for (int i = 0; i < plan->count; i++) {
        scry__array *operand = &plan->operands[i];
        for (int at = 0; at < OPERANDS && !operand->dropped; at++) {
            int axis = operands[at].axis < 0 ? operand->view.rank + operands[at].axis : operands[at].axis;
            if (operands[at].kind != plan->op.kind || operands[at].place != operand->place) continue;
            if (axis == NOT_IN_ROWS)
                scry__plan_drop(plan, operand);
            else
                scry__plan_slice(plan, operand, axis, begin, count);
        }
    }
    if (plan->op.kind == SCRY_OP_ATTENTION) plan->op.attention.mask.query_offset += begin;
    if (plan->op.kind == SCRY_OP_ATTENTION_BACKWARD) plan->op.attention_backward.mask.query_offset += begin;
    if (plan->op.kind == SCRY_OP_SOFTMAX_CAPTURE) plan->op.softmax.mask.query_offset += begin;
    if (plan->op.kind == SCRY_OP_ROPE && !plan->op.rope.positions.rank) plan->op.rope.position_offset += begin;
}

/* Beyond these a case is large; of a large one, as much is judged as takes about a second. */
static const double large_flops = 0x1p28, judged_flops = 0x1p26, large_elements = 0x1p22, judged_elements = 0x1p21;

/* The part of the op that is judged. */
static double part_of(const scry__plan *plan, double flops)
{
    double elements = 0, part = 1;
    for (int i = 0; i < plan->count; i++)
        if (plan->operands[i].role != SCRY__INPUT) elements += (double)scry__array_count(&plan->operands[i]);
    if (flops > large_flops) part = judged_flops / flops;
    return elements > large_elements && judged_elements / elements < part ? judged_elements / elements : part;
}

bool scry__plan_sample(scry__plan *plan, const scry__plan *whole, int sample, double flops)
{
    enum { FIRST, INSIDE, LAST, SAMPLES };
    double  part = part_of(whole, flops);
    int64_t rows = row_count(whole), count = (int64_t)((double)rows * part / SAMPLES);
    *plan = *whole;
    if (part >= 1) return sample == 0;
    if (count < 1) count = 1;
    if (count > rows) count = rows;
    int64_t inside = (int64_t)scry__random_below(&plan->random, (uint64_t)(rows - count + 1));
    if (sample < SAMPLES) narrow(plan, sample == FIRST ? 0 : sample == LAST ? rows - count : inside, count);
    return sample < SAMPLES;
}

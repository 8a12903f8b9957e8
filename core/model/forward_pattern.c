/* Edits of scores and patterns: the one place where attention is more than the fused op. See pass.h.
 *
 * The fused op has captured scores and pattern whole, and its output stands. Edited rows of the scores go through a
 * softmax of their own, edited rows of the pattern through a product with the values. All other rows, heads and
 * sequences keep what the fused op made, to the bit. The mask holds for edited scores as well: no edit opens a key
 * that a query cannot see. */
#include "model/pass.h"

bool scry__pass_materialises(const scry__pass *pass)
{
    return scry__pass_edits(pass, SCRY__HOOK_ATTN_SCORES) || scry__pass_edits(pass, SCRY__HOOK_PATTERN);
}

/* One head of a part, without its axis: [sequences, rows, columns]. */
static scry_tensor head_of(const scry_tensor *tensor, int head_axis, int64_t head, const scry__edited_rows *part)
{
    scry_tensor slice =
        scry_tensor_slice(scry_tensor_slice(*tensor, head_axis, head, 1), 0, part->sequence, part->sequences);
    for (int axis = head_axis; axis < 3; axis++) {
        slice.shape[axis]  = slice.shape[axis + 1];
        slice.stride[axis] = slice.stride[axis + 1];
    }
    slice.rank = 3;
    return slice;
}

static scry_tensor rows_of(const scry_tensor *tensor, int head_axis, int64_t head, const scry__edited_rows *part)
{
    return scry_tensor_slice(head_of(tensor, head_axis, head, part), 1, part->row, part->rows);
}

enum { PATTERN_HEADS = 1, OUTPUT_HEADS = 2 }; /* which axis runs over heads */

/* The pattern's head = the softmax' head. */
static scry_op take_softmax(const scry_attention *attention, const scry_tensor *softmax, int64_t head,
                            const scry__edited_rows *part)
{
    scry_op op  = {.kind = SCRY_OP_COPY};
    op.copy.x   = rows_of(softmax, PATTERN_HEADS, head, part);
    op.copy.out = rows_of(&attention->capture.probabilities, PATTERN_HEADS, head, part);
    return op;
}

/* The output's head = pattern v. */
static scry_op mix_values(const scry_attention *attention, int64_t head, const scry__edited_rows *part)
{
    int64_t shared = attention->q.shape[OUTPUT_HEADS] / attention->v.shape[OUTPUT_HEADS];
    scry_op op     = {.kind = SCRY_OP_MATMUL, .matmul = {.alpha = 1.0f}};
    op.matmul.a    = rows_of(&attention->capture.probabilities, PATTERN_HEADS, head, part);
    op.matmul.b    = head_of(&attention->v, OUTPUT_HEADS, head / shared, part);
    op.matmul.c    = rows_of(&attention->out, OUTPUT_HEADS, head, part);
    return op;
}

/* Head by head of what a hook's edits touch: the softmax is taken up where there is one, else values are mixed. */
static scry_status update(const scry__pass *pass, scry__hook hook, const scry_attention *attention,
                          const scry_tensor *softmax)
{
    const scry__hooks *hooks  = pass->hooks;
    scry_status        status = SCRY_OK;
    scry__edited_rows  part;
    for (int i = 0; !status && hooks->edited(hooks->user, hook, pass->layer, i, &part); i++)
        for (int64_t head = 0; !status && part.rows && head < pass->arch->head_count; head++)
            if (part.heads[head / 64] >> head % 64 & 1)
                status = scry__pass_run(pass, softmax ? take_softmax(attention, softmax, head, &part)
                                                      : mix_values(attention, head, &part));
    return status;
}

static scry_status soften(const scry__pass *pass, const scry_attention *attention)
{
    scry_softmax op    = {.scores = attention->capture.scores, .mask = attention->mask};
    op.mask.additive   = (scry_tensor){0}; /* the scores have it */
    scry_status status = scry__session_tensor(&op.probabilities, pass->session, SCRY__SLOT_EDITED, SCRY_F32, 4,
                                              attention->capture.scores.shape);
    if (!status) status = scry__pass_run(pass, (scry_op){.kind = SCRY_OP_SOFTMAX_CAPTURE, .softmax = op});
    return status ? status : update(pass, SCRY__HOOK_ATTN_SCORES, attention, &op.probabilities);
}

scry_status scry__pass_edit_pattern(const scry__pass *pass, const scry_attention *attention)
{
    static const scry__hook edited[] = {SCRY__HOOK_ATTN_SCORES, SCRY__HOOK_PATTERN};
    scry_status             status   = scry__pass_offer(pass, SCRY__HOOK_ATTN_SCORES, &attention->capture.scores);
    if (!status && scry__pass_edits(pass, SCRY__HOOK_ATTN_SCORES)) status = soften(pass, attention);
    if (!status) status = scry__pass_offer(pass, SCRY__HOOK_PATTERN, &attention->capture.probabilities);
    for (int i = 0; i < 2 && !status; i++)
        if (scry__pass_edits(pass, edited[i])) status = update(pass, edited[i], attention, NULL);
    return status;
}

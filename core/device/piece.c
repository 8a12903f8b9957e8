/* A part of an op along one axis: the slice of each operand, and the numbers that move with it. See split.h. */
#include "device/operands.h"
#include "device/split.h"

#include <string.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A tensor without elements stays where it is: what lies behind it may be past its buffer. */
static void slice(scry_tensor *tensor, int axis, int64_t begin, int64_t count)
{
    if (scry_tensor_count(tensor))
        *tensor = scry_tensor_slice(*tensor, axis, begin, count);
    else if (tensor->buffer)
        tensor->shape[axis] = count;
}

/* The part of a capture's tile; none of it is no tile. */
static void slice_tile(scry_tensor *tile, int axis, int64_t begin, int64_t count)
{
    if (count > 0)
        slice(tile, axis, begin, count);
    else
        tile->buffer = NULL;
}

static bool is_selected(const scry_attention_capture *capture, int64_t head)
{
    return capture->heads[head / 64] >> head % 64 & 1;
}

/* A tensor of `groups` key/value heads goes with the query heads [begin, begin + count) of `heads`. */
static void follow_groups(scry_tensor *tensor, int64_t heads, int64_t groups, int64_t begin, int64_t count)
{
    if (groups > 1 && tensor->buffer) slice(tensor, 2, begin * groups / heads, count * groups / heads);
}

/* Key/value heads and captured heads go with the query heads [begin, begin + count). */
static void follow_heads(scry_attention *piece, const scry_attention *whole, int64_t begin, int64_t count)
{
    scry_attention_capture       *capture = &piece->capture;
    const scry_attention_capture *given   = &whole->capture;
    int64_t                       heads = whole->q.shape[2], groups = whole->k.shape[2], before = 0, selected = 0;
    bool                          every = true;
    follow_groups(&piece->k, heads, groups, begin, count);
    follow_groups(&piece->v, heads, groups, begin, count);
    memset(capture->heads, 0, sizeof capture->heads);
    for (int64_t head = 0; head < SCRY_MAX_HEADS; head++) {
        if (!is_selected(given, head)) continue;
        every = false;
        before += head < begin;
        if (head < begin || head >= begin + count) continue;
        capture->heads[(head - begin) / 64] |= (uint64_t)1 << (head - begin) % 64;
        selected++;
    }
    slice_tile(&capture->probabilities, 1, every ? begin : before, every ? count : selected);
    slice_tile(&capture->scores, 1, every ? begin : before, every ? count : selected);
}

/* Key/value heads and their gradients go with the query heads [begin, begin + count). */
static void follow_heads_back(scry_attention_backward *piece, const scry_attention_backward *whole, int64_t begin,
                              int64_t count)
{
    scry_tensor *grouped[] = {&piece->k, &piece->v, &piece->d_k, &piece->d_v};
    for (int i = 0; i < 4; i++) follow_groups(grouped[i], whole->q.shape[2], whole->k.shape[2], begin, count);
}

/* The captured tile is cut to the query rows [begin, begin + count). */
static void follow_queries(scry_attention *piece, const scry_attention *whole, int64_t begin, int64_t count)
{
    scry_tensor *tiles[] = {&piece->capture.probabilities, &piece->capture.scores};
    int64_t      top = whole->capture.query_begin, from = most(top, begin);
    piece->mask.query_offset += begin;
    piece->capture.query_begin = from - begin;
    for (int i = 0; i < 2; i++)
        if (tiles[i]->buffer)
            slice_tile(tiles[i], 2, from - top, least(top + tiles[i]->shape[2], begin + count) - from);
}

/* Without positions of their own, the tokens [begin, begin + count) use that many rows of the tables. */
static void follow_tokens(scry_rope *piece, const scry_rope *whole, int64_t begin, int64_t count)
{
    if (piece->positions.buffer) return;
    slice(&piece->cosine, 0, whole->position_offset + begin, count);
    slice(&piece->sine, 0, whole->position_offset + begin, count);
    piece->position_offset = 0;
}

int64_t scry__op_size(const scry_op *op, char axis)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        int                at     = tensor->buffer ? scry__operand_axis(&operands[i], tensor->rank, axis) : -1;
        if (at >= 0) return tensor->shape[at];
    }
    return 0;
}

int64_t scry__op_unit(const scry_op *op, char axis)
{
    /* All query heads of a key/value head stay together, until there is one such group only. */
    bool back = op->kind == SCRY_OP_ATTENTION_BACKWARD;
    if ((op->kind != SCRY_OP_ATTENTION && !back) || axis != 'H') return 1;
    const scry_tensor *q = back ? &op->attention_backward.q : &op->attention.q;
    const scry_tensor *k = back ? &op->attention_backward.k : &op->attention.k;
    return k->shape[2] > 1 ? q->shape[2] / k->shape[2] : 1;
}

scry_op scry__op_piece(const scry_op *op, char axis, int64_t begin, int64_t count)
{
    const scry__operand *operands;
    int                  operand_count = scry__operands(op->kind, &operands);
    scry_op              piece         = *op;
    for (int i = 0; i < operand_count; i++) {
        scry_tensor *tensor = scry__operand_of(&piece, &operands[i]);
        int          at     = tensor->buffer ? scry__operand_axis(&operands[i], tensor->rank, axis) : -1;
        if (at >= 0) slice(tensor, at, begin, count);
    }
    if (op->kind == SCRY_OP_ATTENTION && axis == 'H') follow_heads(&piece.attention, &op->attention, begin, count);
    if (op->kind == SCRY_OP_ATTENTION_BACKWARD && axis == 'H')
        follow_heads_back(&piece.attention_backward, &op->attention_backward, begin, count);
    if (op->kind == SCRY_OP_ATTENTION_BACKWARD && axis == 'Q') piece.attention_backward.mask.query_offset += begin;
    if (op->kind == SCRY_OP_ATTENTION && axis == 'Q') follow_queries(&piece.attention, &op->attention, begin, count);
    if (op->kind == SCRY_OP_SOFTMAX_CAPTURE && axis == 'Q') piece.softmax.mask.query_offset += begin;
    if (op->kind == SCRY_OP_ROPE && axis == 'T') follow_tokens(&piece.rope, &op->rope, begin, count);
    return piece;
}

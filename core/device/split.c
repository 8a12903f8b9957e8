/* Where to cut: the largest operand out of reach, along its widest axis, as far as the device reaches. See split.h. */
#include "device/split.h"

#include "base/error.h"
#include "device/operands.h"

#include <stdio.h>
#include <string.h>

typedef struct splitting {
    scry_device *device;
    scry_status (*each)(void *state, const scry_op *piece);
    void *state;
    char *uncuttable;
} splitting;

static bool is_reachable(const scry_device *device, const scry_tensor *tensor)
{
    size_t extent = tensor->buffer ? scry__tensor_extent(tensor) : 0;
    return !extent || device->backend->reaches(tensor->buffer, tensor->offset, extent);
}

/* The largest of the operands that are out of reach; NULL where none is. */
static const scry__operand *find_unreachable(const scry_device *device, const scry_op *op)
{
    const scry__operand *operands, *found = NULL;
    int                  count   = scry__operands(op->kind, &operands);
    size_t               largest = 0;
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        if (operands[i].flags & SCRY__PAGED || is_reachable(device, tensor)) continue;
        if (scry__tensor_extent(tensor) <= largest) continue;
        largest = scry__tensor_extent(tensor);
        found   = &operands[i];
    }
    return found;
}

/* The axis along which the op is cut when that axis of an operand shall be. */
static char cut_axis(const scry_op *op, char name)
{
    /* Positions of their own may mean any row of rope's tables. */
    if (op->kind == SCRY_OP_ROPE && name == 'P' && op->rope.positions.buffer) return name;
    for (const char *pair = scry__operand_cuts(op->kind).follows; *pair; pair += 2)
        if (*pair == name) return pair[1];
    return name;
}

static bool has_axis(const scry_op *op, const scry__operand *operand, char axis)
{
    int rank = scry__operand_in(op, operand)->rank;
    for (int i = 0; i < rank; i++)
        if (cut_axis(op, scry__operand_axis_name(operand, rank, i)) == axis) return true;
    return false;
}

/* The gradients of one key/value head add up over all of its query heads. */
static bool sums_over_heads(const scry_op *op, char axis)
{
    const scry_attention_backward *attention = &op->attention_backward;
    bool keys = op->kind == SCRY_OP_ATTENTION_BACKWARD && (attention->d_k.buffer || attention->d_v.buffer);
    /* Without any query head there would be no piece, and yet there are gradients to become 0. */
    return keys && axis == 'H' && (attention->k.shape[2] <= 1 || attention->q.shape[2] == 0);
}

static bool may_cut(const scry_op *op, char axis)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    bool                 group = axis >= '0' && axis <= '9';
    if (!strchr(scry__operand_cuts(op->kind).axes, group ? '.' : axis) || sums_over_heads(op, axis)) return false;
    for (int i = 0; i < count; i++) {
        bool written = operands[i].flags & SCRY__WRITE && scry__operand_in(op, &operands[i])->buffer;
        if (written && !has_axis(op, &operands[i], axis)) return false;
    }
    return true;
}

/* The axis whose cut shortens the operand's range most; 0 where there is none. */
static char choose_axis(const scry_op *op, const scry__operand *operand)
{
    const scry_tensor *tensor = scry__operand_in(op, operand);
    char               chosen = 0;
    int64_t            widest = 0;
    for (int i = 0; i < tensor->rank; i++) {
        char    axis  = cut_axis(op, scry__operand_axis_name(operand, tensor->rank, i));
        int64_t width = (tensor->shape[i] - 1) * tensor->stride[i];
        if (width <= widest || !may_cut(op, axis)) continue;
        widest = width;
        chosen = axis;
    }
    return chosen;
}

/* How far along `axis`, from `begin` on, the operand is reachable; at least one unit, reachable or not. */
static int64_t find_reach(const scry_device *device, const scry_op *op, const scry__operand *operand, char axis,
                          int64_t begin)
{
    int64_t unit = scry__op_unit(op, axis), low = 1, high = (scry__op_size(op, axis) - begin) / unit + 1;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        scry_op piece  = scry__op_piece(op, axis, begin, middle * unit);
        if (is_reachable(device, scry__operand_in(&piece, operand)))
            low = middle;
        else
            high = middle;
    }
    return low * unit;
}

static scry_status refuse(const splitting *split, const scry_op *op, const scry__operand *operand)
{
    uint64_t limit = split->device->info.max_buffer_bytes;
    snprintf(split->uncuttable, SCRY__UNCUTTABLE_TEXT,
             "%s: %zu bytes that no cut shortens: expected at most %llu in one range", operand->name,
             scry__tensor_extent(scry__operand_in(op, operand)),
             (unsigned long long)(limit ? limit : SCRY_REACHABLE_BYTES));
    return SCRY_UNSUPPORTED;
}

/* Each level brings one operand within reach, or one of its axes down to a unit, so the depth is bounded by their
 * number. */
static scry_status walk(const splitting *split, const scry_op *op)
{
    const scry__operand *operand = find_unreachable(split->device, op);
    if (!operand) return split->each(split->state, op);
    char axis = choose_axis(op, operand);
    if (!axis) return refuse(split, op, operand);
    scry_status status = SCRY_OK;
    int64_t     size   = scry__op_size(op, axis);
    for (int64_t begin = 0, count; !status && begin < size; begin += count) {
        count         = find_reach(split->device, op, operand, axis, begin);
        scry_op piece = scry__op_piece(op, axis, begin, count);
        status        = walk(split, &piece);
    }
    return status;
}

scry_status scry__split(scry_device *device, const scry_op *op, scry_status (*each)(void *state, const scry_op *piece),
                        void *state, char uncuttable[SCRY__UNCUTTABLE_TEXT])
{
    *uncuttable = 0;
    if (!device->backend->reaches) return each(state, op);
    return walk(&(splitting){device, each, state, uncuttable}, op);
}

/* Outputs against everything else: no shared memory, save the very view where in place is allowed. See validate.h. */
#include "device/validate.h"

/* a's byte address minus b's is base + the sum of step * x over the terms, with low <= x <= high in each. */
typedef struct term {
    int64_t step, low, high;
} term;

enum { MAX_TERMS = 2 * SCRY_MAX_RANK, SEARCH_LIMIT = 4096 };

static int add_term(term *terms, int count, int64_t step, int64_t low, int64_t high)
{
    int at = 0;
    while (at < count && terms[at].step > step) at++;
    if (at < count && terms[at].step == step) {
        terms[at].low += low;
        terms[at].high += high;
        return count;
    }
    for (int i = count; i > at; i--) terms[i] = terms[i - 1];
    terms[at] = (term){step, low, high};
    return count + 1;
}

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Can the terms sum up to a value strictly between low and high? With steps from large to small, few choices remain at
 * each level for strides that real layouts have; past *budget steps the answer is yes. */
static bool reachable(const term *terms, int count, int64_t low, int64_t high, int *budget)
{
    if (--*budget < 0) return true;
    if (!count) return low < 0 && high > 0;
    int64_t least = 0, most = 0; /* of the terms behind this one */
    for (int i = 1; i < count; i++) {
        least += terms[i].step * terms[i].low;
        most += terms[i].step * terms[i].high;
    }
    int64_t from = divide_down(low - most, terms->step) + 1, to = -divide_down(-(high - least), terms->step) - 1;
    if (from < terms->low) from = terms->low;
    if (to > terms->high) to = terms->high;
    for (int64_t x = from; x <= to; x++)
        if (reachable(terms + 1, count - 1, low - terms->step * x, high - terms->step * x, budget)) return true;
    return false;
}

bool scry__views_overlap(const scry_tensor *a, const scry_tensor *b)
{
    size_t a_extent = scry__tensor_extent(a), b_extent = scry__tensor_extent(b);
    if (a->buffer != b->buffer || !a_extent || !b_extent) return false;
    if (a->offset + a_extent <= b->offset || b->offset + b_extent <= a->offset) return false;

    int64_t a_size = (int64_t)scry_dtype_size(a->dtype), b_size = (int64_t)scry_dtype_size(b->dtype);
    term    terms[MAX_TERMS];
    int     count = 0, budget = SEARCH_LIMIT;
    for (int axis = 0; axis < a->rank; axis++)
        if (a->shape[axis] > 1 && a->stride[axis])
            count = add_term(terms, count, a->stride[axis] * a_size, 0, a->shape[axis] - 1);
    for (int axis = 0; axis < b->rank; axis++)
        if (b->shape[axis] > 1 && b->stride[axis])
            count = add_term(terms, count, b->stride[axis] * b_size, 1 - b->shape[axis], 0);
    /* Elements meet where -a_size < a's address - b's address < b_size. */
    int64_t base = (int64_t)a->offset - (int64_t)b->offset;
    return reachable(terms, count, -a_size - base, b_size - base, &budget);
}

static bool same_view(const scry_tensor *a, const scry_tensor *b)
{
    bool same = a->buffer == b->buffer && a->offset == b->offset && a->dtype == b->dtype && a->rank == b->rank;
    for (int axis = 0; same && axis < a->rank; axis++)
        same = a->shape[axis] == b->shape[axis] && (a->shape[axis] <= 1 || a->stride[axis] == b->stride[axis]);
    return same;
}

static scry_status check_pair(const scry_op *op, const scry__operand *output, const scry__operand *other)
{
    const scry_tensor *written = scry__operand_in(op, output), *tensor = scry__operand_in(op, other);
    bool               in_place = output->flags & other->flags & SCRY__IN_PLACE;
    if (!scry__views_overlap(written, tensor) || (in_place && same_view(written, tensor))) return SCRY_OK;
    return scry__refuse(op, output,
                        in_place ? "overlaps %s: expected the same view or memory apart from it"
                                 : "overlaps %s: expected memory apart from it",
                        other->name);
}

scry_status scry__validate_alias(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands), first = 0;
    size_t               begin[SCRY__MAX_OPERANDS], end[SCRY__MAX_OPERANDS];
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        begin[i]                  = tensor->buffer ? tensor->offset : 0;
        end[i]                    = tensor->buffer ? tensor->offset + scry__tensor_extent(tensor) : 0;
        first += !(operands[i].flags & SCRY__WRITE);
    }
    /* Outputs stand last, so pairs of outputs are met once. Most pairs differ by their ranges alone. */
    for (int i = first; i < count; i++) {
        for (int j = 0; j < i; j++) {
            scry_status status = SCRY_OK;
            if (begin[i] < end[j] && begin[j] < end[i]) status = check_pair(op, &operands[i], &operands[j]);
            if (status) return status;
        }
    }
    return SCRY_OK;
}

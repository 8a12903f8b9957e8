/* Operands of one shape, with as few axes as their strides allow: what is contiguous becomes one long row. */
#include "operands.h"

/* Whether axis `i` continues where axis `i + 1` ends, in every operand. */
static bool joins(const struct scry__walk *walk, int i)
{
    for (int j = 0; j < walk->count; j++) {
        const scry_tensor *x = &walk->operand[j];
        if (present(x) && x->stride[i] != x->stride[i + 1] * x->shape[i + 1]) return false;
    }
    return true;
}

/* Removes axis `i`, whose elements belong to axis `i + 1` from then on. */
static void join(scry_tensor *x, int i)
{
    if (x->shape[i + 1] == 1) x->stride[i + 1] = x->stride[i];
    x->shape[i + 1] *= x->shape[i];
    for (; i > 0; i--) {
        x->shape[i]  = x->shape[i - 1];
        x->stride[i] = x->stride[i - 1];
    }
    x->shape[0]  = 1;
    x->stride[0] = 0;
}

/* Rank 4, with axes of size 1 in front. */
static void widen(scry_tensor *x)
{
    int missing = SCRY_MAX_RANK - x->rank;
    for (int i = SCRY_MAX_RANK - 1; i >= 0; i--) {
        x->shape[i]  = i < missing ? 1 : x->shape[i - missing];
        x->stride[i] = i < missing || x->shape[i] == 1 ? 0 : x->stride[i - missing];
    }
    x->rank = SCRY_MAX_RANK;
}

void scry__walk_prepare(struct scry__walk *walk)
{
    scry_tensor *shown = NULL;
    for (int j = 0; j < walk->count; j++)
        if (present(&walk->operand[j])) widen(shown = &walk->operand[j]);
    for (int i = SCRY_MAX_RANK - 2, left = i + 1; left > 0; left--) {
        if (shown->shape[i] != 1 && shown->shape[i + 1] != 1 && !joins(walk, i)) {
            i--;
            continue;
        }
        for (int j = 0; j < walk->count; j++) join(&walk->operand[j], i);
    }
    for (int i = 0; i < SCRY_MAX_RANK; i++) walk->shape[i] = shown->shape[i];
}

/* Element-wise kernels: operands of one shape, walked with as few axes as their strides allow. */
#include "opencl.h"

enum { BLOCK = 1024, THIN = 4 }; /* elements of an item that is a thread (as in common.cl), and of one that is not */

/* Whether axis `i` continues where axis `i + 1` ends, in every operand. */
static bool joins(const struct scry__cl_walk *walk, int i)
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

void scry__cl_walk_prepare(struct scry__cl_walk *walk)
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

scry_status scry__cl_walk_launch(struct scry__cl_call *call, const struct scry__cl_walk *walk)
{
    size_t rows = (size_t)(walk->shape[0] * walk->shape[1] * walk->shape[2]), columns = (size_t)walk->shape[3];
    bool   is_cpu    = call->cl->is_cpu;
    size_t each      = is_cpu ? BLOCK : THIN;
    size_t global[2] = {(columns + each - 1) / each, rows}, local[2] = {1, 16};
    if (!is_cpu) {
        while (local[0] < 64 && local[0] < global[0]) local[0] *= 2;
        local[1] = 64 / local[0];
    }
    scry__cl_bytes(call, walk->shape, sizeof walk->shape);
    return scry__cl_launch(call, 2, global, local);
}

/* What plugins share: the arithmetic of their operands' shapes. Plain functions of tensors; they know of no device. */
#ifndef SCRY_SHARED_OPERANDS_H
#define SCRY_SHARED_OPERANDS_H

#include "scry/op.h"

static inline size_t scry__element_bytes(scry_dtype dtype)
{
    return dtype == SCRY_F16 || dtype == SCRY_BF16 ? 2 : 4;
}

static inline bool present(const scry_tensor *x)
{
    return x->buffer != NULL;
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t round_up(int64_t count, int64_t unit)
{
    return (count + unit - 1) / unit * unit;
}

/* How many units of that size hold `count`. */
static inline int64_t units_of(int64_t count, int64_t unit)
{
    return (count + unit - 1) / unit;
}

/* Bytes from the tensor's first element to the end of its last one; 0 where it has none. */
size_t scry__extent_bytes(const scry_tensor *x);

/* Whether its elements fill its extent, in any order. */
bool scry__is_dense(const scry_tensor *x);

/* Whether its elements lie one after another in row-major order. */
bool scry__is_contiguous(const scry_tensor *x);

/* Whether both name the same elements of the same buffer. */
bool scry__is_same_view(const scry_tensor *a, const scry_tensor *b);

/* Axis `axis` from `begin` on, `count` of it; an absent tensor stays absent. */
scry_tensor scry__slice(scry_tensor x, int axis, int64_t begin, int64_t count);

/* The view with SCRY_MAX_RANK axes: axes of size 1 in front, and `behind` ones at the end. */
scry_tensor scry__widened(scry_tensor x, int behind);

/* Whether any statistic is asked for. */
bool scry__rows_wanted(const scry_row_statistics *rows);

enum { SCRY__WALKED = 5 };

/* Operands of one shape, as rank 4 with as few axes longer than 1 as their strides allow, the last ones. */
struct scry__walk {
    int         count;
    scry_tensor operand[SCRY__WALKED]; /* absent ones have no buffer */
    int64_t     shape[SCRY_MAX_RANK];
};

/* Reduces the operands, of which at least one is present, to their common axes. */
void scry__walk_prepare(struct scry__walk *walk);

#endif

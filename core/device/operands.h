/* The operands of each kind of op, as one table: name, place in struct scry_op, direction, dtypes, shape.
 *
 * Validation, fallback staging, costs and conformance lines walk this table; it is the only place that lists them.
 * What a table cannot say (windows, selections, matrix strides) is in validate_rules.c. */
#ifndef SCRY_DEVICE_OPERANDS_H
#define SCRY_DEVICE_OPERANDS_H

#include "scry/op.h"

enum {
    SCRY__READ       = 1,
    SCRY__WRITE      = 2,  /* with SCRY__READ: changed in place */
    SCRY__ACCUMULATE = 4,  /* written, and read as well where the op adds to the old content */
    SCRY__OPTIONAL   = 8,  /* may be absent */
    SCRY__IN_PLACE   = 16, /* an output may be the very view of an input where both have this flag */
    SCRY__PAGED      = 32, /* backends walk through it in reachable parts by themselves: it is never a reason to cut */
};

/* No op has more. */
enum { SCRY__MAX_OPERANDS = 32 };

typedef struct scry__operand {
    const char *name; /* as in op.h */
    /* One letter per axis, the letters of op.h; "E" stands for Dv, "r" for R/2; a leading "." for any number of axes,
     * the same wherever it stands. The same letter is the same size throughout an op. */
    const char *shape;
    size_t      offset; /* of its scry_tensor within scry_op */
    unsigned    flags;
    unsigned    dtypes; /* bit 1 << dtype for each allowed one */
} scry__operand;

/* Where an op may be cut into pieces without changing a bit: the axes along which it is many problems side by side.
 * An output without a letter sums over it, and where such an output is asked for, the op is not cut there. */
typedef struct scry__cuts {
    const char *axes;    /* letters; "." for each axis that "." stands for in the shapes */
    const char *follows; /* pairs: in "GH", axis G is cut where H is; how, piece.c knows */
} scry__cuts;

/* The operands of `kind`, inputs first: their number is returned, *operands is static. 0 for an unknown kind. */
int scry__operands(scry_op_kind kind, const scry__operand **operands);

scry__cuts scry__operand_cuts(scry_op_kind kind);

/* An axis by name: a letter, or '0' to '3' for those that "." stands for. The place of that axis in a tensor of `rank`
 * axes, -1 where the operand has none of that name; and the other way round. */
int  scry__operand_axis(const scry__operand *operand, int rank, char name);
char scry__operand_axis_name(const scry__operand *operand, int rank, int axis);

/* An operand's tensor within an op. */
scry_tensor       *scry__operand_of(scry_op *op, const scry__operand *operand);
const scry_tensor *scry__operand_in(const scry_op *op, const scry__operand *operand);

/* Whether the op reads its present content. */
bool scry__operand_is_read(const scry_op *op, const scry__operand *operand);

/* Bytes from the tensor's offset to the end of its last element; 0 without elements. For a validated tensor. */
size_t scry__tensor_extent(const scry_tensor *tensor);

#endif

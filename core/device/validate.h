/* Validation of op descriptors: what backends may take for granted.
 *
 * scry__validate checks, in this order: enums; each operand as a view of its buffer (validate_view.c); shapes against
 * the table's letters (validate_shape.c); the rules of the single ops (validate_rules.c); overlap of outputs with
 * anything else (validate_alias.c). Nothing is allocated and nothing is changed. */
#ifndef SCRY_DEVICE_VALIDATE_H
#define SCRY_DEVICE_VALIDATE_H

#include "device/operands.h"

/* SCRY_BAD_ARGUMENT, with op, operand, what was found and what was expected, where `op` breaks a rule of op.h. */
scry_status scry__validate(const scry_device *device, const scry_op *op);

/* True for a valid op without any output element: it does nothing, and no backend need see it. */
bool scry__op_is_empty(const scry_op *op);

/* --- shared by the validate_*.c files --- */

/* No operand has more elements, so that sums and products of a few sizes stay inside 64 bits. */
#define SCRY__MAX_ELEMENTS ((int64_t)1 << 48)

/* Sizes by letter ('A' to 'z'), -1 where the op has not said it; and the axes that "." stands for. */
typedef struct scry__sizes {
    int64_t of['z' - 'A' + 1];
    int     group_rank; /* -1: not known yet */
    int64_t group[SCRY_MAX_RANK];
} scry__sizes;

#define SCRY__SIZE(sizes, letter) ((sizes)->of[(letter) - 'A'])

/* "op: operand [2, 3]: detail" as SCRY_BAD_ARGUMENT. */
scry_status scry__refuse(const scry_op *op, const scry__operand *operand, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

scry_status scry__validate_view(const scry_device *device, const scry_op *op, const scry__operand *operand);

/* What must hold besides where the operand is written: its memory may be, and its elements lie apart. */
scry_status scry__validate_output(const scry_op *op, const scry__operand *operand);

/* Compares the operand's shape with its letters, and notes the sizes of letters not seen before. */
scry_status scry__validate_shape(const scry_op *op, const scry__operand *operand, scry__sizes *sizes);

scry_status scry__validate_rules(const scry_op *op, const scry__sizes *sizes);
scry_status scry__validate_alias(const scry_op *op);

/* Number of heads that a capture selects: S. */
int64_t scry__selected_heads(const scry_attention_capture *capture, int64_t heads);

/* True where two views share a byte. Exact but for contrived strides, where true is the safe answer. */
bool scry__views_overlap(const scry_tensor *a, const scry_tensor *b);

#endif

/* Shape classes: into how many kinds of shape an op falls, of which one kernel may be the fastest on a device.
 *
 * Pure and cheap, asked before every run on a device that was tuned. A class is a number among its op's, and a name
 * that people and files use. docs/tuning.md lists them all. */
#ifndef SCRY_DEVICE_SHAPE_CLASS_H
#define SCRY_DEVICE_SHAPE_CLASS_H

#include "scry/op.h"

/* No op has more. */
enum { SCRY__MAX_CLASSES = 16 };

/* The class of a valid op: 0 to scry__shape_class_count(op->kind) - 1. */
int scry__shape_class(const scry_op *op);

int scry__shape_class_count(scry_op_kind kind);

/* "few-kn-f32"; static text. */
const char *scry__shape_class_name(scry_op_kind kind, int class);

/* The class of that name; -1 where the op has none. */
int scry__shape_class_find(scry_op_kind kind, const char *name);

#endif

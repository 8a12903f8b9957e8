/* Cutting an op into pieces whose operands the device can reach, where it cannot reach them whole.
 *
 * A piece is an op of the same kind over parts of the same tensors. The axes are those along which an op is many
 * problems side by side (operands.h), so the pieces together leave the very bits that the whole would. They never write
 * what another reads, and they run in order. Nothing is allocated. */
#ifndef SCRY_DEVICE_SPLIT_H
#define SCRY_DEVICE_SPLIT_H

#include "scry/backend.h"

enum { SCRY__UNCUTTABLE_TEXT = 160 };

/* Calls `each` for every piece of a valid op, until one gives a status: for `op` itself where all of it is reachable.
 * Where no cut helps, *uncuttable says why (it is "" otherwise) and nothing more is called. */
scry_status scry__split(scry_device *device, const scry_op *op, scry_status (*each)(void *state, const scry_op *piece),
                        void *state, char uncuttable[SCRY__UNCUTTABLE_TEXT]);

/* --- shared by split.c and piece.c --- */

/* How many elements an op has along the axis of that name, and the multiple in which it is cut there. */
int64_t scry__op_size(const scry_op *op, char axis);
int64_t scry__op_unit(const scry_op *op, char axis);

/* The part [begin, begin + count) of an op along an axis that it may be cut along; both are multiples of the unit. */
scry_op scry__op_piece(const scry_op *op, char axis, int64_t begin, int64_t count);

#endif

/* What an op costs by definition, whatever computes it: the two axes of a roofline. */
#ifndef SCRY_DEVICE_COST_H
#define SCRY_DEVICE_COST_H

#include "scry/op.h"

/* Floating-point operations of a validated op: a multiply and an add count as two; an exponential, a logarithm, a
 * division or a root as one. Only query-key pairs that the mask's numbers leave visible count (tensors in the mask are
 * not looked at). */
double scry__op_flops(const scry_op *op);

/* Bytes that must move at least: each element read or written counts once; of tables, only the rows used. */
double scry__op_bytes(const scry_op *op);

#endif

/* Running on the cpu backend what a device cannot. */
#ifndef SCRY_DEVICE_FALLBACK_H
#define SCRY_DEVICE_FALLBACK_H

#include "scry/device.h"

/* Copies what a validated op touches into buffers of a cpu device, runs it there, and copies the outputs back. Counted,
 * described and logged on `device` with `reason`. */
scry_status scry__fallback_run(scry_device *device, const scry_op *op, const char *reason);

#endif

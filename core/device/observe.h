/* Watching what a device runs, op by op: for diagnoses, never for results. Off unless somebody asks, and then free. */
#ifndef SCRY_DEVICE_OBSERVE_H
#define SCRY_DEVICE_OBSERVE_H

#include "scry/op.h"

typedef struct scry__observer {
    /* Called after each op of the caller's (whole, also where it ran in pieces or elsewhere) that was run without
     * failing; ops without elements are left out. Its operands may be read; ops that the observer runs on the device
     * itself are not observed. A status other than SCRY_OK becomes that of the op's run. */
    scry_status (*after)(void *user, const scry_op *op);
    void *user;
} scry__observer;

/* One observer a device; copied. NULL: none. */
void scry__device_observe(scry_device *device, const scry__observer *observer);

#endif

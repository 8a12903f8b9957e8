/* Tensors of a device on the host: to be written into a safetensors file, and put back from one. */
#ifndef SCRY_MODEL_SNAPSHOT_H
#define SCRY_MODEL_SNAPSHOT_H

#include "model/safetensors.h"
#include "scry/device.h"

/* Begins as {0}; released with scry__snapshot_finish, also after a failure. */
typedef struct scry__snapshot {
    scry__stored *tensors; /* named; their data is there once it was taken */
    scry_tensor  *places;  /* where each lies on the device */
    int           count;
    void         *memory; /* of all data */
} scry__snapshot;

/* One tensor more, contiguous and f32, called PREFIXNAME. */
scry_status scry__snapshot_add(scry__snapshot *snapshot, const char *prefix, const char *name,
                               const scry_tensor *place);

/* Reads all of them from the device. */
scry_status scry__snapshot_take(scry__snapshot *snapshot);
void        scry__snapshot_finish(scry__snapshot *snapshot);

/* Writes to the device what the file has of each; all have to be there, in their shapes. */
scry_status scry__snapshot_put_back(const scry__snapshot *snapshot, const scry__safetensors *file);

#endif

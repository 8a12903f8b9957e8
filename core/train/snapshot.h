/* A learner's tensors on the host: to be written into a checkpoint, and put back from one. */
#ifndef SCRY_TRAIN_SNAPSHOT_H
#define SCRY_TRAIN_SNAPSHOT_H

#include "model/safetensors.h"
#include "train/learner.h"

typedef struct scry__snapshot {
    scry__stored *tensors;
    int           count;
    float        *memory; /* of all of them */
} scry__snapshot;

/* Copies the parameters by their names, or the optimiser's moments as first.NAME and second.NAME (of sgd, `first` is
 * the velocity). */
scry_status scry__snapshot_take(scry__snapshot *snapshot, const scry__learner *learner, bool moments);
void        scry__snapshot_finish(scry__snapshot *snapshot);

/* Puts back the moments that a checkpoint folder holds, all of which have to be there. */
scry_status scry__snapshot_restore_moments(scry__learner *learner, const char *checkpoint);

#endif

/* Checkpoints of a training: folders step-N that appear whole or not at all. scry/train.h says what lies in them. */
#ifndef SCRY_TRAIN_CHECKPOINT_H
#define SCRY_TRAIN_CHECKPOINT_H

#include "model/safetensors.h"
#include "scry/train.h"

/* How the folders' names begin; their leftovers' too (scry__folder_sweep). */
#define SCRY__CHECKPOINT_PREFIX "step-"

#define SCRY__CHECKPOINT_WEIGHTS "model.safetensors"
#define SCRY__CHECKPOINT_MOMENTS "optimiser.safetensors"

/* What a checkpoint is made of; all of it is the caller's. */
typedef struct scry__checkpoint {
    const scry_training *training; /* at the checkpoint's step */
    const char          *digest;   /* of the data's tokens; "": none */
    const scry__stored  *weights, *moments;
    int                  weight_count, moment_count;
} scry__checkpoint;

/* Writes folder/step-N; a checkpoint of that step that is there already (a damaged one) makes place. *path (optional)
 * is where; release with scry__free. */
scry_status scry__checkpoint_write(char **path, const char *folder, const scry__checkpoint *checkpoint);

/* Whether every file is there as SHA256SUMS says; else SCRY_BAD_INPUT with the first that is not. */
scry_status scry__checkpoint_check(const char *path);

/* The record of a checkpoint and the digest of its data; release *digest (optional) with scry__free. */
scry_status scry__checkpoint_read(scry_training **out, char **digest, const char *path);

/* Writes config.json of the recipe's model into a folder. */
scry_status scry__checkpoint_write_config(const char *folder, const scry_recipe *recipe);

#endif

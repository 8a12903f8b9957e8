/* Checkpoints of a training (checkpoint_folder.h). scry/train.h says what lies in them. */
#ifndef SCRY_TRAIN_CHECKPOINT_H
#define SCRY_TRAIN_CHECKPOINT_H

#include "scry/train.h"
#include "train/checkpoint_folder.h"

#define SCRY__CHECKPOINT_WEIGHTS "model.safetensors"
#define SCRY__CHECKPOINT_MOMENTS "optimiser.safetensors"

/* What a checkpoint is made of; all of it is the caller's. */
typedef struct scry__checkpoint {
    const scry_training *training; /* at the checkpoint's step */
    const char          *digest;   /* of the data's tokens; "": none */
    const scry__stored  *weights, *moments;
    int                  weight_count, moment_count;
} scry__checkpoint;

/* As the functions of checkpoint_folder.h. */
scry_status scry__checkpoint_open(int *lock, char **newest, const char *folder, bool resume);
scry_status scry__checkpoint_write(char **path, const char *folder, const scry__checkpoint *checkpoint);
scry_status scry__checkpoint_check(const char *path);

/* The record of a checkpoint and the digest of its data; release *digest (optional) with scry__free. */
scry_status scry__checkpoint_read(scry_training **out, char **digest, const char *path);

/* Writes config.json of the recipe's model into a folder. */
scry_status scry__checkpoint_write_config(const char *folder, const scry_recipe *recipe);

#endif

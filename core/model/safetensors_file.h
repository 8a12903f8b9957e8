/* Between safetensors.c (one file) and shards.c (a checkpoint of several). */
#ifndef SCRY_MODEL_SAFETENSORS_FILE_H
#define SCRY_MODEL_SAFETENSORS_FILE_H

#include "model/safetensors.h"

/* Maps and checks one file and appends its tensors, in order of place. After a failure the checkpoint can only be
 * closed. */
scry_status scry__safetensors_add_file(scry__safetensors *checkpoint, const char *path);

/* Puts the tensors in order of name, as scry__safetensors_find needs them. */
void scry__safetensors_sort(scry__safetensors *checkpoint);

#endif

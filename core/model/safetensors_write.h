/* Writing safetensors: one file, whole or not at all. */
#ifndef SCRY_MODEL_SAFETENSORS_WRITE_H
#define SCRY_MODEL_SAFETENSORS_WRITE_H

#include "model/safetensors.h"

/* Writes the tensors in the order in which the format's own library does: the widest elements first, then by name, each
 * aligned to its element, the data to 8 bytes. Of each tensor name, element, rank, shape and data are read. `metadata`
 * is an object of strings, for transformers at least "format": "pt"; NULL: none. Names that stand twice are refused. */
scry_status scry__safetensors_write(const char *path, const scry__stored *tensors, int count, const json_t *metadata);

#endif

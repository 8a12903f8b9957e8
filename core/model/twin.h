/* The random twin of a checkpoint: the same architecture before training, as its family is initialised. It is the null
 * that tells what a model has learned from what its architecture gives. */
#ifndef SCRY_MODEL_TWIN_H
#define SCRY_MODEL_TWIN_H

#include "model/arch.h"
#include "model/safetensors.h"

/* Draws the checkpoint in memory: matrices normal with the config's initializer_range (the outputs of blocks smaller
 * where the family shrinks them), norm weights such that they multiply by 1, biases 0. Dtypes are those of the weights
 * in `directory`, f32 where it has none. The same seed gives the same bits on every machine. */
scry_status scry__twin_draw(scry__safetensors **out, const scry__arch *arch, const char *directory, uint64_t seed);

#endif

/* Parts of reading config.json, shared between config.c and config_rope.c. */
#ifndef SCRY_MODEL_CONFIG_H
#define SCRY_MODEL_CONFIG_H

#include "base/json.h"
#include "model/arch.h"

/* Reads the rope keys (rope_theta with rope_scaling, or rope_parameters) into arch->ropes[0] and widens arch->context
 * where the scaling allows more. Sizes in arch are known already; max_position is max_position_embeddings. */
scry_status scry__config_rope(scry__arch *arch, scry__json_at config);

#endif

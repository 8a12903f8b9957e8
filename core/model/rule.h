/* What a family's weight rules say of one model: names, shapes, and which tensors there are. */
#ifndef SCRY_MODEL_RULE_H
#define SCRY_MODEL_RULE_H

#include "model/family.h"

enum { SCRY__RULE_NAME = 256 };

/* The rule's tensor name for a layer, with `prefix` where the rule takes one. */
void scry__rule_name(char name[SCRY__RULE_NAME], const scry__weight_rule *rule, const char *prefix, int64_t layer);

/* The shape of the rule's tensor as stored; returns its rank. */
int scry__rule_shape(int64_t shape[2], const scry__weight_rule *rule, const scry__arch *arch);

/* False where the config says that there is no such tensor. */
bool scry__rule_needed(const scry__weight_rule *rule, const scry__arch *arch);

/* How many tensors the rule names: one, or one per layer. */
int64_t scry__rule_times(const scry__weight_rule *rule, const scry__arch *arch);

/* Names carry the family's prefix unless the base model was saved by itself. */
const char *scry__rule_prefix(const scry__arch *arch, const scry__safetensors *checkpoint);

#endif

/* A family's weight rules applied to one model. See rule.h. */
#include "model/rule.h"

#include <stdio.h>
#include <string.h>

static int64_t dim_size(const scry__arch *arch, scry__dim dim)
{
    switch (dim) {
    case SCRY__DIM_VOCABULARY:
        return arch->vocabulary;
    case SCRY__DIM_CONTEXT:
        return arch->context;
    case SCRY__DIM_HIDDEN:
        return arch->hidden_size;
    case SCRY__DIM_QUERY:
        return arch->head_count * arch->head_size;
    case SCRY__DIM_KEY:
        return arch->kv_head_count * arch->head_size;
    case SCRY__DIM_QKV:
        return (arch->head_count + 2 * arch->kv_head_count) * arch->head_size;
    case SCRY__DIM_MLP:
        return arch->mlp_size;
    case SCRY__DIM_HEAD:
        return arch->head_size;
    case SCRY__DIM_NONE:
        break;
    }
    return 0;
}

void scry__rule_name(char name[SCRY__RULE_NAME], const scry__weight_rule *rule, const char *prefix, int64_t layer)
{
    const char *before = rule->flags & SCRY__RULE_NO_PREFIX ? "" : prefix;
    const char *number = strchr(rule->name, '#');
    if (number)
        snprintf(name, SCRY__RULE_NAME, "%s%.*s%lld%s", before, (int)(number - rule->name), rule->name,
                 (long long)layer, number + 1);
    else
        snprintf(name, SCRY__RULE_NAME, "%s%s", before, rule->name);
}

int scry__rule_shape(int64_t shape[2], const scry__weight_rule *rule, const scry__arch *arch)
{
    int rank = 0;
    for (; rank < 2 && rule->shape[rank] != SCRY__DIM_NONE; rank++) shape[rank] = dim_size(arch, rule->shape[rank]);
    return rank;
}

bool scry__rule_needed(const scry__weight_rule *rule, const scry__arch *arch)
{
    return (arch->features & rule->needs) == rule->needs;
}

int64_t scry__rule_times(const scry__weight_rule *rule, const scry__arch *arch)
{
    return rule->flags & SCRY__RULE_IN_LAYER ? arch->layer_count : 1;
}

const char *scry__rule_prefix(const scry__arch *arch, const scry__safetensors *checkpoint)
{
    size_t size = strlen(arch->family->prefix);
    for (int i = 0; i < checkpoint->count; i++)
        if (!strncmp(checkpoint->tensors[i].name, arch->family->prefix, size)) return arch->family->prefix;
    return "";
}

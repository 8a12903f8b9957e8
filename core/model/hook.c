/* Names of the hook points. See hook.h. */
#include "model/hook.h"

#include <stdio.h>

static const struct {
    const char *name;
    bool        in_block;
} hooks[] = {
#define HOOK_ROW(id, text, in_block) {text, in_block},
    SCRY__HOOK_LIST(HOOK_ROW)
#undef HOOK_ROW
};

const char *scry__hook_name(scry__hook hook)
{
    return (unsigned)hook < SCRY__HOOK_COUNT ? hooks[hook].name : "unknown";
}

bool scry__hook_in_block(scry__hook hook)
{
    return (unsigned)hook < SCRY__HOOK_COUNT && hooks[hook].in_block;
}

bool scry__hook_is_live(scry__hook hook)
{
    bool statistic = hook >= SCRY__HOOK_STAT_LSE && hook <= SCRY__HOOK_STAT_DISTANCE;
    return (unsigned)hook < SCRY__HOOK_LOGITS && !statistic;
}

void scry__hook_full_name(scry__hook hook, int layer, char out[SCRY__HOOK_NAME_SIZE])
{
    if (scry__hook_in_block(hook))
        snprintf(out, SCRY__HOOK_NAME_SIZE, "blocks.%d.%s", layer, scry__hook_name(hook));
    else
        snprintf(out, SCRY__HOOK_NAME_SIZE, "%s", scry__hook_name(hook));
}

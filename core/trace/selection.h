/* What a trace keeps: hook points by name pattern, layers, heads, and the tile of scores and patterns. */
#ifndef SCRY_TRACE_SELECTION_H
#define SCRY_TRACE_SELECTION_H

#include "model/hook.h"
#include "scry/trace.h"

typedef struct scry__selection {
    int            layer_count, head_count;
    unsigned char *wanted; /* [layer_count + 1, SCRY__HOOK_COUNT]; row 0 is what lies outside the blocks */
    uint64_t       heads[SCRY_MAX_HEADS / 64];
    int            selected_heads; /* set bits of `heads` */
    scry_range     queries, keys;  /* resolved against the token count */
} scry__selection;

/* Resolves a trace's options for `model` and a prompt of `token_count`. Errors (SCRY_BAD_ARGUMENT): a pattern that
 * matches no hook point of this model, hooks that are all outside the layers chosen, a malformed list, a layer, head or
 * range outside the model. */
scry_status scry__selection_create(scry__selection *selection, const scry_model *model, int token_count,
                                   const scry_trace_options *options);
void        scry__selection_finish(scry__selection *selection);

/* "did you mean": fails with the hook names that share the pattern's last dotted part, or all of them. */
scry_status scry__fail_no_hook(const scry_model *model, const char *pattern);

bool scry__selection_wants(const scry__selection *selection, scry__hook hook, int layer);
bool scry__selection_has_head(const scry__selection *selection, int head);

#endif
